# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Multi-layer perceptrons, one or several of equal shape at once, as functions that autograd can differentiate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from ...critic import LAYER_NORM_EPS, QEnsemble
from ..base import UnsupportedError
from .build import kernels, sgemm

ACTIVATIONS: dict[type[nn.Module], int] = {nn.ELU: 0, nn.ReLU: 1, nn.Tanh: 2, nn.Identity: 3}
"""Activations that the kernels know, with their numbers there."""

BLOCK = 128
"""Rows that go through all layers of a network together, at most; 64 to 256 made little difference on two cores."""


class Layer(NamedTuple):
    """A linear layer of C networks with its normalisation and activation."""

    weight: torch.Tensor
    """Weights, shape [C, I, O], or of one network as torch.nn.Linear has them, [O, I]."""

    bias: torch.Tensor
    """Biases, C · O numbers."""

    norm_weight: torch.Tensor | None
    """Factors of the layer normalisation, C · O numbers; None for none."""

    norm_bias: torch.Tensor | None
    """What it adds."""

    activation: int
    """One of :data:`ACTIVATIONS`."""

    @property
    def transposed(self) -> bool:
        """Whether the weights are torch.nn.Linear's."""
        return self.weight.dim() == 2

    @property
    def shape(self) -> tuple[int, int, int]:
        """Numbers of networks, inputs and outputs."""
        if self.transposed:
            return 1, self.weight.shape[1], self.weight.shape[0]
        return self.weight.shape[0], self.weight.shape[1], self.weight.shape[2]

    @property
    def parameters(self) -> list[torch.Tensor]:
        """Those that there are."""
        return [p for p in (self.weight, self.bias, self.norm_weight, self.norm_bias) if p is not None]


class MLP:
    """A network as a function of one input [B, I], or of two side by side, [B, I'] and [B, I - I'].

    Args:
        module: An actor's network (rsl_rl's MLP) or a :class:`~isaaclab_offpolicy.algorithms.critic.QEnsemble`. Its
            parameters may change in place.

    Raises:
        UnsupportedError: If it is of another kind.
    """

    def __init__(self, module: nn.Module) -> None:
        self.layers, self._shaped = _critic(module) if isinstance(module, QEnsemble) else _actor(module)
        self.parameters = [parameter for layer in self.layers for parameter in layer.parameters]
        self.networks, self.inputs, _ = self.layers[0].shape
        self._plans: dict[tuple[int, int, bool], _Plan] = {}
        self._at = self.parameters[0].data_ptr()

    def __call__(self, x: torch.Tensor, more: torch.Tensor | None = None) -> torch.Tensor:
        """Evaluate the network; gives what the module gives."""
        width = x.shape[1] + (0 if more is None else more.shape[1])
        if width != self.inputs:
            raise ValueError(f"the network has {self.inputs} inputs, not {width}")
        x = x.to(torch.float32).contiguous()
        more = None if more is None else more.to(torch.float32).contiguous()
        if torch.is_grad_enabled():
            return self._shaped(_Differentiable.apply(self, x, more, *self.parameters))
        return self._shaped(_Pass(self, x, more, keep=False).out)

    def plan(self, batch: int, keep: bool) -> _Plan:
        """How a batch of this size is evaluated."""
        if self.parameters[0].data_ptr() != self._at:
            self._plans, self._at = {}, self.parameters[0].data_ptr()  # the parameters have moved
        key = batch, torch.get_num_threads(), keep
        if key not in self._plans:
            self._plans[key] = _Plan(self, *key)
        return self._plans[key]


FIELDS = 16
"""Fields of a layer in the kernels' table: four numbers, addresses of four parameters, of z, out, mean and rstd, and of
the parameters' gradients."""


class _Plan:
    """The kernels' table of layers for one size of batch, with addresses of memory relative to its start.

    Args:
        mlp: The network.
        batch: Rows B.
        threads: Threads that share the work.
        keep: Whether a backward pass may follow.
    """

    def __init__(self, mlp: MLP, batch: int, threads: int, keep: bool) -> None:
        self.threads = threads
        # two blocks of each network for every thread at least
        block = min(BLOCK, max(8, -(-batch // (2 * threads))))
        rows, count = mlp.networks * batch, len(mlp.layers)
        table = np.zeros((count, FIELDS), dtype=np.int64)
        self._at = 0
        for fields, layer in zip(table, mlp.layers, strict=True):
            _, inputs, outputs = layer.shape
            parameters = (layer.weight, layer.bias, layer.norm_weight, layer.norm_bias)
            fields[:4] = inputs, outputs, layer.transposed, layer.activation
            fields[4:8] = [0 if p is None else p.data_ptr() for p in parameters]
            top = layer is mlp.layers[-1]
            sizes = (rows * outputs * keep, rows * outputs * (keep or top), rows, rows)
            fields[8:12] = [self._place(size) for size in sizes]
        self.table = table.reshape(-1)
        self.memory_fields = np.ravel(FIELDS * np.arange(count)[:, None] + np.arange(8, 12))
        self.gradient_fields = np.flatnonzero(table[:, 4:8]) // 4 * FIELDS + np.flatnonzero(table[:, 4:8]) % 4 + 12
        self.out = int(table[-1, 9]) // 4
        self.x = self._place(batch * mlp.inputs if keep else 0)
        self.shape = count, mlp.networks, batch, block
        network = (self.table.ctypes.data, *self.shape)
        self.workspace = self._place(kernels().mlp_workspace(*network, False, threads))
        self.size = self._at // 4
        self.backward_workspace: int = kernels().mlp_workspace(*network, True, threads)

    def _place(self, size: int) -> int:
        """Where so many numbers come in the memory [B], at the start of a cache line."""
        at = self._at
        self._at += -(-4 * size // 64) * 64
        return at


class _Pass:
    """A forward pass, and what it left for its backward pass.

    Args:
        mlp: The network.
        x: The inputs, or the first of them, shape [B, I'].
        more: The others, shape [B, I - I'].
        keep: Whether a backward pass may follow.
    """

    def __init__(self, mlp: MLP, x: torch.Tensor, more: torch.Tensor | None, keep: bool) -> None:
        self.mlp, self.plan = mlp, mlp.plan(len(x), keep)
        plan = self.plan
        self._memory = torch.empty(plan.size)
        start = self._memory.data_ptr()
        self._table = plan.table.copy()
        self._table[plan.memory_fields] += start
        shape = (mlp.networks, len(x), mlp.layers[-1].shape[2])
        self.out = self._memory.as_strided(shape, (shape[1] * shape[2], shape[2], 1), plan.out)
        self._first, self._x = x, x.data_ptr() if more is None else start + plan.x
        kernels().mlp_forward(
            sgemm(), self._table.ctypes.data, *plan.shape, x.data_ptr(), x.shape[1], _at(more), self._x, keep,
            LAYER_NORM_EPS, start + plan.workspace, plan.threads,
        )  # fmt: skip

    def backward(self, grad: torch.Tensor, parameters: bool, first: int | None) -> tuple[list[torch.Tensor], Any]:
        """The backward pass, which can be made once.

        Args:
            grad: Gradient with respect to :attr:`out`, shape [C, B, O].
            parameters: Whether to compute the gradients of the parameters.
            first: From which input on to compute those of the inputs; None for none.

        Returns:
            Gradients of the parameters in their order, and of the inputs, shape [C, B, I - first], or None.
        """
        plan, mlp, grad = self.plan, self.mlp, grad.contiguous()
        gradients = [torch.empty_like(p, requires_grad=False) for p in mlp.parameters] if parameters else []
        if parameters:
            self._table[plan.gradient_fields] = [gradient.data_ptr() for gradient in gradients]
        of_inputs = None if first is None else torch.empty(mlp.networks, len(self._first), mlp.inputs - first)
        workspace = torch.empty(plan.backward_workspace)
        kernels().mlp_backward(
            sgemm(), self._table.ctypes.data, *plan.shape, self._x, grad.data_ptr(), parameters, _at(of_inputs),
            first or 0, workspace.data_ptr(), plan.threads,
        )  # fmt: skip
        return gradients, of_inputs


class _Differentiable(torch.autograd.Function):
    """:class:`_Pass` for autograd."""

    @staticmethod
    def forward(ctx: Any, mlp: MLP, x: torch.Tensor, more: torch.Tensor | None, *parameters: torch.Tensor) -> Any:
        ctx.made = _Pass(mlp, x, more, keep=True)
        ctx.columns = x.shape[1]
        ctx.version = parameters[0]._version
        out = ctx.made.out
        del ctx.made.out  # or output and context would hold each other for ever
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> Any:
        if ctx.made.mlp.parameters[0]._version != ctx.version:
            raise RuntimeError("the network's parameters were changed between its forward and its backward pass")
        _, of_x, of_more, *of_parameters = ctx.needs_input_grad
        first = 0 if of_x else ctx.columns if of_more else None
        gradients, inputs = ctx.made.backward(grad, any(of_parameters), first)
        del ctx.made  # it has become the backward pass's memory
        x = inputs.sum(dim=0)[:, : ctx.columns] if of_x else None
        more = inputs.sum(dim=0)[:, ctx.columns - first :] if of_more else None
        return None, x, more, *(gradients or [None] * len(of_parameters))


def _at(tensor: torch.Tensor | None) -> int | None:
    """Address of a contiguous tensor."""
    return None if tensor is None else tensor.data_ptr()


Shaped = Callable[[torch.Tensor], torch.Tensor]
"""Gives the kernels' outputs [C, B, O] the shape of the module's."""


def _activation(module: nn.Module) -> int:
    if type(module) not in ACTIVATIONS or getattr(module, "alpha", 1.0) != 1.0:
        known = ", ".join(kind.__name__ for kind in ACTIVATIONS)
        raise UnsupportedError(f"backend 'cpu' has the activations {known}, not {module}")
    return ACTIVATIONS[type(module)]


def _actor(network: nn.Module) -> tuple[list[Layer], Shaped]:
    """Layers of rsl_rl's multi-layer perceptron."""
    modules = list(network) if isinstance(network, nn.Sequential) else []
    shape: tuple[int, ...] = (-1,)
    if modules and isinstance(modules[-1], nn.Unflatten):
        shape = tuple(modules.pop().unflattened_size)  # type: ignore[arg-type]
    linear, between = modules[::2], modules[1::2]
    if len(linear) != len(between) + 1 or not all(isinstance(m, nn.Linear) and m.bias is not None for m in linear):
        raise UnsupportedError("backend 'cpu' knows multi-layer perceptrons, which the actor is not")
    layers = [
        Layer(module.weight, module.bias, None, None, _activation(activation))  # type: ignore[arg-type]
        for module, activation in zip(linear, [*between, nn.Identity()], strict=True)
    ]
    return layers, lambda out: out[0].unflatten(-1, shape)


def _critic(critic: QEnsemble) -> tuple[list[Layer], Shaped]:
    """Layers of critics."""
    hidden, activation = len(critic.weights) - 1, _activation(critic.activation)
    norms = list(zip(critic.norm_weights, critic.norm_biases, strict=True)) or [(None, None)] * hidden
    layers = [Layer(critic.weights[i], critic.biases[i], *norms[i], activation) for i in range(hidden)]
    layers.append(Layer(critic.weights[-1], critic.biases[-1], None, None, _activation(nn.Identity())))
    return layers, lambda out: out.squeeze(-1)
