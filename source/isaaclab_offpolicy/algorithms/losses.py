# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

r"""The losses of soft actor-critic, as functions of what the networks give.

Notation: B transitions in a batch, C critics, :math:`\alpha` the temperature, :math:`R` the discounted rewards of n
steps, :math:`\gamma^n` the discount after them (0 where the episode terminated), :math:`w` the weight of a transition.
Actions and their log-probabilities are those of the normalised action in [-1, 1].

Source: Haarnoja et al., "Soft Actor-Critic Algorithms and Applications" (2018), arXiv:1812.05905; the minimum of two
critics: Fujimoto et al., "Addressing Function Approximation Error in Actor-Critic Methods" (2018), arXiv:1802.09477.
"""

from __future__ import annotations

import torch


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
    next_value = aggregate(next_q, q_aggregation) - alpha * next_log_prob
    return reward + discount * next_value


def critic_loss(q: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    r"""The sum of the critics' mean squared errors.

    .. math:: J_Q = \sum_c \mathbb{E} \left[ \tfrac{w}{2} \left( Q_c(s, a) - y \right)^2 \right]

    Args:
        q: Q-values, shape [C, B].
        target: Targets y without gradient, shape [B].
        weight: Weights w, shape [B].
    """
    return (weight * (q - target).square()).sum() * (0.5 / len(weight))


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
