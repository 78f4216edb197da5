# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Compares an actuator network with the DC motor that takes its place.

Printed are the gains at rest, the response to a step, and, where asked for, what a trained policy reaches with either.

Examples, with the networks of the repositories legged_gym and walk-these-ways::

    scripts/tools/actuator_response.py anydrive anydrive_v3_lstm.pt
    scripts/tools/actuator_response.py go1 unitree_go1.pt --out go1.csv
    scripts/tools/actuator_response.py go1 unitree_go1.pt --task Isaac-Velocity-Flat-Unitree-Go1-v0 --checkpoint latest
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from isaaclab.actuators import ActuatorBase
from isaaclab.utils import replace
from isaaclab.utils.types import ArticulationActions
from isaaclab_assets.robots.anymal import ANYDRIVE_3_LSTM_ACTUATOR_CFG
from isaaclab_assets.robots.unitree import GO1_ACTUATOR_CFG

from isaaclab_offpolicy.cli.arguments import add_task_arguments, add_terrain_argument
from isaaclab_offpolicy.cli.checkpoints import check_policy_run
from isaaclab_offpolicy.cli.evaluate import run
from isaaclab_offpolicy.cli.main import guard
from isaaclab_offpolicy.options import positive_int
from isaaclab_offpolicy.robots.anydrive import ANYDRIVE_3_DC_MOTOR_CFG
from isaaclab_offpolicy.robots.unitree_go1 import GO1_DC_MOTOR_CFG

DT = 0.005
"""Time step of the velocity tasks [s]."""

DRIVES: dict[str, tuple[Any, Any, list[str], float]] = {
    "anydrive": (ANYDRIVE_3_LSTM_ACTUATOR_CFG, ANYDRIVE_3_DC_MOTOR_CFG, ["LF_HFE", "LF_HAA", "LF_KFE"], 0.3),
    "go1": (GO1_ACTUATOR_CFG, GO1_DC_MOTOR_CFG, ["FL_thigh_joint", "FL_hip_joint", "FL_calf_joint"], 0.05),
}
"""Network, DC motor, joints of a leg, of which the first is looked at, and about the leg's inertia [kg·m²]."""


def build(cfg: Any, joints: list[str]) -> ActuatorBase:
    """The actuators of one leg, without a history."""
    actuator = cfg.class_type(cfg, joint_names=joints, joint_ids=list(range(len(joints))), num_envs=1, device="cpu")
    actuator.reset([0])
    return actuator


def torque(actuator: ActuatorBase, target: float, position: float, velocity: float) -> float:
    """Torque of the first joint in one step [N·m]; the others do the same."""
    n = actuator.num_joints
    action = ArticulationActions(
        joint_positions=torch.full((1, n), target),
        joint_velocities=torch.zeros(1, n),
        joint_efforts=torch.zeros(1, n),
        joint_indices=list(range(n)),
    )
    action = actuator.compute(action, torch.full((1, n), position), torch.full((1, n), velocity))
    assert action.joint_efforts is not None
    return float(action.joint_efforts[0, 0])


def gains(cfg: Any, joints: list[str]) -> tuple[float, float]:
    """Stiffness [N·m/rad] and damping [N·m·s/rad]: slopes over small held errors and speeds, after 1 s."""

    def held(error: float, velocity: float) -> float:
        actuator = build(cfg, joints)
        return [torque(actuator, error, 0.0, velocity) for _ in range(int(1.0 / DT))][-1]

    errors, speeds = np.array([-0.3, -0.2, -0.1, 0.1, 0.2, 0.3]), np.array([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0])
    stiffness = np.polyfit(errors, [held(error, 0.0) for error in errors], 1)[0]
    damping = -np.polyfit(speeds, [held(0.0, speed) for speed in speeds], 1)[0]
    return float(stiffness), float(damping)


def step_response(cfg: Any, joints: list[str], inertia: float, step: float = 0.3, duration: float = 0.5) -> np.ndarray:
    """Position [rad] over time of a free inertia [kg·m²] whose target jumps by ``step`` [rad], shape [T]."""
    actuator = build(cfg, joints)
    position, velocity, positions = 0.0, 0.0, []
    for _ in range(int(duration / DT)):
        velocity += torque(actuator, step, position, velocity) / inertia * DT
        position += velocity * DT
        positions.append(position)
    return np.array(positions)


def parser() -> argparse.ArgumentParser:
    """The command line's parser."""
    result = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("drive", choices=sorted(DRIVES), help="Which drive.")
    result.add_argument("network", type=Path, help="TorchScript file of its network.")
    result.add_argument("--out", type=Path, help="CSV file for the responses.")
    add_task_arguments(result, own_seed=1)
    result.add_argument("--checkpoint", metavar="latest|best|PATH", help="Policy to run with either.")
    result.add_argument("--episodes", type=positive_int, default=256, help="Episodes, all at once; default 256.")
    add_terrain_argument(result)
    result.add_argument("overrides", nargs="*", help="Overrides such as env.episode_length_s=5.")
    return result


def main() -> None:
    """Print the comparison; write the responses where asked to."""
    args = parser().parse_intermixed_args()
    if not args.network.is_file():
        parser().error(f"no file '{args.network}'")
    network_cfg, motor_cfg, joints, inertia = DRIVES[args.drive]
    cfgs = {"network": replace(network_cfg, network_file=str(args.network)), "DC motor": motor_cfg}
    responses = {name: step_response(cfg, joints, inertia) for name, cfg in cfgs.items()}
    for name, cfg in cfgs.items():
        stiffness, damping = gains(cfg, joints)
        response = responses[name]
        rise = DT * (1 + int(np.argmax(response >= 0.9 * 0.3)))
        print(
            f"{name:>8}: stiffness {stiffness:6.1f} N·m/rad, damping {damping:5.2f} N·m·s/rad;"
            f" step of 0.3 rad: 90 % after {1000 * rise:.0f} ms, overshoot {100 * (response.max() / 0.3 - 1):.0f} %"
        )
    difference = np.abs(responses["network"] - responses["DC motor"])
    print(f"largest difference in the step response: {difference.max():.3f} rad, mean {difference.mean():.3f} rad")
    if args.out:
        with args.out.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["time_s", *responses])
            times = DT * np.arange(1, 1 + len(difference))
            writer.writerows([f"{value:.5f}" for value in row] for row in zip(times, *responses.values(), strict=True))
    if args.checkpoint:
        compare_returns(args, cfgs)


def compare_returns(args: argparse.Namespace, cfgs: dict[str, Any]) -> None:
    """Print what a policy reaches with each of the actuators."""
    task, agent, device, checkpoint, overrides = check_policy_run(args, args.overrides)
    for name, cfg in cfgs.items():

        def take(env_cfg: Any, cfg: Any = cfg) -> None:
            env_cfg.scene.robot.actuators = {"legs": cfg}

        result = run(
            task, agent.entry_point, checkpoint, args.episodes, args.episodes, device, args.seed, overrides, take
        )
        print(
            f"{name:>8}: return {result['return_mean']:.2f} ± {result['return_std']:.2f} over {args.episodes} episodes,"
            f" survival rate {100 * result['survival_rate']:.1f} %"
        )


if __name__ == "__main__":
    sys.exit(guard(main))
