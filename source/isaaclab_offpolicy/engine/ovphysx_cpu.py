# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Work-arounds for ovphysx on the CPU (Isaac Lab 3.0.0, ovphysx 0.6.4).

The tasks name ``isaaclab_offpolicy.engine.ovphysx_cpu:OvPhysxManager`` as the manager of their ovphysx preset. Isaac
Lab resolves that name when it starts this engine, and only then; here it applies the work-arounds and hands over Isaac
Lab's own manager. Other engines, other tasks and PhysX on a GPU are never touched.

- Isaac Lab's OvPhysX assets stage their writes through pinned host memory, which Warp allocates through the CUDA
  driver: without one, ``RuntimeError: Failed to allocate 256 bytes on device 'cpu'``. Pinned memory only speeds up
  copies to a GPU, so without one it is dropped.
- Isaac Lab starts PhysX with ``/physics/physxDispatcher: True``, which on the CPU keeps the step on one core. PhysX's
  own thread pool takes them all.
- PhysX takes a cylinder or a cone of a USD as a "convex core", and the contact of one with the triangles of a terrain
  may never return: with ANYmal-C's 29 cylinders, 256 environments and uniform actions a step hung after 17. Here they
  become convex meshes. The robots of this package have neither (:func:`~..assets.shapes.replace_cylinder`).
- The agent of PhysX's cache for cooked colliders (UJITSO) polls with sleeps of a microsecond, 14,000 times a second,
  and so keeps a fifth of a core busy as long as the process lives. Whatever splits its work evenly over the cores, as
  the learner's matrix products and PhysX do, waits for the slower one: on two cores it cost a third of the learner's
  speed and a quarter of the simulator's. It is switched off; colliders are cooked at every start instead of being
  cached (a few seconds on rough terrain). PhysX then says once, as an error, that ``resources.dataStoreConfigurator is
  false``.
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
    configure_physx()
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


SETTINGS = {"/physics/physxDispatcher": False, "/UJITSO/enabled": False}
"""Carbonite settings with which PhysX is started on a CPU."""

OPTIONS = {"collision_cylinder_custom_geometry": False, "collision_cone_custom_geometry": False}
"""Arguments of ``ovphysx.PhysXConfig`` with which PhysX is started on a CPU."""


def configure_physx() -> None:
    """Have PhysX start with :data:`SETTINGS` and :data:`OPTIONS` when it steps on the CPU. May be called again."""
    import ovphysx

    original = ovphysx.PhysXConfig
    if getattr(original, "_isaaclab_offpolicy", False):
        return

    def config(**kwargs: Any) -> Any:
        overrides = kwargs.get("carbonite_overrides")
        # Isaac Lab sets this one to whether PhysX steps on a GPU
        if overrides is not None and not overrides.get("/ovphysx/clone/useEnvIds"):
            kwargs["carbonite_overrides"] = {**overrides, **SETTINGS}
            kwargs |= OPTIONS
        return original(**kwargs)

    config._isaaclab_offpolicy = True  # type: ignore[attr-defined]
    ovphysx.PhysXConfig = config  # type: ignore[misc,assignment]
