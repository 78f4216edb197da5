# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Moves a robot and its mirror image beside it: TASK..., each in turn. Prints how far one is from the other's image.

Both fly through the air, sideways and turning, with joints away from the default pose that are commanded at random.
"""

from __future__ import annotations

import sys

import gymnasium as gym
import torch

from isaaclab.app import launch_simulation
from isaaclab.cli import load_external_tasks
from isaaclab_tasks.utils import parse_env_cfg

from isaaclab_offpolicy.action_bounds.symmetry import Mirror
from isaaclab_offpolicy.symmetry import find_symmetry

STEPS = 12


def image(mirror: Mirror, values: torch.Tensor) -> torch.Tensor:
    """Mirror images, shape [..., D]."""
    return values[..., list(mirror.index)] * torch.tensor(mirror.sign)


def compare(task: str) -> tuple[float, float]:
    """Largest difference between the second robot's observations and the mirror image of the first one's.

    Returns:
        That, and the largest difference without the mirror.
    """
    cfg = parse_env_cfg(task, device="cpu", num_envs=2, overrides=["physics=ovphysx"])
    cfg.seed = 1
    # both robots the same, and nothing random about them
    for event in vars(cfg.events):
        setattr(cfg.events, event, None)
    cfg.observations.policy.enable_corruption = False
    cfg.commands.base_velocity.heading_command = False
    with launch_simulation(cfg, {"device": "cpu"}):
        env = gym.make(task, cfg=cfg).unwrapped
        env.reset()
        symmetry = find_symmetry(env, ["policy"])
        mirror, of_action = symmetry.obs["policy"], symmetry.action
        random = torch.Generator().manual_seed(1)
        robot = env.scene["robot"]
        command = env.command_manager.get_term("base_velocity").vel_command_b
        command[0] = torch.tensor([0.7, 0.3, -0.4])
        command[1] = command[0] * torch.tensor([1.0, -1.0, -1.0])
        root = robot.data.default_root_pose.torch.clone()
        root[:, :3] += env.scene.env_origins
        root[:, 2] += 1.0
        # turned to the left and to the right
        root[:, 3:] = torch.tensor([[0.0, 0.0, 0.2, 0.9798], [0.0, 0.0, -0.2, 0.9798]])
        velocity = torch.tensor([0.5, 0.6, 0.4, 0.8, -0.7, 0.9])
        velocity = torch.stack([velocity, velocity * torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, -1.0])])
        position = robot.data.default_joint_pos.torch.clone()
        offset = 0.2 * (torch.rand(position.shape[1], generator=random) - 0.5)
        position += torch.stack([offset, image(of_action, offset)])  # joints and actions are in one order
        robot.write_root_pose_to_sim_index(root_pose=root)
        robot.write_root_velocity_to_sim_index(root_velocity=velocity)
        robot.write_joint_position_to_sim_index(position=position)
        robot.write_joint_velocity_to_sim_index(velocity=torch.zeros_like(position))
        largest, unmirrored = 0.0, 0.0
        for _ in range(STEPS):
            action = torch.rand(len(of_action.index), generator=random) - 0.5
            obs, *_ = env.step(torch.stack([action, image(of_action, action)]))
            first, second = obs["policy"]
            largest = max(largest, float((image(mirror, first) - second).abs().max()))
            unmirrored = max(unmirrored, float((first - second).abs().max()))
        env.close()
    return largest, unmirrored


def main() -> None:
    load_external_tasks()
    for task in sys.argv[1:]:
        largest, unmirrored = compare(task)
        print(f"RESULT {task} {largest:.5f} {unmirrored:.5f}", flush=True)


if __name__ == "__main__":
    main()
