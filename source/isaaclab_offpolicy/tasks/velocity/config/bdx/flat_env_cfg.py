# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

# Isaac Lab switches terms off by None, which its annotations do not tell
# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false

from isaaclab.utils import configclass

from isaaclab_offpolicy.robots.bdx import BDX_CFG
from isaaclab_offpolicy.tasks.velocity.offpolicy import adapt

from .bdx_env_cfg import BDXEnvCfg


@configclass
class BDXFlatEnvCfg(BDXEnvCfg):
    """A BD-X-style biped on flat ground."""

    def __post_init__(self):
        super().__post_init__()

        # physics
        newton_mjwarp = self.sim.physics.newton_mjwarp
        newton_mjwarp.solver_cfg.njmax = 60
        newton_mjwarp.solver_cfg.nconmax = 25
        # scene
        self.scene.terrain.terrain_type = "plane"
        self.scene.terrain.terrain_generator = None
        self.scene.height_scanner = None
        # observations
        self.observations.policy.height_scan = None
        # rewards
        self.rewards.flat_orientation_l2.weight = -2.5
        # curriculum
        self.curriculum.terrain_levels = None

        adapt(self, BDX_CFG)
