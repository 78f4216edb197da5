# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""What made a run: versions, machine, command, bounds."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shlex
import sys
from pathlib import Path
from typing import Any, Protocol

from isaaclab_offpolicy.engine.defaults import engine_name

from .atomic import succeeds, write_atomically

PACKAGES = (
    "isaaclab_offpolicy",
    "isaaclab",
    "rsl-rl-lib",
    "torch",
    "warp-lang",
    "newton",
    "mujoco-warp",
    "ovphysx",
    "isaacsim",
    "sbx-rl",
    "stable-baselines3",
    "jax",
    "flax",
    "optax",
    "tfp-nightly",
)
"""Packages whose versions a run records."""


class Writable(Protocol):
    """What can write itself as YAML, such as action bounds."""

    def to_yaml(self, path: Path) -> None:
        """Write the file."""


def package_versions() -> dict[str, str | None]:
    """Versions of Python, the platform and the packages that matter; None for what is not installed."""
    versions: dict[str, str | None] = {"python": platform.python_version(), "platform": platform.platform()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    return versions


def cpu_name() -> str:
    """The processor's name, as Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def machine() -> dict[str, Any]:
    """What a measurement was made on."""
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {"cpu": cpu_name(), "cores": os.cpu_count(), "gpu": gpu}


def reproduction(env: Any, seed: int | None) -> dict[str, Any]:
    """What repeats a training, as far as the environment tells: task, engine, seed, number of environments.

    Args:
        env: Isaac Lab's environment, or a wrapper of it.
        seed: Seed of the training.
    """
    unwrapped = getattr(env, "unwrapped", env)
    physics = getattr(getattr(unwrapped.cfg, "sim", None), "physics", None)
    facts = {
        "task": getattr(getattr(unwrapped, "spec", None), "id", None),
        "engine": None if physics is None else engine_name(physics),
        "seed": seed,
        "environments": env.num_envs,
    }
    return {name: value for name, value in facts.items() if value is not None}


def write_provenance(run_dir: Path, bounds: Writable | None) -> None:
    """Record what made a run: ``bounds.yaml``, ``versions.json`` and ``command.txt``; failures are reported."""
    succeeds(lambda: run_dir.mkdir(parents=True, exist_ok=True), run_dir)
    if bounds is not None:
        succeeds(lambda: bounds.to_yaml(run_dir / "bounds.yaml"), run_dir / "bounds.yaml")
    import torch

    versions: dict[str, Any] = package_versions()
    versions["cpu_count"] = os.cpu_count()
    versions["torch_threads"] = torch.get_num_threads()
    versions["gpu"] = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    write_atomically(f"{json.dumps(versions, indent=2)}\n".encode(), run_dir / "versions.json")
    write_atomically(f"{shlex.join(sys.orig_argv)}\n".encode(), run_dir / "command.txt")
