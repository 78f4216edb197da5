# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Action bounds: the box that a policy commands, by joint name."""

from .bounds import JOINT_LIMITS, ActionBounds, BoundsError, available_bounds, resolve_bounds

__all__ = ["JOINT_LIMITS", "ActionBounds", "BoundsError", "available_bounds", "resolve_bounds"]
