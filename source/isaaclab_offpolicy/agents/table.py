# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""The agents by name."""

from __future__ import annotations

from typing import NamedTuple


class AgentSpec(NamedTuple):
    """An agent that a task may have."""

    name: str
    """What ``--agent`` takes."""

    entry_point: str
    """Name under which tasks register its configuration."""

    library: str
    """``rsl_rl``, ``sbx`` or ``sb3``."""

    num_envs_cpu: int | None = None
    """Environments on a CPU when nobody says; beyond 256 the simulation gains little. None takes the task's."""

    num_envs_gpu: int | None = None
    """Environments on a GPU: what the published hyperparameters were tuned with. None takes the task's."""

    @property
    def is_sb3(self) -> bool:
        """Whether SBX or Stable-Baselines3 trains it."""
        return self.library != "rsl_rl"

    @property
    def is_sac(self) -> bool:
        """Whether the package's own learner trains it, as far as its name tells."""
        return any(f"_{name}_" in self.entry_point for name in ("sac", "tqc")) and not self.is_sb3

    @property
    def folder(self) -> str:
        """Folder of its runs, below ``logs``."""
        return "sbx" if self.is_sb3 else "rsl_rl"


_SPECS = (
    AgentSpec("sac-cpu", "rsl_rl_sac_cpu_cfg_entry_point", "rsl_rl", num_envs_cpu=256, num_envs_gpu=1024),
    AgentSpec("sac-gpu", "rsl_rl_sac_cfg_entry_point", "rsl_rl", num_envs_cpu=256, num_envs_gpu=1024),
    AgentSpec("tqc-cpu", "rsl_rl_tqc_cpu_cfg_entry_point", "rsl_rl", num_envs_cpu=256, num_envs_gpu=1024),
    AgentSpec("tqc-gpu", "rsl_rl_tqc_cfg_entry_point", "rsl_rl", num_envs_cpu=256, num_envs_gpu=1024),
    AgentSpec("sac-c51-cpu", "rsl_rl_sac_c51_cpu_cfg_entry_point", "rsl_rl", num_envs_cpu=256, num_envs_gpu=1024),
    AgentSpec("sac-c51-gpu", "rsl_rl_sac_c51_cfg_entry_point", "rsl_rl", num_envs_cpu=256, num_envs_gpu=1024),
    AgentSpec("ppo", "rsl_rl_cfg_entry_point", "rsl_rl", num_envs_cpu=512),
    AgentSpec("sbx-sac", "sbx_sac_cfg_entry_point", "sbx", num_envs_cpu=256, num_envs_gpu=1024),
    AgentSpec("sbx-sac-cpu", "sbx_sac_cpu_cfg_entry_point", "sbx", num_envs_cpu=256, num_envs_gpu=1024),
    AgentSpec("sbx-tqc", "sbx_tqc_cfg_entry_point", "sbx", num_envs_cpu=256, num_envs_gpu=1024),
    AgentSpec("sbx-ppo", "sbx_ppo_cfg_entry_point", "sbx", num_envs_cpu=512),
    AgentSpec("sb3-sac", "sb3_sac_cfg_entry_point", "sb3", num_envs_cpu=256, num_envs_gpu=1024),
    AgentSpec("sb3-ppo", "sb3_ppo_cfg_entry_point", "sb3", num_envs_cpu=512),
)

AGENTS = {spec.name: spec for spec in _SPECS}
"""All agents by name."""

BY_DEVICE = {
    name: {"cpu": (f"{name}-cpu", f"{name}-gpu"), "cuda": (f"{name}-gpu",)} for name in ("sac", "tqc", "sac-c51")
}
"""Names that stand for the preset that fits the device: the first that the task has."""

NAMES = (*BY_DEVICE, *AGENTS)
"""Everything that ``--agent`` takes."""


def agent_of(entry_point: str) -> AgentSpec:
    """The agent of a configuration, which may be a user's own."""
    known = next((spec for spec in _SPECS if spec.entry_point == entry_point), None)
    if known is not None:
        return known
    library = entry_point.partition("_")[0]
    return AgentSpec(entry_point, entry_point, library if library in ("sbx", "sb3") else "rsl_rl")
