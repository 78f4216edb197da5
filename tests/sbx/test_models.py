# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Agents' configurations and checkpoints."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

pytest.importorskip("sbx", reason="needs SBX: install isaaclab_offpolicy[sbx]")

from isaaclab_tasks.utils import load_cfg_from_registry

from isaaclab_offpolicy.cli.arguments import AGENTS, CliError, is_sb3, load_tasks
from isaaclab_offpolicy.sbx.cfg import Sb3OffPolicyCfg
from isaaclab_offpolicy.sbx.models import algorithm_class, load_model, read_checkpoint

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
    cfgs = {name: load_cfg_from_registry(task, key) for name, key in AGENTS.items() if name.startswith(("sbx", "sb3"))}
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
    assert published.action_bounds == sac.algorithm.action_bounds
    box = "0.5rad" if "Anymal" in task else "0.25rad"
    assert cfgs["sbx-sac-cpu"].action_bounds == box and cfgs["sbx-ppo"].action_bounds == 100.0
    # another object each time: nobody's overrides are another's
    assert load_cfg_from_registry(task, AGENTS["sbx-sac"]) is not published


def test_held_noise_changes_after_a_checkpoint_was_loaded(tmp_path: Path) -> None:
    space = gym.spaces.Box(-1.0, 1.0, (3,))

    class Still(gym.Env):
        observation_space, action_space = space, gym.spaces.Box(-1.0, 1.0, (2,))

        def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
            return np.zeros(3, np.float32), {}

    cfg = Sb3OffPolicyCfg(use_sde=True)
    kwargs = {"net_arch": [8]}
    algorithm_class(cfg)("MlpPolicy", Still(), use_sde=True, buffer_size=10, policy_kwargs=kwargs).save(
        tmp_path / "m.zip"
    )
    model = load_model(cfg, tmp_path / "m.zip", env=Still(), buffer_size=10)
    obs = np.zeros((1, 3), np.float32)
    first, again = (model.predict(obs)[0] for _ in range(2))
    model.actor.reset_noise()  # what a round of collection begins with
    np.testing.assert_array_equal(first, again)
    assert np.abs(model.predict(obs)[0] - first).max() > 1e-3


def test_files_that_are_no_checkpoints(tmp_path: Path) -> None:
    for content in (b"", b"PK", b"not a zip file", bytes(100)):
        (tmp_path / "m.zip").write_bytes(content)
        with pytest.raises(ValueError, match="not a checkpoint of SBX or Stable-Baselines3"):
            read_checkpoint(Sb3OffPolicyCfg(), tmp_path / "m.zip")


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *_: None if name == "sbx" else find_spec(name))
    with pytest.raises(CliError, match=r"agent needs sbx; install isaaclab_offpolicy\[sbx\]"):
        is_sb3("sbx_sac_cfg_entry_point")
    assert not is_sb3("rsl_rl_cfg_entry_point")
