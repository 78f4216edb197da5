# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""How fast a task is simulated."""

from __future__ import annotations

import operator
import time

from isaaclab_offpolicy.agents.registry import load_tasks

from .timing import Stopwatch

PARTS = {
    "actuators": ("action_manager.apply_action", "scene.write_data_to_sim"),
    "physics": ("sim.step",),
    "sensors": ("scene.update",),
    "observations": ("observation_manager.compute",),
    "rewards": ("reward_manager.compute", "termination_manager.compute"),
    "resets": ("_reset_idx",),
}
"""Parts of a step of the environment, by what Isaac Lab calls in it."""


def measure_simulation(task: str, engine: str, num_envs: int, device: str, seconds: float) -> dict[str, float]:
    """Build a task and step it with uniform random actions in [-1, 1].

    Returns:
        ``steps_per_second`` over all environments, processor ``cores`` in use, and the time ``scene_s`` [s] that
        building the scene took; of a second measurement, in which each of :data:`PARTS` is waited for, their fractions
        of the time, and the ``rest``.
    """
    import gymnasium as gym
    import torch

    from isaaclab.app import launch_simulation
    from isaaclab_tasks.utils import parse_env_cfg

    load_tasks()
    cfg = parse_env_cfg(task, device=device, num_envs=num_envs, overrides=[f"physics={engine}"])
    cfg.seed = 1
    with launch_simulation(cfg, {"device": device}):
        start = time.perf_counter()
        env = gym.make(task, cfg=cfg)
        env.reset()
        scene = time.perf_counter() - start
        shape = env.action_space.shape
        assert shape is not None

        def step() -> None:
            env.step(torch.rand(shape, device=device) * 2.0 - 1.0)

        for _ in range(20):
            step()
        steps, processor, start = 0, time.process_time(), time.perf_counter()
        while time.perf_counter() - start < seconds:
            step()
            steps += 1
        if device != "cpu":
            torch.cuda.synchronize()
        elapsed = time.perf_counter() - start
        result = {
            "steps_per_second": steps * num_envs / elapsed,
            "cores": (time.process_time() - processor) / elapsed,
            "scene_s": scene,
        }
        parts = {name: Stopwatch() for name in PARTS}
        for name, functions in PARTS.items():
            for function in functions:
                path, _, attribute = function.rpartition(".")
                owner = operator.attrgetter(path)(env.unwrapped) if path else env.unwrapped
                setattr(owner, attribute, parts[name].around(getattr(owner, attribute)))
        start = time.perf_counter()
        while time.perf_counter() - start < seconds / 2:
            step()
        elapsed = time.perf_counter() - start
        result |= {name: part.seconds / elapsed for name, part in parts.items()}
        result["rest"] = 1.0 - sum(result[name] for name in PARTS)
        env.close()
    return result
