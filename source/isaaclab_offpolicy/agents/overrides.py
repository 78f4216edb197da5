# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Hydra overrides of the command line, such as ``agent.algorithm.n_steps=3``."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Container, Sequence
from typing import Any

from isaaclab_offpolicy.engine import default_engine
from isaaclab_offpolicy.errors import ConfigError, one_of


def separate_overrides(text: str) -> list[str]:
    """Overrides that stand together, ``a=1,b=[2,3]``: they are separated by the commas that a name follows."""
    return re.split(r",(?=[\w.]+=)", text) if text else []


SAME = {
    "env.scene.num_envs": "--num_envs", "agent.seed": "--seed", "env.seed": "--seed", "env.sim.device": "--device",
    "agent.max_iterations": "--max_iterations", "agent.experiment_name": "--experiment_name",
    "agent.run_name": "--run_name", "env.sim.physics": "physics",
}  # fmt: skip
"""Overrides that say the same as a flag, or as another override."""


def split_overrides(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Separate flags and their values from Hydra overrides such as ``agent.algorithm.n_steps=3``.

    Returns:
        Flags with their values, and overrides, each in their order.
    """
    pattern = r"[~+]*(physics|renderer|presets|env\.[\w.]+|agent\.[\w.]+)\+?=|[~+]+(env|agent)\."
    overrides = [item for item in arguments if re.match(pattern, item)]
    return [item for item in arguments if item not in overrides], overrides


def value_of(overrides: Sequence[str], key: str) -> str | None:
    """What an override says, if it is given."""
    return next((item.partition("=")[2] for item in overrides if item.startswith(f"{key}=")), None)


def without_option(arguments: Sequence[str], flag: str) -> list[str]:
    """The arguments but for ``--flag value``, ``--flag=value``, and overrides that say the same."""
    names = (flag, *(key for key, same in SAME.items() if same == flag))
    result, skip = [], False
    for item in arguments:
        if not skip and item != flag and item.partition("=")[0] not in names:
            result.append(item)
        skip = not skip and item == flag
    return result


def as_flags(overrides: Sequence[str], known: Container[str]) -> tuple[list[str], list[str]]:
    """Take out the overrides that say the same as a flag that is known.

    Returns:
        Flags such as ``--num_envs=8``, and the other overrides.
    """
    flags, others = [], []
    for item in overrides:
        key, _, value = item.partition("=")
        if SAME.get(key) in known:
            flags.append(f"{SAME[key]}={value}")
        else:
            others.append(item)
    return flags, others


def check_contradictions(arguments: Sequence[str]) -> None:
    """Refuse options that are given twice with different values, under whatever name.

    Raises:
        ConfigError: With both.
    """
    seen: dict[str, tuple[str, str]] = {}
    for position, item in enumerate(arguments):
        key, given, value = item.partition("=")
        text = item
        if key.startswith("--") and not given:
            following = arguments[position + 1 : position + 2]
            value = "" if not following or following[0].startswith("--") else following[0]
            text = f"{item} {value}".strip()
        elif not given or key == "presets":
            continue
        first, before = seen.setdefault(SAME.get(key, key), (value, text))
        if first != value:
            raise ConfigError(f"{before} and {text} contradict each other; give one of them")


def check_form(overrides: Sequence[str]) -> None:
    """Refuse what is no override.

    Raises:
        ConfigError: With what was meant.
    """
    for item in overrides:
        key, given, value = item.partition("=")
        if re.match(r"[~+]", item) or key.endswith("+"):
            name = key.strip("~+")
            raise ConfigError(f"'{item}' is Hydra's own form; write {name}=VALUE, or {name}=null to switch a term off")
        if not value and ("." in key or given):
            raise ConfigError(f"'{item}' has no value; write {key}=VALUE without spaces")
        if not given:
            raise ConfigError(
                f"'{item}' is neither a flag, which begins with --, nor an override such as env.NAME=VALUE"
            )
        root = key.partition(".")[0]
        if key in ("physics", "renderer", "presets") or (root in ("env", "agent") and "." in key):
            continue
        raise ConfigError(f"'{item}': an override begins with agent. or env., such as agent.{item}")


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
