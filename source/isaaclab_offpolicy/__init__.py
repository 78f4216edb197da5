# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Off-policy reinforcement learning for legged robots in stock Isaac Lab."""

__version__ = "0.2.0"
