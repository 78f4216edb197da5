# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Trainings with rsl_rl's runner that hang in an env step: ended, and started again until they are done."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from isaaclab_offpolicy.cli import main as cli_main
from isaaclab_offpolicy.cli import restarts
from isaaclab_offpolicy.evaluation import read_progress

SCRIPT = Path(__file__).with_name("hanging_training.py")


@pytest.mark.slow
def test_a_training_that_hangs_at_random_steps_is_finished(train_cfg, tmp_path: Path) -> None:
    cfg = train_cfg(learning_starts=64, replay_ratio=1 / 64)
    cfg["save_interval"] = 2
    (tmp_path / "cfg.json").write_text(json.dumps(cfg))
    command = [sys.executable, str(SCRIPT), "cfg.json", "30", "3", "2"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("nothing has moved for") == 2 and "in hang" in result.stderr
    assert "(seed 42, environments 32)" in result.stderr
    folders = sorted(tmp_path.glob("run*"))
    for number, folder in enumerate(folders[:2], 1):
        last = max(folder.glob("model_*.pt"), key=lambda path: int(path.stem.removeprefix("model_")))
        assert f"last checkpoint: {folder.name}/{last.name}" in result.stderr
        assert f"restart {number} of 3, since it hung: from {folder.name}/{last.name}" in result.stderr
    final = max(folders[2].glob("model_*.pt"), key=lambda path: int(path.stem.removeprefix("model_")))
    assert torch.load(final, weights_only=True)["env_steps"] == 30 * 10 * 32, "all iterations, and no more"
    assert read_progress(folders[2])["env_steps"][-1] == 30 * 10 * 32


def test_only_the_processs_own_command_is_run_in_another_one(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(restarts, "watched", lambda command: pytest.fail(f"{command} was started"))
    assert cli_main.main(["train"]) == 1
    assert capsys.readouterr().err.startswith("error: --task is missing")


def test_what_cannot_be_restarted_is_refused(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(restarts, "watched", lambda command: pytest.fail(f"{command} was started"))
    monkeypatch.setattr(sys, "argv", ["isaaclab-offpolicy", "train", "--restarts", "2", "--distributed"])
    assert cli_main.main() == 1
    assert "error: --restarts is for one process; torchrun" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--restarts", "-1"], ["--restarts", "x"], ["--step_limit", "60"]])
def test_bad_options_are_refused_before_anything_starts(arguments: list[str], capsys) -> None:
    assert cli_main.main(["train", *arguments]) == 1
    assert capsys.readouterr().err.startswith(f"error: {arguments[0]}: ")
