# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Agents of SBX and Stable-Baselines3 through the project's scripts."""

from __future__ import annotations

import csv
import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from commands import run, script, succeed

pytest.importorskip("sbx", reason="needs SBX: install isaaclab_offpolicy[sbx]")

TASK = "Isaac-Velocity-Flat-Unitree-A1-v0"
SMALL = ["--num_envs", "16", "--device", "cpu", "agent.net_arch=[32,32]"]
REPLAY = ["agent.buffer_size=10000", "agent.learning_starts=200", "agent.log_interval=400"]


def runs(cwd: Path) -> list[Path]:
    return sorted((cwd / "logs" / "sbx" / "unitree_a1_flat").iterdir())


def steps_of(checkpoint: Path) -> int:
    return int(checkpoint.stem.rpartition("_")[2])


def test_what_the_replay_buffer_holds_and_that_all_agents_train(tmp_path: Path) -> None:
    probe = str(Path(__file__).parent / "sbx_probe.py")
    assert "RESULT" in succeed([sys.executable, probe, str(tmp_path)], tmp_path)


def test_train_resume_evaluate_and_play(tmp_path: Path) -> None:
    train = [*script("train"), "--task", TASK, "--agent", "sbx-sac", *SMALL, *REPLAY]
    succeed([*train, "--max_iterations", "150", "agent.save_replay_buffer=true"], tmp_path)
    (first,) = runs(tmp_path)
    (checkpoint,) = first.glob("model_*.zip")
    assert steps_of(checkpoint) == 150 * 16
    for name in ("bounds.yaml", "versions.json", "command.txt", "params/agent.yaml", "replay_buffer.pkl"):
        assert (first / name).is_file(), name
    with (first / "progress.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert int(rows[-1]["env_steps"]) >= 2000 and np.isfinite(float(rows[-1]["critic_loss"]))
    with zipfile.ZipFile(checkpoint) as archive:
        assert {"bounds.yaml", "normalizer.npz"} <= set(archive.namelist())
        before = dict(np.load(archive.open("normalizer.npz")))
    assert float(before["count"]) > 2400
    # on a resumed training steps, normaliser and replay go on
    output = succeed([*train, "--resume", "latest", "--max_time", "3s"], tmp_path)
    assert "replay buffer:" in output
    second = runs(tmp_path)[-1]
    last = max(second.glob("model_*.zip"), key=steps_of)
    assert steps_of(last) > 2400
    with zipfile.ZipFile(last) as archive:
        after = dict(np.load(archive.open("normalizer.npz")))
    assert float(after["count"]) > float(before["count"]), "the statistics go on where they ended"
    succeed(
        [
            *script("evaluate"), "--task", TASK, "--agent", "sbx-sac", "--checkpoint", "latest", "--episodes", "4",
            "--device", "cpu", "--out", "result.json", "env.episode_length_s=0.4",
        ],
        tmp_path,
    )  # fmt: skip
    assert np.isfinite(json.loads((tmp_path / "result.json").read_text())["return_mean"])
    succeed(
        [
            *script("play"), "--task", TASK, "--agent", "sbx-sac", "--num_envs", "2", "--device", "cpu", "--video",
            "--video_length", "6",
        ],
        tmp_path,
    )  # fmt: skip
    assert len(list(second.rglob("*.mp4"))) == 1


def test_bad_options_are_one_line(tmp_path: Path) -> None:
    command = [*script("train"), "--task", TASK, "--agent", "sbx-sac", *SMALL]
    result = run([*command, "agent.replay_ratio=null", "agent.gradient_steps=20"], tmp_path)
    assert result.returncode == 1
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    assert "take 16 or 24" in line and "Traceback" not in result.stderr
