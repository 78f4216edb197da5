# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Mirror images in place of half of the transitions of a batch."""

from __future__ import annotations

from typing import Any

import torch

from isaaclab_offpolicy.action_bounds.symmetry import Mirror

from .environment import Symmetry


class HalfMirror:
    """Takes the mirror images of a random half of every batch, in the place of that half.

    A task that is symmetric gives a mirrored transition the same reward; the learner so sees twice as many transitions
    of each kind, at the cost of a copy of half of the batch.

    Args:
        symmetry: The mirror images.
        device: Device of the batches.
    """

    def __init__(self, symmetry: Symmetry, device: torch.device) -> None:
        self._obs = {group: _tensors(mirror, device) for group, mirror in symmetry.obs.items()}
        self._action = _tensors(symmetry.action, device)

    def __call__(self, batch: Any) -> None:
        """Mirror the first half of each batch in place; transitions are sampled in no order.

        Args:
            batch: A :class:`~isaaclab_offpolicy.replay.ReplayBatch`.
        """
        for observations in (batch.obs, batch.next_obs):
            for group, (index, sign) in self._obs.items():
                _mirror_half(observations[group], index, sign)
        _mirror_half(batch.action, *self._action)


def _tensors(mirror: Mirror, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor(mirror.index, device=device), torch.tensor(mirror.sign, device=device)


def _mirror_half(values: torch.Tensor, index: torch.Tensor, sign: torch.Tensor) -> None:
    """Mirror the first half of the rows of each batch, shape [G, B, D]."""
    half = values[:, : values.shape[1] // 2]
    half.copy_(half[..., index] * sign)
