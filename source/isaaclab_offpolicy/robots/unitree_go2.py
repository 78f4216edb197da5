# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Unitree Go2: twelve joints, 16.09 kg.

Masses, inertias and limits come from Unitree's public URDF (see ``data/unitree_go2/PROVENANCE.md``). Its convex
collision meshes are primitives of the same extents here: boxes, and spheres for the feet. Actuators and initial pose
are those of Isaac Lab's ``UNITREE_GO2_CFG``.
"""

from isaaclab_assets.robots.unitree import UNITREE_GO2_CFG as ISAACLAB_UNITREE_GO2_CFG

from . import offline, one_joint_order

UNITREE_GO2_CFG = offline(ISAACLAB_UNITREE_GO2_CFG, "unitree_go2")
"""Unitree Go2 from the USD that ships with the package.

Actuators: Isaac Lab's DC motor, stiffness 25 N·m/rad, damping 0.5 N·m·s/rad, 23.7 N·m and 30.1 rad/s, at the calves
45.43 N·m and 15.7 rad/s (the URDF's limits).
"""

UNITREE_GO2_NUCLEUS_CFG = one_joint_order(ISAACLAB_UNITREE_GO2_CFG)
"""Unitree Go2 from NVIDIA's asset server, with the same joint order."""
