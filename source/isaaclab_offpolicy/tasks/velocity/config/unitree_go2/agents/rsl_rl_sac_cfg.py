# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from isaaclab.utils import configclass

from isaaclab_offpolicy.tasks.velocity.rsl_rl_sac_cfg import FlatSACRunnerCfg, RoughSACRunnerCfg, fit_to_cpu


@configclass
class UnitreeGo2FlatSACRunnerCfg(FlatSACRunnerCfg):
    """SAC for Go2 on flat ground."""

    experiment_name: str = "unitree_go2_flat"

    def __post_init__(self):
        super().__post_init__()
        self.algorithm.percentile_bounds = "unitree_go2_flat"


@configclass
class UnitreeGo2FlatSACCpuRunnerCfg(UnitreeGo2FlatSACRunnerCfg):
    """The same on a machine without a GPU."""

    def __post_init__(self):
        super().__post_init__()
        fit_to_cpu(self)


@configclass
class UnitreeGo2RoughSACRunnerCfg(RoughSACRunnerCfg):
    """SAC for Go2 on rough terrain."""

    experiment_name: str = "unitree_go2_rough"

    def __post_init__(self):
        super().__post_init__()
        self.algorithm.percentile_bounds = "unitree_a1"


@configclass
class UnitreeGo2RoughSACCpuRunnerCfg(UnitreeGo2RoughSACRunnerCfg):
    """The same on a machine without a GPU."""

    def __post_init__(self):
        super().__post_init__()
        fit_to_cpu(self)
