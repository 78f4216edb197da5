# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Bounds for the actions of a running environment."""

from __future__ import annotations

from typing import Any

import torch

from .bounds import ActionBounds
from .errors import BoundsError
from .files import as_number, resolve_bounds
from .symmetry import Mirror, mirror_joints

PERCENTILE = "percentile"
"""Bounds of the task's own file."""

SYMMETRIC = "symmetric"
"""Those, made left-right symmetric."""

JOINT_LIMITS = "joint-limits"
"""Bounds from the robot's own joint limits."""

KINDS = (PERCENTILE, SYMMETRIC, JOINT_LIMITS)
"""What :func:`action_bounds` takes in place of a file or a number."""


def action_joint_names(env: Any) -> list[str]:
    """Names of the joints that the actions command, in the order of the actions.

    Isaac Lab's joint action terms say which joints they command. Actions of other terms are named ``term[i]``; those of
    an environment without an action manager ``action[i]``, unless it has an ``action_joint_names`` of its own.

    Args:
        env: Isaac Lab's environment, or a wrapper of it.
    """
    unwrapped = getattr(env, "unwrapped", env)
    names = getattr(unwrapped, "action_joint_names", None)
    if names is not None:
        return list(names)
    manager = getattr(unwrapped, "action_manager", None)
    if manager is None:
        return [f"action[{i}]" for i in range(env.num_actions)]
    joints: list[str] = []
    for name in manager.active_terms:
        term = manager.get_term(name)
        described = getattr(term.IO_descriptor, "joint_names", None)
        if described is not None and len(described) == term.action_dim:
            joints += described
        else:
            joints += [f"{name}[{i}]" for i in range(term.action_dim)]
    return joints


def action_bounds(
    env: Any,
    spec: ActionBounds | str | float,
    scale: float = 1.0,
    percentile_bounds: str | None = None,
    percentile_scale: float = 1.0,
) -> ActionBounds:
    """Bounds for the actions of an environment.

    Args:
        env: Isaac Lab's environment, or a wrapper of it.
        spec: One of

            - ``percentile``: what ``percentile_bounds`` names, times ``percentile_scale``;
            - ``symmetric``: the same, made left-right symmetric;
            - ``joint-limits``: what keeps the joints' targets within the robot's soft limits;
            - ``Xrad``, such as ``0.25rad``: joint targets within ±X of the default pose;
            - a number X or ``±X``: actions within ±X [raw action units];
            - name of a shipped file, or path of a file;
            - bounds, of the same joints in any order.
        scale: Factor on the bounds.
        percentile_bounds: Name or path of the file with the percentiles recorded for the task, if there is one.
        percentile_scale: Factor on these alone.

    Returns:
        The bounds in the order of the actions, with the environment's action scale and default pose, where its actions
        are joint positions.

    Raises:
        BoundsError: If they cannot be found, or do not fit the environment.
    """
    names = action_joint_names(env)
    text = spec.source if isinstance(spec, ActionBounds) else str(spec).removeprefix("±")
    manager = getattr(getattr(env, "unwrapped", env), "action_manager", None)
    motion = None if manager is None or not _are_joint_positions(manager) else action_scale_and_offset(env)
    if not isinstance(spec, ActionBounds) and (text in (JOINT_LIMITS, SYMMETRIC) or text.endswith("rad")):
        motion = action_scale_and_offset(env)  # says why there is none
    if isinstance(spec, ActionBounds):
        bounds = spec.reorder(names)
    elif text in (PERCENTILE, SYMMETRIC):
        if percentile_bounds is None:
            raise BoundsError(
                f"no percentiles are recorded for this task, so '{text}' names none; give {JOINT_LIMITS}, a file or ±X"
            )
        bounds = resolve_bounds(percentile_bounds, names, percentile_scale)
        if text == SYMMETRIC:
            bounds = bounds.symmetrized(robot_mirror(env))
    elif text == JOINT_LIMITS:
        assert motion is not None
        bounds = ActionBounds.from_joint_limits(names, _soft_limits(env), motion[1], motion[0])
    elif text.endswith("rad") and as_number(text.removesuffix("rad")) is not None:
        assert motion is not None
        bounds = ActionBounds.around_default_pose(names, float(text.removesuffix("rad")), motion[1], motion[0])
    else:
        bounds = resolve_bounds(spec, names)
    if motion is not None:
        try:
            bounds = bounds.fitted(*motion)
        except BoundsError as error:
            raise BoundsError(f"bounds '{text}' were {error}") from None
    return bounds.scaled(scale)


def robot_mirror(env: Any) -> Mirror:
    """Left and right of the robot whose joints the actions command.

    Args:
        env: Isaac Lab's environment, or a wrapper of it.

    Raises:
        BoundsError: If the robot's USD cannot be read, its sides are no mirror images of each other, or its default
            pose is not symmetric.
    """
    names = action_joint_names(env)
    mirror = mirror_joints(names, joint_axes(robot_of(env).cfg.spawn.usd_path))
    mirror.check_pose(names, action_scale_and_offset(env)[1])
    return mirror


def joint_axes(usd_path: str) -> dict[str, Any]:
    """Axis of each joint of a robot's USD, in the root's frame at zero positions.

    Raises:
        BoundsError: If the file cannot be read.
    """
    from isaaclab_offpolicy.robots.usd import read_usd

    try:
        return read_usd(usd_path).axes
    except Exception as error:  # USD raises what it likes
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BoundsError(f"the joints' axes in {usd_path} cannot be read: {reason}") from None


def action_scale_and_offset(env: Any) -> tuple[list[float], list[float]]:
    """How Isaac Lab turns actions into joint targets: target = offset + scale · action.

    Args:
        env: Isaac Lab's environment, or a wrapper of it.

    Returns:
        Scale [rad per raw action unit] and offset, the default pose [rad], of each joint in the order of the actions.

    Raises:
        BoundsError: If an action is no joint position.
    """
    manager: Any = getattr(getattr(env, "unwrapped", env), "action_manager", None)
    if manager is None:
        raise BoundsError("joint position actions are needed; the environment has no action manager")
    if not _are_joint_positions(manager):
        terms = {name: type(manager.get_term(name)).__name__ for name in manager.active_terms}
        raise BoundsError(f"joint position actions are needed; the environment's action terms are {terms}")
    scale: list[float] = []
    offset: list[float] = []
    for name in manager.active_terms:
        term = manager.get_term(name)
        joints = len(term.IO_descriptor.joint_names)
        scale += _per_joint(term.IO_descriptor.scale, joints)
        offset += _per_joint(term.IO_descriptor.offset, joints)
    return scale, offset


def _are_joint_positions(manager: Any) -> bool:
    terms = [manager.get_term(name) for name in manager.active_terms]
    return all(
        type(term).__name__ == "JointPositionAction" and getattr(term.IO_descriptor, "joint_names", None)
        for term in terms
    )


def robot_of(env: Any) -> Any:
    """The articulation whose joints the actions command, of Isaac Lab's environment or a wrapper of it."""
    unwrapped: Any = getattr(env, "unwrapped", env)
    manager = unwrapped.action_manager
    return unwrapped.scene[manager.get_term(manager.active_terms[0]).cfg.asset_name]


def _soft_limits(env: Any) -> list[tuple[float, float]]:
    """Soft limits of each joint [rad], in the order of the actions."""
    unwrapped: Any = getattr(env, "unwrapped", env)
    limits: list[tuple[float, float]] = []
    for name in unwrapped.action_manager.active_terms:
        term = unwrapped.action_manager.get_term(name)
        asset = unwrapped.scene[term.cfg.asset_name]
        soft = asset.data.soft_joint_pos_limits.torch[0].tolist()
        limits += [tuple(soft[asset.joint_names.index(joint)]) for joint in term.IO_descriptor.joint_names]
    return limits


def _per_joint(value: Any, joints: int) -> list[float]:
    """A number for each joint out of a number, a list, or a tensor [N, A] of an action term."""
    values = torch.as_tensor(value, dtype=torch.float64)
    numbers = [values.item()] * joints if values.numel() == 1 else values.reshape(-1, joints)[0].tolist()
    return [round(number, 6) for number in numbers]  # 0.1, where float32 has 0.10000000149
