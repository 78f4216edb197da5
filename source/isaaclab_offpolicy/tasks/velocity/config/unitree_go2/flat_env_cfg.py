# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from isaaclab.utils import configclass
from isaaclab_tasks.core.velocity.config.go2 import flat_env_cfg as isaaclab_cfg

from isaaclab_offpolicy.robots.unitree_go2 import UNITREE_GO2_CFG, UNITREE_GO2_NUCLEUS_CFG
from isaaclab_offpolicy.tasks.velocity.offpolicy import adapt


@configclass
class UnitreeGo2FlatEnvCfg(isaaclab_cfg.UnitreeGo2FlatEnvCfg):
    """Unitree Go2 on flat ground: Isaac Lab's own task, adapted."""

    def __post_init__(self):
        super().__post_init__()

        adapt(self, UNITREE_GO2_CFG, UNITREE_GO2_NUCLEUS_CFG)
