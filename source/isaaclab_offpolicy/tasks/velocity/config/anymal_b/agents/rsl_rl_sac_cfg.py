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
class AnymalBFlatSACRunnerCfg(FlatSACRunnerCfg):
    """SAC for ANYmal-B on flat ground."""

    experiment_name: str = "anymal_b_flat"

    def __post_init__(self):
        super().__post_init__()
        self.algorithm.action_bounds = f"{ANYDRIVE_BOX:g}rad"
        self.algorithm.percentile_bounds = "anymal_b_flat"


@configclass
class AnymalBFlatSACCpuRunnerCfg(AnymalBFlatSACRunnerCfg):
    """The same on a machine without a GPU."""

    def __post_init__(self):
        super().__post_init__()
        fit_to_cpu(self, box=ANYDRIVE_BOX)


@configclass
class AnymalBRoughSACRunnerCfg(RoughSACRunnerCfg):
    """SAC for ANYmal-B on rough terrain."""

    experiment_name: str = "anymal_b_rough"

    def __post_init__(self):
        super().__post_init__()
        self.algorithm.percentile_bounds = "anymal"


@configclass
class AnymalBRoughSACCpuRunnerCfg(AnymalBRoughSACRunnerCfg):
    """The same on a machine without a GPU."""

    def __post_init__(self):
        super().__post_init__()
        fit_to_cpu(self, box=ANYDRIVE_BOX)
