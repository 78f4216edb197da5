# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

r"""What critics predict of the return: its mean, its quantiles, or the probabilities of bins.

All have one interface, so that the gradient steps are the same for each. The value of the next state, of which several
critics have an opinion, is that of the one with the lower mean (``min``), or the mixture of all (``mean``).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from . import losses

KINDS = ("mean", "quantiles", "categorical", "hl-gauss")
"""What :func:`make_returns` knows."""


class Backup(NamedTuple):
    """What comes between the critics' values of the next state and their targets; see :func:`.losses.critic_target`."""

    reward: torch.Tensor
    """Discounted rewards of the n steps, shape [B]."""

    discount: torch.Tensor
    """Factor on the value afterwards, shape [B]."""

    next_log_prob: torch.Tensor
    """Log-probability of the next action, shape [B]."""

    alpha: torch.Tensor
    """Temperature, a scalar."""


class MeanReturn(nn.Module):
    """Critics with one output, the expected return."""

    outputs = 1
    """Outputs of a critic M."""

    @property
    def limits(self) -> tuple[float, float] | None:
        """Lowest and highest value that can be told; None for any."""
        return None

    def mean(self, output: torch.Tensor) -> torch.Tensor:
        """Q-values, shape [C, B], of the critics' outputs, shape [C, B] for one output and [C, B, M] for several."""
        return output

    def target(self, next_output: torch.Tensor, backup: Backup, q_aggregation: str) -> torch.Tensor:
        """What the critics are to predict.

        Args:
            next_output: What the target networks give for the next state and action, of the critics' outputs' shape.
            backup: The transitions up to there.
            q_aggregation: ``"min"`` or ``"mean"``.

        Returns:
            Targets, shape [B] for one output and [B, K] for several.
        """
        return losses.critic_target(
            backup.reward, backup.discount, next_output, backup.next_log_prob, backup.alpha, q_aggregation
        )

    def loss(self, output: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """The critics' loss for these targets, a scalar; ``weight`` has shape [B]."""
        return losses.critic_loss(output, target, weight)


class QuantileReturn(MeanReturn):
    """Critics of TQC: quantiles of the return, of which the highest are left out of the targets.

    Args:
        atoms: Quantiles M.
        drop: How many of them are left out for each critic.

    Raises:
        ValueError: If none would be left.
    """

    tau: torch.Tensor

    def __init__(self, atoms: int, drop: int) -> None:
        super().__init__()
        if not 0 <= drop < atoms:
            raise ValueError(f"critic.drop is from 0 to {atoms - 1}, with {atoms} quantiles, not {drop}")
        self.outputs, self.drop = atoms, drop
        self.register_buffer("tau", (torch.arange(atoms) + 0.5) / atoms, persistent=False)

    def mean(self, output: torch.Tensor) -> torch.Tensor:
        """As :meth:`MeanReturn.mean`."""
        return output.mean(dim=-1)

    def target(self, next_output: torch.Tensor, backup: Backup, q_aggregation: str) -> torch.Tensor:
        """As :meth:`MeanReturn.target`, in ascending order."""
        if q_aggregation == "min":
            atoms, drop = lower(next_output, self.mean(next_output)), self.drop
        else:
            atoms, drop = next_output.movedim(0, 1).flatten(1), self.drop * len(next_output)
        kept = atoms.sort(dim=-1).values[:, : atoms.shape[-1] - drop]
        return losses.bellman(backup.reward, backup.discount, kept, backup.next_log_prob, backup.alpha)

    def loss(self, output: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """As :meth:`MeanReturn.loss`."""
        return losses.quantile_huber_loss(output, target, weight, self.tau)


class CategoricalReturn(MeanReturn):
    """Critics of C51: probabilities of returns at even distances, trained towards the whole distribution.

    Args:
        atoms: Bins M.
        value_range: The lowest and the highest return; others count as these.

    Raises:
        ValueError: If there are no two bins, or no room between them.
    """

    support: torch.Tensor

    def __init__(self, atoms: int, value_range: tuple[float, float]) -> None:
        super().__init__()
        low, high = value_range
        if atoms < 2 or not low < high:
            raise ValueError(
                f"critic.value_range is a lower and a higher return, with two bins or more, not {value_range}"
            )
        self.outputs = atoms
        self.register_buffer("support", torch.linspace(low, high, atoms))
        """Returns at the middle of the bins, shape [M]; part of a checkpoint."""

    @property
    def limits(self) -> tuple[float, float]:
        """As :attr:`MeanReturn.limits`."""
        low, high = self.support[[0, -1]].tolist()
        return low, high

    def mean(self, output: torch.Tensor) -> torch.Tensor:
        """As :meth:`MeanReturn.mean`."""
        return output.softmax(dim=-1) @ self.support

    def target(self, next_output: torch.Tensor, backup: Backup, q_aggregation: str) -> torch.Tensor:
        """As :meth:`MeanReturn.target`: probabilities."""
        probabilities = next_output.softmax(dim=-1)
        if q_aggregation == "min":
            chosen = lower(probabilities, probabilities @ self.support)
        else:
            chosen = probabilities.mean(dim=0)
        returns = losses.bellman(backup.reward, backup.discount, self.support, backup.next_log_prob, backup.alpha)
        return losses.project(returns, chosen, self.support)

    def loss(self, output: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """As :meth:`MeanReturn.loss`."""
        return losses.cross_entropy_loss(output, target, weight)


class HLGaussReturn(CategoricalReturn):
    """Critics as of :class:`CategoricalReturn`, trained towards a bell around the scalar target (HL-Gauss).

    Args:
        atoms: Bins M.
        value_range: As of :class:`CategoricalReturn`.
    """

    def target(self, next_output: torch.Tensor, backup: Backup, q_aggregation: str) -> torch.Tensor:
        """As :meth:`MeanReturn.target`: probabilities."""
        return losses.bell(MeanReturn.target(self, self.mean(next_output), backup, q_aggregation), self.support)


def lower(values: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """Of each transition what the critic with the lowest mean gives.

    Args:
        values: Of all critics, shape [C, B, M].
        mean: Their means, shape [C, B].

    Returns:
        Shape [B, M].
    """
    index = mean.argmin(dim=0)[None, :, None].expand(1, *values.shape[1:])
    return values.gather(0, index).squeeze(0)


def make_returns(kind: str, atoms: int | None, drop: int, value_range: tuple[float, float]) -> MeanReturn:
    """What critics predict.

    Args:
        kind: One of :data:`KINDS`.
        atoms: Outputs of a critic; None takes 25 quantiles, 101 bins, or 151 for HL-Gauss, as published.
        drop: See :class:`QuantileReturn`.
        value_range: See :class:`CategoricalReturn`.

    Raises:
        ValueError: If the kind is not known, or its options cannot be used.
    """
    if kind not in KINDS:
        raise ValueError(f"critic.predicts is one of {', '.join(KINDS)}, not '{kind}'")
    if kind == "mean":
        return MeanReturn()
    if kind == "quantiles":
        return QuantileReturn(atoms or 25, drop)
    if kind == "categorical":
        return CategoricalReturn(atoms or 101, value_range)
    return HLGaussReturn(atoms or 151, value_range)
