# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Configuration of SAC in the form of Isaac Lab's rsl_rl configurations."""

from __future__ import annotations

from typing import Literal

from isaaclab.utils import configclass
from isaaclab_rl.rsl_rl import RslRlMLPModelCfg, RslRlOnPolicyRunnerCfg

from isaaclab_offpolicy import published
from isaaclab_offpolicy.engine import default_device
from isaaclab_offpolicy.options import check_config
from isaaclab_offpolicy.training.watchdog import STEP_LIMIT

from .temperature import entropy_coef


@configclass
class SquashedGaussianDistributionCfg(RslRlMLPModelCfg.DistributionCfg):
    """Configuration of the actor's distribution."""

    class_name: str = "isaaclab_offpolicy.algorithms:SquashedGaussianDistribution"

    init_std: float | None = None
    """Standard deviation before tanh at the start; None leaves the layer's own initialisation, about 1."""

    init_output_scale: float | None = None
    """Standard deviation of the weights that give the mean at the start; None leaves the layer's own."""

    init_at_zero: bool = False
    """Whether the mean starts around action zero, the default pose, instead of around the middle of the bounds."""

    log_std_range: tuple[float, float] = (-20.0, 2.0)
    """Clamp on the logarithm of the standard deviation."""


@configclass
class SacActorCfg(RslRlMLPModelCfg):
    """Configuration of the actor."""

    hidden_dims: list[int] = list(published.HIDDEN_DIMS)
    activation: str = "elu"
    obs_normalization: bool = True
    distribution_cfg: RslRlMLPModelCfg.DistributionCfg | None = SquashedGaussianDistributionCfg()


@configclass
class SacCriticCfg(RslRlMLPModelCfg):
    """Configuration of the critics."""

    class_name: str = "isaaclab_offpolicy.algorithms:QEnsemble"
    hidden_dims: list[int] = list(published.HIDDEN_DIMS)
    activation: str = "elu"
    obs_normalization: bool = True

    layer_norm: bool = True
    """Whether hidden layers are normalised."""

    n_critics: int = 2
    """Number of Q-functions."""

    init_output_scale: float = 1.0
    """Factor on the initial weights and biases of the last layer; zero starts with Q = 0."""

    predicts: Literal["mean", "quantiles", "categorical", "hl-gauss"] = "mean"
    """What the critics predict of the return: its ``mean``, its ``quantiles`` (TQC), or probabilities of bins, trained
    towards the whole distribution (``categorical``, C51's) or a bell around the mean (``hl-gauss``)."""

    atoms: int | None = None
    """Quantiles or bins of a critic; None takes 25 quantiles, 101 bins, or 151 for HL-Gauss."""

    drop: int = 2
    """Quantiles that are left out for each critic, the highest of all: less overestimation."""

    value_range: tuple[float, float] | None = None
    """Lowest and highest discounted return that bins stand for. None takes ±0.05 / (1 - γ): no velocity task gives
    more than 0.045 a step, the products of weights and step of the control."""


@configclass
class SacAlgorithmCfg:
    """Configuration of SAC. The defaults are the published hyperparameters (:mod:`isaaclab_offpolicy.published`)."""

    class_name: str = "isaaclab_offpolicy.algorithms:SAC"

    action_bounds: str | float = "percentile"
    """Bounds of the actions: ``percentile``, ``symmetric``, ``joint-limits``, ``Xrad``, X, or a file; see
    :func:`~isaaclab_offpolicy.action_bounds.action_bounds`."""

    percentile_bounds: str | None = None
    """The file with the percentiles recorded for the task: what ``percentile`` and ``symmetric`` stand for."""

    percentile_bounds_scale: float = 1.0
    """Factor on these; 1.25 on rough terrain, as published."""

    action_bounds_scale: float = 1.0
    """Factor on the bounds, whatever they are."""

    buffer_size: int = published.BUFFER_SIZE
    """Transitions in the replay buffer, over all environments."""

    replay_storage: Literal["float32", "float16", "uint8"] = "float32"
    """Format of the observations in the replay buffer; see :class:`~isaaclab_offpolicy.replay.ObservationRing`."""

    replay_device: str | None = None
    """Device of the replay buffer, if it is not the learner's: ``cpu`` where the device's memory is too small. The
    transitions of the next phase are then fetched while the environment steps and the learner learns."""

    replay_recency: float = 1.0
    """Exponent of the age of what is sampled: 1 is uniform, 2 takes half of every batch from the newest quarter."""

    replay_newest: float = 1.0
    """Share of all transitions so far, the newest, that is sampled from, until the buffer is full: 0.5 forgets the
    first half of the training as it goes on. 1 samples from all that the buffer holds."""

    save_replay_buffer: bool = True
    """Whether ``train`` writes the replay buffer with each checkpoint, and ``--resume`` goes on with it: 0.5 GB for two
    million transitions on flat ground, up to twice that amid a save. Of one process only."""

    max_replay_file_gb: float = 2.0
    """Largest replay buffer that is written [GB]; a line says that a larger one is not."""

    max_nonfinite: float = 0.05
    """Share of the transitions of the last 100 env steps that may be left out since a number of the environment's is
    not finite; these episodes end. More of them end the training; 0 allows none."""

    batch_size: int = published.BATCH_SIZE
    """Transitions per gradient step."""

    learning_starts: int = published.LEARNING_STARTS
    """Transitions collected with uniform random actions before learning."""

    actor_learning_starts: int = 0
    """Transitions before the actor and the temperature are updated."""

    train_freq: int = 1
    """Env steps (of all environments at once) between two update phases."""

    replay_ratio: float | None = published.REPLAY_RATIO
    """Gradient steps per transition, whatever the number of environments."""

    replay_ratio_end: float | None = None
    """Replay ratio at the end of a linear change over ``schedule_steps`` transitions; None keeps it."""

    gradient_steps: int | None = None
    """Gradient steps per update phase, in place of ``replay_ratio`` (which must be None then)."""

    policy_delay: int = published.POLICY_DELAY
    """Gradient steps of the critics per one of actor and temperature."""

    symmetry: bool = False
    """Whether a random half of every batch is replaced by its mirror image, left to right. The task and the bounds have
    to be symmetric; see :func:`~isaaclab_offpolicy.symmetry.find_symmetry`."""

    normalize: Literal["all", "all-but-height-scan"] = "all"
    """Which observations are normalised, where ``obs_normalization`` is on. The heights of the terrain are 187 of 235
    observations, with a noise of 0.06 m: normalised, they are most of what the networks see."""

    normalize_rewards: bool = False
    """Whether rewards are divided by the spread of the returns so far, so that values have the same size on every task;
    see :class:`~.reward_scale.RewardScale`. A fixed temperature then counts in these units."""

    n_steps: int = 1
    """Steps of the return. The published recipe takes 3 on rough terrain."""

    gamma: float = published.GAMMA
    """Discount factor."""

    tau: float = published.TAU
    """Step of the target networks towards the critics at each gradient step."""

    ent_coef: str | float = published.ENT_COEF
    """Temperature: ``"auto"`` learns it from 1, ``"auto_X"`` from X, a number keeps it."""

    target_entropy: str | float = "auto"
    """Target entropy of the normalised action [nats], for a learned temperature; "auto" is minus the joints' number."""

    learning_rate: float = published.LEARNING_RATE
    """Learning rate of actor, critics and temperature."""

    actor_learning_rate: float | None = None
    """Learning rate of the actor, if it has one of its own."""

    learning_rate_end: float = 0.0
    """Learning rate at the end of a linear schedule."""

    schedule: Literal["constant", "linear"] = "constant"
    """Schedule of the learning rate."""

    schedule_steps: int = 0
    """Transitions over which a linear schedule of learning rate or replay ratio goes; 0 takes the whole training
    (``max_iterations``)."""

    weight_decay: float = 1.0e-4
    """Decoupled weight decay of actor and critics (optax's default, which the published results used)."""

    q_aggregation: Literal["min", "mean"] = "min"
    """What stands for the value of several critics: their minimum (clipped double Q-learning) or their mean."""

    max_grad_norm: float | None = None
    """Norm to which gradients are clipped; None does not clip."""

    noise: Literal["white", "held", "zeta", "pink", "gsde"] = "held"
    """Exploration noise: ``white`` is new at each step, ``held`` stays for ``noise_hold`` steps, ``zeta`` for 1 to
    ``noise_hold`` steps, mostly few (FlashSAC's, with 16), ``pink`` has a power of one over the frequency,
    ``gsde`` is a function of the state that stays for ``noise_hold`` steps; see
    :mod:`~isaaclab_offpolicy.exploration`."""

    noise_hold: int = 1
    """Env steps for which held noise lasts. The published recipe ("gSDE") takes 10 on rough terrain."""

    noise_scale: tuple[float, float] = (1.0, 1.0)
    """Factors on the policy's standard deviation with which the first and the last environment explore."""

    backend: Literal["auto", "eager", "cpu", "compiled", "cuda-graph"] = "auto"
    """How networks and optimizers are computed: ``eager`` is torch, ``cpu`` has kernels in C++, ``compiled`` takes
    torch's compiler, ``cuda-graph`` captures gradient steps on a GPU (which no GPU has run yet). ``auto`` takes the
    fastest that device and networks allow, and says so where nothing can be compiled."""

    precision: Literal["float32", "tf32", "bfloat16"] = "float32"
    """Precision of the learner's matrix products."""

    deterministic: bool = False
    """Whether two runs with one seed shall be the same to the bit on a GPU, too, as they are on the CPU in any
    case: torch then takes algorithms that sum in a fixed order, in the whole process. Isaac Lab's ``--deterministic``
    asks the simulation for the same."""

    overlap: bool = False
    """Whether gradient steps run in a thread of their own while the environment steps. The policy that acts is then
    that of the update phase before."""

    learner_threads: int | None = None
    """Processor threads of that thread; None leaves torch's number."""

    rnd_cfg: None = None
    """rsl_rl's runner looks for it; SAC has none."""

    symmetry_cfg: None = None
    """rsl_rl's runner looks for it; SAC has none."""


@configclass
class SacRunnerCfg(RslRlOnPolicyRunnerCfg):
    """Configuration of rsl_rl's runner with SAC."""

    device: str = default_device()
    """Device of the learner; by default CUDA where there is one."""

    num_steps_per_env: int = 24
    """Env steps per iteration of the runner. Sets how often it logs, not how SAC learns."""

    max_iterations: int = 1000
    save_interval: int = 50

    step_limit: float | None = STEP_LIMIT
    """Time after which an env step that does not return ends ``scripts/train.py`` [s]; None to wait for ever."""

    keep_checkpoints: int | None = None
    """Newest checkpoints of a training to keep beside the best one; None keeps all, as rsl_rl does."""

    check_for_nan: bool = False
    """Off, since SAC checks every observation, reward and action itself, for infinities, too."""

    obs_groups: dict[str, list[str]] = {"actor": ["policy"], "critic": ["policy"]}
    actor: RslRlMLPModelCfg = SacActorCfg()
    critic: RslRlMLPModelCfg = SacCriticCfg()
    algorithm: SacAlgorithmCfg = SacAlgorithmCfg()  # type: ignore[assignment]


def actor_learning_rate(cfg: SacAlgorithmCfg) -> float:
    """The actor's learning rate, its own or the common one."""
    return cfg.learning_rate if cfg.actor_learning_rate is None else cfg.actor_learning_rate


def check_options(cfg: SacAlgorithmCfg, world_size: int = 1) -> None:
    """Refuse options that SAC cannot be trained with.

    Raises:
        ValueError: With the option's path.
    """
    check_config(cfg, "algorithm")
    if (cfg.replay_ratio is None) == (cfg.gradient_steps is None):
        raise ValueError("give exactly one of replay_ratio and gradient_steps, and None for the other")
    if cfg.replay_ratio_end is not None and cfg.replay_ratio is None:
        raise ValueError("algorithm.replay_ratio_end is the end of replay_ratio, which is None")
    if isinstance(cfg.target_entropy, str) and cfg.target_entropy != "auto":
        raise ValueError(f"algorithm.target_entropy is 'auto' or a number, not '{cfg.target_entropy}'")
    entropy_coef(cfg.ent_coef)
    if cfg.normalize_rewards and world_size > 1:
        raise ValueError("normalize_rewards is for one process: each would divide by another scale")
    if cfg.overlap and world_size > 1:
        raise ValueError("overlap is for one process: ranks exchange gradients and statistics in one order")
