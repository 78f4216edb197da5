# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import numpy as np
import pytest
import torch
from rsl_rl.runners import OnPolicyRunner

from environments import FlawedEnv, LinearQuadraticEnv, regulator
from isaaclab_offpolicy.action_bounds.symmetry import Mirror
from isaaclab_offpolicy.symmetry import Symmetry

pytestmark = pytest.mark.learn

GAMMA, EPISODES, STEPS = 0.9, 256, 150


def discounted_cost(policy) -> float:
    """Mean discounted cost from the same initial states."""
    env = LinearQuadraticEnv(EPISODES)
    env.state = env.initial_states(EPISODES, torch.Generator().manual_seed(1))
    total = torch.zeros(EPISODES)
    for t in range(STEPS):
        action = policy(env.state)
        total -= GAMMA**t * env.reward(env.state, action)
        env.state = env.state @ env._a.T + action @ env._b.T
    return total.mean().item()


@pytest.mark.parametrize(
    ("n_steps", "target_entropy", "flaws", "symmetry", "noise", "critics"),
    [
        (1, "auto", 0.0, False, "gsde", {}),
        (3, -2.0, 0.0, False, "zeta", {"predicts": "quantiles"}),
        (3, -2.0, 0.01, False, "held", {"predicts": "categorical", "value_range": [-40.0, 1.0]}),
        (3, -2.0, 0.0, True, "pink", {"predicts": "hl-gauss", "value_range": [-40.0, 1.0]}),
    ],
)
def test_sac_comes_within_ten_percent_of_the_computed_optimum(
    train_cfg, n_steps: int, target_entropy, flaws: float, symmetry: bool, noise: str, critics: dict
) -> None:
    gain = torch.tensor(regulator(LinearQuadraticEnv, GAMMA), dtype=torch.float32)
    optimum = discounted_cost(lambda state: -state @ gain.T)
    env = FlawedEnv(flaws, num_envs=32)
    env.symmetry = Symmetry({"policy": Mirror((0, 1), (-1.0, -1.0))}, Mirror((0,), (-1.0,)))
    iterations = 200
    cfg = train_cfg(
        action_bounds=2.0, gamma=GAMMA, n_steps=n_steps, batch_size=256, learning_starts=640, replay_ratio=1 / 16,
        policy_delay=2, tau=0.02, ent_coef="auto_0.01", target_entropy=target_entropy, learning_rate=1e-3,
        learning_rate_end=1e-5, schedule="linear", symmetry=symmetry,
        noise=noise, noise_hold=4,
    )  # fmt: skip
    cfg["max_iterations"] = iterations
    cfg["critic"] |= critics
    runner = OnPolicyRunner(env, cfg, log_dir=None, device="cpu")
    runner.learn(iterations)
    assert (runner.alg.guard.left_out > 0.005 * iterations * 10 * 32) == (flaws > 0.0)
    policy = runner.get_inference_policy()
    with torch.no_grad():
        cost = discounted_cost(lambda state: policy({"policy": state}))
    idle = discounted_cost(lambda state: torch.zeros(len(state), 1))
    assert np.isfinite(cost) and optimum < 0.7 * idle
    assert cost <= 1.1 * optimum, f"cost {cost:.4f}, optimum {optimum:.4f}"
