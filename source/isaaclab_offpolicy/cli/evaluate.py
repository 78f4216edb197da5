# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""``scripts/evaluate.py``: deterministic evaluation of a checkpoint."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from isaaclab_offpolicy.errors import ConfigError
from isaaclab_offpolicy.options import positive_int, share

from .arguments import add_policy_arguments, command_parser, parse, refuse

MARK = "[evaluate]"
"""Begins the lines that tell its progress."""


def parser() -> argparse.ArgumentParser:
    """The command line's parser; ``key=value`` arguments are Isaac Lab's overrides."""
    result = command_parser(
        "evaluate",
        "Evaluate a checkpoint with deterministic actions, in the task as it is trained.",
        """
        --task Isaac-Velocity-Flat-Unitree-A1-v0
        --task Isaac-Velocity-Flat-Unitree-A1-v0 --checkpoint best --episodes 512 --seed 2
        --task Isaac-Velocity-Rough-Anymal-C-v0 --by-terrain --episodes 1024
        """,
    )
    add_policy_arguments(result, num_envs=256)
    result.add_argument("--episodes", type=positive_int, default=256, help="Number of episodes; default 256.")
    result.add_argument(
        "--clip",
        metavar="BOUNDS",
        help="Clip the actions to bounds first: percentile (those of sac), symmetric, joint-limits, X, Xrad, NAME or"
        " FILE. Shows what bounds would leave of a policy that was trained without them.",
    )
    result.add_argument(
        "--by-terrain",
        action="store_true",
        help="Spread the robots over all kinds and levels of a rough terrain, and show the success on each.",
    )
    result.add_argument(
        "--difficulty", type=share, help="Level of rough terrain, from 0 to 1; default all. With --by-terrain."
    )
    result.add_argument("--out", type=Path, help="JSON file to write; default evaluation.json beside the checkpoint.")
    result.add_argument("overrides", nargs="*", help="Overrides such as physics=newton_mjwarp.")
    return result


def main(argv: Sequence[str] | None = None) -> None:
    """Evaluate as the command line says, print the result and write it.

    Raises:
        ConfigError: With one line that says what is wrong.
    """
    args, rest, overrides = parse(parser(), argv)
    refuse([*args.overrides, *rest], parser())
    from .checkpoints import check_policy_run

    task, agent, device, checkpoint, overrides = check_policy_run(args, overrides)
    out: Path = args.out or Path(checkpoint).parent / "evaluation.json"
    if args.difficulty is not None and not args.by_terrain:
        raise ConfigError("--difficulty goes with --by-terrain")
    num_envs = min(args.num_envs, args.episodes)
    result: dict[str, Any] = {
        "task": task, "agent": agent.name, "checkpoint": checkpoint, "device": device, "seed": args.seed,
        "overrides": overrides, "num_envs": num_envs, "clip": args.clip,
    }  # fmt: skip
    result |= run(
        task, agent.entry_point, checkpoint, args.episodes, num_envs, device, args.seed, overrides, clip=args.clip,
        by_terrain=args.by_terrain, difficulty=args.difficulty,
    )  # fmt: skip
    print(
        f"{result['episodes']} episodes: return {result['return_mean']:.2f} ± {result['return_std']:.2f}"
        " (95 % interval of the mean {:.2f} to {:.2f}),".format(*result["return_ci95"])
        + f" length {result['length_mean']:.0f} steps, survival rate {100 * result['survival_rate']:.1f} %"
    )
    if "velocity_error" in result:
        print(
            f"velocity: {result['velocity_error']:.2f} m/s from the command of {result['commanded_speed']:.2f} m/s,"
            f" {result['yaw_rate_error']:.2f} rad/s from the commanded yaw rate; speed {result['speed']:.2f} m/s,"
            f" base at {result['base_height']:.2f} m"
        )
        print(
            f"motion: {result['power']:.0f} W, action rate {result['action_rate']:.2f},"
            f" jerk {result['jerk']:.0f} rad/s³"
        )
    if args.by_terrain:
        from isaaclab_offpolicy.evaluation.terrain import table_of

        print(table_of(result["by_terrain"]))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        if args.by_terrain:
            from isaaclab_offpolicy.evaluation.terrain import heat_map

            heat_map(result["by_terrain"], out.with_suffix(".png"))
    except OSError as error:
        raise ConfigError(f"{out} could not be written: {error.strerror}") from None
    print(f"[INFO] {out}")


def run(
    task: str,
    agent_key: str,
    checkpoint: str,
    episodes: int,
    num_envs: int,
    device: str,
    seed: int,
    overrides: list[str],
    adjust: Callable[[Any], None] | None = None,
    clip: str | None = None,
    by_terrain: bool = False,
    difficulty: float | None = None,
) -> dict[str, Any]:
    """Build the task, load the checkpoint and evaluate it.

    The arguments are those of :func:`~isaaclab_offpolicy.runners.simulation.running_task`.

    What ``clip`` names, as :func:`~isaaclab_offpolicy.action_bounds.action_bounds` takes it, clips the actions. With
    ``by_terrain`` the result has :func:`~isaaclab_offpolicy.evaluation.terrain.success_by_terrain`, at a ``difficulty``
    or over all levels.

    Raises:
        ConfigError: If these bounds cannot be found, or do not fit the task; or its terrain has no levels.
    """
    import gymnasium as gym
    import torch

    from isaaclab_tasks.utils import load_cfg_from_registry

    from isaaclab_offpolicy.action_bounds import BoundsError, action_bounds
    from isaaclab_offpolicy.agents.table import AGENTS
    from isaaclab_offpolicy.evaluation import evaluate, velocity_tracking
    from isaaclab_offpolicy.evaluation.terrain import freeze_curriculum, leaving, spread, success_by_terrain
    from isaaclab_offpolicy.runners.simulation import load_policy, running_task
    from isaaclab_offpolicy.training.progress import end_line, show_line
    from isaaclab_offpolicy.training.provenance import reproduction
    from isaaclab_offpolicy.training.watchdog import PULSE, STEP_LIMIT

    def prepared(env_cfg: Any) -> None:
        if by_terrain:
            freeze_curriculum(env_cfg)
        if adjust is not None:
            adjust(env_cfg)

    with running_task(task, agent_key, num_envs, device, seed, overrides, prepared) as (env, agent_cfg):
        policy = load_policy(env, agent_cfg, checkpoint)
        if clip is None:
            commanded = policy
        else:
            percentiles: tuple[Any, ...] = ()
            if AGENTS["sac-gpu"].entry_point in (gym.spec(task).kwargs or {}):
                # whatever agent is evaluated: the percentiles are the task's
                sac: Any = load_cfg_from_registry(task, AGENTS["sac-gpu"].entry_point)
                percentiles = sac.algorithm.percentile_bounds, sac.algorithm.percentile_bounds_scale
            try:
                bounds = action_bounds(env.unwrapped, clip, 1.0, *percentiles)
            except BoundsError as error:
                raise ConfigError(str(error)) from None
            low, high = (torch.tensor(side, device=device) for side in (bounds.low, bounds.high))

            def commanded(obs: Any) -> torch.Tensor:
                return policy(obs).clamp(low, high)

        start = time.monotonic()

        def report(ended: int) -> None:
            show_line(f"{MARK} {min(ended, episodes)} of {episodes} episodes after {time.monotonic() - start:.0f} s")

        PULSE.tell(checkpoint=checkpoint)
        PULSE.watch(STEP_LIMIT, **reproduction(env, seed))
        measure = velocity_tracking(env.unwrapped)
        if by_terrain:
            tiles = spread(env.unwrapped, difficulty)
            measure = leaving(env.unwrapped, tiles)
        evaluation = evaluate(env, commanded, episodes, measure, report)
        end_line()
        PULSE.end()
        result = evaluation.summary()
        if by_terrain:
            result["by_terrain"] = success_by_terrain(evaluation, tiles, env.unwrapped.max_episode_length_s)
        return result
