# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Bounds for the actions of a running environment."""

from __future__ import annotations

import sys
from typing import Any

import gymnasium as gym

from isaaclab_offpolicy.environments.spaces import action_width

from .bounds import ActionBounds
from .errors import BoundsError
from .files import as_number, resolve_bounds
from .symmetry import Mirror, mirror_joints
from .terms import Actions, joint_names, read_actions

PERCENTILE = "percentile"
"""Bounds of the task's own file."""

SYMMETRIC = "symmetric"
"""Those, made left-right symmetric."""

JOINT_LIMITS = "joint-limits"
"""Bounds from the robot's own joint limits."""

KINDS = (PERCENTILE, SYMMETRIC, JOINT_LIMITS)
"""What :func:`action_bounds` takes in place of a file or a number."""


def actions_of(env: Any) -> Actions:
    """What an environment makes of an action, as far as it can be known.

    An environment without an action manager may have ``action_joint_names`` of its own; else its actions are named
    ``action[i]``.

    Args:
        env: Isaac Lab's environment, or a wrapper of it.

    Raises:
        ConfigError: If its actions are no vector of numbers.
    """
    unwrapped = getattr(env, "unwrapped", env)
    manager = getattr(unwrapped, "action_manager", None)
    names = getattr(unwrapped, "action_joint_names", None)
    if manager is not None:
        return read_actions(manager)
    if names is None:
        names = [f"action[{i}]" for i in range(action_width(env))]
    unknown = (None,) * len(names)
    return Actions(tuple(names), unknown, unknown, unknown, ("a direct environment does not say what its actions are",))


def action_joint_names(env: Any) -> list[str]:
    """Names of what the actions command, in the order of the actions.

    Isaac Lab's joint action terms say which joints they command; a joint of several terms is ``term.joint``. Actions of
    other terms are named ``term[i]``; those of an environment without an action manager ``action[i]``, unless it has an
    ``action_joint_names`` of its own.

    Args:
        env: Isaac Lab's environment, or a wrapper of it.
    """
    return list(actions_of(env).names)


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
        The bounds in the order of the actions, with what the environment's action terms say of scale and offset.

    Raises:
        BoundsError: If they cannot be found, or do not fit the environment.
    """
    actions = actions_of(env)
    names = actions.names
    text = spec.source if isinstance(spec, ActionBounds) else str(spec).removeprefix("±")
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
        slope, pose = action_scale_and_offset(env)
        bounds = ActionBounds.from_joint_limits(names, _soft_limits(env), pose, slope)
    elif text.endswith("rad") and as_number(text.removesuffix("rad")) is not None:
        slope, pose = action_scale_and_offset(env)
        bounds = ActionBounds.around_default_pose(names, float(text.removesuffix("rad")), pose, slope)
    else:
        bounds = resolve_bounds(spec, names)
    try:
        bounds = bounds.fitted(actions.scale, actions.offset, actions.commands)
    except BoundsError as error:
        message = str(error)
        raise BoundsError(f"bounds '{text}' were {message}" if message.startswith("made for") else message) from None
    for line in actions.unchecked:
        print(f"[WARNING] {line}: whether bounds or a policy were made for it is not checked", file=sys.stderr)
    return bounds.scaled(scale)


def check_declared_space(env: Any, bounds: ActionBounds) -> None:
    """Refuse bounds beyond the action space that a direct environment declares, which it may clip without a word.

    Args:
        env: Isaac Lab's environment, or a wrapper of it.
        bounds: The bounds, in the order of the actions.

    Raises:
        BoundsError: If an action of theirs is outside of the space.
    """
    space = getattr(getattr(getattr(env, "unwrapped", env), "cfg", None), "action_space", None)
    if not isinstance(space, gym.spaces.Box) or space.shape != (len(bounds.joint_names),):
        return
    for i, name in enumerate(bounds.joint_names):
        low, high = float(space.low[i]), float(space.high[i])
        if bounds.low[i] < low - 1e-6 or bounds.high[i] > high + 1e-6:
            raise BoundsError(
                f"bounds [{bounds.low[i]:g}, {bounds.high[i]:g}] of '{name}' exceed the task's action space"
                f" [{low:g}, {high:g}]; give bounds within it"
            )


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
    actions = read_actions(manager)
    if not actions.are_positions:
        terms = {name: type(manager.get_term(name)).__name__ for name in manager.active_terms}
        raise BoundsError(
            f"joint position actions of known scale are needed; the environment's action terms are {terms}"
        )
    return [float(x) for x in actions.scale if x is not None], [float(x) for x in actions.offset if x is not None]


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
        limits += [tuple(soft[asset.joint_names.index(joint)]) for joint in joint_names(term) or ()]
    return limits
