# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Unitree Go2: twelve joints, 16.09 kg.

Masses, inertias and limits come from Unitree's public URDF (see ``data/unitree_go2/PROVENANCE.md``). Its convex
collision meshes are primitives of the same extents here: boxes, and spheres for the feet. Actuators and initial pose
are those of Isaac Lab's ``UNITREE_GO2_CFG``, but for the rotors' inertia.
"""

from isaaclab.utils import replace
from isaaclab_assets.robots.unitree import UNITREE_GO2_CFG as ISAACLAB_UNITREE_GO2_CFG

from . import offline, one_joint_order

ARMATURE = 0.01
"""Inertia of the rotors, seen from the joints [kg·m²]: that of MuJoCo Menagerie's models of Go1 and Go2.

Without it the calf in the air is so light that a motor which brakes at its overspeed, as Isaac Lab's DC motor does with
its full 45 N·m, turns the speed round within one step of 5 ms, and the next step turns it back: ±58 rad/s for seconds.
"""

UNITREE_GO2_CFG = offline(
    ISAACLAB_UNITREE_GO2_CFG,
    "unitree_go2",
    actuators={"base_legs": replace(ISAACLAB_UNITREE_GO2_CFG.actuators["base_legs"], armature=ARMATURE)},
)
"""Unitree Go2 from the USD that ships with the package.

Actuators: Isaac Lab's DC motor, stiffness 25 N·m/rad, damping 0.5 N·m·s/rad, 23.7 N·m and 30.1 rad/s, at the calves
45.43 N·m and 15.7 rad/s (the URDF's limits); and an armature.
"""

UNITREE_GO2_NUCLEUS_CFG = one_joint_order(ISAACLAB_UNITREE_GO2_CFG)
"""Unitree Go2 from NVIDIA's asset server, with the same joint order."""
