# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""In which constant pose does a robot collect most of its task's reward, and action bounds around it.

A default pose is not always a good one to start from: under its weight the robot may sink below the height that the
task rewards, and where standing costs more than falling, a policy learns to fall. This searches the constant actions,
left and right alike, with the cross-entropy method (Rubinstein 1999), prints how the best pose compares with the
default one, and writes a bounds file: targets within ``--radius`` of it. SAC starts in the middle of its bounds
with ``agent.actor.distribution_cfg.init_at_zero=false``. ``--noise`` asks for a pose that bears exploration. Example::

    scripts/tools/find_stance.py --task Isaac-Velocity-Flat-Unitree-Go2-v0 --radius 0.25 --out stance.yaml
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import torch

from isaaclab_offpolicy.action_bounds import JOINT_LIMITS, ActionBounds, BoundsError, action_bounds
from isaaclab_offpolicy.action_bounds.environment import action_scale_and_offset, robot_mirror
from isaaclab_offpolicy.agents.configuration import resolve
from isaaclab_offpolicy.agents.registry import find_agent
from isaaclab_offpolicy.cli.main import guard
from isaaclab_offpolicy.engine import check_device
from isaaclab_offpolicy.errors import UserError
from isaaclab_offpolicy.evaluation import velocity_tracking
from isaaclab_offpolicy.exploration import HeldNoise
from isaaclab_offpolicy.options import positive_int
from isaaclab_offpolicy.runners.simulation import running_task

ELITE = 0.1
"""Fraction of the poses from which the next generation is drawn."""

KEPT = 0.3
"""Fraction of the old spread in the new one, so that it does not close too soon."""


NOISE_HOLD = 10
"""Env steps for which noise is held, as SAC's is on a machine without a GPU."""


def rewards_of(
    env: Any, actions: torch.Tensor, steps: int, noise_std: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Hold actions from a reset on.

    Args:
        env: The wrapped environment with N environments.
        actions: Constant actions [raw action units], shape [N, A].
        steps: Env steps.
        noise_std: Size of the noise that is added [raw action units], shape [A].

    Returns:
        Mean reward per step, whether the robot stayed up, and the mean height of its base [m], shape [N] each;
        the height is NaN in a task without a velocity command.
    """
    total = torch.zeros_like(actions[:, 0])
    up = torch.ones_like(total, dtype=torch.bool)
    measure = velocity_tracking(env.unwrapped)
    height = torch.full_like(total, 0.0 if measure else torch.nan)
    noise = HeldNoise(actions.shape[0], actions.shape[1], NOISE_HOLD, device=actions.device)
    with torch.inference_mode():
        env.reset()
        for _ in range(steps):
            _, rewards, dones, _ = env.step(actions + noise_std * noise.sample())
            total += rewards
            up &= ~dones.bool()
            if measure is not None:
                height += measure()["base_height"]
    return total / steps, up, height / steps


def search(env: Any, steps: int, generations: int, spread: float, noise: float) -> torch.Tensor:
    """The best constant action [raw action units], shape [A].

    Args:
        env: The wrapped environment.
        steps: Env steps for which an action is held.
        generations: Number of generations.
        spread: Standard deviation of the first one [rad].
        noise: Standard deviation of the noise around a pose [rad].
    """
    device = env.device
    limits = action_bounds(env, JOINT_LIMITS)
    scale, low, high = (
        torch.tensor(x, device=device) for x in (action_scale_and_offset(env)[0], limits.low, limits.high)
    )
    mirror = robot_mirror(env)
    index, sign = torch.tensor(mirror.index, device=device), torch.tensor(mirror.sign, device=device)
    mean, std = torch.zeros_like(scale), spread / scale
    for generation in range(generations):
        draw = torch.randn(env.num_envs, len(scale), device=device)
        # its half that is left-right symmetric; the other half has as much of the variance
        draw = (draw + sign * draw[:, index]) / 2**0.5
        actions = torch.clamp(mean + std * draw, low, high)
        score, up, _ = rewards_of(env, actions, steps, noise / scale)
        score = torch.where(up, score, -torch.inf)
        count = max(2, min(round(ELITE * env.num_envs), int(up.sum())))
        if int(up.sum()) < 2:
            raise UserError("hardly any robot stays up; give a smaller --spread")
        elite = actions[score.topk(count).indices]
        mean, std = elite.mean(dim=0), KEPT * std + (1.0 - KEPT) * elite.std(dim=0)
        print(
            f"generation {generation + 1}: {100 * up.float().mean():.0f} % stay up, reward of the best tenth"
            f" {score.topk(count).values.mean() / env.unwrapped.step_dt:.3f} per second",
            flush=True,
        )
    return (mean + sign * mean[index]) / 2


def parser() -> argparse.ArgumentParser:
    """The command line's parser."""
    result = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("--task", required=True, help="Task.")
    result.add_argument("--radius", type=float, default=0.25, help="Half-range of the targets [rad]; default 0.25.")
    result.add_argument("--spread", type=float, default=0.25, help="Spread of the first poses [rad]; default 0.25.")
    result.add_argument(
        "--noise", type=float, default=0.0,
        help="Noise that the pose has to bear [rad], held for 10 steps as SAC's; default 0.",
    )  # fmt: skip
    result.add_argument("--generations", type=positive_int, default=6, help="Default 6.")
    result.add_argument("--seconds", type=float, default=4.0, help="Time for which a pose is held [s]; default 4.")
    result.add_argument("--num_envs", type=positive_int, default=256, help="Poses of a generation; default 256.")
    result.add_argument("--device", help="cpu or cuda:N; found when not given.")
    result.add_argument("--out", type=Path, help="Bounds file to write.")
    result.add_argument("overrides", nargs="*", help="Overrides such as physics=newton_mjwarp.")
    return result


def main() -> None:
    """Search, compare, and write."""
    args = parser().parse_intermixed_args()
    if args.radius <= 0.0 or args.spread <= 0.0 or args.seconds <= 0.0 or args.noise < 0.0:
        raise UserError("--radius, --spread and --seconds must be above zero, --noise not below it")
    key, device = find_agent(args.task, "ppo").entry_point, check_device(args.device)
    overrides = resolve(args.task, key, device, args.overrides).overrides
    torch.manual_seed(1)
    try:
        with running_task(args.task, key, args.num_envs, device, 1, overrides) as (env, _):
            steps = max(1, round(args.seconds / env.unwrapped.step_dt))
            best = search(env, steps, args.generations, args.spread, args.noise)
            limits = action_bounds(env, JOINT_LIMITS)
            scales, poses = action_scale_and_offset(env)
            results, std = {}, args.noise / torch.tensor(scales, device=best.device)
            for name, action in {"default pose": torch.zeros_like(best), "this pose": best}.items():
                reward, up, height = rewards_of(env, action.expand(env.num_envs, -1), steps, std)
                results[name] = float(reward.mean()) / env.unwrapped.step_dt
                print(
                    f"{name:>12}: reward {results[name]:.3f} per second,"
                    f" {100 * up.float().mean():.0f} % stay up, base at {height.mean():.3f} m"
                )
            for joint, action, scale, pose in zip(limits.joint_names, best.tolist(), scales, poses, strict=True):
                print(f"  {joint:<20} action {action:6.2f}, target {pose + scale * action:6.2f} rad")
            if args.out:
                half = [args.radius / scale for scale in scales]
                middle = [round(action, 3) for action in best.tolist()]
                bounds = ActionBounds(
                    limits.joint_names,
                    tuple(round(m - h, 3) for m, h in zip(middle, half, strict=True)),
                    tuple(round(m + h, 3) for m, h in zip(middle, half, strict=True)),
                    f"±{args.radius:g} rad about the constant pose that {args.task} rewards most",
                    {
                        "task": args.task,
                        "noise": args.noise,
                        "reward_per_second": {name: round(value, 3) for name, value in results.items()},
                    },
                    limits.action_scale,
                    limits.default_pose,
                )
                try:
                    bounds.to_yaml(args.out)
                except OSError as error:
                    raise UserError(f"{args.out} could not be written: {error.strerror}") from None
                print(f"[INFO] {args.out}")
    except BoundsError as error:
        raise UserError(str(error)) from None


if __name__ == "__main__":
    sys.exit(guard(main))
