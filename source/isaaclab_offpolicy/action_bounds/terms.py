# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""What Isaac Lab's action terms make of an action: which joint it commands, what of it, with which scale and offset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

POSITION = "position"
"""What an action of a :class:`JointPositionAction` commands."""

KINDS = {
    "JointPositionAction": POSITION,
    "RelativeJointPositionAction": "relative position",
    "JointVelocityAction": "velocity",
    "JointEffortAction": "effort",
}
"""What Isaac Lab's joint actions command, by class; subclasses command the same."""

AFFINE = "JointAction"
"""Base of all terms whose command is offset + scale · action."""

BY_JOINT = (AFFINE, "JointPositionToLimitsAction", "BinaryJointAction")
"""Terms with an action for each of their joints, if they have as many actions as joints."""

SAME = 1.0e-4
"""Relative difference up to which two action scales or offsets are the same."""

Numbers = tuple[float | None, ...]
"""A number for each action; None where it is not known."""


def differs(one: float | None, other: float | None) -> bool:
    """Whether two action scales or offsets are known to differ."""
    return one is not None and other is not None and abs(one - other) > SAME * max(1.0, abs(one), abs(other))


@dataclass(frozen=True)
class Actions:
    """The actions of a task, in their order: command = offset + scale · action.

    Units are those of the command: [rad] of a position, [rad/s] of a velocity, [N·m] of an effort.
    """

    names: tuple[str, ...]
    """Joints, or ``term[i]`` of what is no joint's; where several terms command one joint, ``term.joint``."""

    commands: tuple[str | None, ...]
    """What they command: ``position``, ``velocity`` and so on, or the class of the term; None where nobody knows."""

    scale: Numbers
    """Scale [unit of the command per raw action unit]; None where the term does not say."""

    offset: Numbers
    """Command at action zero, the default pose of a position; None where the term does not say."""

    unchecked: tuple[str, ...] = ()
    """What could not be read, a line for each term."""

    @property
    def are_positions(self) -> bool:
        """Whether all are joint positions of known scale and offset."""
        return set(self.commands) == {POSITION} and None not in (*self.scale, *self.offset)


def read_actions(manager: Any) -> Actions:
    """What the terms of an action manager make of an action.

    Args:
        manager: Isaac Lab's action manager.
    """
    terms = {name: manager.get_term(name) for name in manager.active_terms}
    joints = {name: joint_names(term) for name, term in terms.items()}
    shared = Counter(joint for names in joints.values() for joint in names or ())
    names: list[str] = []
    commands: list[str | None] = []
    scale: list[float | None] = []
    offset: list[float | None] = []
    unchecked: list[str] = []
    for name, term in terms.items():
        own, width, classes = joints[name], term.action_dim, _classes(term)
        names += [f"{name}[{i}]" for i in range(width)] if own is None else [
            f"{name}.{joint}" if shared[joint] > 1 else joint for joint in own
        ]  # fmt: skip
        kind = next((KINDS[other] for other in classes if other in KINDS), classes[0])
        commands += [kind] * width
        affine = AFFINE in classes
        scale += _per_action(getattr(term, "_scale", None) if affine else None, width)
        offset += _per_action(getattr(term, "_offset", None) if affine else None, width)
        if None in (*scale[-width:], *offset[-width:]):
            reason = "is not one for all environments" if affine else "cannot be read"
            unchecked.append(f"the scale or offset of action term '{name}' ({classes[0]}) {reason}")
        elif getattr(term.cfg, "clip", None) is not None:
            unchecked.append(f"action term '{name}' ({classes[0]}) clips its commands")
        elif _is_overridden(term):
            unchecked.append(f"action term '{name}' ({classes[0]}) processes actions in a way of its own")
    return Actions(tuple(names), tuple(commands), tuple(scale), tuple(offset), tuple(unchecked))


def joint_names(term: Any) -> list[str] | None:
    """Joints of an action term, one for each of its actions; None if its actions are no joints'."""
    names: Sequence[str] | None = getattr(term, "_joint_names", None)
    if names is None or len(names) != term.action_dim or not set(BY_JOINT) & set(_classes(term)):
        # the joints of an inverse kinematics term may be as many as its actions, which are a pose
        return None
    return list(names)


def _classes(term: Any) -> list[str]:
    # by name: Isaac Lab has a second set of these classes, on Warp
    return [cls.__name__ for cls in type(term).__mro__]


def _is_overridden(term: Any) -> bool:
    """Whether a class of one's own does something else with an action than the class of Isaac Lab below it."""
    for cls in type(term).__mro__:
        if cls.__name__ == AFFINE or cls.__name__ in KINDS:
            return False
        if {"process_actions", "apply_actions"} & set(vars(cls)):
            return True
    return True


def _per_action(value: Any, width: int) -> list[float | None]:
    """A number for each action out of a number, or a tensor [N, A] of which all rows are the same."""
    if not isinstance(value, (int, float, torch.Tensor)):
        return [None] * width
    values = torch.as_tensor(value, dtype=torch.float64).cpu()
    rows = values.reshape(1, 1).expand(1, width) if values.numel() == 1 else values.reshape(-1, width)
    least, most = rows.amin(0).tolist(), rows.amax(0).tolist()
    # 0.1, where float32 has 0.10000000149
    return [None if differs(a, b) else round(b, 6) for a, b in zip(least, most, strict=True)]
