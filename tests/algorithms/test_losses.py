# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""The losses against their equations, computed by hand."""

from __future__ import annotations

import math

import pytest
import torch

from isaaclab_offpolicy.algorithms import losses


def test_critic_target() -> None:
    reward, discount = torch.tensor([1.0, 2.0]), torch.tensor([0.9, 0.0])  # the second one terminated
    next_q, log_prob = torch.tensor([[3.0, 5.0], [4.0, 1.0]]), torch.tensor([-2.0, 7.0])
    alpha = torch.tensor(0.5)
    assert losses.critic_target(reward, discount, next_q, log_prob, alpha).tolist() == pytest.approx([4.6, 2.0])
    mean = losses.critic_target(reward, discount, next_q, log_prob, alpha, "mean")
    assert mean.tolist() == pytest.approx([1.0 + 0.9 * (3.5 + 1.0), 2.0])


def test_critic_loss() -> None:
    q, target = torch.tensor([[1.0, 2.0], [0.0, 4.0]]), torch.tensor([3.0, 2.0])
    # the second transition has no weight
    loss = losses.critic_loss(q, target, torch.tensor([1.0, 0.0]))
    assert loss.item() == pytest.approx(0.5 * (4.0 + 0.0) / 2 + 0.5 * (9.0 + 0.0) / 2)


def test_actor_loss() -> None:
    q = torch.tensor([[1.0, 2.0], [0.0, 4.0]], requires_grad=True)
    loss = losses.actor_loss(q, torch.tensor([-1.0, 3.0]), torch.tensor(0.1))
    assert loss.item() == pytest.approx(((-0.1 - 0.0) + (0.3 - 2.0)) / 2)
    loss.backward()
    assert q.grad is not None and q.grad.tolist() == [[0.0, -0.5], [-0.5, 0.0]], "of the smallest alone"


def test_temperature_loss() -> None:
    log_alpha = torch.tensor(math.log(0.5), requires_grad=True)
    # -log(0.5) * mean(log_prob + target)
    loss = losses.temperature_loss(log_alpha, torch.tensor([1.0, 3.0]), target_entropy=-1.0)
    assert loss.item() == pytest.approx(-math.log(0.5) * 1.0)
    loss.backward()
    # the entropy (-2) is below its target (-1): a descent step must raise the coefficient
    assert log_alpha.grad is not None and log_alpha.grad.item() < 0.0
