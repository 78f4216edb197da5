# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Isaac Lab's environments for Stable-Baselines3 and SBX, without Python work for each environment in each step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3.common.vec_env import VecNormalize
from stable_baselines3.common.vec_env.base_vec_env import VecEnv, VecEnvStepReturn

from isaaclab_rl.sb3 import Sb3VecEnvWrapper

from isaaclab_offpolicy.action_bounds import ActionBoundsWrapper
from isaaclab_offpolicy.training.finite import FiniteGuard, any_of


class OffPolicyVecEnv(Sb3VecEnvWrapper):
    """Isaac Lab's wrapper for Stable-Baselines3 with per-joint bounds and true last observations.

    A step in which no episode ends makes no Python object and runs no loop over the environments. The ``infos`` of such
    a step are the same list of empty dictionaries each time: read them, do not keep them.

    Args:
        env: Isaac Lab's environment within an :class:`~isaaclab_offpolicy.action_bounds.ActionBoundsWrapper` in mode
            ``clip``; its configuration must ask for final observations (``compute_final_obs``).

    Raises:
        ValueError: If final observations are not computed, or the wrapper is missing.
    """

    def __init__(self, env: ActionBoundsWrapper) -> None:
        if not isinstance(env, ActionBoundsWrapper) or env.mode != "clip":
            raise ValueError("an ActionBoundsWrapper with mode='clip' must be next to the Stable-Baselines3 wrapper")
        unwrapped: Any = env.unwrapped
        if not getattr(unwrapped.cfg, "compute_final_obs", False):
            raise ValueError("the environment must compute final observations: set env_cfg.compute_final_obs = True")
        super().__init__(env)  # type: ignore[arg-type]
        self.bounds = env.bounds
        self.ended = np.zeros(0, dtype=np.int64)
        """Environments whose episode ended in the last step."""
        self.timeouts = np.zeros(self.num_envs, dtype=bool)
        """Whether the episode that ended was truncated, shape [N]; never in a task of finite horizon."""
        self.final_observations: np.ndarray | None = None
        """Observations before the reset of the environments in ``ended``, shape [E, D]."""
        self.guard: FiniteGuard | None = None
        """Looks for numbers that are not finite, where such transitions can be left out."""
        self.left_out: np.ndarray | None = None
        """Environments whose last transition is none since a number is not finite, shape [N]; None if all are."""
        self.lost: np.ndarray | None = None
        """Environments whose present observation was not finite, and is zeros now, shape [N]; None for none."""
        self._infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        self._ep_rew_buf = np.zeros(self.num_envs, dtype=np.float64)
        self.log: dict[str, Any] = {}
        """What Isaac Lab logs of the episodes that ended last: means of the reward terms and the like."""
        self.steps = 0
        """Transitions so far, where they are looked at."""
        self._is_finite_horizon = bool(getattr(unwrapped.cfg, "is_finite_horizon", False))
        self._on_cpu = torch.device(self.sim_device).type == "cpu"

    def step_async(self, actions: np.ndarray) -> None:
        """Take the actions of the next step, shape [N, A]."""
        if self._on_cpu and actions.dtype == np.float32:
            self._async_actions = torch.from_numpy(actions)  # which is all that is needed
        else:
            super().step_async(actions)

    def step_wait(self) -> VecEnvStepReturn:
        """Step, and give observations [N, D], rewards [N], dones [N] and infos."""
        obs_dict, rew, terminated, truncated, extras = cast(Any, self.env).step(self._async_actions)
        # on the CPU without a copy: Isaac Lab concatenates observations into new memory at each step
        obs = obs_dict["policy"].detach().to("cpu", torch.float32).numpy()
        if self._on_cpu:
            lost, cut = terminated.numpy(), truncated.numpy()
        else:
            lost, cut = torch.stack((terminated, truncated)).cpu().numpy()
        rewards = _to_numpy(rew)
        dones = lost | cut
        final_obs = extras["final_obs"]["policy"] if dones.any() else None
        if self.guard is not None:
            final_obs = self._leave_out(self.guard, obs, rewards, dones, final_obs)
        for index in self.ended.tolist():
            self._infos[index].clear()
        self.ended = dones.nonzero()[0]
        # what is over after its time has no value afterwards where the horizon is finite, as rsl_rl has it
        self.timeouts = np.zeros_like(cut) if self._is_finite_horizon else cut > lost
        self._ep_rew_buf += rewards
        self._ep_len_buf += 1
        if final_obs is not None:
            self.log = extras.get("log", {})
            if self._on_cpu:
                last = final_obs.numpy()[self.ended].astype(np.float32, copy=False)
            else:
                last = _to_numpy(final_obs[torch.as_tensor(self.ended, device=self.sim_device)])
            self.final_observations = last
            for position, i in enumerate(self.ended.tolist()):
                self._infos[i] |= {
                    "episode": {"r": float(self._ep_rew_buf[i]), "l": int(self._ep_len_buf[i])},
                    "TimeLimit.truncated": bool(self.timeouts[i]),
                    "terminal_observation": last[position],
                }
            self._ep_rew_buf[self.ended] = 0.0
            self._ep_len_buf[self.ended] = 0
        return obs, rewards, dones, self._infos

    def _leave_out(
        self,
        guard: FiniteGuard,
        obs: np.ndarray,
        rewards: np.ndarray,
        dones: np.ndarray,
        final_obs: torch.Tensor | None,
    ) -> torch.Tensor | None:
        """Set :attr:`left_out`, and put zeros in place of numbers that are not finite; gives the last observations."""
        self.steps += self.num_envs
        values = {"observation": torch.from_numpy(obs), "reward": torch.from_numpy(rewards)}
        if final_obs is not None:
            ended = torch.from_numpy(dones).to(final_obs.device).unsqueeze(-1)
            values["final observation"] = final_obs.where(ended, torch.zeros_like(final_obs)).cpu()
        _, broken = guard.check(values, self.steps)
        before, self.lost, self.left_out = self.lost, None, self.lost
        if not broken:
            return final_obs
        self.left_out = any_of(broken.values()).numpy() | (False if before is None else before)
        if "observation" in broken:
            self.lost = broken["observation"].numpy()
            obs[self.lost] = 0.0
        np.nan_to_num(rewards, copy=False, posinf=0.0, neginf=0.0)
        return None if final_obs is None else final_obs.nan_to_num(0.0, 0.0, 0.0)

    def reset(self) -> np.ndarray:
        """Reset all environments and give their observations, shape [N, D]."""
        obs = np.array(super().reset())
        self.lost = None
        if self.guard is not None:
            _, broken = self.guard.check({"observation": torch.from_numpy(obs)}, self.steps)
            if broken:
                self.lost = broken["observation"].numpy()
                obs[self.lost] = 0.0
        for index in self.ended:
            self._infos[index].clear()
        self.ended = np.zeros(0, dtype=np.int64)
        return obs


class AffineNormalizer:
    """Normalisation in single precision: scale, shift, clip.

    Args:
        state: Statistics and options, as of :meth:`NormalizedVecEnv.state`.
    """

    def __init__(self, state: Mapping[str, np.ndarray]) -> None:
        columns = np.asarray(state["columns"], dtype=bool)
        self._normalized, self._plain = columns.astype(np.float64), (~columns).astype(np.float64)
        self._epsilon = float(state["epsilon"])
        self._limit = np.where(columns, state["clip_obs"], np.inf).astype(np.float32)
        self._lower_limit = -self._limit
        self.update(state["mean"], state["var"])

    def update(self, mean: np.ndarray, var: np.ndarray) -> None:
        """Take over new statistics, shape [D] each."""
        inverse = self._normalized / np.sqrt(var + self._epsilon)
        self.scale = (inverse + self._plain).astype(np.float32)
        self.shift = (-mean * inverse).astype(np.float32)

    def __call__(self, obs: np.ndarray) -> np.ndarray:
        """Normalised observations, shape [..., D], as a new array."""
        result = obs * self.scale
        result += self.shift
        # twice as fast as numpy's clip with arrays
        np.minimum(result, self._limit, out=result)
        return np.maximum(result, self._lower_limit, out=result)


class NormalizedVecEnv(VecNormalize):
    """Normalises observations in single precision, all of them or those up to a column; never the rewards.

    Stable-Baselines3 finds it like its own ``VecNormalize``, and normalises what it samples from the replay buffer,
    which holds observations as they came.

    Args:
        venv: The vectorised environment; its observations are vectors.
        columns: Which entries of an observation are normalised, shape [D]; all when not given.
        clip_obs: Bound on normalised entries.
        epsilon: Added to the variance.
    """

    def __init__(
        self, venv: VecEnv, columns: np.ndarray | None = None, clip_obs: float = 10.0, epsilon: float = 1e-8
    ) -> None:
        super().__init__(venv, norm_obs=True, norm_reward=False, clip_obs=clip_obs, epsilon=epsilon)
        assert isinstance(venv.observation_space, gym.spaces.Box)
        dim = venv.observation_space.shape[0]
        self.columns = np.ones(dim, dtype=bool) if columns is None else np.asarray(columns, dtype=bool)
        if self.columns.shape != (dim,):
            raise ValueError(f"{self.columns.shape} columns for observations of {dim} entries")
        self._scratch = np.empty((venv.num_envs, dim), dtype=np.float32)
        self._ones = np.ones(venv.num_envs, dtype=np.float32)
        self._affine = AffineNormalizer(self.state())

    def step_wait(self) -> VecEnvStepReturn:
        """Step, learn the statistics when training, and normalise."""
        obs, rewards, dones, infos = cast(VecEnv, self.venv).step_wait()
        assert isinstance(obs, np.ndarray)
        self.old_obs, self.old_reward = obs, rewards
        if self.training:
            self._learn(obs)
        ended = dones.nonzero()[0]
        if len(ended):
            last = getattr(self.venv, "final_observations", None)
            if last is None:
                last = np.stack([infos[i]["terminal_observation"] for i in ended])
            for row, i in zip(self.normalize_obs(last), ended.tolist(), strict=True):
                infos[i]["terminal_observation"] = row
        return self.normalize_obs(obs), rewards, dones, infos

    def reset(self) -> np.ndarray:
        """Reset all environments and give normalised observations, shape [N, D]."""
        obs = cast(VecEnv, self.venv).reset()
        assert isinstance(obs, np.ndarray)
        self.old_obs = obs
        if self.training:
            self._learn(obs)
        return self.normalize_obs(obs)

    def _learn(self, obs: np.ndarray) -> None:
        # moments of the batch in single precision about the running mean, which loses nothing that matters; the sums
        # over the environments as products with a vector of ones, which is many times faster than numpy's along axis 0
        lost = getattr(self.venv, "lost", None)
        if lost is not None:
            obs = obs[~lost]
        count = len(obs)
        if not count:
            return
        rms: Any = self.obs_rms
        ones, centered = self._ones[:count], np.subtract(obs, rms.mean.astype(np.float32), out=self._scratch[:count])
        mean = (ones @ centered).astype(np.float64) / count
        np.square(centered, out=centered)
        var = (ones @ centered).astype(np.float64) / count - mean**2
        rms.update_from_moments(rms.mean + mean, np.maximum(var, 0.0), count)
        self._affine.update(rms.mean, rms.var)

    def normalize_obs(self, obs: Any) -> Any:
        """Normalised observations, shape [..., D], as a new array."""
        return self._affine(obs)

    def unnormalize_obs(self, obs: Any) -> Any:
        """The inverse of :meth:`normalize_obs`, but for clipping."""
        return ((obs - self._affine.shift) / self._affine.scale).astype(np.float32)

    def get_original_obs(self) -> Any:
        """Observations of the last step as they came, shape [N, D]."""
        return self.old_obs

    def state(self) -> dict[str, np.ndarray]:
        """Statistics and options as arrays: all that normalises."""
        rms: Any = self.obs_rms
        return {
            "mean": rms.mean, "var": rms.var, "count": np.array(rms.count), "columns": self.columns,
            "clip_obs": np.array(self.clip_obs), "epsilon": np.array(self.epsilon),
        }  # fmt: skip

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Take over statistics that :meth:`state` gave.

        Raises:
            ValueError: If they are of other observations.
        """
        rms: Any = self.obs_rms
        if state["mean"].shape != rms.mean.shape:
            raise ValueError(f"statistics of {state['mean'].shape[0]} observations, where there are {len(rms.mean)}")
        rms.mean, rms.var, rms.count = state["mean"].copy(), state["var"].copy(), float(state["count"])
        self.columns = state["columns"].astype(bool)
        self.clip_obs, self.epsilon = float(state["clip_obs"]), float(state["epsilon"])
        self._affine = AffineNormalizer(self.state())


def _to_numpy(tensor: torch.Tensor) -> np.ndarray:
    """A copy of a tensor to which Isaac Lab may write again."""
    return tensor.detach().to("cpu", torch.float32, copy=True).numpy()
