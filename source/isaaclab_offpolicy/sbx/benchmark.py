# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""What collecting experience costs beside simulation and policy."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from stable_baselines3.common.vec_env import VecNormalize

from isaaclab_rl.sb3 import Sb3VecEnvWrapper

import sbx
from isaaclab_offpolicy.action_bounds import ActionBoundsWrapper

from .cfg import Sb3OffPolicyCfg
from .environment import make_vec_env
from .models import build

WARM_UP = 5
"""Vector steps before the clock starts."""


class Stopwatch:
    """Sums the time spent in functions."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, timed."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            result = function(*args, **kwargs)
            if torch.cuda.is_initialized():
                torch.cuda.synchronize()
            self.seconds += time.perf_counter() - start
            return result

        return timed


def measure_collection(env: Any, cfg: Sb3OffPolicyCfg, steps: int) -> dict[str, float]:
    """Time of a vector step outside of simulation and policy, stock and ours.

    Stock is Isaac Lab's wrapper for Stable-Baselines3 with its ``VecNormalize`` and SBX's own SAC; ours is what the
    agent ``sbx-sac`` is trained with. Both normalise observations and fill a replay buffer; neither learns.

    Args:
        env: Isaac Lab's environment.
        cfg: The agent's configuration.
        steps: Vector steps to measure.

    Returns:
        ``stock_ms`` and ``ours_ms`` per vector step [ms], and the simulation's ``simulation_ms``.
    """
    cfg.learning_starts, cfg.n_steps = 0, 1
    cfg.replay_ratio, cfg.gradient_steps = None, 8
    simulate = env.unwrapped.step
    result = {}
    for name in ("stock", "ours"):
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
        result[f"{name}_ms"] = 1000.0 * (total - simulation.seconds - policy.seconds) / steps
        result["simulation_ms"] = 1000.0 * simulation.seconds / steps
    return result
