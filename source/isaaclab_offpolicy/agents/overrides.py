# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Hydra overrides of the command line, such as ``agent.algorithm.n_steps=3``."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Sequence
from typing import Any

from isaaclab_offpolicy.engine import default_engine
from isaaclab_offpolicy.errors import ConfigError, one_of


def separate_overrides(text: str) -> list[str]:
    """Overrides that stand together, ``a=1,b=[2,3]``: they are separated by the commas that a name follows."""
    return re.split(r",(?=[\w.]+=)", text) if text else []


def split_overrides(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Separate flags and their values from Hydra overrides such as ``agent.algorithm.n_steps=3``.

    Returns:
        Flags with their values, and overrides, each in their order.
    """
    pattern = r"[~+]*(physics|renderer|presets|env\.[\w.]+|agent\.[\w.]+)="
    overrides = [item for item in arguments if re.match(pattern, item)]
    return [item for item in arguments if item not in overrides], overrides


def option(arguments: Sequence[str], flag: str, override: str) -> str | None:
    """Value of an option that may be given as ``--flag value``, ``--flag=value`` or ``override=value``."""
    for position, item in enumerate(arguments):
        if item == flag and position + 1 < len(arguments):
            return arguments[position + 1]
        for prefix in (f"{flag}=", f"{override}="):
            if item.startswith(prefix):
                return item.removeprefix(prefix)
    return None


def without_option(arguments: Sequence[str], flag: str) -> list[str]:
    """The arguments but for ``--flag value`` and ``--flag=value``."""
    result, skip = [], False
    for item in arguments:
        if not skip and item != flag and not item.startswith(f"{flag}="):
            result.append(item)
        skip = not skip and item == flag
    return result


def check_agent_overrides(task: str, agent_key: str, overrides: Sequence[str]) -> None:
    """Refuse overrides of agent options that do not exist; Isaac Lab sets them without a word.

    Raises:
        ConfigError: With the nearest names.
    """
    from isaaclab_tasks.utils import load_cfg_from_registry

    for item in overrides:
        if not item.startswith("agent."):
            continue
        node: Any = load_cfg_from_registry(task, agent_key)
        for name in item.partition("=")[0].split(".")[1:]:
            children = node if isinstance(node, dict) else getattr(node, "__dict__", None)
            if children is None:
                break
            one_of(f"option in '{item}'", name, children)
            node = children[name]


def engine_overrides(task: str, device: str, overrides: Sequence[str]) -> list[str]:
    """Hydra overrides with the engine filled in for the device.

    Args:
        task: A registered task.
        device: Simulation device.
        overrides: What the user gave, such as ``physics=newton_mjwarp``.

    Raises:
        ConfigError: If the engine is not known to the task, or not installed.
    """
    from isaaclab_tasks.utils import load_cfg_from_registry

    env_cfg: Any = load_cfg_from_registry(task, "env_cfg_entry_point")
    physics = env_cfg.sim.physics
    if not hasattr(physics, "default"):
        return list(overrides)  # a task with one engine only
    engines = [name for name in vars(physics) if name != "default" and hasattr(getattr(physics, name), "class_type")]
    given = [item.partition("=")[2] for item in overrides if item.partition("=")[0] in ("physics", "env.sim.physics")]
    presets = [p for item in overrides if item.startswith("presets=") for p in item.partition("=")[2].split(",")]
    chosen = given or [preset for preset in presets if preset in engines]
    result = list(overrides)
    if not chosen and default_engine(device) in engines:
        chosen = [default_engine(device)]
        result.append(f"physics={chosen[0]}")
    for name in chosen:
        one_of("engine", name, [*engines, "default"])
        if name == "ovphysx" and importlib.util.find_spec("ovphysx") is None:
            raise ConfigError("engine 'ovphysx' is not installed; install isaaclab_offpolicy[cpu]")
    return result
