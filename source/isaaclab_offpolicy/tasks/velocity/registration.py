# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Registration of a robot's two velocity tasks."""

from __future__ import annotations

import gymnasium as gym

from .sbx_agents import sbx_agents


def register_velocity_tasks(robot: str, package: str, prefix: str) -> None:
    """Register ``Isaac-Velocity-{Flat,Rough}-ROBOT-v0``.

    The configurations are found by name, in ``flat_env_cfg``, ``rough_env_cfg``, ``agents.rsl_rl_ppo_cfg`` and
    ``agents.rsl_rl_sac_cfg`` of the robot's package, and are only loaded when a task is made.

    Args:
        robot: The robot in the tasks' names, such as ``Unitree-A1``.
        package: The robot's package (its ``__name__``).
        prefix: What the names of its configuration classes begin with, such as ``UnitreeA1``.
    """
    for terrain in ("Flat", "Rough"):
        agents, cfg = f"{package}.agents", f"{prefix}{terrain}"
        task = f"Isaac-Velocity-{terrain}-{robot}-v0"
        gym.register(
            id=task,
            entry_point="isaaclab.envs:ManagerBasedRLEnv",
            disable_env_checker=True,
            kwargs={
                "env_cfg_entry_point": f"{package}.{terrain.lower()}_env_cfg:{cfg}EnvCfg",
                "default_agent": "rsl_rl",
                "rsl_rl_cfg_entry_point": f"{agents}.rsl_rl_ppo_cfg:{cfg}PPORunnerCfg",
                "rsl_rl_sac_cfg_entry_point": f"{agents}.rsl_rl_sac_cfg:{cfg}SACRunnerCfg",
                "rsl_rl_sac_cpu_cfg_entry_point": f"{agents}.rsl_rl_sac_cfg:{cfg}SACCpuRunnerCfg",
                **sbx_agents(task),
            },
        )
