# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Runs a task under zero action in a process of its own and prints what it saw as JSON: ENGINE TASK NUM_ENVS STEPS."""

from __future__ import annotations

import json
import sys

import gymnasium as gym
import torch

from isaaclab.app import launch_simulation
from isaaclab.cli import load_external_tasks
from isaaclab_tasks.utils import parse_env_cfg

from isaaclab_offpolicy.action_bounds import action_joint_names
from isaaclab_offpolicy.runners.simulation import collect_garbage_rarely


def main() -> None:
    collect_garbage_rarely()
    engine, task, num_envs, steps = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    load_external_tasks()
    cfg = parse_env_cfg(task, device="cpu", num_envs=num_envs, overrides=[f"physics={engine}"])
    cfg.seed = 1
    # the robot as it is, undisturbed
    cfg.events.push_robot = cfg.events.add_base_mass = cfg.events.base_com = None
    cfg.events.reset_robot_joints.params["position_range"] = (1.0, 1.0)
    cfg.events.reset_base.params["velocity_range"] = {}
    with launch_simulation(cfg, {"device": "cpu"}):
        env = gym.make(task, cfg=cfg)
        obs, _ = env.reset()
        robot, contacts = env.unwrapped.scene["robot"], env.unwrapped.scene["contact_forces"]
        falls, finite = 0, True
        for _ in range(steps):
            obs, reward, terminated, _, _ = env.step(
                torch.zeros(num_envs, env.unwrapped.action_manager.total_action_dim)
            )
            falls += int(terminated.sum())
            finite = finite and bool(obs["policy"].isfinite().all() and reward.isfinite().all())
        height = robot.data.root_pos_w.torch[:, 2] - env.unwrapped.scene.env_origins[:, 2]
        forces = contacts.data.net_forces_w.torch[..., 2].mean(0)
        sensed = dict(zip(contacts.body_names, forces.tolist(), strict=True))
        print(
            "RESULT "
            + json.dumps(
                {
                    "joints": list(robot.joint_names),
                    "action_joints": action_joint_names(env),
                    "bodies": list(robot.body_names),
                    "mass": robot.data.body_mass.torch[0].sum().item(),
                    "height": height.mean().item(),
                    "speed": robot.data.root_lin_vel_w.torch.norm(dim=-1).mean().item(),
                    "falls": falls,
                    "finite": finite,
                    "obs_shape": list(obs["policy"].shape),
                    "sensed": sensed,
                }
            )
        )
        env.close()


if __name__ == "__main__":
    main()
