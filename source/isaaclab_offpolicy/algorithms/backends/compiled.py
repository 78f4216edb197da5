# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Losses as functions that torch's compiler makes; on a GPU whole gradient steps as CUDA graphs.

No GPU has run this yet: the compiled functions are tested on the CPU, the capturing is tensordict's and is untested.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from .base import Backend

WARM_UP = 4
"""Calls of a function of which the last one is captured; compiling takes the first."""


class Compiled(Backend):
    """``compiled``: forward and backward pass of a loss as one compiled function each; elementwise work is fused.

    Args:
        fall_back: Whether to go on uncompiled, with a warning, where nothing can be compiled.
    """

    def __init__(self, fall_back: bool = False) -> None:
        self._fall_back = fall_back
        self._programs: list[_Program] = []

    @property
    def is_warm(self) -> bool:
        """As :attr:`Backend.is_warm`: every compiled function has run."""
        return all(program.calls > 0 for program in self._programs)

    def compile(self, loss: Callable[..., Any]) -> Callable[..., Any]:
        """As :meth:`Backend.compile`."""
        # the critics' loss and the actor's; those of before go
        self._programs = [*self._programs[-1:], _Program(loss, self._fall_back)]
        return self._programs[-1]


class CudaGraph(Compiled):
    """``cuda-graph``: compiled losses, and gradient steps that the host launches with one call each.

    Args:
        device: The learner's device.
        fall_back: As for :class:`Compiled`.
    """

    def __init__(self, device: torch.device, fall_back: bool = False) -> None:
        super().__init__(fall_back)
        self._device = device
        self._captured: list[_Captured] = []

    @property
    def is_warm(self) -> bool:
        """As :attr:`Backend.is_warm`: every gradient step was captured."""
        return super().is_warm and all(graph.is_captured for graph in self._captured)

    def policy(self, module: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
        """As :meth:`Backend.policy`; captured for the number of rows of the first call."""
        rows: list[int] = []
        graph = _Captured(module, self._device)

        # the runner acts in inference mode, whose tensors a graph could not write to outside of it
        @torch.inference_mode(False)
        @torch.no_grad()
        def evaluate(obs: torch.Tensor) -> torch.Tensor:
            if not rows:
                rows.append(len(obs))
                for _ in range(WARM_UP - 1):  # at once, while no learner runs beside it
                    graph(obs.clone())
            return graph(obs.clone()) if len(obs) == rows[0] else module(obs)

        return evaluate

    def capture(self, step: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        """As :meth:`Backend.capture`."""
        self._captured = [*self._captured[-1:], _Captured(step, self._device)]
        return self._captured[-1]

    def optimizer_options(self, device: torch.device) -> dict[str, Any]:
        """As :meth:`Backend.optimizer_options`: the numbers of steps stay on the device."""
        return {"fused": True, "capturable": True}

    def rate(self, value: float, device: torch.device) -> torch.Tensor:
        """As :meth:`Backend.rate`: a graph reads it where it is, so that a schedule can change it."""
        return torch.tensor(value, device=device)


class _Captured:
    """A function that is captured at its :data:`WARM_UP`-th call."""

    def __init__(self, function: Callable[..., Any], device: torch.device) -> None:
        from tensordict.nn import CudaGraphModule  # not at the top: it takes a second

        self._device = device
        with torch.cuda.device(device):
            self._graph = CudaGraphModule(function, warmup=WARM_UP, device=device)

    @property
    def is_captured(self) -> bool:
        return self._graph.counter >= WARM_UP

    def __call__(self, *inputs: Any) -> Any:
        plain = torch.cuda.graph
        if not self.is_captured:
            # other threads, of the simulation or the replay, may use the device meanwhile
            torch.cuda.graph = partial(plain, capture_error_mode="thread_local")  # type: ignore[misc,assignment]
        try:
            with torch.cuda.device(self._device):
                return self._graph(*inputs)
        finally:
            torch.cuda.graph = plain  # type: ignore[misc]


class _Program:
    """A compiled function, or the function itself from the first failure of the compiler on."""

    def __init__(self, function: Callable[..., Any], fall_back: bool) -> None:
        self._function, self._fall_back = function, fall_back
        self._compiled: Callable[..., Any] | None = torch.compile(function, fullgraph=True, dynamic=False)
        self.calls = 0

    def __call__(self, *inputs: Any) -> Any:
        if self._compiled is not None:
            try:
                result = self._compiled(*inputs)
                self.calls += 1
                return result
            except Exception as error:
                if not self._fall_back or not _is_of_the_compiler(error):
                    raise
                reason = next(line for line in str(error).splitlines() if line.strip())
                print(f"[WARNING] gradient steps are not compiled, which makes them slower: {reason}", file=sys.stderr)
                self._compiled = None
        self.calls += 1
        return self._function(*inputs)


def _is_of_the_compiler(error: Exception) -> bool:
    """Whether an error is that of torch's compiler, and not of the program's run."""
    # not at the top: it takes seconds, and most processes do not compile
    from torch._dynamo.exc import FailOnRecompileLimitHit, TorchDynamoException

    return isinstance(error, (TorchDynamoException, FailOnRecompileLimitHit))
