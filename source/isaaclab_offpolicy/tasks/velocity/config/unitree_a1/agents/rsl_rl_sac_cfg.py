# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from isaaclab.utils import configclass

from isaaclab_offpolicy.algorithms.rsl_rl_cfg import SacRunnerCfg


@configclass
class UnitreeA1FlatSACRunnerCfg(SacRunnerCfg):
    """SAC for A1 on flat ground."""

    experiment_name: str = "unitree_a1_flat"

    def __post_init__(self):
        self.algorithm.action_bounds = "unitree_a1"


@configclass
class UnitreeA1RoughSACRunnerCfg(SacRunnerCfg):
    """SAC for A1 on rough terrain: held noise, three-step returns and wider bounds, as published for ANYmal-C."""

    experiment_name: str = "unitree_a1_rough"
    max_iterations: int = 2000

    def __post_init__(self):
        self.algorithm.action_bounds = "unitree_a1"
        self.algorithm.action_bounds_scale = 1.25
        self.algorithm.train_freq = 10
        self.algorithm.noise_hold = 10
        self.algorithm.n_steps = 3
