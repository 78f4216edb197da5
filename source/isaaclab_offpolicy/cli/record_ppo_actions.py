# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""``scripts/record_ppo_actions.py``: action bounds from what a trained PPO policy commands."""

from __future__ import annotations

import argparse
import datetime
import hashlib
import importlib.metadata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from isaaclab_offpolicy.action_bounds import BoundsError

from .arguments import (
    CliError,
    add_task_arguments,
    check_agent_overrides,
    check_device,
    check_task_and_agent,
    engine_overrides,
    find_checkpoint,
    positive_int,
)


def parser() -> argparse.ArgumentParser:
    """The command line's parser; ``key=value`` arguments are Isaac Lab's overrides."""
    result = argparse.ArgumentParser(
        prog="record_ppo_actions.py",
        description="Play a trained policy as it was trained, record what it commands, and write the percentiles as a"
        " bounds file, with a picture beside it.",
    )
    add_task_arguments(result)
    result.set_defaults(agent="ppo")
    result.add_argument("--checkpoint", default="latest", metavar="latest|best|PATH", help="Default latest.")
    result.add_argument(
        "--percentiles", nargs=2, type=float, default=[2.5, 97.5], metavar=("LOW", "HIGH"), help="Default 2.5 97.5."
    )
    result.add_argument("--steps", type=positive_int, default=1000, help="Vector steps; default 1000, one episode.")
    result.add_argument("--num_envs", type=positive_int, default=64, help="Number of environments; default 64.")
    result.add_argument("--actions", choices=["sampled", "mean"], default="sampled", help="Default sampled.")
    result.add_argument("--symmetric", action="store_true", help="Make the bounds left-right symmetric.")
    result.add_argument("--seed", type=int, default=1, help="Seed of the environment; default 1.")
    result.add_argument(
        "--out", type=Path, help="Bounds file to write; default action_bounds.yaml beside the checkpoint."
    )
    result.add_argument("--raw", type=Path, help="NPZ file for all actions; takes memory that grows with the steps.")
    result.add_argument("overrides", nargs="*", help="Overrides such as physics=newton_mjwarp.")
    return result


def main(argv: Sequence[str] | None = None) -> None:
    """Record as the command line says.

    Raises:
        CliError: With one line that says what is wrong.
    """
    args = parser().parse_intermixed_args(argv)
    low, high = args.percentiles
    if not 0.0 <= low < high <= 100.0:
        raise CliError(f"--percentiles are two numbers from 0 to 100, the lower first, not {low:g} {high:g}")
    key = check_task_and_agent(args.task, args.agent)
    device = check_device(args.device)
    checkpoint = find_checkpoint(args.checkpoint, args.task, key)
    check_agent_overrides(args.task, key, args.overrides)
    overrides = engine_overrides(args.task, device, args.overrides)
    out: Path = args.out or Path(checkpoint).parent / "action_bounds.yaml"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        recorder, limits, facts = record(args, key, checkpoint, device, overrides)
        info = {
            "task": args.task,
            "agent": args.agent,
            "actions": args.actions,
            **facts,
            "checkpoint_sha256": hashlib.sha256(Path(checkpoint).read_bytes()).hexdigest(),
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "versions": {name: importlib.metadata.version(name) for name in ("isaaclab_offpolicy", "isaaclab")},
        }
        source = f"{low:g} and {high:g} percentiles of the {args.actions} actions of '{args.agent}' on {args.task}"
        bounds = recorder.bounds((low, high), source, info)
        bounds.to_yaml(out)
        recorder.plot(out.with_suffix(".png"), bounds, limits, f"{args.task}, {args.actions} actions")
    except (BoundsError, ValueError) as error:
        raise CliError(str(error)) from None
    except OSError as error:
        raise CliError(f"{out} could not be written: {error.strerror}") from None
    for name, smallest, largest in zip(bounds.joint_names, bounds.low, bounds.high, strict=True):
        print(f"  {name:<20}[{smallest:7.3f}, {largest:7.3f}]")
    print(f"[INFO] {recorder.histogram.samples} actions; {out}, {out.with_suffix('.png').name}")


def record(
    args: argparse.Namespace, key: str, checkpoint: str, device: str, overrides: list[str]
) -> tuple[Any, dict[str, tuple[float, float]], dict[str, Any]]:
    """Play the policy.

    Returns:
        The recorder, the joint limits in policy units by joint, and facts about the task.
    """
    import gymnasium as gym
    from rsl_rl.runners import OnPolicyRunner
    from tqdm import trange

    from isaaclab.app import launch_simulation
    from isaaclab.utils import to_dict
    from isaaclab_rl.rsl_rl import RslRlVecEnvWrapper, check_rsl_rl_version, handle_deprecated_rsl_rl_cfg
    from isaaclab_tasks.utils import resolve_task_config

    from isaaclab_offpolicy.action_bounds import JOINT_LIMITS
    from isaaclab_offpolicy.action_bounds.recording import ActionRecorder
    from isaaclab_offpolicy.action_bounds.symmetry import mirror_joints
    from isaaclab_offpolicy.algorithms.environment import action_bounds, action_joint_names, action_scale_and_offset
    from isaaclab_offpolicy.robots.check import read_usd

    from .runner import load_checkpoint

    configs: tuple[Any, Any] = resolve_task_config(args.task, key, overrides=overrides)  # type: ignore[assignment]
    env_cfg, agent_cfg = configs
    handle_deprecated_rsl_rl_cfg(agent_cfg, check_rsl_rl_version())
    env_cfg.scene.num_envs, env_cfg.sim.device, env_cfg.seed = args.num_envs, device, args.seed
    agent_cfg.device = device
    with launch_simulation(env_cfg, {"device": device}):
        env = gym.make(args.task, cfg=env_cfg)
        try:
            wrapped = RslRlVecEnvWrapper(env, clip_actions=agent_cfg.clip_actions)  # type: ignore[arg-type]
            names = action_joint_names(wrapped)
            mirror = None
            if args.symmetric:
                mirror = mirror_joints(names, read_usd(env_cfg.scene.robot.spawn.usd_path).axes)
            recorder = ActionRecorder(names, mirror, device=device)
            runner = OnPolicyRunner(wrapped, to_dict(agent_cfg), log_dir=None, device=device)
            load_checkpoint(runner.load, checkpoint, None, True, device)
            policy = runner.get_inference_policy(device=device)
            raw: list[np.ndarray] = []
            with torch.inference_mode():
                obs, _ = wrapped.reset()
                for _ in trange(args.steps, desc="recording", unit="step", mininterval=1.0):
                    actions = policy(obs, stochastic_output=args.actions == "sampled")
                    recorder.add(actions)
                    if args.raw:
                        raw.append(actions.cpu().numpy())
                    obs, *_ = wrapped.step(actions)
            if args.raw:
                np.savez(args.raw, actions=np.concatenate(raw), joint_names=np.array(names))
            within = action_bounds(wrapped, JOINT_LIMITS)
            limits = {
                name: (low, high) for name, low, high in zip(within.joint_names, within.low, within.high, strict=True)
            }
            scale, offset = action_scale_and_offset(wrapped)
            facts = {
                "engine": next(
                    (item.partition("=")[2] for item in overrides if item.startswith("physics=")), "default"
                ),
                "action_scale": {name: round(value, 6) for name, value in zip(names, scale, strict=True)},
                "default_pose": {name: round(value, 6) for name, value in zip(names, offset, strict=True)},
            }
            return recorder, limits, facts
        finally:
            env.close()


if __name__ == "__main__":
    main()
