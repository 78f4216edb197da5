# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Work-arounds for ovphysx on a machine without CUDA (Isaac Lab 3.0.0, ovphysx 0.6.4).

The tasks name ``isaaclab_offpolicy.engine.ovphysx_cpu:OvPhysxManager`` as the manager of their ovphysx preset. Isaac
Lab resolves that name when it starts this engine, and only then; here it applies the work-arounds and hands over Isaac
Lab's own manager. Other engines, other tasks and machines with CUDA are never touched.

- Isaac Lab's OvPhysX assets stage their writes through pinned host memory, which Warp allocates through the CUDA
  driver: without one, ``RuntimeError: Failed to allocate 256 bytes on device 'cpu'``. Pinned memory only speeds up
  copies to a GPU, so without one it is dropped.
- Isaac Lab starts PhysX with ``/physics/physxDispatcher: True``, which on the CPU keeps the step on one core. PhysX's
  own thread pool takes them all.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import warp as wp

_ALLOCATORS = ("zeros", "empty", "full", "ones", "zeros_like", "empty_like", "full_like", "ones_like", "clone")


def __getattr__(name: str) -> Any:
    """Resolve :class:`OvPhysxManager`, after applying the work-arounds where they are needed."""
    if name != "OvPhysxManager":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from isaaclab_ov.physics.ovphysx_manager import OvPhysxManager

    if not wp.is_cuda_available():
        drop_pinned_memory()
        use_every_core()
    return OvPhysxManager


def drop_pinned_memory() -> None:
    """Have Warp's allocators ignore ``pinned=True``. May be called again."""
    for name in _ALLOCATORS:
        function = getattr(wp, name)
        if not hasattr(function, "_isaaclab_offpolicy"):
            setattr(wp, name, _without_pinned(function))


def _without_pinned(function: Callable) -> Callable:
    @functools.wraps(function)
    def allocate(*args: Any, **kwargs: Any) -> Any:
        kwargs.pop("pinned", None)
        return function(*args, **kwargs)

    allocate._isaaclab_offpolicy = True  # type: ignore[attr-defined]
    return allocate


def use_every_core() -> None:
    """Have PhysX step with a thread pool of its own. May be called again."""
    import ovphysx

    original = ovphysx.PhysXConfig
    if getattr(original, "_isaaclab_offpolicy", False):
        return

    def config(**kwargs: Any) -> Any:
        overrides = kwargs.get("carbonite_overrides")
        if overrides is not None:
            kwargs["carbonite_overrides"] = {**overrides, "/physics/physxDispatcher": False}
        return original(**kwargs)

    config._isaaclab_offpolicy = True  # type: ignore[attr-defined]
    ovphysx.PhysXConfig = config  # type: ignore[misc,assignment]
