# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def run(command: Sequence[str], cwd: Path, timeout: float = 400.0) -> subprocess.CompletedProcess[str]:
    """Run a command without a terminal and keep what it prints."""
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "DISPLAY")}
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


@cache
def _probe(engine: str, task: str, num_envs: int, steps: int, cwd: Path) -> dict:
    command = [sys.executable, str(Path(__file__).parent / "probe.py"), engine, task, str(num_envs), str(steps)]
    output = succeed(command, cwd)
    return json.loads(output.partition("RESULT ")[2].splitlines()[0])


@pytest.fixture(scope="session")
def probe(tmp_path_factory: pytest.TempPathFactory):
    """Runs tests/sim/probe.py, once for the same arguments."""
    cwd = tmp_path_factory.mktemp("probe")
    return lambda engine, task, num_envs, steps: _probe(engine, task, num_envs, steps, cwd)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short training through Isaac Lab's own command, from a folder outside the repository; gives that folder."""
    cwd = tmp_path_factory.mktemp("stock")
    output = succeed(
        [
            *stock("train"), "--rl_library", "rsl_rl", "--task", "Isaac-Velocity-Flat-Unitree-A1-v0",
            "--agent", "rsl_rl_sac_cfg_entry_point", "--num_envs", "32", "--device", "cpu", "--max_iterations", "4",
            "agent.algorithm.buffer_size=10000", "agent.algorithm.n_steps=3", "agent.save_interval=2",
        ],
        cwd,
    )  # fmt: skip
    assert "Mean qf1 loss" in output
    return cwd
