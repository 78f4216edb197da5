# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Warns, once each, where the numbers of a soft actor-critic say that it learns nothing any more."""

from __future__ import annotations

import math
from collections.abc import Mapping

MARGIN = 2.0
"""Factor on the largest value that rewards allow, beyond which a value is no value."""

NATS = 3.0
"""Distance of the entropy per joint from its target [nats] that counts as lost: the noise is 20 times too small."""

NEAR = 0.8
"""Share of the largest value that critics can tell, from which on a mean is too near to it."""

NARROW = -6.0
"""Entropy per joint [nats] that counts as none at a temperature that is not learned: ±0.2 % of the range."""

ROWS = 5
"""Rows of the log on end after which it is said."""


class LearnerHealth:
    """Watches the means of a learner's metrics.

    Args:
        gamma: Discount factor.
        joints: Number of joints A.
        target_entropy: Target of the entropy [nats]; None where the temperature is not learned.
    """

    def __init__(self, gamma: float, joints: int, target_entropy: float | None) -> None:
        self.gamma, self.joints, self.target_entropy = gamma, joints, target_entropy
        self._rows: dict[str, int] = {}

    def check(
        self, metrics: Mapping[str, float], largest_reward: float, limits: tuple[float, float] | None = None
    ) -> list[str]:
        """Warnings about a row of the log.

        Args:
            metrics: Means of ``q_mean``, ``entropy`` [nats] and ``alpha``, as far as there are any.
            largest_reward: Largest absolute reward of a step in the replay buffer.
            limits: Lowest and highest value that the critics can tell; None for any.
        """
        found = {
            **self._divergence(metrics, largest_reward),
            **self._at_limits(metrics, limits),
            **self._collapse(metrics, largest_reward),
        }
        self._rows = {name: self._rows.get(name, 0) + 1 if name in found else self._said(name) for name in _NAMES}
        return [text for name, text in found.items() if self._rows[name] == ROWS]

    def _said(self, name: str) -> int:
        """Rows on end that count where all is well: none, or more than those after which it is said."""
        return self._rows.get(name, 0) if self._rows.get(name, 0) >= ROWS else 0

    def _divergence(self, metrics: Mapping[str, float], largest_reward: float) -> dict[str, str]:
        value = metrics.get("q_mean")
        if value is None or self.gamma >= 1.0:
            return {}
        # a soft value is the discounted sum of rewards and of α times the entropy (Haarnoja et al. 2018, eq. 3)
        bonus = metrics.get("alpha", 0.0) * abs(metrics.get("entropy", 0.0))
        limit = MARGIN * (largest_reward + bonus) / (1.0 - self.gamma)
        if abs(value) <= limit:
            return {}
        return {
            "divergence": f"the critics diverge: the mean Q is {value:.3g}, where rewards of up to {largest_reward:.3g}"
            f" allow {limit / MARGIN:.3g}; often the learning rate is too large or tau: try a smaller"
            " agent.algorithm.learning_rate, or agent.algorithm.max_grad_norm=1"
        }

    def _at_limits(self, metrics: Mapping[str, float], limits: tuple[float, float] | None) -> dict[str, str]:
        value = metrics.get("q_mean")
        if value is None or limits is None or NEAR * limits[0] < value < NEAR * limits[1]:
            return {}
        return {
            "limits": f"the critics' bins are too narrow: the mean Q is {value:.3g}, and they end at {limits[0]:.3g}"
            f" and {limits[1]:.3g}; begin anew with a wider agent.critic.value_range, or"
            " agent.algorithm.normalize_rewards=true"
        }

    def _collapse(self, metrics: Mapping[str, float], largest_reward: float) -> dict[str, str]:
        entropy, alpha = metrics.get("entropy"), metrics.get("alpha", 0.0)
        if entropy is None:
            return {}
        target = self.target_entropy
        lowest = self.joints * NARROW if target is None else target - self.joints * NATS
        result = {}
        if entropy < lowest:
            wanted = "" if target is None else f", far below its target of {target:.3g}"
            option = "a larger agent.algorithm.ent_coef" if target is None else "agent.algorithm.ent_coef=auto_0.1"
            result["entropy"] = (
                f"exploration has collapsed: the entropy is {entropy:.3g} nats{wanted}, at alpha {alpha:.3g}; try"
                f" {option}, or wider bounds where actions are at them (saturation/JOINT in progress.csv)"
            )
        if target is not None and alpha > 10.0 * max(largest_reward, 1e-6) and entropy < target:
            result["alpha"] = (
                f"the temperature runs away: alpha is {alpha:.3g}, where rewards are up to {largest_reward:.3g}, and"
                f" the entropy of {entropy:.3g} nats stays below its target of {target:.3g}; try a lower"
                " agent.algorithm.target_entropy"
            )
        if target is not None and 0.0 < alpha < 1e-7 * max(largest_reward, 1e-6) and math.isfinite(alpha):
            result["no alpha"] = (
                f"the temperature has vanished: alpha is {alpha:.3g}, and nothing is explored for its own sake; try a"
                " higher agent.algorithm.target_entropy, or a fixed agent.algorithm.ent_coef=0.001"
            )
        return result


_NAMES = ("divergence", "limits", "entropy", "alpha", "no alpha")
