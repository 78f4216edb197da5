# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Percentiles of any number of actions in constant memory."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .errors import BoundsError


class StreamingHistogram:
    """A histogram per joint whose range grows with the data.

    When a value lies outside, the range doubles towards it and neighbouring bins are merged, so that nothing is lost
    but resolution: a bin is at most 4 / ``bins`` of the range of the data wide, and so large is a percentile's error.

    Args:
        dim: Number of joints A.
        bins: Number of bins; even.
        device: Device of the counts.
    """

    def __init__(self, dim: int, bins: int = 4096, device: str | torch.device = "cpu") -> None:
        if bins < 2 or bins % 2:
            raise ValueError(f"bins must be even and positive, not {bins}")
        self.bins = bins
        self.counts = torch.zeros(dim, bins, dtype=torch.int64, device=device)
        """Values in each bin, shape [A, bins]."""
        self.low = torch.zeros(dim, dtype=torch.float64, device=device)
        """Lower edge of the first bin, shape [A]."""
        self.width = torch.zeros(dim, dtype=torch.float64, device=device)
        """Width of a bin, shape [A]."""
        self.minimum = torch.full((dim,), float("inf"), dtype=torch.float64, device=device)
        """Smallest value, shape [A]."""
        self.maximum = torch.full((dim,), -float("inf"), dtype=torch.float64, device=device)
        """Largest value, shape [A]."""
        self.samples = 0
        """Number of values per joint."""

    def add(self, values: torch.Tensor) -> None:
        """Count values, shape [N, A].

        Raises:
            BoundsError: If a value is not finite; nothing is counted then.
        """
        if not len(values):
            return
        values = values.to(self.low)
        smallest, largest = values.amin(dim=0), values.amax(dim=0)
        if not bool((smallest.isfinite() & largest.isfinite()).all()):
            raise BoundsError("an action is not finite")
        if self.samples == 0:
            # a first range; a joint that does not move yet gets a tiny one
            self.low.copy_(smallest)
            self.width.copy_((largest - smallest).clamp(min=1e-9 * (1.0 + largest.abs())) / self.bins)
        self.minimum.copy_(torch.minimum(self.minimum, smallest))
        self.maximum.copy_(torch.maximum(self.maximum, largest))
        self._grow(down=True)
        self._grow(down=False)
        index = ((values - self.low) / self.width).long().clamp_(0, self.bins - 1)
        joint = torch.arange(len(self.low), device=self.low.device) * self.bins
        flat = (index + joint).flatten()
        self.counts.view(-1).scatter_add_(0, flat, torch.ones_like(flat))
        self.samples += len(values)

    def _grow(self, down: bool) -> None:
        """Double the range of the joints that do not reach their smallest or largest value, until they do."""
        half = self.bins // 2
        while True:
            high = self.low + self.bins * self.width
            outside = self.minimum < self.low if down else self.maximum > high
            if not bool(outside.any()):
                return
            merged = self.counts.view(-1, half, 2).sum(dim=-1)
            grown = torch.zeros_like(self.counts)
            if down:
                grown[:, half:] = merged
            else:
                grown[:, :half] = merged
            self.counts.copy_(torch.where(outside.unsqueeze(-1), grown, self.counts))
            if down:
                self.low.copy_(torch.where(outside, self.low - self.bins * self.width, self.low))
            self.width.copy_(torch.where(outside, 2.0 * self.width, self.width))

    def percentiles(self, percent: Sequence[float]) -> torch.Tensor:
        """Percentiles, with values spread evenly within a bin.

        Args:
            percent: P numbers from 0 to 100.

        Returns:
            Shape [P, A], float64.

        Raises:
            ValueError: If nothing was counted, or a number is not from 0 to 100.
        """
        if not self.samples:
            raise ValueError("no values were counted")
        bad = [p for p in percent if not 0.0 <= p <= 100.0]
        if bad:
            raise ValueError(f"a percentile is from 0 to 100, not {bad[0]:g}")
        cumulative = self.counts.cumsum(dim=-1).double()
        rows = []
        for p in percent:
            rank = torch.full((len(self.low), 1), p / 100.0 * self.samples, dtype=torch.float64, device=self.low.device)
            index = torch.searchsorted(cumulative, rank).clamp(max=self.bins - 1)
            count = self.counts.gather(1, index).double().clamp(min=1.0)
            below = cumulative.gather(1, index) - count
            inside = ((rank - below) / count).clamp(0.0, 1.0)
            value = self.low + (index + inside).squeeze(1) * self.width
            rows.append(torch.minimum(torch.maximum(value, self.minimum), self.maximum))
        return torch.stack(rows)

    def share_outside(self, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
        """Fraction of the values below ``low`` or above ``high``, shapes [A], to the resolution of a bin."""
        offsets = torch.arange(self.bins, device=self.low.device) + 0.5
        centers = self.low.unsqueeze(1) + offsets * self.width.unsqueeze(1)
        outside = (centers < low.to(centers).unsqueeze(1)) | (centers > high.to(centers).unsqueeze(1))
        return (self.counts * outside).sum(dim=-1).double() / max(self.samples, 1)
