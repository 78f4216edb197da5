# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Writes the USD files that the package ships, from the public URDFs of the package example-robot-data."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

from isaaclab_offpolicy.robots import DATA_DIR
from isaaclab_offpolicy.robots.urdf_to_usd import read_urdf, write_ground_plane, write_usd


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
    relative = "a1_description/urdf/a1.urdf"
    robot = read_urdf(urdf_path(relative), keep=".*_foot")
    target = DATA_DIR / "unitree_a1" / "unitree_a1.usda"
    write_usd(robot, target, f"From {relative} of example-robot-data {version} by scripts/tools/write_robots.py.")
    print(f"{target.name}: {len(robot.links)} bodies, {robot.mass:.3f} kg")
    write_ground_plane(DATA_DIR / "ground_plane.usda")
    print("ground_plane.usda")


if __name__ == "__main__":
    main()
