# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""How much exploration does a robot's default pose survive?

Runs a task with the mean action at zero, the default pose, and held Gaussian noise of several sizes, and prints return,
falls and the height of the base. What SAC starts with should be below the size at which robots begin to fall: a robot
that falls at first learns to crouch rather than to walk. Example::

    scripts/tools/survey_noise.py --task Isaac-Velocity-Flat-Unitree-A1-v0 --std 0 0.2 0.4 0.8
"""

from __future__ import annotations

import argparse
import sys

import torch

from isaaclab_offpolicy.agents.configuration import resolve
from isaaclab_offpolicy.agents.registry import find_agent
from isaaclab_offpolicy.cli.main import guard
from isaaclab_offpolicy.engine import check_device
from isaaclab_offpolicy.evaluation import evaluate, velocity_tracking
from isaaclab_offpolicy.exploration import HeldNoise
from isaaclab_offpolicy.options import positive_int
from isaaclab_offpolicy.runners.simulation import running_task


def parser() -> argparse.ArgumentParser:
    """The command line's parser."""
    result = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("--task", required=True, help="Task.")
    result.add_argument("--std", nargs="+", type=float, default=[0.0, 0.2, 0.4, 0.8], help="Sizes [raw action units].")
    result.add_argument("--noise_hold", type=positive_int, default=10, help="Steps for which noise is held.")
    result.add_argument("--num_envs", type=positive_int, default=64, help="Environments, and episodes of each size.")
    result.add_argument("--device", help="cpu or cuda:N; found when not given.")
    result.add_argument("overrides", nargs="*", help="Overrides such as env.episode_length_s=5.")
    return result


def main() -> None:
    """Run the survey."""
    args = parser().parse_intermixed_args()
    key, device = find_agent(args.task, "ppo").entry_point, check_device(args.device)

    overrides = resolve(args.task, key, device, args.overrides).overrides
    with running_task(args.task, key, args.num_envs, device, 1, overrides) as (env, _):
        probe = velocity_tracking(env.unwrapped)
        print(f"{'std [raw action units]':>18}{'return':>16}{'length':>8}{'survival rate':>16}{'base':>9}")
        for std in args.std:
            torch.manual_seed(0)
            noise = HeldNoise(args.num_envs, env.num_actions, args.noise_hold, device=device)
            policy = lambda _, noise=noise, std=std: std * noise.sample()  # noqa: E731
            result = evaluate(env, policy, args.num_envs, probe).summary()
            print(
                f"{std:>18.2f}{result['return_mean']:>8.2f} ± {result['return_std']:<5.2f}{result['length_mean']:>8.0f}"
                f"{100 * result['survival_rate']:>14.0f} %{result.get('base_height', float('nan')):>7.2f} m",
                flush=True,
            )


if __name__ == "__main__":
    sys.exit(guard(main))
