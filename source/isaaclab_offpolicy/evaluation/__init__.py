# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Roll-outs of trained policies, and learning curves."""

from .curves import plot_progress, read_progress
from .rollout import Evaluation, confidence_interval, evaluate, velocity_tracking

__all__ = ["Evaluation", "confidence_interval", "evaluate", "plot_progress", "read_progress", "velocity_tracking"]
