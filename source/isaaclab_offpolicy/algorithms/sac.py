# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Soft actor-critic as an algorithm of rsl_rl's runner."""

from __future__ import annotations

import copy
import os
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any, cast

import torch
from rsl_rl.env import VecEnv
from rsl_rl.models import MLPModel
from rsl_rl.modules import EmpiricalNormalization
from rsl_rl.utils import resolve_class, resolve_obs_groups
from tensordict import TensorDict
from torch import nn

from isaaclab_offpolicy.action_bounds import ActionBounds, BoundsError, action_bounds

from .critic import QEnsemble
from .distribution import SquashedGaussianDistribution
from .exploration import HeldNoise
from .normalization import update_statistics
from .replay_buffer import Prefetch, ReplayBuffer
from .saturation import SaturationMonitor
from .temperature import EntropyCoef
from .update import CRITIC_METRICS, ActorBatch, Batches, CriticBatch, make_update

RESUME_VECTOR_STEPS = 100
"""Vector steps that fill an empty replay buffer before a resumed training learns: two seconds of simulated time."""


class NonFiniteError(ValueError):
    """An observation, reward, action or loss that is not finite."""


class SAC:
    """Soft actor-critic (Haarnoja et al. 2018) for many parallel environments.

    Plugs into rsl_rl's ``OnPolicyRunner`` as ``class_name = "isaaclab_offpolicy.algorithms:SAC"``. The runner calls
    :meth:`act`, steps the environment and calls :meth:`process_env_step`, which stores the transitions and learns every
    ``train_freq`` vector steps, whatever the runner's ``num_steps_per_env``; :meth:`update`, which the runner calls
    after each of its iterations, reports what happened since the last one.

    Args:
        actor: rsl_rl's model with a :class:`SquashedGaussianDistribution`.
        critic: The Q-functions.
        storage: Replay buffer; its γ and number of steps are those of the learner.
        critic_obs_normalizer: Normaliser of the critics' observations; the actor's own where both see the same.
        critic_obs_groups: Observation groups of the critics.
        bounds: Bounds of the actions, in the order of the environment's joints.
        batch_size: Transitions per gradient step.
        learning_starts: Transitions collected with uniform random actions before learning.
        actor_learning_starts: Transitions before the actor and the temperature are updated, so that the critics know
            something before the actor climbs them.
        train_freq: Vector steps between two rounds of learning.
        replay_ratio: Gradient steps per transition; with it the number of environments does not change the algorithm.
        gradient_steps: Gradient steps per round instead, as in SB3. Exactly one of the two is given.
        policy_delay: Gradient steps of the critics per one of actor and temperature.
        tau: Share of the critics that enters the target networks at each gradient step.
        ent_coef: ``"auto"``, ``"auto_X"`` or a number: the temperature.
        target_entropy: Entropy of the unit action that a learned temperature aims at [nats]; ``"auto"`` is minus the
            number of joints.
        learning_rate: Learning rate of actor, critics and temperature.
        actor_learning_rate: Learning rate of the actor, if it has one of its own; a schedule lets it fall as well.
        learning_rate_end: Learning rate at the end of a linear schedule.
        schedule: ``"constant"`` or ``"linear"``.
        schedule_steps: Transitions over which a linear schedule falls, counted anew when a training is resumed.
        weight_decay: Decoupled weight decay of AdamW on actor and critics (optax's default, 1e-4).
        q_aggregation: What stands for the value of several critics: their ``"min"`` (clipped double Q-learning,
            Fujimoto et al. 2018) or their ``"mean"``.
        max_grad_norm: Norm to which gradients are clipped; None does not clip.
        noise_hold: Vector steps for which exploration noise is held.
        update: How gradient steps are computed, one of :data:`~.update.UPDATES`; see :func:`~.update.make_update`.
        world_size: Processes that learn together, each with its own environments and replay buffer. Gradients are
            averaged over them: a gradient step is one with ``world_size`` times ``batch_size`` transitions. All counts
            of transitions are those of one process.
        precision: Precision of the learner's matrix products, one of :data:`~.update.PRECISIONS`.
        deterministic: Whether torch shall take algorithms whose results do not depend on which thread is faster, in the
            whole process, and warn where it has none. On the CPU it does so in any case.
        overlap: Whether gradient steps run in a thread of their own while the environment steps. The policy that acts
            is then that of the round of learning before; when a round ends is fixed, so that nothing depends on how
            fast the thread is. As long as programs are still compiled or captured the environment waits for them.
        learner_threads: Processor threads of that thread; None leaves torch's number.
        prefetch: Whether the next round's transitions are gathered in a thread; see :class:`~.replay_buffer.Prefetch`.
        save_replay_buffer: Whether the runner is to write the replay buffer beside the newest checkpoint.
        noise_scale: Factors on the policy's standard deviation with which the first and the last environment explore;
            those between are spaced evenly. What is learned is the policy's own standard deviation all the same.
        device: Device of the learner.
    """

    def __init__(
        self,
        actor: MLPModel,
        critic: QEnsemble,
        storage: ReplayBuffer,
        critic_obs_normalizer: nn.Module,
        critic_obs_groups: Sequence[str],
        bounds: ActionBounds,
        batch_size: int = 512,
        learning_starts: int = 2000,
        actor_learning_starts: int = 0,
        train_freq: int = 1,
        replay_ratio: float | None = 32 / 1024,
        gradient_steps: int | None = None,
        policy_delay: int = 8,
        tau: float = 0.0023055561,
        ent_coef: str | float = "auto_0.00947178",
        target_entropy: str | float = "auto",
        learning_rate: float = 4.4689099625712413e-4,
        actor_learning_rate: float | None = None,
        learning_rate_end: float = 0.0,
        schedule: str = "constant",
        schedule_steps: int = 0,
        weight_decay: float = 1.0e-4,
        q_aggregation: str = "min",
        max_grad_norm: float | None = None,
        noise_hold: int = 1,
        noise_scale: tuple[float, float] = (1.0, 1.0),
        update: str = "auto",
        precision: str = "float32",
        world_size: int = 1,
        deterministic: bool = False,
        overlap: bool = False,
        learner_threads: int | None = None,
        prefetch: bool = False,
        save_replay_buffer: bool = False,
        device: str = "cpu",
    ) -> None:
        if (replay_ratio is None) == (gradient_steps is None):
            raise ValueError("give exactly one of replay_ratio and gradient_steps, and None for the other")
        if schedule not in ("constant", "linear"):
            raise ValueError(f"schedule is 'constant' or 'linear', not '{schedule}'")
        if overlap and world_size > 1:
            raise ValueError("overlap is for one process: ranks exchange gradients and statistics in one order")
        if save_replay_buffer and world_size > 1:
            raise ValueError("save_replay_buffer is for one process: each rank has a replay buffer of its own")
        if min(train_freq, policy_delay, batch_size) < 1:
            raise ValueError("train_freq, policy_delay and batch_size must be at least 1")
        if not isinstance(actor.distribution, SquashedGaussianDistribution):
            raise ValueError("the actor needs a distribution_cfg of class SquashedGaussianDistribution")
        if deterministic:
            _ask_for_determinism()
        self.device = torch.device(device)
        self.actor = actor.to(device)
        self.critic = critic.to(device)
        self.critic_target = copy.deepcopy(self.critic).requires_grad_(False)
        self.critic_obs_normalizer = critic_obs_normalizer.to(device)
        self.critic_obs_groups = list(critic_obs_groups)
        self.distribution = actor.distribution
        self.storage, self.save_replay_buffer = storage, save_replay_buffer
        self.bounds = bounds
        self.noise = HeldNoise(storage.num_envs, actor.distribution.output_dim, noise_hold, noise_scale, device)
        self.saturation = SaturationMonitor(actor.distribution.output_dim, device=device)
        self.entropy_coef = EntropyCoef(ent_coef).to(device)
        is_auto = isinstance(target_entropy, str)
        if is_auto and target_entropy != "auto":
            raise ValueError(f"target_entropy is 'auto' or a number, not '{target_entropy}'")
        self.target_entropy = -float(actor.distribution.output_dim) if is_auto else float(target_entropy)

        fused = self.device.type in ("cpu", "cuda")
        self.actor_parameters: list[torch.Tensor] = [p for p in self.actor.parameters() if p.requires_grad]
        self.critic_parameters: list[torch.Tensor] = list(self.critic.parameters())
        self.target_parameters: list[torch.Tensor] = list(self.critic_target.parameters())
        adamw: dict[str, Any] = {"weight_decay": weight_decay, "fused": fused}
        self.actor_learning_rate_factor = (actor_learning_rate or learning_rate) / learning_rate
        actor_lr = self.actor_learning_rate_factor * learning_rate
        self.actor_optimizer = torch.optim.AdamW(self.actor_parameters, lr=actor_lr, **adamw)
        self.critic_optimizer = torch.optim.AdamW(self.critic_parameters, lr=learning_rate, **adamw)
        coef_parameters = list(self.entropy_coef.parameters())
        self.entropy_optimizer = (
            torch.optim.Adam(coef_parameters, lr=learning_rate, fused=fused) if coef_parameters else None
        )

        self.updater = make_update(
            update,
            actor=self.actor.mlp,
            distribution=self.distribution,
            critic=self.critic,
            critic_target=self.critic_target,
            entropy_coef=self.entropy_coef,
            target_entropy=self.target_entropy,
            actor_optimizer=self.actor_optimizer,
            critic_optimizer=self.critic_optimizer,
            entropy_optimizer=self.entropy_optimizer,
            tau=tau,
            q_aggregation=q_aggregation,
            max_grad_norm=max_grad_norm,
            world_size=world_size,
            precision=precision,
        )
        self.batch_size, self.learning_starts, self.train_freq = batch_size, learning_starts, train_freq
        self.policy_delay, self.actor_learning_starts = policy_delay, actor_learning_starts
        self.schedule, self.schedule_steps = schedule, schedule_steps
        self.initial_learning_rate, self.final_learning_rate = learning_rate, learning_rate_end
        self.learning_rate = learning_rate

        self.bounds_error: BoundsError | None = None
        """Why the configuration's bounds cannot be used, as long as no checkpoint's have replaced them."""

        self.num_timesteps = 0
        """Transitions seen since the start of the first training."""
        self.num_updates = 0
        """Gradient steps of the critics since then."""
        self._vector_steps = 0
        self._steps_owed = 0.0
        if gradient_steps is not None:
            self._steps_per_round = float(gradient_steps)
        else:
            assert replay_ratio is not None
            self._steps_per_round = replay_ratio * storage.num_envs * train_freq
        # only where the replay lies elsewhere is it worth a thread
        self._prefetch = Prefetch(storage, self.device) if prefetch else None
        self._uniform_until = learning_starts
        self._learn_from = learning_starts
        self._schedule_start = 0
        self._unit_action: torch.Tensor | None = None
        self._begun = False
        self._metrics = _Means()
        self._learner: ThreadPoolExecutor | None = None
        self._stream: torch.cuda.Stream | None = None
        self._in_use: tuple[Batches, ...] = ()
        self._learning: Future[None] | None = None
        self._acting = self.actor.mlp
        if overlap:
            threads = learner_threads or torch.get_num_threads()
            self._learner = ThreadPoolExecutor(1, "learner", torch.set_num_threads, (threads,))
            # threads begin on the default stream, which is the simulation's
            self._stream = torch.cuda.Stream(self.device) if self.device.type == "cuda" else None
            self._acting = copy.deepcopy(self.actor.mlp).requires_grad_(False)
        self._policy = self.updater.inference(self._acting)
        self._last_report = (time.perf_counter(), 0, 0)

    # -- the runner's interface

    @staticmethod
    def construct_algorithm(obs: TensorDict, env: VecEnv, cfg: dict, device: str) -> SAC:
        """Build actor, critics and replay buffer from the runner's configuration."""
        alg_class, alg_cfg = resolve_class(cfg["algorithm"])
        actor_class, actor_cfg = resolve_class(cfg["actor"])
        critic_class, critic_cfg = resolve_class(cfg["critic"])
        for key in ("rnd_cfg", "symmetry_cfg"):
            if alg_cfg.pop(key, None) is not None:
                raise ValueError(f"SAC has no {key.removesuffix('_cfg')}; leave algorithm.{key} at None")
        alg_cfg["world_size"] = (cfg.get("multi_gpu") or {"world_size": 1})["world_size"]
        cfg["obs_groups"] = resolve_obs_groups(obs, cfg["obs_groups"], ["actor", "critic"])

        spec, scale = alg_cfg.pop("action_bounds"), alg_cfg.pop("action_bounds_scale", 1.0)
        percentiles = alg_cfg.pop("percentile_bounds", None), alg_cfg.pop("percentile_bounds_scale", 1.0)
        bounds_error = None
        try:
            bounds = action_bounds(env, spec, scale, *percentiles)
            print(_describe(bounds))
        except BoundsError as error:
            # not before training: a checkpoint brings its own
            bounds, bounds_error = action_bounds(env, 1.0), error
        actor_cfg["distribution_cfg"] |= {"low": bounds.low, "high": bounds.high, "joint_names": bounds.joint_names}
        actor: MLPModel = actor_class(obs, cfg["obs_groups"], "actor", env.num_actions, **actor_cfg)
        critic_groups: list[str] = cfg["obs_groups"]["critic"]
        critic_obs_dim = sum(obs[group].shape[-1] for group in critic_groups)
        normalize_critic = critic_cfg.pop("obs_normalization", False)
        critic_cfg.pop("distribution_cfg", None)
        critic: QEnsemble = critic_class(critic_obs_dim, env.num_actions, **critic_cfg)
        print(f"Actor: {actor}\nCritic: {critic}")
        if not normalize_critic:
            normalizer: nn.Module = nn.Identity()
        elif actor.obs_normalization and critic_groups == actor.obs_groups:
            normalizer = actor.obs_normalizer
        else:
            normalizer = EmpiricalNormalization(critic_obs_dim)

        replay_device = alg_cfg.pop("replay_device", None)
        alg_cfg["prefetch"] = replay_device is not None
        groups = dict.fromkeys([*actor.obs_groups, *critic_groups])
        storage = ReplayBuffer(
            alg_cfg.pop("buffer_size"),
            env.num_envs,
            {group: obs[group].shape[-1] for group in groups},
            env.num_actions,
            alg_cfg.pop("n_steps"),
            alg_cfg.pop("gamma"),
            replay_device or device,
            alg_cfg.pop("replay_storage", "float32"),
            pinned=torch.device(device).type == "cuda" and torch.device(replay_device or device).type == "cpu",
        )
        if alg_cfg.get("schedule") == "linear" and not alg_cfg.get("schedule_steps"):
            alg_cfg["schedule_steps"] = cfg["max_iterations"] * cfg["num_steps_per_env"] * env.num_envs
        _request_final_observations(env)
        alg = alg_class(actor, critic, storage, normalizer, critic_groups, bounds, device=device, **alg_cfg)
        alg.bounds_error = bounds_error
        return alg

    def act(self, obs: TensorDict) -> torch.Tensor:
        """Actions for exploration: uniform in the bounds until ``learning_starts``, then from the policy.

        Args:
            obs: Observations by group, shape [N, D] each.

        Returns:
            Actions within the bounds [policy units], shape [N, A].
        """
        if not self._begun:
            self._begin(obs)
        noise = self.noise.sample()
        if self.num_timesteps < self._uniform_until:
            self._unit_action = torch.rand_like(noise) * 2.0 - 1.0
        else:
            self.distribution.update(self._policy(self.actor.get_latent(obs)))
            mean, std = self.distribution.params
            self._unit_action = torch.tanh(torch.addcmul(mean, std, noise))
            self.saturation.add(self._unit_action)
        return self.distribution.to_action(self._unit_action)

    def process_env_step(
        self, obs: TensorDict, rewards: torch.Tensor, dones: torch.Tensor, extras: Mapping[str, Any]
    ) -> None:
        """Store the transitions of one vector step; learn when it is time.

        Args:
            obs: Observations after the step, after the resets, shape [N, D] each.
            rewards: Rewards, shape [N].
            dones: Whether the episode ended, shape [N].
            extras: ``time_outs`` [N], and ``final_obs`` with the observations before the resets. A fall in the very
                step of a timeout counts as a timeout, since rsl_rl's interface does not tell them apart.

        Raises:
            NonFiniteError: If an observation, reward or action is not finite; nothing of the step is stored then.
            ValueError: If an episode was cut off and its last observation is missing.
        """
        assert self._unit_action is not None, "act() comes before process_env_step()"
        with torch.inference_mode(False), torch.no_grad():
            dones = dones.bool()
            time_outs = extras.get("time_outs")
            truncated = torch.zeros_like(dones) if time_outs is None else time_outs.bool().to(self.device)
            # Isaac Lab leaves old final observations in place: only those of this step's timeouts are read
            final_obs = extras.get("final_obs")
            if final_obs is not None:
                final_obs = {group: final_obs[group].to(self.device) for group in self.storage.groups}
            self._check_finite(obs, rewards, self._unit_action, final_obs, truncated)
            self.storage.add(
                self._unit_action, rewards, dones & ~truncated, truncated, obs, obs if final_obs is None else final_obs
            )
            self.noise.reset(dones)
            self._normalize_from(obs)
        self.num_timesteps += self.storage.num_envs
        self._vector_steps += 1
        if self.num_timesteps < self._learn_from or self._vector_steps % self.train_freq:
            return
        self._steps_owed += self._steps_per_round
        steps = int(self._steps_owed)
        self._steps_owed -= steps
        if steps:
            with torch.inference_mode(False), torch.enable_grad():
                self._learn(steps)

    def compute_returns(self, obs: TensorDict) -> None:
        """Nothing: returns are built when sampling."""

    def update(self) -> dict[str, float]:
        """Means of the metrics since the last call; the learning itself happens in :meth:`process_env_step`.

        Raises:
            NonFiniteError: If a loss is not finite.
        """
        self._finish_learning()
        metrics = self._metrics.pop()
        if self.entropy_optimizer is None:
            metrics.pop("temperature", None)  # nothing is learned
        bad = [name for name, value in metrics.items() if value != value or abs(value) == float("inf")]
        if bad:
            raise NonFiniteError(f"learning diverged: {', '.join(bad)} not finite after {self.num_updates} updates")
        now, timesteps, updates = time.perf_counter(), self.num_timesteps, self.num_updates
        then, timesteps_then, updates_then = self._last_report
        elapsed, transitions = max(now - then, 1e-9), timesteps - timesteps_then
        self._last_report = (now, timesteps, updates)
        saturation, warnings = self.saturation.pop(self.bounds)
        metrics |= saturation
        for line in warnings:
            print(f"[WARNING] {line}", file=sys.stderr)
        metrics["alpha"] = self.entropy_coef().item()
        metrics["replay_ratio"] = (updates - updates_then) / transitions if transitions else 0.0
        metrics["gradient_steps_per_second"] = (updates - updates_then) / elapsed
        metrics["env_steps_per_second"] = transitions / elapsed
        return metrics

    def train_mode(self) -> None:
        """Let the normalisers follow the data.

        Raises:
            BoundsError: If the configuration's bounds cannot be used, and no checkpoint's have replaced them.
        """
        if self.bounds_error is not None:
            raise self.bounds_error
        self.actor.train()
        self.critic_obs_normalizer.train()
        self._last_report = (time.perf_counter(), self.num_timesteps, self.num_updates)

    def eval_mode(self) -> None:
        """Freeze the normalisers."""
        self._finish_learning()
        self.actor.eval()
        self.critic_obs_normalizer.eval()

    def broadcast_parameters(self) -> None:
        """Give all processes the networks, normalisers and temperature of the first."""
        self._finish_learning()
        for module in (self.actor, self.critic, self.critic_target, self.critic_obs_normalizer, self.entropy_coef):
            for tensor in module.state_dict().values():
                torch.distributed.broadcast(tensor, src=0)
        self._acting.load_state_dict(self.actor.mlp.state_dict())

    def get_policy(self) -> MLPModel:
        """The actor; called with observations it gives bounded deterministic actions."""
        return self.actor

    def save(self) -> dict[str, Any]:
        """Everything but the replay buffer, as plain data and tensors.

        Raises:
            NonFiniteError: If a weight is not finite: a checkpoint must not replace a good one with a broken one.
        """
        self._finish_learning()
        modules = {
            "actor": self.actor,
            "critic": self.critic,
            "critic_target": self.critic_target,
            "normalizer": self.critic_obs_normalizer,
            "entropy_coef": self.entropy_coef,
        }
        broken = [
            f"{module}.{name}"
            for module, network in modules.items()
            for name, value in network.state_dict().items()
            if not bool(value.isfinite().all())
        ]
        if broken:
            raise NonFiniteError(f"weights are not finite ({broken[0]}); no checkpoint is written")
        saved = {
            "actor_state_dict": self.actor.state_dict(),
            "critic_state_dict": self.critic.state_dict(),
            "critic_target_state_dict": self.critic_target.state_dict(),
            "critic_obs_normalizer_state_dict": self.critic_obs_normalizer.state_dict(),
            "entropy_coef_state_dict": self.entropy_coef.state_dict(),
            "actor_optimizer_state_dict": self.actor_optimizer.state_dict(),
            "critic_optimizer_state_dict": self.critic_optimizer.state_dict(),
            "action_bounds": self.bounds.to_dict(),
            "num_timesteps": self.num_timesteps,
            "num_updates": self.num_updates,
        }
        if self.entropy_optimizer is not None:
            saved["entropy_optimizer_state_dict"] = self.entropy_optimizer.state_dict()
        # so that a machine without the device can read it; Isaac Lab's play does not say where to put the tensors
        return _on_cpu(saved)

    def load(self, loaded_dict: dict[str, Any], load_cfg: dict | None, strict: bool) -> bool:
        """Restore what :meth:`save` gave. The bounds of the checkpoint replace those of the configuration.

        Args:
            loaded_dict: The checkpoint.
            load_cfg: Which of ``actor``, ``critic``, ``optimizer`` and ``iteration`` to restore; None is all.
            strict: Whether the weights' names must match.

        Returns:
            Whether the runner shall continue its count of iterations.

        Raises:
            BoundsError: If the checkpoint's joints, action scale or default pose are not those of the task.
            ValueError: If the checkpoint is not one of SAC.
        """
        if "action_bounds" not in loaded_dict:
            raise ValueError("not a checkpoint of SAC: it holds no action bounds (was it trained with another agent?)")
        self._finish_learning()
        if self._prefetch is not None:
            self._prefetch.drop()
        load_cfg = load_cfg or {"actor": True, "critic": True, "optimizer": True, "iteration": True}
        if load_cfg.get("actor"):
            saved = ActionBounds.from_dict(loaded_dict["action_bounds"]).of_policy_for(self.bounds)
            self.actor.load_state_dict(loaded_dict["actor_state_dict"], strict=strict)
            self._acting.load_state_dict(self.actor.mlp.state_dict())
            self.bounds, self.bounds_error = saved, None
            self._uniform_until = 0
        if load_cfg.get("critic"):
            self.critic.load_state_dict(loaded_dict["critic_state_dict"], strict=strict)
            self.critic_target.load_state_dict(loaded_dict["critic_target_state_dict"], strict=strict)
            self.critic_obs_normalizer.load_state_dict(loaded_dict["critic_obs_normalizer_state_dict"])
            self.entropy_coef.load_state_dict(loaded_dict["entropy_coef_state_dict"], strict=strict)
        if load_cfg.get("optimizer"):
            self.actor_optimizer.load_state_dict(loaded_dict["actor_optimizer_state_dict"])
            self.critic_optimizer.load_state_dict(loaded_dict["critic_optimizer_state_dict"])
            if self.entropy_optimizer is not None and "entropy_optimizer_state_dict" in loaded_dict:
                self.entropy_optimizer.load_state_dict(loaded_dict["entropy_optimizer_state_dict"])
            self.learning_rate = self.critic_optimizer.param_groups[0]["lr"]
            self.updater.forget()
        if load_cfg.get("iteration"):
            self.num_timesteps = loaded_dict["num_timesteps"]
            self.num_updates = loaded_dict["num_updates"]
        self._schedule_start = self.num_timesteps
        # an empty replay buffer is filled with the policy before anything is learned from it
        refill = max(self.learning_starts, RESUME_VECTOR_STEPS * self.storage.num_envs)
        self._learn_from = self.num_timesteps + refill
        return load_cfg.get("iteration", False)

    def load_replay_buffer(self, state: Mapping[str, Any]) -> None:
        """Go on with what a replay buffer's ``state_dict`` gave; comes after :meth:`load`.

        Raises:
            ValueError: If it is of another number of environments, observations or joints, or of another format.
        """
        self.storage.load_state_dict(state)
        self.storage.cut()  # the environments begin anew
        self._begun = False
        self._learn_from = self.num_timesteps + max(0, self.learning_starts - len(self.storage))

    # -- learning

    def _learn(self, steps: int) -> None:
        """Run gradient steps on transitions that are drawn, gathered and normalised all at once."""
        self._finish_learning()
        self._set_learning_rate()
        batches = self._batches(steps)
        if self._learner is None:
            self._run(batches)
        else:
            # their memory may not be given out again before the learner's stream is done with it
            self._in_use = (batches,)
            if self._stream is not None:
                self._stream.wait_stream(torch.cuda.current_stream(self.device))
            self._learning = self._learner.submit(self._run_beside, batches)
            if not self.updater.prepared:
                self._finish_learning()

    def _finish_learning(self) -> None:
        """Wait for the gradient steps that run beside the environment; from now on their policy acts."""
        if self._learning is None:
            return
        self._learning.result()
        self._learning = None
        if self._stream is not None:
            torch.cuda.current_stream(self.device).wait_stream(self._stream)
        self._in_use = ()
        with torch.inference_mode(False), torch.no_grad():
            torch._foreach_copy_(list(self._acting.parameters()), list(self.actor.mlp.parameters()))

    def _run_beside(self, batches: Batches) -> None:
        """Run gradient steps on these batches in a stream of their own, if there are streams."""
        with nullcontext() if self._stream is None else torch.cuda.stream(self._stream):
            self._run(batches)

    def _run(self, batches: Batches) -> None:
        """Run gradient steps on these batches."""
        for names, values in self.updater.learn(batches):
            self._metrics.add(names, values)
            if names == CRITIC_METRICS:
                self.num_updates += values.numel() // len(names)

    def _batches(self, steps: int) -> Batches:
        """Transitions for a number of gradient steps."""
        if self._prefetch is None:
            batch = self.storage.sample(steps, self.batch_size)
        else:
            owed = self._steps_owed + self._steps_per_round
            batch = self._prefetch.sample(steps, self.batch_size, int(owed), self.train_freq)
        actor_obs, actor_next_obs = (
            self.actor.obs_normalizer(_concatenate(obs, self.actor.obs_groups)) for obs in (batch.obs, batch.next_obs)
        )
        if self.critic_obs_normalizer is self.actor.obs_normalizer:
            critic_obs, critic_next_obs = actor_obs, actor_next_obs
        else:
            critic_obs, critic_next_obs = (
                self.critic_obs_normalizer(_concatenate(obs, self.critic_obs_groups))
                for obs in (batch.obs, batch.next_obs)
            )
        updates_actor = self.num_timesteps >= self.actor_learning_starts
        turns = tuple(i for i in range(steps) if updates_actor and (self.num_updates + i + 1) % self.policy_delay == 0)
        noise = torch.randn_like(batch.action)
        actor_noise = torch.randn(len(turns), *noise.shape[1:], device=noise.device)
        critic = (
            critic_obs, batch.action, batch.reward, batch.discount, batch.weight, critic_next_obs, actor_next_obs, noise
        )  # fmt: skip
        # views where the turns come evenly, as they do
        every = slice(turns[0], None, self.policy_delay) if turns else slice(0)
        actor = ActorBatch(actor_obs[every], critic_obs[every], actor_noise)
        return Batches(CriticBatch(*critic), actor, turns)

    def _set_learning_rate(self) -> None:
        if self.schedule == "constant":
            return
        progress = min((self.num_timesteps - self._schedule_start) / max(self.schedule_steps, 1), 1.0)
        self.learning_rate = self.initial_learning_rate + progress * (
            self.final_learning_rate - self.initial_learning_rate
        )
        for optimizer in (self.actor_optimizer, self.critic_optimizer, self.entropy_optimizer):
            for group in optimizer.param_groups if optimizer is not None else ():
                is_actor = optimizer is self.actor_optimizer
                group["lr"] = self.learning_rate * (self.actor_learning_rate_factor if is_actor else 1.0)

    # -- data

    def _begin(self, obs: TensorDict) -> None:
        """Take the very first observations."""
        with torch.inference_mode(False), torch.no_grad():
            self._check_finite(obs)
            self.storage.begin(cast(Mapping[str, torch.Tensor], obs))
            self._normalize_from(obs)
        self._begun = True

    def _normalize_from(self, obs: TensorDict) -> None:
        """Let the normalisers see new observations, each of them once."""
        actor, critic = self.actor.obs_normalizer, self.critic_obs_normalizer
        if isinstance(actor, EmpiricalNormalization):
            update_statistics(actor, _concatenate(obs, self.actor.obs_groups))
        if critic is not actor and isinstance(critic, EmpiricalNormalization):
            update_statistics(critic, _concatenate(obs, self.critic_obs_groups))

    def _check_finite(
        self,
        obs: TensorDict,
        rewards: torch.Tensor | None = None,
        action: torch.Tensor | None = None,
        final_obs: Mapping[str, torch.Tensor] | None = None,
        truncated: torch.Tensor | None = None,
    ) -> None:
        """Raise where a number is not finite; one host synchronisation when all is well."""
        values = {} if action is None else {"action": action}
        values |= {f"observation '{group}'": obs[group] for group in self.storage.groups}
        if rewards is not None:
            values["reward"] = rewards
        if final_obs is not None and truncated is not None:
            for group in self.storage.groups:
                last = final_obs[group]
                values[f"final observation '{group}'"] = torch.where(
                    truncated.unsqueeze(-1), last, torch.zeros((), device=last.device)
                )
        # the sum of a tensor is finite if and only if its entries are (up to overflow, which is no better)
        sums = [value.sum() for value in values.values()]
        if final_obs is None and truncated is not None:
            # a last observation that is missing is found in the same look at the device
            sums.append(torch.where(truncated.any(), torch.nan, 0.0))
        if bool(torch.stack(sums).isfinite().all()):
            return
        if final_obs is None and truncated is not None and bool(truncated.any()):
            raise ValueError("an episode was truncated and its last observation is missing from extras['final_obs']")
        for name, value in values.items():
            bad = (~value.isfinite()).nonzero()
            if len(bad):
                where = ", ".join(f"{axis} {int(i)}" for axis, i in zip(("environment", "entry"), bad[0], strict=False))
                raise NonFiniteError(
                    f"{name} is not finite: {value[tuple(bad[0])].item()} in {where}"
                    f" ({len(bad)} numbers in all) after {self.num_timesteps} transitions"
                )


class _Means:
    """Running means on the device, read in one transfer."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, ...], torch.Tensor] = {}
        self._counts: dict[tuple[str, ...], int] = {}

    def add(self, names: tuple[str, ...], values: torch.Tensor) -> None:
        """Add values of shape [len(names)], or several of them, shape [G, len(names)]."""
        count = values.numel() // len(names)
        if values.dim() > 1:
            values = values.sum(dim=0)
        if names in self._sums:
            self._sums[names] += values
            self._counts[names] += count
        else:
            self._sums[names], self._counts[names] = values.to(torch.float32, copy=True), count

    def pop(self) -> dict[str, float]:
        """The means since the last call."""
        if not self._sums:
            return {}
        names = [name for group in self._sums for name in group]
        values = torch.cat([total / self._counts[group] for group, total in self._sums.items()]).tolist()
        self._sums, self._counts = {}, {}
        return dict(zip(names, values, strict=True))


def _concatenate(obs: Mapping[str, torch.Tensor] | TensorDict, groups: Sequence[str]) -> torch.Tensor:
    """Observation groups side by side, shape [..., D]."""
    return obs[groups[0]] if len(groups) == 1 else torch.cat([obs[group] for group in groups], dim=-1)


def _on_cpu(value: Any) -> Any:
    """The same data with its tensors on the CPU."""
    if isinstance(value, torch.Tensor):
        return value.cpu()
    if isinstance(value, Mapping):
        return {key: _on_cpu(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_on_cpu(item) for item in value]
    return value


def _ask_for_determinism() -> None:
    """Have torch take deterministic algorithms from now on."""
    # read when CUDA's products are first used
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # new tensors need not be filled: all that is read was written
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.use_deterministic_algorithms(True, warn_only=True)


def _request_final_observations(env: VecEnv) -> None:
    """Have Isaac Lab compute the observations before a reset; it reads the flag at every step."""
    cfg = getattr(env, "cfg", None)
    if hasattr(cfg, "compute_final_obs"):
        cfg.compute_final_obs = True  # type: ignore[union-attr]


def _describe(bounds: ActionBounds) -> str:
    width = max(len(name) for name in bounds.joint_names)
    rows = zip(bounds.joint_names, bounds.low, bounds.high, strict=True)
    lines = [f"  {name:<{width}}  [{low:7.3f}, {high:7.3f}]" for name, low, high in rows]
    return "\n".join(["Action bounds [policy units]:", *lines, f"  source: {bounds.source}"])
