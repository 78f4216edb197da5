# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Isaac Lab's environment as an agent's configuration wants it."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
from stable_baselines3.common.vec_env import VecEnv

from isaaclab_offpolicy.action_bounds import ActionBounds, ActionBoundsWrapper, action_bounds
from isaaclab_offpolicy.environments.episodes import adopt_time_limit
from isaaclab_offpolicy.environments.final_observations import request_final_observations
from isaaclab_offpolicy.environments.spaces import check_observation_space

from .cfg import Sb3AgentCfg
from .models import columns_to_normalize
from .vec_env import NormalizedVecEnv, OffPolicyVecEnv


def check_bounds(env: Any, bounds: ActionBounds) -> None:
    """Refuse a task whose joints, action scale or default pose are not those that a policy was trained with.

    Args:
        env: Isaac Lab's environment, or a wrapper of it.
        bounds: Bounds of the policy.

    Raises:
        BoundsError: If they differ; it says where.
    """
    bounds.of_policy_for(action_bounds(env, 1.0))


def make_vec_env(env: gym.Env, cfg: Sb3AgentCfg, bounds: ActionBounds | None = None) -> VecEnv:
    """Bound, wrap and normalise an environment.

    Args:
        env: Isaac Lab's environment.
        cfg: The agent's configuration.
        bounds: Bounds of a checkpoint, which win over the configuration's.

    Raises:
        BoundsError: If the bounds do not fit the environment.
        ConfigError: If actions or observations are no vectors.
        ValueError: If the configuration cannot be used.
    """
    unwrapped: Any = env.unwrapped
    check_observation_space("policy", unwrapped.single_observation_space["policy"])
    adopt_time_limit(env)
    request_final_observations(env)
    if bounds is not None:
        check_bounds(env, bounds)
        bounded = ActionBoundsWrapper(env, bounds, mode="clip")
    else:
        bounded = ActionBoundsWrapper(
            env,
            cfg.action_bounds,
            "clip",
            cfg.action_bounds_scale,
            percentile_bounds=cfg.percentile_bounds,
            percentile_scale=cfg.percentile_bounds_scale,
        )
    columns = columns_to_normalize(unwrapped, cfg.normalize)
    vec_env = OffPolicyVecEnv(bounded)
    return vec_env if columns is None else NormalizedVecEnv(vec_env, columns, cfg.clip_obs)
