# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import pytest
import torch

from isaaclab_offpolicy.environments.episodes import adopt_time_limit, time_outs


class Steps(gym.Env):
    """Environments whose episodes end on their own clocks, as Isaac Lab's."""

    step_dt = 0.02
    observation_space = action_space = gym.spaces.Box(-1.0, 1.0, (3, 1))

    def __init__(self, seconds: float = 20.0) -> None:
        self.cfg = SimpleNamespace(episode_length_s=seconds)
        self.clock = torch.tensor([0, 3, 7])

    @property
    def max_episode_length(self) -> int:
        return math.ceil(self.cfg.episode_length_s / self.step_dt)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[torch.Tensor, dict]:
        return torch.zeros(3, 1), {}

    def step(self, action: Any) -> Any:
        self.clock += 1
        over = self.clock >= self.max_episode_length
        self.clock[over] = 0
        return torch.zeros(3, 1), torch.zeros(3), torch.zeros(3, dtype=torch.bool), over, {}


@pytest.mark.parametrize("seconds", [20.0, 0.1])
def test_max_episode_steps_limits_each_episode(seconds: float) -> None:
    gym.register("Limited-v0", lambda: Steps(seconds), max_episode_steps=10, disable_env_checker=True)
    try:
        env = gym.make("Limited-v0")
    finally:
        del gym.registry["Limited-v0"]
    for _ in range(2):
        adopt_time_limit(env)
    steps = 10 if seconds == 20.0 else 5
    assert env.unwrapped.max_episode_length == steps  # type: ignore[attr-defined]
    env.reset()
    ended = torch.stack([env.step(None)[3] for _ in range(30)])  # type: ignore[arg-type]
    assert ended.dtype == torch.bool, "and no bare True for all"
    assert ended[:, 0].nonzero()[:, 0].tolist() == list(range(steps - 1, 30, steps))
    assert ended.sum(0).tolist() == ([3, 3, 3] if seconds == 20.0 else [6, 6, 6])


def test_which_episodes_ran_their_full_length() -> None:
    dones, flags = torch.tensor([1, 1, 0]), torch.tensor([True, True, False])
    isaac = SimpleNamespace(reset_time_outs=flags, reset_terminated=torch.tensor([True, False, False]))
    assert time_outs(isaac, dones, {}).tolist() == [False, True, False], "of a task of finite horizon"
    assert time_outs(SimpleNamespace(), dones, {"time_outs": flags}).tolist() == [True, True, False]
    assert time_outs(SimpleNamespace(), dones, {}).tolist() == [False, False, False]
