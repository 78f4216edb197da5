# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import pytest
import torch

from environments import LinearQuadraticEnv
from isaaclab_offpolicy.action_bounds import ActionBounds
from isaaclab_offpolicy.action_bounds.saturation import SaturationMonitor

BOUNDS = ActionBounds(("a", "b", "c"), (-1.0, -2.0, 0.0), (3.0, 0.5, 1.0))


def test_shares_of_saturated_actions() -> None:
    monitor = SaturationMonitor(3)
    assert monitor.pop(BOUNDS) == ({}, [])
    monitor.add(torch.tensor([[1.0, 0.0, -0.99], [0.97, 0.5, 0.99]]))
    monitor.add(torch.tensor([[-1.0, 0.0, -0.5], [0.0, 0.5, 0.0]]))
    metrics, warnings = monitor.pop(BOUNDS)
    assert metrics == pytest.approx(
        {"action_saturation": 4 / 12, "saturation/a": 0.5, "saturation/b": 0.0, "saturation/c": 0.5}
    )
    assert warnings == [] and monitor.pop(BOUNDS) == ({}, [])


def test_a_joint_that_stays_at_a_bound_is_named_once_with_more_room() -> None:
    monitor = SaturationMonitor(3, fraction=0.5, transitions=300)
    action = torch.tensor([[-1.0, 0.0, 1.0]]).repeat(100, 1)
    for i in range(6):
        # joint c leaves its bound now and then, joint a does not
        action[:, 2] = 0.0 if i % 2 else 1.0
        monitor.add(action)
        _, warnings = monitor.pop(BOUNDS)
        if i == 2:
            (line,) = warnings
            assert "joint 'a' is at its lower bound in 100 % of the actions" in line
            assert "[-1, 3] may be too narrow: try [-2, 3]" in line
        else:
            assert warnings == []


def test_a_joint_that_jumps_between_its_bounds_is_named_too() -> None:
    monitor = SaturationMonitor(3, fraction=0.5, transitions=300)
    action = torch.zeros(100, 3)
    action[:30, 1], action[30:60, 1] = -1.0, 1.0  # 60 % of the actions, 30 % on each side
    action[:45, 0], action[45:51, 0] = -1.0, 1.0  # 51 %, most of it on one side
    lines = []
    for _ in range(5):
        monitor.add(action)
        lines += monitor.pop(BOUNDS)[1]
    first, second = lines
    assert "joint 'a' is at its lower bound in 45 % of the actions" in first and "try [-2, 3]" in first
    assert "joint 'b' is at its bounds in 60 % of the actions" in second
    assert "[-2, 0.5] may be too narrow: try [-2.62, 1.12]" in second


def test_training_logs_it_and_warns(make_sac, capsys: pytest.CaptureFixture) -> None:
    env = LinearQuadraticEnv(16)
    sac = make_sac(env, learning_starts=0, replay_ratio=1 / 64)
    sac.saturation.transitions = 200
    with torch.no_grad():
        sac.actor.mlp[4].bias[0] = 20.0  # always the upper bound
    obs = env.get_observations()
    for _ in range(20):
        with torch.inference_mode():
            obs, rewards, dones, extras = env.step(sac.act(obs))
            sac.process_env_step(obs, rewards, dones, extras)
    metrics = sac.update()
    assert metrics["saturation/cart"] == metrics["action_saturation"] == 1.0
    error = capsys.readouterr().err
    assert "[WARNING] joint 'cart' is at its upper bound in 100 %" in error and "try [-2, 3]" in error
