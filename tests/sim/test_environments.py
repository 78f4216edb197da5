# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Tasks of one's own, in the simulator."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from commands import run, script, succeed

pytest.importorskip("sbx", reason="needs SBX: install isaaclab_offpolicy[sbx]")


@pytest.mark.parametrize("kind", ["managers", "direct"])
def test_a_task_of_ones_own_with_every_agent(kind: str, tmp_path: Path) -> None:
    probe = str(Path(__file__).parent / "environment_probe.py")
    assert "RESULT" in succeed([sys.executable, probe, kind, str(tmp_path)], tmp_path)


def test_networks_and_spaces_are_refused_before_the_simulation_starts(tmp_path: Path) -> None:
    small = ["--task", "Isaac-Velocity-Flat-Unitree-A1-v0", "--agent", "sac-cpu", "--num_envs", "8", "--device", "cpu"]
    for override, message in (
        ("agent.actor.class_name=RNNModel", "the actor is RNNModel; SAC learns multi-layer perceptrons"),
        ("env.observations.policy.concatenate_terms=false", "observation group 'policy' has its terms apart"),
    ):
        result = run([*script("train"), *small, override], tmp_path)
        (line,) = [line for line in result.stderr.splitlines() if line.startswith("error:")]
        assert result.returncode == 1 and message in line, line
        assert "Completed setting up the environment" not in result.stdout and "Traceback" not in result.stderr
