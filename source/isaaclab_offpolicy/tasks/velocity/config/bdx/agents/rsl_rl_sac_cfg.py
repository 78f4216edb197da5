# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from isaaclab.utils import configclass

from isaaclab_offpolicy.action_bounds import JOINT_LIMITS
from isaaclab_offpolicy.tasks.velocity.rsl_rl_sac_cfg import FlatSACRunnerCfg, RoughSACRunnerCfg, fit_to_cpu


@configclass
class BDXFlatSACRunnerCfg(FlatSACRunnerCfg):
    """SAC for the BD-X-style biped on flat ground."""

    experiment_name: str = "bdx_flat"

    def __post_init__(self):
        super().__post_init__()
        self.algorithm.percentile_bounds = "bdx_flat"


@configclass
class BDXFlatSACCpuRunnerCfg(BDXFlatSACRunnerCfg):
    """The same on a machine without a GPU."""

    def __post_init__(self):
        super().__post_init__()
        fit_to_cpu(self, joints=14)


@configclass
class BDXRoughSACRunnerCfg(RoughSACRunnerCfg):
    """SAC for the BD-X-style biped on rough terrain."""

    experiment_name: str = "bdx_rough"

    def __post_init__(self):
        super().__post_init__()
        # no percentiles are recorded on rough terrain
        self.algorithm.action_bounds = JOINT_LIMITS


@configclass
class BDXRoughSACCpuRunnerCfg(BDXRoughSACRunnerCfg):
    """The same on a machine without a GPU."""

    def __post_init__(self):
        super().__post_init__()
        fit_to_cpu(self, joints=14)
