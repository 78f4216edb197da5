# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from isaaclab.utils import configclass

from isaaclab_offpolicy.robots.bdx import BDX_CFG
from isaaclab_offpolicy.tasks.velocity.offpolicy import adapt

from .bdx_env_cfg import BDXEnvCfg


@configclass
class BDXRoughEnvCfg(BDXEnvCfg):
    """A BD-X-style biped on rough terrain."""

    def __post_init__(self):
        super().__post_init__()

        adapt(self, BDX_CFG)
