# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Reads files of torch without running what is in them."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import IO, Any

import torch

from isaaclab_offpolicy.errors import ConfigError


def load_tensors(file: str | Path | IO[bytes], device: str = "cpu", mmap: bool = False) -> Any:
    """Read tensors and plain values; a file that names anything else is refused.

    Args:
        file: What :func:`torch.save` has written.
        device: Device of the tensors.
        mmap: Whether a file is mapped into memory, so that nothing is read that is not used.

    Raises:
        ValueError: If the file cannot be read, or would call something; with one line that says why.
    """
    mmap = mmap and isinstance(file, (str, Path)) and zipfile.is_zipfile(file)  # other files cannot be mapped
    try:
        return torch.load(file, weights_only=True, map_location=device, mmap=mmap)
    except Exception as error:  # a broken file makes torch raise nearly anything
        raise ValueError(_reason(error)) from None


def _reason(error: Exception) -> str:
    """Torch's reason not to read a file, without its advice on how to read it all the same."""
    text = str(error)
    if named := re.search(r"GLOBAL ([\w.]+)", text):
        return f"it would call {named[1]}; only tensors and plain values are read"
    if "TorchScript" in text:
        return "it is an exported TorchScript policy"
    # torch puts its advice first
    text = text.rpartition("WeightsUnpickler error:")[2]
    lines = [line.strip() for line in text.splitlines() if line.strip() and "weights_only" not in line]
    return lines[0] if lines else f"{type(error).__name__} while reading"


def read_checkpoint_tensors(path: str, device: str = "cpu", mmap: bool = False) -> Any:
    """As :func:`load_tensors`, with an error for the user.

    Raises:
        ConfigError: If the file cannot be read, or would call something.
    """
    try:
        return load_tensors(path, device, mmap)
    except ValueError as error:
        raise ConfigError(f"{path} is not a checkpoint: {error}") from None
