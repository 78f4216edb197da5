# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from isaaclab.utils import configclass
from isaaclab_tasks.contrib.velocity.config.anymal_b.rough_env_cfg import (
    AnymalBRoughEnvCfg as IsaacLabAnymalBRoughEnvCfg,
)

from isaaclab_offpolicy.robots.anymal_b import ANYMAL_B_CFG, ANYMAL_B_NUCLEUS_CFG
from isaaclab_offpolicy.tasks.velocity.offpolicy import adapt


@configclass
class AnymalBRoughEnvCfg(IsaacLabAnymalBRoughEnvCfg):
    """ANYmal-B on rough terrain: Isaac Lab's own task, adapted."""

    def __post_init__(self):
        super().__post_init__()

        adapt(self, ANYMAL_B_CFG, ANYMAL_B_NUCLEUS_CFG)
