# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Runs commands as a user does, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def run(command: Sequence[str], cwd: Path, timeout: float = 400.0) -> subprocess.CompletedProcess[str]:
    """Run a command without a terminal and keep what it prints."""
    # without compiled modules, each of which would be compiled anew, every simulation starts five seconds later
    dropped = ("PYTHONPATH", "DISPLAY", "PYTHONDONTWRITEBYTECODE")
    environment = {key: value for key, value in os.environ.items() if key not in dropped}
    return subprocess.run(
        command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout
    )


def succeed(command: Sequence[str], cwd: Path, timeout: float = 400.0) -> str:
    """Run a command that must succeed; gives its standard output."""
    result = run(command, cwd, timeout)
    assert result.returncode == 0, f"{' '.join(command)}\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}"
    return result.stdout


def script(name: str) -> list[str]:
    return [sys.executable, str(REPOSITORY / "scripts" / f"{name}.py")]


def stock(command: str) -> list[str]:
    """Isaac Lab's own command, as installed."""
    return [str(Path(sys.executable).parent / "isaaclab"), command]
