# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""What gradient steps work on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch


class CriticBatch(NamedTuple):
    """Transitions for one gradient step of the critics, observations normalised."""

    obs: torch.Tensor
    """What the critics saw, shape [B, D]."""

    action: torch.Tensor
    """Normalised actions, shape [B, A]."""

    reward: torch.Tensor
    """Discounted rewards of the n steps, shape [B]."""

    discount: torch.Tensor
    """Factor on the value afterwards, shape [B]."""

    weight: torch.Tensor
    """Weight in the loss, shape [B]."""

    next_obs: torch.Tensor
    """What the critics saw afterwards, shape [B, D]."""

    actor_next_obs: torch.Tensor
    """What the actor saw afterwards, shape [B, D']."""

    noise: torch.Tensor
    """Standard normal noise of the next action, shape [B, A]."""


class ActorBatch(NamedTuple):
    """Observations for one gradient step of actor and temperature, normalised."""

    obs: torch.Tensor
    """What the actor saw, shape [B, D']."""

    critic_obs: torch.Tensor
    """What the critics saw, shape [B, D]."""

    noise: torch.Tensor
    """Standard normal noise of the action, shape [B, A]."""


class Batches(NamedTuple):
    """Batches for all gradient steps of an update phase: G of the critics, K of them followed by one of the actor."""

    critic: CriticBatch
    """The critics', shapes [G, B, ...]."""

    actor: ActorBatch
    """The actor's, shapes [K, B, ...]."""

    actor_updates: tuple[int, ...]
    """Which of the critics' gradient steps the actor's follow, K numbers below G."""

    def segments(self) -> Iterator[range]:
        """The critics' gradient steps in segments within which the actor stays the same."""
        start = 0
        for last in (*self.actor_updates, len(self.critic.reward) - 1):
            if start <= last:
                yield range(start, last + 1)
            start = last + 1

    def critics(self) -> list[CriticBatch]:
        """The critics' batches one by one."""
        return [CriticBatch(*tensors) for tensors in zip(*(tensor.unbind() for tensor in self.critic), strict=True)]

    def actors(self) -> Iterator[ActorBatch]:
        """The actor's batches one by one."""
        return (ActorBatch(*tensors) for tensors in zip(*(tensor.unbind() for tensor in self.actor), strict=True))
