# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from isaaclab_offpolicy.engine import default_device, default_engine

PROGRAM = """
import warp as wp
zeros = wp.zeros
from isaaclab_tasks.utils import load_cfg_from_registry, resolve_presets
import isaaclab_tasks
from isaaclab.cli import load_external_tasks
load_external_tasks()
cfg = load_cfg_from_registry("Isaac-Velocity-Flat-Unitree-A1-v0", "env_cfg_entry_point")
assert wp.zeros is zeros, "loading a task changes nothing"
for name in ("newton_mjwarp", "isaacsim_physx"):
    physics = getattr(cfg.sim.physics, name)
    assert "isaaclab_offpolicy" not in str(physics.class_type), physics.class_type
from isaaclab_offpolicy.engine import ovphysx_cpu
assert wp.zeros is zeros
from isaaclab_ov.physics.ovphysx_manager import OvPhysxManager
assert ovphysx_cpu.OvPhysxManager is OvPhysxManager
assert ovphysx_cpu.OvPhysxManager is OvPhysxManager, "twice does no harm"
if not wp.is_cuda_available():
    assert wp.zeros is not zeros
    assert wp.zeros(3, dtype=float, device="cpu", pinned=True).numpy().tolist() == [0.0, 0.0, 0.0]
else:
    assert wp.zeros is zeros
import ovphysx
for on_gpu in (False, True):
    overrides = {"/physics/physxDispatcher": True, "/ovphysx/clone/useEnvIds": on_gpu}
    config = ovphysx.PhysXConfig(num_threads=8, carbonite_overrides=overrides)
    assert config.carbonite_overrides["/physics/physxDispatcher"] is on_gpu
    assert config.carbonite_overrides.get("/UJITSO/enabled", True) is on_gpu
    # no cylinder is a convex core on a CPU
    assert config.collision_cylinder_custom_geometry is (None if on_gpu else False)
    assert config.collision_cone_custom_geometry is (None if on_gpu else False)
print("fine")
"""


def test_the_work_arounds_are_applied_only_where_ovphysx_is_used() -> None:
    pytest.importorskip("ovphysx", reason="the extra cpu is not installed")
    result = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=200)
    assert result.returncode == 0, result.stderr[-2000:]
    assert result.stdout.splitlines()[-1] == "fine"


def test_defaults_follow_the_machine() -> None:
    assert default_device() == ("cuda:0" if torch.cuda.is_available() else "cpu")
    assert default_engine("cpu") == "ovphysx"
    assert default_engine("cuda:1") == "newton_mjwarp"
