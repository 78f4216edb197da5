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
from typing import NamedTuple

from isaaclab_offpolicy.agents.table import AgentSpec
from isaaclab_offpolicy.errors import ConfigError, UserError
from isaaclab_offpolicy.options import count, duration, duration_or_off, positive_int

from .arguments import (
    add_task_arguments,
    add_terrain_argument,
    check_isaaclab_flags,
    command_parser,
    parse,
    terrain_overrides,
)


def parser() -> argparse.ArgumentParser:
    """The command line's parser; what it does not know goes on to Isaac Lab's ``train``."""
    result = command_parser(
        "train",
        "Train a policy. Other arguments, such as --video, physics=ENGINE, agent.OPTION=VALUE and env.OPTION=VALUE, go"
        " on to Isaac Lab's train (isaaclab train --help).",
        """
        --task Isaac-Velocity-Flat-Unitree-A1-v0 --max_time 15m
        --task Isaac-Velocity-Rough-Anymal-C-v0 --agent sac --num_envs 1024 agent.algorithm.n_steps=3
        --task Isaac-Velocity-Flat-Unitree-A1-v0 --resume latest
        """,
    )
    add_task_arguments(result)
    result.add_argument("--num_envs", type=positive_int, help="Number of environments; default the agent's.")
    result.add_argument("--max_iterations", type=positive_int, metavar="N", help="Iterations; default the agent's.")
    result.add_argument("--run_name", metavar="NAME", help="Appended to the name of the run's folder.")
    result.add_argument("--max_time", type=duration, help="Wall-clock limit of the training: 90s, 10m, 1.5h.")
    result.add_argument(
        "--step_limit",
        type=duration_or_off,
        help="Time after which an env step that does not return ends it with status 75: 60s (default), 5m, off.",
    )
    result.add_argument(
        "--restarts",
        type=count,
        default=0,
        metavar="N",
        help="How often a training that hung or crashed goes on from its last checkpoint, in a new run."
        " --max_time counts over all.",
    )
    result.add_argument("--restarted_from", help=argparse.SUPPRESS)
    result.add_argument("--full_log", action="store_true", help="Print rsl_rl's block of every iteration, not a line.")
    add_terrain_argument(result)
    result.add_argument("--resume", metavar="latest|best|PATH", help="Go on from a checkpoint.")
    result.add_argument(
        "--bounds", metavar="SPEC", help="Action bounds: percentile, symmetric, joint-limits, X, Xrad, NAME or FILE."
    )
    return result


class Training(NamedTuple):
    """A training that may begin."""

    args: argparse.Namespace
    """What the command line says."""

    agent: AgentSpec
    """The agent."""

    experiment: str
    """Folder of the runs."""

    command: list[str]
    """Isaac Lab's arguments."""


def prepare(argv: Sequence[str] | None = None) -> Training:
    """Check a command line, and find what it leaves open.

    Raises:
        ConfigError: With one line that says what is wrong.
    """
    own = parser()
    args, rest, overrides = parse(own, argv)
    from isaaclab_offpolicy.agents.configuration import check_sizes, resolve
    from isaaclab_offpolicy.agents.overrides import check_contradictions, value_of, without_option
    from isaaclab_offpolicy.agents.registry import check_task, find_agent
    from isaaclab_offpolicy.engine import check_device

    from .checkpoints import check_checkpoint, find_policy
    from .run_options import options_of_run

    if args.restarted_from is not None:
        # the bounds are the checkpoint's, and the run has a folder of its own
        args.resume, args.bounds, args.terrain = args.restarted_from, None, None
        rest = without_option(rest, "--run_timestamp")
    task, device = check_task(args.task), check_device(args.device)
    learner = check_device(value_of(overrides, "agent.device") or device)
    checkpoint = None
    if args.resume is None:
        agent = find_agent(task, args.agent or "sac", learner)
    else:
        if args.agent is not None:
            find_agent(task, args.agent, learner)  # says what is wrong with it
        checkpoint, agent = find_policy(args.resume, task, args.agent, learner, args.experiment_name)
    check_isaaclab_flags(rest, own, "train", agent.is_sb3)
    if args.bounds is not None:
        if args.resume is not None:
            raise ConfigError("--bounds cannot be changed on --resume: they are part of the policy")
        if not agent.is_sb3 and not agent.is_sac:
            raise ConfigError(f"--bounds is for SAC and the agents of SBX; agent '{agent.name}' has none")
        options = "agent." if agent.is_sb3 else "agent.algorithm."
        overrides.append(f"{options}action_bounds={args.bounds.removeprefix('±')}")
        check_contradictions(overrides)
    num_envs = args.num_envs or (agent.num_envs_cpu if device == "cpu" else agent.num_envs_gpu)
    if not agent.is_sb3 and learner == device:
        overrides.append(f"agent.device={device}")
    if checkpoint is not None:
        overrides += options_of_run(checkpoint, task, agent, overrides, training=True)
    env_cfg, agent_cfg, overrides = resolve(task, agent.entry_point, device, overrides)
    overrides += terrain_overrides(env_cfg, args.terrain)
    check_sizes(agent_cfg, num_envs or env_cfg.scene.num_envs)
    if checkpoint is not None:
        check_checkpoint(checkpoint, agent, agent_cfg)

    command = ["--task", task, "--agent", agent.entry_point, "--device", device]
    flags = {"num_envs": num_envs, "checkpoint": checkpoint}
    flags |= {name: getattr(args, name) for name in ("seed", "max_iterations", "experiment_name", "run_name")}
    for name, value in flags.items():
        command += [] if value is None else [f"--{name}", str(value)]
    if "--video" in rest and not any(flag.startswith("--vi") and flag[:5] != "--vid" for flag in rest):
        command += ["--viz", "newton_gl"]
    return Training(args, agent, args.experiment_name or agent_cfg.experiment_name, [*command, *rest, *overrides])


def main(argv: Sequence[str] | None = None) -> None:
    """Train as the command line says.

    Raises:
        ConfigError: With one line that says what is wrong.
    """
    training = prepare(argv)
    args, agent = training.args, training.agent
    from isaaclab_offpolicy.runners.simulation import collect_garbage_rarely

    collect_garbage_rarely()
    if args.agent in (None, "sac"):
        print(f"[INFO] agent: {agent.name}")
    with _folder_of_its_own(training) as timestamp:
        command = [*training.command, *timestamp]
        if agent.is_sb3:
            from isaaclab_offpolicy.runners.sbx import training as sbx_training

            sbx_training.run(command, max_time=args.max_time, step_limit=args.step_limit)
        else:
            run(command, max_time=args.max_time, verbose=args.full_log, step_limit=args.step_limit)


@contextmanager
def _folder_of_its_own(training: Training) -> Iterator[list[str]]:
    """Make the run's folder, and give the option that names it; a folder that stayed empty goes away."""
    from isaaclab_offpolicy.training.runs import new_run

    if any(item.partition("=")[0] in ("--distributed", "--run_timestamp") for item in training.command):
        # several processes share one folder
        yield []
        return
    root = Path("logs", training.agent.folder, training.experiment)
    folder, stamp = new_run(root, training.args.run_name or "")
    try:
        yield ["--run_timestamp", stamp]
    except UserError:
        # a training that the user could not start leaves nothing behind
        if not any(any(folder.glob(pattern)) for pattern in ("progress.csv", "model_*", "replay_*")):
            shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        with suppress(OSError):
            folder.rmdir()


def run(
    command: Sequence[str], max_time: float | None = None, verbose: bool = False, step_limit: float | None = None
) -> None:
    """Run Isaac Lab's rsl_rl training with the project's runner.

    Args:
        command: Arguments of ``isaaclab train --rl_library rsl_rl``.
        max_time: Wall-clock limit of the training [s].
        verbose: Whether to print rsl_rl's block of every iteration in place of a line.
        step_limit: Time that an env step may take [s], in place of the configuration's.
    """
    from isaaclab_rl.entrypoints.backends import train_rsl_rl
    from isaaclab_rl.entrypoints.common import preserve_attribute

    from .differences import checked_configs, create_runner

    print(f"[INFO] isaaclab train --rl_library rsl_rl {' '.join(command)}")
    with preserve_attribute(train_rsl_rl, "create_rsl_rl_runner"), checked_configs(train_rsl_rl):
        options = {"max_time": max_time, "verbose": verbose, "step_limit": step_limit}
        train_rsl_rl.create_rsl_rl_runner = partial(create_runner, **options)  # type: ignore[assignment]
        train_rsl_rl.run(list(command))
