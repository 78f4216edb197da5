# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Gradient steps on the CPU: torch's matrix products, and hand-written kernels for everything between them."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shlex
import subprocess
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .critic import LAYER_NORM_EPS, QEnsemble
from .update import ActorBatch, CriticBatch, Update

ACTIVATIONS: dict[type[nn.Module], int] = {nn.ELU: 0, nn.ReLU: 1, nn.Tanh: 2, nn.Identity: 3}
"""Activations that the kernels know, with their numbers there."""


class UnsupportedError(ValueError):
    """The networks are not of the kind that the kernels are written for."""


FLAGS = (
    "-O3", "-march=native", "-std=c++17", "-shared", "-fPIC", "-fopenmp", "-fno-math-errno", "-fno-trapping-math",
    "-fno-signed-zeros",
)  # fmt: skip
"""Compiler flags of the kernels."""


@cache
def kernels() -> ctypes.CDLL:
    """The kernels, compiled for this processor at their first use and kept in the user's cache.

    The compiler is g++, or what the environment variable CXX names. The folder is ``~/.cache/isaaclab_offpolicy``, or
    the one below XDG_CACHE_HOME.

    Raises:
        RuntimeError: If there is no C++ compiler, it fails, or its result cannot be kept or loaded.
    """
    try:
        library = ctypes.CDLL(str(_build(Path(__file__).with_name("kernels.cpp"))))
    except OSError as error:  # a folder that cannot be written, or from which nothing may be run
        raise RuntimeError(f"the kernels cannot be kept or loaded: {error}") from None
    pointer, whole, number, flag = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float, ctypes.c_int
    sizes = [whole, whole, whole]
    library.layer_forward.argtypes = [flag, flag, *[pointer] * 10, *sizes, number, flag]
    library.layer_backward.argtypes = [flag, flag, flag, *[pointer] * 14, *sizes, flag]
    library.adamw.argtypes = [whole, *[pointer] * 9, *[number] * 8, flag]
    for function in (library.layer_forward, library.layer_backward, library.adamw):
        function.restype = None
    return library


def _build(source: Path) -> Path:
    """Compile a source file, or find what was compiled from it for this processor before."""
    compiler = shlex.split(os.environ.get("CXX") or "g++")
    try:
        version = subprocess.run([*compiler, "--version"], capture_output=True, check=True, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError) as error:
        raise RuntimeError(
            f"no C++ compiler: {shlex.join(compiler)} does not run ({error}); install g++ or set CXX"
        ) from None
    key = hashlib.sha256()
    for part in (source.read_bytes(), " ".join(FLAGS).encode(), version.stdout, _processor()):
        key.update(part)
    name = f"kernels-{key.hexdigest()[:16]}.so"
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "isaaclab_offpolicy"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / name
    if not target.is_file():
        # beside and renamed: two processes may be at it
        temporary = target.with_name(f"{name}.{os.getpid()}")
        command = [*compiler, *FLAGS, str(source), "-o", str(temporary)]
        result = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if result.returncode:
            raise RuntimeError(f"the C++ compiler failed: {result.stderr.strip() or shlex.join(command)}")
        os.replace(temporary, target)
    return target


def _processor() -> bytes:
    """What the machine code depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor().encode()
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.machine()).encode()


class FusedUpdate(Update):
    """The gradient steps of :class:`Update` with forward and backward passes written out.

    Matrix products are torch's, into memory that stays allocated. Bias, layer normalisation and activation are one
    pass over a layer, their backward pass with the sums over the batch is one, and AdamW with the step of the targets
    is one. For multi-layer perceptrons with an activation of :data:`ACTIVATIONS`.

    Args:
        *args: As for :class:`Update`.
        **kwargs: As for :class:`Update`.

    Raises:
        UnsupportedError: If the networks are of another kind.
        RuntimeError: If the kernels cannot be compiled.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        half = self.precision == "bfloat16"
        layers, activation = _split(self.actor)
        *hidden, last = layers
        self._actor_net = _Stack([_Layer.of_linear(layer, half) for layer in hidden], activation)
        self._actor_last = last
        self._critic_net, self._target_net = (
            _critic_stack(critic, half) for critic in (self.critic, self.critic_target)
        )
        self._target_net.share(self._critic_net)
        critic_copies: dict[int, _Copies] = {
            id(layer.weight): (layer.half, target.half)
            for layer, target in zip(self._critic_net.layers, self._target_net.layers, strict=True)
        }
        actor_copies: dict[int, _Copies] = {id(layer.weight): (layer.half, None) for layer in self._actor_net.layers}
        self._critic_adam = _Adam(self.critic_optimizer, self._target_parameters, self.tau, critic_copies)
        self._actor_adam = _Adam(self.actor_optimizer, None, 0.0, actor_copies)
        kernels()

    @torch.no_grad()
    def critic_step(self, batch: CriticBatch) -> torch.Tensor:
        """As :meth:`Update.critic_step`."""
        self._refresh()
        alpha = self.entropy_coef()
        target = self.target(batch, self._actor_output(batch.actor_next_obs, keep=False), self._target, alpha)
        q = self._critic_net.forward(torch.cat((batch.obs, batch.action), dim=-1), keep=True)
        _, metrics = self.critic_loss(q, target, batch.weight)
        grad_q = (q - target) * (batch.weight / batch.weight.shape[0])
        gradients = self._critic_net.backward(grad_q)
        named = self.critic
        ordered = [
            *(gradients[id(w)] for w in named.weights), *(gradients[id(b)] for b in named.biases),
            *(gradients[id(w)] for w in named.norm_weights), *(gradients[id(b)] for b in named.norm_biases),
        ]  # fmt: skip
        self._critic_adam.step(self._average(ordered), self.max_grad_norm)
        return metrics

    def actor_step(self, batch: ActorBatch) -> torch.Tensor:
        """As :meth:`Update.actor_step`."""
        self._refresh()
        with torch.no_grad():
            output = self._actor_output(batch.obs, keep=True)
        # what lies between the two networks is small: autograd does it
        output.requires_grad_()
        with torch.enable_grad():
            action, log_prob = self.distribution.rsample_unit(output, batch.noise)
        with torch.no_grad():
            alpha = self.entropy_coef()
            size = len(log_prob)
            q = self._critic_net.forward(torch.cat((batch.critic_obs, action), dim=-1), keep=True)
            value = self._aggregate(q)
            loss = (alpha * log_prob - value).mean()
            if self.q_aggregation == "min":
                share = (q == value).to(q.dtype)
                share /= share.sum(dim=0)
            else:
                share = torch.full_like(q, 1.0 / len(q))
            grad_action = self._critic_net.input_gradient(share / -size, batch.critic_obs.shape[-1])
        (grad_output,) = torch.autograd.grad((action, log_prob), output, (grad_action, (alpha / size).expand(size)))
        with torch.no_grad():
            grad_output = grad_output.flatten(1)
            features = self._actor_net.features()
            weight = self._actor_last.weight
            gradients = self._actor_net.backward(grad_output @ weight)
            gradients[id(weight)] = grad_output.t() @ features
            gradients[id(self._actor_last.bias)] = grad_output.sum(dim=0)
            ordered = [gradients[id(parameter)] for parameter in self._actor_parameters]
            self._actor_adam.step(self._average(ordered), self.max_grad_norm)
            log_prob = log_prob.detach()
        temperature = torch.zeros_like(loss)
        if self.entropy_optimizer is not None:
            with torch.enable_grad():
                temperature = self.entropy_coef.loss(log_prob, self.target_entropy)
                self._step(self.entropy_optimizer, list(self.entropy_coef.parameters()), temperature, clip=False)
        return torch.stack([loss, -log_prob.mean(), temperature.detach()])

    def inference(self, network: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
        """As :meth:`Update.inference`; in float32, whatever the precision of the gradient steps."""
        layers, activation = _split(network)
        # memory of its own: a thread may learn meanwhile
        hidden, last = _Stack([_Layer.of_linear(layer, False) for layer in layers[:-1]], activation), layers[-1]

        @torch.inference_mode(False)
        @torch.no_grad()
        def evaluate(obs: torch.Tensor) -> torch.Tensor:
            hidden.forward(obs, keep=False)
            return torch.addmm(last.bias, hidden.features(), last.weight.t()).view(len(obs), 2, -1)

        return evaluate

    def _actor_output(self, obs: torch.Tensor, keep: bool) -> torch.Tensor:
        """Mean and logarithm of the standard deviation, shape [B, 2, A]."""
        self._actor_net.forward(obs, keep)
        last = self._actor_last
        output = torch.addmm(last.bias.detach(), self._actor_net.features(), last.weight.detach().t())
        return output.view(len(obs), 2, -1)

    def _target(self, obs: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        return self._target_net.forward(torch.cat((obs, action), dim=-1), keep=False)

    def _refresh(self) -> None:
        """Follow weights that were changed elsewhere, as by a checkpoint."""
        for net in (self._actor_net, self._critic_net, self._target_net):
            net.refresh()


class _Layer:
    """A hidden layer of C networks."""

    def __init__(
        self,
        weight: torch.Tensor,
        bias: torch.Tensor,
        gain: torch.Tensor | None,
        shift: torch.Tensor | None,
        half: bool,
    ) -> None:
        self.weight, self.bias, self.gain, self.shift = weight, bias, gain, shift
        self.half = weight.detach().to(torch.bfloat16) if half else None
        # a view of the weights, [C, inputs, outputs]
        transposed = weight.dim() == 2
        stored = weight.detach() if self.half is None else self.half
        self.matrix = stored.t().unsqueeze(0) if transposed else stored
        self.networks, self.inputs, self.outputs = self.matrix.shape
        self.transposed = transposed
        self._version = -1
        dtype = torch.bfloat16 if half else torch.float32
        self.gradient = torch.empty(stored.shape, dtype=dtype)
        self.sums = {id(p): torch.empty_like(p, requires_grad=False) for p in (bias, gain, shift) if p is not None}

    @classmethod
    def of_linear(cls, linear: nn.Linear, half: bool) -> _Layer:
        """Of one network."""
        return cls(linear.weight, linear.bias, None, None, half)

    def refresh(self) -> None:
        """Follow weights that were changed elsewhere."""
        if self.half is not None and self.weight._version != self._version:
            self.half.copy_(self.weight.detach())
        self._version = self.weight._version

    def multiply_gradient(self, inputs: torch.Tensor, grad: torch.Tensor) -> None:
        """The gradient of the weights, from inputs [C, B, I] and the outputs' gradient [C, B, O]."""
        if self.transposed:
            torch.mm(grad[0].t(), inputs[0], out=self.gradient)
        else:
            torch.bmm(inputs.transpose(1, 2), grad, out=self.gradient)


class _Stack:
    """The hidden layers of C networks, and perhaps a last one with a single output."""

    def __init__(
        self,
        layers: Sequence[_Layer],
        activation: nn.Module,
        last_weight: torch.Tensor | None = None,
        last_bias: torch.Tensor | None = None,
    ) -> None:
        if type(activation) not in ACTIVATIONS or getattr(activation, "alpha", 1.0) != 1.0:
            known = ", ".join(kind.__name__ for kind in ACTIVATIONS)
            raise UnsupportedError(f"the kernels have {known}, not {activation}")
        if not layers:
            raise UnsupportedError("a network without hidden layers")
        self.layers = list(layers)
        self._activation = ACTIVATIONS[type(activation)]
        self._last_weight, self._last_bias = last_weight, last_bias
        self._half = self.layers[0].half is not None
        self._dtype = torch.bfloat16 if self._half else torch.float32
        self._memory: dict[int, _Memory] = {}
        self._now: _Memory | None = None
        self._last_sums = None if last_weight is None else torch.empty_like(last_weight, requires_grad=False)

    def share(self, other: _Stack) -> None:
        """Use another stack's memory, since only one of the two needs what it keeps."""
        self._memory = other._memory

    def refresh(self) -> None:
        """Follow weights that were changed elsewhere."""
        for layer in self.layers:
            layer.refresh()

    def forward(self, x: torch.Tensor, keep: bool) -> torch.Tensor:
        """Evaluate inputs [B, I].

        Args:
            x: The inputs.
            keep: Whether a backward pass follows.

        Returns:
            The last layer's outputs, shape [C, B]; without a last layer nothing of interest.
        """
        batch, threads = len(x), torch.get_num_threads()
        if batch not in self._memory:
            self._memory[batch] = _Memory(self.layers, batch, self._dtype)
        memory = self._now = self._memory[batch]
        inputs = x.to(self._dtype).expand(self.layers[0].networks, -1, -1)
        memory.inputs = inputs
        for i, layer in enumerate(self.layers):
            z = memory.z[i]
            out = memory.out[i] if keep else z
            torch.bmm(inputs, layer.matrix, out=z)
            last = i == len(self.layers) - 1
            kernels().layer_forward(
                self._half, self._activation, _at(z), _at(layer.bias), _at(layer.gain), _at(layer.shift),
                _at(self._last_weight) if last else None, _at(self._last_bias) if last else None, _at(out),
                _at(memory.mean[i]), _at(memory.rstd[i]), _at(memory.q), *z.shape, LAYER_NORM_EPS, threads,
            )  # fmt: skip
            inputs = out
        memory.features = inputs
        return memory.q.clone()

    def features(self) -> torch.Tensor:
        """The hidden layers' outputs of the last forward pass of a single network, shape [B, H], in float32."""
        assert self._now is not None
        return self._now.features[0].float()

    def backward(self, grad: torch.Tensor) -> dict[int, torch.Tensor]:
        """Gradients of all parameters, by the parameter's identity.

        Args:
            grad: Gradient with respect to the last layer's outputs, shape [C, B], or, without one, to the features,
                shape [B, H].
        """
        self._propagate(grad, parameters=True)
        result: dict[int, torch.Tensor] = {}
        for layer in self.layers:
            result[id(layer.weight)] = layer.gradient
            result |= layer.sums
        if self._last_weight is not None and self._last_sums is not None and self._last_bias is not None:
            result[id(self._last_weight)] = self._last_sums
            result[id(self._last_bias)] = grad.sum(dim=1).view(self._last_bias.shape)
        return result

    def input_gradient(self, grad: torch.Tensor, begin: int) -> torch.Tensor:
        """Gradient with respect to the inputs from one on, summed over the networks, shape [B, I - begin]."""
        z = self._propagate(grad, parameters=False)
        return torch.bmm(z, self.layers[0].matrix[:, begin:].transpose(1, 2)).float().sum(dim=0)

    def _propagate(self, grad: torch.Tensor, parameters: bool) -> torch.Tensor:
        """Backward pass down to the first layer's product; gives the gradient there, shape [C, B, H]."""
        memory, threads = self._now, torch.get_num_threads()
        assert memory is not None
        grad = grad.contiguous()
        for i in reversed(range(len(self.layers))):
            layer, z = self.layers[i], memory.z[i]
            last = i == len(self.layers) - 1 and self._last_weight is not None
            above = None if last else grad.to(self._dtype)
            sums = [
                None if p is None or not parameters else layer.sums[id(p)]
                for p in (layer.bias, layer.gain, layer.shift)
            ]
            kernels().layer_backward(
                self._half, self._activation, parameters, _at(above), _at(grad) if last else None,
                _at(self._last_weight) if last else None, _at(memory.out[i]), _at(z), _at(layer.bias), _at(layer.gain),
                _at(memory.mean[i]), _at(memory.rstd[i]), *(_at(s) for s in sums),
                _at(self._last_sums) if last and parameters else None, _at(memory.workspace(layer, threads)), *z.shape,
                threads,
            )  # fmt: skip
            if parameters:
                layer.multiply_gradient(memory.out[i - 1] if i else memory.inputs, z)
            if i:
                grad = torch.bmm(z, layer.matrix.transpose(1, 2), out=memory.grad[i - 1])
        return memory.z[0]


class _Memory:
    """What a forward pass leaves for its backward pass, for one batch size."""

    inputs: torch.Tensor
    features: torch.Tensor

    def __init__(self, layers: Sequence[_Layer], batch: int, dtype: torch.dtype) -> None:
        shapes = [(layer.networks, batch, layer.outputs) for layer in layers]
        self.z, self.out, self.grad = ([torch.empty(shape, dtype=dtype) for shape in shapes] for _ in range(3))
        self.mean, self.rstd = ([torch.empty(shape[:2]) for shape in shapes] for _ in range(2))
        self.q = torch.empty(shapes[0][:2])
        self._workspace = torch.empty(0)

    def workspace(self, layer: _Layer, threads: int) -> torch.Tensor:
        """Room for each thread's sums over its part of the batch."""
        needed = threads * (4 * layer.networks + 2) * layer.outputs
        if len(self._workspace) < needed:
            self._workspace = torch.empty(needed)
        return self._workspace


_Copies = tuple[torch.Tensor | None, torch.Tensor | None]
"""Copies in half precision of a weight and of its target."""


class _Adam:
    """AdamW on the state of torch's own optimizer, together with the step of the targets."""

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        targets: Sequence[torch.Tensor] | None,
        tau: float,
        copies: dict[int, _Copies],
    ) -> None:
        self._optimizer, self._tau = optimizer, tau
        self._parameters: list[torch.Tensor] = list(optimizer.param_groups[0]["params"])
        none = (None, None)
        halves = [copies.get(id(p), none) for p in self._parameters]
        count = len(self._parameters)
        self._sizes = (ctypes.c_int64 * count)(*(p.numel() for p in self._parameters))
        self._weights = _pointers(self._parameters)
        self._targets = _pointers(targets or [None] * count)
        self._halves = _pointers([half for half, _ in halves])
        self._half_targets = _pointers([half for _, half in halves])

    def step(self, gradients: Sequence[torch.Tensor], max_norm: float | None) -> None:
        """One step with these gradients, in the order of the parameters."""
        (group,) = self._optimizer.param_groups  # anew: a checkpoint brings another
        states = []
        for parameter in self._parameters:
            state = self._optimizer.state[parameter]
            if not state:
                state["step"] = torch.zeros(())
                state["exp_avg"] = torch.zeros_like(parameter, requires_grad=False)
                state["exp_avg_sq"] = torch.zeros_like(parameter, requires_grad=False)
            states.append(state)
        torch._foreach_add_([state["step"] for state in states], 1.0)
        step = states[0]["step"].item()
        scale = 1.0
        if max_norm is not None:
            norm = torch.stack([gradient.float().square().sum() for gradient in gradients]).sum().sqrt().item()
            scale = min(1.0, max_norm / (norm + 1.0e-6))
        beta1, beta2 = group["betas"]
        rate = group["lr"]
        halves = [gradient.dtype == torch.bfloat16 for gradient in gradients]
        kernels().adamw(
            len(states), self._sizes, self._weights,
            _pointers([None if half else g for g, half in zip(gradients, halves, strict=True)]),
            _pointers([g if half else None for g, half in zip(gradients, halves, strict=True)]),
            _pointers([state["exp_avg"] for state in states]), _pointers([state["exp_avg_sq"] for state in states]),
            self._targets, self._halves, self._half_targets, scale, beta1, beta2, rate / (1.0 - beta1**step),
            (1.0 - beta2**step) ** -0.5, group["eps"], rate * group["weight_decay"], self._tau,
            torch.get_num_threads(),
        )  # fmt: skip


def _at(tensor: torch.Tensor | None) -> int | None:
    """Address of a contiguous tensor."""
    return None if tensor is None else tensor.data_ptr()


def _pointers(tensors: Sequence[torch.Tensor | None]) -> Any:
    return (ctypes.c_void_p * len(tensors))(*(_at(tensor) for tensor in tensors))


def _split(network: nn.Module) -> tuple[list[nn.Linear], nn.Module]:
    """Linear layers of rsl_rl's multi-layer perceptron, and their activation."""
    if not isinstance(network, nn.Sequential):
        raise UnsupportedError("the actor is not a multi-layer perceptron")
    modules = [module for module in network if not isinstance(module, nn.Unflatten)]
    linear, between = modules[::2], modules[1::2]
    plain = len(linear) > 1 and len(linear) == len(between) + 1 and len({type(module) for module in between}) == 1
    if not plain or not all(isinstance(module, nn.Linear) and module.bias is not None for module in linear):
        raise UnsupportedError("the actor is not a multi-layer perceptron with one kind of activation")
    return [module for module in linear if isinstance(module, nn.Linear)], between[0]


def _critic_stack(critic: QEnsemble, half: bool) -> _Stack:
    """The kernels' view of critics."""
    hidden = len(critic.weights) - 1
    normalised = len(critic.norm_weights) > 0
    layers = [
        _Layer(
            critic.weights[i], critic.biases[i],
            critic.norm_weights[i] if normalised else None, critic.norm_biases[i] if normalised else None, half,
        )
        for i in range(hidden)
    ]  # fmt: skip
    return _Stack(layers, critic.activation, critic.weights[-1], critic.biases[-1])
