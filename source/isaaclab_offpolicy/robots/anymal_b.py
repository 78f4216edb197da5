# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""ANYmal-B: twelve joints, 30.48 kg.

Masses, inertias, limits and collision shapes come from ANYbotics' public URDF (see ``data/anymal_b/PROVENANCE.md``);
the initial pose is that of Isaac Lab's ``ANYMAL_B_CFG``. The URDF's joint limits
are ±9.42 rad, which is as good as none.
"""

from isaaclab_assets.robots.anymal import ANYMAL_B_CFG as ISAACLAB_ANYMAL_B_CFG

from . import offline, one_joint_order
from .anydrive import ANYDRIVE_3_DC_MOTOR_CFG

ANYMAL_B_CFG = offline(ISAACLAB_ANYMAL_B_CFG, "anymal_b", actuators={"legs": ANYDRIVE_3_DC_MOTOR_CFG})
"""ANYmal-B from the USD that ships with the package, with DC motors."""

ANYMAL_B_NUCLEUS_CFG = one_joint_order(ISAACLAB_ANYMAL_B_CFG)
"""ANYmal-B from NVIDIA's asset server, with its actuator network, and the same joint order."""
