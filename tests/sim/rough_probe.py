# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Steps a task on PhysX with uniform actions and prints the longest step [s]: TASK NUM_ENVS STEPS [USD]."""

from __future__ import annotations

import sys
import time

import gymnasium as gym
import torch

from isaaclab.app import launch_simulation
from isaaclab.cli import load_external_tasks
from isaaclab_tasks.utils import parse_env_cfg

from isaaclab_offpolicy.runners.simulation import collect_garbage_rarely


def main() -> None:
    collect_garbage_rarely()
    task, num_envs, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    load_external_tasks()
    cfg = parse_env_cfg(task, device="cpu", num_envs=num_envs, overrides=["physics=ovphysx"])
    cfg.seed = 1
    if len(sys.argv) > 4:
        cfg.scene.robot.spawn.usd_path = sys.argv[4]
    with launch_simulation(cfg, {"device": "cpu"}):
        env = gym.make(task, cfg=cfg)
        env.reset()
        longest, finite = 0.0, True
        for _ in range(steps):
            start = time.perf_counter()
            obs, *_ = env.step(2.0 * torch.rand(env.action_space.shape) - 1.0)
            longest = max(longest, time.perf_counter() - start)
            finite = finite and bool(obs["policy"].isfinite().all())
        assert finite
        print(f"RESULT longest step {longest:.3f}")
        env.close()


if __name__ == "__main__":
    main()
