# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""The backends by name."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import torch
from torch import nn

from .base import Backend, UnsupportedError
from .compiled import Compiled, CudaGraph
from .cpu import Cpu

BACKENDS = ("auto", "eager", "cpu", "compiled", "cuda-graph")
"""Names that :func:`make_backend` takes."""


def make_backend(
    name: str, device: torch.device, networks: Iterable[nn.Module], precision: str = "float32", world_size: int = 1
) -> Backend:
    """A backend by name.

    Args:
        name: ``"eager"`` (:class:`.Backend`), ``"cpu"`` (:class:`.Cpu`), ``"compiled"`` (:class:`.Compiled`),
            ``"cuda-graph"`` (:class:`.CudaGraph`), or ``"auto"``, the fastest that device and networks allow. Where
            nothing can be compiled, ``"auto"`` says so and goes on with what there is.
        device: The learner's device.
        networks: The networks that are to be learned.
        precision: Of matrix products.
        world_size: Processes that learn together.

    Raises:
        ValueError: If the name is not known, or the backend is not for this device.
        UnsupportedError: If it is not for these networks or this precision.
        RuntimeError: If it needs a compiler and there is none.
    """
    if name not in BACKENDS:
        raise ValueError(f"backend is one of {', '.join(BACKENDS)}, not '{name}'")
    if name == "cpu" and device.type != "cpu":
        raise ValueError(f"backend 'cpu' is not for device '{device}'")
    if name == "cuda-graph" and device.type != "cuda":
        raise ValueError("backend 'cuda-graph' needs a CUDA device")
    if name == "cuda-graph" and world_size > 1:
        raise ValueError("backend 'cuda-graph' is for one process; several take 'compiled'")
    if name == "auto":
        return _fastest(device, list(networks), precision, world_size)
    if name == "cpu":
        return _cpu(list(networks), precision)
    if name == "cuda-graph":
        return CudaGraph(device)
    return {"eager": Backend, "compiled": Compiled}[name]()


def _cpu(networks: list[nn.Module], precision: str) -> Cpu:
    if precision == "bfloat16":
        raise UnsupportedError("backend 'cpu' computes in float32; bfloat16 takes 'eager' or 'compiled'")
    backend = Cpu()
    for network in networks:
        backend.network(network)  # raises for one that it does not know
    return backend


def _fastest(device: torch.device, networks: list[nn.Module], precision: str, world_size: int) -> Backend:
    if device.type == "cuda":
        # ranks that fell back one by one would no longer exchange the same; and NCCL does not shut down as long as
        # there are graphs that hold its collectives
        return CudaGraph(device, fall_back=True) if world_size == 1 else Compiled()
    if device.type == "cpu":
        try:
            return _cpu(networks, precision)
        except UnsupportedError as error:  # torch knows other networks, too
            print(f"[WARNING] {error}; gradient steps are computed by torch, which is slower", file=sys.stderr)
        except RuntimeError as error:
            reason = next(line for line in str(error).splitlines() if line.strip())
            print(f"[WARNING] gradient steps are not compiled, which makes them slower: {reason}", file=sys.stderr)
    return Backend()
