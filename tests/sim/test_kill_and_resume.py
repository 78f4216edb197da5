# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""A training whose machine dies goes on from its last checkpoint."""

from __future__ import annotations

import csv
import importlib.util
import re
import subprocess
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import script, succeed

TASK = "Isaac-Velocity-Flat-Unitree-A1-v0"
NUM_ENVS = 16
SMALL = {
    "sac": [
        "agent.actor.hidden_dims=[32,32]", "agent.critic.hidden_dims=[32,32]", "agent.algorithm.buffer_size=10000",
        "agent.num_steps_per_env=20", "agent.save_interval=1", "agent.algorithm.update=eager",
    ],
    "sbx-sac": [
        "agent.net_arch=[32,32]", "agent.buffer_size=10000", "agent.learning_starts=200", "agent.log_interval=320",
        "agent.save_interval=320",
    ],
}  # fmt: skip


def checkpoints(folder: Path) -> list[Path]:
    found = folder.glob("logs/*/*/*/model_*.*")
    return sorted((p for p in found if p.suffix in (".pt", ".zip")), key=lambda p: (p.parent.name, number(p)))


def number(path: Path) -> int:
    return int(path.stem.rpartition("_")[2])


def read(checkpoint: Path) -> tuple[int, dict[str, Any]]:
    """Transitions so far, and the normaliser's state."""
    if checkpoint.suffix == ".zip":
        with zipfile.ZipFile(checkpoint) as archive:
            return number(checkpoint), dict(np.load(archive.open("normalizer.npz")))
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
    state = {key: value.numpy() for key, value in saved["critic_obs_normalizer_state_dict"].items()}
    return saved["num_timesteps"], {"count": state["count"], "mean": state["_mean"], "var": state["_var"]}


@pytest.mark.parametrize("agent", ["sac", "sbx-sac"])
def test_a_killed_training_goes_on(tmp_path: Path, agent: str) -> None:
    if agent == "sbx-sac" and importlib.util.find_spec("sbx") is None:
        pytest.skip("needs SBX: install isaaclab_offpolicy[sbx]")
    train = [*script("train"), "--task", TASK, "--agent", agent, "--num_envs", str(NUM_ENVS), "--device", "cpu"]
    train += SMALL[agent]
    with (tmp_path / "first.log").open("w") as log:
        process = subprocess.Popen(train, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            # a few checkpoints beyond the first gradient steps
            while len(checkpoints(tmp_path)) < 6:
                assert process.poll() is None, (tmp_path / "first.log").read_text()[-3000:]
                time.sleep(0.05)
        finally:
            process.kill()
            process.wait()
    assert process.returncode == -9
    last = checkpoints(tmp_path)[-1]
    steps, before = read(last)
    assert steps >= 5 * 320
    output = succeed([*train, "--resume", "latest", "--max_iterations", "2"], tmp_path)
    assert str(last) in output, "the newest checkpoint that was written to its end"
    resumed = checkpoints(tmp_path)[-1]
    assert resumed.parent != last.parent
    steps_after, after = read(resumed)
    added = steps_after - steps
    # SBX: rounds of one vector step; the native runner: iterations of 20
    assert added == NUM_ENVS * (2 if agent == "sbx-sac" else 2 * 20)
    # the normaliser goes on from where it was: every step's observations, and those of the one reset
    assert float(after["count"]) - float(before["count"]) == pytest.approx(added + NUM_ENVS)
    assert (np.abs(after["mean"] - before["mean"]) < np.sqrt(before["var"]) + 1e-3).all()
    with (resumed.parent / "progress.csv").open() as file:
        first_row = next(csv.DictReader(file))
    assert int(first_row["env_steps"]) > steps, "counts on"
    assert re.search(r"\d", first_row["wall_time_s"])
