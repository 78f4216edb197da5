# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""PPO of rsl_rl with Isaac Lab's configuration for Cassie, its biped without arms."""

from isaaclab.utils import configclass
from isaaclab_tasks.core.velocity.config.cassie.agents import rsl_rl_ppo_cfg as isaaclab_cfg

from isaaclab_offpolicy.engine import default_device


@configclass
class BDXRoughPPORunnerCfg(isaaclab_cfg.CassieRoughPPORunnerCfg):
    device: str = default_device()
    experiment_name: str = "bdx_rough"


@configclass
class BDXFlatPPORunnerCfg(isaaclab_cfg.CassieFlatPPORunnerCfg):
    device: str = default_device()

    def __post_init__(self):
        super().__post_init__()
        self.experiment_name = "bdx_flat"
