# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Configurations of the agents of velocity tasks, made from a :class:`.robots.RobotSpec`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .robots import BOX, RobotSpec

if TYPE_CHECKING:  # rsl_rl takes seconds to import, and who only lists tasks needs none of it
    from isaaclab_offpolicy.algorithms.rsl_rl_cfg import SacRunnerCfg
    from isaaclab_offpolicy.runners.sbx.cfg import Sb3OffPolicyCfg


def agents_of(spec: RobotSpec, rough: bool) -> dict[str, Callable[[], Any]]:
    """Makers of all configurations of a robot's task, by the names under which the task registers them.

    Args:
        spec: The robot.
        rough: Whether the task's terrain is rough.
    """

    # named functions: Isaac Lab prints their names
    def rsl_rl() -> Any:
        return ppo(spec, rough)

    def rsl_rl_sac() -> SacRunnerCfg:
        return sac(spec, rough)

    def rsl_rl_sac_cpu() -> SacRunnerCfg:
        return sac_cpu(sac(spec, rough), spec)

    def rsl_rl_tqc() -> SacRunnerCfg:
        return distributional(rsl_rl_sac(), "quantiles")

    def rsl_rl_tqc_cpu() -> SacRunnerCfg:
        return distributional(rsl_rl_sac_cpu(), "quantiles")

    def rsl_rl_sac_c51() -> SacRunnerCfg:
        return distributional(rsl_rl_sac(), "categorical")

    def rsl_rl_sac_c51_cpu() -> SacRunnerCfg:
        return distributional(rsl_rl_sac_cpu(), "categorical")

    def sbx_sac() -> Sb3OffPolicyCfg:
        return sbx(spec, rough)

    def sbx_sac_cpu() -> Sb3OffPolicyCfg:
        return sbx_cpu(sbx(spec, rough), spec)

    def sbx_tqc() -> Sb3OffPolicyCfg:
        return sbx(spec, rough, algorithm="TQC", top_quantiles_to_drop_per_net=5)

    def sbx_ppo() -> Any:
        return sb3_ppo_of(spec, rough, "sbx")

    def sb3_sac() -> Sb3OffPolicyCfg:
        from isaaclab_offpolicy.runners.sbx.cfg import Sb3TorchSacCfg

        return sbx(spec, rough, kind=Sb3TorchSacCfg)

    def sb3_ppo() -> Any:
        return sb3_ppo_of(spec, rough, "sb3")

    makers = (
        rsl_rl, rsl_rl_sac, rsl_rl_sac_cpu, rsl_rl_tqc, rsl_rl_tqc_cpu, rsl_rl_sac_c51, rsl_rl_sac_c51_cpu,
        sbx_sac, sbx_sac_cpu, sbx_tqc, sbx_ppo, sb3_sac, sb3_ppo,
    )  # fmt: skip
    return {f"{make.__name__}_cfg_entry_point": make for make in makers}


def experiment_of(spec: RobotSpec, rough: bool) -> str:
    """Folder of the runs."""
    return f"{spec.experiment}_{'rough' if rough else 'flat'}"


def ppo(spec: RobotSpec, rough: bool) -> Any:
    """PPO of rsl_rl, as Isaac Lab configures it; only device and folder are this package's."""
    from isaaclab.utils import string_to_callable

    from isaaclab_offpolicy.engine import default_device

    cfg: Any = string_to_callable(spec.ppo.format(terrain="Rough" if rough else "Flat"))()
    cfg.device, cfg.experiment_name = default_device(), experiment_of(spec, rough)
    return cfg


def sac(spec: RobotSpec | None, rough: bool) -> SacRunnerCfg:
    """SAC with the published hyperparameters (agent ``sac-gpu``).

    Actions are bounded to ±``spec.box`` around the default pose on flat ground (0.25 rad; ANYmal 0.5 rad), on rough
    terrain by percentiles of a trained PPO policy's actions.

    Args:
        spec: The robot; None is one of which nothing is known, whose actions are bounded by its joint limits.
        rough: Whether to make the published additions for rough terrain.
    """
    from isaaclab_offpolicy import published
    from isaaclab_offpolicy.action_bounds import JOINT_LIMITS
    from isaaclab_offpolicy.algorithms.rsl_rl_cfg import SacRunnerCfg

    cfg = SacRunnerCfg()
    if rough:
        cfg.max_iterations = 2000
        cfg.algorithm.percentile_bounds_scale = published.ROUGH_BOUNDS_SCALE
        cfg.algorithm.train_freq = cfg.algorithm.noise_hold = published.ROUGH_TRAIN_FREQ
        cfg.algorithm.n_steps = published.ROUGH_N_STEPS
        # the reference normalises nothing on rough terrain; docs, "Notes on rough terrain"
        cfg.algorithm.normalize = "all-but-height-scan"
    if spec is None:
        cfg.algorithm.action_bounds = JOINT_LIMITS
        return cfg
    cfg.experiment_name = experiment_of(spec, rough)
    # on flat ground only for those who ask for --bounds percentile
    cfg.algorithm.percentile_bounds = spec.rough_percentiles if rough else spec.flat_percentiles
    if not rough:
        cfg.algorithm.action_bounds = f"{spec.box:g}rad"
    elif spec.rough_percentiles is None:
        cfg.algorithm.action_bounds = JOINT_LIMITS
    return cfg


def sac_cpu(cfg: SacRunnerCfg, spec: RobotSpec | None = None) -> SacRunnerCfg:
    """Make a configuration fit for a machine without a GPU, where gradient steps, not the simulation, take the time.

    Networks are smaller than the published ones (a gradient step took half of the time on two cores). Some 60
    gradient steps a second are a tenth of what the published hyperparameters were tuned with, so learning rate, targets
    and actor are faster, and values look less far ahead.

    Exploration starts where the robot stands: the actor at the default pose, with small ``init_std``, within small
    bounds around it, the critics at Q = 0 and ahead of the actor. In the published bounds the noise of the start
    throws the robot over, and it learns first of all to crouch, which it does not unlearn (docs, "Benchmarks").

    Args:
        cfg: The configuration, changed in place.
        spec: The robot; None keeps twelve joints and the common half-range.

    Returns:
        The same configuration.
    """
    from isaaclab_offpolicy.algorithms.rsl_rl_cfg import SacCriticCfg, SquashedGaussianDistributionCfg

    box, joints = (BOX, 12) if spec is None else (spec.box, spec.joints)
    cfg.actor.hidden_dims = [128, 128, 128]
    cfg.actor.distribution_cfg = SquashedGaussianDistributionCfg(
        # 0.05 rad, as a fraction of the half-range
        init_std=0.05 / box,
        init_output_scale=0.01,
        init_at_zero=True,
    )
    assert isinstance(cfg.critic, SacCriticCfg)
    cfg.critic.hidden_dims = [256, 128, 128]
    cfg.critic.init_output_scale = 0.0
    algorithm = cfg.algorithm
    algorithm.action_bounds = f"{box:g}rad"
    algorithm.learning_rate, algorithm.gamma, algorithm.tau = 1.0e-3, 0.97, 0.01
    algorithm.n_steps, algorithm.q_aggregation = 5, "mean"
    algorithm.train_freq, algorithm.policy_delay, algorithm.noise_hold = 4, 2, 10
    algorithm.learning_starts, algorithm.actor_learning_starts = 256, 20_000
    algorithm.ent_coef = "auto_0.003"
    # a standard deviation of 0.15 of the half-range, which FlashSAC takes, too (arXiv:2604.04539)
    algorithm.target_entropy = -0.5 * joints
    return cfg


def distributional(cfg: SacRunnerCfg, predicts: str) -> SacRunnerCfg:
    """Let the critics predict the distribution of the return, as TQC (``quantiles``) and C51 (``categorical``).

    Args:
        cfg: The configuration, changed in place.
        predicts: What they predict; see :class:`~isaaclab_offpolicy.algorithms.rsl_rl_cfg.SacCriticCfg`.

    Returns:
        The same configuration.
    """
    cfg.critic.predicts = predicts  # type: ignore[attr-defined]
    if predicts == "quantiles":
        cfg.algorithm.q_aggregation = "mean"  # TQC leaves out quantiles of all critics together
    return cfg


def sbx(spec: RobotSpec, rough: bool, kind: type[Sb3OffPolicyCfg] | None = None, **options: Any) -> Sb3OffPolicyCfg:
    """SAC or TQC of SBX or Stable-Baselines3 as published, within the published percentiles.

    Args:
        spec: The robot.
        rough: Whether to make the published additions for rough terrain.
        kind: Class of the configuration; None is SBX's.
        options: Fields of the configuration.
    """
    from isaaclab_offpolicy.action_bounds import JOINT_LIMITS, PERCENTILE
    from isaaclab_offpolicy.runners.sbx.cfg import Sb3OffPolicyCfg, published_rough

    cfg = (kind or Sb3OffPolicyCfg)(experiment_name=experiment_of(spec, rough), **options)
    cfg.percentile_bounds = spec.rough_percentiles if rough else spec.published_percentiles
    cfg.action_bounds = PERCENTILE if cfg.percentile_bounds else JOINT_LIMITS
    if rough:
        published_rough(cfg)
    return cfg


def sbx_cpu(cfg: Sb3OffPolicyCfg, spec: RobotSpec) -> Sb3OffPolicyCfg:
    """Make a configuration fit for a machine without a GPU, as far as SBX has the options.

    As for :func:`sac_cpu`: small networks, few but large steps, held noise, three-step returns, and small bounds around
    the default pose. SBX has no options for a start with little noise.

    Args:
        cfg: The configuration, changed in place.
        spec: The robot.

    Returns:
        The same configuration.
    """
    cfg.net_arch = [256, 128, 128]
    cfg.action_bounds = f"{spec.box:g}rad"
    cfg.normalize = "all"
    cfg.learning_rate, cfg.gamma, cfg.tau = 1.0e-3, 0.97, 0.01
    cfg.n_steps, cfg.train_freq, cfg.use_sde, cfg.policy_delay = 3, 10, True, 2
    cfg.replay_ratio = 1 / 64
    cfg.ent_coef = "auto_0.003"
    return cfg


def sb3_ppo_of(spec: RobotSpec, rough: bool, library: str) -> Any:
    """PPO of SBX or Stable-Baselines3."""
    from isaaclab_offpolicy.runners.sbx.cfg import Sb3PpoCfg

    cfg: Any = Sb3PpoCfg(library=library, experiment_name=experiment_of(spec, rough))  # type: ignore[arg-type]
    cfg.percentile_bounds = spec.rough_percentiles if rough else spec.published_percentiles
    return cfg
