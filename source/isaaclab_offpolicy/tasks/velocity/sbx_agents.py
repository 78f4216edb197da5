# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Agents of SBX and Stable-Baselines3 for velocity tasks; folder and bounds are those of the task's own SAC.

Percentiles are the published ones, as the agents are, also where SAC has those that were measured by this project; only
the biped, for which none were published in joints of its own, has the measured ones here, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from isaaclab_tasks.utils import load_cfg_from_registry

from isaaclab_offpolicy.action_bounds import JOINT_LIMITS, PERCENTILE
from isaaclab_offpolicy.sbx.cfg import Sb3AgentCfg, Sb3OffPolicyCfg, Sb3PpoCfg, Sb3TorchSacCfg, published_rough

from .stock_tasks import BOUNDS, MEASURED_ON_FLAT

PUBLISHED = {measured: BOUNDS[robot] for robot, measured in MEASURED_ON_FLAT.items()}
"""Published bounds by the measured ones."""


def sbx_agents(task: str) -> dict[str, Callable[[], Sb3AgentCfg]]:
    """Configurations by the names under which a task registers them; each is made when it is asked for.

    Args:
        task: A registered task with SAC.
    """

    def common(cfg: Any) -> Any:
        sac: Any = load_cfg_from_registry(task, "rsl_rl_sac_cfg_entry_point")
        cfg.experiment_name = sac.experiment_name
        percentiles = sac.algorithm.percentile_bounds
        cfg.percentile_bounds = PUBLISHED.get(percentiles, percentiles)
        if isinstance(cfg, Sb3OffPolicyCfg):
            # as published; fit_to_cpu takes the small box
            cfg.action_bounds = PERCENTILE if percentiles else JOINT_LIMITS
        return cfg

    def off_policy(cfg: Any) -> Any:
        env_cfg: Any = load_cfg_from_registry(task, "env_cfg_entry_point")
        cfg = common(cfg)
        terrain = env_cfg.scene.terrain
        if getattr(terrain, "default", terrain).terrain_type == "generator":
            published_rough(cfg)
        return cfg

    # named functions: Isaac Lab prints their names
    def sbx_sac() -> Sb3AgentCfg:
        return off_policy(Sb3OffPolicyCfg())

    def sbx_sac_cpu() -> Sb3AgentCfg:
        cfg: Any = off_policy(Sb3OffPolicyCfg())
        native: Any = load_cfg_from_registry(task, "rsl_rl_sac_cpu_cfg_entry_point")
        fit_to_cpu(cfg, native.algorithm.action_bounds)
        return cfg

    def sbx_tqc() -> Sb3AgentCfg:
        return off_policy(Sb3OffPolicyCfg(algorithm="TQC", top_quantiles_to_drop_per_net=5))

    def sbx_ppo() -> Sb3AgentCfg:
        return common(Sb3PpoCfg())

    def sb3_sac() -> Sb3AgentCfg:
        return off_policy(Sb3TorchSacCfg())

    def sb3_ppo() -> Sb3AgentCfg:
        return common(Sb3PpoCfg(library="sb3"))

    return {
        f"{make.__name__}_cfg_entry_point": make for make in (sbx_sac, sbx_sac_cpu, sbx_tqc, sbx_ppo, sb3_sac, sb3_ppo)
    }


def fit_to_cpu(cfg: Sb3OffPolicyCfg, box: str) -> None:
    """Make a configuration fit for a machine without a GPU, as far as SBX has the options.

    As for the native learner: small networks, few but large steps, held noise, three-step returns, and a small box
    around the default pose. SBX has no options for a quiet start.

    Args:
        cfg: The configuration, changed in place.
        box: The box, such as ``0.25rad``.
    """
    cfg.net_arch = [256, 128, 128]
    cfg.action_bounds = box
    cfg.normalize = "all"
    cfg.learning_rate, cfg.gamma, cfg.tau = 1.0e-3, 0.97, 0.01
    cfg.n_steps, cfg.train_freq, cfg.use_sde, cfg.policy_delay = 3, 10, True, 2
    cfg.replay_ratio = 1 / 64
    cfg.ent_coef = "auto_0.003"
