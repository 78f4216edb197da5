# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from isaaclab.utils import configclass
from isaaclab_tasks.contrib.velocity.config.go1.rough_env_cfg import (
    UnitreeGo1RoughEnvCfg as IsaacLabUnitreeGo1RoughEnvCfg,
)

from isaaclab_offpolicy.robots.unitree_go1 import UNITREE_GO1_CFG, UNITREE_GO1_NUCLEUS_CFG
from isaaclab_offpolicy.tasks.velocity.offpolicy import adapt


@configclass
class UnitreeGo1RoughEnvCfg(IsaacLabUnitreeGo1RoughEnvCfg):
    """Unitree Go1 on rough terrain: Isaac Lab's own task, adapted."""

    def __post_init__(self):
        super().__post_init__()

        adapt(self, UNITREE_GO1_CFG, UNITREE_GO1_NUCLEUS_CFG)
