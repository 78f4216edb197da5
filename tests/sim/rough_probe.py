# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Steps a rough task on PhysX with uniform actions, and prints the longest step [s]: TASK NUM_ENVS STEPS [USD]."""

from __future__ import annotations

import sys
import time
from typing import Any

import gymnasium as gym
import torch
import warp as wp

from isaaclab.app import launch_simulation
from isaaclab.cli import load_external_tasks
from isaaclab.sensors.ray_caster.base_ray_caster import BaseRayCaster
from isaaclab_tasks.utils import parse_env_cfg

from isaaclab_offpolicy.runners.simulation import collect_garbage_rarely


def compare_heights(scanner: Any) -> None:
    """The scanner's heights are those of Isaac Lab's own rays, but for a ray in a thousand, which meets an edge."""
    assert scanner.grid is not None
    heights = scanner.data.ray_hits_w.torch[..., 2].clone()
    everywhere = wp.ones(scanner.num_instances, dtype=wp.bool, device="cpu")
    BaseRayCaster._update_buffers_impl(scanner, everywhere)
    difference = (scanner.data.ray_hits_w.torch[..., 2] - heights).abs()
    assert heights.isfinite().all() and heights.std() > 0.02
    assert (difference < 1.0e-3).float().mean() > 0.999, difference.max()


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
        compare_heights(env.unwrapped.scene.sensors["height_scanner"])
        print(f"RESULT longest step {longest:.3f}")
        env.close()


if __name__ == "__main__":
    main()
