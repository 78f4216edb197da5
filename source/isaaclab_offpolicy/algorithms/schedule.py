# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""The learning rate over a training."""

from __future__ import annotations

from typing import NamedTuple


class LearningRate(NamedTuple):
    """A learning rate that is constant, or falls linearly and then stays."""

    start: float
    """Learning rate at the start."""

    end: float = 0.0
    """Learning rate at the end of a linear schedule."""

    kind: str = "constant"
    """``constant`` or ``linear``."""

    steps: int = 0
    """Transitions over which a linear schedule falls."""

    def __str__(self) -> str:
        if self.kind == "constant":
            return f"{self.start:g}"
        return f"{self.kind} from {self.start:g} to {self.end:g} over {self.steps} transitions"

    def at(self, step: int) -> float:
        """The learning rate after so many transitions."""
        if self.kind == "constant":
            return self.start
        return self.start + min(step / max(self.steps, 1), 1.0) * (self.end - self.start)
