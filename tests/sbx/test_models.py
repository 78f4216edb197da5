# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Agents' configurations and checkpoints."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

pytest.importorskip("sbx", reason="needs SBX: install isaaclab_offpolicy[sbx]")

from stable_baselines3.common.vec_env import DummyVecEnv

from isaaclab_tasks.utils import load_cfg_from_registry

from isaaclab_offpolicy.agents.registry import check_library, load_tasks
from isaaclab_offpolicy.agents.table import AGENTS
from isaaclab_offpolicy.errors import UserError
from isaaclab_offpolicy.runners.sbx.cfg import Sb3OffPolicyCfg
from isaaclab_offpolicy.runners.sbx.models import build
from isaaclab_offpolicy.training.replay_files import ReplayFiles
from isaaclab_offpolicy.training.runs import find_replay

load_tasks()
TASKS = sorted(
    name
    for name, spec in gym.registry.items()
    if str((spec.kwargs or {}).get("env_cfg_entry_point")).startswith("isaaclab_offpolicy.")
)


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_the_agents(task: str) -> None:
    assert len(TASKS) == 12
    sac = load_cfg_from_registry(task, "rsl_rl_sac_cfg_entry_point")
    cfgs = {name: load_cfg_from_registry(task, spec.entry_point) for name, spec in AGENTS.items() if spec.is_sb3}
    assert set(cfgs) == {"sbx-sac", "sbx-sac-cpu", "sbx-tqc", "sbx-ppo", "sb3-sac", "sb3-ppo"}
    for name, cfg in cfgs.items():
        assert cfg.experiment_name == sac.experiment_name
        library, algorithm = name.split("-")[:2]
        assert (cfg.library, cfg.algorithm.lower()) == (library, algorithm)
    published = cfgs["sbx-sac"]
    rough = "Rough" in task
    assert (published.train_freq, published.n_steps, published.use_sde) == ((10, 3, True) if rough else (1, 1, False))
    assert published.normalize == ("none" if rough else "all")
    assert (published.percentile_bounds_scale, published.action_bounds_scale) == (1.25 if rough else 1.0, 1.0)
    assert published.action_bounds == ("joint-limits" if "Rough-BDX" in task else "percentile")
    recorded = {"Unitree": "unitree_a1", "Anymal": "anymal", "Flat-BDX": "bdx_flat"}
    assert published.percentile_bounds == next((f for robot, f in recorded.items() if f"-{robot}-" in task), None)
    box = "0.5rad" if "Anymal" in task else "0.25rad"
    assert cfgs["sbx-sac-cpu"].action_bounds == box and cfgs["sbx-ppo"].action_bounds == 100.0
    # another object each time: nobody's overrides are another's
    assert load_cfg_from_registry(task, AGENTS["sbx-sac"].entry_point) is not published


class Still(gym.Env):
    """Nothing happens."""

    observation_space, action_space = gym.spaces.Box(-1.0, 1.0, (3,)), gym.spaces.Box(-1.0, 1.0, (2,))

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        return np.zeros(3, np.float32), {}


def test_the_replay_buffer_of_a_checkpoint_or_of_an_earlier_one(tmp_path: Path) -> None:
    assert find_replay(tmp_path / "model_300.zip") is None
    for steps in (100, 200, 400):
        (tmp_path / f"replay_{steps}.json").touch()
    (tmp_path / "replay_250.json.tmp").touch()
    assert find_replay(tmp_path / "model_300.zip") == tmp_path / "replay_200.json"
    assert find_replay(tmp_path / "model_400.zip") == tmp_path / "replay_400.json"
    assert find_replay(tmp_path / "best.zip") is None


def test_a_replay_buffer_that_cannot_be_written_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    model = build(Sb3OffPolicyCfg(net_arch=[8], buffer_size=10), DummyVecEnv([Still]), "cpu")
    buffer: Any = model.replay_buffer
    buffer.resume(10)
    files = ReplayFiles(tmp_path, 1.0, "")
    assert files.save(buffer, tmp_path / "model_1.zip") and (tmp_path / "replay_1.json").is_file()
    (tmp_path / "replay_2.json").mkdir()  # in its way
    assert not files.save(buffer, tmp_path / "model_2.zip")
    assert len(list((tmp_path / "replay").iterdir())) == 2
    assert "[WARNING]" in capsys.readouterr().err and not list(tmp_path.glob("*.tmp"))


def test_jax_leaves_memory_to_the_simulation() -> None:
    assert os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *_: None if name == "sbx" else find_spec(name))
    with pytest.raises(UserError, match=r"agent needs sbx; install isaaclab_offpolicy\[sbx\]"):
        check_library(AGENTS["sbx-sac"])
    check_library(AGENTS["ppo"])
