# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""What is refused before a simulation starts."""

from __future__ import annotations

from typing import Any


def check_configs(env_cfg: Any, agent_cfg: Any) -> None:
    """Refuse what an agent cannot learn, as far as the configurations tell, before a simulation starts.

    Args:
        env_cfg: The environment's resolved configuration.
        agent_cfg: The agent's.

    Raises:
        ConfigError: If networks or spaces are not supported by SAC or the agents of SBX and Stable-Baselines3.
    """
    from isaaclab_offpolicy.environments.spaces import check_task_spaces

    groups = {"policy"}
    if not hasattr(agent_cfg, "library"):
        from isaaclab_offpolicy.algorithms.build import check_networks
        from isaaclab_offpolicy.algorithms.rsl_rl_cfg import SacAlgorithmCfg

        if not isinstance(agent_cfg.algorithm, SacAlgorithmCfg):
            return
        check_networks(agent_cfg.actor.class_name, agent_cfg.critic.class_name)
        sets = agent_cfg.obs_groups if isinstance(agent_cfg.obs_groups, dict) else {}
        groups = {group for name in ("actor", "critic") for group in sets.get(name, ["policy"])}
    check_task_spaces(env_cfg, sorted(groups))
