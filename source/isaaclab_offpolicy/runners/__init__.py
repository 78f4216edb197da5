# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Trainings that lose nothing: with rsl_rl's runner, and with SBX and Stable-Baselines3."""
