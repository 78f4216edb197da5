# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

# without a git program rsl_rl's logger shall leave out the repository's state, and not fail
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

import pytest
import torch
from hypothesis import settings
from rsl_rl.env import VecEnv
from tensordict import TensorDict

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent / "sim"))
sys.path.insert(0, str(Path(__file__).parents[1] / "scripts" / "tools"))

from environments import COMPILER

# the same examples on every machine
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.load_profile("fixed")


SLOW = (
    "test_distributed.py", "test_benchmark.py", "test_parity.py", "sbx/test_checkpoint.py", "test_hostile_files.py",
    "test_disk.py", "test_kill.py",
)  # fmt: skip
"""Unit tests that take more than some seconds, as those whose gradient steps torch compiles."""


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is in tests/sim drives a simulator; everything without a marker is a unit test."""
    # long ones first, so that short ones fill the workers' time at the end
    items.sort(key=lambda item: item.path.parent.name != "sim")
    for item in items:
        if "compiled" in getattr(getattr(item, "callspec", None), "params", {}).values():
            item.add_marker(pytest.mark.skipif(not COMPILER, reason="torch's compiler needs a path without a space"))
            item.add_marker(pytest.mark.slow)
        if str(item.path).endswith(SLOW):
            item.add_marker(pytest.mark.slow)
        if "sim" in item.path.relative_to(Path(__file__).parent).parts[:-1]:
            item.add_marker(pytest.mark.sim)
        elif item.get_closest_marker("learn") is None:
            item.add_marker(pytest.mark.unit)
        # tests that share a simulation run in one worker
        if "robot_probe" in getattr(item, "fixturenames", ()):
            # one after the other: MuJoCo-Warp's kernels are compiled once, which takes longer than their tests
            item.add_marker(pytest.mark.xdist_group("robots"))
        elif {"ppo", "recorded"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group("bounds"))
        elif {"trained", "probe"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group("a1"))


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def train_cfg():
    """Builds a runner's configuration for SAC from the project's configuration classes."""

    def build(**algorithm: Any) -> dict:
        from isaaclab.utils import to_dict
        from isaaclab_rl.rsl_rl import handle_deprecated_rsl_rl_cfg

        from isaaclab_offpolicy.algorithms.rsl_rl_cfg import SacRunnerCfg

        cfg = SacRunnerCfg(experiment_name="test", device="cpu", num_steps_per_env=10)
        cfg.actor.hidden_dims = cfg.critic.hidden_dims = [64, 64]
        cfg.algorithm.action_bounds = 2.0
        cfg.algorithm.buffer_size = 20_000
        cfg.algorithm.backend = "eager"  # compiling takes longer than most of these tests
        for name, value in algorithm.items():
            assert hasattr(cfg.algorithm, name), name
            setattr(cfg.algorithm, name, value)
        result = to_dict(handle_deprecated_rsl_rl_cfg(cfg, "5.5.1"))
        result["multi_gpu"] = None
        return result

    return build


@pytest.fixture
def make_sac(train_cfg):
    """Builds SAC for an environment."""

    def build(env: VecEnv, cfg: dict | None = None, **algorithm: Any):
        from isaaclab_offpolicy.algorithms import SAC

        obs: TensorDict = env.get_observations()
        return SAC.construct_algorithm(obs, env, cfg or train_cfg(**algorithm), "cpu")

    return build
