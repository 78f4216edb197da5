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


def test_bellman() -> None:
    arguments = torch.tensor([1.0, 2.0]), torch.tensor([0.9, 0.0])
    z = losses.bellman(*arguments, torch.tensor([3.0, 5.0]), torch.tensor([-2.0, 7.0]), torch.tensor(0.5))
    assert z.flatten().tolist() == pytest.approx([1.0 + 0.9 * 4.0, 1.0 + 0.9 * 6.0, 2.0, 2.0])


def test_quantile_huber_loss() -> None:
    # one critic, two quantiles, three returns: pairs by hand
    theta, target = torch.tensor([[[0.0, 1.0]]]), torch.tensor([[-0.5, 1.5, 4.0]])
    tau = torch.tensor([0.25, 0.75])
    below = 0.75 * 0.125 + 0.25 * (1.5 - 0.5) + 0.25 * (4.0 - 0.5)
    above = 0.25 * (1.5 - 0.5) + 0.75 * 0.125 + 0.75 * (3.0 - 0.5)
    loss = losses.quantile_huber_loss(theta, target, torch.ones(1), tau)
    assert loss.item() == pytest.approx((below + above) / 6)


def test_quantile_huber_loss_is_the_sum_over_all_pairs() -> None:
    theta = (2.0 * torch.randn(2, 7, 5, dtype=torch.float64)).requires_grad_()
    target, weight = (2.0 * torch.randn(7, 8, dtype=torch.float64)).sort(dim=-1).values, torch.rand(7).double()
    tau = ((torch.arange(5) + 0.5) / 5).double()
    delta = target[None, :, None, :] - theta.unsqueeze(-1)
    huber = torch.where(delta.abs() <= 1.0, 0.5 * delta.square(), delta.abs() - 0.5)
    pairs = (tau[:, None] - (delta < 0.0).double()).abs() * huber
    expected = (weight * pairs.mean(dim=(-2, -1))).mean(dim=-1).sum()
    loss = losses.quantile_huber_loss(theta, target, weight, tau)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(*(torch.autograd.grad(value, theta)[0] for value in (loss, expected)))


def test_projection_on_bins() -> None:
    support = torch.linspace(-1.0, 1.0, 5)
    returns = torch.tensor([[-9.0, -0.5, 0.1, 0.75, 9.0]])
    share = torch.tensor([[0.1, 0.2, 0.3, 0.25, 0.15]])
    result = losses.project(returns, share, support)
    assert result[0].tolist() == pytest.approx([0.1, 0.2, 0.3 * 0.8, 0.3 * 0.2 + 0.25 * 0.5, 0.25 * 0.5 + 0.15])
    # returns inside keep their mean
    inside = torch.rand(4, 5) * 2.0 - 1.0
    mean = losses.project(inside, share.expand(4, 5), support) @ support
    torch.testing.assert_close(mean, (inside * share).sum(dim=-1))


def test_bell_on_bins() -> None:
    support = torch.linspace(-1.0, 1.0, 41)  # bins of 0.05
    result = losses.bell(torch.tensor([0.31, 7.0]), support)
    assert result.sum(dim=-1).tolist() == pytest.approx([1.0, 1.0])
    assert (result[0] @ support).item() == pytest.approx(0.31, abs=1e-4)
    spread = (result[0] @ (support - 0.31).square()).sqrt().item()
    # the bell's variance and a uniform one's of a bin
    assert spread == pytest.approx(0.05 * math.sqrt(0.75**2 + 1 / 12), rel=1e-2)
    density = [math.erf((edge - 0.31) / (math.sqrt(2) * 0.0375)) for edge in (0.275, 0.325)]
    assert result[0, 26].item() == pytest.approx((density[1] - density[0]) / 2, rel=1e-4)
    assert result[1].argmax() == 40, "beyond the support counts as its end"
    low, high = losses.bell(torch.tensor([-7.0, 7.0]), support)
    torch.testing.assert_close(low, high.flip(0))
    share = [math.erf(edge / (math.sqrt(2) * 0.75)) for edge in (-0.5, 0.5)]  # in bins from the last one's middle
    whole = math.erf(0.5 / (math.sqrt(2) * 0.75)) + 1.0
    assert high[40].item() == pytest.approx((share[1] - share[0]) / whole, rel=1e-4)


def test_cross_entropy_loss() -> None:
    logits = torch.log(torch.tensor([[[0.5, 0.25, 0.25], [0.2, 0.3, 0.5]], [[0.1, 0.1, 0.8], [1.0, 1.0, 1.0]]]))
    target, weight = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]]), torch.tensor([1.0, 0.0])
    loss = losses.cross_entropy_loss(logits, target, weight)
    assert loss.item() == pytest.approx(-(math.log(0.5) + math.log(0.1)) / 2)
