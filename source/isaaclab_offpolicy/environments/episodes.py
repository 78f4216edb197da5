# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""How episodes end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from gymnasium.wrappers import TimeLimit

NEVER = 2**62
"""Steps that no training makes."""


def adopt_time_limit(env: Any) -> None:
    """Let Isaac Lab end the episodes that a registration's ``max_episode_steps`` limits. May be called again.

    gymnasium's wrapper for it counts the steps of all environments together and, once they are over, says with a bare
    True that every episode is truncated, in every step and without a reset. Here each environment gets the limit for
    itself, where Isaac Lab's own one is not shorter.

    Args:
        env: Isaac Lab's environment, or a wrapper of it.
    """
    layer = env
    while hasattr(layer, "env"):
        if isinstance(layer, TimeLimit) and layer._max_episode_steps < NEVER:
            unwrapped: Any = env.unwrapped
            steps = layer._max_episode_steps
            layer._max_episode_steps = NEVER
            if steps < unwrapped.max_episode_length:
                # half a step less: Isaac Lab rounds the number of steps up
                unwrapped.cfg.episode_length_s = (steps - 0.5) * unwrapped.step_dt
                if hasattr(env, "max_episode_length"):
                    env.max_episode_length = unwrapped.max_episode_length
                print(f"[INFO] episodes last {steps} steps at most: the registration's max_episode_steps")
        layer = layer.env


def time_outs(env: Any, dones: torch.Tensor, extras: Mapping[str, Any]) -> torch.Tensor:
    """Which episodes ran their full length in the last step, whatever the learner is told of it, shape [N].

    Args:
        env: Isaac Lab's environment, or a wrapper of it.
        dones: Which episodes ended, shape [N].
        extras: What the step gave; a task of finite horizon gives no ``time_outs``, nor need other environments.
    """
    unwrapped = getattr(env, "unwrapped", env)
    ended = getattr(unwrapped, "reset_time_outs", extras.get("time_outs"))
    if ended is None:
        return torch.zeros_like(dones, dtype=torch.bool)
    terminated = getattr(unwrapped, "reset_terminated", None)
    return ended.bool() if terminated is None else ended.bool() & ~terminated.bool()


def reset_terminated(env: Any) -> Callable[[], torch.Tensor] | None:
    """Isaac Lab's record of which episodes terminated in the last step, of environments of both kinds."""
    unwrapped = getattr(env, "unwrapped", env)
    if not isinstance(getattr(unwrapped, "reset_terminated", None), torch.Tensor):
        return None
    return lambda: unwrapped.reset_terminated
