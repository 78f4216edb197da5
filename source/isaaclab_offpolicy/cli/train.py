# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""``scripts/train.py``: Isaac Lab's own training with rsl_rl, with defaults that follow the machine."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from .arguments import (
    AGENTS,
    CliError,
    add_task_arguments,
    check_agent_overrides,
    check_device,
    check_task_and_agent,
    duration,
    engine_overrides,
    find_checkpoint,
    is_sb3,
    new_run,
    option,
    positive_int,
    split_overrides,
)
from .checkpoints import check_checkpoint
from .simulation import collect_garbage_rarely

CPU_NUM_ENVS = {"sac": 256, "sac-cpu": 256, "ppo": 512, "sbx-sac": 256, "sbx-sac-cpu": 256, "sbx-tqc": 256,
                "sbx-ppo": 512, "sb3-sac": 256, "sb3-ppo": 512}  # fmt: skip
"""Environments on a CPU when nobody says: beyond 256 the simulation gains little (docs, "Engines")."""

GPU_NUM_ENVS = {"sac": 1024, "sbx-sac": 1024, "sbx-tqc": 1024, "sb3-sac": 1024}
"""Environments on a GPU when nobody says: what the published hyperparameters were tuned with. PPO takes the task's."""


def parser() -> argparse.ArgumentParser:
    """The command line's parser; what it does not know goes on to Isaac Lab's ``train``."""
    result = argparse.ArgumentParser(
        prog="train.py",
        description="Train a policy. Other arguments go on to Isaac Lab's train (isaaclab train --help).",
    )
    add_task_arguments(result)
    result.add_argument("--num_envs", type=positive_int, help="Number of environments.")
    result.add_argument("--max_time", type=duration, help="Wall-clock limit of the training: 90s, 10m, 1.5h.")
    result.add_argument("--resume", metavar="latest|best|PATH", help="Go on from a checkpoint.")
    result.add_argument(
        "--bounds", metavar="SPEC", help="Action bounds: percentile, symmetric, joint-limits, X, Xrad, NAME or FILE."
    )
    return result


def main(argv: Sequence[str] | None = None) -> None:
    """Train as the command line says.

    Raises:
        CliError: With one line that says what is wrong.
    """
    args, rest = parser().parse_known_args(argv)
    collect_garbage_rarely()
    key = check_task_and_agent(args.task, args.agent)
    sb3 = is_sb3(key)
    device = check_device(args.device)
    short = next((name for name, value in AGENTS.items() if value == key), args.agent)
    flags, overrides = split_overrides(rest)
    check_agent_overrides(args.task, key, overrides)
    overrides = engine_overrides(args.task, device, overrides)

    command = ["--task", args.task, "--agent", key, "--device", device]
    num_envs = args.num_envs or (CPU_NUM_ENVS if device == "cpu" else GPU_NUM_ENVS).get(short)
    if num_envs is not None:
        command += ["--num_envs", str(num_envs)]
    if args.resume is not None:
        experiment = option(rest, "--experiment_name", "agent.experiment_name")
        checkpoint = find_checkpoint(args.resume, args.task, key, experiment)
        check_checkpoint(checkpoint, args.task, key, overrides)
        command += ["--checkpoint", checkpoint]
    if args.bounds is not None:
        if args.resume is not None:
            raise CliError("--bounds cannot be changed on --resume: they are part of the policy")
        if not short.startswith("sac") and not sb3:
            raise CliError(f"--bounds is for SAC and the agents of SBX; agent '{args.agent}' has none")
        options = "agent." if sb3 else "agent.algorithm."
        overrides.append(f"{options}action_bounds={args.bounds.removeprefix('±')}")
    if "--video" in flags and not any(flag.startswith("--vi") and flag[:5] != "--vid" for flag in flags):
        command += ["--viz", "newton_gl"]
    if not sb3 and not any(item.startswith("agent.device=") for item in overrides):
        overrides.append(f"agent.device={device}")
    with _folder_of_its_own(args.task, key, sb3, rest) as timestamp:
        command += [*timestamp, *flags, *overrides]
        if sb3:
            from isaaclab_offpolicy.sbx import training

            training.run(command, max_time=args.max_time)
        else:
            run(command, max_time=args.max_time)


@contextmanager
def _folder_of_its_own(task: str, agent_key: str, sb3: bool, rest: Sequence[str]) -> Iterator[list[str]]:
    """Make the run's folder, and give the option that names it; a folder that stayed empty goes away."""
    from isaaclab_tasks.utils import load_cfg_from_registry

    if "--distributed" in rest or option(rest, "--run_timestamp", "--run_timestamp") is not None:
        # several processes share one folder
        yield []
        return
    experiment = option(rest, "--experiment_name", "agent.experiment_name")
    if experiment is None:
        agent_cfg: Any = load_cfg_from_registry(task, agent_key)
        experiment = agent_cfg.experiment_name
    root = Path("logs", "sbx" if sb3 else "rsl_rl", experiment)
    folder, stamp = new_run(root, option(rest, "--run_name", "agent.run_name") or "")
    try:
        yield ["--run_timestamp", stamp]
    finally:
        with suppress(OSError):
            folder.rmdir()


def run(command: Sequence[str], max_time: float | None = None) -> None:
    """Run Isaac Lab's rsl_rl training with the project's runner.

    Args:
        command: Arguments of ``isaaclab train --rl_library rsl_rl``.
        max_time: Wall-clock limit of the training [s].
    """
    from isaaclab_rl.entrypoints.backends import train_rsl_rl
    from isaaclab_rl.entrypoints.common import preserve_attribute

    from .runner import create_runner

    print(f"[INFO] isaaclab train --rl_library rsl_rl {' '.join(command)}")
    with preserve_attribute(train_rsl_rl, "create_rsl_rl_runner"):
        train_rsl_rl.create_rsl_rl_runner = partial(create_runner, max_time=max_time)  # type: ignore[assignment]
        train_rsl_rl.run(list(command))


if __name__ == "__main__":
    main()
