# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""What a backend offers, as torch itself does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import nn


class UnsupportedError(ValueError):
    """A network of a kind that a backend does not know."""


class Descent:
    """One step of an optimizer, and of the target networks that follow its parameters.

    Args:
        optimizer: Adam or AdamW with one group of parameters.
        targets: Parameters of the target networks, in the order of the optimizer's; none if there are no targets.
        tau: Step of the targets towards the parameters.
    """

    def __init__(self, optimizer: torch.optim.Adam, targets: Sequence[torch.Tensor] = (), tau: float = 0.0) -> None:
        self.optimizer, self.targets, self.tau = optimizer, list(targets), tau
        self.parameters: list[torch.Tensor] = list(optimizer.param_groups[0]["params"])

    @torch.no_grad()
    def step(self, gradients: Sequence[torch.Tensor]) -> None:
        """Step with these gradients, in the order of :meth:`Backend.leaves`."""
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        self.optimizer.step()
        if self.targets:
            torch._foreach_lerp_(self.targets, self.parameters, self.tau)


class Backend:
    """``eager``: torch's own networks, autograd and optimizers. The others replace parts of it."""

    @property
    def is_warm(self) -> bool:
        """Whether nothing is left to compile or to capture.

        Until then no other thread may draw random numbers or use the device: torch's compiler puts random generators
        back to where they were, and a capture forbids them.
        """
        return True

    def network(self, module: nn.Module) -> Callable[..., torch.Tensor]:
        """A network as a function that autograd can differentiate.

        Raises:
            UnsupportedError: If the backend does not know networks of this kind.
        """
        return module

    def leaves(self, network: Callable[..., torch.Tensor]) -> list[torch.Tensor]:
        """What a function of :meth:`network` is differentiated with respect to: all parameters, or their stand-in.

        Gradients of them are what :meth:`Descent.step` takes.
        """
        return list(cast(nn.Module, network).parameters())

    def policy(self, module: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
        """A network as a function of observations [N, D] that is only evaluated."""
        return module

    def descent(self, optimizer: torch.optim.Adam, targets: Sequence[torch.Tensor] = (), tau: float = 0.0) -> Descent:
        """The step of an optimizer; see :class:`Descent`."""
        return Descent(optimizer, targets, tau)

    def compile(self, loss: Callable[..., Any]) -> Callable[..., Any]:
        """A function from batches to losses, made faster."""
        return loss

    def capture(self, step: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        """A whole gradient step, from a batch to its metrics, made faster."""
        return step

    def optimizer_options(self, device: torch.device) -> dict[str, Any]:
        """Options of torch's Adam and AdamW."""
        return {"fused": True} if device.type in ("cpu", "cuda") else {}

    def rate(self, value: float, device: torch.device) -> float | torch.Tensor:
        """A learning rate as the optimizers take it."""
        return value
