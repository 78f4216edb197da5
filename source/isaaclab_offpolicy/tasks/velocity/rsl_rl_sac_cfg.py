# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""SAC for velocity tasks; a robot's own configuration adds its name and its action bounds."""

from isaaclab.utils import configclass

from isaaclab_offpolicy.algorithms.rsl_rl_cfg import SacCriticCfg, SacRunnerCfg, SquashedGaussianDistributionCfg

BOX = 0.25
"""Half width of the box of joint targets [rad] about the default pose, in which robots learn to stand and to walk.

It won over percentiles and joint limits wherever they were compared (docs, "Action bounds").
"""

ANYDRIVE_BOX = 0.5
"""That of robots on ANYdrives [rad].

ANYmal's drives give way under its weight, and noise of 0.05 rad makes ANYmal-C sink by 0.1 m: targets within ±0.25 rad
leave little to pull it up again (docs, "Results").
"""


@configclass
class FlatSACRunnerCfg(SacRunnerCfg):
    """SAC on flat ground: the published hyperparameters, which are the defaults, in a small box."""

    def __post_init__(self):
        self.algorithm.action_bounds = f"{BOX:g}rad"


def fit_to_cpu(cfg: SacRunnerCfg, joints: int = 12, box: float = BOX) -> None:
    """Make a configuration fit for a machine without a GPU, where gradient steps, not the simulation, take the time.

    Networks are smaller than the published ones (a gradient step took half of the time on two cores). Some 60
    gradient steps a second are a tenth of what the published hyperparameters were tuned with, so learning rate, targets
    and actor are faster, and values look less far ahead.

    Exploration starts where the robot stands: the actor at the default pose, with little noise, in a small box around
    it, the critics at Q = 0 and ahead of the actor. In the published box the noise of the start throws the robot over,
    and it learns first of all to crouch, which it does not unlearn. Measured in docs, "Results".

    Args:
        cfg: The configuration, changed in place.
        joints: Number of joints.
        box: Half width of the box of joint targets [rad]. A robot whose joints give way more under its weight needs a
            larger one.
    """
    cfg.actor.hidden_dims = [128, 128, 128]
    cfg.actor.distribution_cfg = SquashedGaussianDistributionCfg(
        # 0.05 rad, in shares of the box
        init_std=0.05 / box,
        init_output_scale=0.01,
        init_at_zero=True,
    )
    assert isinstance(cfg.critic, SacCriticCfg)
    cfg.critic.hidden_dims = [256, 128, 128]
    cfg.critic.init_output_scale = 0.0
    cfg.algorithm.action_bounds = f"{box:g}rad"
    cfg.algorithm.learning_rate = 1.0e-3
    cfg.algorithm.gamma = 0.97
    cfg.algorithm.tau = 0.01
    cfg.algorithm.n_steps = 5
    cfg.algorithm.q_aggregation = "mean"
    cfg.algorithm.train_freq = 4
    cfg.algorithm.policy_delay = 2
    cfg.algorithm.noise_hold = 10
    cfg.algorithm.learning_starts = 256
    cfg.algorithm.actor_learning_starts = 20_000
    cfg.algorithm.ent_coef = "auto_0.003"
    # a standard deviation of 0.15 of the box, which FlashSAC takes, too (arXiv:2604.04539)
    cfg.algorithm.target_entropy = -0.5 * joints


@configclass
class RoughSACRunnerCfg(SacRunnerCfg):
    """SAC on rough terrain: held noise, three-step returns and wider bounds, as published for ANYmal-C."""

    max_iterations: int = 2000

    def __post_init__(self):
        self.algorithm.percentile_bounds_scale = 1.25
        self.algorithm.train_freq = 10
        self.algorithm.noise_hold = 10
        self.algorithm.n_steps = 3
