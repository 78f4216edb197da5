# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Writes the USD files that the package ships, from public URDFs (package example-robot-data) and from our own."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import bdx_description

from isaaclab_offpolicy.assets.model import Robot, overlaps
from isaaclab_offpolicy.assets.shapes import SLENDER
from isaaclab_offpolicy.assets.urdf import read_urdf
from isaaclab_offpolicy.assets.usd import write_ground_plane, write_usd
from isaaclab_offpolicy.robots import DATA_DIR


@dataclass(frozen=True)
class Source:
    """Where a robot comes from."""

    urdf: str
    """URDF in example-robot-data, or beside the USD."""

    keep: str = ".*foot"
    """Links behind fixed joints that stay bodies."""

    meshes: Mapping[str, str] = field(default_factory=dict)
    """Primitives that take the place of collision meshes."""

    slender: float = SLENDER
    """Length over radius from which on a cylinder becomes a capsule."""

    stance: Mapping[str, float] = field(default_factory=dict)
    """Default pose of Isaac Lab's task [rad]. Bodies that overlap in it do not collide with each other."""

    def path(self, name: str) -> Path:
        """The URDF's path."""
        own = DATA_DIR / name / self.urdf
        return own if own.is_file() else urdf_path(self.urdf)

    def read(self, name: str) -> Robot:
        """The robot as it is written."""
        robot = read_urdf(self.path(name), self.keep, meshes=self.meshes, slender=self.slender)
        robot.name = name
        return robot


UNITREE_STANCE = {".*L_hip_joint": 0.1, ".*R_hip_joint": -0.1, "F._thigh_joint": 0.8, "R._thigh_joint": 1.0}
UNITREE_STANCE |= {".*_calf_joint": -1.5}
ANYMAL_STANCE = {".*F_HFE": 0.4, ".*H_HFE": -0.4, ".*F_KFE": -0.8, ".*H_KFE": 0.8}

SOURCES = {
    "unitree_a1": Source("a1_description/urdf/a1.urdf", stance=UNITREE_STANCE),
    "unitree_go1": Source("go1_description/urdf/go1.urdf", stance=UNITREE_STANCE),
    # feet as spheres, so that they roll; everything else as boxes of the meshes' extents
    "unitree_go2": Source("go2_description/urdf/go2.urdf", meshes={".*_foot": "sphere"}, stance=UNITREE_STANCE),
    "anymal_b": Source("anymal_b_simple_description/robots/anymal.urdf", stance=ANYMAL_STANCE),
    "anymal_c": Source("anymal_c_simple_description/urdf/anymal.urdf", stance=ANYMAL_STANCE),
    # its URDF's cylinders stand for capsules, which URDF does not have
    "bdx": Source("bdx.urdf", keep="", slender=2.0),
}
"""The robots of the package, by the name of their folder."""


def urdf_path(relative: str) -> Path:
    """Path of a URDF inside the installed package example-robot-data."""
    distribution = importlib.metadata.distribution("example-robot-data")
    path = Path(str(distribution.locate_file(f"cmeel.prefix/share/example-robot-data/robots/{relative}")))
    if not path.is_file():
        raise SystemExit(f"{path} is missing: install the 'dev' extra, which brings example-robot-data")
    return path


def main() -> None:
    """Write every file."""
    version = importlib.metadata.version("example-robot-data")
    bdx_description.write(DATA_DIR / "bdx" / "bdx.urdf")
    for name, source in SOURCES.items():
        path, robot = source.path(name), source.read(name)
        origin = source.urdf if path.is_relative_to(DATA_DIR) else f"{source.urdf} of example-robot-data {version}"
        target = DATA_DIR / name / f"{name}.usda"
        pairs = sorted(overlaps(robot) | overlaps(robot, source.stance))
        write_usd(robot, target, f"From {origin} by scripts/tools/write_robots.py.", pairs)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        shapes = sum(len(link.shapes) for link in robot.links.values())
        print(f"{target.name}: {len(robot.links)} bodies, {shapes} shapes, {robot.mass:.3f} kg; URDF {digest}")
        if pairs:
            print("  not colliding with each other:", ", ".join("-".join(pair) for pair in pairs))
    write_ground_plane(DATA_DIR / "ground_plane.usda")
    print("ground_plane.usda")


if __name__ == "__main__":
    main()
