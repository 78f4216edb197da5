# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""The agent's options that a run was trained with, for commands that go on from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from isaaclab_offpolicy.agents.table import AgentSpec
from isaaclab_offpolicy.errors import ConfigError

FIXED = (
    "hidden_dims", "activation", "obs_normalization", "layer_norm", "n_critics", "predicts", "atoms",
    "net_arch", "optimizer", "normalize",
    "top_quantiles_to_drop_per_net", "action_bounds", "percentile_bounds", "action_bounds_scale",
    "percentile_bounds_scale",
)  # fmt: skip
"""Options that are part of the policy or of the optimiser's state: they cannot change."""

OF_THE_PROCESS = (
    "seed", "device", "max_iterations", "total_timesteps", "save_interval", "log_interval", "eval_interval",
    "eval_episodes", "experiment_name", "run_name", "logger", "neptune_project", "wandb_project", "resume", "load_run",
    "load_checkpoint", "backend", "precision", "replay_device", "overlap", "learner_threads", "deterministic",
    "class_name", "library",
)  # fmt: skip
"""Options that say how long, where and how fast, and names of classes, which no file may choose."""

OF_THE_POLICY = ("agent.actor.", "agent.critic.", "agent.obs_groups.", "agent.algorithm.ent_coef", "agent.clip_actions")
"""Where the options are without which a checkpoint of rsl_rl's runner cannot be read or played."""


class _Loader(yaml.SafeLoader):
    """Reads what Isaac Lab writes: plain values and tuples."""


_Loader.add_constructor("tag:yaml.org,2002:python/tuple", lambda loader, node: loader.construct_sequence(node))  # type: ignore[arg-type]


def options_of_run(
    checkpoint: str, task: str, agent: AgentSpec, overrides: Sequence[str], training: bool = False
) -> list[str]:
    """Overrides that give the options of a checkpoint's run, where the agent's own are others.

    What the user gives beats them.

    Args:
        checkpoint: The checkpoint; a run has its options beside it.
        task: A registered task.
        agent: The agent.
        overrides: What the user gives.
        training: Whether a training goes on, and not only the policy is played.

    Raises:
        ConfigError: If the user gives what cannot change.
    """
    from isaaclab_tasks.utils.hydra import _parse_val
    from isaaclab_tasks.utils.parse_cfg import load_cfg_from_registry

    try:
        text = Path(checkpoint).with_name("params").joinpath("agent.yaml").read_text(encoding="utf-8")
        saved = dict(_leaves(yaml.load(text, _Loader), "agent"))
    except (OSError, ValueError, yaml.YAMLError):
        return []
    given = {key: _plain(_parse_val(value)) for key, _, value in (item.partition("=") for item in overrides)}
    for key, value in given.items():
        if key.rpartition(".")[2] in FIXED and saved.get(key, value) != value:
            raise ConfigError(f"{key} cannot change: {checkpoint} was trained with {saved[key]!r}, not {value!r}")
    own = dict(_leaves(load_cfg_from_registry(task, agent.entry_point), "agent"))
    wanted = {
        key: saved[key]
        for key, value in own.items()
        if key in saved and key not in given and saved[key] not in (value, {})
        if key.rpartition(".")[2] not in OF_THE_PROCESS
        if training or (not agent.is_sb3 and key.startswith(OF_THE_POLICY))
    }
    taken = [f"{key}={value!r}" for key, value in wanted.items()]
    if taken:
        print(f"[INFO] as in the run: {' '.join(taken)}")
    return taken


def _leaves(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Paths and values of a configuration's options."""
    items = node.items() if isinstance(node, Mapping) else vars(node).items()
    for name, value in items:
        where = f"{path}.{name}"
        if isinstance(value, Mapping) or (dataclasses.is_dataclass(value) and not isinstance(value, type)):
            yield from _leaves(value, where)
        else:
            yield where, _plain(value)


def _plain(value: Any) -> Any:
    """A value as YAML has it: tuples are lists."""
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
