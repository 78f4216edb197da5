# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Bounds for a task without a trained policy, and a table of bounds for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from isaaclab_offpolicy.action_bounds import (
    KINDS,
    PERCENTILE,
    SYMMETRIC,
    ActionBounds,
    BoundsError,
    action_bounds,
    action_joint_names,
    action_scale_and_offset,
    available_bounds,
    find_bounds,
    joint_axes,
    robot_mirror,
    robot_of,
)
from isaaclab_offpolicy.action_bounds.files import as_number
from isaaclab_offpolicy.action_bounds.roles import transfer
from isaaclab_offpolicy.agents.configuration import resolve
from isaaclab_offpolicy.agents.registry import find_agent, load_tasks
from isaaclab_offpolicy.engine import check_device


def describe(bounds: ActionBounds) -> str:
    """A table for people: bounds, middle and half-range [raw action units], and the joints' targets [rad]."""
    width = max(len(name) for name in bounds.joint_names)
    targets = bounds.targets()
    lines = [bounds.source] if bounds.source else []
    lines += [f"  {key}: {value}" for key, value in bounds.info.items() if not isinstance(value, dict)]
    lines.append(
        f"{'joint':<{width}}{'low':>9}{'high':>9}{'middle':>9}{'half':>9}" + ("   target [rad]" * bool(targets))
    )
    for i, (name, low, high) in enumerate(zip(bounds.joint_names, bounds.low, bounds.high, strict=True)):
        line = f"{name:<{width}}{low:9.3f}{high:9.3f}{(low + high) / 2:9.3f}{(high - low) / 2:9.3f}"
        lines.append(line + (f"   [{targets[i][0]:.3f}, {targets[i][1]:.3f}]" if targets else ""))
    return "\n".join(lines)


def derive(
    task: str, source: str, widen: float = 1.0, symmetric: bool = False, overrides: Sequence[str] = ()
) -> ActionBounds:
    """Bounds for a task without a trained policy.

    Args:
        task: A registered task.
        source: ``joint-limits``, X, ``Xrad``, name of a shipped file, or path of a file.
        widen: Factor on the bounds.
        symmetric: Whether to make them left-right symmetric.
        overrides: Isaac Lab's overrides of the task.

    Returns:
        The bounds, in the order of the task's actions.

    Raises:
        BoundsError: If they cannot be made, with the reason.
    """
    key = find_agent(task, "ppo").entry_point
    if source in (PERCENTILE, SYMMETRIC):
        files = ", ".join(available_bounds())
        raise BoundsError(f"--source '{source}' is none: name the file, one of {files} or yours")
    from isaaclab_offpolicy.runners.simulation import running_task

    device = check_device("cpu")
    file = None
    if source not in KINDS and as_number(source) is None:
        file = find_bounds(source)
    with running_task(task, key, 1, device, 1, resolve(task, key, device, overrides).overrides) as (env, _):
        if file is None:
            bounds = action_bounds(env, source)
        else:
            names, (scale, pose) = action_joint_names(env), action_scale_and_offset(env)
            if sorted(names) == sorted(file.joint_names):
                bounds = file.reorder(names).converted(scale, pose)
            else:
                bounds = _from_another_robot(file, env, names, scale, pose)
        if symmetric:
            bounds = bounds.symmetrized(robot_mirror(env))
        # what was counted does not hold for the new numbers; where they come from does
        known = {} if file is None else file.info
        origin = {key: known[key] for key in ("task", "percentiles", "checkpoint_sha256") if key in known}
        info = {"task": task, "derived_from": {"source": source, **origin}, "widened_by": widen, "symmetric": symmetric}
        return replace(bounds.scaled(widen), info=info)


def _from_another_robot(
    bounds: ActionBounds, env: Any, names: Sequence[str], scale: Sequence[float], pose: Sequence[float]
) -> ActionBounds:
    """Bounds of another quadruped, whose task the file names."""
    import gymnasium as gym

    from isaaclab_tasks.utils import resolve_task_config

    load_tasks()
    other = bounds.info.get("task")
    if other not in gym.registry:
        raise BoundsError(
            f"the file's joints are another robot's, and its 'info' names no known task ('task': {other})"
        )
    other_cfg: Any = resolve_task_config(str(other), None, overrides=[])[0]  # type: ignore[arg-type]
    axes = joint_axes(other_cfg.scene.robot.spawn.usd_path)
    return transfer(bounds, axes, names, scale, pose, joint_axes(robot_of(env).cfg.spawn.usd_path))
