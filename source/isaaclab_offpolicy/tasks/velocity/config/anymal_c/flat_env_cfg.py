# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from isaaclab.utils import configclass
from isaaclab_tasks.contrib.velocity.config.anymal_c import flat_env_cfg as isaaclab_cfg

from isaaclab_offpolicy.robots.anymal_c import ANYMAL_C_CFG, ANYMAL_C_NUCLEUS_CFG
from isaaclab_offpolicy.tasks.velocity.offpolicy import adapt


@configclass
class AnymalCFlatEnvCfg(isaaclab_cfg.AnymalCFlatEnvCfg):
    """ANYmal-C on flat ground: Isaac Lab's own task, adapted."""

    def __post_init__(self):
        super().__post_init__()

        adapt(self, ANYMAL_C_CFG, ANYMAL_C_NUCLEUS_CFG)
