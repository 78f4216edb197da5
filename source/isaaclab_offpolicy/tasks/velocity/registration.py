# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Registration of a robot's two velocity tasks."""

from __future__ import annotations

import gymnasium as gym

from isaaclab_offpolicy.agents.presets import agents_of
from isaaclab_offpolicy.agents.robots import ROBOTS, RobotSpec
from isaaclab_offpolicy.errors import ConfigError


def register_velocity_tasks(robot: str, package: str, prefix: str, spec: RobotSpec | None = None) -> None:
    """Register ``Isaac-Velocity-{Flat,Rough}-ROBOT-v0``.

    The environments' configurations are found by name, in ``flat_env_cfg`` and ``rough_env_cfg`` of the robot's
    package, and are only loaded when a task is made; the agents' are those of :mod:`isaaclab_offpolicy.agents.presets`.

    Args:
        robot: The robot in the tasks' names, such as ``Unitree-A1``.
        package: The robot's package (its ``__name__``).
        prefix: What the names of its configuration classes begin with, such as ``UnitreeA1``.
        spec: The robot for its agents; None takes that of :data:`isaaclab_offpolicy.agents.robots.ROBOTS`.

    Raises:
        ConfigError: If nothing is known of the robot.
    """
    spec = spec or ROBOTS.get(robot)
    if spec is None:
        raise ConfigError(f"robot '{robot}' is none of {', '.join(ROBOTS)}; give register_velocity_tasks a RobotSpec")
    for terrain in ("Flat", "Rough"):
        gym.register(
            id=f"Isaac-Velocity-{terrain}-{robot}-v0",
            entry_point="isaaclab.envs:ManagerBasedRLEnv",
            disable_env_checker=True,
            kwargs={
                "env_cfg_entry_point": f"{package}.{terrain.lower()}_env_cfg:{prefix}{terrain}EnvCfg",
                "default_agent": "rsl_rl",
                **agents_of(spec, rough=terrain == "Rough"),
            },
        )
