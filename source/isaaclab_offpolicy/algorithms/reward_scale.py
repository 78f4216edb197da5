# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""What rewards are divided by, so that values have the same size on every task."""

from __future__ import annotations

from typing import Any

import torch

VALUE_LIMIT = 5.0
"""Largest return after scaling, FlashSAC's and SimbaV2's; also the range of bins then."""


class RewardScale:
    r"""The spread of the discounted returns so far, of all environments.

    .. math:: G_t = r_t + \gamma (1 - d_{t-1}) G_{t-1}, \quad
       \hat r = r \, / \, \max \left( \sqrt{\operatorname{Var} G}, \; \max |G| / 5 \right)

    Rewards are stored as they are, and divided when they are sampled: by the scale of that moment. Source: SimbaV2 (Lee
    et al. 2025, arXiv:2502.15280), FlashSAC (arXiv:2604.04539).

    Args:
        num_envs: Number of environments N.
        gamma: Discount factor γ.
        device: Device of the rewards.
    """

    def __init__(self, num_envs: int, gamma: float, device: str | torch.device = "cpu") -> None:
        self.gamma = gamma
        self.returns = torch.zeros(num_envs, device=device)
        """G of each environment, shape [N]."""
        # double: sums over a long training
        self.statistics = torch.zeros(4, dtype=torch.float64, device=device)
        """Number of returns, their mean, their sum of squared deviations, and the largest absolute one."""

    @torch.no_grad()
    def update(self, reward: torch.Tensor, done: torch.Tensor) -> None:
        """Take in the rewards of an env step and which episodes ended with it, shapes [N]."""
        self.returns.mul_(self.gamma).add_(reward)
        new = self.returns.double()
        count, mean, squares, largest = self.statistics
        total = count + len(new)
        delta = new.mean() - mean
        self.statistics.copy_(
            torch.stack([
                total,
                mean + delta * len(new) / total,
                squares + (new - new.mean()).square().sum() + delta.square() * count * len(new) / total,
                torch.maximum(largest, new.abs().amax()),
            ])
        )  # fmt: skip
        self.returns.masked_fill_(done.bool(), 0.0)

    def __call__(self) -> torch.Tensor:
        """What rewards are to be divided by, a scalar."""
        count, _, squares, largest = self.statistics
        spread = (squares / count.clamp(min=1.0) + 1.0e-8).sqrt()
        return torch.maximum(spread, largest / VALUE_LIMIT).float()

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        return {"returns": self.returns, "statistics": self.statistics}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state`; returns under way only with as many environments."""
        self.statistics.copy_(state["statistics"])
        if state["returns"].shape == self.returns.shape:
            self.returns.copy_(state["returns"])
