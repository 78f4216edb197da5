# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isaaclab_offpolicy.algorithms import ReplayBuffer


class Recorder:
    """Keeps every step as plain Python, and computes n-step targets the slow way."""

    def __init__(self, num_envs: int) -> None:
        self.num_envs = num_envs
        self.obs: list[list[float]] = []  # observation before step t, by environment
        self.steps: list[dict] = []

    def transitions(self, env: int, start: int, n_steps: int, gamma: float) -> tuple[float, float, float]:
        """Return, factor on the bootstrapped value, and the observation to bootstrap from."""
        total, k, t = 0.0, 0, start
        while True:
            step = self.steps[t]
            total += gamma**k * step["reward"][env]
            k += 1
            if step["terminated"][env]:
                return total, 0.0, math.nan
            if step["truncated"][env]:
                return total, gamma**k, step["final_obs"][env]
            if k == n_steps or t + 1 == len(self.steps):
                return total, gamma**k, step["next_obs"][env]
            t += 1


@st.composite
def histories(draw: st.DrawFn) -> dict:
    num_envs = draw(st.integers(1, 3))
    steps = draw(st.integers(1, 25))
    event = st.sampled_from(["go", "go", "go", "fall", "timeout", "both"])
    return {
        "num_envs": num_envs,
        "rows": draw(st.integers(1, 9)),
        "n_steps": draw(st.integers(1, 4)),
        "gamma": draw(st.sampled_from([0.5, 0.9, 0.99])),
        "events": draw(st.lists(st.lists(event, min_size=num_envs, max_size=num_envs), min_size=steps, max_size=steps)),
    }


@settings(max_examples=300, deadline=None)
@given(histories())
def test_targets_against_brute_force_with_random_ends_and_over_the_seam(history: dict) -> None:
    num_envs, n_steps, gamma = history["num_envs"], history["n_steps"], history["gamma"]
    buffer = ReplayBuffer(history["rows"] * num_envs, num_envs, {"policy": 1}, 1, n_steps, gamma)
    recorder = Recorder(num_envs)
    value = iter(range(10**6))  # every observation and reward is a number of its own

    def fresh() -> torch.Tensor:
        return torch.tensor([float(next(value)) for _ in range(num_envs)])

    obs = fresh()
    buffer.begin({"policy": obs.unsqueeze(-1)})
    for events in history["events"]:
        action, reward, final = fresh() / 1e4, fresh(), fresh()
        terminated = torch.tensor([e in ("fall", "both") for e in events])
        truncated = torch.tensor([e in ("timeout", "both") for e in events])
        next_obs = torch.where(terminated | truncated, fresh(), final)
        buffer.add(
            action.unsqueeze(-1), reward, terminated, truncated,
            {"policy": next_obs.unsqueeze(-1)}, {"policy": final.unsqueeze(-1)},
        )  # fmt: skip
        recorder.obs.append(obs.tolist())
        recorder.steps.append(
            {
                "action": action.tolist(), "reward": reward.tolist(), "terminated": terminated.tolist(),
                "truncated": (truncated & ~terminated).tolist(), "final_obs": final.tolist(),
                "next_obs": next_obs.tolist(),
            }
        )  # fmt: skip
        obs = next_obs
    stored = len(buffer) // num_envs
    assert stored == min(len(recorder.steps), max(history["rows"], n_steps))
    for age in range(stored):
        start = len(recorder.steps) - 1 - age
        for env in range(num_envs):
            batch = buffer.gather(torch.tensor([[age]]), torch.tensor([[env]]))
            after_timeout = start > 0 and recorder.steps[start - 1]["truncated"][env]
            assert batch.weight.item() == (0.0 if after_timeout else 1.0)
            if after_timeout:
                continue
            total, discount, bootstrap = recorder.transitions(env, start, n_steps, gamma)
            assert batch.obs["policy"].item() == recorder.obs[start][env]
            assert batch.action.item() == pytest.approx(recorder.steps[start]["action"][env])
            assert batch.reward.item() == pytest.approx(total, rel=1e-5)
            assert batch.discount.item() == pytest.approx(discount, rel=1e-5)
            if discount > 0.0:
                assert batch.next_obs["policy"].item() == bootstrap


def filled(steps: int = 50, num_envs: int = 4, **kwargs) -> ReplayBuffer:
    buffer = ReplayBuffer(1000, num_envs, {"policy": 3, "critic": 2}, 2, **kwargs)
    obs = {"policy": torch.randn(num_envs, 3), "critic": torch.randn(num_envs, 2)}
    buffer.begin(obs)
    none = torch.zeros(num_envs, dtype=torch.bool)
    for _ in range(steps):
        obs = {"policy": torch.randn(num_envs, 3), "critic": torch.randn(num_envs, 2)}
        buffer.add(torch.randn(num_envs, 2), torch.randn(num_envs), none, none, obs)
    return buffer


def test_shapes_of_a_sample() -> None:
    batch = filled(n_steps=3).sample(5, 16)
    assert batch.obs["policy"].shape == batch.next_obs["policy"].shape == (5, 16, 3)
    assert batch.obs["critic"].shape == (5, 16, 2)
    assert batch.action.shape == (5, 16, 2)
    assert batch.reward.shape == batch.discount.shape == batch.weight.shape == (5, 16)


def test_sampling_is_uniform_over_what_is_stored() -> None:
    buffer = filled(steps=20, num_envs=4)
    buffer.reward[:] = torch.arange(buffer.rows).unsqueeze(-1) * 4.0 + torch.arange(4)
    batch = buffer.sample(40, 1000, torch.Generator().manual_seed(1))
    counts = torch.bincount(batch.reward.flatten().long(), minlength=80)
    assert counts.shape == (80,)  # twenty rows of four environments, and nothing else
    # chi-squared of 80 cells: mean 79, standard deviation 12.6
    assert ((counts - 500.0) ** 2 / 500.0).sum() < 79 + 5 * 12.6


def test_observations_are_stored_once() -> None:
    buffer = ReplayBuffer(100_000, 100, {"policy": 48}, 12)
    floats = buffer.nbytes / 4 / 100_000
    # 48 observations, 12 actions, a reward and three flags of a byte; twice the observations would be 109
    assert floats < 62.5


def test_a_timeout_without_its_last_observation_is_an_error() -> None:
    buffer = filled()
    obs = {"policy": torch.zeros(4, 3), "critic": torch.zeros(4, 2)}
    none = torch.zeros(4, dtype=torch.bool)
    with pytest.raises(ValueError, match="last observation"):
        buffer.add(torch.zeros(4, 2), torch.zeros(4), none, ~none, obs)
    with pytest.raises(ValueError, match="empty"):
        ReplayBuffer(10, 1, {"policy": 1}, 1).sample(1, 1)
