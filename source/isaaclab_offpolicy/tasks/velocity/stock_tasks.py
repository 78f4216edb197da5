# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""SAC for Isaac Lab's own velocity tasks. Their environments stay as they are; only an agent is added to them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gymnasium as gym

from isaaclab_tasks.utils import load_cfg_from_registry

from isaaclab_offpolicy.agents import presets
from isaaclab_offpolicy.agents.robots import ISAACLAB_ROBOTS, ROBOTS

if TYPE_CHECKING:  # rsl_rl takes seconds to import, and who only lists tasks needs none of it
    from isaaclab_offpolicy.algorithms.rsl_rl_cfg import SacRunnerCfg

AGENT = "rsl_rl_sac_cfg_entry_point"

PACKAGE = r"isaaclab_tasks\.(core|contrib)\.velocity\.config\.(?P<robot>\w+)\."
"""Where Isaac Lab keeps the configurations of its velocity tasks."""


def add_sac_to_isaaclab_tasks() -> list[str]:
    """Give every velocity task of Isaac Lab a SAC agent, unless it has one.

    Returns:
        Names of the tasks that got one.
    """
    added = []
    for task, spec in gym.registry.items():
        match = re.match(PACKAGE, str((spec.kwargs or {}).get("env_cfg_entry_point")))
        if match and AGENT not in spec.kwargs and "rsl_rl_cfg_entry_point" in spec.kwargs:
            spec.kwargs[AGENT] = _agent_of(task, match["robot"])
            added.append(task)
    return sorted(added)


def _agent_of(task: str, robot: str) -> Callable[[], SacRunnerCfg]:
    """What makes the agent's configuration, when it is asked for."""

    def sac_cfg() -> SacRunnerCfg:
        env_cfg: Any = load_cfg_from_registry(task, "env_cfg_entry_point")
        ppo_cfg: Any = load_cfg_from_registry(task, "rsl_rl_cfg_entry_point")
        spec = ROBOTS.get(ISAACLAB_ROBOTS.get(robot, ""))
        cfg = presets.sac(spec, rough=env_cfg.scene.terrain.terrain_type == "generator")
        cfg.experiment_name = ppo_cfg.experiment_name
        if isinstance(ppo_cfg.obs_groups, dict):
            cfg.obs_groups = dict(ppo_cfg.obs_groups)
        return cfg

    return sac_cfg
