# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""``scripts/record_ppo_actions.py``: action bounds from what a trained PPO policy commands."""

from __future__ import annotations

import argparse
import datetime
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from isaaclab_offpolicy.errors import ConfigError
from isaaclab_offpolicy.options import positive_int

from .arguments import add_policy_arguments, command_parser, parse, refuse

if TYPE_CHECKING:
    import numpy as np

    from isaaclab_offpolicy.action_bounds.recording import ActionRecorder


def parser() -> argparse.ArgumentParser:
    """The command line's parser; ``key=value`` arguments are Isaac Lab's overrides."""
    result = command_parser(
        "record",
        "Play a trained policy as it was trained, record what it commands, and write the percentiles as a"
        " bounds file, with a picture beside it.",
        """
        --task Isaac-Velocity-Flat-Unitree-A1-v0 --symmetric
        --task Isaac-Velocity-Rough-Anymal-C-v0 --warm_up 2000 --out anymal.yaml
        """,
    )
    add_policy_arguments(result, num_envs=64, agent="ppo")
    result.add_argument(
        "--percentiles", nargs=2, type=float, default=[2.5, 97.5], metavar=("LOW", "HIGH"), help="Default 2.5 97.5."
    )
    result.add_argument("--steps", type=positive_int, default=1000, help="Env steps; default 1000, one episode.")
    result.add_argument(
        "--warm_up", type=positive_int, default=0, metavar="N",
        help="Env steps before those, in which the curriculum of rough terrain settles.",
    )  # fmt: skip
    result.add_argument("--actions", choices=["sampled", "mean"], default="sampled", help="Default sampled.")
    result.add_argument("--symmetric", action="store_true", help="Make the bounds left-right symmetric.")
    result.add_argument(
        "--out", type=Path, help="Bounds file to write; default action_bounds.yaml beside the checkpoint."
    )
    result.add_argument("--raw", type=Path, help="NPZ file for all actions; takes memory that grows with the steps.")
    result.add_argument("overrides", nargs="*", help="Overrides such as physics=newton_mjwarp.")
    return result


def main(argv: Sequence[str] | None = None) -> None:
    """Record as the command line says.

    Raises:
        ConfigError: With one line that says what is wrong.
    """
    args, rest, overrides = parse(parser(), argv)
    refuse([*args.overrides, *rest], parser())
    from isaaclab_offpolicy.action_bounds import BoundsError
    from isaaclab_offpolicy.training.provenance import package_versions

    from .checkpoints import check_policy_run

    # PPO, where nobody says otherwise and the newest run is another agent's
    args.agent = args.agent or ("ppo" if args.checkpoint in ("latest", "best") else None)
    low, high = args.percentiles
    if not 0.0 <= low < high <= 100.0:
        raise ConfigError(f"--percentiles are two numbers from 0 to 100, the lower first, not {low:g} {high:g}")
    task_name, agent, device, checkpoint, overrides = check_policy_run(args, overrides, default="ppo")
    out: Path = args.out or Path(checkpoint).parent / "action_bounds.yaml"
    picture = out.with_suffix(".png")
    if picture == out:
        raise ConfigError(f"--out {out} is where the picture goes; the bounds file is one of YAML")
    # not after hours of recording
    for file in (out, args.raw or out):
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{file} could not be written: {error.strerror}") from None
    try:
        recorder, task, limits = record(args, agent.entry_point, checkpoint, device, overrides)
        info = {
            "task": task_name,
            "agent": agent.name,
            "actions": args.actions,
            "engine": task.engine,
            "checkpoint_sha256": hashlib.sha256(Path(checkpoint).read_bytes()).hexdigest(),
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "versions": {name: version for name, version in package_versions().items() if version},
        }
        source = f"{low:g} and {high:g} percentiles of the {args.actions} actions of '{agent.name}' on {task_name}"
        bounds = recorder.bounds((low, high), source, info, task.action_scale, task.default_pose)
    except BoundsError as error:
        raise ConfigError(str(error)) from None
    try:
        bounds.to_yaml(out)
        recorder.plot(picture, bounds, limits, f"{task_name}, {args.actions} actions")
    except OSError as error:
        raise ConfigError(f"{error.filename or out} could not be written: {error.strerror}") from None
    for name, smallest, largest in zip(bounds.joint_names, bounds.low, bounds.high, strict=True):
        print(f"  {name:<20}[{smallest:7.3f}, {largest:7.3f}]")
    print(f"[INFO] {bounds.info['samples']} actions; {out}, {picture.name}")


class Task(NamedTuple):
    """What is to be known of the task when its simulation has ended."""

    engine: str
    action_scale: list[float]
    default_pose: list[float]


def record(
    args: argparse.Namespace, key: str, checkpoint: str, device: str, overrides: list[str]
) -> tuple[ActionRecorder, Task, dict[str, tuple[float, float]]]:
    """Play the policy.

    Returns:
        The recorder; the task; by joint, what its position limits are in actions, where it has any.

    Raises:
        BoundsError: If the actions are no joint positions, an action is not finite, or left and right are not known.
        ConfigError: If the raw actions could not be written.
    """
    import numpy as np
    import torch
    from tqdm import trange

    from isaaclab_offpolicy.action_bounds import action_joint_names, action_scale_and_offset, robot_mirror
    from isaaclab_offpolicy.action_bounds.recording import ActionRecorder
    from isaaclab_offpolicy.engine.defaults import engine_name
    from isaaclab_offpolicy.runners.simulation import load_policy, running_task

    with running_task(args.task, key, args.num_envs, device, args.seed, overrides) as (env, agent_cfg):
        names = action_joint_names(env)
        task = Task(engine_name(env.unwrapped.cfg.sim.physics), *action_scale_and_offset(env))
        limits = _limits(env)
        recorder = ActionRecorder(names, robot_mirror(env) if args.symmetric else None, device=device)
        policy = load_policy(env, agent_cfg, checkpoint)
        raw: list[np.ndarray] = []
        with torch.inference_mode():
            obs, _ = env.reset()
            for step in trange(args.warm_up + args.steps, desc="recording", unit="step", mininterval=1.0):
                actions = policy(obs, stochastic_output=args.actions == "sampled")
                if step >= args.warm_up:
                    recorder.add(actions)
                    if args.raw:
                        raw.append(actions.cpu().numpy())
                obs, *_ = env.step(actions)
        if args.raw:
            try:
                np.savez(args.raw, actions=np.concatenate(raw), joint_names=np.array(names))
            except OSError as error:
                raise ConfigError(f"{args.raw} could not be written: {error.strerror}") from None
        return recorder, task, limits


def _limits(env: Any) -> dict[str, tuple[float, float]]:
    """Position limits of the joints [raw action units]; none if a joint has none."""
    from isaaclab_offpolicy.action_bounds import JOINT_LIMITS, BoundsError, action_bounds

    try:
        bounds = action_bounds(env, JOINT_LIMITS)
    except BoundsError:
        return {}
    return dict(zip(bounds.joint_names, zip(bounds.low, bounds.high, strict=True), strict=True))
