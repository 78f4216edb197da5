# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Bounds of one quadruped for another: joints with the same role in their legs get the same room."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .bounds import ActionBounds
from .errors import BoundsError

PATTERNS = (
    r"(?P<end>[FR])(?P<side>[LR])_(?P<part>hip|thigh|calf)_joint",  # Unitree
    r"(?P<side>[LR])(?P<end>[FH])_(?P<part>HAA|HFE|KFE)",  # ANYmal
    r"(?P<end>[fh])(?P<side>[lr])_(?P<part>hx|hy|kn)",  # Spot
)
"""Names of quadrupeds' joints."""

PARTS = {"hip": 0, "HAA": 0, "hx": 0, "thigh": 1, "HFE": 1, "hy": 1, "calf": 2, "KFE": 2, "kn": 2}
"""Hip abduction, hip flexion, knee."""


class Role(NamedTuple):
    """What a joint is for."""

    front: bool
    left: bool
    part: int
    """0 for the hip's abduction, 1 for its flexion, 2 for the knee."""


def joint_role(name: str) -> Role | None:
    """Role of a quadruped's joint, by its name; None if the name is of no known kind."""
    for pattern in PATTERNS:
        match = re.fullmatch(pattern, name)
        if match:
            return Role(match["end"] in "Ff", match["side"] in "Ll", PARTS[match["part"]])
    return None


def transfer(
    bounds: ActionBounds,
    axes: Mapping[str, Any],
    joint_names: Sequence[str],
    action_scale: Sequence[float],
    default_pose: Sequence[float],
    other_axes: Mapping[str, Any],
) -> ActionBounds:
    """Bounds for another robot in which each joint has the same room about its default position, in radians.

    The direction of a joint that is bent by default is that in which it is bent: knees that point backwards and knees
    that point forwards both get the room for stretching that the other has. The thighs above them are turned round as
    well, so that such a leg is mirrored front to back as a whole. The direction of a joint that is not bent, such as
    the hip's abduction, is that of its axis.

    Args:
        bounds: Bounds of the one robot, with its action scale and default pose.
        axes: Axis of each of its joints in its root's frame.
        joint_names: Joints of the other robot.
        action_scale: The other's joint position per unit of action [rad].
        default_pose: The other's joint positions at action zero [rad].
        other_axes: Axis of each of its joints in its root's frame.

    Raises:
        BoundsError: If a joint's role is not known, or a joint of either robot has no counterpart.
    """
    known = bounds.scale_and_pose()
    if known is None:
        raise BoundsError("the file does not say for which action_scale and default_pose its bounds are")
    by_role: dict[Role, int] = {}
    for i, name in enumerate(bounds.joint_names):
        by_role[_known_role(name)] = i
    low, high = [], []
    for name, scale, pose in zip(joint_names, action_scale, default_pose, strict=True):
        i = by_role.pop(_known_role(name), None)
        if i is None:
            raise BoundsError(f"joint '{name}' has no counterpart among {', '.join(bounds.joint_names)}")
        other_scale, other_pose = known[0][i], known[1][i]
        if abs(pose) > 0.2 and abs(other_pose) > 0.2:
            same = pose * other_pose > 0.0
        else:
            alignment = float(np.dot(axes[bounds.joint_names[i]], other_axes[name]))
            if abs(alignment) < 0.9:
                raise BoundsError(f"joints '{bounds.joint_names[i]}' and '{name}' turn about different axes")
            same = alignment > 0.0
        ends = [(1.0 if same else -1.0) * other_scale / scale * x for x in (bounds.low[i], bounds.high[i])]
        low.append(min(ends))
        high.append(max(ends))
    if by_role:
        extra = [bounds.joint_names[i] for i in by_role.values()]
        raise BoundsError(f"joint '{extra[0]}' has no counterpart among {', '.join(joint_names)}")
    return ActionBounds(
        tuple(joint_names), tuple(low), tuple(high), f"{bounds.source}; by role of the joint".lstrip("; "), {},
        tuple(action_scale), tuple(default_pose),
    )  # fmt: skip


def _known_role(name: str) -> Role:
    role = joint_role(name)
    if role is None:
        raise BoundsError(f"the role of joint '{name}' is not known from its name")
    return role
