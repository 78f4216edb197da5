# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""How fast a training with rsl_rl's runner is, and where its time goes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from rsl_rl.env import VecEnv
from rsl_rl.runners import OnPolicyRunner
from tensordict import TensorDict

from isaaclab_offpolicy.algorithms import SAC

from .timing import Stopwatch, memory_in_use


def measure_training(runner: OnPolicyRunner, seconds: float) -> dict[str, float]:
    """Measure a training's loop: first the environment alone, then everything, then the parts of everything.

    Args:
        runner: rsl_rl's runner; its algorithm may be SAC or PPO. Where its logger writes (to a folder), what it does at
            each step is part of the training.
        seconds: Time of each of the three measurements [s].

    Returns:
        ``simulation_per_second`` and ``training_per_second``, environment steps over all environments without and with
        learning; their ratio ``throughput_ratio``; the fractions of time ``simulate``, ``act``, ``store`` and ``learn``
        of a training in which each part is waited for; ``updates_per_second`` (SAC's gradient steps); and
        ``memory_gib``: what is in use on the GPU at the end, simulation included, or the most that the process has
        used on the CPU [GiB].
    """
    env, alg, device = runner.env, runner.alg, str(runner.device)
    obs = env.get_observations().to(device)
    alg.train_mode()
    stopwatches = {name: Stopwatch() for name in ("simulate", "act", "store", "learn", "gradient_steps")}
    # this package's logger reads them once per row of the log, rsl_rl's own at each step
    read_episodes = getattr(runner.logger, "read_episodes", None)

    def loop(seconds: float, waits: bool = False) -> tuple[int, float]:
        """Env steps made, and their time [s]."""
        nonlocal obs
        functions = {"act": alg.act, "simulate": env.step, "store": alg.process_env_step, "learn": _learn(alg)}
        if waits:
            functions = {name: stopwatches[name].around(function) for name, function in functions.items()}
            if isinstance(alg, SAC):
                alg.learn = stopwatches["gradient_steps"].around(alg.learn)  # type: ignore[method-assign]
        begin, steps = time.perf_counter(), 0
        while not steps or time.perf_counter() - begin < seconds or steps % runner.cfg["num_steps_per_env"]:
            with torch.inference_mode():
                obs, rewards, dones, extras = functions["simulate"](functions["act"](obs).to(env.device))
                obs = obs.to(device)
                rewards, dones = rewards.to(device), dones.to(device)
                functions["store"](obs, rewards, dones, extras)
                runner.logger.process_env_step(rewards, dones, extras)
            steps += 1
            if steps % runner.cfg["num_steps_per_env"] == 0:
                functions["learn"](obs)
                if read_episodes is not None:
                    read_episodes()
                runner.logger.ep_extras.clear()
        if device != "cpu":
            torch.cuda.synchronize(device)
        return steps, time.perf_counter() - begin

    # fills the replay, compiles and captures
    loop(0.3 * seconds)
    while isinstance(alg, SAC) and not (alg.num_updates and alg.updater.backend.is_warm):
        loop(0.0)
    simulated, simulation_time, obs = _simulate(env, alg, obs, seconds, device)
    updates = getattr(alg, "num_updates", 0)
    trained, training_time = loop(seconds)
    updates = getattr(alg, "num_updates", 0) - updates
    _, waited = loop(seconds, waits=True)
    phases = {name: stopwatch.seconds / waited for name, stopwatch in stopwatches.items()}
    # SAC's gradient steps are within its storing of a transition
    nested = phases.pop("gradient_steps")
    phases["store"] -= nested
    phases["learn"] += nested
    simulation, training = (
        env.num_envs * steps / elapsed for steps, elapsed in ((simulated, simulation_time), (trained, training_time))
    )
    return {
        "simulation_per_second": simulation,
        "training_per_second": training,
        "throughput_ratio": training / simulation,
        **phases,
        "updates_per_second": updates / training_time,
        "memory_gib": memory_in_use(device),
    }


def _learn(alg: Any) -> Callable[[TensorDict], None]:
    """What rsl_rl's runner does after collecting."""

    def learn(obs: TensorDict) -> None:
        with torch.inference_mode():
            alg.compute_returns(obs)
        alg.update()

    return learn


def _simulate(env: VecEnv, alg: Any, obs: TensorDict, seconds: float, device: str) -> tuple[int, float, TensorDict]:
    """Step the environment with the policy's actions.

    Returns:
        Env steps made; the time [s] of the steps alone, each of which is waited for; and the last observations.
    """
    elapsed, steps = 0.0, 0
    with torch.inference_mode():
        while elapsed < seconds:
            actions = alg.act(obs).to(env.device)
            if device != "cpu":
                torch.cuda.synchronize(device)
            start = time.perf_counter()
            obs, *_ = env.step(actions)
            obs = obs.to(device)
            if device != "cpu":
                torch.cuda.synchronize(device)
            elapsed += time.perf_counter() - start
            steps += 1
    return steps, elapsed, obs
