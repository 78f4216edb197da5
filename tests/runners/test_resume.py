# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Trainings that go on from a checkpoint."""

from __future__ import annotations

import csv
import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._pytree import tree_leaves

from environments import GoesOnEnv, LinearQuadraticEnv, ppo_cfg
from isaaclab_offpolicy.algorithms import ReplayBuffer
from isaaclab_offpolicy.runners.rsl_rl import Runner
from isaaclab_offpolicy.training.random_state import random_state, restore_random_state
from isaaclab_offpolicy.training.safe_load import checkpoint_bytes

TIMES = ("wall_time_s", "collection_time_s", "learning_time_s", "gradient_steps_per_second", "env_steps_per_second")
"""Columns of the progress that no two trainings share."""

ITERATIONS = 12


class KilledError(BaseException):
    """Nothing catches it, and nothing is saved."""


class Killed(GoesOnEnv):
    """Ends a training amid an env step."""

    kill_at: int | None = None

    def step(self, actions: torch.Tensor):
        if self.kill_at == 0:
            raise KilledError
        self.kill_at = None if self.kill_at is None else self.kill_at - 1
        return super().step(actions)


@pytest.fixture(autouse=True)
def _algorithms_as_before():
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def train(train_cfg, tmp_path: Path) -> Callable[..., Runner]:
    """Trains in a folder, from a checkpoint on if one is given, until it is killed or all iterations are done."""

    def build(folder: str, checkpoint: Path | None = None, kill_at: int | None = None, **algorithm: Any) -> Runner:
        options = {
            "learning_starts": 200, "buffer_size": 16 * 70, "n_steps": 3, "noise_hold": 4, "noise_scale": (0.5, 2.0),
            "policy_delay": 3, "train_freq": 2, "replay_ratio": 1 / 12, "schedule": "linear", "schedule_steps": 1500,
            "deterministic": True, "save_replay_buffer": True, "batch_size": 32,
        }  # fmt: skip
        cfg = train_cfg(**{**options, **algorithm})
        cfg["save_interval"] = 2
        env = Killed(16, max_episode_length=17)
        env.kill_at = kill_at
        runner = Runner(env, cfg, str(tmp_path / folder), "cpu")
        if checkpoint is not None:
            runner.load(str(checkpoint))
        try:
            runner.learn(ITERATIONS - runner.current_learning_iteration)
        except KilledError:
            assert kill_at is not None
        return runner

    return build


def newest(folder: Path) -> Path:
    return max(folder.glob("model_*.pt"), key=lambda path: int(path.stem.removeprefix("model_")))


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "progress.csv").open() as file:
        return [{key: value for key, value in row.items() if key not in TIMES} for row in csv.DictReader(file)]


def write(saved: dict[str, Any], path: Path) -> None:
    """Write what was changed, as a checkpoint that nobody has damaged."""
    path.write_bytes(checkpoint_bytes({name: item for name, item in saved.items() if name not in ("format", "sha256")}))


def stored(storage: ReplayBuffer) -> dict[str, torch.Tensor]:
    """What transitions are made of, oldest first: all of a row but for the newest, of which there are observations."""
    rows = {name: column.roll(-(storage.written % len(column)), 0) for name, column in storage.columns().items()}
    return {name: column if name.startswith("policy") else column[:-1] for name, column in rows.items()}


def assert_same(left: Any, right: Any) -> None:
    left, right = tree_leaves(left), tree_leaves(right)
    assert len(left) == len(right) > 0
    for mine, theirs in zip(left, right, strict=True):
        if isinstance(mine, torch.Tensor):
            torch.testing.assert_close(mine, theirs, rtol=0, atol=0)
        else:
            assert mine == theirs


@pytest.mark.parametrize(
    "options",
    [
        {"overlap": False},
        {"overlap": True},
        {"noise": "gsde", "normalize_rewards": True, "replay_recency": 2.0, "replay_ratio_end": 1 / 24},
        {"noise": "zeta", "replay_newest": 0.6},
        {"noise": "pink"},
    ],
)
def test_a_training_that_was_killed_ends_as_one_that_was_not(train, tmp_path: Path, options: dict[str, Any]) -> None:
    torch.manual_seed(3)
    whole = train("whole", **options)
    assert whole.alg.num_updates > 80 and len(whole.alg.storage) == 16 * 70, "learned, in a ring that was full"
    # amid uniform actions, just after learning began, in a full ring, and in the last iteration
    for kill_at, last_saved in ((17, 0), (33, 2), (101, 8), (119, 10)):
        torch.manual_seed(3)
        train(f"killed {kill_at}", None, kill_at, **options)
        checkpoint = newest(tmp_path / f"killed {kill_at}")
        assert checkpoint.name == f"model_{last_saved}.pt"
        torch.manual_seed(1000 + kill_at)
        resumed = train(f"resumed {kill_at}", checkpoint, **options)
        assert_same(resumed.alg.save(), whole.alg.save())
        assert_same(stored(resumed.alg.storage), stored(whole.alg.storage))
        assert_same(resumed.env.state_dict(), whole.env.state_dict())
        assert resumed.training.best_return == whole.training.best_return > -100.0
        assert rows_of(tmp_path / f"resumed {kill_at}") == rows_of(tmp_path / "whole")[last_saved + 1 :]


def test_counters_and_time_go_on(train, tmp_path: Path) -> None:
    first = train("first", kill_at=95)
    checkpoint = newest(tmp_path / "first")
    saved = torch.load(checkpoint, weights_only=True)
    assert saved["training"]["wall_time_s"] > 0.0 and saved["episodes"]["time_s"] > 0.0
    saved["training"]["wall_time_s"] = saved["episodes"]["time_s"] = 5000.0
    write(saved, checkpoint)
    second = train("second", checkpoint)
    with (tmp_path / "second" / "progress.csv").open() as file:
        row = next(csv.DictReader(file))
    assert int(row["iteration"]) == 9 and int(row["env_steps"]) == 10 * 10 * 16
    assert float(row["wall_time_s"]) > 5000.0 and second.logger.tot_time > 5000.0
    assert first.alg.num_timesteps == 95 * 16 and second.alg.num_timesteps == ITERATIONS * 10 * 16
    # what TensorBoard has of it
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "second"))
    events.Reload()
    assert events.Scalars("Train/mean_reward")[0].step == 9
    assert events.Scalars("Train/mean_reward/time")[0].step >= 5000


def test_a_time_limit_is_that_of_what_goes_on(train, train_cfg, tmp_path: Path) -> None:
    train("first", kill_at=50)
    checkpoint = newest(tmp_path / "first")
    saved = torch.load(checkpoint, weights_only=True)
    saved["training"]["wall_time_s"] = 5000.0
    write(saved, checkpoint)
    runner = Runner(
        GoesOnEnv(16), train_cfg(save_replay_buffer=False), str(tmp_path / "second"), "cpu", max_time=1000.0
    )
    runner.load(str(checkpoint))
    runner.learn(2)
    assert len(rows_of(tmp_path / "second")) == 2


def test_the_best_one_is_kept(train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train("first", kill_at=95)
    checkpoint = newest(tmp_path / "first")
    best = tmp_path / "first" / "best.pt"
    value = torch.load(checkpoint, weights_only=True)["training"]["best_return"]
    assert torch.load(best, weights_only=True)["training"]["best_return"] == value

    class Worse(Killed):
        def reward(self, state, action):
            return super().reward(state, action) - 100.0

    monkeypatch.setattr(sys.modules[__name__], "Killed", Worse)
    second = train("second", checkpoint)
    assert second.training.best_return == value
    assert (tmp_path / "second" / "best.pt").read_bytes() == best.read_bytes(), "a worse one does not take its place"
    # of a training that goes on from before the best one, that one is not the best
    saved = torch.load(checkpoint, weights_only=True)
    saved["training"]["best_return"] = value - 1.0
    write(saved, checkpoint)
    third = train("third", checkpoint)
    assert third.training.best_return < value - 1.0
    assert torch.load(tmp_path / "third" / "best.pt", weights_only=True)["iter"] > saved["iter"]
    # a broken one costs nothing but itself
    best.write_bytes(b"broken")
    train("fourth", checkpoint)


def test_what_is_of_another_task_or_number_of_environments_is_left(
    train, train_cfg, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def resume(env: LinearQuadraticEnv, log_dir: str | None = "second", load_cfg: dict | None = None, **options: Any):
        runner = Runner(env, train_cfg(**options), None if log_dir is None else str(tmp_path / log_dir), "cpu")
        capsys.readouterr()
        before = random_state()
        runner.load(str(checkpoint), load_cfg)
        return runner, capsys.readouterr().out, before

    train("first", kill_at=95)
    checkpoint = newest(tmp_path / "first")
    saved = torch.load(checkpoint, weights_only=True)
    state = saved["training"]["environment"]["whole"]["state"]

    runner, output, _ = resume(GoesOnEnv(16), save_replay_buffer=True)
    assert torch.equal(runner.env.state, state) and "not taken over" not in output and "Replay buffer: " in output
    # a policy that is played or evaluated has its own environment
    env = GoesOnEnv(16)
    before = env.state.clone()
    runner, output, generators = resume(env, None)
    assert torch.equal(env.state, before) and "[INFO]" not in output
    assert_same(random_state(), generators)
    # other environments
    runner, output, _ = resume(GoesOnEnv(8), noise_hold=4, save_replay_buffer=False)
    (line,) = [line for line in output.splitlines() if "environment's state" in line]
    assert line.endswith("the environment's state is not taken over: it is of 16 environments, not of 8 environments")
    assert runner.alg.num_timesteps == saved["num_timesteps"] and runner.training.best_return > -100.0
    runner.learn(1)
    # another task, with the same spaces
    env = GoesOnEnv(16)
    env.unwrapped, env.spec = env, SimpleNamespace(id="Isaac-Velocity-Rough-Cart-v0")  # type: ignore[attr-defined]
    warm = {"actor": True, "critic": True, "optimizer": False, "iteration": True, "rnd": True}
    runner, output, generators = resume(env, "third", warm, save_replay_buffer=True)
    (line,) = [line for line in output.splitlines() if "environment's state" in line]
    assert "it is of task None, not of task Isaac-Velocity-Rough-Cart-v0; neither are" in line
    assert len(runner.alg.storage) == 0 and runner.training.best_return == -float("inf")
    assert not torch.equal(env.state, state) and not runner.logger.rewbuffer
    assert not runner.alg.updater.critic_optimizer.state, "new ones"
    assert_same(random_state(), generators)
    for name, value in runner.alg.actor.state_dict().items():
        assert torch.equal(value, saved["actor_state_dict"][name])
    runner.learn(1)
    assert torch.load(tmp_path / "third" / "model_9.pt", weights_only=True)["training"]["environment"]["task"] == (
        "Isaac-Velocity-Rough-Cart-v0"
    )


def test_checkpoints_of_earlier_versions_are_resumed(train, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train("first", kill_at=95)
    checkpoint = newest(tmp_path / "first")
    saved = torch.load(checkpoint, weights_only=True)
    for name in ("training", "episodes", "progress"):
        del saved[name]
    for version in ("0.2", "0.1"):
        write(saved, checkpoint)
        capsys.readouterr()
        runner = train(version, checkpoint)
        lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith(f"[INFO] {checkpoint}: ")]
        assert len(lines) == 1 and "no state of the training" in lines[0] and "begin anew" in lines[0]
        assert rows_of(tmp_path / version)[0]["iteration"] == "9"
        assert runner.alg.num_timesteps == ITERATIONS * 10 * 16 and runner.alg.num_updates > saved["num_updates"]
        saved.pop("env_steps", None)


def test_ppo_goes_on_as_well(tmp_path: Path) -> None:
    def runner(folder: str) -> Runner:
        env = GoesOnEnv(8)
        env.cfg.compute_final_obs = True
        return Runner(env, ppo_cfg(), str(tmp_path / folder), "cpu")

    first = runner("first")
    first.learn(3)
    torch.manual_seed(99)
    second = runner("second")
    second.load(str(tmp_path / "first" / "model_2.pt"))
    assert torch.equal(second.env.state, first.env.state) and second.current_learning_iteration == 3
    assert_same(random_state(), torch.load(tmp_path / "first" / "model_2.pt", weights_only=True)["training"]["random"])
    second.learn(1)
    steps = [int(rows_of(tmp_path / folder)[-1]["env_steps"]) for folder in ("first", "second")]
    assert steps[1] == steps[0] * 4 // 3


def test_random_generators_go_on() -> None:
    def draw() -> list[float]:
        return [torch.rand(()).item(), np.random.rand(), np.random.randn(), random.random(), random.gauss(0.0, 1.0)]

    draw()
    state = random_state()
    expected = draw()
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)
        assert all(mine != theirs for mine, theirs in zip(draw(), expected, strict=True))
        restore_random_state(state)
        assert draw() == expected


def test_trainings_killed_at_any_moment_go_on(tmp_path: Path) -> None:
    """In processes of their own, twenty times one after the other; the script checks each of them."""
    command = [sys.executable, str(Path(__file__).parent / "killed_trainings.py"), str(tmp_path), "20"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert result.returncode == 0, f"{result.stdout[-2000:]}\n{result.stderr[-3000:]}"
    resumed = [int(number) for number in re.findall(r"resumed from (\d+)", result.stdout)]
    assert len(resumed) == 20 and resumed == sorted(resumed) and resumed[-1] > resumed[0]
