# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""What an environment has learned about the training that runs in it: its curriculum."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

COUNTERS = ("common_step_counter", "_sim_step_counter")
"""Isaac Lab's counters of env steps and of physics steps, which curricula and events look at."""

MANAGERS = ("command", "event", "reward", "observation", "termination", "curriculum")
"""Managers whose configuration a curriculum may change."""


class EnvironmentState:
    """The state of an environment that outlives its episodes.

    Of Isaac Lab's environments these are the level and type of the terrain of each environment, the counters of steps,
    when events come next, and what curricula have changed: numbers of the managers' configurations, such as ranges of
    commands and weights of rewards, and the terms' own. Episodes begin anew: physics engines do not give their whole
    state. An environment that can has ``state_dict`` and ``load_state_dict``; its episodes go on.

    Args:
        env: The environment, or a wrapper of it, as it is before a training.
    """

    def __init__(self, env: Any) -> None:
        self._env = getattr(env, "unwrapped", env)
        self._configured = {path: copy.deepcopy(value) for path, (_, _, value) in _settings(self._env).items()}

    @property
    def task(self) -> str | None:
        """Name under which the task is registered."""
        return getattr(getattr(self._env, "spec", None), "id", None)

    def state(self) -> dict[str, Any]:
        """The state as tensors on the CPU and plain values."""
        kind = {"task": self.task, "num_envs": self._env.num_envs, "terrain_grid": self._terrain_grid()}
        if hasattr(self._env, "state_dict"):
            return {**kind, "whole": self._env.state_dict()}
        return {
            **kind,
            "counters": {name: int(getattr(self._env, name)) for name in COUNTERS if hasattr(self._env, name)},
            "tensors": {name: tensor.to("cpu", copy=True) for name, tensor in _tensors(self._env).items()},
            "settings": {
                path: value.to("cpu", copy=True) if isinstance(value, torch.Tensor) else copy.deepcopy(value)
                for path, (_, _, value) in _settings(self._env).items()
                if not _same(value, self._configured.get(path))
            },
        }

    def restore(self, state: Mapping[str, Any], reset: Callable[[], Any]) -> bool:
        """Take over what :meth:`state` gave.

        Args:
            state: The state.
            reset: Begins all episodes anew.

        Returns:
            Whether the episodes go on that were under way.

        Raises:
            ValueError: If it is of another task, number of environments or terrain; nothing has changed then.
        """
        for what, name, ours in (
            ("of task {}", "task", self.task),
            ("of {} environments", "num_envs", self._env.num_envs),
            ("of a terrain of {} rows and columns", "terrain_grid", self._terrain_grid()),
        ):
            if state[name] != ours:
                raise ValueError(f"{what.format(state[name])}, not {what.format(ours)}")
        if "whole" in state:
            self._env.load_state_dict(state["whole"])
            return True
        if state["counters"]:
            self._apply(state)
            # curricula judge episodes by where they end, and none has ended here
            with frozen_curriculum(self._env):
                reset()
            # which has drawn anew when events come
            self._apply(state)
        return False

    def _terrain_grid(self) -> list[int] | None:
        """Numbers of levels and of types of the terrain."""
        terrain = _terrain(self._env)
        return None if terrain is None else list(terrain.terrain_origins.shape[:2])

    def _apply(self, state: Mapping[str, Any]) -> None:
        for name, value in state["counters"].items():
            setattr(self._env, name, value)
        for name, tensor in _tensors(self._env).items():
            if name in state["tensors"] and state["tensors"][name].shape == tensor.shape:
                tensor.copy_(state["tensors"][name])
        if (terrain := _terrain(self._env)) is not None:
            terrain.env_origins[:] = terrain.terrain_origins[terrain.terrain_levels, terrain.terrain_types]
        settings = _settings(self._env)
        for path, value in state["settings"].items():
            if path not in settings:
                continue
            owner, name, current = settings[path]
            if isinstance(value, torch.Tensor):
                if not isinstance(current, torch.Tensor) or current.shape != value.shape:
                    continue
                value = value.to(current.device, copy=True)
            if isinstance(owner, dict):
                owner[name] = value
            else:
                setattr(owner, name, value)


@contextmanager
def frozen_curriculum(env: Any) -> Iterator[None]:
    """Keep Isaac Lab's curriculum as it is while episodes are reset.

    Args:
        env: Isaac Lab's environment, unwrapped.
    """
    manager = getattr(env, "curriculum_manager", None)
    if manager is None:
        yield
        return
    manager.compute = lambda env_ids=None: None
    try:
        yield
    finally:
        del manager.compute  # the class's own


def _terrain(env: Any) -> Any:
    """Isaac Lab's terrain, if its environments stand on parts of it that have levels and types."""
    terrain = getattr(getattr(env, "scene", None), "terrain", None) or getattr(env, "_terrain", None)
    return terrain if getattr(terrain, "terrain_origins", None) is not None else None


def _tensors(env: Any) -> dict[str, torch.Tensor]:
    """Tensors by name: levels and types of the terrain, shape [N]; and of events by term, shape [N] or [1]."""
    found: dict[str, Any] = {}
    if (terrain := _terrain(env)) is not None:
        found |= {"terrain_levels": terrain.terrain_levels, "terrain_types": terrain.terrain_types}
    events = getattr(env, "event_manager", None)
    for mode, name in (
        ("interval", "_interval_term_time_left"),
        ("reset", "_reset_term_last_triggered_step_id"),
        ("reset", "_reset_term_last_triggered_once"),
    ):
        terms = getattr(events, "_mode_term_names", {}).get(mode, ())
        found |= {f"{term}{name}": value for term, value in zip(terms, getattr(events, name, ()), strict=False)}
    return {name: value for name, value in found.items() if isinstance(value, torch.Tensor)}


def _settings(env: Any) -> dict[str, tuple[Any, Any, Any]]:
    """Plain values in the managers' configurations and in the terms of the curriculum.

    Returns:
        By their path: who has the value, its name there, and the value.
    """
    found: dict[str, tuple[Any, Any, Any]] = {}
    seen: set[int] = set()

    def walk(node: Any, path: str) -> None:
        # terms that are objects have the configuration that they are in
        if id(node) in seen:
            return
        seen.add(id(node))
        if isinstance(node, dict):
            members = node
        elif dataclasses.is_dataclass(node) or (path.startswith("curriculum.") and path.endswith(".func")):
            members = getattr(node, "__dict__", {})
        else:
            return
        for name, value in members.items():
            if _is_plain(value):
                found[f"{path}.{name}"] = (node, name, value)
            else:
                walk(value, f"{path}.{name}")

    for name in MANAGERS:
        walk(getattr(getattr(env, f"{name}_manager", None), "cfg", None), name)
    return found


def _is_plain(value: Any) -> bool:
    """Whether a value can be written to a checkpoint, and read without running anything."""
    if isinstance(value, (list, tuple)):
        return type(value) in (list, tuple) and all(map(_is_plain, value))
    return value is None or type(value) in (bool, int, float, str) or isinstance(value, torch.Tensor)


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, torch.Tensor) or isinstance(right, torch.Tensor):
        return isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor) and torch.equal(left, right)
    return bool(left == right)
