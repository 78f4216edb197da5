# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Robots that run offline, one module each, and the tool that writes their USD files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isaaclab.assets import ArticulationCfg

DATA_DIR = Path(__file__).resolve().parent / "data"
"""Folder of the USD files that the package ships."""

GROUND_PLANE_USD = str(DATA_DIR / "ground_plane.usda")
"""Flat ground: an infinite collision plane at z = 0."""


def offline(cfg: ArticulationCfg, name: str, **changes: Any) -> ArticulationCfg:
    """A robot of Isaac Lab's, from the USD that the package ships.

    Args:
        cfg: Isaac Lab's configuration.
        name: Folder in :data:`DATA_DIR`, and name of the file in it.
        changes: Further fields to replace.
    """
    from isaaclab.utils import replace

    usd_path = str(DATA_DIR / name / f"{name}.usda")
    return one_joint_order(replace(cfg, spawn=replace(cfg.spawn, usd_path=usd_path), **changes))


def one_joint_order(cfg: ArticulationCfg) -> ArticulationCfg:
    """The same robot with joints and bodies in PhysX's breadth-first order on every engine.

    For a quadruped: all hips, all thighs, all calves. Newton's own order is leg by leg.
    """
    from isaaclab.utils import replace

    return replace(cfg, joint_ordering="physx", body_ordering="physx")
