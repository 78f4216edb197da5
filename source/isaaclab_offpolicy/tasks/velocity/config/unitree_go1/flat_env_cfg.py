# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from isaaclab.utils import configclass
from isaaclab_tasks.contrib.velocity.config.go1 import flat_env_cfg as isaaclab_cfg

from isaaclab_offpolicy.robots.unitree_go1 import UNITREE_GO1_CFG, UNITREE_GO1_NUCLEUS_CFG
from isaaclab_offpolicy.tasks.velocity.offpolicy import adapt


@configclass
class UnitreeGo1FlatEnvCfg(isaaclab_cfg.UnitreeGo1FlatEnvCfg):
    """Unitree Go1 on flat ground: Isaac Lab's own task, adapted."""

    def __post_init__(self):
        super().__post_init__()

        adapt(self, UNITREE_GO1_CFG, UNITREE_GO1_NUCLEUS_CFG)
