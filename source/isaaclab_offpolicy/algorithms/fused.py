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
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .critic import LAYER_NORM_EPS, QEnsemble
from .distribution import SquashedGaussianDistribution
from .update import CRITIC_METRICS, ActorBatch, CriticBatch, Update

ACTIVATIONS: dict[type[nn.Module], int] = {nn.ELU: 0, nn.ReLU: 1, nn.Tanh: 2, nn.Identity: 3}
"""Activations that the kernels know, with their numbers there."""


BLOCK = 128
"""Rows that go through all layers of a network together, at most; 64 to 256 made little difference on two cores."""


class UnsupportedError(ValueError):
    """The networks are not of the kind that the kernels are written for."""


FLAGS = (
    "-O3", "-march=native", "-std=c++17", "-shared", "-fPIC", "-fopenmp", "-fno-math-errno", "-fno-trapping-math",
    "-fno-signed-zeros",
    # half of the vector registers is what compilers take unasked
    *(["-mprefer-vector-width=512"] if platform.machine() in ("x86_64", "AMD64") else []),
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
    stack = ctypes.POINTER(_StackStruct)
    library.layer_forward.argtypes = [flag, flag, *[pointer] * 11, *sizes, number, flag]
    library.layer_backward.argtypes = [flag, flag, flag, *[pointer] * 14, *sizes, flag]
    library.stack_workspace.argtypes = [stack, flag, flag]
    library.stack_forward.argtypes = [pointer, stack, pointer, whole, pointer, pointer, flag, number, pointer, flag]
    library.stack_backward.argtypes = [pointer, stack, pointer, pointer, flag, pointer, whole, pointer, flag]
    library.sample_actions.argtypes = [pointer, pointer, number, number, pointer, pointer, whole, whole, flag]
    library.critic_loss.argtypes = [*[pointer] * 7, flag, pointer, pointer, whole, whole]
    library.actor_loss.argtypes = [pointer, pointer, pointer, flag, pointer, whole, whole]
    library.actor_loss.restype = number
    library.sample_actions_backward.argtypes = [*[pointer] * 5, number, number, pointer, *sizes]
    double = ctypes.c_double
    library.adamw.argtypes = [whole, *[pointer] * 10, number, double, double, double, *[number] * 3, flag]
    library.critic_update.argtypes = [
        pointer, ctypes.POINTER(_CriticUpdateStruct), *[pointer] * 10, *[number] * 3, *[double] * 3, *[number] * 3, flag
    ]  # fmt: skip
    for function in (
        library.layer_forward, library.layer_backward, library.stack_forward, library.stack_backward,
        library.sample_actions, library.sample_actions_backward, library.critic_loss, library.adamw,
        library.critic_update,
    ):  # fmt: skip
        function.restype = None
    library.stack_workspace.restype = whole
    return library


@cache
def sgemm() -> int | None:
    """Address of MKL's product of matrices in torch's own library; None where there is none.

    Called by several threads of a program at once it works in each of them alone, as the kernels need it.
    """
    if not torch.backends.mkl.is_available():
        return None
    try:
        library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
        return ctypes.cast(library.sgemm_, ctypes.c_void_p).value
    except (OSError, AttributeError):
        return None


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

    In float32 a block of rows goes through all layers of a network while it is in the cache, in as many threads as
    torch has: the products are those of torch's own MKL, and bias, layer normalisation and activation, and their
    backward pass with the sums over the batch, are one pass each. In bfloat16, or where torch has no MKL, a layer's
    product is torch's, over the whole batch. AdamW and the step of the targets are one pass.
    For multi-layer perceptrons with an activation of :data:`ACTIVATIONS`.

    Args:
        *args: As for :class:`Update`.
        **kwargs: As for :class:`Update`.

    Raises:
        UnsupportedError: If the networks are of another kind.
        RuntimeError: If the kernels cannot be compiled.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if type(self.distribution) is not SquashedGaussianDistribution:
            raise UnsupportedError(f"the kernels have the formulas of a squashed Gaussian, not of {self.distribution}")
        half = self.precision == "bfloat16"
        self._actor_net = _actor_stack(self.actor, half)
        self._critic_net, self._target_net = (
            _critic_stack(critic, half) for critic in (self.critic, self.critic_target)
        )
        self._target_net.share(self._critic_net)
        critic_copies: dict[int, _Copies] = {
            id(layer.weight): (layer.half, target.half)
            for layer, target in zip(self._critic_net.layers, self._target_net.layers, strict=True)
        }
        self._critic_adam = _Adam(
            self.critic_optimizer, self._critic_net.gradients(), self._target_parameters, self.tau, critic_copies
        )
        self._actor_adam = _Adam(self.actor_optimizer, self._actor_net.gradients(), None, 0.0, {})
        # gradients that are exchanged or clipped come out of one call and go into another
        self._at_once = self._critic_net.blocks and self.world_size == 1 and self.max_grad_norm is None
        self._updates: dict[tuple[int, int], tuple[_CriticUpdateStruct, list[Any]]] = {}
        kernels()

    @torch.no_grad()
    def critic_step(self, batch: CriticBatch) -> torch.Tensor:
        """As :meth:`Update.critic_step`."""
        self._refresh()
        if self._at_once:
            return self._critic_step_at_once(batch)
        size = len(batch.reward)
        alpha = self.entropy_coef()
        action, log_prob = self._sample(self._actor_net.forward(batch.actor_next_obs, keep=False), batch.noise)
        next_q = self._target_net.forward(batch.next_obs, action, keep=False)
        q = self._critic_net.forward(batch.obs, batch.action, keep=True)
        grad_q, metrics = torch.empty_like(q), torch.empty(len(CRITIC_METRICS))
        columns = [column.contiguous() for column in (batch.reward, batch.discount, batch.weight)]
        kernels().critic_loss(
            _at(q), _at(next_q), *(_at(column) for column in columns), _at(log_prob), _at(alpha),
            self.q_aggregation == "min", _at(grad_q), _at(metrics), len(q), size,
        )  # fmt: skip
        self._critic_net.backward(grad_q)
        self._critic_adam.step(self._average, self.max_grad_norm)
        return metrics

    def _critic_step_at_once(self, batch: CriticBatch) -> torch.Tensor:
        """The same in one call, since Python is slow between kernels that push its memory out of the cache."""
        threads, size = torch.get_num_threads(), len(batch.reward)
        columns = [column.to(torch.float32).contiguous() for column in batch]
        key = (size, threads)
        if key not in self._updates:
            self._updates[key] = self._make_update(batch, threads)
        update, _ = self._updates[key]
        (group,) = self.critic_optimizer.param_groups
        update.steps, update.first, update.second = map(ctypes.addressof, self._critic_adam.state())
        alpha, metrics = self.entropy_coef(), torch.empty(len(CRITIC_METRICS))
        rate = group["lr"]
        kernels().critic_update(
            sgemm(), update, *map(_at, columns), _at(alpha), _at(metrics), *self.distribution.log_std_range,
            LAYER_NORM_EPS, *group["betas"], rate, group["eps"], rate * group["weight_decay"], self.tau, threads,
        )  # fmt: skip
        return metrics

    def _make_update(self, batch: CriticBatch, threads: int) -> tuple[_CriticUpdateStruct, list[Any]]:
        """What the kernels work on for batches of this size, and all that it points to."""
        size, actions = batch.action.shape
        widths = [batch.actor_next_obs.shape[1], *[batch.obs.shape[1] + actions] * 2]
        nets = (self._actor_net, self._target_net, self._critic_net)
        programs = [net.program(size, threads, width) for net, width in zip(nets, widths, strict=True)]
        needed = max(kernels().stack_workspace(program, True, threads) for program in programs)
        q = self._critic_net.layers[0].networks, size
        shapes = [(size, actions), (size,), q, q, (size, widths[-1]), (needed,)]
        room = [torch.empty(shape) for shape in shapes]
        adam = self._critic_adam
        struct = _CriticUpdateStruct(
            *map(ctypes.addressof, programs), *map(_at, room), actions, self.q_aggregation == "min",
            *map(_address, adam.arguments()),
        )  # fmt: skip
        return struct, [programs, room]

    def actor_step(self, batch: ActorBatch) -> torch.Tensor:
        """As :meth:`Update.actor_step`."""
        self._refresh()
        with torch.no_grad():
            output, noise = self._actor_net.forward(batch.obs, keep=True), batch.noise.contiguous()
            action, log_prob = self._sample(output, noise)
            q = self._critic_net.forward(batch.critic_obs, action, keep=True)
            alpha, grad_q = self.entropy_coef(), torch.empty_like(q)
            loss = kernels().actor_loss(
                _at(q), _at(log_prob), _at(alpha), self.q_aggregation == "min", _at(grad_q), *q.shape
            )
            grad_action = self._critic_net.input_gradient(grad_q, batch.critic_obs.shape[-1])
            grad_output = torch.empty_like(output)
            kernels().sample_actions_backward(
                _at(output), _at(noise), _at(action), _at(grad_action), _at(alpha), *self.distribution.log_std_range,
                _at(grad_output), *grad_action.shape,
            )  # fmt: skip
            self._actor_net.backward(grad_output)
            self._actor_adam.step(self._average, self.max_grad_norm)
        temperature = torch.zeros(())
        if self.entropy_optimizer is not None:
            with torch.enable_grad():
                temperature = self.entropy_coef.loss(log_prob, self.target_entropy)
                self._step(self.entropy_optimizer, list(self.entropy_coef.parameters()), temperature, clip=False)
        return torch.stack([torch.tensor(loss), -log_prob.mean(), temperature.detach()])

    def inference(self, network: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
        """As :meth:`Update.inference`; in float32, whatever the precision of the gradient steps."""
        # memory of its own: a thread may learn meanwhile
        stack = _actor_stack(network, half=False)

        @torch.inference_mode(False)
        @torch.no_grad()
        def evaluate(obs: torch.Tensor) -> torch.Tensor:
            stack.refresh()
            return stack.forward(obs, keep=False).view(len(obs), 2, -1)

        return evaluate

    def _sample(self, output: torch.Tensor, noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Unit actions [B, A] and log-probabilities [B], from the actor's outputs [B, 2 A]."""
        noise = noise.contiguous()
        action, log_prob = torch.empty_like(noise), torch.empty(len(noise))
        kernels().sample_actions(
            _at(output), _at(noise), *self.distribution.log_std_range, _at(action), _at(log_prob),
            *noise.shape, torch.get_num_threads(),
        )  # fmt: skip
        return action, log_prob

    def _refresh(self) -> None:
        """Follow weights that were changed elsewhere, as by a checkpoint."""
        for net in (self._actor_net, self._critic_net, self._target_net):
            net.refresh()


class _LayerStruct(ctypes.Structure):
    """``Layer`` of the kernels."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("inputs", "outputs", "transposed", "activation")),
        *((name, ctypes.c_void_p) for name in (
            "weight", "bias", "gain", "shift", "z", "out", "mean", "rstd",
            "weight_grad", "bias_grad", "gain_grad", "shift_grad",
        )),
    )  # fmt: skip


class _StackStruct(ctypes.Structure):
    """``Stack`` of the kernels."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("layers", "networks", "batch", "block")),
        ("layer", ctypes.POINTER(_LayerStruct)),
        *((name, ctypes.c_void_p) for name in (
            "last_weight", "last_bias", "last_weight_grad", "last_bias_grad", "q"
        )),
    )  # fmt: skip


class _CriticUpdateStruct(ctypes.Structure):
    """``CriticUpdate`` of the kernels."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in (
            "actor", "target", "critic", "action", "log_prob", "next_q", "grad_q", "inputs", "workspace",
        )),
        *((name, ctypes.c_int64) for name in ("actions", "minimum", "arrays")),
        *((name, ctypes.c_void_p) for name in (
            "sizes", "steps", "weight", "grad", "half_grad", "first", "second", "target_weight", "half_weight",
            "half_target",
        )),
    )  # fmt: skip


class _Layer:
    """A layer of C networks.

    Args:
        weight: Weights, [C, inputs, outputs], or of one network [outputs, inputs].
        bias: Biases [C, 1, outputs].
        gain: Factors of the layer normalisation, of the same shape; None for none.
        shift: What it adds.
        activation: The activation.
        half: Whether its product is in bfloat16.
    """

    def __init__(
        self,
        weight: torch.Tensor,
        bias: torch.Tensor,
        gain: torch.Tensor | None,
        shift: torch.Tensor | None,
        activation: nn.Module,
        half: bool,
    ) -> None:
        if type(activation) not in ACTIVATIONS or getattr(activation, "alpha", 1.0) != 1.0:
            known = ", ".join(kind.__name__ for kind in ACTIVATIONS)
            raise UnsupportedError(f"the kernels have {known}, not {activation}")
        self.activation = ACTIVATIONS[type(activation)]
        self.weight, self.bias, self.gain, self.shift = weight, bias, gain, shift
        self.transposed = weight.dim() == 2
        self.dtype = torch.bfloat16 if half else torch.float32
        self.half = weight.detach().to(torch.bfloat16) if half else None
        # the weights [C, inputs, outputs], by rows, which is the faster way to multiply with them
        self.matrix = weight.detach() if self.half is None else self.half
        if self.transposed:
            self.matrix = self.matrix.t().contiguous().unsqueeze(0)
        self.networks, self.inputs, self.outputs = self.matrix.shape
        self._version = weight._version
        self.gradient = torch.empty(weight.shape, dtype=self.dtype)
        self.sums = {id(p): torch.empty_like(p, requires_grad=False) for p in (bias, gain, shift) if p is not None}

    def refresh(self) -> None:
        """Follow weights that were changed elsewhere."""
        if self.weight._version == self._version:
            return
        self._version = self.weight._version
        if self.half is not None:
            self.half.copy_(self.weight.detach())
        if self.transposed:
            self.matrix[0].copy_(self.weight.detach().t())

    def multiply_gradient(self, inputs: torch.Tensor, grad: torch.Tensor) -> None:
        """The gradient of the weights, from inputs [C, B, I] and the outputs' gradient [C, B, O]."""
        if self.transposed:
            torch.mm(grad[0].t(), inputs[0].to(self.dtype), out=self.gradient)
        else:
            torch.bmm(inputs.to(self.dtype).transpose(1, 2), grad, out=self.gradient)

    def gradient_of(self, parameter: torch.Tensor | None) -> torch.Tensor | None:
        """Where the gradient of bias, gain or shift is left."""
        return None if parameter is None else self.sums[id(parameter)]


class _Stack:
    """Layers of C networks, and perhaps a last one with a single output."""

    def __init__(
        self,
        layers: Sequence[_Layer],
        last_weight: torch.Tensor | None = None,
        last_bias: torch.Tensor | None = None,
    ) -> None:
        if not layers:
            raise UnsupportedError("a network without hidden layers")
        self.layers = list(layers)
        self._copies = [layer for layer in layers if layer.half is not None or layer.transposed]
        self._last_weight, self._last_bias = last_weight, last_bias
        self._last_gradients = [
            None if p is None else torch.empty_like(p, requires_grad=False) for p in (last_weight, last_bias)
        ]
        self.blocks = sgemm() is not None and all(layer.half is None for layer in layers)
        """Whether blocks of rows go through all layers."""
        self._memory: dict[int, _Memory] = {}
        self._programs: dict[tuple[int, int], _StackStruct] = {}
        self._now = _Memory(self.layers, 0, False)

    def share(self, other: _Stack) -> None:
        """Use another stack's memory, since only one of the two needs what it keeps."""
        self._memory = other._memory

    def refresh(self) -> None:
        """Follow weights that were changed elsewhere."""
        for layer in self._copies:
            layer.refresh()

    def forward(self, x: torch.Tensor, more: torch.Tensor | None = None, *, keep: bool) -> torch.Tensor:
        """Evaluate inputs [B, I].

        Args:
            x: The inputs, or the first of them.
            more: The others, of critics the actions.
            keep: Whether a backward pass follows.

        Returns:
            The last layer's outputs: with a single one, shape [C, B]; else those of the first network, shape [B, H],
            valid until the next call.
        """
        batch, threads = len(x), torch.get_num_threads()
        self._check_width(x.shape[1] + (0 if more is None else more.shape[1]))
        memory = self._now = self._memory_for(batch)
        if self.blocks:
            x = x.to(torch.float32).contiguous()
            more = None if more is None else more.to(torch.float32).contiguous()
            memory.x = x if more is None else memory.joined
            program = self.program(batch, threads)
            workspace = memory.workspace(kernels().stack_workspace(program, False, threads))
            kernels().stack_forward(
                sgemm(), program, _at(x), x.shape[1], _at(more), _at(memory.x), keep, LAYER_NORM_EPS, _at(workspace),
                threads,
            )  # fmt: skip
        else:
            joined = x.contiguous() if more is None else torch.cat((x, more), dim=-1)
            memory.x = joined.to(self.layers[0].dtype)
            self._forward_by_layers(memory, keep, threads)
        if self._last_weight is not None:
            return memory.q.clone()
        return memory.out[-1][0]

    def backward(self, grad: torch.Tensor) -> None:
        """Set the :meth:`gradients` of all parameters.

        Args:
            grad: Gradient with respect to the outputs of :meth:`forward`, shape [C, B] or [B, H].
        """
        self._propagate(grad, parameters=True)

    def gradients(self) -> dict[int, torch.Tensor]:
        """Where the gradients of all parameters are left, by the parameter's identity."""
        result: dict[int, torch.Tensor] = {}
        for layer in self.layers:
            result |= {id(layer.weight): layer.gradient, **layer.sums}
        for parameter, gradient in zip((self._last_weight, self._last_bias), self._last_gradients, strict=True):
            if gradient is not None:
                result[id(parameter)] = gradient
        return result

    def input_gradient(self, grad: torch.Tensor, begin: int) -> torch.Tensor:
        """Gradient with respect to each network's inputs from one on, shape [C, B, I - begin]."""
        return self._propagate(grad, parameters=False, begin=begin).float()

    def _propagate(self, grad: torch.Tensor, parameters: bool, begin: int = 0) -> torch.Tensor:
        """Backward pass; without parameters, gives the gradients of the inputs from one on, shape [C, B, I - begin]."""
        memory, threads, first = self._now, torch.get_num_threads(), self.layers[0]
        grad = grad.contiguous()
        if not self.blocks:
            z = self._backward_by_layers(memory, grad, parameters, threads)
            return z if parameters else torch.bmm(z, first.matrix[:, begin:].transpose(1, 2))
        program = self.program(len(memory.x), threads)
        result = torch.empty(0 if parameters else first.networks, len(memory.x), first.inputs - begin)
        workspace = memory.workspace(kernels().stack_workspace(program, parameters, threads))
        kernels().stack_backward(
            sgemm(), program, _at(memory.x), _at(grad), parameters, None if parameters else _at(result), begin,
            _at(workspace), threads,
        )  # fmt: skip
        return result

    def program(self, batch: int, threads: int, width: int | None = None) -> _StackStruct:
        """Layers and memory as the kernels see them.

        Args:
            batch: Number of rows.
            threads: Number of threads.
            width: Number of inputs, to be checked.
        """
        if width is not None:
            self._check_width(width)
        memory = self._memory_for(batch)
        if (batch, threads) not in self._programs:
            # two blocks of each network for every thread at least
            block = min(BLOCK, max(8, -(-batch // (2 * threads))))
            structs = [
                _LayerStruct(
                    layer.inputs, layer.outputs, layer.transposed, layer.activation, _at(layer.matrix), _at(layer.bias),
                    _at(layer.gain), _at(layer.shift), _at(memory.z[i]), _at(memory.out[i]),
                    _at(memory.mean[i]), _at(memory.rstd[i]), _at(layer.gradient),
                    *(_at(layer.gradient_of(p)) for p in (layer.bias, layer.gain, layer.shift)),
                )
                for i, layer in enumerate(self.layers)
            ]  # fmt: skip
            self._programs[batch, threads] = _StackStruct(
                len(structs), self.layers[0].networks, batch, block,
                (_LayerStruct * len(structs))(*structs), _at(self._last_weight), _at(self._last_bias),
                *(_at(gradient) for gradient in self._last_gradients), _at(memory.q),
            )  # fmt: skip
        return self._programs[batch, threads]

    def _memory_for(self, batch: int) -> _Memory:
        if batch not in self._memory:
            self._memory[batch] = _Memory(self.layers, batch, not self.blocks)
        return self._memory[batch]

    def _check_width(self, width: int) -> None:
        if width != self.layers[0].inputs:
            raise ValueError(f"the network has {self.layers[0].inputs} inputs, not {width}")

    def _forward_by_layers(self, memory: _Memory, keep: bool, threads: int) -> None:
        inputs = memory.x.expand(self.layers[0].networks, -1, -1)
        for i, layer in enumerate(self.layers):
            z = memory.z[i]
            out = memory.out[i] if keep else z
            torch.bmm(inputs.to(layer.dtype), layer.matrix, out=z)
            last = i == len(self.layers) - 1
            kernels().layer_forward(
                layer.half is not None, layer.activation, _at(z), _at(layer.bias), _at(layer.gain), _at(layer.shift),
                _at(self._last_weight) if last else None, _at(self._last_bias) if last else None, _at(out),
                _at(memory.mean[i]), _at(memory.rstd[i]), _at(memory.q),
                _at(memory.workspace(8 * threads * layer.outputs)), *z.shape, LAYER_NORM_EPS, threads,
            )  # fmt: skip
            inputs = out
        if not keep and self._last_weight is None:
            memory.out[-1].copy_(memory.z[-1])

    def _backward_by_layers(self, memory: _Memory, grad: torch.Tensor, parameters: bool, threads: int) -> torch.Tensor:
        """Gives the gradient with respect to the first layer's product, shape [C, B, H]."""
        top = grad if self._last_weight is not None else grad.unsqueeze(0)
        grad = top
        for i in reversed(range(len(self.layers))):
            layer, z = self.layers[i], memory.z[i]
            last = i == len(self.layers) - 1 and self._last_weight is not None
            above = None if last else grad.to(layer.dtype)
            sums = [layer.gradient_of(p) if parameters else None for p in (layer.bias, layer.gain, layer.shift)]
            workspace = memory.workspace(threads * (4 * layer.networks + 8) * layer.outputs)
            kernels().layer_backward(
                layer.half is not None, layer.activation, parameters, _at(above), _at(grad) if last else None,
                _at(self._last_weight) if last else None, _at(memory.out[i]), _at(z), _at(layer.bias), _at(layer.gain),
                _at(memory.mean[i]), _at(memory.rstd[i]), *(_at(s) for s in sums),
                _at(self._last_gradients[0]) if last and parameters else None, _at(workspace), *z.shape, threads,
            )  # fmt: skip
            if parameters:
                inputs = memory.out[i - 1] if i else memory.x.expand(layer.networks, -1, -1)
                layer.multiply_gradient(inputs, z)
            if i:
                grad = torch.bmm(z, layer.matrix.transpose(1, 2), out=memory.grad[i])
        last_bias = self._last_gradients[1]
        if parameters and last_bias is not None:
            torch.sum(top, dim=1, out=last_bias.view(-1))
        return memory.z[0]


class _Memory:
    """What a forward pass leaves for its backward pass, for one batch size."""

    x: torch.Tensor

    def __init__(self, layers: Sequence[_Layer], batch: int, by_layers: bool) -> None:
        sizes = [((layer.networks, batch, layer.outputs), layer.dtype) for layer in layers]
        self.z, self.out = ([torch.empty(shape, dtype=dtype) for shape, dtype in sizes] for _ in range(2))
        # of the inputs; only where layers are worked off one by one
        inputs = [(layer.networks, batch if by_layers else 0, layer.inputs) for layer in layers]
        self.grad = [torch.empty(shape, dtype=layer.dtype) for shape, layer in zip(inputs, layers, strict=True)]
        self.mean, self.rstd = ([torch.empty(shape[:2]) for shape, _ in sizes] for _ in range(2))
        self.q = torch.empty(sizes[0][0][:2])
        self.joined = torch.empty(batch, layers[0].inputs)
        self._workspace = torch.empty(0)

    def workspace(self, needed: int) -> torch.Tensor:
        """Room for numbers of the kernels' own."""
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
        gradients: Mapping[int, torch.Tensor],
        targets: Sequence[torch.Tensor] | None,
        tau: float,
        copies: Mapping[int, _Copies],
    ) -> None:
        self._optimizer, self._tau = optimizer, tau
        self._parameters: list[torch.Tensor] = list(optimizer.param_groups[0]["params"])
        self._gradients = [gradients[id(p)] for p in self._parameters]
        none = (None, None)
        halves = [copies.get(id(p), none) for p in self._parameters]
        count = len(self._parameters)
        self._sizes = (ctypes.c_int64 * count)(*(p.numel() for p in self._parameters))
        self._weights = _pointers(self._parameters)
        self._of_gradients = _of_types(self._gradients)
        self._targets = _pointers(targets or [None] * count)
        self._halves = _pointers([half for half, _ in halves])
        self._half_targets = _pointers([half for _, half in halves])
        self._moved = [p for p in self._parameters if p.dim() == 2]
        """Weights of which there are transposed copies, which follow them by their version."""
        self._known: tuple[torch.Tensor, Any, Any, Any] | None = None

    def step(self, average: Callable[[Sequence[torch.Tensor]], Sequence[torch.Tensor]], max_norm: float | None) -> None:
        """One step with the gradients as they are now, averaged over all processes and clipped to a norm."""
        (group,) = self._optimizer.param_groups  # anew: a checkpoint brings another
        gradients = average(self._gradients)
        alone = all(new is own for new, own in zip(gradients, self._gradients, strict=True))
        grads, half_grads = self._of_gradients if alone else _of_types(gradients)
        scale = 1.0
        if max_norm is not None:
            norm = torch.stack([gradient.float().square().sum() for gradient in gradients]).sum().sqrt().item()
            scale = min(1.0, max_norm / (norm + 1.0e-6))
        rate = group["lr"]
        steps, first, second = self.state()
        kernels().adamw(
            len(self._parameters), self._sizes, steps, self._weights, grads, half_grads, first, second, self._targets,
            self._halves, self._half_targets, scale, *group["betas"], rate, group["eps"], rate * group["weight_decay"],
            self._tau, torch.get_num_threads(),
        )  # fmt: skip
        if self._moved:
            torch.autograd.graph.increment_version(self._moved)

    def arguments(self) -> tuple[Any, ...]:
        """What ``adamw`` takes about arrays, from their number to the targets' copies in half precision."""
        steps, first, second = self.state()
        return (
            len(self._parameters), self._sizes, steps, self._weights, *self._of_gradients, first, second, self._targets,
            self._halves, self._half_targets,
        )  # fmt: skip

    def state(self) -> tuple[Any, Any, Any]:
        """Where the numbers of steps and the moments lie; made where there are none yet."""
        state = self._optimizer.state
        # a checkpoint brings other tensors, all at once
        if self._known is None or state[self._parameters[0]].get("exp_avg") is not self._known[0]:
            for parameter in self._parameters:
                if not state[parameter]:
                    state[parameter]["step"] = torch.zeros(())
                    state[parameter]["exp_avg"] = torch.zeros_like(parameter, requires_grad=False)
                    state[parameter]["exp_avg_sq"] = torch.zeros_like(parameter, requires_grad=False)
            states = [state[parameter] for parameter in self._parameters]
            steps, first, second = (_pointers([s[name] for s in states]) for name in ("step", "exp_avg", "exp_avg_sq"))
            self._known = (states[0]["exp_avg"], steps, first, second)
        return self._known[1:]


def _address(value: Any) -> int:
    """Address of an array of ctypes; a number stays one."""
    return value if isinstance(value, int) else ctypes.addressof(value)


def _at(tensor: torch.Tensor | None) -> int | None:
    """Address of a contiguous tensor."""
    return None if tensor is None else tensor.data_ptr()


def _of_types(gradients: Sequence[torch.Tensor]) -> tuple[Any, Any]:
    """Addresses of gradients in float32, and of those in bfloat16."""
    return tuple(
        _pointers([gradient if gradient.dtype == dtype else None for gradient in gradients])
        for dtype in (torch.float32, torch.bfloat16)
    )


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


def _actor_stack(network: nn.Module, half: bool) -> _Stack:
    """The kernels' view of an actor; its last layer stays in float32."""
    linear, activation = _split(network)
    last = linear[-1]
    return _Stack(
        [
            *(_Layer(layer.weight, layer.bias, None, None, activation, half) for layer in linear[:-1]),
            _Layer(last.weight, last.bias, None, None, nn.Identity(), False),
        ]
    )


def _critic_stack(critic: QEnsemble, half: bool) -> _Stack:
    """The kernels' view of critics."""
    hidden = len(critic.weights) - 1
    norms = list(zip(critic.norm_weights, critic.norm_biases, strict=True)) or [(None, None)] * hidden
    layers = [_Layer(critic.weights[i], critic.biases[i], *norms[i], critic.activation, half) for i in range(hidden)]
    return _Stack(layers, critic.weights[-1], critic.biases[-1])
