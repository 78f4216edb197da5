# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from ...registration import register_velocity_tasks

register_velocity_tasks("Unitree-A1", __name__, "UnitreeA1")
