# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Soft actor-critic as an algorithm of rsl_rl's runner."""

from __future__ import annotations

import copy
import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from rsl_rl.env import VecEnv
from rsl_rl.models import MLPModel
from rsl_rl.modules import EmpiricalNormalization
from tensordict import TensorDict
from torch import nn

from isaaclab_offpolicy.action_bounds import ActionBounds, BoundsError
from isaaclab_offpolicy.action_bounds.saturation import SaturationMonitor
from isaaclab_offpolicy.exploration import Noise, hidden_layers
from isaaclab_offpolicy.replay import ReplayBuffer
from isaaclab_offpolicy.symmetry import HalfMirror, Symmetry, check_bounds
from isaaclab_offpolicy.training.finite import FiniteGuard, any_of, check_metrics
from isaaclab_offpolicy.training.health import LearnerHealth
from isaaclab_offpolicy.training.watchdog import PULSE

from . import checkpoint
from .async_learner import AsyncLearner
from .backends import make_backend
from .batch import ActorBatch, Batches, CriticBatch
from .build import build_sac
from .critic import QEnsemble
from .distribution import SquashedGaussianDistribution
from .metrics import Means
from .normalization import update_statistics
from .reward_scale import RewardScale
from .rsl_rl_cfg import SacAlgorithmCfg, actor_learning_rate, check_options
from .schedule import LearningRate
from .temperature import EntropyCoef
from .update import CRITIC_METRICS, Update


class SAC:
    """Soft actor-critic (Haarnoja et al. 2018) for many parallel environments.

    Plugs into rsl_rl's ``OnPolicyRunner`` as ``class_name = "isaaclab_offpolicy.algorithms:SAC"``. The runner calls
    :meth:`act`, steps the environment and calls :meth:`process_env_step`, which stores the transitions and learns every
    ``train_freq`` env steps, whatever the runner's ``num_steps_per_env``; :meth:`update`, which the runner calls after
    each of its iterations, reports what happened since the last one. The gradient steps are :class:`.Update`'s, their
    losses those of :mod:`.losses`.

    Args:
        actor: rsl_rl's model with a :class:`SquashedGaussianDistribution`.
        critic: The Q-functions.
        storage: Replay buffer; its γ and number of steps are those of the learner.
        critic_obs_normalizer: Normaliser of the critics' observations; the actor's own where both see the same.
        critic_obs_groups: Observation groups of the critics.
        bounds: Bounds of the actions, in the order of the environment's joints.
        cfg: The options.
        device: Device of the learner.
        world_size: Processes that learn together, each with its own environments and replay buffer. Gradients are
            averaged over them; all counts of transitions are those of one process.
        reset_terminated: Isaac Lab's environment's own record of which episodes terminated in the last step, if it has
            one: rsl_rl's interface does not tell a termination in the very step of a timeout from a timeout.
        guard: Looks for numbers that are not finite.
        symmetry: The mirror images that take the place of half of the transitions that are sampled; None for none.
        noise: Exploration noise; white without it.

    Raises:
        ValueError: If an option cannot be used.
    """

    def __init__(
        self,
        actor: MLPModel,
        critic: QEnsemble,
        storage: ReplayBuffer,
        critic_obs_normalizer: nn.Module,
        critic_obs_groups: Sequence[str],
        bounds: ActionBounds,
        cfg: SacAlgorithmCfg,
        device: str = "cpu",
        world_size: int = 1,
        reset_terminated: Any = None,
        guard: FiniteGuard | None = None,
        symmetry: Symmetry | None = None,
        noise: Noise | None = None,
    ) -> None:
        check_options(cfg, world_size)
        if not isinstance(actor.distribution, SquashedGaussianDistribution):
            raise ValueError("the actor needs a distribution_cfg of class SquashedGaussianDistribution")
        if cfg.deterministic:
            _ask_for_determinism()
        self.cfg, self.device, self.world_size = cfg, torch.device(device), world_size
        self.actor, self.critic = actor.to(device), critic.to(device)
        self.distribution, num_actions = actor.distribution, actor.distribution.output_dim
        self.critic_obs_normalizer = critic_obs_normalizer.to(device)
        self.critic_obs_groups = list(critic_obs_groups)
        self.storage = storage
        self._reset_terminated = reset_terminated
        self.symmetry = symmetry
        self._mirror = None if symmetry is None else HalfMirror(symmetry, self.device)
        self.guard = guard or FiniteGuard(storage.num_envs, cfg.max_nonfinite)
        self.bounds = bounds
        self.differences: list[str] = []
        """What is another than in the checkpoint that was restored, a line each."""
        self.bounds_error: BoundsError | None = None
        """Why the configuration's bounds cannot be used, as long as no checkpoint's have replaced them."""
        self.noise = noise or Noise(storage.num_envs, num_actions, cfg.noise_scale, device)
        self.saturation = SaturationMonitor(num_actions, device=device)
        self.entropy_coef = EntropyCoef(cfg.ent_coef).to(device)
        self.rate = LearningRate(cfg.learning_rate, cfg.learning_rate_end, cfg.schedule, cfg.schedule_steps)
        self.actor_rate_factor = actor_learning_rate(cfg) / cfg.learning_rate
        self.learning_rate = cfg.learning_rate
        target_entropy = -float(num_actions) if cfg.target_entropy == "auto" else float(cfg.target_entropy)
        self.health = LearnerHealth(cfg.gamma, num_actions, target_entropy if self.entropy_coef.learned else None)
        backend = make_backend(cfg.backend, self.device, [self.actor.mlp, self.critic], cfg.precision, world_size)
        self.updater = Update(
            self.actor.mlp, self.distribution, self.critic, self.entropy_coef, target_entropy, cfg, backend, world_size
        )

        self.num_timesteps = 0
        """Transitions seen since the start of the first training."""
        self.num_updates = 0
        """Gradient steps of the critics since then."""
        self.learn_from = self.uniform_until = cfg.learning_starts
        self.schedule_start = 0
        self._env_steps, self._steps_owed = 0, 0.0
        self.reward_scale = RewardScale(storage.num_envs, storage.gamma, device) if cfg.normalize_rewards else None
        self._normalized_action: torch.Tensor | None = None
        self._has_obs = False
        self._metrics = Means()
        self._async: AsyncLearner | None = None
        self._acting = self.actor.mlp
        if cfg.overlap:
            self._async = AsyncLearner(self.device, cfg.learner_threads)
            self._acting = copy.deepcopy(self.actor.mlp).requires_grad_(False)
        self._policy, self._hidden = self.updater.policy(self._acting), hidden_layers(self._acting)
        self._last_report = (time.perf_counter(), 0, 0)

    @staticmethod
    def construct_algorithm(obs: TensorDict, env: VecEnv, cfg: dict, device: str) -> SAC:
        """Build actor, critics and replay buffer from the runner's configuration; see :func:`.build.build_sac`."""
        return build_sac(obs, env, cfg, device)

    def act(self, obs: TensorDict) -> torch.Tensor:
        """Actions for exploration: uniform in the bounds until ``learning_starts``, then from the policy.

        Args:
            obs: Observations by group, shape [N, D] each.

        Returns:
            Actions within the bounds [raw action units], shape [N, A].
        """
        if not self._has_obs:
            self.reset(obs)
        latent = self.actor.get_latent(obs)
        noise = self.noise.sample(lambda: self._hidden(latent))
        if self.num_timesteps < self.uniform_until:
            self._normalized_action = torch.rand_like(noise) * 2.0 - 1.0
        else:
            self.distribution.update(self._policy(latent))
            mean, std = self.distribution.params
            self._normalized_action = torch.tanh(torch.addcmul(mean, std, noise))
            self.saturation.add(self._normalized_action)
        return self.distribution.to_action(self._normalized_action)

    def process_env_step(
        self, obs: TensorDict, rewards: torch.Tensor, dones: torch.Tensor, extras: Mapping[str, Any]
    ) -> None:
        """Store the transitions of one env step; learn when it is time.

        Args:
            obs: Observations after the step, after the resets, shape [N, D] each.
            rewards: Rewards, shape [N].
            dones: Whether the episode ended, shape [N].
            extras: ``time_outs`` [N], and ``final_obs`` with the observations before the resets.

        Raises:
            NonFiniteError: If an action is not finite, or too many observations or rewards are not; nothing of the step
                is stored then.
            ValueError: If an episode was truncated and its last observation is missing.
        """
        assert self._normalized_action is not None, "act() comes before process_env_step()"
        with torch.inference_mode(False), torch.no_grad():
            self._store(obs, rewards, dones.bool(), extras)
        self.num_timesteps += self.storage.num_envs
        self._env_steps += 1
        if self.num_timesteps < self.learn_from or self._env_steps % self.cfg.train_freq:
            return
        self._steps_owed += self._steps_per_phase
        steps = int(self._steps_owed)
        self._steps_owed -= steps
        if steps:
            with torch.inference_mode(False):
                self.learn(steps)

    @property
    def _steps_per_phase(self) -> float:
        """Gradient steps of an update phase at this moment."""
        if self.cfg.replay_ratio is None:
            return float(cast(int, self.cfg.gradient_steps))
        end = self.cfg.replay_ratio if self.cfg.replay_ratio_end is None else self.cfg.replay_ratio_end
        done = min(1.0, (self.num_timesteps - self.schedule_start) / max(1, self.cfg.schedule_steps))
        ratio = self.cfg.replay_ratio + done * (end - self.cfg.replay_ratio)
        return ratio * self.storage.num_envs * self.cfg.train_freq

    def compute_returns(self, obs: TensorDict) -> None:
        """Nothing: returns are built when sampling."""

    def update(self) -> dict[str, float]:
        """Means of the metrics since the last call; the learning itself happens in :meth:`process_env_step`.

        Raises:
            NonFiniteError: If a loss is not finite.
        """
        self.finish_learning()
        if len(self.storage):
            self._metrics.add(("largest_reward",), self._scaled(self.storage.largest_reward().to(self.device)))
        metrics = self._metrics.pop()
        largest_reward = metrics.pop("largest_reward", 0.0)
        if not self.entropy_coef.learned:
            metrics.pop("temperature_loss", None)
        check_metrics(metrics, self.num_updates)
        now, timesteps, updates = time.perf_counter(), self.num_timesteps, self.num_updates
        then, timesteps_then, updates_then = self._last_report
        elapsed, transitions = max(now - then, 1e-9), timesteps - timesteps_then
        self._last_report = (now, timesteps, updates)
        saturation, warnings = self.saturation.pop(self.bounds)
        metrics |= saturation | self.guard.pop()
        metrics["alpha"] = self.entropy_coef().item()
        for line in warnings + self.health.check(metrics, largest_reward, self.critic.returns.limits):
            print(f"[WARNING] {line}", file=sys.stderr)
        metrics["replay_ratio"] = (updates - updates_then) / transitions if transitions else 0.0
        metrics["gradient_steps_per_second"] = (updates - updates_then) / elapsed
        metrics["env_steps_per_second"] = transitions / elapsed
        return metrics

    def train_mode(self) -> None:
        """Let the normalisers follow the data.

        Raises:
            BoundsError: If the configuration's bounds cannot be used, and no checkpoint's have replaced them.
            ConfigError: If they are not as symmetric as the task.
        """
        if self.bounds_error is not None:
            raise self.bounds_error
        if self.symmetry is not None:
            check_bounds(self.symmetry, self.bounds)
        self.actor.train()
        self.critic_obs_normalizer.train()
        self._last_report = (time.perf_counter(), self.num_timesteps, self.num_updates)

    def eval_mode(self) -> None:
        """Freeze the normalisers."""
        self.finish_learning()
        self.actor.eval()
        self.critic_obs_normalizer.eval()

    def broadcast_parameters(self) -> None:
        """Give all processes the networks, normalisers and temperature of the first."""
        self.finish_learning()
        for module in checkpoint.modules(self).values():
            for tensor in module.state_dict().values():
                torch.distributed.broadcast(tensor, src=0)
        self.follow_actor()

    def get_policy(self) -> MLPModel:
        """The actor; called with observations it gives bounded deterministic actions."""
        return self.actor

    def save(self) -> dict[str, Any]:
        """Everything but the replay buffer, as plain data and tensors; see :func:`.checkpoint.save`."""
        self.finish_learning()
        return checkpoint.save(self)

    def load(self, loaded_dict: dict[str, Any], load_cfg: dict | None, strict: bool) -> bool:
        """Restore what :meth:`save` gave; see :func:`.checkpoint.load`."""
        self.finish_learning()
        self.storage.drop_prefetched()
        return checkpoint.load(self, loaded_dict, load_cfg, strict)

    def go_on_with_replay(self, episodes_go_on: bool = False) -> None:
        """Go on with the transitions that were loaded into the replay buffer; comes after :meth:`load`.

        Args:
            episodes_go_on: Whether the next step follows from its newest observation, and no environment begins anew.
        """
        self.storage.seen = self._env_steps
        if not episodes_go_on:
            self.storage.cut()
        self._has_obs = episodes_go_on
        self.learn_from = self.num_timesteps + max(0, self.cfg.learning_starts - len(self.storage))

    # -- learning

    def learn(self, steps: int) -> None:
        """Run gradient steps on transitions that are sampled, gathered and normalised all at once."""
        self.finish_learning()
        self.learning_rate = self.rate.at(self.num_timesteps - self.schedule_start)
        self.updater.set_learning_rate(self.learning_rate, self.learning_rate * self.actor_rate_factor)
        batches = self.sample_batches(steps)
        warm = self.updater.backend.is_warm
        if not warm:
            PULSE.slow()
        if self._async is None:
            self._run(batches)
            return
        self._async.start(self._run, batches)
        if not warm:
            self.finish_learning()

    def sample_batches(self, steps: int) -> Batches:
        """Transitions for a number of gradient steps, normalised, and the noise of the actions."""
        following = int(self._steps_owed + self._steps_per_phase)
        batch = self.storage.sample(steps, self.cfg.batch_size, following, self.cfg.train_freq)
        if self._mirror is not None:
            self._mirror(batch)
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
        delay, learns = self.cfg.policy_delay, self.num_timesteps >= self.cfg.actor_learning_starts
        actor_updates = tuple(i for i in range(steps) if learns and (self.num_updates + i + 1) % delay == 0)
        noise = torch.randn_like(batch.action)
        actor_noise = torch.randn(len(actor_updates), *noise.shape[1:], device=noise.device)
        critic = CriticBatch(
            critic_obs, batch.action, self._scaled(batch.reward), batch.discount, batch.weight, critic_next_obs,
            actor_next_obs, noise,
        )  # fmt: skip
        # views where the actor's updates come evenly, as they do
        every = slice(actor_updates[0], None, delay) if actor_updates else slice(0)
        return Batches(critic, ActorBatch(actor_obs[every], critic_obs[every], actor_noise), actor_updates)

    def _scaled(self, reward: torch.Tensor) -> torch.Tensor:
        """Rewards as the critics see them."""
        return reward if self.reward_scale is None else reward / self.reward_scale()

    def finish_learning(self) -> None:
        """Wait for the update phase that runs beside the environment; from now on its policy acts."""
        if self._async is not None and self._async.wait():
            self.follow_actor()

    def follow_actor(self) -> None:
        """Let the network that acts be the one that was learned."""
        if self._acting is not self.actor.mlp:
            with torch.inference_mode(False), torch.no_grad():
                torch._foreach_copy_(list(self._acting.parameters()), list(self.actor.mlp.parameters()))

    def _run(self, batches: Batches) -> None:
        """Run gradient steps on these batches."""
        for names, values in self.updater.learn(batches):
            self._metrics.add(names, values)
            self.num_updates += names == CRITIC_METRICS

    # -- data

    def reset(self, obs: TensorDict) -> None:
        """Take the very first observations."""
        with torch.inference_mode(False), torch.no_grad():
            _, broken = self.guard.check(self._named(obs), self.num_timesteps)
            lost = self._blank(broken, obs) if broken else None
            self.storage.reset(cast(Mapping[str, torch.Tensor], obs))
            if lost is not None:
                self.storage.leave_out(torch.zeros_like(lost), lost)
            self._normalize_from(obs, lost)
        self._has_obs = True

    def _store(self, obs: TensorDict, rewards: torch.Tensor, dones: torch.Tensor, extras: Mapping[str, Any]) -> None:
        """Check and store the transitions of one env step."""
        time_outs = extras.get("time_outs")
        truncated = torch.zeros_like(dones) if time_outs is None else time_outs.bool().to(self.device)
        if self._reset_terminated is not None:
            # what terminates has no value afterwards, also where the time is over in the same step
            truncated = truncated & ~self._reset_terminated().to(self.device)
        action = cast(torch.Tensor, self._normalized_action)
        values = {"action": action, **self._named(obs), "reward": rewards}
        final_obs, missing = extras.get("final_obs"), ()
        if final_obs is None:
            missing = (truncated.any(),)
        else:
            # Isaac Lab leaves old final observations in place: only those of this step's timeouts are read
            final_obs = {group: final_obs[group].to(self.device) for group in self.storage.groups}
            zero = torch.zeros((), device=self.device)
            values |= {
                f"final observation '{group}'": torch.where(truncated.unsqueeze(-1), last, zero)
                for group, last in final_obs.items()
            }
        missed, broken = self.guard.check(values, self.num_timesteps, missing)
        if any(missed):
            raise ValueError("an episode was truncated and its last observation is missing from extras['final_obs']")
        lost = self._blank(broken, obs) if broken else None
        if lost is not None:
            with torch.inference_mode():  # the tensor is the runner's, and of that mode
                rewards.nan_to_num_(0.0, 0.0, 0.0)
            final_obs = final_obs and {group: last.nan_to_num(0.0, 0.0, 0.0) for group, last in final_obs.items()}
        terminated, after = dones & ~truncated, cast(Mapping[str, torch.Tensor], obs)
        self.storage.add(action, rewards, terminated, truncated, after, after if final_obs is None else final_obs)
        self.noise.reset(dones)
        if self.reward_scale is not None:
            self.reward_scale.update(rewards, dones)
        if lost is not None:
            self.storage.leave_out(any_of(broken.values()), lost)
        self._normalize_from(obs, lost)

    def _blank(self, broken: Mapping[str, torch.Tensor], obs: TensorDict) -> torch.Tensor:
        """Zeros in place of observations that are not finite, also for the policy; gives their environments, [N]."""
        masks = [broken[name] for name in self._named(obs) if name in broken]
        lost = any_of(masks) if masks else torch.zeros_like(next(iter(broken.values())))
        for group in self.storage.groups:
            obs[group] = obs[group].masked_fill(lost.unsqueeze(-1), 0.0)
        return lost

    def _named(self, obs: TensorDict) -> dict[str, torch.Tensor]:
        return {f"observation '{group}'": obs[group] for group in self.storage.groups}

    def _normalize_from(self, obs: TensorDict, lost: torch.Tensor | None = None) -> None:
        """Let the normalisers see new observations but for those that were lost, each of them once."""
        if lost is not None:
            obs = obs[~lost]
        actor, critic = self.actor.obs_normalizer, self.critic_obs_normalizer
        if isinstance(actor, EmpiricalNormalization):
            update_statistics(actor, _concatenate(obs, self.actor.obs_groups))
        if critic is not actor and isinstance(critic, EmpiricalNormalization):
            update_statistics(critic, _concatenate(obs, self.critic_obs_groups))


def _concatenate(obs: Mapping[str, torch.Tensor] | TensorDict, groups: Sequence[str]) -> torch.Tensor:
    """Observation groups side by side, shape [..., D]."""
    return obs[groups[0]] if len(groups) == 1 else torch.cat([obs[group] for group in groups], dim=-1)


def _ask_for_determinism() -> None:
    """Have torch take deterministic algorithms from now on."""
    # read when CUDA's products are first used
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # new tensors need not be filled: all that is read was written
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.use_deterministic_algorithms(True, warn_only=True)
