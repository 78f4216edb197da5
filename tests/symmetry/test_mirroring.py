# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from isaaclab.sensors import patterns

from environments import LinearQuadraticEnv
from isaaclab_offpolicy.action_bounds import ActionBounds
from isaaclab_offpolicy.action_bounds.symmetry import Mirror
from isaaclab_offpolicy.errors import ConfigError
from isaaclab_offpolicy.symmetry import HalfMirror, Symmetry, check_bounds, find_symmetry
from isaaclab_offpolicy.symmetry.environment import points_mirror, side_by_side, term_mirror

CART = Symmetry({"policy": Mirror((0, 1), (-1.0, -1.0))}, Mirror((0,), (-1.0,)))
"""Left and right of the cart on a line."""


def symmetric_env() -> LinearQuadraticEnv:
    env = LinearQuadraticEnv(num_envs=16)
    env.symmetry = CART
    return env


def test_half_of_each_batch_is_its_mirror_image(make_sac) -> None:
    def sampled(**options):
        torch.manual_seed(1)
        sac = make_sac(symmetric_env(), learning_starts=10, batch_size=8, **options)
        env = symmetric_env()
        obs = env.get_observations()
        sac.train_mode()
        for _ in range(6):
            action = sac.act(obs)
            obs, reward, done, _ = env.step(action)
            sac.storage.add(action, reward, done.bool(), done.bool(), obs)
        torch.manual_seed(2)
        return sac.sample_batches(3).critic

    plain, mirrored = sampled(), sampled(symmetry=True)
    assert plain.obs.shape == (3, 8, 2) and plain.obs.abs().min() > 0.0
    for name in ("obs", "action", "next_obs"):
        before, after = getattr(plain, name), getattr(mirrored, name)
        torch.testing.assert_close(after[:, 4:], before[:, 4:])
    torch.testing.assert_close(mirrored.action[:, :4], -plain.action[:, :4])
    # observations are normalised after that, with the same mean
    mean = (mirrored.obs + plain.obs)[:, :4].reshape(-1, 2)
    torch.testing.assert_close(mean, mean[:1].expand_as(mean))
    torch.testing.assert_close(mirrored.reward, plain.reward)


def test_mirrored_twice_is_what_it_was() -> None:
    mirror = Mirror((1, 0, 2), (-1.0, -1.0, 1.0))
    batch = SimpleNamespace(
        obs={"policy": torch.randn(2, 6, 3)}, next_obs={"policy": torch.randn(2, 6, 3)}, action=torch.randn(2, 6, 3)
    )
    before = batch.action.clone()
    half = HalfMirror(Symmetry({"policy": mirror}, mirror), torch.device("cpu"))
    half(batch)
    torch.testing.assert_close(batch.action[:, :3], before[:, :3][..., [1, 0, 2]] * torch.tensor([-1.0, -1.0, 1.0]))
    half(batch)
    torch.testing.assert_close(batch.action, before)


def test_bounds_that_are_not_symmetric_are_refused_by_name(make_sac) -> None:
    joints = ("FL_hip_joint", "FR_hip_joint", "trunk")
    symmetry = Symmetry({}, Mirror((1, 0, 2), (-1.0, -1.0, 1.0)))
    check_bounds(symmetry, ActionBounds(joints, (-0.3, -0.5, -1.0), (0.5, 0.3, 0.2)))
    with pytest.raises(ConfigError, match=r"'FL_hip_joint'.*action_bounds=symmetric"):
        check_bounds(symmetry, ActionBounds(joints, (-0.3, -0.3, -1.0), (0.5, 0.5, 0.2)))
    sac = make_sac(symmetric_env(), symmetry=True)
    sac.bounds = ActionBounds(("cart",), (-1.0,), (2.0,))  # as a checkpoint may bring them
    with pytest.raises(ConfigError, match="cart"):
        sac.train_mode()


def test_a_task_that_does_not_say_its_symmetry_is_refused(make_sac) -> None:
    with pytest.raises(ConfigError, match="attribute 'symmetry'"):
        make_sac(LinearQuadraticEnv(num_envs=4), symmetry=True)
    assert find_symmetry(symmetric_env(), ["policy"]) is CART


def test_the_points_of_a_height_scan_are_mirrored_at_their_x_axis() -> None:
    points, _ = patterns.grid_pattern(patterns.GridPatternCfg(resolution=0.1, size=[1.6, 1.0]), "cpu")
    mirror = points_mirror(points)
    assert len(mirror.index) == 187 and set(mirror.sign) == {1.0}
    images = points[list(mirror.index)]
    torch.testing.assert_close(images, points * torch.tensor([1.0, -1.0, 1.0]), atol=1e-5, rtol=0.0)
    with pytest.raises(ConfigError, match="height scan"):
        points_mirror(points + torch.tensor([0.0, 0.03, 0.0]))


def term(function, **options) -> SimpleNamespace:
    return SimpleNamespace(**{"func": function, "params": {}, "scale": None, "clip": None, **options})


def test_observations_of_ones_own_say_their_signs_and_histories_repeat_them() -> None:
    def side() -> None: ...

    action = Mirror((0,), (-1.0,))
    with pytest.raises(ConfigError, match=r"'policy\.lean' \(side\).*mirror_signs"):
        term_mirror(None, "policy.lean", term(side), 2, action, {})
    side.mirror_signs = (-1, 1)
    assert term_mirror(None, "policy.lean", term(side), 2, action, {}) == Mirror((0, 1), (-1.0, 1.0))
    twice = term_mirror(None, "policy.lean", term(side), 4, action, {})
    assert twice == Mirror((0, 1, 2, 3), (-1.0, 1.0, -1.0, 1.0))
    assert side_by_side([action, twice]).index == (0, 1, 2, 3, 4)
    for options, width, message in (({}, 3, "3 numbers"), ({"clip": (-1.0, 2.0)}, 2, "clip")):
        with pytest.raises(ConfigError, match=message):
            term_mirror(None, "policy.lean", term(side, **options), width, action, {})


def test_scales_that_differ_between_the_sides_are_refused() -> None:
    def last_action() -> None: ...

    action = Mirror((1, 0, 2), (1.0, 1.0, -1.0))
    even, odd = torch.tensor([2.0, 2.0, 3.0]), torch.tensor([2.0, 1.0, 3.0])
    assert term_mirror(None, "policy.last", term(last_action, scale=even), 3, action, {}) == action
    with pytest.raises(ConfigError, match="scale"):
        term_mirror(None, "policy.last", term(last_action, scale=odd), 3, action, {})
