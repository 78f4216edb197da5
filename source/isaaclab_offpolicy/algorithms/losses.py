# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

r"""The losses of soft actor-critic, as functions of what the networks give.

Notation: B transitions in a batch, C critics, :math:`\alpha` the temperature, :math:`R` the discounted rewards of n
steps, :math:`\gamma^n` the discount after them (0 where the episode terminated), :math:`w` the weight of a transition.
Actions and their log-probabilities are those of the normalised action in [-1, 1].

Source: Haarnoja et al., "Soft Actor-Critic Algorithms and Applications" (2018), arXiv:1812.05905; the minimum of two
critics: Fujimoto et al., "Addressing Function Approximation Error in Actor-Critic Methods" (2018), arXiv:1802.09477.
Distributions of the return: quantiles as in TQC (Kuznetsov et al. 2020, arXiv:2005.04269), bins as in C51 (Bellemare
et al. 2017, arXiv:1707.06887), a bell over the bins as in HL-Gauss (Farebrother et al. 2024, arXiv:2403.03950).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

BELL_WIDTH = 0.75
"""Standard deviation of HL-Gauss's bell, as a multiple of a bin's width."""


def aggregate(q: torch.Tensor, how: str) -> torch.Tensor:
    """One value of several critics': their minimum, which counters overestimation, or their mean.

    Args:
        q: Q-values, shape [C, B].
        how: ``min`` or ``mean``.

    Returns:
        Values, shape [B].
    """
    return q.amin(dim=0) if how == "min" else q.mean(dim=0)


def critic_target(
    reward: torch.Tensor,
    discount: torch.Tensor,
    next_q: torch.Tensor,
    next_log_prob: torch.Tensor,
    alpha: torch.Tensor,
    q_aggregation: str = "min",
) -> torch.Tensor:
    r"""What the critics are to predict, with the minimum of the critics or their mean.

    .. math:: y = R + \gamma^n \left( \min_c \bar Q_c(s', a') - \alpha \log \pi(a' | s') \right), \; a' \sim \pi(s')

    Args:
        reward: R, shape [B].
        discount: γⁿ, shape [B].
        next_q: Q-values of the target networks, shape [C, B].
        next_log_prob: ``log π(a'|s')``, shape [B].
        alpha: Temperature, a scalar.
        q_aggregation: ``"min"`` or ``"mean"``.

    Returns:
        Targets y, shape [B].
    """
    next_value = aggregate(next_q, q_aggregation)
    return bellman(reward, discount, next_value.unsqueeze(-1), next_log_prob, alpha).squeeze(-1)


def bellman(
    reward: torch.Tensor,
    discount: torch.Tensor,
    next_returns: torch.Tensor,
    next_log_prob: torch.Tensor,
    alpha: torch.Tensor,
) -> torch.Tensor:
    r"""Possible returns of a transition from those after it, as :func:`critic_target` for each of them.

    .. math:: z_k = R + \gamma^n \left( \bar z_k(s', a') - \alpha \log \pi(a' | s') \right)

    Args:
        reward: R, shape [B].
        discount: γⁿ, shape [B].
        next_returns: z̄, shape [B, K], or [K] if they are the same for all.
        next_log_prob: ``log π(a'|s')``, shape [B].
        alpha: Temperature, a scalar.

    Returns:
        Returns z, shape [B, K].
    """
    next_value = next_returns - (alpha * next_log_prob).unsqueeze(-1)
    return reward.unsqueeze(-1) + discount.unsqueeze(-1) * next_value


def critic_loss(q: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    r"""The sum of the critics' mean squared errors.

    .. math:: J_Q = \sum_c \mathbb{E} \left[ \tfrac{w}{2} \left( Q_c(s, a) - y \right)^2 \right]

    Args:
        q: Q-values, shape [C, B].
        target: Targets y without gradient, shape [B].
        weight: Weights w, shape [B].
    """
    return (weight * (q - target).square()).sum() * (0.5 / len(weight))


def quantile_huber_loss(
    quantiles: torch.Tensor, target: torch.Tensor, weight: torch.Tensor, tau: torch.Tensor
) -> torch.Tensor:
    r"""The sum of the critics' quantile Huber losses, each the mean over its quantiles and the target's K returns.

    .. math:: J_Q = \sum_c \mathbb{E} \left[ \tfrac{w}{M K} \sum_{i k}
       \left| \tau_i - 1_{\delta < 0} \right| H(\delta) \right], \; \delta = z_k - \theta_{c i}

    with Huber's :math:`H(\delta) = \delta^2 / 2` up to 1 and :math:`|\delta| - 1/2` beyond. The sum over k comes from
    running sums of the sorted returns: M·K pairs for each transition would take longer than the networks.

    Args:
        quantiles: θ, shape [C, B, M].
        target: Returns z in ascending order, without gradient, shape [B, K].
        weight: Weights w, shape [B].
        tau: Levels τ of the quantiles, shape [M].
    """
    count, critics = target.shape[-1], len(quantiles)
    zero = target.new_zeros(len(target), 1)
    sums = torch.cat((zero, target.cumsum(dim=-1)), dim=-1)
    squares = torch.cat((zero, target.square().cumsum(dim=-1)), dim=-1)
    theta = quantiles.movedim(0, 1).flatten(1)  # [B, C * M]
    # how many returns lie below θ - 1, θ and θ + 1
    edges = [torch.searchsorted(target, (theta.detach() + shift).contiguous()) for shift in (-1.0, 0.0, 1.0)]
    edges = [torch.zeros_like(edges[0]), *edges, torch.full_like(edges[0], count)]
    sides = []
    for far, near, sign in ((0, 1, -1.0), (3, 2, 1.0)):  # the returns below θ, and those above
        n, s = _between(edges, sums, far)
        linear = sign * (s - n * theta) - 0.5 * n
        n, s = _between(edges, sums, near)
        _, q = _between(edges, squares, near)
        sides.append(linear + 0.5 * (q - 2.0 * theta * s + n * theta.square()))
    levels = tau.repeat(critics)
    loss = ((1.0 - levels) * sides[0] + levels * sides[1]).sum(dim=-1)
    return (weight * loss).sum() / (len(weight) * count * len(tau))


def _between(edges: list[torch.Tensor], sums: torch.Tensor, i: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Number and sum of the returns between two of the edges."""
    low, high = edges[i], edges[i + 1]
    return (high - low).to(sums.dtype), sums.gather(-1, high) - sums.gather(-1, low)


def project(returns: torch.Tensor, probabilities: torch.Tensor, support: torch.Tensor) -> torch.Tensor:
    r"""C51's projection: the probability of each return goes to the two bins beside it, by its distance.

    Args:
        returns: z, shape [B, M]; those outside of the support count as its ends.
        probabilities: Theirs, shape [B, M].
        support: Returns at the middle of the bins, ascending at even distances, shape [M].

    Returns:
        Probabilities of the bins, shape [B, M].
    """
    last = len(support) - 1
    place = (returns - support[0]) * (last / (support[-1] - support[0]))
    place = place.clamp(0.0, float(last))
    below = place.floor().clamp(max=last - 1.0)
    share, index = place - below, below.long()
    result = torch.zeros_like(probabilities).scatter_add(-1, index, probabilities * (1.0 - share))
    return result.scatter_add(-1, index + 1, probabilities * share)


def bell(target: torch.Tensor, support: torch.Tensor) -> torch.Tensor:
    r"""HL-Gauss: a normal distribution around the target, of 0.75 bins' width, as probabilities of the bins.

    .. math:: p_i \propto \operatorname{erf} \frac{e_{i+1} - y}{\sqrt 2 \sigma}
       - \operatorname{erf} \frac{e_i - y}{\sqrt 2 \sigma}

    Args:
        target: y, shape [B]; one outside of the support counts as its end.
        support: Returns at the middle of the bins, ascending at even distances, shape [M].

    Returns:
        Probabilities, shape [B, M].
    """
    width = (support[-1] - support[0]) / (len(support) - 1)
    edges = torch.cat((support - 0.5 * width, support[-1:] + 0.5 * width))
    target = torch.minimum(torch.maximum(target, support[0]), support[-1]).unsqueeze(-1)
    cumulative = torch.erf((edges - target) / (math.sqrt(2.0) * BELL_WIDTH * width))
    return cumulative.diff(dim=-1) / (cumulative[:, -1:] - cumulative[:, :1])


def cross_entropy_loss(logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    r"""The sum of the critics' cross entropies.

    .. math:: J_Q = -\sum_c \mathbb{E} \left[ w \sum_i p_i \log \operatorname{softmax}_i Q_c(s, a) \right]

    Args:
        logits: The critics' outputs, shape [C, B, M].
        target: Probabilities p without gradient, shape [B, M].
        weight: Weights w, shape [B].
    """
    return -(weight * (target * F.log_softmax(logits, dim=-1)).sum(dim=-1)).sum() / len(weight)


def actor_loss(
    q: torch.Tensor, log_prob: torch.Tensor, alpha: torch.Tensor, q_aggregation: str = "min"
) -> torch.Tensor:
    r"""What the actor descends: the entropy's price less the value, the critics' minimum or mean.

    .. math:: J_\pi = \mathbb{E} \left[ \alpha \log \pi(a | s) - \min_c Q_c(s, a) \right], \; a \sim \pi(s)

    Args:
        q: Q-values of the actor's reparametrised actions, shape [C, B].
        log_prob: log π(a|s), shape [B].
        alpha: Temperature, a scalar without gradient.
        q_aggregation: ``"min"`` or ``"mean"``.
    """
    return (alpha * log_prob - aggregate(q, q_aggregation)).mean()


def temperature_loss(log_alpha: torch.Tensor, log_prob: torch.Tensor, target_entropy: float) -> torch.Tensor:
    r"""What the temperature descends: it rises where the entropy is below its target.

    .. math:: J_\alpha = -\mathbb{E} \left[ \log \alpha \left( \log \pi(a | s) + \bar H \right) \right]

    Stable-Baselines3's form: the gradient does not vanish with α (the paper has α in place of log α).

    Args:
        log_alpha: Logarithm of the temperature, a scalar.
        log_prob: log π(a|s) without gradient, shape [B].
        target_entropy: The entropy H̄ to be kept [nats].
    """
    return -(log_alpha * (log_prob + target_entropy)).mean()
