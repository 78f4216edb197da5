# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""SAC for velocity tasks; a robot's own configuration adds its name and its action bounds."""

from isaaclab.utils import configclass

from isaaclab_offpolicy.algorithms.rsl_rl_cfg import SacRunnerCfg, SquashedGaussianDistributionCfg


@configclass
class FlatSACRunnerCfg(SacRunnerCfg):
    """SAC on flat ground: the published hyperparameters, which are the defaults."""

    def __post_init__(self):
        pass


def fit_to_cpu(cfg: SacRunnerCfg) -> None:
    """Make a configuration fit for a machine without a GPU, where gradient steps, not the simulation, take the time.

    Smaller networks than the published ones (a gradient step takes 8 ms in place of 17 ms on two cores), three-step
    returns and held noise as published for rough terrain, and an actor updated twice as often. Some 60 gradient steps a
    second are a tenth of what the published hyperparameters were tuned with, so the targets follow four times as fast.
    The actor starts at the default pose, as PPO's does. Measured in docs, "Results".
    """
    cfg.actor.hidden_dims = [128, 128, 128]
    cfg.actor.distribution_cfg = SquashedGaussianDistributionCfg(
        init_std=0.5, init_output_scale=0.01, init_at_zero=True
    )
    cfg.critic.hidden_dims = [256, 128, 128]
    cfg.algorithm.tau = 0.01
    cfg.algorithm.n_steps = 3
    cfg.algorithm.train_freq = 4
    cfg.algorithm.noise_hold = 10
    cfg.algorithm.policy_delay = 4


@configclass
class RoughSACRunnerCfg(SacRunnerCfg):
    """SAC on rough terrain: held noise, three-step returns and wider bounds, as published for ANYmal-C."""

    max_iterations: int = 2000

    def __post_init__(self):
        self.algorithm.action_bounds_scale = 1.25
        self.algorithm.train_freq = 10
        self.algorithm.noise_hold = 10
        self.algorithm.n_steps = 3
