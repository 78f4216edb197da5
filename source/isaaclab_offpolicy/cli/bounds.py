# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""``scripts/bounds.py``: looks at bounds files and makes new ones without a trained policy."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
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
from isaaclab_offpolicy.action_bounds.roles import transfer

from .arguments import CliError, check_device, check_task_and_agent, engine_overrides, load_tasks
from .simulation import running_task


def parser() -> argparse.ArgumentParser:
    """The command line's parser."""
    result = argparse.ArgumentParser(prog="bounds.py", description="Look at action bounds, and make new ones.")
    commands = result.add_subparsers(dest="command", required=True)
    show = commands.add_parser("show", help="Print a bounds file, and check it.")
    show.add_argument("bounds", metavar="NAME|FILE", help="A shipped file or a file.")
    derive = commands.add_parser(
        "derive",
        help="Make a bounds file for a task without a trained policy.",
        description="Make a bounds file for a task without a trained policy: from its joint limits, from a number, or"
        " from another file, whose bounds are converted to the task's action scale and default pose, so that the joint"
        " targets stay the same. A file of another quadruped is matched by the role of the joints.",
    )
    derive.add_argument("--task", required=True, help="Task.")
    derive.add_argument(
        "--source", required=True, metavar="joint-limits|X|Xrad|NAME|FILE",
        help="Joint limits; a box of ±X policy units, or of ±X rad, such as 0.25rad; a shipped file or a file.",
    )  # fmt: skip
    derive.add_argument("--widen", type=float, default=1.0, metavar="F", help="Factor on the bounds, such as 1.25.")
    derive.add_argument("--symmetric", action="store_true", help="Make them left-right symmetric.")
    derive.add_argument("--out", type=Path, required=True, help="File to write.")
    return result


def main(argv: Sequence[str] | None = None) -> None:
    """Do what the command line says.

    Raises:
        CliError: With one line that says what is wrong.
    """
    args = parser().parse_args(argv)
    try:
        if args.command == "show":
            print(describe(find_bounds(args.bounds)))
            return
        bounds = derive(args.task, args.source, args.widen, args.symmetric)
    except BoundsError as error:
        raise CliError(str(error)) from None
    try:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        bounds.to_yaml(args.out)
    except OSError as error:
        raise CliError(f"{args.out} could not be written: {error.strerror}") from None
    print(f"{describe(bounds)}\n[INFO] {args.out}")


def describe(bounds: ActionBounds) -> str:
    """A table for people: bounds, middle and half width [policy units], and the joints' targets [rad]."""
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


def derive(task: str, source: str, widen: float = 1.0, symmetric: bool = False) -> ActionBounds:
    """Bounds for a task without a trained policy.

    Args:
        task: A registered task.
        source: ``joint-limits``, X, ``Xrad``, name of a shipped file, or path of a file.
        widen: Factor on the bounds.
        symmetric: Whether to make them left-right symmetric.

    Returns:
        The bounds, in the order of the task's actions.

    Raises:
        BoundsError: If they cannot be made, with the reason.
    """
    key = check_task_and_agent(task, "ppo")
    if source in (PERCENTILE, SYMMETRIC):
        files = ", ".join(available_bounds())
        raise BoundsError(f"--source '{source}' is none: name the file, one of {files} or yours")
    device = check_device("cpu")
    file = None
    if source not in KINDS and not _is_size(source):
        file = find_bounds(source)
    with running_task(task, key, 1, device, 1, engine_overrides(task, device, [])) as (env, _):
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


def _is_size(text: str) -> bool:
    """Whether it is X, ±X or Xrad."""
    try:
        float(text.removeprefix("±").removesuffix("rad"))
    except ValueError:
        return False
    return True


if __name__ == "__main__":
    main()
