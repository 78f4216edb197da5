# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""The drives of ANYmal-B and ANYmal-C as DC motors."""

from isaaclab.utils import replace
from isaaclab_assets.robots.anymal import ANYDRIVE_3_SIMPLE_ACTUATOR_CFG

ANYDRIVE_3_DC_MOTOR_CFG = replace(
    ANYDRIVE_3_SIMPLE_ACTUATOR_CFG,
    stiffness={".*": 86.0},
    damping={".*": 5.0},
    # Our own. An explicit motor is only stable with damping below 2 I / dt. ANYmal-B's shank has I = 0.0124 kg·m² about
    # the knee, so that the limit is 4.9 N·m·s/rad with Isaac Lab's 5 ms; the network lags, and has no such limit.
    armature=0.01,
)
"""DC motor in place of Isaac Lab's actuator network, which has to be downloaded.

Effort and speed are Isaac Lab's (80 N·m, 7.5 rad/s, stall torque 120 N·m). Stiffness [N·m/rad] and damping [N·m·s/rad]
are those of the network at rest, measured on the public copy of it in legged_gym
(``resources/actuator_nets/anydrive_v3_lstm.pt``) with ``scripts/tools/actuator_response.py``. Isaac Lab's own DC motor
for this drive has a stiffness of 40 N·m/rad, on which ANYmal-C sinks onto its thighs.
"""
