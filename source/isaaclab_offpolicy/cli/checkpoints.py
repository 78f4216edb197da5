# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Reads checkpoints without running what is in them."""

from __future__ import annotations

import pickle
import re
import zipfile
from typing import Any, cast

from .arguments import CliError, is_sb3

UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, IndexError, RuntimeError, EOFError, OSError,
              pickle.UnpicklingError)  # fmt: skip
"""What reading a broken file may raise."""


def check_checkpoint(path: str, task: str, agent_key: str) -> None:
    """Refuse a file that is no checkpoint, before a simulation is started.

    Args:
        path: The file.
        task: A registered task.
        agent_key: Configuration key of the agent.

    Raises:
        CliError: If it cannot be read, is one of another agent of SBX or Stable-Baselines3, or would run something.
    """
    if not is_sb3(agent_key):
        if not isinstance(read_tensors(path, mmap=True), dict):
            raise CliError(f"{path} is not a checkpoint: it holds no dictionary")
        return
    from isaaclab_tasks.utils import load_cfg_from_registry

    from isaaclab_offpolicy.sbx.checkpoint import read_checkpoint

    try:
        read_checkpoint(cast(Any, load_cfg_from_registry(task, agent_key)), path)
    except ValueError as error:
        raise CliError(f"{path}: {error}") from None


def read_tensors(path: str, device: str = "cpu", mmap: bool = False) -> Any:
    """Read tensors and plain values; a file that names anything else is refused.

    Args:
        path: A checkpoint, or a replay buffer.
        device: Device of the tensors.
        mmap: Whether the file is mapped into memory, so that nothing is read that is not used.

    Raises:
        CliError: If the file cannot be read, or would call something.
    """
    import torch

    try:
        mmap = mmap and zipfile.is_zipfile(path)  # other files cannot be mapped
        return torch.load(path, weights_only=True, map_location=device, mmap=mmap)
    except UNREADABLE as error:
        raise CliError(f"{path} is not a checkpoint: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    """Torch's reason not to read a file, without its advice on how to read it all the same."""
    named = re.search(r"GLOBAL ([\w.]+)", str(error))
    if isinstance(error, pickle.UnpicklingError) and named:
        return f"it would call {named[1]}; only tensors and plain values are read"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
