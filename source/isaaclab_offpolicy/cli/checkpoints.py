# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Refuses what is no checkpoint, before a simulation is started."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .arguments import CliError, is_sb3, option

WHOSE = ("library", "algorithm")
"""Options that decide whose checkpoints an agent of SBX or Stable-Baselines3 takes."""


def check_checkpoint(path: str, task: str, agent_key: str, overrides: Sequence[str] = ()) -> None:
    """Refuse a file that is no checkpoint.

    Args:
        path: The file.
        task: A registered task.
        agent_key: Configuration key of the agent.
        overrides: Hydra overrides.

    Raises:
        CliError: If it cannot be read, is one of another agent of SBX or Stable-Baselines3, or would run something.
    """
    if not is_sb3(agent_key):
        if not isinstance(read_tensors(path, mmap=True), dict):
            raise CliError(f"{path} is not a checkpoint: it holds no dictionary")
        return
    from isaaclab_tasks.utils import load_cfg_from_registry

    from isaaclab_offpolicy.sbx.checkpoint import read_checkpoint

    cfg: Any = load_cfg_from_registry(task, agent_key)
    for name in WHOSE:
        setattr(cfg, name, option(list(overrides), f"agent.{name}", f"agent.{name}") or getattr(cfg, name))
    try:
        read_checkpoint(cfg, path)
    except ValueError as error:
        raise CliError(f"{path}: {error}") from None


def read_tensors(path: str, device: str = "cpu", mmap: bool = False) -> Any:
    """Read tensors and plain values, as of :func:`~isaaclab_offpolicy.training.safe_load.load_tensors`.

    Raises:
        CliError: If the file cannot be read, or would call something.
    """
    from isaaclab_offpolicy.training.safe_load import load_tensors

    try:
        return load_tensors(path, device, mmap)
    except ValueError as error:
        raise CliError(f"{path} is not a checkpoint: {error}") from None
