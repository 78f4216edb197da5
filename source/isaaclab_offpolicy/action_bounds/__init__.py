# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Action bounds: the smallest and largest actions that a policy commands, by joint name."""

from .bounds import ActionBounds
from .environment import (
    JOINT_LIMITS,
    KINDS,
    PERCENTILE,
    SYMMETRIC,
    action_bounds,
    action_joint_names,
    action_scale_and_offset,
    check_declared_space,
    joint_axes,
    robot_mirror,
    robot_of,
)
from .errors import BoundsError
from .files import available_bounds, find_bounds, resolve_bounds
from .wrapper import ActionBoundsWrapper

__all__ = [
    "JOINT_LIMITS",
    "KINDS",
    "PERCENTILE",
    "SYMMETRIC",
    "ActionBounds",
    "ActionBoundsWrapper",
    "BoundsError",
    "action_bounds",
    "action_joint_names",
    "action_scale_and_offset",
    "available_bounds",
    "check_declared_space",
    "find_bounds",
    "joint_axes",
    "resolve_bounds",
    "robot_mirror",
    "robot_of",
]
