# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""``scripts/benchmark.py``: environment steps per second of a task, and what collecting experience costs."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence

from isaaclab_offpolicy.engine import default_engine

from .arguments import CliError, check_device, check_task_and_agent, engine_overrides, is_sb3, positive_int

MARK = "BENCHMARK "
"""Begins the line with which a measuring process reports."""


def parser() -> argparse.ArgumentParser:
    """The command line's parser."""
    result = argparse.ArgumentParser(
        prog="benchmark.py",
        description="Measure environment steps per second with random actions, without learning."
        " Each measurement runs in a process of its own, one after the other.",
    )
    result.add_argument("--task", default="Isaac-Velocity-Flat-Unitree-A1-v0", help="Task.")
    result.add_argument("--engines", nargs="+", help="Engines; default the device's own.")
    result.add_argument("--num_envs", nargs="+", type=positive_int, default=[256], help="Numbers of environments.")
    result.add_argument("--device", help="cpu or cuda:N; found when not given.")
    result.add_argument("--seconds", type=float, default=8.0, help="Time of a measurement; default 8.")
    result.add_argument(
        "--collection",
        action="store_true",
        help="Measure instead what Stable-Baselines3's collection of experience costs beside simulation and policy,"
        " stock and in this package.",
    )
    result.add_argument("--in_process", action="store_true", help=argparse.SUPPRESS)
    return result


def main(argv: Sequence[str] | None = None) -> None:
    """Measure as the command line says and print a table.

    Raises:
        CliError: If a measurement fails.
    """
    args = parser().parse_args(argv)
    device = check_device(args.device)
    check_task_and_agent(args.task, "ppo")
    engines = args.engines or [default_engine(device)]
    for engine in engines:
        engine_overrides(args.task, device, [f"physics={engine}"])
    if args.in_process and args.collection:
        print(MARK + json.dumps(collection(args.task, engines[0], args.num_envs[0], device, args.seconds)), flush=True)
        return
    if args.in_process:
        print(MARK + json.dumps(measure(args.task, engines[0], args.num_envs[0], device, args.seconds)), flush=True)
        return
    if args.collection:
        is_sb3("sbx_sac_cfg_entry_point")  # says what is missing
        columns = {"stock [ms]": "stock_ms", "ours [ms]": "ours_ms", "simulation [ms]": "simulation_ms"}
    else:
        columns = {"steps/s": "steps_per_second", "cores": "cores", "scene [s]": "scene_s"}
    header = "".join(f"{name:>17}" for name in columns)
    print(f"{args.task}, {device}\n{'engine':<16}{'environments':>13}{header}")
    for engine in engines:
        for num_envs in args.num_envs:
            command = ["--task", args.task, "--engines", engine, "--num_envs", str(num_envs), "--device", device]
            result = subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "isaaclab_offpolicy.cli.benchmark",
                    *command,
                    "--seconds",
                    str(args.seconds),
                    "--in_process",
                    *(["--collection"] if args.collection else []),
                ],
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
            )
            line = next((line for line in result.stdout.splitlines() if line.startswith(MARK)), None)
            if line is None:
                raise CliError(f"{engine} with {num_envs} environments failed: {result.stderr[-400:]}")
            row = json.loads(line.removeprefix(MARK))
            values = "".join(f"{row[key]:>17.{0 if key == 'steps_per_second' else 2}f}" for key in columns.values())
            print(f"{engine:<16}{num_envs:>13}{values}", flush=True)


def measure(task: str, engine: str, num_envs: int, device: str, seconds: float) -> dict[str, float]:
    """Build a task and step it with uniform random actions in [-1, 1].

    Returns:
        ``steps_per_second`` over all environments, processor ``cores`` in use, and the time ``scene_s`` [s] that
        building the scene took.
    """
    import gymnasium as gym
    import torch

    from isaaclab.app import launch_simulation
    from isaaclab_tasks.utils import parse_env_cfg

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
        env.close()
    return result


def collection(task: str, engine: str, num_envs: int, device: str, seconds: float) -> dict[str, float]:
    """Measure what a vector step costs outside of simulation and policy, over ten steps for each of the seconds.

    Returns:
        What :func:`isaaclab_offpolicy.sbx.benchmark.measure_collection` gives.
    """
    import gymnasium as gym

    from isaaclab.app import launch_simulation
    from isaaclab_tasks.utils import load_cfg_from_registry, parse_env_cfg

    from isaaclab_offpolicy.sbx.benchmark import measure_collection

    cfg = parse_env_cfg(task, device=device, num_envs=num_envs, overrides=[f"physics={engine}"])
    cfg.seed = 1
    agent_cfg = load_cfg_from_registry(task, "sbx_sac_cfg_entry_point")
    with launch_simulation(cfg, {"device": device}):
        env = gym.make(task, cfg=cfg)
        result = measure_collection(env, agent_cfg, round(10 * seconds))  # type: ignore[arg-type]
        env.close()
    return result


if __name__ == "__main__":
    main()
