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
from .adamw import offsets
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
        self.layers, self.output_shape = _critic(module) if isinstance(module, QEnsemble) else _actor(module)
        self.parameters = list(module.parameters())
        self.networks, self.inputs, _ = self.layers[0].shape
        self.leaf = torch.empty(sum(p.numel() for p in self.parameters), requires_grad=True)
        """Stands for all parameters in autograd, which so has one gradient to hand on in place of many; never read."""
        self._passes: dict[tuple[int, int, bool], list[_Pass]] = {}
        self._at = self.parameters[0].data_ptr()

    def __call__(self, x: torch.Tensor, more: torch.Tensor | None = None) -> torch.Tensor:
        """Evaluate the network; gives what the module gives."""
        width = x.shape[1] + (0 if more is None else more.shape[1])
        if width != self.inputs:
            raise ValueError(f"the network has {self.inputs} inputs, not {width}")
        x = x.to(torch.float32).contiguous()
        more = None if more is None else more.to(torch.float32).contiguous()
        if torch.is_grad_enabled():
            return _Differentiable.apply(self, x, more, self.leaf)
        pass_ = self.take(len(x), keep=False)
        out = pass_.forward(x, more)
        pass_.give_back()
        return out

    @property
    def version(self) -> tuple[int, int]:
        """Changes when the parameters do: how often they were written in place, and where they lie."""
        return self.parameters[0]._version, self.parameters[0].data_ptr()

    def take(self, batch: int, keep: bool) -> _Pass:
        """The memory for a pass of a batch of this size, for one user at a time."""
        if self.parameters[0].data_ptr() != self._at:
            self._passes, self._at = {}, self.parameters[0].data_ptr()  # the parameters have moved
        key = batch, torch.get_num_threads(), keep
        free = self._passes.setdefault(key, [])
        return free.pop() if free else _Pass(self, *key, free)


FIELDS = 16
"""Fields of a layer in the kernels' table: four numbers, addresses of four parameters, of z, out, mean and rstd, and of
the parameters' gradients."""


class _Pass:
    """Memory of a forward pass and of the backward pass that may follow it, and the kernels' table of addresses there.

    Args:
        mlp: The network.
        batch: Rows B.
        threads: Threads that share the work.
        keep: Whether a backward pass may follow.
        free: Where it waits to be used again; the network forgets all of them where its parameters have moved.
    """

    def __init__(self, mlp: MLP, batch: int, threads: int, keep: bool, free: list[_Pass]) -> None:
        self.mlp, self._threads, self._keep, self._free = mlp, threads, keep, free
        # two blocks of each network for every thread at least
        block = min(BLOCK, max(8, -(-batch // (2 * threads))))
        rows, count = mlp.networks * batch, len(mlp.layers)
        table = np.zeros((count, FIELDS), dtype=np.int64)
        at = dict(zip(map(id, mlp.parameters), offsets(mlp.parameters), strict=True))
        gradients = np.full((count, 4), -1)
        self._size = 0
        for fields, of_gradients, layer in zip(table, gradients, mlp.layers, strict=True):
            _, inputs, outputs = layer.shape
            fields[:4] = inputs, outputs, layer.transposed, layer.activation
            for i, parameter in enumerate((layer.weight, layer.bias, layer.norm_weight, layer.norm_bias)):
                if parameter is not None:
                    fields[4 + i], of_gradients[i] = parameter.data_ptr(), at[id(parameter)]
            top = layer is mlp.layers[-1]
            sizes = (rows * outputs * keep, rows * outputs * (keep or top), rows, rows)
            fields[8:12] = [self._place(size) for size in sizes]
        x = self._place(batch * mlp.inputs if keep else 0)
        shape = count, mlp.networks, batch, block
        workspace = self._place(kernels().mlp_workspace(table.ctypes.data, *shape, keep, threads))
        self._memory = torch.empty(self._size // 4)
        start = self._memory.data_ptr()
        self._out = self._memory[int(table[-1, 9]) // 4 :][: rows * mlp.layers[-1].shape[2]]
        self._out = self._out.view(mlp.output_shape(batch))
        table[:, 8:12] += start
        self._gradients, self._offsets = np.nonzero(gradients >= 0), gradients[gradients >= 0]
        self._table, self._x, self._workspace = table, start + x, start + workspace
        self._network = table.ctypes.data, *shape

    def forward(self, x: torch.Tensor, more: torch.Tensor | None) -> torch.Tensor:
        """The network's outputs; the inputs must stay until the backward pass."""
        self._first, self._input = x, x.data_ptr() if more is None else self._x
        kernels().mlp_forward(
            sgemm(), *self._network, x.data_ptr(), x.shape[1], _at(more), self._input, self._keep, LAYER_NORM_EPS,
            self._workspace, self._threads,
        )  # fmt: skip
        return self._out.clone()

    def backward(self, grad: torch.Tensor, parameters: bool, first: int | None) -> tuple[Any, Any]:
        """The backward pass, which can be made once.

        Args:
            grad: Gradient with respect to the outputs.
            parameters: Whether to compute the gradients of the parameters.
            first: From which input on to compute those of the inputs; None for none.

        Returns:
            Gradients of the parameters side by side, as :attr:`MLP.leaf` stands for them, or None; and of the inputs,
            shape [C, B, I - first], or None.
        """
        mlp, grad = self.mlp, grad.contiguous()
        gradients = torch.empty(len(mlp.leaf)) if parameters else None
        if gradients is not None:
            self._table[:, 12:][self._gradients] = gradients.data_ptr() + self._offsets
        of_inputs = None if first is None else torch.empty(mlp.networks, len(self._first), mlp.inputs - first)
        kernels().mlp_backward(
            sgemm(), *self._network, self._input, grad.data_ptr(), parameters, _at(of_inputs), first or 0,
            self._workspace, self._threads,
        )  # fmt: skip
        return gradients, of_inputs

    def give_back(self) -> None:
        """Let the memory be used again."""
        self._free.append(self)

    def _place(self, size: int) -> int:
        """Where so many numbers come in the memory [B], at the start of a cache line."""
        at = self._size
        self._size += -(-4 * size // 64) * 64
        return at


class _Differentiable(torch.autograd.Function):
    """:class:`_Pass` for autograd."""

    @staticmethod
    def forward(ctx: Any, mlp: MLP, x: torch.Tensor, more: torch.Tensor | None, leaf: torch.Tensor) -> Any:
        ctx.made = mlp.take(len(x), keep=True)
        ctx.columns = x.shape[1]
        ctx.version = mlp.version
        return ctx.made.forward(x, more)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> Any:
        mlp = ctx.made.mlp
        if mlp.version != ctx.version:
            raise RuntimeError("the network's parameters were changed between its forward and its backward pass")
        _, of_x, of_more, of_leaf = ctx.needs_input_grad
        first = 0 if of_x else ctx.columns if of_more else None
        gradients, inputs = ctx.made.backward(grad, of_leaf, first)
        ctx.made.give_back()
        del ctx.made  # z has become its gradient
        x = inputs.sum(dim=0)[:, : ctx.columns] if of_x else None
        more = inputs.sum(dim=0)[:, ctx.columns - first :] if of_more else None
        return None, x, more, gradients


def _at(tensor: torch.Tensor | None) -> int | None:
    """Address of a contiguous tensor."""
    return None if tensor is None else tensor.data_ptr()


Shape = Callable[[int], tuple[int, ...]]
"""Shape of a module's outputs for a batch; the kernels' are [C, B, O], in the same order in memory."""


def _activation(module: nn.Module) -> int:
    if type(module) not in ACTIVATIONS or getattr(module, "alpha", 1.0) != 1.0:
        known = ", ".join(kind.__name__ for kind in ACTIVATIONS)
        raise UnsupportedError(f"backend 'cpu' has the activations {known}, not {module}")
    return ACTIVATIONS[type(module)]


def _actor(network: nn.Module) -> tuple[list[Layer], Shape]:
    """Layers of rsl_rl's multi-layer perceptron."""
    modules = list(network) if isinstance(network, nn.Sequential) else []
    unflatten = modules.pop() if modules and isinstance(modules[-1], nn.Unflatten) else None
    linear, between = modules[::2], modules[1::2]
    if len(linear) != len(between) + 1 or not all(isinstance(m, nn.Linear) and m.bias is not None for m in linear):
        raise UnsupportedError("backend 'cpu' knows multi-layer perceptrons, which the actor is not")
    layers = [
        Layer(module.weight, module.bias, None, None, _activation(activation))  # type: ignore[arg-type]
        for module, activation in zip(linear, [*between, nn.Identity()], strict=True)
    ]
    shape = (layers[-1].shape[2],) if unflatten is None else tuple(unflatten.unflattened_size)  # type: ignore[arg-type]
    return layers, lambda batch: (batch, *shape)


def _critic(critic: QEnsemble) -> tuple[list[Layer], Shape]:
    """Layers of critics."""
    hidden, activation = len(critic.weights) - 1, _activation(critic.activation)
    norms = list(zip(critic.norm_weights, critic.norm_biases, strict=True)) or [(None, None)] * hidden
    layers = [Layer(critic.weights[i], critic.biases[i], *norms[i], activation) for i in range(hidden)]
    layers.append(Layer(critic.weights[-1], critic.biases[-1], None, None, _activation(nn.Identity())))
    outputs = (critic.returns.outputs,) if critic.returns.outputs > 1 else ()
    return layers, lambda batch: (critic.weights[0].shape[0], batch, *outputs)
