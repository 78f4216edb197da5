# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Looks at robots as an engine has them, and exercises their tasks: ENGINE FOLDER TASK..., in a process of its own.

Written, to FOLDER/TASK.npz, are the bodies' mass properties, the joints' limits, body poses in random joint positions,
the first steps of a fixed motion, what a kick of all joints, 150 steps of zero and more of random action do, what the
contact sensor reports of robots that tumble onto flat ground, and how short trainings end: of every task on PhysX,
and of one on MuJoCo-Warp, which is slow on the CPU.
"""

from __future__ import annotations

import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import torch
from rsl_rl.runners import OnPolicyRunner

from isaaclab.app import launch_simulation
from isaaclab.cli import load_external_tasks
from isaaclab.utils import to_dict
from isaaclab_rl.rsl_rl import RslRlVecEnvWrapper, check_rsl_rl_version, handle_deprecated_rsl_rl_cfg
from isaaclab_tasks.utils import load_cfg_from_registry, parse_env_cfg

from isaaclab_offpolicy.action_bounds import action_joint_names
from isaaclab_offpolicy.runners.simulation import collect_garbage_rarely

POSES = 100
TUMBLES, TUMBLE_STEPS = {"ovphysx": 2, "newton_mjwarp": 3}, 150
"""Times that all robots are dropped, and physics steps after that."""
RANDOM_STEPS = {"ovphysx": 200, "newton_mjwarp": 40}
NEWTON_TASK = "Isaac-Velocity-Flat-Unitree-A1-v0"
NUM_ENVS = {"ovphysx": 10, "newton_mjwarp": 4}
"""Environments on flat ground: on the CPU, MuJoCo-Warp's time grows with each of them."""


def main() -> None:
    collect_garbage_rarely()
    engine, folder, *tasks = sys.argv[1:]
    load_external_tasks()
    for task in tasks:
        np.savez(Path(folder) / f"{task}.npz", **look_at(engine, task))
        print("RESULT", task, flush=True)


def look_at(engine: str, task: str) -> dict[str, np.ndarray]:
    """Exercise a task; gives what was seen."""
    cfg = parse_env_cfg(task, device="cpu", num_envs=NUM_ENVS[engine], overrides=[f"physics={engine}"])
    cfg.seed = 1
    # the robot as it is, undisturbed
    cfg.events.push_robot = cfg.events.add_base_mass = cfg.events.base_com = None
    cfg.events.reset_robot_joints.params["position_range"] = (1.0, 1.0)
    cfg.events.reset_base.params |= {"velocity_range": {}, "pose_range": {}}
    generator = cfg.scene.terrain.terrain_generator
    if generator is not None:
        # a robot on each sub-terrain
        cfg.scene.num_envs = len(generator.sub_terrains)
        generator.num_rows, generator.num_cols = 1, cfg.scene.num_envs
    num_envs = cfg.scene.num_envs
    result = {}
    with launch_simulation(cfg, {"device": "cpu"}):
        env = gym.make(task, cfg=cfg)
        env.reset()
        unwrapped = env.unwrapped
        robot, contacts = unwrapped.scene["robot"], unwrapped.scene["contact_forces"]
        action_dim = unwrapped.action_manager.total_action_dim
        result |= properties(robot)
        result["sensed"] = np.array(contacts.body_names)
        result["action_joints"] = np.array(action_joint_names(env))
        # a fixed motion in the air, the same for every engine
        pattern = 0.5 * torch.sin(torch.arange(action_dim) * 1.7).expand(num_envs, -1)
        root = robot.data.default_root_pose.torch.clone()
        root[:, :3] += unwrapped.scene.env_origins
        root[:, 2] += 1.0
        robot.write_root_pose_to_sim_index(root_pose=root)
        motion = []
        for step in range(10):
            env.step(pattern * np.sin(0.6 * (step + 1)))
            motion.append(robot.data.joint_pos.torch[0].numpy().copy())
        result["motion"] = np.stack(motion)
        # kicked in the air: joints at ±60 rad/s are to come to rest
        robot.write_root_pose_to_sim_index(root_pose=root)
        robot.write_root_velocity_to_sim_index(root_velocity=torch.zeros(num_envs, 6))
        robot.write_joint_position_to_sim_index(position=robot.data.default_joint_pos.torch.clone())
        random = torch.Generator().manual_seed(0)
        kick = 120.0 * (torch.rand(num_envs, len(robot.joint_names), generator=random) - 0.5)
        robot.write_joint_velocity_to_sim_index(velocity=kick)
        for _ in range(15):
            env.step(torch.zeros(num_envs, action_dim))
        result["kicked"] = robot.data.joint_vel.torch.abs().amax(0).numpy().copy()
        # zero action for 3 s
        env.reset()
        falls = 0
        for _ in range(150):
            _, _, terminated, _, _ = env.step(torch.zeros(num_envs, action_dim))
            falls += int(terminated.sum())
        result["falls"] = np.array(falls)
        result["height"] = (robot.data.root_pos_w.torch - unwrapped.scene.env_origins)[:, 2].numpy()
        result["forces"] = contacts.data.net_forces_w.torch[..., 2].mean(0).numpy()
        # random actions within ±1
        finite = True
        torch.manual_seed(0)
        for _ in range(RANDOM_STEPS[engine]):
            obs, reward, _, _, _ = env.step(2.0 * torch.rand(num_envs, action_dim) - 1.0)
            finite = finite and bool(obs["policy"].isfinite().all() and reward.isfinite().all())
        result["finite"], result["obs_dim"] = np.array(finite), np.array(obs["policy"].shape[-1])
        if generator is None:
            result |= tumble(unwrapped, robot, contacts, TUMBLES[engine])
        result |= kinematics(unwrapped, robot)
        if engine == "ovphysx" or task == NEWTON_TASK:
            for agent in ("rsl_rl_sac_cfg_entry_point", "rsl_rl_cfg_entry_point"):
                result[agent] = np.array(train(env, task, agent))
        env.close()
    return result


def tumble(env, robot, contacts, rounds: int) -> dict[str, np.ndarray]:
    """Drop robots that are turned at random: forces on the sensor's bodies, and where these are.

    The environment's manager is left out, so that nothing is reset.
    """
    order = [robot.body_names.index(name) for name in contacts.body_names]
    default, limits = robot.data.default_joint_pos.torch, robot.data.joint_pos_limits.torch
    forces, poses = [], []
    torch.manual_seed(2)
    for _ in range(rounds):
        root = robot.data.default_root_pose.torch.clone()
        quaternion = torch.randn(env.num_envs, 4)
        root[:, :3] += env.scene.env_origins
        root[:, 2] *= 1.6  # whichever way up
        root[:, 3:] = quaternion / quaternion.norm(dim=1, keepdim=True)
        q = (default + 2.0 * torch.rand_like(default) - 1.0).clamp(limits[..., 0], limits[..., 1])
        robot.write_root_pose_to_sim_index(root_pose=root)
        robot.write_root_velocity_to_sim_index(root_velocity=torch.zeros(env.num_envs, 6))
        robot.write_joint_position_to_sim_index(position=q)
        robot.write_joint_velocity_to_sim_index(velocity=torch.zeros_like(q))
        for _ in range(TUMBLE_STEPS):
            env.scene.write_data_to_sim()
            env.sim.step(render=False)
            env.scene.update(env.physics_dt)
            forces.append(contacts.data.net_forces_w.torch.norm(dim=-1).numpy().copy())
            poses.append(robot.data.body_link_pose_w.torch[:, order].numpy().copy())
    return {"tumble_forces": np.stack(forces), "tumble_poses": np.stack(poses)}


def properties(robot) -> dict[str, np.ndarray]:
    """Names, mass properties and limits, of the first environment."""
    data = robot.data
    return {
        "bodies": np.array(robot.body_names),
        "joints": np.array(robot.joint_names),
        "mass": data.body_mass.torch[0].numpy(),
        "com": data.body_com_pos_b.torch[0].numpy(),
        "com_quat": data.body_com_quat_b.torch[0].numpy(),
        "inertia": data.body_inertia.torch[0].numpy().reshape(-1, 3, 3),
        "limits": data.joint_pos_limits.torch[0].numpy(),
    }


def kinematics(env, robot) -> dict[str, np.ndarray]:
    """Body poses in random joint positions, relative to the root body."""
    limits = robot.data.joint_pos_limits.torch[0].clamp(-3.0, 3.0)
    positions, poses = [], []
    torch.manual_seed(1)
    for _ in range(-(-POSES // env.num_envs)):
        root = robot.data.default_root_pose.torch.clone()
        q = limits[:, 0] + torch.rand(len(root), len(robot.joint_names)) * (limits[:, 1] - limits[:, 0])
        root[:, :3] += env.scene.env_origins
        robot.write_root_pose_to_sim_index(root_pose=root)
        robot.write_joint_position_to_sim_index(position=q)
        env.sim.forward()
        robot.update(0.0)
        positions.append(robot.data.joint_pos.torch.numpy().copy())
        poses.append(robot.data.body_link_pose_w.torch.numpy().copy())
        np.testing.assert_allclose(positions[-1], q.numpy(), atol=1e-5)
    return {"positions": np.concatenate(positions), "poses": np.concatenate(poses)}


def train(env, task: str, agent: str) -> int:
    """Train for two iterations; gives the iterations done."""
    agent_cfg = load_cfg_from_registry(task, agent)
    handle_deprecated_rsl_rl_cfg(agent_cfg, check_rsl_rl_version())
    agent_cfg.device, agent_cfg.num_steps_per_env = "cpu", 12
    if hasattr(agent_cfg.algorithm, "buffer_size"):
        agent_cfg.algorithm.buffer_size, agent_cfg.algorithm.learning_starts = 5000, 20
        agent_cfg.algorithm.policy_delay = 1  # few gradient steps, and the actor is to have some
        # small, since only that it runs is looked at
        agent_cfg.actor.hidden_dims = agent_cfg.critic.hidden_dims = [32, 32]
    runner = OnPolicyRunner(RslRlVecEnvWrapper(env), to_dict(agent_cfg), log_dir=None, device="cpu")
    before = [p.detach().clone() for p in runner.alg.get_policy().parameters()]
    runner.learn(2, init_at_random_ep_len=True)
    after = list(runner.alg.get_policy().parameters())
    assert all(p.isfinite().all() for p in after)
    assert any(not torch.equal(p, q) for p, q in zip(before, after, strict=True)), "nothing was learned"
    return runner.current_learning_iteration + 1


if __name__ == "__main__":
    main()
