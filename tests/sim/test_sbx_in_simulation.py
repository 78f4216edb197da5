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
from commands import kill_after, run, script, succeed

from isaaclab_offpolicy.action_bounds import ActionBounds

pytest.importorskip("sbx", reason="needs SBX: install isaaclab_offpolicy[sbx]")

from isaaclab_offpolicy.runners.sbx.training import find_replay

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


def test_a_killed_training_is_resumed_evaluated_and_played(tmp_path: Path) -> None:
    train = [*script("train"), "--task", TASK, "--agent", "sbx-sac", *SMALL, *REPLAY]
    train += ["agent.use_sde=true", "agent.train_freq=5", "agent.n_steps=3"]
    train += ["agent.save_interval=480"]
    kill_after(train, tmp_path, "logs/sbx/*/*/model_*.zip", 6)
    (first,) = runs(tmp_path)
    checkpoint = max(first.glob("model_*.zip"), key=steps_of)
    steps = steps_of(checkpoint)
    assert steps >= 6 * 480
    # the kill may have come before the replay buffer of the newest one was written
    replay = find_replay(checkpoint)
    assert replay is not None
    for name in ("bounds.yaml", "versions.json", "command.txt", "params/agent.yaml"):
        assert (first / name).is_file(), name
    assert len(list(first.glob("replay_*.json"))) <= 2, "that of the newest checkpoint, and perhaps the next one's"
    with (first / "progress.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert int(rows[-1]["env_steps"]) >= 2000 and np.isfinite(float(rows[-1]["critic_loss"]))
    with zipfile.ZipFile(checkpoint) as archive:
        assert {"bounds.yaml", "normalizer.npz"} <= set(archive.namelist())
        before = dict(np.load(archive.open("normalizer.npz")))
    assert float(before["count"]) >= steps
    # steps, normaliser and replay go on
    train.remove("agent.log_interval=400")
    output = succeed([*train, "--resume", "latest", "--max_iterations", "6", "agent.log_interval=1"], tmp_path)
    assert replay.name in output
    second = runs(tmp_path)[-1]
    last = max(second.glob("model_*.zip"), key=steps_of)
    assert steps_of(last) == steps + 6 * 5 * 16
    with zipfile.ZipFile(last) as archive:
        after = dict(np.load(archive.open("normalizer.npz")))
    # every step's observations, and those of the one reset
    assert float(after["count"]) - float(before["count"]) == pytest.approx(6 * 5 * 16 + 16)
    spread = np.sqrt(before["var"])
    assert (np.abs(after["mean"] - before["mean"]) < spread).all()
    with (second / "progress.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert int(rows[0]["env_steps"]) == steps + 16
    assert any(float(row["critic_loss"] or "nan") > 0.0 for row in rows), "learns at once"
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
            *script("record_ppo_actions"), "--task", TASK, "--agent", "sbx-sac", "--checkpoint", "latest",
            "--steps", "6", "--num_envs", "16", "--device", "cpu", "--out", "recorded.yaml", "--raw", "raw.npz",
        ],
        tmp_path,
    )  # fmt: skip
    recorded, policy = (ActionBounds.from_yaml(path) for path in (tmp_path / "recorded.yaml", second / "bounds.yaml"))
    raw = np.load(tmp_path / "raw.npz")["actions"]
    assert raw.shape == (6 * 16, 12) and len(np.unique(raw[:, 0])) > 80, "sampled, not held"
    assert (raw >= np.array(policy.low) - 1e-5).all() and (raw <= np.array(policy.high) + 1e-5).all()
    # between the actions beside the percentiles, and as wide as a bin of the histogram more
    around = [np.sort(raw, axis=0)[i] for i in (0, 5, -6, -1)]
    assert (np.array(recorded.low) >= around[0] - 0.05).all() and (np.array(recorded.low) <= around[1] + 0.05).all()
    assert (np.array(recorded.high) >= around[2] - 0.05).all() and (np.array(recorded.high) <= around[3] + 0.05).all()
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
    (tmp_path / "model_1.zip").write_bytes(b"PK\x05\x06" + bytes(18))
    result = run([*script("evaluate"), "--task", TASK, "--agent", "sbx-sac", "--checkpoint", "model_1.zip"], tmp_path)
    assert result.returncode == 1
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    assert "model_1.zip: not a checkpoint of SBX" in line and "Traceback" not in result.stderr
