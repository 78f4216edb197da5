# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from isaaclab.utils import configclass

from isaaclab_offpolicy.tasks.velocity.rsl_rl_sac_cfg import FlatSACRunnerCfg, RoughSACRunnerCfg, fit_to_cpu


@configclass
class UnitreeA1FlatSACRunnerCfg(FlatSACRunnerCfg):
    """SAC for A1 on flat ground."""

    experiment_name: str = "unitree_a1_flat"

    def __post_init__(self):
        super().__post_init__()
        self.algorithm.percentile_bounds = "unitree_a1_flat"


@configclass
class UnitreeA1FlatSACCpuRunnerCfg(UnitreeA1FlatSACRunnerCfg):
    """The same on a machine without a GPU."""

    def __post_init__(self):
        super().__post_init__()
        fit_to_cpu(self)


@configclass
class UnitreeA1RoughSACRunnerCfg(RoughSACRunnerCfg):
    """SAC for A1 on rough terrain."""

    experiment_name: str = "unitree_a1_rough"

    def __post_init__(self):
        super().__post_init__()
        self.algorithm.percentile_bounds = "unitree_a1"


@configclass
class UnitreeA1RoughSACCpuRunnerCfg(UnitreeA1RoughSACRunnerCfg):
    """The same on a machine without a GPU."""

    def __post_init__(self):
        super().__post_init__()
        fit_to_cpu(self)
