# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Configuration of SBX's and Stable-Baselines3's agents, with names as in their constructors."""

from __future__ import annotations

from dataclasses import MISSING
from typing import Literal

from isaaclab.utils import configclass

from isaaclab_offpolicy import published
from isaaclab_offpolicy.training.watchdog import STEP_LIMIT


@configclass
class Sb3AgentCfg:
    """What off-policy agents and PPO have in common."""

    library: Literal["sbx", "sb3"] = "sbx"
    """SBX (JAX), or Stable-Baselines3 (torch)."""

    algorithm: Literal["SAC", "TQC", "PPO"] = MISSING  # type: ignore[assignment]
    """Name of the algorithm's class."""

    experiment_name: str = MISSING  # type: ignore[assignment]
    """Folder of the runs, below ``logs/sbx``."""

    seed: int = 1
    """Seed of agent and environment."""

    total_timesteps: int = 50_000_000
    """Transitions of a training."""

    save_interval: int = 1_000_000
    """Transitions between two checkpoints."""

    keep_checkpoints: int | None = None
    """Newest checkpoints of a training to keep beside the best one; None keeps all."""

    eval_interval: int = 0
    """Transitions between two deterministic evaluations, after which the best model is kept; 0 keeps the one with the
    highest mean return in training. They run in the training's environments, which are reset before and after."""

    eval_episodes: int = 256
    """Episodes of an evaluation."""

    step_limit: float | None = STEP_LIMIT
    """Time after which an env step that does not return ends the training [s]; None to wait for ever."""

    log_interval: int = 20_000
    """Transitions between two rows of the log."""

    action_bounds: str | float = "percentile"
    """As of :func:`~isaaclab_offpolicy.action_bounds.action_bounds`."""

    percentile_bounds: str | None = None
    """What ``percentile`` and ``symmetric`` stand for."""

    percentile_bounds_scale: float = 1.0
    """Factor on these."""

    action_bounds_scale: float = 1.0
    """Factor on the bounds, whatever they are."""

    normalize: Literal["all", "none", "all-but-height-scan"] = "all"
    """Which observations are normalised by their running mean and standard deviation."""

    clip_obs: float = 10.0
    """Bound on normalised observations."""

    net_arch: list[int] = list(published.HIDDEN_DIMS)
    """Widths of the hidden layers of actor and critics."""

    activation: str = "elu"
    """Activation, as flax.linen or torch.nn name it."""

    learning_rate: float = MISSING  # type: ignore[assignment]
    """Learning rate."""

    learning_rate_end: float | None = None
    """Where a linear schedule of the learning rate ends; None keeps it constant."""

    learning_rate_end_fraction: float = 1.0
    """Fraction of the training after which it ends."""

    gamma: float = MISSING  # type: ignore[assignment]
    """Discount factor."""


@configclass
class Sb3OffPolicyCfg(Sb3AgentCfg):
    """SAC and TQC. The defaults are the published hyperparameters (:mod:`isaaclab_offpolicy.published`)."""

    algorithm: Literal["SAC", "TQC", "PPO"] = "SAC"

    layer_norm: bool = True
    """Whether the critics' hidden layers are normalised. SBX only."""

    optimizer: Literal["adam", "adamw"] = "adamw"
    """Optimiser of actor and critics."""

    n_critics: int = 2
    """Number of critics."""

    top_quantiles_to_drop_per_net: int = 2
    """TQC: quantiles that each critic's target leaves out."""

    buffer_size: int = published.BUFFER_SIZE
    """Transitions in the replay buffer, over all environments."""

    save_replay_buffer: bool = True
    """Whether the replay buffer is written with each checkpoint, and ``--resume`` goes on with it: 0.9 GB for two
    million transitions on flat ground and 3.9 GB on rough terrain, up to twice that amid a save."""

    max_replay_file_gb: float = 2.0
    """Largest replay buffer that is written [GB]; a line says that a larger one is not."""

    max_nonfinite: float = 0.05
    """Share of the transitions of the last 100 env steps that may be left out since a number of the environment's is
    not finite; these episodes end. More of them end the training; 0 allows none."""

    batch_size: int = published.BATCH_SIZE
    """Transitions per gradient step."""

    learning_starts: int = published.LEARNING_STARTS
    """Transitions collected with uniform random actions before learning."""

    train_freq: int = 1
    """Env steps between two update phases."""

    replay_ratio: float | None = published.REPLAY_RATIO
    """Gradient steps per transition, whatever the number of environments: an update phase gets the nearest number that
    is a multiple of ``policy_delay``."""

    gradient_steps: int | None = None
    """Gradient steps per update phase, in place of ``replay_ratio`` (which must be None then)."""

    policy_delay: int = published.POLICY_DELAY
    """Gradient steps of the critics per one of actor and temperature."""

    n_steps: int = 1
    """Steps of the return."""

    gamma: float = published.GAMMA
    tau: float = published.TAU
    """Step of the target networks towards the critics at each gradient step."""

    ent_coef: str | float = published.ENT_COEF
    """Temperature: ``"auto"``, ``"auto_X"``, or a number."""

    target_entropy: str | float = "auto"
    """Target entropy of the normalised action [nats], for a learned temperature; "auto" is minus the joints' number."""

    learning_rate: float = published.LEARNING_RATE

    use_sde: bool = False
    """SBX: whether exploration noise is held for the ``train_freq`` steps of an update phase; with sb3 gSDE."""

    sde_sample_freq: int = -1
    """Env steps after which held noise is drawn anew within an update phase; -1 holds it for the phase."""


@configclass
class Sb3TorchSacCfg(Sb3OffPolicyCfg):
    """Stable-Baselines3's own SAC, which has neither delayed actor updates nor layer normalisation.

    Every gradient step updates the actor as well, so that one costs about twice as much.
    """

    library: Literal["sbx", "sb3"] = "sb3"
    policy_delay: int = 1
    layer_norm: bool = False
    replay_ratio: float | None = 8 / 1024


@configclass
class Sb3PpoCfg(Sb3AgentCfg):
    """PPO with the published hyperparameters (4096 environments)."""

    algorithm: Literal["SAC", "TQC", "PPO"] = "PPO"
    action_bounds: str | float = 100.0
    """As good as none, as PPO is used to; percentiles can be recorded from it."""

    n_steps: int = 24
    """Env steps per iteration."""

    n_minibatches: int = 4
    """Minibatches per epoch."""

    n_epochs: int = 5
    """Epochs per iteration."""

    init_std: float = 1.0
    """Standard deviation of the noise at the start, in raw action units.

    A smaller one wants a smaller learning rate: the same step of the mean is a larger KL divergence.
    """

    gae_lambda: float = 0.95
    clip_range: float = 0.2
    ent_coef: float = 0.005
    max_grad_norm: float = 1.0
    gamma: float = 0.99
    learning_rate: float = 1.0e-3
    target_kl: float | None = None
    """SBX: adapts the learning rate to this KL divergence. Stable-Baselines3: ends the epochs beyond it."""


def published_rough(cfg: Sb3OffPolicyCfg) -> None:
    """The published additions for rough terrain (ANYmal-C).

    They are held noise, three-step returns, no normalisation and wider bounds.

    Args:
        cfg: The configuration, changed in place.
    """
    cfg.train_freq, cfg.n_steps, cfg.use_sde = published.ROUGH_TRAIN_FREQ, published.ROUGH_N_STEPS, True
    cfg.normalize = "none"
    cfg.percentile_bounds_scale = published.ROUGH_BOUNDS_SCALE
