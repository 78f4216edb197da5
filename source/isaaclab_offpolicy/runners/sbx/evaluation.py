# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Evaluation between the rounds of a training with SBX and Stable-Baselines3."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm

from isaaclab_offpolicy.training.watchdog import PULSE

from .collection import StepReplayBuffer, base_env
from .vec_env import NormalizedVecEnv


@contextmanager
def resting_curriculum(env: Any) -> Iterator[None]:
    """Keep Isaac Lab's curriculum as it is while episodes are reset.

    Args:
        env: Isaac Lab's environment, unwrapped.
    """
    manager = getattr(env, "curriculum_manager", None)
    if manager is None:
        yield
        return
    manager.compute = lambda env_ids=None: None
    try:
        yield
    finally:
        del manager.compute  # the class's own


def evaluate_deterministic(
    model: BaseAlgorithm, episodes: int, stop: Callable[[], bool] = lambda: False
) -> float | None:
    """Mean return of deterministic actions in the training's own environments, whose episodes begin anew after it.

    On rough terrain the curriculum rests meanwhile: the resets would move every robot to an easier level.

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
    this: Any = model
    with resting_curriculum(base_env(env).unwrapped):
        obs: Any = env.reset()
        while (done < rounds).any() and not stop():
            actions, _ = model.predict(obs, deterministic=True)
            obs, _, dones, infos = env.step(actions)
            PULSE.beat()
            returns += [infos[i]["episode"]["r"] for i in dones.nonzero()[0] if done[i] < rounds]
            done += dones
        if normalizer is not None:
            normalizer.training = True
        this._last_obs = env.reset()
    this._last_original_obs = this._last_obs if normalizer is None else normalizer.get_original_obs()
    this._last_episode_starts = np.ones(env.num_envs, dtype=bool)
    if isinstance(getattr(model, "replay_buffer", None), StepReplayBuffer):
        this.replay_buffer.cut()
    return statistics.mean(returns) if (done >= rounds).all() else None
