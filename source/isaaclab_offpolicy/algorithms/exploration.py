# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Exploration noise that is held for some steps."""

from __future__ import annotations

import torch


class HeldNoise:
    """Standard normal noise per environment and joint that stays the same for ``hold`` steps.

    White noise at 50 Hz averages out over a leg's motion; held noise pushes a joint the same way for a while and so
    reaches other states. The published recipe calls it gSDE; in its code it is this: the noise is drawn anew once per
    roll-out (every ``train_freq`` steps), while the standard deviation follows the state. Here environments draw anew
    one after the other, and one whose episode ended draws anew at once.

    Args:
        num_envs: Number of environments N.
        action_dim: Number of joints A.
        hold: Steps for which noise is held; 1 is white noise.
        scale: Standard deviations of the first and of the last environment; those between are spaced evenly. Some
            environments then explore widely while others stay close to the policy, as in PQL (Li et al. 2023).
        device: Device of the noise.
    """

    def __init__(
        self,
        num_envs: int,
        action_dim: int,
        hold: int = 1,
        scale: tuple[float, float] = (1.0, 1.0),
        device: str | torch.device = "cpu",
    ) -> None:
        if hold < 1:
            raise ValueError(f"noise must be held for at least one step, not {hold}")
        if len(scale) != 2 or min(scale) < 0.0:
            raise ValueError(f"noise_scale is a pair of numbers from 0 on, not {scale}")
        self.hold = hold
        self.held = torch.randn(num_envs, action_dim, device=device)
        """The noise that is held, shape [N, A]."""
        self.scale = torch.linspace(scale[0], scale[1], num_envs, device=device).unsqueeze(-1)
        """Standard deviation of each environment, shape [N, 1]."""
        self.left = torch.arange(num_envs, device=device) % hold
        """Steps until the next draw, at first staggered, shape [N]."""

    def sample(self) -> torch.Tensor:
        """Noise for the next step, shape [N, A]."""
        if self.hold == 1:
            return self.scale * torch.randn_like(self.held)
        renew = self.left <= 0
        self.held.copy_(torch.where(renew.unsqueeze(-1), torch.randn_like(self.held), self.held))
        self.left.copy_(torch.where(renew, self.hold, self.left) - 1)
        return self.scale * self.held

    def reset(self, dones: torch.Tensor) -> None:
        """Draw anew at the next step where an episode ended; ``dones`` has shape [N]."""
        self.left.masked_fill_(dones.bool(), 0)
