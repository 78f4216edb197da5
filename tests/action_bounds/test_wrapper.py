# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from collections.abc import Sequence

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isaaclab_offpolicy.action_bounds import ActionBounds, ActionBoundsWrapper, BoundsError, available_bounds
from isaaclab_offpolicy.action_bounds.files import DATA_DIR

NAMES = ["a", "b", "c"]
BOUNDS = ActionBounds(("c", "a", "b"), (0.5, -2.0, -0.4), (0.75, 1.1, 2.6))


class Recorder(gym.Env):
    """Many environments in one, as Isaac Lab's; keeps the actions that reach it."""

    def __init__(self, num_envs: int = 4, joint_names: Sequence[str] = NAMES) -> None:
        self.num_envs, self.device = num_envs, "cpu"
        self.action_joint_names = list(joint_names)
        self.single_action_space = gym.spaces.Box(-np.inf, np.inf, (len(joint_names),))
        self.action_space = gym.vector.utils.batch_space(self.single_action_space, num_envs)
        self.observation_space = gym.spaces.Box(-1.0, 1.0, (num_envs, 1))

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[torch.Tensor, dict]:
        return torch.zeros(self.num_envs, 1), {}

    def step(self, action: torch.Tensor):
        self.received = action
        flags = torch.zeros(self.num_envs, dtype=torch.bool)
        return torch.zeros(self.num_envs, 1), torch.zeros(self.num_envs), flags, flags, {}


@st.composite
def boxes(draw) -> ActionBounds:
    low = draw(st.lists(st.floats(-100.0, 100.0, width=32), min_size=3, max_size=3))
    width = draw(st.lists(st.floats(2.0**-7, 200.0, width=32), min_size=3, max_size=3))
    return ActionBounds(tuple(NAMES), tuple(low), tuple(a + b for a, b in zip(low, width, strict=True)))


finite = st.floats(allow_nan=False, allow_infinity=False, width=32)


@settings(deadline=None, max_examples=300)
@given(boxes(), st.sampled_from(["rescale", "clip"]), st.lists(finite, min_size=12, max_size=12))
def test_the_environment_gets_values_within_the_bounds_whatever_the_policy_says(
    bounds: ActionBounds, mode: str, values: list[float]
) -> None:
    env = ActionBoundsWrapper(Recorder(), bounds, mode)
    env.step(torch.tensor(values).view(4, 3))
    low, high = torch.tensor(bounds.low), torch.tensor(bounds.high)
    received = env.unwrapped.received
    assert bool(((received >= low) & (received <= high)).all())
    assert received.dtype == torch.float32


@settings(deadline=None, max_examples=300)
@given(boxes(), st.lists(st.floats(-1.0, 1.0, width=32), min_size=12, max_size=12))
def test_rescaling_and_its_inverse(bounds: ActionBounds, values: list[float]) -> None:
    env = ActionBoundsWrapper(Recorder(), bounds)
    unit = torch.tensor(values).view(4, 3)
    error = (env.from_environment(env.to_environment(unit)) - unit).abs()
    # float32 resolves a number to 1e-7 of its size, which is all that a narrow box far from zero can keep
    low, high = torch.tensor(bounds.low), torch.tensor(bounds.high)
    far = torch.maximum(low.abs(), high.abs()) / (high - low)
    assert bool((error <= torch.clamp(4e-7 * far, min=1e-6)).all())


@pytest.mark.parametrize("name", available_bounds())
def test_rescaling_and_its_inverse_in_the_boxes_of_the_robots(name: str) -> None:
    bounds = ActionBounds.from_yaml(DATA_DIR / f"{name}.yaml")
    env = ActionBoundsWrapper(Recorder(joint_names=bounds.joint_names), bounds)
    unit = torch.rand(100_000, len(bounds.joint_names)) * 2 - 1
    torch.testing.assert_close(env.from_environment(env.to_environment(unit)), unit, rtol=0, atol=1e-6)


def test_the_declared_spaces() -> None:
    rescaled = ActionBoundsWrapper(Recorder(), BOUNDS)
    clipped = ActionBoundsWrapper(Recorder(), BOUNDS, mode="clip")
    assert rescaled.bounds.joint_names == tuple(NAMES), "in the environment's order"
    assert rescaled.single_action_space == gym.spaces.Box(-1.0, 1.0, (3,), dtype=np.float32)
    np.testing.assert_allclose(clipped.single_action_space.low, [-2.0, -0.4, 0.5])
    for env in (rescaled, clipped):
        # libraries' wrappers look at the environment itself
        assert env.unwrapped.single_action_space == env.single_action_space
        assert env.action_space.shape == env.unwrapped.action_space.shape == (4, 3)
    corners = torch.tensor([[-1.0, 1.0, 0.0]]).expand(4, 3)
    rescaled.step(corners)
    torch.testing.assert_close(rescaled.unwrapped.received[0], torch.tensor([-2.0, 2.6, 0.625]))
    clipped.step(corners)
    torch.testing.assert_close(clipped.unwrapped.received[0], torch.tensor([-1.0, 1.0, 0.5]))
    action = torch.full((4, 3), 7.0)
    clipped.step(action)
    assert bool((action == 7.0).all()), "the caller's tensor stays as it is"


def test_through_the_registry() -> None:
    spec = ActionBoundsWrapper.wrapper_spec(bounds="2", scale=1.25)
    gym.register("Bounded-v0", entry_point=Recorder, disable_env_checker=True, additional_wrappers=(spec,))
    try:
        env = gym.make("Bounded-v0")
        assert isinstance(env, ActionBoundsWrapper) and env.bounds.high == (2.5, 2.5, 2.5)
    finally:
        del gym.registry["Bounded-v0"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bounds": ActionBounds(("a", "b"), (0.0, 0.0), (1.0, 1.0))}, "joint 'c' of the robot has no bounds"),
        ({"bounds": "joint-limits"}, "no action manager"),
        ({"bounds": "percentile"}, "no percentiles are recorded"),
        ({"bounds": "-1"}, "not a finite positive number"),
        ({"bounds": 1.0, "mode": "squash"}, "mode is 'rescale' or 'clip'"),
        ({"bounds": 1.0, "scale": 0.0}, "factor of 0"),
    ],
)
def test_what_it_refuses(options: dict, message: str) -> None:
    with pytest.raises((BoundsError, ValueError), match=message):
        ActionBoundsWrapper(Recorder(), **options)
