# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path

import pytest
from commands import script, stock_training, succeed


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
    output = succeed(stock_training(), cwd)
    assert "critic_loss" in output
    return cwd


@pytest.fixture(scope="session")
def ppo(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Checkpoint of a short PPO training of A1."""
    cwd = tmp_path_factory.mktemp("ppo")
    task = "Isaac-Velocity-Flat-Unitree-A1-v0"
    succeed([*script("train"), "--agent", "ppo", "--max_iterations", "2", "--num_envs", "8", "--task", task], cwd)
    return str(max((cwd / "logs").rglob("model_*.pt")))
