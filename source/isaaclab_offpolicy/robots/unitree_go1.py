# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Unitree Go1: twelve joints, 13.10 kg.

Masses, inertias, limits and collision shapes come from Unitree's public URDF (see ``data/unitree_go1/PROVENANCE.md``);
the initial pose is that of Isaac Lab's ``UNITREE_GO1_CFG``.
"""

from isaaclab.actuators import DCMotorCfg
from isaaclab_assets.robots.unitree import UNITREE_GO1_CFG as ISAACLAB_UNITREE_GO1_CFG

from . import offline, one_joint_order
from .unitree_go2 import ARMATURE

EFFORT_LIMIT = {".*_hip_joint": 23.7, ".*_thigh_joint": 23.7, ".*_calf_joint": 35.55}
"""Largest torque [N·m]; the URDF's, and that of Isaac Lab's actuator network. The knee has a further 1.5:1 gear."""

VELOCITY_LIMIT = {".*_hip_joint": 30.1, ".*_thigh_joint": 30.1, ".*_calf_joint": 20.06}
"""Largest speed [rad/s]; the URDF's, and that of Isaac Lab's actuator network."""

GO1_DC_MOTOR_CFG = DCMotorCfg(
    joint_names_expr=[".*_hip_joint", ".*_thigh_joint", ".*_calf_joint"],
    actuator_effort_limit=EFFORT_LIMIT,
    saturation_effort=EFFORT_LIMIT,
    actuator_velocity_limit=VELOCITY_LIMIT,
    stiffness=20.0,
    damping=0.8,
    friction=0.0,
    armature=ARMATURE,
)
"""DC motor in place of Isaac Lab's actuator network, which has to be downloaded.

Stiffness [N·m/rad] and damping [N·m·s/rad] are those of the network at rest, rounded, measured on the public copy of it
in walk-these-ways (``resources/actuator_nets/unitree_go1.pt``) with ``scripts/tools/actuator_response.py``.
"""

UNITREE_GO1_CFG = offline(ISAACLAB_UNITREE_GO1_CFG, "unitree_go1", actuators={"base_legs": GO1_DC_MOTOR_CFG})
"""Unitree Go1 from the USD that ships with the package, with DC motors."""

UNITREE_GO1_NUCLEUS_CFG = one_joint_order(ISAACLAB_UNITREE_GO1_CFG)
"""Unitree Go1 from NVIDIA's asset server, with its actuator network, and the same joint order."""
