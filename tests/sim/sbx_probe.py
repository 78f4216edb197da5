# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Collects with SBX in short episodes and checks what the replay buffer holds; then trains with every other agent.

In a process of its own: FOLDER.
"""

from __future__ import annotations

import csv
import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import jax
import numpy as np

from isaaclab.app import launch_simulation
from isaaclab.cli import load_external_tasks
from isaaclab_tasks.utils import load_cfg_from_registry, parse_env_cfg

from isaaclab_offpolicy.benchmarks.sbx import measure_training
from isaaclab_offpolicy.errors import TrainingError
from isaaclab_offpolicy.runners.sbx.checkpoint import checkpoint_bytes, load_for_training, read_checkpoint
from isaaclab_offpolicy.runners.sbx.collection import StepReplayBuffer, base_env
from isaaclab_offpolicy.runners.sbx.environment import make_vec_env
from isaaclab_offpolicy.runners.sbx.evaluation import evaluate_deterministic
from isaaclab_offpolicy.runners.sbx.models import build
from isaaclab_offpolicy.runners.sbx.training import train
from isaaclab_offpolicy.runners.simulation import collect_garbage_rarely
from isaaclab_offpolicy.training.atomic import write_atomically
from isaaclab_offpolicy.training.signals import Interruption

TASK = "Isaac-Velocity-Flat-Unitree-A1-v0"
NUM_ENVS, STEPS = 8, 60


class Recorder(gym.Wrapper):
    """Keeps what the environment gives and gets."""

    def __init__(self, env: gym.Env) -> None:
        super().__init__(env)
        self.rows: list[dict[str, np.ndarray]] = []

    def step(self, action):
        obs, reward, terminated, truncated, extras = super().step(action)
        row = {"action": action, "reward": reward, "terminated": terminated, "truncated": truncated}
        row["obs"] = obs["policy"]
        row["final"] = extras["final_obs"]["policy"] if "final_obs" in extras else obs["policy"]
        self.rows.append({key: value.cpu().numpy().copy() for key, value in row.items()})
        return obs, reward, terminated, truncated, extras


def main() -> None:
    collect_garbage_rarely()
    load_external_tasks()
    cfg = parse_env_cfg(TASK, device="cpu", num_envs=NUM_ENVS, overrides=["physics=ovphysx"])
    cfg.episode_length_s, cfg.seed = 0.2, 1
    agent_cfg = load_cfg_from_registry(TASK, "sbx_sac_cfg_entry_point")
    agent_cfg.buffer_size, agent_cfg.learning_starts, agent_cfg.net_arch = 2000, 100, [32, 32]
    agent_cfg.n_steps, agent_cfg.train_freq, agent_cfg.use_sde = 3, 5, True
    with launch_simulation(cfg, {"device": "cpu"}):
        recorder = Recorder(gym.make(TASK, cfg=cfg))
        env = make_vec_env(recorder, agent_cfg)
        model = build(agent_cfg, env, "cpu")
        model.learn(NUM_ENVS * STEPS, log_interval=None)
        rows = {key: np.stack([row[key] for row in recorder.rows]) for key in recorder.rows[0]}
        check(model, env, rows)
        check_that_the_curriculum_rests(model, recorder.unwrapped)
        check_that_a_checkpoint_goes_on(model, agent_cfg, recorder, Path(sys.argv[1]) / "model_1.zip")
        agent_cfg.net_arch = [16, 16]
        measured = measure_training(recorder, agent_cfg, 3.0)  # time for an update on a busy machine, too
        # `kept` itself may pass one by the drift of the machine
        assert measured["throughput_ratio"] > 0.0 and 0.0 < measured["simulate"] < 1.0
        assert measured["updates_per_second"] > 0.0
        for agent in ("sbx_tqc", "sbx_ppo", "sb3_sac", "sb3_ppo"):
            train_briefly(agent, recorder, Path(sys.argv[1]) / agent)
        check_that_flaws_are_left_out(recorder, Path(sys.argv[1]))
        check_that_a_training_goes_on(recorder, Path(sys.argv[1]) / "goes_on")
        check_that_a_signal_ends_a_training(recorder, Path(sys.argv[1]) / "interrupted")
        recorder.close()
    print("RESULT", sys.argv[1])


def train_briefly(agent: str, env: gym.Env, folder: Path) -> None:
    """Train, evaluate now and then, and keep the best."""
    cfg = load_cfg_from_registry(TASK, f"{agent}_cfg_entry_point")
    cfg.net_arch, cfg.eval_interval, cfg.eval_episodes, cfg.log_interval = [32, 32], 150, 16, 150
    iterations = 2
    if not agent.endswith("ppo"):
        cfg.buffer_size, cfg.learning_starts, iterations = 2000, 100, 60
    else:
        cfg.action_bounds = 0.01  # far less than its noise
    model = train(cfg, env, folder, max_iterations=iterations)
    assert [path.name for path in folder.glob("model_*.zip")] == [f"model_{model.num_timesteps}.zip"]
    assert (folder / "best.zip").is_file(), "evaluated"
    assert np.isfinite(model.predict(np.zeros((2, 48), np.float32))[0]).all()
    with (folder / "progress.csv").open() as file:
        *_, last = csv.DictReader(file)
    saturated = float(last["action_saturation"])
    assert 0.95 < saturated <= 1.0 if agent.endswith("ppo") else 0.0 < saturated < 0.9
    assert 0 < int(last["env_steps"]) <= model.num_timesteps


class Flawed(gym.Wrapper):
    """Numbers that are not finite, in some steps or in all."""

    steps = 0

    def __init__(self, env: gym.Env, every: int) -> None:
        super().__init__(env)
        self.every = every

    def step(self, action):
        obs, reward, terminated, truncated, extras = super().step(action)
        self.steps += 1
        if self.steps % self.every == 0:
            obs["policy"][3, 7] = float("nan")
            reward[5] = float("inf")
        return obs, reward, terminated, truncated, extras


def check_that_flaws_are_left_out(env: gym.Env, folder: Path) -> None:
    """Neither the replay buffer nor the normaliser sees them; where they are many, the training ends."""
    cfg = load_cfg_from_registry(TASK, "sb3_sac_cfg_entry_point")
    cfg.net_arch, cfg.buffer_size, cfg.learning_starts, cfg.max_nonfinite = [32, 32], 2000, 100, 0.1
    model: Any = train(cfg, Flawed(env, 10), folder / "flawed", max_iterations=60)
    assert base_env(model.get_env()).guard.left_out == 2 * 6  # and the steps after those observations
    for name in StepReplayBuffer.ARRAYS:
        assert np.isfinite(getattr(model.replay_buffer, name)).all(), name
    buffer = model.replay_buffer
    assert (buffer.observations[10, 3] != 0.0).any(), "of another environment"
    assert (buffer.dones[[8, 9, 10], 3] > 0).all() and (buffer.dones[[8, 9], 5] > 0).all()
    assert all(np.isfinite(value).all() for value in model.get_env().state().values())
    assert np.isfinite(model.predict(np.zeros((2, 48), np.float32))[0]).all()
    try:
        train(cfg, Flawed(env, 1), folder / "broken", max_iterations=200)
    except TrainingError as error:
        assert "observation is not finite" in str(error) and "max_nonfinite allows 10 %" in str(error)
    else:
        raise AssertionError("it went on")


def check_that_a_training_goes_on(env: gym.Env, folder: Path) -> None:
    """With counters, random generators, time, last episodes and best return; the curriculum rests while it begins."""
    cfg = load_cfg_from_registry(TASK, "sb3_ppo_cfg_entry_point")
    cfg.net_arch, cfg.n_steps, cfg.batch_size, cfg.log_interval = [32, 32], 16, 32, 128
    unwrapped: Any = env.unwrapped
    first = train(cfg, env, folder / "first", max_iterations=8)
    checkpoint = folder / "first" / f"model_{first.num_timesteps}.zip"
    contents = read_checkpoint(cfg, checkpoint)
    state = contents.training
    assert state is not None and state["environment"]["counters"]["common_step_counter"] >= 8 * 16
    assert len(state["episodes"]) >= 50 and state["best_return"] > -float("inf")
    unwrapped.common_step_counter = unwrapped._sim_step_counter = 0
    np.random.seed(0)
    manager, calls = type(unwrapped.curriculum_manager), []
    compute, step = manager.compute, unwrapped.step

    def first_step(action: Any) -> Any:
        calls.append(unwrapped.common_step_counter)
        return step(action)

    manager.compute = lambda self, env_ids=None: calls.append("curriculum") or compute(self, env_ids)
    unwrapped.step = first_step
    try:
        second = train(cfg, env, folder / "second", str(checkpoint), max_iterations=1)
    finally:
        manager.compute = compute
        del unwrapped.step
    assert calls[0] == state["environment"]["counters"]["common_step_counter"]
    assert second.num_timesteps == first.num_timesteps + 16 * NUM_ENVS
    with (folder / "second" / "progress.csv").open() as file:
        row = next(csv.DictReader(file))
    assert float(row["wall_time_s"]) > state["wall_time_s"] and row["mean_return"] != ""
    assert (folder / "second" / "best.zip").is_file()
    # without it, as in a checkpoint of version 0.1, the rest goes on
    (folder / "model_1.zip").write_bytes(checkpoint_bytes(second, cfg))
    assert read_checkpoint(cfg, folder / "model_1.zip").training is None
    third = train(cfg, env, folder / "third", str(folder / "model_1.zip"), max_iterations=1)
    assert third.num_timesteps == second.num_timesteps + 16 * NUM_ENVS


class Interrupted(gym.Wrapper):
    """Sends Ctrl+C to itself, where Python drops exceptions: in a callback from C."""

    steps = 0

    def __init__(self, env: gym.Env, twice: bool = False) -> None:
        super().__init__(env)
        self.twice = twice

    def step(self, action):
        self.steps += 1
        if self.steps == 5:
            ctypes.CFUNCTYPE(None)(lambda: os.kill(os.getpid(), signal.SIGINT))()
            if self.twice:
                os.kill(os.getpid(), signal.SIGINT)
        return super().step(action)


def check_that_a_signal_ends_a_training(env: gym.Env, folder: Path) -> None:
    """With a checkpoint, and the signal's handler is the one from before."""
    # in the background of a script it is ignored
    signal.signal(signal.SIGINT, signal.default_int_handler)
    cfg = load_cfg_from_registry(TASK, "sb3_ppo_cfg_entry_point")
    cfg.net_arch = [32, 32]
    train(cfg, Interrupted(env), folder, max_iterations=1000)  # at the next step
    assert [path.name for path in folder.glob("model_*.zip")] == [f"model_{5 * NUM_ENVS}.zip"]
    # a second one does not wait for the step's end
    Interruption.GRACE = 0.0
    train(cfg, Interrupted(env, twice=True), folder / "twice", max_iterations=1000)
    assert [path.name for path in (folder / "twice").glob("model_*.zip")] == [f"model_{4 * NUM_ENVS}.zip"]
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler


def check_that_a_checkpoint_goes_on(model, cfg, env: gym.Env, path: Path) -> None:
    """What acts after a resume is what acted before it, down to the normaliser, and so is what learns."""
    assert write_atomically(checkpoint_bytes(model, cfg), path)
    contents = read_checkpoint(cfg, path)
    other = load_for_training(cfg, contents, make_vec_env(env, cfg, contents.bounds), "cpu")
    assert other.num_timesteps == model.num_timesteps and other._n_updates == model._n_updates
    raw = np.random.default_rng(0).normal(0.0, 1.0, (64, 48)).astype(np.float32)
    actions = [agent.predict(agent.get_env().normalize_obs(raw), deterministic=True)[0] for agent in (model, other)]
    np.testing.assert_array_equal(*actions)
    assert np.abs(actions[0]).max() > 0.1
    for left, right in (
        (model.policy.qf_state, other.policy.qf_state), (model.policy.actor_state, other.policy.actor_state),
        (model.ent_coef_state, other.ent_coef_state),
    ):  # fmt: skip
        for part in ("params", "opt_state"):
            leaves = [jax.tree.leaves(getattr(state, part)) for state in (left, right)]
            for mine, theirs in zip(*leaves, strict=True):
                np.testing.assert_array_equal(mine, theirs)


def check_that_the_curriculum_rests(model, env) -> None:
    """An evaluation resets episodes before their end, for which the curriculum would make them easier."""
    manager = type(env.curriculum_manager)
    calls, compute = [], manager.compute
    manager.compute = lambda self, env_ids=None: calls.append(env_ids) or compute(self, env_ids)
    frozen = model.get_env().state()["count"]
    value = evaluate_deterministic(model, 16)
    assert value is not None and np.isfinite(value) and not calls
    # the normaliser has seen nothing but the first observations afterwards
    assert model.get_env().state()["count"] == frozen + NUM_ENVS
    env.reset()
    assert calls, "it goes on"
    manager.compute = compute


def check(model, env, rows: dict[str, np.ndarray]) -> None:
    """Compare the replay buffer with what went through the environment."""
    buffer, bounds = model.replay_buffer, env.venv.bounds
    low, high = np.array(bounds.low), np.array(bounds.high)
    assert buffer.pos == STEPS == len(rows["reward"])
    done = rows["terminated"] | rows["truncated"]
    timeout = rows["truncated"] & ~rows["terminated"]
    assert timeout.sum() > 20 and (rows["action"] >= low - 1e-6).all() and (rows["action"] <= high + 1e-6).all()
    np.testing.assert_array_equal(buffer.dones[:STEPS] > 0, done)
    np.testing.assert_array_equal(buffer.timeouts[:STEPS] > 0, timeout)
    np.testing.assert_allclose(buffer.rewards[:STEPS], rows["reward"])
    # observations as they came, not normalised, and the true last ones where an episode ended
    np.testing.assert_allclose(buffer.observations[1:STEPS], rows["obs"][:-1])
    expected = np.where(done[..., None], rows["final"], rows["obs"])
    np.testing.assert_allclose(buffer.next_observations[:STEPS], expected)
    assert np.abs(expected - rows["obs"])[done].max() > 0.1, "the observation after a reset is another one"
    unit = 2.0 * (rows["action"] - low) / (high - low) - 1.0
    np.testing.assert_allclose(buffer.actions[:STEPS], unit, atol=1e-5)
    # rounds of 40 transitions, the first two of them before learning starts; 8 gradient steps each
    assert model._n_updates == (STEPS // 5 - 2) * 8
    statistics = env.state()
    assert statistics["count"] > NUM_ENVS * STEPS and (statistics["var"] > 0.0).all()
    assert len(model.ep_info_buffer) == min(100, int(done.sum()))


if __name__ == "__main__":
    main()
