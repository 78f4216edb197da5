# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Trains on rough terrain and saves, or resumes it in a new process, and prints the curriculum: save|resume FOLDER."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch

from isaaclab.cli import load_external_tasks
from isaaclab.envs import mdp
from isaaclab.managers import CurriculumTermCfg, EventTermCfg, ManagerTermBase
from isaaclab.utils import to_dict

from isaaclab_offpolicy.runners.rsl_rl import Runner
from isaaclab_offpolicy.runners.simulation import running_task

TASK, NUM_ENVS, STEPS = "Isaac-Velocity-Rough-Unitree-A1-v0", 6, 12


def widen(env: Any, env_ids: Any) -> None:
    """A curriculum of its own: the range of the command grows with every reset."""
    ranges = env.command_manager.get_term("base_velocity").cfg.ranges
    ranges.lin_vel_x = (ranges.lin_vel_x[0] - 0.125, ranges.lin_vel_x[1] + 0.125)


class Stage(ManagerTermBase):
    """A curriculum with a state of its own."""

    def __init__(self, cfg: Any, env: Any) -> None:
        super().__init__(cfg, env)
        self._stage, self.progress = 0, torch.zeros(env.num_envs)

    def __call__(self, env: Any, env_ids: Any) -> float:
        self._stage += 1
        self.progress[env_ids] += 1.0
        return float(self._stage)


def nothing(env: Any, env_ids: Any) -> None:
    """An event."""


def adjust(cfg: Any) -> None:
    """Short episodes on a small terrain, with curricula of all kinds."""
    cfg.episode_length_s = 0.1
    terrain = cfg.scene.terrain.terrain_generator
    terrain.num_rows, terrain.num_cols, terrain.border_width = 4, 3, 2.0
    cfg.scene.terrain.max_init_terrain_level = 1
    cfg.curriculum.widen = CurriculumTermCfg(func=widen)
    cfg.curriculum.stage = CurriculumTermCfg(func=Stage)
    params = {"term_name": "action_rate_l2", "weight": -0.5, "num_steps": 2}
    cfg.curriculum.weight = CurriculumTermCfg(func=mdp.modify_reward_weight, params=params)
    cfg.events.often = EventTermCfg(
        func=nothing, mode="interval", interval_range_s=(100.0, 200.0), is_global_time=True, params={}
    )
    cfg.events.rarely = EventTermCfg(func=nothing, mode="reset", min_step_count_between_reset=8, params={})


def curriculum(env: Any) -> dict[str, Any]:
    """All that shall go on."""
    terrain, events = env.scene.terrain, env.event_manager
    stage = env.curriculum_manager.cfg.stage.func
    rarely = events._mode_term_names["reset"].index("rarely")
    often = events._mode_term_names["interval"].index("often")
    return {
        "levels": terrain.terrain_levels.tolist(),
        "types": terrain.terrain_types.tolist(),
        "origins": env.scene.env_origins.tolist(),
        "counters": [env.common_step_counter, env._sim_step_counter],
        "range": list(env.command_manager.get_term("base_velocity").cfg.ranges.lin_vel_x),
        "weight": env.reward_manager.get_term_cfg("action_rate_l2").weight,
        "stage": [stage._stage, stage.progress.tolist()],
        "often": events._interval_term_time_left[often].tolist(),
        "rarely": events._reset_term_last_triggered_step_id[rarely].tolist(),
    }


def main() -> None:
    phase, folder = sys.argv[1], Path(sys.argv[2])
    checkpoint = folder / "first" / "model_100.pt"
    load_external_tasks()
    # another seed would have another terrain
    with running_task(TASK, "rsl_rl_sac_cfg_entry_point", NUM_ENVS, "cpu", 1, ["physics=ovphysx"], adjust) as (
        env,
        cfg,
    ):
        cfg.num_steps_per_env, cfg.algorithm.buffer_size, cfg.algorithm.save_replay_buffer = STEPS, 2000, True
        cfg.actor.hidden_dims = cfg.critic.hidden_dims = [16, 16]
        cfg.algorithm.backend, cfg.algorithm.learning_starts = "eager", 20
        runner = Runner(env, to_dict(cfg), str(checkpoint.parent if phase == "save" else folder / "second"), "cpu")
        unwrapped: Any = env.unwrapped
        before, result = curriculum(unwrapped), {}
        if phase == "save":
            runner.learn(2)
            result["changed"] = sorted(runner.training.environment.state()["settings"])
            unwrapped.scene.terrain.terrain_levels[:] = torch.tensor([3, 0, 3, 2, 3, 1])
            unwrapped.scene.terrain.env_origins[:] = unwrapped.scene.terrain.terrain_origins[
                unwrapped.scene.terrain.terrain_levels, unwrapped.scene.terrain.terrain_types
            ]
            unwrapped.common_step_counter = 12345
            result["curriculum"] = curriculum(unwrapped)
            runner.save(str(checkpoint))
        else:
            saved = torch.load(checkpoint, weights_only=True)
            runner.load(str(checkpoint))
            assert torch.equal(torch.get_rng_state(), saved["training"]["random"]["torch"])
            result["curriculum"] = curriculum(unwrapped)
            position = unwrapped.scene["robot"].data.root_pos_w.torch
            result["away"] = (position - unwrapped.scene.env_origins)[:, :2].norm(dim=-1).max().item()
            result["lengths"] = unwrapped.episode_length_buf.tolist()
            stored = len(runner.alg.storage)
            runner.learn(1)
            result["rows"] = (len(runner.alg.storage) - stored) // NUM_ENVS
            result["cut"] = bool(runner.alg.storage.done[stored // NUM_ENVS - 2 : stored // NUM_ENVS].all())
            result["counter"] = unwrapped.common_step_counter
            result["iteration"] = runner.current_learning_iteration
        print("RESULT " + json.dumps({"before": before, **result}))


if __name__ == "__main__":
    main()
