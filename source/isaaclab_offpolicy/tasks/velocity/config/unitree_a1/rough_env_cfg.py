# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from isaaclab.utils import configclass
from isaaclab_tasks.contrib.velocity.config.a1 import rough_env_cfg as isaaclab_cfg

from isaaclab_offpolicy.robots.unitree_a1 import UNITREE_A1_CFG, UNITREE_A1_NUCLEUS_CFG
from isaaclab_offpolicy.tasks.velocity.offpolicy import adapt


@configclass
class UnitreeA1RoughEnvCfg(isaaclab_cfg.UnitreeA1RoughEnvCfg):
    """Unitree A1 on rough terrain: Isaac Lab's own task, adapted."""

    def __post_init__(self):
        super().__post_init__()

        adapt(self, UNITREE_A1_CFG, UNITREE_A1_NUCLEUS_CFG)
