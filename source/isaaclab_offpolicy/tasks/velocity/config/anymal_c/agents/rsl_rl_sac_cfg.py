# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from isaaclab.utils import configclass

from isaaclab_offpolicy.tasks.velocity.rsl_rl_sac_cfg import (
    ANYDRIVE_BOX,
    FlatSACRunnerCfg,
    RoughSACRunnerCfg,
    fit_to_cpu,
)


@configclass
class AnymalCFlatSACRunnerCfg(FlatSACRunnerCfg):
    """SAC for ANYmal-C on flat ground."""

    experiment_name: str = "anymal_c_flat"

    def __post_init__(self):
        super().__post_init__()
        self.algorithm.action_bounds = f"{ANYDRIVE_BOX:g}rad"
        self.algorithm.percentile_bounds = "anymal_c_flat"


@configclass
class AnymalCFlatSACCpuRunnerCfg(AnymalCFlatSACRunnerCfg):
    """The same on a machine without a GPU."""

    def __post_init__(self):
        super().__post_init__()
        fit_to_cpu(self, box=ANYDRIVE_BOX)


@configclass
class AnymalCRoughSACRunnerCfg(RoughSACRunnerCfg):
    """SAC for ANYmal-C on rough terrain."""

    experiment_name: str = "anymal_c_rough"

    def __post_init__(self):
        super().__post_init__()
        self.algorithm.percentile_bounds = "anymal"


@configclass
class AnymalCRoughSACCpuRunnerCfg(AnymalCRoughSACRunnerCfg):
    """The same on a machine without a GPU."""

    def __post_init__(self):
        super().__post_init__()
        fit_to_cpu(self, box=ANYDRIVE_BOX)
