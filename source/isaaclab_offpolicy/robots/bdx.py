# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""A BD-X-style biped: ten joints in the legs, four in neck and head, 15.4 kg. Not affiliated with Disney.

Dimensions, masses, ranges and motors, each with its source, are in ``scripts/tools/bdx_description.py``, which writes
``data/bdx/bdx.urdf``. A USD of another such robot takes its place when the environment variable
:data:`USD_PATH_VARIABLE` names it; its joints need the names of ours.
"""

# pxr's type stubs lack most of what it has
# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import isaaclab.sim as sim_utils
from isaaclab.actuators import ActuatorBaseCfg, ImplicitActuatorCfg
from isaaclab.assets import ArticulationCfg
from isaaclab_newton.sim.schemas import NewtonArticulationCfg
from isaaclab_physx.sim.schemas import PhysxArticulationCfg, PhysxRigidBodyCfg

from . import DATA_DIR, one_joint_order

USD_PATH_VARIABLE = "ISAACLAB_OFFPOLICY_BDX_USD"
"""Environment variable with the path of a USD to use in place of the package's own."""

LEG_JOINTS = [".*_hip_yaw", ".*_hip_roll", ".*_hip_pitch", ".*_knee", ".*_ankle"]
HEAD_JOINTS = ["neck_pitch", "head_pitch", "head_yaw", "head_roll"]

LEG_STIFFNESS, LEG_DAMPING = 78.96, 5.03
"""Gains of BDX-R's legs [N·m/rad, N·m·s/rad]: armature · (2π · 10 Hz)², and twice critical damping."""

HEAD_STIFFNESS, HEAD_DAMPING = 16.58, 1.06
"""Gains of BDX-R's neck [N·m/rad, N·m·s/rad]; for the head, too, whose own motor's would let it droop by 0.17 rad."""


@dataclass(frozen=True)
class BodyNames:
    """What the task needs to know of a USD's bodies and joints."""

    base: str
    """The root body."""

    feet: tuple[str, ...]
    """Bodies that the ankles move."""

    others: tuple[str, ...]
    """Joints beyond those of ours, such as antennas."""


def usd_path() -> Path:
    """The USD in use: that of the environment variable, or the package's own.

    Raises:
        FileNotFoundError: If the variable names no file.
    """
    given = os.environ.get(USD_PATH_VARIABLE)
    if not given:
        return DATA_DIR / "bdx" / "bdx.usda"
    path = Path(given).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"{USD_PATH_VARIABLE} names '{given}', and there is no such file")
    return path.resolve()


def body_names(path: Path) -> BodyNames:
    """Read the names of bodies and joints from a USD.

    Raises:
        ValueError: If a joint that the task needs is missing.
    """
    from pxr import Usd, UsdPhysics

    stage = Usd.Stage.Open(str(path))
    children: dict[str, str] = {}
    parents: set[str] = set()
    for prim in stage.Traverse():
        joint = UsdPhysics.RevoluteJoint(prim)
        if not joint:
            continue
        parent, child = (
            [target.name for target in rel.GetTargets()] for rel in (joint.GetBody0Rel(), joint.GetBody1Rel())
        )
        if parent and child:
            children[prim.GetName()] = child[0]
            parents.add(parent[0])
    needed = [name.replace(".*", side) for name in LEG_JOINTS for side in ("left", "right")] + HEAD_JOINTS
    missing = [name for name in needed if name not in children]
    if missing:
        raise ValueError(f"{path}: joint '{missing[0]}' is missing; a biped for this task has {', '.join(needed)}")
    roots = sorted(parents - set(children.values()))
    if len(roots) != 1:
        raise ValueError(f"{path}: not a single tree of revolute joints: roots are {roots}")
    return BodyNames(
        base=roots[0],
        feet=(children["left_ankle"], children["right_ankle"]),
        others=tuple(name for name in children if name not in needed),
    )


def bdx_cfg(path: Path) -> ArticulationCfg:
    """Configuration of the robot of a USD."""
    others = body_names(path).others
    actuators: dict[str, ActuatorBaseCfg] = {
        "legs": ImplicitActuatorCfg(
            joint_names_expr=LEG_JOINTS,
            # RobStride 03, as BDX-R configures it
            joint_effort_limit=42.0,
            joint_velocity_limit=18.849,
            armature=0.02,
            stiffness=LEG_STIFFNESS,
            damping=LEG_DAMPING,
        ),
        "head": ImplicitActuatorCfg(
            joint_names_expr=HEAD_JOINTS,
            # RobStride 02 and 05, as BDX-R configures them
            joint_effort_limit={"neck_pitch": 10.9, "head_.*": 4.2},
            joint_velocity_limit={"neck_pitch": 37.699, "head_.*": 45.0},
            armature=0.0042,
            stiffness=HEAD_STIFFNESS,
            damping=HEAD_DAMPING,
        ),
    }
    if others:
        actuators["others"] = ImplicitActuatorCfg(joint_names_expr=list(others), stiffness=3.0, damping=0.1)
    cfg = ArticulationCfg(
        spawn=sim_utils.UsdFileCfg(
            usd_path=str(path),
            activate_contact_sensors=True,
            rigid_props=PhysxRigidBodyCfg(
                disable_gravity=False,
                retain_accelerations=False,
                linear_damping=0.0,
                angular_damping=0.0,
                max_linear_velocity=1000.0,
                max_angular_velocity=1000.0,
                max_depenetration_velocity=1.0,
            ),
            articulation_props=[
                PhysxArticulationCfg(
                    enabled_self_collisions=False, solver_position_iteration_count=4, solver_velocity_iteration_count=0
                ),
                NewtonArticulationCfg(self_collision_enabled=False),
            ],
        ),
        # the zero pose is the default pose: thighs raked back, shanks forward; soles 0.325 m below the base
        init_state=ArticulationCfg.InitialStateCfg(pos=(0.0, 0.0, 0.33), joint_pos={".*": 0.0}),
        soft_joint_pos_limit_factor=0.95,
        actuators=actuators,
    )
    return one_joint_order(cfg)


BDX_CFG = bdx_cfg(usd_path())
"""The biped that ships with the package, or that of the environment variable."""

BDX_NAMES = body_names(usd_path())
"""Names of its bodies and joints."""
