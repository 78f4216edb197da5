# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Evaluation between the rounds of a training with SBX and Stable-Baselines3."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any, cast

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm

from isaaclab_offpolicy.runners.environment_state import frozen_curriculum
from isaaclab_offpolicy.training.watchdog import PULSE

from .collection import StepReplayBuffer, base_env
from .vec_env import NormalizedVecEnv


def evaluate_deterministic(
    model: BaseAlgorithm, episodes: int, stop: Callable[[], bool] = lambda: False
) -> float | None:
    """Mean return of deterministic actions in the training's own environments, whose episodes begin anew after it.

    On rough terrain the curriculum is frozen meanwhile: the resets would move every robot to an easier level.

    Args:
        model: The agent.
        episodes: Number of episodes; every environment contributes its first ones.
        stop: Asked at every step; the evaluation ends without a result when it says so.
    """
    env: Any = model.get_env()
    rounds = -(-episodes // env.num_envs)
    normalizer = env if isinstance(env, NormalizedVecEnv) else None
    if normalizer is not None:
        normalizer.training = False
    done = np.zeros(env.num_envs, dtype=np.int64)
    returns: list[float] = []
    with frozen_curriculum(base_env(env).unwrapped):
        obs: Any = env.reset()
        while (done < rounds).any() and not stop():
            actions, _ = model.predict(obs, deterministic=True)
            obs, _, dones, infos = env.step(actions)
            PULSE.beat()
            returns += [infos[i]["episode"]["r"] for i in dones.nonzero()[0] if done[i] < rounds]
            done += dones
        if normalizer is not None:
            normalizer.training = True
        begin_episodes(model)
    if isinstance(getattr(model, "replay_buffer", None), StepReplayBuffer):
        cast(Any, model).replay_buffer.cut()
    return statistics.mean(returns) if (done >= rounds).all() else None


def begin_episodes(model: BaseAlgorithm) -> None:
    """Reset all environments, as Stable-Baselines3 does when a training begins."""
    this: Any = model
    env: Any = model.get_env()
    this._last_obs = env.reset()
    this._last_original_obs = env.get_original_obs() if isinstance(env, NormalizedVecEnv) else this._last_obs
    this._last_episode_starts = np.ones(env.num_envs, dtype=bool)
