# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from isaaclab.utils import configclass

from isaaclab_offpolicy.algorithms.rsl_rl_cfg import SacRunnerCfg, SquashedGaussianDistributionCfg


@configclass
class UnitreeA1FlatSACRunnerCfg(SacRunnerCfg):
    """SAC for A1 on flat ground."""

    experiment_name: str = "unitree_a1_flat"

    def __post_init__(self):
        self.algorithm.action_bounds = "unitree_a1"


@configclass
class UnitreeA1FlatSACCpuRunnerCfg(UnitreeA1FlatSACRunnerCfg):
    """SAC for A1 on flat ground on a machine without a GPU, where gradient steps, not the simulation, take the time.

    Smaller networks than the published ones (a gradient step takes 8 ms in place of 17 ms on two cores), three-step
    returns and held noise as published for rough terrain, and an actor updated twice as often. Some 60 gradient steps a
    second are a tenth of what the published hyperparameters were tuned with, so the targets follow four times as fast.
    The actor starts at the default pose, as PPO's does. Measured in docs, "Results".
    """

    def __post_init__(self):
        super().__post_init__()
        self.actor.hidden_dims = [128, 128, 128]
        self.actor.distribution_cfg = SquashedGaussianDistributionCfg(
            init_std=0.5, init_output_scale=0.01, init_at_zero=True
        )
        self.critic.hidden_dims = [256, 128, 128]
        self.algorithm.tau = 0.01
        self.algorithm.n_steps = 3
        self.algorithm.train_freq = 4
        self.algorithm.noise_hold = 10
        self.algorithm.policy_delay = 4


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
