# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""The configuration of a task and an agent with its overrides, checked before a simulation starts."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import inspect
import io
from collections.abc import Iterable, Mapping, Sequence
from types import NoneType
from typing import Any, NamedTuple, get_args

from isaaclab_offpolicy.errors import ConfigError, one_of
from isaaclab_offpolicy.options import ANY, ENV_RANGES, RANGES, check_config, check_value, hint_of, range_of

from .overrides import check_contradictions, engine_overrides

SELECTORS = ("physics", "renderer", "presets")
"""Overrides that choose presets."""


class Configuration(NamedTuple):
    """What a command runs with."""

    env: Any
    """The environment's configuration, without what flags say."""

    agent: Any
    """The agent's."""

    overrides: list[str]
    """Isaac Lab's overrides that give it, with the engine."""


def resolve(task: str, agent_key: str, device: str, overrides: Sequence[str]) -> Configuration:
    """Check overrides, and the configuration that they give.

    Args:
        task: A registered task.
        agent_key: Configuration key of the agent.
        device: Simulation device, which decides about the engine if nobody does.
        overrides: Such as ``env.episode_length_s=10``.

    Raises:
        ConfigError: With the option's path, what it is and what it should be, or the nearest name.
    """
    from isaaclab_tasks.utils import resolve_task_config
    from isaaclab_tasks.utils.hydra import _parse_val, collect_presets
    from isaaclab_tasks.utils.parse_cfg import load_cfg_from_registry

    check_contradictions(overrides)
    with contextlib.redirect_stdout(io.StringIO()):
        overrides = engine_overrides(task, device, overrides)
        presets = collect_presets(load_cfg_from_registry(task, "env_cfg_entry_point"), "env")
        values = {key: _parse_val(text) for key, _, text in (item.partition("=") for item in overrides)}
        chosen = {key for key, value in values.items() if isinstance(value, str) and key in presets}
        for key in chosen:
            one_of(f"preset of {key}", values[key], presets[key])
        given = [item for item in overrides if item.partition("=")[0] in chosen.union(SELECTORS)]
        try:
            # a copy: presets are the classes' own
            env, agent = copy.deepcopy(resolve_task_config(task, agent_key, overrides=given))
        except ValueError as error:
            raise ConfigError(str(error)) from None
    for key, value in values.items():
        if key not in SELECTORS and key not in chosen:
            _set({"env": env, "agent": agent}, key, value)
    try:
        if dataclasses.is_dataclass(agent):
            check_config(agent, "agent")
        _check_ranges(env, "env")
        _check_agent(agent)
        _check_times(env)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    return Configuration(env, agent, overrides)


def _set(roots: dict[str, Any], path: str, value: Any) -> None:
    """Set an option as Isaac Lab does, if it is there and takes such a value.

    Raises:
        ConfigError: If not.
    """
    *parents, leaf = path.split(".")
    parent, node, where = None, roots[parents[0]], parents[0]
    for name in (*parents[1:], leaf):
        names = _names(node)
        if names is None:
            raise ConfigError(f"{where} is {node!r}, and has no '{name}'")
        if where.endswith(".params"):
            names += _arguments(getattr(parent, "func", None))
        one_of(f"option of {where}", name, names)
        parent, node = node, node.get(name) if isinstance(node, Mapping) else getattr(node, name)
        where = f"{where}.{name}"
    if dataclasses.is_dataclass(node) and not isinstance(node, type):
        # a term may be switched off, and a part that is optional
        if value is not None or (len(parents) == 1 and NoneType not in get_args(hint_of(parent, leaf))):
            names = ", ".join((_names(node) or [])[:4])
            raise ConfigError(f"{path} is a group of options, such as {names}, and cannot be {value!r}")
    else:
        hint = None if isinstance(parent, Mapping) else hint_of(parent, leaf)
        hint = type(node) if hint is None and isinstance(node, (bool, str)) else hint
        hint = float if hint is None and isinstance(node, (int, float)) else hint
        try:
            check_value(value, hint, path, RANGES if parents[0] == "agent" else ENV_RANGES)
        except ValueError as error:
            raise ConfigError(str(error)) from None
    if isinstance(parent, dict):
        parent[leaf] = value
    else:
        setattr(parent, leaf, value)


def _names(node: Any) -> list[str] | None:
    """Names of what is in a configuration; None if it is a value."""
    if isinstance(node, Mapping):
        return list(node)
    if not dataclasses.is_dataclass(node):
        return None
    return [name for name in vars(node) if not name.startswith("_")]


def _arguments(func: Any) -> list[str]:
    """Names of a term's arguments, which its ``params`` may have; none where that cannot be told."""
    try:
        return list(inspect.signature(func.__call__ if inspect.isclass(func) else func).parameters)
    except (TypeError, ValueError, ImportError):
        return []


def _check_ranges(node: Any, path: str) -> None:
    """Check those of an environment's numbers that have a range; what else it has is Isaac Lab's to check."""
    items: Iterable[tuple[str, Any]] = node.items() if isinstance(node, Mapping) else vars(node).items()
    for name, value in items:
        where = f"{path}.{name}"
        if isinstance(value, Mapping) or (dataclasses.is_dataclass(value) and not isinstance(value, type)):
            _check_ranges(value, where)
        elif value is not None and range_of(where, ENV_RANGES) is not ANY:
            hint = hint_of(node, name) if not isinstance(node, Mapping) else None
            check_value(value, hint or (float if isinstance(value, (int, float)) else None), where, ENV_RANGES)


def _check_agent(agent: Any) -> None:
    """Check what types and ranges do not tell of an agent of rsl_rl; SBX's are checked where they are built.

    Raises:
        ValueError: With the option's path.
    """
    from rsl_rl.utils import resolve_nn_activation

    from isaaclab_offpolicy.algorithms.rsl_rl_cfg import SacAlgorithmCfg, check_options

    for name in ("actor", "critic"):
        activation = getattr(getattr(agent, name, None), "activation", None)
        if isinstance(activation, str):
            try:
                resolve_nn_activation(activation)
            except ValueError as error:
                raise ValueError(f"agent.{name}.activation: {error}") from None
    if isinstance(getattr(agent, "algorithm", None), SacAlgorithmCfg):
        check_options(agent.algorithm)


def _check_times(env: Any) -> None:
    """Refuse an episode without a step.

    Raises:
        ValueError: With the options' paths.
    """
    length = getattr(env, "episode_length_s", None)
    if isinstance(length, (int, float)) and env.sim.dt * env.decimation > length:
        step = f"env.sim.dt={env.sim.dt:g} times env.decimation={env.decimation}"
        raise ValueError(f"env.episode_length_s={length:g} is less than one env step, {step}")


def check_sizes(agent: Any, num_envs: int) -> None:
    """Refuse numbers of an agent that do not go together in a training.

    Args:
        agent: The agent's configuration.
        num_envs: Number of environments.

    Raises:
        ConfigError: With the options' paths.
    """
    sb3 = hasattr(agent, "library")
    algorithm, prefix = (agent, "agent") if sb3 else (agent.algorithm, "agent.algorithm")
    size = getattr(algorithm, "buffer_size", None)
    batches, transitions = getattr(algorithm, "num_mini_batches", 1), getattr(agent, "num_steps_per_env", 1) * num_envs
    limits = {"num_mini_batches": (batches, transitions, "transitions of an iteration")}
    if size is not None:
        limits["n_steps"] = (algorithm.n_steps, size // num_envs, f"env steps in {prefix}.buffer_size={size}")
        limits["learning_starts"] = (algorithm.learning_starts, size, f"transitions in {prefix}.buffer_size={size}")
    for name, (value, most, what) in limits.items():
        if value > most:
            raise ConfigError(
                f"{prefix}.{name} is at most {most}, the {what} with {num_envs} environments, not {value}"
            )
