# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""``scripts/train.py``: Isaac Lab's own training with rsl_rl, with defaults that follow the machine."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from isaaclab_offpolicy.agents.table import AgentSpec
from isaaclab_offpolicy.errors import ConfigError, UserError
from isaaclab_offpolicy.options import duration, positive_int

from .arguments import add_task_arguments, command_parser


def parser() -> argparse.ArgumentParser:
    """The command line's parser; what it does not know goes on to Isaac Lab's ``train``."""
    result = command_parser(
        "train",
        "Train a policy. Other arguments, such as --seed, --max_iterations, --video, physics=ENGINE, agent.OPTION=VALUE"
        " and env.OPTION=VALUE, go on to Isaac Lab's train (isaaclab train --help).",
        """
        --task Isaac-Velocity-Flat-Unitree-A1-v0 --max_time 15m
        --task Isaac-Velocity-Rough-Anymal-C-v0 --agent sac --num_envs 1024 agent.algorithm.n_steps=3
        --task Isaac-Velocity-Flat-Unitree-A1-v0 --resume latest
        """,
    )
    add_task_arguments(result)
    result.add_argument("--num_envs", type=positive_int, help="Number of environments.")
    result.add_argument("--max_time", type=duration, help="Wall-clock limit of the training: 90s, 10m, 1.5h.")
    result.add_argument("--full_log", action="store_true", help="Print rsl_rl's block of every iteration, not a line.")
    result.add_argument("--resume", metavar="latest|best|PATH", help="Go on from a checkpoint.")
    result.add_argument(
        "--bounds", metavar="SPEC", help="Action bounds: percentile, symmetric, joint-limits, X, Xrad, NAME or FILE."
    )
    return result


def main(argv: Sequence[str] | None = None) -> None:
    """Train as the command line says.

    Raises:
        ConfigError: With one line that says what is wrong.
    """
    args, rest = parser().parse_known_args(argv)
    from isaaclab_offpolicy.agents.overrides import check_agent_overrides, engine_overrides, option, split_overrides
    from isaaclab_offpolicy.agents.registry import check_task, find_agent
    from isaaclab_offpolicy.engine import check_device
    from isaaclab_offpolicy.runners.simulation import collect_garbage_rarely

    from .checkpoints import check_checkpoint, find_policy

    collect_garbage_rarely()
    task, device = check_task(args.task), check_device(args.device)
    flags, overrides = split_overrides(rest)
    checkpoint = None
    if args.resume is None:
        agent = find_agent(task, args.agent or "sac", option(overrides, "agent.device", "agent.device") or device)
    else:
        if args.agent is not None:
            find_agent(task, args.agent, device)  # says what is wrong with it
        experiment = option(rest, "--experiment_name", "agent.experiment_name")
        checkpoint, agent = find_policy(args.resume, task, args.agent, device, experiment)
        check_checkpoint(checkpoint, task, agent, overrides)
    if args.agent in (None, "sac"):
        print(f"[INFO] agent: {agent.name}")
    check_agent_overrides(task, agent.entry_point, overrides)
    overrides = engine_overrides(task, device, overrides)

    command = ["--task", task, "--agent", agent.entry_point, "--device", device]
    num_envs = args.num_envs or (agent.num_envs_cpu if device == "cpu" else agent.num_envs_gpu)
    if num_envs is not None:
        command += ["--num_envs", str(num_envs)]
    if checkpoint is not None:
        command += ["--checkpoint", checkpoint]
    if args.bounds is not None:
        if args.resume is not None:
            raise ConfigError("--bounds cannot be changed on --resume: they are part of the policy")
        if not agent.is_sb3 and "_sac_" not in agent.entry_point:
            raise ConfigError(f"--bounds is for SAC and the agents of SBX; agent '{agent.name}' has none")
        options = "agent." if agent.is_sb3 else "agent.algorithm."
        overrides.append(f"{options}action_bounds={args.bounds.removeprefix('±')}")
    if "--video" in flags and not any(flag.startswith("--vi") and flag[:5] != "--vid" for flag in flags):
        command += ["--viz", "newton_gl"]
    if not agent.is_sb3 and not any(item.startswith("agent.device=") for item in overrides):
        overrides.append(f"agent.device={device}")
    with _folder_of_its_own(task, agent, rest) as timestamp:
        command += [*timestamp, *flags, *overrides]
        if agent.is_sb3:
            from isaaclab_offpolicy.runners.sbx import training

            training.run(command, max_time=args.max_time)
        else:
            run(command, max_time=args.max_time, verbose=args.full_log)


@contextmanager
def _folder_of_its_own(task: str, agent: AgentSpec, rest: Sequence[str]) -> Iterator[list[str]]:
    """Make the run's folder, and give the option that names it; a folder that stayed empty goes away."""
    from isaaclab_tasks.utils import load_cfg_from_registry

    from isaaclab_offpolicy.agents.overrides import option
    from isaaclab_offpolicy.training.runs import new_run

    if "--distributed" in rest or option(rest, "--run_timestamp", "--run_timestamp") is not None:
        # several processes share one folder
        yield []
        return
    experiment = option(rest, "--experiment_name", "agent.experiment_name")
    if experiment is None:
        agent_cfg: Any = load_cfg_from_registry(task, agent.entry_point)
        experiment = agent_cfg.experiment_name
    root = Path("logs", agent.folder, experiment)
    folder, stamp = new_run(root, option(rest, "--run_name", "agent.run_name") or "")
    try:
        yield ["--run_timestamp", stamp]
    except UserError:
        # a training that the user could not start leaves nothing behind
        if not any(any(folder.glob(pattern)) for pattern in ("progress.csv", "model_*", "best.*", "replay_*")):
            shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        with suppress(OSError):
            folder.rmdir()


def run(command: Sequence[str], max_time: float | None = None, verbose: bool = False) -> None:
    """Run Isaac Lab's rsl_rl training with the project's runner.

    Args:
        command: Arguments of ``isaaclab train --rl_library rsl_rl``.
        max_time: Wall-clock limit of the training [s].
        verbose: Whether to print rsl_rl's block of every iteration in place of a line.
    """
    from isaaclab_rl.entrypoints.backends import train_rsl_rl
    from isaaclab_rl.entrypoints.common import preserve_attribute

    from .differences import checked_configs, create_runner

    print(f"[INFO] isaaclab train --rl_library rsl_rl {' '.join(command)}")
    with preserve_attribute(train_rsl_rl, "create_rsl_rl_runner"), checked_configs(train_rsl_rl):
        train_rsl_rl.create_rsl_rl_runner = partial(create_runner, max_time=max_time, verbose=verbose)  # type: ignore[assignment]
        train_rsl_rl.run(list(command))
