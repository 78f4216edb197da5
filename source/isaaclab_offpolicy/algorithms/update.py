# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""The gradient steps of soft actor-critic."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import nn

from . import losses
from .backends import Backend
from .batch import ActorBatch, Batches, CriticBatch
from .critic import QEnsemble
from .distribution import SquashedGaussianDistribution
from .returns import Backup
from .rsl_rl_cfg import SacAlgorithmCfg, actor_learning_rate
from .temperature import EntropyCoef

CRITIC_METRICS = ("critic_loss", "q_mean")
"""What a gradient step of the critics reports: their loss, and the mean Q-value of the batch."""

ACTOR_METRICS = ("actor_loss", "entropy", "temperature_loss")
"""What one of actor and temperature reports; the entropy is that of the normalised action [nats]."""

Metrics = tuple[tuple[str, ...], torch.Tensor]
"""Names of metrics, and their values of one gradient step."""


class Update:
    """Networks, targets, temperature and their optimizers; :meth:`critic_step` and :meth:`actor_step` are SAC.

    Args:
        actor: The network from normalised observations to mean and logarithm of the standard deviation.
        distribution: What the actor's output means.
        critic: The Q-functions.
        entropy_coef: The temperature.
        target_entropy: Entropy of the normalised action that a learned temperature keeps [nats].
        cfg: The options: learning rates, weight decay, τ, aggregation of critics, clipping and precision.
        backend: How networks and optimizers are computed.
        world_size: Processes that learn together: gradients are averaged over them.
    """

    def __init__(
        self,
        actor: nn.Module,
        distribution: SquashedGaussianDistribution,
        critic: QEnsemble,
        entropy_coef: EntropyCoef,
        target_entropy: float,
        cfg: SacAlgorithmCfg,
        backend: Backend,
        world_size: int = 1,
    ) -> None:
        self.actor, self.critic, self.distribution = actor, critic, distribution
        self.critic_target = copy.deepcopy(critic).requires_grad_(False)
        self.returns = critic.returns
        self.entropy_coef, self.target_entropy = entropy_coef, target_entropy
        self.cfg, self.backend, self.world_size = cfg, backend, world_size
        self.device = next(critic.parameters()).device
        options = backend.optimizer_options(self.device)
        rate = backend.rate(cfg.learning_rate, self.device)
        adamw = partial(torch.optim.AdamW, weight_decay=cfg.weight_decay, **options)
        self.critic_optimizer = adamw(critic.parameters(), rate)
        self.actor_optimizer = adamw(actor.parameters(), backend.rate(actor_learning_rate(cfg), self.device))
        self.entropy_optimizer = self._temperature_descent = None
        if entropy_coef.learned:
            rate = backend.rate(cfg.learning_rate, self.device)
            self.entropy_optimizer = torch.optim.Adam(entropy_coef.parameters(), rate, **options)
            self._temperature_descent = backend.descent(self.entropy_optimizer)
        self._pi, self._q, self._q_target = map(backend.network, (actor, critic, self.critic_target))
        self._actor_leaves, self._critic_leaves = backend.leaves(self._pi), backend.leaves(self._q)
        self._critic_descent = backend.descent(self.critic_optimizer, list(self.critic_target.parameters()), cfg.tau)
        self._actor_descent = backend.descent(self.actor_optimizer)
        self.compile()

    def compile(self) -> None:
        """Have the backend compile the losses and capture the gradient steps, anew after optimizers were restored."""
        self._critic_loss = self.backend.compile(self.critic_loss)
        self._actor_loss = self.backend.compile(self.actor_loss)
        # gradients that are exchanged between processes cannot be captured
        capture: Callable[..., Any] = self.backend.capture if self.world_size == 1 else lambda step: step
        self._critic_step, self.actor_step = capture(self._step_critic), capture(self._step_actor)

    def learn(self, batches: Batches) -> Iterator[Metrics]:
        """All gradient steps of an update phase; each is done when its metrics are asked for.

        Yields:
            :data:`CRITIC_METRICS` and :data:`ACTOR_METRICS` with their values.
        """
        critic_batches, actor_batches = batches.critics(), batches.actors()
        for segment in batches.segments():
            rows = slice(segment.start, segment.stop)
            # the actor does not change meanwhile: all next actions at once
            following = self.next_actions(*(t[rows].flatten(0, 1) for t in batches.critic[-2:]))
            for i, *next_action in zip(segment, *(t.chunk(len(segment)) for t in following), strict=True):
                yield CRITIC_METRICS, self.critic_step(critic_batches[i], next_action)
            if segment[-1] in batches.actor_updates:
                yield ACTOR_METRICS, self.actor_step(next(actor_batches))

    @torch.no_grad()
    def next_actions(self, obs: torch.Tensor, noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The actor's normalised actions a' [B, A] in what it saw afterwards [B, D'], and ``log π(a'|s')`` [B]."""
        with self._matmul_precision(), self._cast():
            return self.distribution.rsample_normalized(self._pi(obs).float(), noise)

    def critic_step(self, batch: CriticBatch, next_action: Sequence[torch.Tensor] | None = None) -> torch.Tensor:
        """One gradient step of the critics, and one of their targets towards them.

        Args:
            batch: The transitions.
            next_action: What :meth:`next_actions` gives for them, if it is known.

        Returns:
            :data:`CRITIC_METRICS`.
        """
        return self._critic_step(batch, *(next_action or self.next_actions(batch.actor_next_obs, batch.noise)))

    def critic_loss(
        self, batch: CriticBatch, next_action: torch.Tensor, next_log_prob: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The critics' loss, and :data:`CRITIC_METRICS`."""
        with self._cast():
            with torch.no_grad():
                following = self._q_target(batch.next_obs, next_action).float()
            output = self._q(batch.obs, batch.action).float()
        with torch.no_grad():
            backup = Backup(batch.reward, batch.discount, next_log_prob, self.entropy_coef())
            target = self.returns.target(following, backup, self.cfg.q_aggregation)
        loss = self.returns.loss(output, target, batch.weight)
        return loss, torch.stack([loss.detach(), self.returns.mean(output.detach()).mean()])

    def actor_loss(self, batch: ActorBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """The actor's loss, and the log-probabilities of its actions, shape [B]."""
        with self._cast():
            action, log_prob = self.distribution.rsample_normalized(self._pi(batch.obs).float(), batch.noise)
            q = self.returns.mean(self._q(batch.critic_obs, action).float())
        return losses.actor_loss(q, log_prob, self.entropy_coef(), self.cfg.q_aggregation), log_prob.detach()

    @torch.no_grad()
    def _step_critic(self, batch: CriticBatch, next_action: torch.Tensor, next_log_prob: torch.Tensor) -> torch.Tensor:
        with torch.enable_grad(), self._matmul_precision():
            loss, metrics = self._critic_loss(batch, next_action, next_log_prob)
            gradients = self._gradients(loss, self._critic_leaves)
        self._critic_descent.step(gradients)
        return metrics

    @torch.no_grad()
    def _step_actor(self, batch: ActorBatch) -> torch.Tensor:
        """One gradient step of the actor and of the temperature; gives :data:`ACTOR_METRICS`."""
        with torch.enable_grad(), self._matmul_precision(), _frozen(self._critic_leaves):
            loss, log_prob = self._actor_loss(batch)
            gradients = self._gradients(loss, self._actor_leaves)
        self._actor_descent.step(gradients)
        temperature_loss = torch.zeros_like(loss)
        if self._temperature_descent is not None:
            log_alpha = self.entropy_coef.log_value
            with torch.enable_grad():
                temperature_loss = losses.temperature_loss(log_alpha, log_prob, self.target_entropy)
            self._temperature_descent.step(self._average(torch.autograd.grad(temperature_loss, [log_alpha])))
        return torch.stack([loss, -log_prob.mean(), temperature_loss]).detach()

    def policy(self, network: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
        """The fastest form of an actor's network for acting in all environments.

        Args:
            network: The learner's actor, or a copy of it. Its weights may change in place later on.

        Returns:
            A function from normalised observations [N, D] to the network's output, without gradients.
        """
        policy = self.backend.policy(network)
        if self.device.type != "cuda":
            return policy

        def evaluate(obs: torch.Tensor) -> torch.Tensor:
            with self._matmul_precision():
                return policy(obs)

        return evaluate

    def set_learning_rate(self, rate: float, actor_rate: float) -> None:
        """Change the learning rates; temperature and critics have the first one."""
        rates = {self.critic_optimizer: rate, self.actor_optimizer: actor_rate, self.entropy_optimizer: rate}
        for optimizer, value in rates.items():
            for group in optimizer.param_groups if optimizer is not None else ():
                if isinstance(group["lr"], torch.Tensor):
                    group["lr"].fill_(value)
                else:
                    group["lr"] = value

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """The optimizers by name; that of the temperature only where it is learned."""
        named = {"actor": self.actor_optimizer, "critic": self.critic_optimizer, "entropy": self.entropy_optimizer}
        return {name: optimizer for name, optimizer in named.items() if optimizer is not None}

    def load_optimizer(self, name: str, state: dict[str, Any]) -> None:
        """Restore an optimizer's moments; its learning rate and other options are those of the configuration."""
        optimizer = self.optimizers()[name]
        (own,), (saved,) = optimizer.param_groups, state["param_groups"]
        optimizer.load_state_dict({**state, "param_groups": [{**own, "params": saved["params"]}]})
        optimizer.param_groups[0]["lr"] = own["lr"]

    def _gradients(self, loss: torch.Tensor, leaves: list[torch.Tensor]) -> list[torch.Tensor]:
        """Gradients of a loss, averaged over all processes and clipped."""
        gradients = self._average(torch.autograd.grad(loss, leaves))
        if self.cfg.max_grad_norm is None:
            return gradients
        norm = nn.utils.get_total_norm(gradients)
        return list(torch._foreach_mul(gradients, (self.cfg.max_grad_norm / (norm + 1.0e-6)).clamp(max=1.0)))

    def _average(self, gradients: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Means of gradients over all processes, in one exchange."""
        if self.world_size == 1:
            return list(gradients)
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        torch.distributed.all_reduce(flat)
        pieces = (flat / self.world_size).split([gradient.numel() for gradient in gradients])
        return [piece.view_as(gradient) for piece, gradient in zip(pieces, gradients, strict=True)]

    def _cast(self) -> AbstractContextManager[Any]:
        """The networks' precision."""
        if self.cfg.precision != "bfloat16":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    @contextmanager
    def _matmul_precision(self) -> Iterator[None]:
        """On a GPU float32 means float32, and TF32 only where it is asked for; Isaac Lab switches TF32 on."""
        if self.device.type != "cuda":
            yield
            return
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high" if self.cfg.precision == "tf32" else "highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)


@contextmanager
def _frozen(leaves: Sequence[torch.Tensor]) -> Iterator[None]:
    """Within the context no gradients of these leaves are computed, only those of what passes through them."""
    for leaf in leaves:
        leaf.requires_grad_(False)
    try:
        yield
    finally:
        for leaf in leaves:
            leaf.requires_grad_(True)
