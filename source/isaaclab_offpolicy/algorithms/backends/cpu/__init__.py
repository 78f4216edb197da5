# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Networks and optimizers on the CPU: MKL's matrix products, and kernels in C++ for everything between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import nn

from ..base import Backend, Descent
from .adamw import AdamWDescent
from .build import kernels
from .mlp import MLP


class Cpu(Backend):
    """``cpu``: multi-layer perceptrons block by block through all layers, and AdamW with the targets in one pass.

    Raises:
        RuntimeError: If the kernels cannot be compiled.
        UnsupportedError: If torch has no MKL.
    """

    def __init__(self) -> None:
        kernels()

    def network(self, module: nn.Module) -> Callable[..., torch.Tensor]:
        """As :meth:`Backend.network`, for an actor of rsl_rl and for critics."""
        return MLP(module)

    def leaves(self, network: Callable[..., torch.Tensor]) -> list[torch.Tensor]:
        """As :meth:`Backend.leaves`: one stand-in for all parameters."""
        return [cast(MLP, network).leaf]

    def policy(self, module: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
        """As :meth:`Backend.policy`."""
        mlp = MLP(module)

        # the runner acts in inference mode, whose tensors are not for other uses
        @torch.inference_mode(False)
        @torch.no_grad()
        def evaluate(obs: torch.Tensor) -> torch.Tensor:
            return mlp(obs)

        return evaluate

    def descent(self, optimizer: torch.optim.Adam, targets: Sequence[torch.Tensor] = (), tau: float = 0.0) -> Descent:
        """As :meth:`Backend.descent`."""
        return AdamWDescent(optimizer, targets, tau)
