# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import pytest
import torch

from environments import LinearQuadraticEnv
from isaaclab_offpolicy.algorithms.reward_scale import RewardScale


def returns_of(rewards: torch.Tensor, dones: torch.Tensor, gamma: float) -> torch.Tensor:
    """All discounted returns so far, one by one."""
    running, all_returns = [0.0] * rewards.shape[1], []
    for step, ends in zip(rewards.tolist(), dones.tolist(), strict=True):
        for i, reward in enumerate(step):
            running[i] = gamma * running[i] + reward
            all_returns.append(running[i])
            if ends[i]:
                running[i] = 0.0
    return torch.tensor(all_returns, dtype=torch.float64)


@pytest.mark.parametrize("outlier", [0.0, 40.0])
def test_the_scale_is_the_spread_of_the_returns_or_a_fifth_of_the_largest(outlier: float) -> None:
    rewards, dones = torch.randn(200, 6), torch.rand(200, 6) < 0.05
    rewards[50, 2] -= outlier
    scale = RewardScale(6, 0.9)
    for reward, done in zip(rewards, dones, strict=True):
        scale.update(reward, done)
    returns = returns_of(rewards, dones, 0.9)
    spread, largest = returns.std(correction=0).item(), returns.abs().max().item()
    assert (largest / 5.0 > spread) == (outlier > 0.0)
    assert scale().item() == pytest.approx(max(spread, largest / 5.0), rel=1e-5)
    # another goes on from it, with its own episodes where they are not as many
    for count in (6, 4):
        other = RewardScale(count, 0.9)
        other.restore(scale.state())
        assert other() == scale()
        assert torch.equal(other.returns, scale.returns if count == 6 else torch.zeros(4))


def test_critics_learn_from_scaled_rewards(make_sac) -> None:
    learners = []
    for value in (False, True):
        torch.manual_seed(1)
        env = LinearQuadraticEnv(8)
        sac = make_sac(env, normalize_rewards=value, gamma=0.9, learning_starts=999)
        with torch.inference_mode():
            obs = env.get_observations()
            for _ in range(20):
                obs, rewards, dones, extras = env.step(sac.act(obs))
                sac.process_env_step(obs, rewards, dones, extras)
        learners.append(sac)
    plain, scaled = learners
    batches = []
    for sac in learners:
        torch.manual_seed(2)
        batches.append(sac.sample_batches(3))
    scale = scaled.reward_scale()
    assert (scale - 1.0).abs() > 0.05
    torch.testing.assert_close(batches[1].critic.reward, batches[0].critic.reward / scale)
    assert torch.equal(batches[1].critic.obs, batches[0].critic.obs)

    other = make_sac(LinearQuadraticEnv(8), normalize_rewards=True, gamma=0.9)
    other.load(scaled.save(), None, strict=True)
    assert other.reward_scale() == scale and not other.differences
    plain.load(scaled.save(), None, strict=True)
    assert plain.differences == ["rewards were normalised: the critics' values have another size now"]
    other.load(make_sac(LinearQuadraticEnv(8)).save(), None, strict=True)
    assert other.differences == ["rewards were not normalised: the critics' values have another size now"]
