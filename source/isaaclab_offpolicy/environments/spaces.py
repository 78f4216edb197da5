# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Which spaces the learners take: vectors of real numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from isaaclab_offpolicy.errors import ConfigError


def action_width(env: Any) -> int:
    """Number of actions A of an environment, or a wrapper of it.

    Raises:
        ConfigError: If its actions are no vector of real numbers.
    """
    unwrapped = getattr(env, "unwrapped", env)
    space = getattr(unwrapped, "single_action_space", None)
    return env.num_actions if space is None else check_action_space(space)


def check_action_space(space: gym.Space) -> int:
    """Number of actions of a space.

    Raises:
        ConfigError: If it is no vector of real numbers.
    """
    if not _is_vector(space):
        raise ConfigError(
            f"the task's action space is {_named(space)}; supported are vectors of real numbers: action_space=N, or a"
            " gym.spaces.Box of shape (N,)"
        )
    return int(space.shape[0])  # type: ignore[index]


def check_observation_space(group: str, space: gym.Space) -> None:
    """Refuse the space of an observation group that is no vector.

    Raises:
        ConfigError: If it is none.
    """
    if not _is_vector(space):
        raise ConfigError(_refused(group, f"the space {_named(space)}", "observation_space=D, or concatenated terms"))


def check_observations(obs: Mapping[str, Any], groups: Iterable[str]) -> None:
    """Refuse observations that are no vectors.

    Args:
        obs: Observations by group, shape [N, D] each.
        groups: The groups that are used.

    Raises:
        ConfigError: If one is nested, or has more dimensions, as images and unflattened histories have.
    """
    for group in groups:
        value = obs[group]
        if not isinstance(value, torch.Tensor):
            raise ConfigError(_refused(group, f"its terms apart ({', '.join(value.keys())})", "concatenate_terms=True"))
        if value.ndim != 2:
            hint = "flatten_history_dim=True where it is a history; images need a network that is not supported"
            raise ConfigError(_refused(group, f"the shape {tuple(value.shape[1:])}", hint))


def check_task_spaces(env_cfg: Any, groups: Iterable[str]) -> None:
    """Refuse a task by its configuration, as far as that tells its spaces.

    Args:
        env_cfg: The environment's resolved configuration.
        groups: Observation groups that are used.

    Raises:
        ConfigError: If actions or observations are no vectors.
    """
    from isaaclab.envs.utils.spaces import spec_to_gym_space

    spaces: dict[str, gym.Space] = {}
    for name in ("action_space", "observation_space"):
        try:
            spaces[name] = spec_to_gym_space(getattr(env_cfg, name))
        except (AttributeError, ValueError):
            continue  # of a task with managers; or of several agents
    if "action_space" in spaces:
        check_action_space(spaces["action_space"])
    if "observation_space" in spaces and "policy" in groups:
        check_observation_space("policy", spaces["observation_space"])
    for name in groups:
        group: Any = getattr(getattr(env_cfg, "observations", None), name, None)
        if group is None:
            continue
        path = f"env.observations.{name}"
        if not getattr(group, "concatenate_terms", True):
            raise ConfigError(_refused(name, "its terms apart", f"{path}.concatenate_terms=True"))
        own = {path: group} if getattr(group, "history_length", None) else {
            f"{path}.{key}": term for key, term in vars(group).items() if hasattr(term, "history_length")
        }  # fmt: skip
        for where, cfg in own.items():
            if cfg.history_length and not cfg.flatten_history_dim:
                raise ConfigError(_refused(name, "a history of its own dimension", f"{where}.flatten_history_dim=True"))


def _is_vector(space: gym.Space) -> bool:
    return isinstance(space, gym.spaces.Box) and len(space.shape) == 1 and np.issubdtype(space.dtype, np.floating)


def _named(space: gym.Space) -> str:
    text = " ".join(str(space).split())
    return text if len(text) <= 100 else f"{text[:97]}..."


def _refused(group: str, has: str, mend: str) -> str:
    return f"observation group '{group}' has {has}; supported are vectors of real numbers, one per environment: {mend}"
