# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Tasks and their agents, as gymnasium's registry has them."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any

from isaaclab_offpolicy.engine import default_device
from isaaclab_offpolicy.errors import ConfigError, one_of

from .table import AGENTS, BY_DEVICE, NAMES, AgentSpec, agent_of


def load_tasks() -> None:
    """Register the tasks of Isaac Lab and of the installed packages."""
    import isaaclab_tasks  # noqa: F401
    from isaaclab.cli import load_external_tasks

    load_external_tasks()


def isaaclab_tasks_of(registry: Mapping[str, Any]) -> list[str]:
    """Names of the tasks that have an Isaac Lab configuration."""
    return sorted(name for name, spec in registry.items() if "env_cfg_entry_point" in (spec.kwargs or {}))


def check_task(task: str | None) -> str:
    """Return a task's name.

    Raises:
        ConfigError: If it is not known, with the nearest ones.
    """
    import gymnasium as gym

    if task is None:
        raise ConfigError("--task is missing; for example --task Isaac-Velocity-Flat-Unitree-A1-v0")
    load_tasks()
    return one_of("task", task, isaaclab_tasks_of(gym.registry))


def entry_points(task: str) -> list[str]:
    """Names of the configurations of a task's agents."""
    import gymnasium as gym

    kwargs = gym.registry[task].kwargs
    return [name for name in kwargs if name.endswith("_cfg_entry_point") and name != "env_cfg_entry_point"]


def find_agent(task: str | None, name: str, device: str | None = None) -> AgentSpec:
    """An agent of a task.

    Args:
        task: The task.
        name: One of :data:`.NAMES`, or the name of a configuration.
        device: Device of the learner, which decides what ``sac`` stands for; None is the machine's own.

    Raises:
        ConfigError: If the task or the agent is not known, the task has no such agent, or its library is missing.
    """
    task = check_task(task)
    keys = entry_points(task)
    candidates = BY_DEVICE.get(name, {}).get("cpu" if (device or default_device()) == "cpu" else "cuda", (name,))
    entry_point = next(
        (key for key in (AGENTS[n].entry_point if n in AGENTS else n for n in candidates) if key in keys), None
    )
    if entry_point is None:
        one_of("agent", name, NAMES)
        has = [spec.name for spec in AGENTS.values() if spec.entry_point in keys]
        raise ConfigError(f"task '{task}' has no agent '{name}'; it has: {', '.join(has)}")
    spec = agent_of(entry_point)
    check_library(spec)
    return spec


def stands_for(name: str, spec: AgentSpec) -> bool:
    """Whether a name is that of an agent, or stands for it on some device."""
    return name in (spec.name, spec.entry_point) or any(
        spec.name in names for names in BY_DEVICE.get(name, {}).values()
    )


def check_library(spec: AgentSpec) -> None:
    """Refuse an agent whose library is not installed.

    Raises:
        ConfigError: With what is missing.
    """
    if spec.is_sb3:
        missing = [name for name in ("stable_baselines3", "sbx") if importlib.util.find_spec(name) is None]
        if missing:
            raise ConfigError(f"agent needs {' and '.join(missing)}; install isaaclab_offpolicy[sbx]")
