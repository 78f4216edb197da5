# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest
import torch

from isaaclab_offpolicy.cli import arguments, evaluate, play, train
from isaaclab_offpolicy.cli.arguments import CliError

TASK = "Isaac-Velocity-Flat-Unitree-A1-v0"


def message(call, *args, **kwargs) -> str:
    with pytest.raises(CliError) as error:
        call(*args, **kwargs)
    text = str(error.value)
    assert text.startswith("error: ") and "\n" not in text
    return text


@pytest.mark.parametrize("main", [train.main, play.main, evaluate.main])
def test_unknown_names_get_the_nearest_ones(main) -> None:
    assert TASK in message(main, ["--task", "Isaac-Velocity-Flat-Unitree-A1"])
    assert "Isaac-Velocity-Rough-Unitree-A1-v0" in message(main, ["--task", "isaac-velocity-rough-unitree-a1-v1"])
    assert "nearest: sac" in message(main, ["--task", TASK, "--agent", "sacc"])
    assert "--task is missing" in message(main, [])


def test_unknown_engine_and_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "nearest: newton_mjwarp" in message(train.main, ["--task", TASK, "--device", "cpu", "physics=newton"])
    assert "ovphysx" in message(train.main, ["--task", TASK, "--device", "cpu", "physics=physics"])
    assert "cpu, cuda" in message(train.main, ["--task", TASK, "--device", "gpu"])
    if not torch.cuda.is_available():
        assert "needs CUDA" in message(train.main, ["--task", TASK, "--device", "cuda:0"])


def test_a_task_without_the_agent_says_which_it_has() -> None:
    assert "has no agent 'sac'; it has: ppo" in message(
        arguments.check_task_and_agent, "IsaacContrib-Velocity-Flat-UnitreeA1", "sac"
    )


def test_engine_follows_the_device() -> None:
    arguments.load_tasks()
    assert arguments.engine_overrides(TASK, "cpu", []) == ["physics=ovphysx"]
    assert arguments.engine_overrides(TASK, "cuda:0", ["env.x=1"]) == ["env.x=1", "physics=newton_mjwarp"]
    assert arguments.engine_overrides(TASK, "cpu", ["physics=newton_mjwarp"]) == ["physics=newton_mjwarp"]
    assert arguments.engine_overrides(TASK, "cpu", ["presets=nucleus,newton_mjwarp"]) == [
        "presets=nucleus,newton_mjwarp"
    ]
    assert arguments.engine_overrides(TASK, "cpu", ["presets=nucleus"])[1] == "physics=ovphysx"


def test_checkpoints_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    key = arguments.check_task_and_agent(TASK, "sac")
    root = tmp_path / "logs" / "rsl_rl" / "unitree_a1_flat"
    assert str(root) in message(arguments.find_checkpoint, "latest", TASK, key)
    for day, agent in (("01", key), ("02", key), ("03", "rsl_rl_cfg_entry_point")):
        run = root / f"2026-01-{day}"
        run.mkdir(parents=True)
        manifest = {
            "version": 1, "library": "rsl_rl", "task": TASK, "created_at": f"2026-01-{day}T00:00:00+00:00",
            "metadata": {"agent": agent},
        }  # fmt: skip
        (run / "run.json").write_text(json.dumps(manifest))
        for name in ("model_5.pt", "model_10.pt", "best.pt"):
            (run / name).touch()
    newest = root / "2026-01-02"
    assert arguments.find_checkpoint("latest", TASK, key) == str(newest / "model_10.pt")
    assert arguments.find_checkpoint("best", TASK, key) == str(newest / "best.pt")
    assert arguments.find_checkpoint(str(newest), TASK, key) == str(newest / "model_10.pt")
    assert arguments.find_checkpoint(str(newest / "model_5.pt"), TASK, key) == str(newest / "model_5.pt")
    assert "no checkpoint 'nothing.pt'" in message(arguments.find_checkpoint, "nothing.pt", TASK, key)
    assert "no checkpoint model_N.pt" in message(arguments.find_checkpoint, str(tmp_path), TASK, key)


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("1.5h", 5400)])
def test_durations(text: str, seconds: float) -> None:
    assert arguments.duration(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "-5m", "10 minutes", "0s", "nan"])
def test_bad_durations(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="not a duration"):
        arguments.duration(text)


def test_bounds_are_for_sac(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "--bounds is for SAC" in message(train.main, ["--task", TASK, "--agent", "ppo", "--bounds", "2"])
