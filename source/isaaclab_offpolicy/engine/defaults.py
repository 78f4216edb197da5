# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Which device and which physics engine to use when nobody says."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from isaaclab_offpolicy.errors import ConfigError


@cache
def default_device() -> str:
    """``cuda:0`` where CUDA works, else ``cpu``."""
    import torch

    return "cuda:0" if torch.cuda.is_available() else "cpu"


def default_engine(device: str) -> str:
    """The fastest engine for a device.

    On a CPU PhysX steps A1 three times as fast as MuJoCo-Warp (docs, "The simulation's speed"); on a GPU Newton runs
    everywhere that CUDA does.

    Args:
        device: Simulation device, ``cpu`` or ``cuda:N``.
    """
    return "ovphysx" if device == "cpu" else "newton_mjwarp"


def engine_name(physics: Any) -> str:
    """Name of the engine of a resolved physics configuration (``env_cfg.sim.physics``), as ``physics=`` takes it."""
    kind = type(getattr(physics, "solver_cfg", physics)).__name__
    names = {"OvPhysxCfg": "ovphysx", "PhysxCfg": "isaacsim_physx", "MJWarpSolverCfg": "newton_mjwarp",
             "KaminoPADMMSolverCfg": "newton_kamino"}  # fmt: skip
    return names.get(kind, kind)


def configure_physics(physics: Any) -> None:
    """Set a velocity task's default engine, and have ovphysx go through :mod:`.ovphysx_cpu`.

    Args:
        physics: The task's physics presets (``env_cfg.sim.physics``), changed in place.
    """
    physics.ovphysx.class_type = "isaaclab_offpolicy.engine.ovphysx_cpu:OvPhysxManager"
    physics.default = getattr(physics, default_engine(default_device()))


def check_device(device: str | None) -> str:
    """Return the device, or the machine's own when none is given.

    Raises:
        ConfigError: If it is not there.
    """
    from torch.cuda import device_count

    if device is None:
        return default_device()
    if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
        raise ConfigError(f"unknown device '{device}'; it is cpu, cuda or cuda:N")
    if device != "cpu" and default_device() == "cpu":
        raise ConfigError(f"device '{device}' needs CUDA, and this machine has none; leave --device out, or say cpu")
    index = int(device.partition(":")[2] or 0)
    if device != "cpu" and index >= device_count():
        raise ConfigError(f"device '{device}' is not there; this machine has {device_count()} CUDA device(s)")
    return device
