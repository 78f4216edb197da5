# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Collection of experience for Stable-Baselines3 and SBX, against their own."""

from __future__ import annotations

import resource
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

pytest.importorskip("sbx", reason="needs SBX: install isaaclab_offpolicy[sbx]")

from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from isaaclab_offpolicy.runners.sbx.cfg import Sb3OffPolicyCfg, Sb3PpoCfg, Sb3TorchSacCfg
from isaaclab_offpolicy.runners.sbx.collection import StepReplayBuffer
from isaaclab_offpolicy.runners.sbx.models import build, columns_to_normalize, constructor_options, gradient_steps
from isaaclab_offpolicy.runners.sbx.vec_env import NormalizedVecEnv


class Numbers(gym.Env):
    """Observations of very different sizes."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (5,))
    action_space = gym.spaces.Box(np.array([-2.0, -0.4], np.float32), np.array([1.0, 2.6], np.float32))

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def observe(self) -> np.ndarray:
        return (self.rng.normal(size=5) * [1.0, 100.0, 1e-3, 5.0, 1.0] + [0.0, 3000.0, 0.0, -7.0, 1.0]).astype(
            np.float32
        )

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        return self.observe(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        return self.observe(), 1.0, False, bool(self.rng.random() < 0.2), {}


def three() -> DummyVecEnv:
    return DummyVecEnv([partial(Numbers, seed) for seed in range(3)])


def test_normalisation_equals_that_of_stable_baselines() -> None:
    ours, theirs = (
        NormalizedVecEnv(three()),
        VecNormalize(three(), norm_reward=False),
    )
    np.testing.assert_allclose(ours.reset(), theirs.reset(), rtol=1e-3, atol=1e-3)
    ended = 0
    for _ in range(200):
        for env in (ours, theirs):
            env.step_async(np.zeros((3, 2)))
        (obs, _, dones, infos), (expected, _, _, expected_infos) = ours.step_wait(), theirs.step_wait()
        np.testing.assert_allclose(obs, expected, rtol=1e-3, atol=1e-3)
        assert obs.dtype == np.float32
        for i in dones.nonzero()[0]:
            ended += 1
            last, expected_last = (x[i]["terminal_observation"] for x in (infos, expected_infos))
            np.testing.assert_allclose(last, expected_last, rtol=1e-3, atol=1e-3)
    assert ended > 50
    np.testing.assert_allclose(ours.obs_rms.mean, theirs.obs_rms.mean, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(ours.obs_rms.var, theirs.obs_rms.var, rtol=1e-3)
    original = ours.get_original_obs()
    np.testing.assert_allclose(ours.unnormalize_obs(ours.normalize_obs(original)), original, rtol=1e-3, atol=1e-3)


def test_columns_that_are_not_normalised_stay_as_they_are() -> None:
    columns = np.array([True, True, False, True, False])
    env = NormalizedVecEnv(three(), columns)
    env.reset()
    for _ in range(50):
        obs, *_ = env.step(np.zeros((3, 2)))
    np.testing.assert_array_equal(obs[:, ~columns], env.get_original_obs()[:, ~columns])
    assert np.abs(obs[:, columns]).max() < 5.0
    other = NormalizedVecEnv(three())
    other.load_state(env.state())
    np.testing.assert_array_equal(other.normalize_obs(env.get_original_obs()), obs)
    with pytest.raises(ValueError, match="statistics of 5 observations, where there are 2"):
        other.obs_rms.mean = np.zeros(2)
        other.load_state(env.state())


def test_the_height_scan_is_found_by_its_name() -> None:
    manager = SimpleNamespace(
        active_terms={"policy": ["base_lin_vel", "height_scan", "actions"]},
        group_obs_term_dim={"policy": [(3,), (187,), (12,)]},
    )
    group = SimpleNamespace(history_length=None, history_order="term")
    env = SimpleNamespace(
        observation_manager=manager, cfg=SimpleNamespace(observations=SimpleNamespace(policy=group)),
        single_observation_space={"policy": gym.spaces.Box(-1.0, 1.0, (202,))},
    )  # fmt: skip
    columns = columns_to_normalize(env, "all-but-height-scan")
    assert columns is not None and columns.tolist() == [True] * 3 + [False] * 187 + [True] * 12
    everything = columns_to_normalize(env, "all")
    assert everything is not None and everything.all() and len(everything) == 202
    assert columns_to_normalize(env, "none") is None
    assert columns_to_normalize(env, None) is None, "what Isaac Lab makes of agent.normalize=none"
    with pytest.raises(ValueError, match="normalize is"):
        columns_to_normalize(env, "some")
    # two frames: term by term, or frame by frame
    manager.group_obs_term_dim = {"policy": [(6,), (374,), (24,)]}
    group.history_length = 2
    columns = columns_to_normalize(env, "all-but-height-scan")
    assert columns is not None and columns.tolist() == [True] * 6 + [False] * 374 + [True] * 24
    group.history_order = "time"
    columns = columns_to_normalize(env, "all-but-height-scan")
    assert columns is not None and columns.tolist() == 2 * ([True] * 3 + [False] * 187 + [True] * 12)
    del env.observation_manager  # of a direct environment
    columns = columns_to_normalize(env, "all-but-height-scan")
    assert columns is not None and columns.all() and len(columns) == 202


@pytest.mark.parametrize(
    ("options", "num_envs", "expected"),
    [
        ({}, 1024, 32),  # the published number
        ({}, 256, 8),
        ({}, 16, 8),  # at least one update of the actor
        ({"train_freq": 10}, 1024, 320),  # the published number on rough terrain
        ({"replay_ratio": None, "gradient_steps": 16}, 4, 16),
        ({"replay_ratio": None, "gradient_steps": -1}, 64, 64),
        ({"replay_ratio": None, "gradient_steps": 3, "library": "sb3"}, 64, 3),
    ],
)
def test_gradient_steps(options: dict[str, Any], num_envs: int, expected: int, capsys: pytest.CaptureFixture) -> None:
    assert gradient_steps(Sb3OffPolicyCfg(**options), num_envs) == expected
    output = capsys.readouterr().out
    assert ("[WARNING]" in output) == (options.get("gradient_steps") == -1 or num_envs == 16)
    assert ("16 times the replay ratio" in output) == (num_envs == 16)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"replay_ratio": None, "gradient_steps": 20}, "not a multiple of policy_delay=8.*take 16 or 24"),
        ({"replay_ratio": None, "gradient_steps": 4}, "take 8$"),
        ({"replay_ratio": None}, "exactly one"),
        ({"gradient_steps": 8}, "exactly one"),
        ({"replay_ratio": None, "gradient_steps": 0}, "above zero"),
    ],
)
def test_gradient_steps_that_cannot_be_used(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gradient_steps(Sb3OffPolicyCfg(**options), 64)


def test_options_that_cannot_be_used() -> None:
    env = DummyVecEnv([partial(Numbers, 0)])
    with pytest.raises(ValueError, match="sbx has no activation 'swoosh'"):
        build(Sb3OffPolicyCfg(activation="swoosh"), env, "cpu")
    with pytest.raises(ValueError, match="optimizer is one of adam, adamw, not 'sgd'"):
        build(Sb3OffPolicyCfg(optimizer="sgd"), env, "cpu")
    with pytest.raises(ValueError, match="has no policy_delay and no layer_norm"):
        build(Sb3TorchSacCfg(policy_delay=2), env, "cpu")
    model = build(Sb3OffPolicyCfg(learning_rate_end=1e-5, learning_rate_end_fraction=0.5, buffer_size=100), env, "cpu")
    assert model.lr_schedule(1.0) == pytest.approx(4.4689099625712413e-4)
    assert model.lr_schedule(0.5) == pytest.approx(1e-5)


@pytest.mark.parametrize(
    ("cfg", "message"),
    [
        (Sb3OffPolicyCfg(train_freq=0), "train_freq is a whole number above zero, not 0"),
        (Sb3OffPolicyCfg(policy_delay=0), "policy_delay is"),
        (Sb3OffPolicyCfg(n_steps=0), "n_steps is"),
        (Sb3OffPolicyCfg(batch_size=True), "batch_size is a whole number above zero, not True"),
        (Sb3OffPolicyCfg(eval_episodes=0), "eval_episodes is"),
        (Sb3OffPolicyCfg(replay_ratio="abc"), "replay_ratio is a number above zero or none, not 'abc'"),
        (Sb3OffPolicyCfg(replay_ratio=0), "replay_ratio is a number above zero or none, not 0"),
        (Sb3OffPolicyCfg(net_arch=256), "net_arch is a list of whole numbers above zero, not 256"),
        (Sb3OffPolicyCfg(net_arch=[256, 0]), "net_arch is a list"),
        (Sb3OffPolicyCfg(algorithm="TQC", n_critics=3), "TQC has two critics"),
        (Sb3PpoCfg(n_minibatches=0), "n_minibatches is"),
        (Sb3PpoCfg(init_std=0.0), "init_std is a number above zero, not 0.0"),
        (Sb3PpoCfg(init_std="small"), "init_std is"),
    ],
)
def test_numbers_that_cannot_be_used(cfg: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        constructor_options(cfg, 64, "cpu")


@pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="needs Linux, which tells a process's memory")
def test_the_replay_buffer_has_its_memory_from_the_start() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

    before = resident()
    buffer = StepReplayBuffer(4_000_000, *(Numbers(0).observation_space, Numbers(0).action_space), n_envs=4)
    size = buffer.observations.nbytes + buffer.next_observations.nbytes
    assert size == 2 * 4_000_000 * 5 * 4 and resident() - before > 0.9 * size
    assert not buffer.observations.any() and buffer.observations.flags.writeable


def test_the_normaliser_does_not_see_what_stands_for_lost_observations() -> None:
    venv: Any = three()
    env = NormalizedVecEnv(venv)
    venv.lost, seen, observe = np.array([False, True, False]), [], venv.step_wait

    def step_wait() -> Any:
        obs, *rest = observe()
        seen.append(obs[[0, 2]].copy())
        obs[1] = 0.0
        return obs, *rest

    venv.step_wait = step_wait
    env.reset()
    start = float(env.obs_rms.count)
    for _ in range(100):
        env.step_async(np.zeros((3, 2)))
        env.step_wait()
    assert env.obs_rms.count == start + 200
    np.testing.assert_allclose(env.obs_rms.mean[1], np.concatenate(seen)[:, 1].mean(), rtol=0.02)
    venv.lost = np.ones(3, dtype=bool)
    env.step_async(np.zeros((3, 2)))
    env.step_wait()
    assert env.obs_rms.count == start + 200 and np.isfinite(env.obs_rms.var).all()


def test_transitions_that_are_left_out_are_not_sampled() -> None:
    env = three()
    buffer = StepReplayBuffer(
        30, env.observation_space, env.action_space, n_envs=3, n_steps=3, gamma=0.9, handle_timeout_termination=True
    )
    none = np.zeros(0, dtype=np.int64), None
    for step in range(6):
        # the first number tells the step, the second the environment
        obs = np.tile(np.arange(3.0, dtype=np.float32)[:, None], (1, 5))
        obs[:, 0] = step
        bad = np.array([False, step in (2, 3), False]) if step in (2, 3) else None
        if step == 5:
            bad = np.ones(3, dtype=bool)
        done = np.zeros(3, dtype=bool)
        buffer.add_step(obs, obs + np.eye(5)[0], np.zeros((3, 2)), np.full(3, step), done, done, *none, bad)
    assert buffer.size() == 5, "a step of which nothing is left is not stored"
    origin = buffer.observations[:5, :, 1]
    assert origin[:, [0, 2]].tolist() == [[0.0, 2.0]] * 5 and origin[:, 1].tolist() == [1.0, 1.0, 0.0, 0.0, 1.0]
    assert buffer.dones[:5, 1].tolist() == [0.0, 1.0, 1.0, 1.0, 1.0] == buffer.timeouts[:5, 1].tolist()
    assert buffer.dones[:5, 0].tolist() == [0.0, 0.0, 0.0, 0.0, 1.0], "cut where the step is missing"
