# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""What collecting experience costs beside simulation and policy, and what gradient steps cost."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import gymnasium as gym
import jax
import numpy as np
import optax
import stable_baselines3
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure
from stable_baselines3.common.vec_env import VecNormalize

from isaaclab_rl.sb3 import Sb3VecEnvWrapper

import sbx
from isaaclab_offpolicy.action_bounds import ActionBoundsWrapper
from isaaclab_offpolicy.errors import ConfigError
from isaaclab_offpolicy.runners.sbx.cfg import Sb3AgentCfg, Sb3OffPolicyCfg, Sb3PpoCfg
from isaaclab_offpolicy.runners.sbx.environment import make_vec_env
from isaaclab_offpolicy.runners.sbx.models import build, learns_elsewhere

from .timing import Stopwatch, median_time, memory_in_use

WARM_UP = 5
"""Env steps before the clock starts."""


def measure_collection(env: Any, cfg: Sb3OffPolicyCfg, steps: int) -> dict[str, float]:
    """Time of an env step outside of simulation and policy, stock and ours.

    Stock is Isaac Lab's wrapper for Stable-Baselines3 with its ``VecNormalize`` and SBX's own SAC; ours is what the
    agent ``sbx-sac`` is trained with. Both normalise observations and fill a replay buffer; neither learns.

    Args:
        env: Isaac Lab's environment.
        cfg: The agent's configuration.
        steps: Env steps to measure.

    Returns:
        ``stock_ms`` and ``ours_ms`` per env step [ms] into a replay buffer that is full and written again, and the
        simulation's ``simulation_ms``; ``stock_filling_ms`` and ``ours_filling_ms`` into one that is filled for the
        first time, when the system has to find memory for what numpy has only promised.
    """
    cfg.learning_starts, cfg.n_steps = 0, 1
    cfg.replay_ratio, cfg.gradient_steps = None, 8
    simulate = env.unwrapped.step
    result = {}
    whole, short = cfg.buffer_size, WARM_UP * env.unwrapped.num_envs
    for name, filling in itertools.product(("stock", "ours"), (False, True)):
        cfg.buffer_size = whole if filling else short
        if name == "ours":
            model: Any = build(cfg, make_vec_env(env, cfg), "cpu")
        else:
            bounded = ActionBoundsWrapper(env, cfg.action_bounds, "clip", percentile_bounds=cfg.percentile_bounds)
            vec_env = VecNormalize(Sb3VecEnvWrapper(bounded), norm_reward=False)  # type: ignore[arg-type]
            model = sbx.SAC(
                "MlpPolicy", vec_env, learning_starts=0, buffer_size=cfg.buffer_size,
                policy_kwargs={"net_arch": cfg.net_arch},
            )  # fmt: skip
        model.gradient_steps = 0
        num_envs = model.get_env().num_envs
        model.learn(WARM_UP * num_envs, log_interval=None)
        simulation, policy = Stopwatch(), Stopwatch()
        env.unwrapped.step = simulation.around(simulate)
        model.policy.predict = policy.around(model.policy.predict)
        start = time.perf_counter()
        model.learn(steps * num_envs, log_interval=None, reset_num_timesteps=False)
        total = time.perf_counter() - start
        env.unwrapped.step = simulate
        key = f"{name}_filling_ms" if filling else f"{name}_ms"
        result[key] = 1000.0 * (total - simulation.seconds - policy.seconds) / steps
        result["simulation_ms"] = 1000.0 * simulation.seconds / steps
    return result


class _Until(BaseCallback):
    """Ends a training when a function says so."""

    def __init__(self, over: Callable[[], bool]) -> None:
        super().__init__()
        self._over = over

    def _on_step(self) -> bool:
        return not self._over()


def measure_training(env: Any, cfg: Sb3AgentCfg, seconds: float) -> dict[str, float]:
    """Measure a training's loop, as :func:`isaaclab_offpolicy.benchmarks.rsl_rl_training.measure_training` does.

    Args:
        env: Isaac Lab's environment.
        cfg: The agent's configuration.
        seconds: Time of each of the two measurements [s].

    Returns:
        ``training_per_second``, environment steps over all environments, and ``updates_per_second``, gradient steps; of
        a second measurement, in which the simulation is waited for, its fraction ``simulate`` of the time, and
        ``simulation_per_second``, the steps of the simulation alone; ``throughput_ratio``, the ratio of both
        rates; ``memory_gib``.

    Raises:
        ConfigError: If SBX would learn on another device than the simulation's.
    """
    device = str(env.unwrapped.device)
    if cfg.library == "sbx" and (reason := learns_elsewhere(device)) is not None:
        raise ConfigError(f"{reason}: this is no comparison")
    model: Any = build(cfg, make_vec_env(env, cfg), device)

    def learn(over: Callable[[], bool]) -> tuple[int, int, float]:
        """Transitions and gradient steps made, and their time [s]."""
        begin, steps, updates = time.perf_counter(), model.num_timesteps, model._n_updates
        model.learn(10**9, callback=_Until(over), log_interval=None, reset_num_timesteps=False)
        if device != "cpu":
            torch.cuda.synchronize()
        return model.num_timesteps - steps, model._n_updates - updates, time.perf_counter() - begin

    def after(seconds: float) -> Callable[[], bool]:
        end = time.perf_counter() + seconds
        return lambda: time.perf_counter() >= end

    fill = after(0.3 * seconds)
    # compiled, too: twice, since the first update phase may have had another number of gradient steps
    while model._n_updates == 0 or not fill():
        learn(lambda: model._n_updates > 0 and fill())
    steps, updates, elapsed = learn(after(seconds))
    simulate, stopwatch = env.unwrapped.step, Stopwatch()
    env.unwrapped.step = stopwatch.around(simulate)
    waited_steps, _, waited = learn(after(seconds))
    env.unwrapped.step = simulate
    training, simulation = steps / elapsed, waited_steps / stopwatch.seconds
    if isinstance(cfg, Sb3PpoCfg):
        updates *= cfg.n_minibatches  # it counts epochs
    return {
        "training_per_second": training,
        "simulation_per_second": simulation,
        "throughput_ratio": training / simulation,
        "simulate": stopwatch.seconds / waited,
        "updates_per_second": updates / elapsed,
        "memory_gib": memory_in_use(device),
    }


class _Spaces(gym.Env):
    """An environment of given size that does not step."""

    def __init__(self, obs_dim: int, num_actions: int) -> None:
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (obs_dim,), np.float32)
        self.action_space = gym.spaces.Box(-1.0, 1.0, (num_actions,), np.float32)


def measure_update(
    cfg: Sb3OffPolicyCfg, net_arch: dict[str, list[int]], obs_dim: int, num_actions: int, device: str, seconds: float
) -> dict[str, float]:
    """Measure SBX's or Stable-Baselines3's own SAC in one update phase: drawing from the replay and all updates.

    A repetition has ``policy_delay`` gradient steps, as in :func:`.learner.measure_learner`.
    Stable-Baselines3 has no such delay: it updates the actor at every gradient step, and has no layer normalisation.

    Args:
        cfg: The agent's configuration.
        net_arch: Widths of the hidden layers of actor ("pi") and critics ("qf").
        obs_dim: Number of observations.
        num_actions: Number of joints.
        device: Device of the learner; JAX takes the first of that kind.
        seconds: Time of the measurement [s].

    Returns:
        ``update_ms`` per gradient step of the critics [ms], and ``updates_per_second``.
    """
    env = _Spaces(obs_dim, num_actions)
    common: dict[str, Any] = {
        "buffer_size": 100_000, "learning_rate": cfg.learning_rate, "gamma": cfg.gamma, "tau": cfg.tau,
        "ent_coef": cfg.ent_coef, "batch_size": cfg.batch_size, "seed": 0,
    }  # fmt: skip
    if cfg.library == "sbx":
        policy: dict[str, Any] = {
            "net_arch": net_arch, "layer_norm": cfg.layer_norm, "activation_fn": getattr(nn, cfg.activation),
            "optimizer_class": optax.adamw,
        }  # fmt: skip
        jax.config.update("jax_default_device", jax.devices(device.partition(":")[0])[0])
        model: Any = sbx.SAC("MlpPolicy", env, policy_delay=cfg.policy_delay, policy_kwargs=policy, **common)
    else:
        policy = {"net_arch": net_arch, "activation_fn": torch.nn.ELU}
        model = stable_baselines3.SAC("MlpPolicy", env, device=device, policy_kwargs=policy, **common)
    model.set_logger(configure(None, []))
    rng = np.random.default_rng(0)
    buffer = model.replay_buffer
    for array in (buffer.observations, buffer.next_observations, buffer.rewards):
        array[:] = rng.standard_normal(array.shape, dtype=np.float32)
    buffer.actions[:] = rng.uniform(-1.0, 1.0, buffer.actions.shape)
    buffer.full = True
    delay = cfg.policy_delay
    update = median_time(lambda: model.train(delay, cfg.batch_size), device, seconds) / delay
    return {"update_ms": 1000.0 * update, "updates_per_second": 1.0 / update}
