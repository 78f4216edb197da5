# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""What the algorithms ask of the environment."""

from __future__ import annotations

from typing import Any

import torch
from rsl_rl.env import VecEnv

from isaaclab_offpolicy.action_bounds import JOINT_LIMITS, ActionBounds, BoundsError, resolve_bounds


def action_joint_names(env: VecEnv) -> list[str]:
    """Names of the joints that the actions command, in the order of the actions.

    Isaac Lab's joint action terms say which joints they command. Actions of other terms are named ``term[i]``; those of
    an environment without an action manager ``action[i]``, unless it has an ``action_joint_names`` of its own.

    Args:
        env: The environment, as rsl_rl's runner sees it.
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


def action_bounds(env: VecEnv, spec: str | float, scale: float = 1.0) -> ActionBounds:
    """Bounds for the actions of an environment.

    Args:
        env: The environment, as rsl_rl's runner sees it.
        spec: ``joint-limits`` for what keeps the joints' targets within the robot's soft limits, or what
            :func:`~isaaclab_offpolicy.action_bounds.resolve_bounds` takes.
        scale: Factor on the bounds.

    Returns:
        The bounds in the order of the actions.

    Raises:
        BoundsError: If they cannot be found, or do not fit the environment.
    """
    if spec != JOINT_LIMITS:
        return resolve_bounds(spec, action_joint_names(env), scale)
    unwrapped: Any = getattr(env, "unwrapped", env)
    manager = getattr(unwrapped, "action_manager", None)
    if manager is None:
        raise BoundsError(f"'{JOINT_LIMITS}' needs an environment with an action manager")
    factors, default = action_scale_and_offset(env)
    names: list[str] = []
    limits: list[tuple[float, float]] = []
    for term_name in manager.active_terms:
        term = manager.get_term(term_name)
        joints = term.IO_descriptor.joint_names
        asset = unwrapped.scene[term.cfg.asset_name]
        soft = asset.data.soft_joint_pos_limits.torch[0].tolist()
        names += joints
        limits += [tuple(soft[asset.joint_names.index(joint)]) for joint in joints]
    return ActionBounds.from_joint_limits(names, limits, default, factors).scaled(scale)


def action_scale_and_offset(env: VecEnv) -> tuple[list[float], list[float]]:
    """How Isaac Lab turns actions into joint targets: target = offset + scale · action.

    Args:
        env: The environment, as rsl_rl's runner sees it; its actions are joint positions.

    Returns:
        Scale [rad per policy unit] and offset, the default pose [rad], of each joint in the order of the actions.

    Raises:
        BoundsError: If an action is no joint position.
    """
    manager: Any = getattr(env, "unwrapped", env).action_manager  # type: ignore[union-attr]
    scale: list[float] = []
    offset: list[float] = []
    for name in manager.active_terms:
        term = manager.get_term(name)
        joints = getattr(term.IO_descriptor, "joint_names", None)
        if joints is None or type(term).__name__ != "JointPositionAction":
            raise BoundsError(f"joint position actions are needed; action term '{name}' is a {type(term).__name__}")
        scale += _per_joint(term.IO_descriptor.scale, len(joints))
        offset += _per_joint(term.IO_descriptor.offset, len(joints))
    return scale, offset


def _per_joint(value: Any, joints: int) -> list[float]:
    """A number for each joint out of a number, a list, or a tensor [N, A] of an action term."""
    values = torch.as_tensor(value, dtype=torch.float64)
    return [values.item()] * joints if values.numel() == 1 else values.reshape(-1, joints)[0].tolist()
