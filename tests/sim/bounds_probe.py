# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Applies a bounds file to A1 with its joints in a random order: ENGINE SEED BOUNDS.yaml OUT.json, in its own process.

Written are the joint targets, by name, of a policy whose output for a joint depends on the joint's name alone: through
the wrapper, and through SAC's actor; and boxes that come from the robot.
"""

from __future__ import annotations

import json
import random
import sys

import gymnasium as gym
import torch
from rsl_rl.runners import OnPolicyRunner

from isaaclab.app import launch_simulation
from isaaclab.cli import load_external_tasks
from isaaclab.utils import to_dict
from isaaclab_rl.rsl_rl import RslRlVecEnvWrapper, check_rsl_rl_version, handle_deprecated_rsl_rl_cfg
from isaaclab_tasks.utils import load_cfg_from_registry, parse_env_cfg

from isaaclab_offpolicy.action_bounds import ActionBounds, ActionBoundsWrapper, action_bounds
from isaaclab_offpolicy.runners.simulation import collect_garbage_rarely

TASK = "Isaac-Velocity-Flat-Unitree-A1-v0"


def output(joint: str) -> float:
    """The policy's output for a joint, in (-1, 1)."""
    return random.Random(joint).uniform(-1.0, 1.0)


def main() -> None:
    collect_garbage_rarely()
    engine, seed, file, out = sys.argv[1:5]
    load_external_tasks()
    cfg = parse_env_cfg(TASK, device="cpu", num_envs=2, overrides=[f"physics={engine}"])
    joints = sorted(ActionBounds.from_yaml(file).joint_names)
    random.Random(seed).shuffle(joints)
    cfg.scene.robot.joint_ordering = tuple(joints)
    with launch_simulation(cfg, {"device": "cpu"}):
        env = ActionBoundsWrapper(gym.make(TASK, cfg=cfg), file)
        env.reset()
        robot = env.unwrapped.scene["robot"]
        assert list(robot.joint_names) == joints == list(env.bounds.joint_names)

        def targets() -> dict[str, float]:
            values = env.unwrapped.action_manager.get_term("joint_pos").processed_actions[0].tolist()
            return dict(zip(joints, values, strict=True))

        unit = torch.tensor([[output(joint) for joint in joints]]).expand(2, -1)
        env.step(unit)
        result = {"joints": joints, "wrapper": targets()}
        for spec in ("joint-limits", "symmetric"):
            box = action_bounds(env, spec, percentile_bounds="unitree_a1")
            result[spec] = dict(zip(box.joint_names, zip(box.low, box.high, strict=True), strict=True))
        agent_cfg = load_cfg_from_registry(TASK, "rsl_rl_sac_cfg_entry_point")
        handle_deprecated_rsl_rl_cfg(agent_cfg, check_rsl_rl_version())
        agent_cfg.device, agent_cfg.algorithm.action_bounds, agent_cfg.algorithm.buffer_size = "cpu", file, 1000
        # the environment below the wrapper: SAC brings the bounds itself
        runner = OnPolicyRunner(RslRlVecEnvWrapper(env.env), to_dict(agent_cfg), log_dir=None, device="cpu")
        env.env.step(runner.alg.distribution.to_action(unit))
        result["sac"] = targets()
        env.close()
    with open(out, "w") as stream:
        json.dump(result, stream)


if __name__ == "__main__":
    main()
