# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""ANYmal-C: twelve joints, 52.13 kg.

Masses, inertias, limits and collision shapes come from ANYbotics' public URDF (see ``data/anymal_c/PROVENANCE.md``);
the initial pose is that of Isaac Lab's ``ANYMAL_C_CFG``. The URDF's limits of the hip flexion and the knee are
±9.42 rad, which is as good as none; those of the hip abduction are 0.72 rad outwards or 0.49 rad inwards.
"""

from isaaclab_assets.robots.anymal import ANYMAL_C_CFG as ISAACLAB_ANYMAL_C_CFG

from . import offline, one_joint_order
from .anydrive import ANYDRIVE_3_DC_MOTOR_CFG

ANYMAL_C_CFG = offline(ISAACLAB_ANYMAL_C_CFG, "anymal_c", actuators={"legs": ANYDRIVE_3_DC_MOTOR_CFG})
"""ANYmal-C from the USD that ships with the package, with DC motors."""

ANYMAL_C_NUCLEUS_CFG = one_joint_order(ISAACLAB_ANYMAL_C_CFG)
"""ANYmal-C from NVIDIA's asset server, with its actuator network, and the same joint order."""
