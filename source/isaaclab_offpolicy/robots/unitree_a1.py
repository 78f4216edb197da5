# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Unitree A1: twelve joints, 13.74 kg.

Masses, inertias, limits and collision shapes come from Unitree's public URDF (see ``data/unitree_a1/PROVENANCE.md``);
actuators and initial pose are those of Isaac Lab's ``UNITREE_A1_CFG``, so that results compare.
"""

from isaaclab_assets.robots.unitree import UNITREE_A1_CFG as ISAACLAB_UNITREE_A1_CFG

from . import offline, one_joint_order

UNITREE_A1_CFG = offline(ISAACLAB_UNITREE_A1_CFG, "unitree_a1")
"""Unitree A1 from the USD that ships with the package.

Actuators: Isaac Lab's DC motor, stiffness 25 N·m/rad, damping 0.5 N·m·s/rad, 33.5 N·m, 21 rad/s (the URDF's effort and
velocity limits). Initial pose: trunk at 0.42 m, hips ±0.1 rad, front thighs 0.8 rad, rear thighs 1.0 rad, calves
-1.5 rad.
"""

UNITREE_A1_NUCLEUS_CFG = one_joint_order(ISAACLAB_UNITREE_A1_CFG)
"""Unitree A1 from NVIDIA's asset server, with the same joint order."""
