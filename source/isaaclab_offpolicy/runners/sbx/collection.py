# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Stable-Baselines3's collection of experience for many environments, without loops over them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from stable_baselines3.common.buffers import NStepReplayBuffer, ReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.noise import ActionNoise
from stable_baselines3.common.type_aliases import RolloutReturn, TrainFreq
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper

from .vec_env import OffPolicyVecEnv


def base_env(env: VecEnv) -> OffPolicyVecEnv:
    """The environment below the normaliser."""
    while isinstance(env, VecEnvWrapper):
        env = env.venv
    assert isinstance(env, OffPolicyVecEnv)
    return env


def resident_zeros(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Zeros in memory that is there from the start.

    ``np.zeros`` gets its memory page by page when it is first written to, which takes 40 times as long as the writing;
    and memory that does not suffice is noticed after hours.
    """
    result = np.empty(shape, dtype)
    result.fill(0)
    return result


class StepReplayBuffer(NStepReplayBuffer):
    """Stable-Baselines3's n-step replay buffer, filled with arrays of an env step.

    Args:
        *args: As for Stable-Baselines3's.
        **kwargs: As for Stable-Baselines3's.
    """

    ARRAYS = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")
    """What is stored, shape [steps, N, ...] each."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in self.ARRAYS:
            lazy: np.ndarray = getattr(self, name)
            setattr(self, name, resident_zeros(lazy.shape, lazy.dtype))
        self.written = 0
        """Env steps stored so far; step i lies in place i modulo the number of steps that fit."""

    def add_step(
        self,
        obs: np.ndarray,
        next_obs: np.ndarray,
        action: np.ndarray,
        reward: np.ndarray,
        done: np.ndarray,
        timeout: np.ndarray,
        ended: np.ndarray,
        final_obs: np.ndarray | None,
        left_out: np.ndarray | None = None,
    ) -> None:
        """Store one env step.

        Args:
            obs: Observations, shape [N, D].
            next_obs: Observations after the step, the first ones of the next episode where one ended, shape [N, D].
            action: Actions scaled to [-1, 1], shape [N, A].
            reward: Rewards, shape [N].
            done: Whether the episode ended, shape [N].
            timeout: Whether it was truncated, shape [N].
            ended: Environments in which it ended, shape [E].
            final_obs: Their true last observations, shape [E, D].
            left_out: Environments whose transition is none, shape [N]: in its place stands that of another one, and
                returns of n steps end before and after it.
        """
        pos = self.pos
        if left_out is not None and left_out.all():
            self.cut()
            return
        self.observations[pos], self.next_observations[pos] = obs, next_obs
        if len(ended):
            self.next_observations[pos, ended] = final_obs
        self.actions[pos], self.rewards[pos] = action, reward
        self.dones[pos], self.timeouts[pos] = done, timeout
        if left_out is not None:
            bad, good = left_out.nonzero()[0], (~left_out).nonzero()[0]
            self._end(pos - 1, bad)
            for name in self.ARRAYS:
                array = getattr(self, name)
                array[pos, bad] = array[pos, good[np.arange(len(bad)) % len(good)]]
            self._end(pos, bad)
        self.resume(self.written + 1)

    def columns(self) -> dict[str, torch.Tensor]:
        """All that is stored, by name; :meth:`resume` follows what is written into it."""
        return {name: torch.from_numpy(getattr(self, name)) for name in self.ARRAYS}

    def resume(self, rows: int) -> None:
        """Go on as after this number of env steps."""
        self.written, self.pos, self.full = rows, rows % self.buffer_size, rows >= self.buffer_size

    def cut(self) -> None:
        """End the episodes at the newest step, as a timeout would: what is stored next does not follow it."""
        self._end(self.pos - 1, np.arange(self.n_envs))

    def _end(self, row: int, envs: np.ndarray) -> None:
        """End the episodes of some environments in a row, as a timeout would; row -1 is the last one."""
        if row >= 0 or self.full:
            self.timeouts[row, envs] = np.logical_or(self.timeouts[row, envs], self.dones[row, envs] == 0.0)
            self.dones[row, envs] = 1.0

    def _get_samples(self, batch_inds: np.ndarray, env: Any = None) -> Any:
        # one step needs no walk along the episode
        if self.n_steps == 1:
            return ReplayBuffer._get_samples(self, batch_inds, env)
        return super()._get_samples(batch_inds, env)


class VectorCollection:
    """Mixin for off-policy algorithms of Stable-Baselines3 and SBX: first in the list of bases."""

    resume_learning_at: int = 0
    """Transitions before which nothing is learned, so that a resumed training fills its replay buffer first."""

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        """Learn, unless the replay buffer is still filled again."""
        this: Any = self
        if this.num_timesteps >= self.resume_learning_at:
            super().train(gradient_steps=gradient_steps, batch_size=batch_size)  # type: ignore[misc]

    def _sample_action(
        self, learning_starts: int, action_noise: ActionNoise | None = None, n_envs: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        this: Any = self
        if action_noise is not None:
            return super()._sample_action(learning_starts, action_noise, n_envs)  # type: ignore[misc]
        if this.num_timesteps < learning_starts and not (this.use_sde and this.use_sde_at_warmup):
            shape = (n_envs, *this.action_space.shape)
            unit = np.random.uniform(-1.0, 1.0, shape).astype(np.float32)
            return this.policy.unscale_action(unit), unit
        action, _ = this.predict(this._last_obs, deterministic=False)
        return action, this.policy.scale_action(action)

    def collect_rollouts(
        self,
        env: VecEnv,
        callback: BaseCallback,
        train_freq: TrainFreq,
        replay_buffer: ReplayBuffer,
        action_noise: ActionNoise | None = None,
        learning_starts: int = 0,
        log_interval: int | None = None,
    ) -> RolloutReturn:
        """Stable-Baselines3's method of this name, in env steps."""
        this: Any = self
        assert isinstance(replay_buffer, StepReplayBuffer)
        base, normalizer = base_env(env), this._vec_normalize_env
        this.policy.set_training_mode(False)
        if this.use_sde:
            this.actor.reset_noise(env.num_envs)
        callback.on_rollout_start()
        episodes = 0
        for step in range(train_freq.frequency):
            if this.use_sde and this.sde_sample_freq > 0 and step % this.sde_sample_freq == 0:
                this.actor.reset_noise(env.num_envs)
            uniform = this.num_timesteps < learning_starts  # for the callback, which counts the policy's actions
            actions, buffer_actions = this._sample_action(learning_starts, action_noise, env.num_envs)
            new_obs, rewards, dones, infos = env.step(actions)
            this.num_timesteps += env.num_envs
            callback.update_locals(locals())
            if not callback.on_step():
                return RolloutReturn((step + 1) * env.num_envs, episodes, continue_training=False)
            # what is stored has not been normalised: statistics change, and are applied when sampling
            original: Any = new_obs if normalizer is None else normalizer.get_original_obs()
            last: Any = this._last_obs if normalizer is None else this._last_original_obs
            if len(base.ended):
                this.ep_info_buffer.extend(infos[i]["episode"] for i in base.ended)
                episodes += len(base.ended)
                this._episode_num += len(base.ended)
            replay_buffer.add_step(
                last, original, buffer_actions, rewards, dones, base.timeouts, base.ended, base.final_observations,
                base.left_out,
            )  # fmt: skip
            this._last_obs = new_obs
            this._last_original_obs = original
            this._update_current_progress_remaining(this.num_timesteps, this._total_timesteps)
            this._on_step()
        callback.on_rollout_end()
        return RolloutReturn(train_freq.frequency * env.num_envs, episodes, continue_training=True)
