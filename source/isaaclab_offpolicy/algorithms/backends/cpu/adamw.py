# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""AdamW and the step of the targets, in one pass over memory."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import torch

from ..base import Descent
from .build import kernels

FIELDS = 7
"""Fields of an array of parameters in the kernels' table: its size, and the addresses of weights, gradient, both
moments, target and number of steps."""


class AdamWDescent(Descent):
    """AdamW on the state of torch's own optimizer, together with the step of the targets."""

    def __init__(self, optimizer: torch.optim.Adam, targets: Sequence[torch.Tensor] = (), tau: float = 0.0) -> None:
        super().__init__(optimizer, targets, tau)
        self._known: torch.Tensor | None = None
        self._table = np.zeros((len(self.parameters), FIELDS), dtype=np.int64)
        self._offsets = np.array(offsets(self.parameters))

    def step(self, gradients: Sequence[torch.Tensor]) -> None:
        """As :meth:`Descent.step`."""
        (group,) = self.optimizer.param_groups  # anew: a checkpoint brings another
        (gradient,) = gradients  # of all parameters side by side
        self._find_state()
        self._table[:, 2] = gradient.data_ptr() + self._offsets
        kernels().adamw(
            self._table.ctypes.data, len(self._table), *group["betas"], group["lr"], group["eps"],
            group["lr"] * group["weight_decay"], self.tau, torch.get_num_threads(),
        )  # fmt: skip
        # autograd shall notice where a backward pass comes too late
        torch.autograd.graph.increment_version(self.parameters)

    def _find_state(self) -> None:
        """Note where parameters, moments and targets lie; a checkpoint brings other moments, all at once."""
        state = self.optimizer.state
        first = self.parameters[0]
        same = self._known is not None and state[first].get("exp_avg") is self._known
        if same and self._table[0, 1] == first.data_ptr():
            return
        for i, parameter in enumerate(self.parameters):
            if not state[parameter]:
                state[parameter]["step"] = torch.zeros(())
                state[parameter]["exp_avg"] = torch.zeros_like(parameter, requires_grad=False)
                state[parameter]["exp_avg_sq"] = torch.zeros_like(parameter, requires_grad=False)
            first, second, step = (state[parameter][name].data_ptr() for name in ("exp_avg", "exp_avg_sq", "step"))
            target = self.targets[i].data_ptr() if self.targets else 0
            self._table[i] = [parameter.numel(), parameter.data_ptr(), 0, first, second, target, step]
        self._known = state[self.parameters[0]]["exp_avg"]


def offsets(parameters: Sequence[torch.Tensor]) -> list[int]:
    """Where each of several arrays starts when they lie side by side [B]."""
    return list(accumulate((4 * p.numel() for p in parameters[:-1]), initial=0))
