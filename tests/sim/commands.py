# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Runs commands as a user does, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

# without compiled modules, each of which would be compiled anew, every simulation starts five seconds later
DROPPED = ("PYTHONPATH", "DISPLAY", "PYTHONDONTWRITEBYTECODE")
TOGETHER = (("unitree_a1", "unitree_go1"), ("unitree_go2", "bdx"), ("anymal_b", "anymal_c"))
"""Robots that one simulator exercises, one after the other."""

REPOSITORY = Path(__file__).resolve().parents[2]


def run(command: Sequence[str], cwd: Path, timeout: float = 400.0) -> subprocess.CompletedProcess[str]:
    """Run a command without a terminal and keep what it prints."""
    environment = {key: value for key, value in os.environ.items() if key not in DROPPED}
    return subprocess.run(
        command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout
    )


def succeed(command: Sequence[str], cwd: Path, timeout: float = 400.0) -> str:
    """Run a command that must succeed; gives its standard output."""
    result = run(command, cwd, timeout)
    assert result.returncode == 0, f"{' '.join(command)}\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}"
    return result.stdout


def kill_after(command: Sequence[str], cwd: Path, pattern: str, count: int) -> None:
    """Run a command and kill it, as a machine that dies does, once so many files of a pattern are there."""
    environment = {key: value for key, value in os.environ.items() if key not in DROPPED}
    log = cwd / "killed.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            while len(list(cwd.glob(pattern))) < count:
                assert process.poll() is None, log.read_text()[-3000:]
                time.sleep(0.02)
        finally:
            process.kill()
            process.wait()


def script(name: str) -> list[str]:
    return [sys.executable, str(REPOSITORY / "scripts" / f"{name}.py")]


def stock_training() -> list[str]:
    """A short training through Isaac Lab's own command."""
    return [
        *stock("train"), "--rl_library", "rsl_rl", "--task", "Isaac-Velocity-Flat-Unitree-A1-v0",
        "--agent", "rsl_rl_sac_cfg_entry_point", "--num_envs", "32", "--device", "cpu", "--max_iterations", "4",
        "agent.algorithm.buffer_size=10000", "agent.algorithm.n_steps=3", "agent.save_interval=2",
        "agent.algorithm.action_bounds=percentile",
    ]  # fmt: skip


def stock(command: str) -> list[str]:
    """Isaac Lab's own command, as installed."""
    return [str(Path(sys.executable).parent / "isaaclab"), command]
