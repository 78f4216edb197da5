# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Means of metrics between two rows of the log."""

from __future__ import annotations

import torch


class Means:
    """Running means on the device, read in one transfer."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, ...], torch.Tensor] = {}
        self._counts: dict[tuple[str, ...], int] = {}

    def add(self, names: tuple[str, ...], values: torch.Tensor) -> None:
        """Add values, shape [len(names)]."""
        if names in self._sums:
            self._sums[names] += values
            self._counts[names] += 1
        else:
            self._sums[names], self._counts[names] = values.to(torch.float32, copy=True), 1

    def pop(self) -> dict[str, float]:
        """The means since the last call."""
        if not self._sums:
            return {}
        names = [name for group in self._sums for name in group]
        values = torch.cat([total / self._counts[group] for group, total in self._sums.items()]).tolist()
        self._sums, self._counts = {}, {}
        return dict(zip(names, values, strict=True))
