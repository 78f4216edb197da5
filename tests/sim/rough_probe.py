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

from isaaclab_offpolicy.evaluation.terrain import spread
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


def check_tiles(env: Any) -> None:
    """Kinds and levels of the tiles are those of the mesh: heights of their middles above the floor tell them."""
    tiles = spread(env)
    height = env.scene.env_origins[:, 2]

    def heights(kind: str) -> torch.Tensor:
        of_kind = tiles.kind == tiles.kinds.index(kind)
        return torch.stack([height[of_kind & (tiles.level == level)].mean() for level in range(tiles.levels)])

    up, down, hill, pit = map(
        heights, ("pyramid_stairs", "pyramid_stairs_inv", "hf_pyramid_slope", "hf_pyramid_slope_inv")
    )
    assert up[0] > 0.2 and down[0] < -0.2 and hill[-1] > 0.5 and pit[-1] < -0.5
    assert up[-1] > 2.0 * up[0] and down[-1] < 2.0 * down[0], "the hardest last"
    assert (up.diff() >= 0.0).all() and (down.diff() <= 0.0).all()
    assert spread(env, 0.5).level.unique().tolist() == [round(0.5 * (tiles.levels - 1))]


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
        check_tiles(env.unwrapped)
        print(f"RESULT longest step {longest:.3f}")
        env.close()


if __name__ == "__main__":
    main()
