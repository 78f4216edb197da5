# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Finds checkpoints and their agents, and refuses what is none before a simulation is started."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from isaaclab_offpolicy.agents.configuration import resolve
from isaaclab_offpolicy.agents.overrides import value_of
from isaaclab_offpolicy.agents.registry import check_library, check_task, entry_points, find_agent, stands_for
from isaaclab_offpolicy.agents.table import AgentSpec, agent_of
from isaaclab_offpolicy.engine import check_device
from isaaclab_offpolicy.errors import ConfigError
from isaaclab_offpolicy.training.runs import CHECKPOINTS_OF, MANIFEST

from .arguments import terrain_overrides
from .run_options import options_of_run

SELECTORS = ("latest", "best")
"""What may stand in place of a path."""

LARGEST_MANIFEST = 2**20
"""Largest manifest that is read [B]."""

OF_TRAINING = ("agent.max_iterations=", "agent.run_name=")
"""Overrides that say nothing where nothing is trained, and that not every agent has."""


class PolicyRun(NamedTuple):
    """What a command that plays a checkpoint needs, checked."""

    task: str
    """The task."""

    agent: AgentSpec
    """The agent."""

    device: str
    """Device of simulation and policy."""

    checkpoint: str
    """Path of the checkpoint."""

    overrides: list[str]
    """Hydra overrides, with the engine."""


def check_policy_run(args: argparse.Namespace, overrides: Sequence[str], default: str = "sac") -> PolicyRun:
    """Check what :func:`.arguments.add_policy_arguments` added.

    Args:
        args: The parsed command line.
        overrides: Its Hydra overrides.
        default: Agent of a checkpoint of which no run tells it.

    Raises:
        ConfigError: If task, agent, device, checkpoint or an override is not known, or the checkpoint cannot be read.
    """
    task, device = check_task(args.task), check_device(args.device)
    learner = value_of(overrides, "agent.device")
    if learner not in (None, device):
        raise ConfigError(f"agent.device={learner}: a policy is played on the device of the simulation, {device}")
    if args.agent is not None:
        find_agent(task, args.agent, device)  # says what is wrong with it
    checkpoint, agent = find_policy(args.checkpoint, task, args.agent, device, args.experiment_name, default)
    overrides = [item for item in overrides if not item.startswith(OF_TRAINING)]
    overrides += options_of_run(checkpoint, task, agent, overrides)
    env_cfg, agent_cfg, overrides = resolve(task, agent.entry_point, device, overrides)
    overrides += terrain_overrides(env_cfg, args.terrain)
    check_checkpoint(checkpoint, agent, agent_cfg)
    return PolicyRun(task, agent, device, checkpoint, overrides)


def find_policy(
    spec: str,
    task: str,
    agent: str | None = None,
    device: str | None = None,
    experiment: str | None = None,
    default: str = "sac",
) -> tuple[str, AgentSpec]:
    """Find a checkpoint, and the agent that its run was trained with.

    Args:
        spec: ``latest``, ``best``, or the path of a checkpoint or of a run's folder.
        task: The task.
        agent: The agent that the user gave, if any.
        device: Device of the policy.
        experiment: Name of the experiment's folder; None looks in all.
        default: Agent of a checkpoint of which no run tells it.

    Returns:
        Path of the checkpoint, and its agent.

    Raises:
        ConfigError: If there is none, or it was trained with another agent.
    """
    if spec in SELECTORS:
        path, recorded = _newest(spec, task, agent, experiment)
    else:
        path = _path(spec)
        recorded = manifest(path.parent).get("metadata", {}).get("agent")
    if not isinstance(recorded, str):
        return str(path), find_agent(task, agent or default, device)
    found = agent_of(recorded)
    if agent is not None and not stands_for(agent, found):
        raise ConfigError(
            f"{path} was trained with agent '{found.name}', and not with '{agent}'; leave --agent out to take its own"
        )
    if found.entry_point not in entry_points(task):
        raise ConfigError(f"{path} was trained with agent '{found.name}', which task '{task}' does not have")
    check_library(found)
    return str(path), found


def manifest(folder: Path) -> dict[str, Any]:
    """What Isaac Lab wrote of a run when it began; empty where there is none, or, with a warning, a broken one."""
    path = folder / MANIFEST
    if not os.path.lexists(path):
        return {}
    try:
        if not path.is_file() or path.stat().st_size > LARGEST_MANIFEST:
            raise ValueError("not a manifest")
        result = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(result, dict) or not isinstance(result.get("metadata", {}), dict):
            raise ValueError("not a manifest")
    except (OSError, ValueError, RecursionError) as error:
        reason = str(getattr(error, "strerror", None) or error).splitlines()[0]
        print(f"[WARNING] {path} cannot be read: {reason}", file=sys.stderr)
        return {}
    return result


def _path(spec: str) -> Path:
    """A checkpoint's path, or the newest checkpoint of a run's folder."""
    try:
        path = Path(spec).expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:  # links in a circle, no such home, a zero byte
        raise ConfigError(f"no checkpoint '{spec}': {error}") from None
    if path.is_dir():
        found = [file for kind in CHECKPOINTS_OF.values() for file in kind.numbered(path)]
        if not found:
            raise ConfigError(f"no checkpoint model_N.pt or model_N.zip in '{path}'")
        return found[-1]
    if not path.is_file():
        raise ConfigError(f"no checkpoint '{spec}'; give 'latest', 'best', or the path of a file or of a run's folder")
    return path


def _newest(spec: str, task: str, agent: str | None, experiment: str | None) -> tuple[Path, str]:
    """The checkpoint of the newest run of a task, and its agent."""
    others: set[str] = set()
    for _, recorded, folder in sorted(_runs(task, experiment), reverse=True):
        found = agent_of(recorded)
        kind = CHECKPOINTS_OF[found.folder]
        best, numbered = folder / kind.best, kind.numbered(folder)
        if spec == "best" and best.is_file():
            numbered = [best]
        if not numbered:
            continue
        if agent is not None and not stands_for(agent, found):
            others.add(found.name)
            continue
        return numbered[-1], recorded
    whose = f" with agent '{agent}'" if agent is not None else ""
    hint = f"; there are runs of: {', '.join(f'--agent {other}' for other in sorted(others))}" if others else ""
    raise ConfigError(f"no checkpoint '{spec}': no run of task '{task}'{whose} in {Path('logs').absolute()}{hint}")


def _runs(task: str, experiment: str | None) -> Iterator[tuple[str, str, Path]]:
    """When they began, agents and folders of a task's runs."""
    from isaaclab_rl.entrypoints.common import normalize_task_name

    for folder in CHECKPOINTS_OF:
        for path in Path("logs", folder).absolute().glob(f"{experiment or '*'}/*/{MANIFEST}"):
            known = manifest(path.parent)
            recorded = known.get("metadata", {}).get("agent")
            if known.get("task") == normalize_task_name(task) and isinstance(recorded, str):
                yield str(known.get("created_at")), recorded, path.parent


def check_checkpoint(path: str, agent: AgentSpec, cfg: Any) -> None:
    """Refuse a file that is no checkpoint.

    Args:
        path: The file.
        agent: The agent.
        cfg: Its configuration.

    Raises:
        ConfigError: If it cannot be read, is one of another agent of SBX or Stable-Baselines3, or would run something.
    """
    if not agent.is_sb3:
        from isaaclab_offpolicy.training.safe_load import read_checkpoint_tensors

        read_checkpoint_tensors(path)
        return
    from isaaclab_offpolicy.runners.sbx.checkpoint import read_checkpoint

    try:
        read_checkpoint(cfg, path)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None
