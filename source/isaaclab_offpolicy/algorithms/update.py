# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""The gradient steps of SAC: readable with autograd, and as one compiled program each."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.func import functional_call, grad_and_value

from .critic import QEnsemble
from .distribution import SquashedGaussianDistribution
from .temperature import EntropyCoef

CRITIC_METRICS = ("qf1", "qf2", "qf", "q_mean", "td_error")
"""What a gradient step of the critics reports, in this order."""

ACTOR_METRICS = ("actor", "entropy", "temperature")
"""What one of the actor and the temperature reports."""

PRECISIONS = ("float32", "tf32", "bfloat16")
"""Of matrix products; weights, sums and everything else stay in float32."""


UPDATES = ("auto", "eager", "fused", "compiled", "cuda-graph")
"""Ways to compute a gradient step; see :func:`make_update`."""

GPU_OPTIONS: Mapping[str, Any] = {"combo_kernels": True, "loop_ordering_after_fusion": False}
"""Options of torch's compiler on a GPU: kernels that do not wait for one another are joined; and loops are not put into
another order, which fails in torch 2.11 where lists of tensors meet sums (pytorch issue 176591)."""

CAPTURE_AFTER = 2
"""Runs of a program before it is captured as a CUDA graph."""

CAPTURED_ROUNDS = 8
"""Kinds of rounds that are captured, at most."""

COMPILE_AFTER = 1000
"""Gradient steps after which ``"auto"`` compiles a :class:`CompiledUpdate`, which takes 15 to 45 s."""


class CriticBatch(NamedTuple):
    """Transitions for one gradient step of the critics, observations normalised."""

    obs: torch.Tensor
    """What the critics saw, shape [B, D]."""

    action: torch.Tensor
    """Unit actions, shape [B, A]."""

    reward: torch.Tensor
    """Discounted rewards of the n steps, shape [B]."""

    discount: torch.Tensor
    """Factor on the value afterwards, shape [B]."""

    weight: torch.Tensor
    """Weight in the loss, shape [B]."""

    next_obs: torch.Tensor
    """What the critics saw afterwards, shape [B, D]."""

    actor_next_obs: torch.Tensor
    """What the actor saw afterwards, shape [B, D']."""

    noise: torch.Tensor
    """Standard normal noise of the next action, shape [B, A]."""


class CriticInputs(NamedTuple):
    """What is left of a :class:`CriticBatch` for the critics when the actor has had its part in it."""

    obs_action: torch.Tensor
    """What the critics saw and the unit actions, side by side, shape [B, D + A]."""

    reward: torch.Tensor
    """Discounted rewards of the n steps, and what the entropy afterwards is worth, shape [B]."""

    discount: torch.Tensor
    """Factor on the value afterwards, shape [B]."""

    weight: torch.Tensor
    """Weight in the loss, shape [B]."""

    next_obs_action: torch.Tensor
    """What the critics saw afterwards and the unit actions that the actor takes there, shape [B, D + A]."""


class ActorBatch(NamedTuple):
    """Observations for one gradient step of actor and temperature, normalised."""

    obs: torch.Tensor
    """What the actor saw, shape [B, D']."""

    critic_obs: torch.Tensor
    """What the critics saw, shape [B, D]."""

    noise: torch.Tensor
    """Standard normal noise of the action, shape [B, A]."""


class Batches(NamedTuple):
    """Transitions for all gradient steps of a round: G of the critics, K of them followed by one of the actor."""

    critic: CriticBatch
    """Their batches, shapes [G, B, ...]."""

    actor: ActorBatch
    """The actor's, shapes [K, B, ...]."""

    turns: tuple[int, ...]
    """Which of the critics' gradient steps the actor's follow, K numbers below G."""

    def of_critic(self, i: int) -> CriticBatch:
        """The critics' i-th batch."""
        return CriticBatch(*(tensor[i] for tensor in self.critic))

    def of_actor(self, i: int) -> ActorBatch:
        """The actor's i-th batch."""
        return ActorBatch(*(tensor[i] for tensor in self.actor))

    def stretches(self) -> Iterator[range]:
        """The critics' gradient steps in stretches in which the actor is the same."""
        start = 0
        for last in (*self.turns, len(self.critic.reward) - 1):
            if start <= last:
                yield range(start, last + 1)
            start = last + 1


Metrics = tuple[tuple[str, ...], torch.Tensor]
"""Names of metrics, and their values [M] of one gradient step or [G, M] of several."""


class Update:
    """Gradient steps with autograd and torch's own optimizers.

    Args:
        actor: The network from normalised observations to mean and logarithm of the standard deviation.
        distribution: What the actor's output means.
        critic: The Q-functions.
        critic_target: Their targets.
        entropy_coef: The temperature.
        target_entropy: Entropy that a learned temperature aims at [nats].
        actor_optimizer: AdamW of the actor.
        critic_optimizer: AdamW of the critics.
        entropy_optimizer: Adam of the temperature, if it is learned.
        tau: Share of the critics that enters their targets.
        q_aggregation: ``"min"`` or ``"mean"`` of the critics.
        max_grad_norm: Norm to which gradients are clipped; None does not clip.
        world_size: Processes that learn together: gradients are averaged over them, which makes a batch of all theirs.
        precision: Of matrix products, one of :data:`PRECISIONS`.
    """

    options: Mapping[str, Any]
    """What it was made with."""

    def __init__(
        self,
        actor: nn.Module,
        distribution: SquashedGaussianDistribution,
        critic: QEnsemble,
        critic_target: QEnsemble,
        entropy_coef: EntropyCoef,
        target_entropy: float,
        actor_optimizer: torch.optim.AdamW,
        critic_optimizer: torch.optim.AdamW,
        entropy_optimizer: torch.optim.Adam | None,
        tau: float,
        q_aggregation: str = "min",
        max_grad_norm: float | None = None,
        world_size: int = 1,
        precision: str = "float32",
    ) -> None:
        if q_aggregation not in ("min", "mean"):
            raise ValueError(f"q_aggregation is 'min' or 'mean', not '{q_aggregation}'")
        if precision not in PRECISIONS:
            raise ValueError(f"precision is one of {', '.join(PRECISIONS)}, not '{precision}'")
        # for the whole process; Isaac Lab trains with TF32 on a GPU, whatever the algorithm asks for
        if precision == "tf32":
            torch.set_float32_matmul_precision("high")
        elif next(critic.parameters()).device.type == "cuda":
            torch.set_float32_matmul_precision("highest")
        self.actor, self.distribution = actor, distribution
        self.critic, self.critic_target = critic, critic_target
        self.entropy_coef, self.target_entropy = entropy_coef, target_entropy
        self.actor_optimizer, self.critic_optimizer = actor_optimizer, critic_optimizer
        self.entropy_optimizer = entropy_optimizer
        self.tau, self.q_aggregation, self.max_grad_norm = tau, q_aggregation, max_grad_norm
        self.world_size, self.precision = world_size, precision
        self._actor_parameters: list[torch.Tensor] = list(actor.parameters())
        self._critic_parameters: list[torch.Tensor] = list(critic.parameters())
        self._target_parameters: list[torch.Tensor] = list(critic_target.parameters())
        self._device_type = self._critic_parameters[0].device.type

    def learn(self, batches: Batches) -> Iterator[Metrics]:
        """All gradient steps of a round; each is done when its metrics are asked for.

        Yields:
            :data:`CRITIC_METRICS` and :data:`ACTOR_METRICS` with their values, valid until the next are asked for.
        """
        for i, batch in enumerate(zip(*(tensor.unbind() for tensor in batches.critic), strict=True)):
            yield CRITIC_METRICS, self.critic_step(CriticBatch(*batch))
            if i in batches.turns:
                yield ACTOR_METRICS, self.actor_step(batches.of_actor(batches.turns.index(i)))

    def critic_step(self, batch: CriticBatch) -> torch.Tensor:
        """One gradient step of the critics, and one step of their targets towards them.

        Returns:
            The metrics :data:`CRITIC_METRICS`, shape [5].
        """
        with self.cast():
            with torch.no_grad():
                next_action, reward = self.next_action(batch, self.actor(batch.actor_next_obs), self.entropy_coef())
                target = self.target(reward, batch.discount, self.critic_target(batch.next_obs, next_action))
            loss, metrics = self.critic_loss(self.critic(batch.obs, batch.action), target, batch.weight)
        self._step(self.critic_optimizer, self._critic_parameters, loss)
        with torch.no_grad():
            torch._foreach_lerp_(self._target_parameters, self._critic_parameters, self.tau)
        return metrics

    def actor_step(self, batch: ActorBatch) -> torch.Tensor:
        """One gradient step of the actor and of the temperature.

        Returns:
            The metrics :data:`ACTOR_METRICS`, shape [3].
        """
        with self.cast():
            loss, log_prob = self.actor_loss(self.actor(batch.obs), batch, self.critic, self.entropy_coef())
        # only the actor's gradients are computed, not the critics'
        self._step(self.actor_optimizer, self._actor_parameters, loss)
        temperature = torch.zeros_like(loss)
        if self.entropy_optimizer is not None:
            temperature = self.entropy_coef.loss(log_prob, self.target_entropy)
            self._step(self.entropy_optimizer, list(self.entropy_coef.parameters()), temperature, clip=False)
        return torch.stack([loss, -log_prob.mean(), temperature]).detach()

    @property
    def prepared(self) -> bool:
        """Whether nothing is left to compile or to capture.

        Until then no other thread may draw random numbers or use the device: torch's compiler puts random generators
        back to where they were, and a capture forbids them.
        """
        return True

    def forget(self) -> None:
        """Note that the optimizers' state was replaced, as by a checkpoint."""

    def inference(self, network: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
        """The fastest form of an actor's network for acting in all environments.

        Args:
            network: The learner's actor, or a copy of it. Its weights may change in place later on.

        Returns:
            A function from normalised observations [N, D] to the network's output. What it gave is valid until the
            next call, and has no gradients.
        """
        return network

    # -- the losses, which both forms share

    def cast(self) -> AbstractContextManager[Any]:
        """Precision of the matrix products."""
        return torch.autocast(self._device_type, torch.bfloat16) if self.precision == "bfloat16" else nullcontext()

    def next_action(
        self, batch: CriticBatch, actor_output: torch.Tensor, alpha: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Unit actions afterwards [..., B, A], and the rewards with what these actions' entropy is worth [..., B]."""
        action, log_prob = self.distribution.rsample_unit(actor_output.float(), batch.noise)
        return action, batch.reward - batch.discount * alpha * log_prob

    def target(self, reward: torch.Tensor, discount: torch.Tensor, next_q: torch.Tensor) -> torch.Tensor:
        """What the critics are to predict, shape [B]; of rewards as :meth:`next_action` gives, and values [C, B]."""
        return reward + discount * self._aggregate(next_q.float())

    @staticmethod
    def critic_loss(q: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Sum of the critics' losses, and metrics; shapes of the arguments [C, B], [B], [B]."""
        q = q.float()
        td_error = q - target
        losses = 0.5 * (weight * td_error.square())
        # one mean of them all: a compiler makes one pass of it
        metrics = torch.stack([losses[0], losses[-1], losses.sum(dim=0), q.mean(dim=0), td_error.abs().mean(dim=0)])
        return losses.mean(dim=-1).sum(), metrics.detach().mean(dim=-1)

    def actor_loss(
        self,
        actor_output: torch.Tensor,
        batch: ActorBatch,
        critic: Callable[..., torch.Tensor],
        alpha: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The actor's loss, and the log-probabilities of its actions, shape [B]."""
        action, log_prob = self.distribution.rsample_unit(actor_output.float(), batch.noise)
        q = self._aggregate(critic(batch.critic_obs, action).float())
        return (alpha * log_prob - q).mean(), log_prob.detach()

    def _aggregate(self, q: torch.Tensor) -> torch.Tensor:
        """One value out of those of all critics, shapes [C, B] and [B]."""
        return q.amin(dim=0) if self.q_aggregation == "min" else q.mean(dim=0)

    def _step(
        self, optimizer: torch.optim.Optimizer, parameters: list[torch.Tensor], loss: torch.Tensor, clip: bool = True
    ) -> None:
        """Gradient step on exactly these parameters."""
        gradients = self._average(torch.autograd.grad(loss, parameters))
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        if clip and self.max_grad_norm is not None:
            nn.utils.clip_grad_norm_(parameters, self.max_grad_norm)
        optimizer.step()

    def _average(self, gradients: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Means of gradients over all processes, in one exchange."""
        if self.world_size == 1:
            return list(gradients)
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        torch.distributed.all_reduce(flat)
        pieces = (flat / self.world_size).split([gradient.numel() for gradient in gradients])
        return [piece.view_as(gradient) for piece, gradient in zip(pieces, gradients, strict=True)]


class CompiledUpdate(Update):
    """The same gradient steps as one compiled program each: forward, backward, AdamW and targets.

    What the actor and the temperature have to do with the critics' targets is computed by a program of its own, for all
    gradient steps between two of the actor's at once: neither changes in between. Elementwise work is fused into few
    passes over memory, nothing waits for Python between two matrix products, and the optimizers' state stays where
    torch's own optimizers keep it, so that checkpoints are the same.

    Args:
        *args: As for :class:`Update`.
        after: Gradient steps of the critics that run plainly first, up to the actor's next one: a short training does
            not wait for a compiler.
        fall_back: Whether to go on with :class:`Update`'s own gradient steps where nothing can be compiled.
        **kwargs: As for :class:`Update`.
    """

    def __init__(self, *args: Any, after: int = 0, fall_back: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._plain_steps, self._fall_back, self.compiles = after, fall_back, True
        options = _known_options() if self._device_type == "cuda" else None
        compile_ = partial(torch.compile, fullgraph=True, dynamic=False, options=options)
        self._inputs_program = compile_(self._inputs)
        if self.world_size == 1:
            self._critic_program, self._actor_program = compile_(self._critic), compile_(self._actor)
        else:
            # gradients leave the program to be averaged
            self._critic_gradients = compile_(self._critic_gradients)
            self._actor_gradients = compile_(self._actor_gradients)
            self._critic_apply, self._actor_apply = compile_(self._critic_apply), compile_(self._actor_apply)
            self._critic_program, self._actor_program = self._critic, self._actor
        self._weights = {
            name: {key: parameter.detach() for key, parameter in module.named_parameters()}
            for name, module in (
                ("actor", self.actor),
                ("critic", self.critic),
                ("target", self.critic_target),
                ("coef", self.entropy_coef),
            )
        }
        self._learning_rates: dict[int, torch.Tensor] = {}
        self._runs: Counter[type] = Counter()

    @property
    def prepared(self) -> bool:
        """As :attr:`Update.prepared`: all programs have run, and CUDA graphs have been captured."""
        return not self.compiles or min(self._runs[CriticInputs], self._runs[ActorBatch]) > CAPTURE_AFTER

    def forget(self) -> None:
        """As :meth:`Update.forget`."""
        self._runs.clear()

    @torch.no_grad()
    def learn(self, batches: Batches) -> Iterator[Metrics]:
        """As :meth:`Update.learn`."""
        for stretch in batches.stretches():
            inputs = self._prepare(CriticBatch(*(tensor[stretch.start : stretch.stop] for tensor in batches.critic)))
            for i in stretch:
                yield CRITIC_METRICS, self._critic_step(batches.of_critic(i), inputs, i - stretch.start)
            if stretch[-1] in batches.turns:
                yield ACTOR_METRICS, self.actor_step(batches.of_actor(batches.turns.index(stretch[-1])))

    @torch.no_grad()
    def critic_step(self, batch: CriticBatch) -> torch.Tensor:
        """As :meth:`Update.critic_step`."""
        return self._critic_step(batch, self._prepare(CriticBatch(*(tensor.unsqueeze(0) for tensor in batch))), 0)

    def _prepare(self, batch: CriticBatch) -> CriticInputs | None:
        """The actor's part in several gradient steps, shapes [S, B, ...]; None where nothing is compiled."""
        rows = CriticBatch(*(tensor.flatten(0, 1) for tensor in batch))
        if self._is_compiled:
            # as many batches as there are gradient steps between two of the actor's: one program for any number of rows
            for tensor in rows:
                torch._dynamo.maybe_mark_dynamic(tensor, 0)
        inputs = self._run(self._inputs_program, (self._weights, rows), lambda _: None, rows)
        if inputs is None:
            return None
        return CriticInputs(*(tensor.unflatten(0, batch.reward.shape) for tensor in inputs))

    def _critic_step(self, batch: CriticBatch, inputs: CriticInputs | None, i: int) -> torch.Tensor:
        """A gradient step of the critics, of the i-th of several inputs if there are any."""
        plain = super().critic_step
        if inputs is None:
            self._plain_steps -= 1
            with torch.enable_grad():
                return plain(batch)
        of_step = CriticInputs(*(tensor[i] for tensor in inputs))
        arguments = (self._weights, self._moments(self.critic_optimizer), of_step)
        return self._run(self._critic_program, arguments, lambda _: plain(batch), of_step)

    @property
    def _is_compiled(self) -> bool:
        """Whether it is time for programs, and they could be compiled so far."""
        return self.compiles and self._plain_steps <= 0

    @torch.no_grad()
    def actor_step(self, batch: ActorBatch) -> torch.Tensor:
        """As :meth:`Update.actor_step`."""
        coef_moments = None if self.entropy_optimizer is None else self._moments(self.entropy_optimizer)
        arguments = (self._weights, self._moments(self.actor_optimizer), coef_moments, batch)
        return self._run(self._actor_program, arguments, super().actor_step, batch)

    def _run(self, program: Callable[..., Any], arguments: tuple, plain: Callable[..., Any], batch: Any) -> Any:
        """Run a program, or its plain form where it is not compiled. A program that fails to compile has not run."""
        if self._is_compiled:
            try:
                result = program(*arguments)
                self._runs[type(batch)] += 1
                return result
            except Exception as error:
                if not self._fall_back or not _is_of_the_compiler(error):
                    raise
                reason = next(line for line in str(error).splitlines() if line.strip())
                print(f"[WARNING] gradient steps are not compiled, which makes them slower: {reason}", file=sys.stderr)
                self.compiles = False
        with torch.enable_grad():
            return plain(batch)

    def _inputs(self, weights: Weights, batch: CriticBatch) -> CriticInputs:
        """The actor's part in gradient steps of the critics, out of nothing but its arguments."""
        with self.cast():
            actor_output = _call(self.actor, weights["actor"])(batch.actor_next_obs)
        next_action, reward = self.next_action(batch, actor_output, _call(self.entropy_coef, weights["coef"])())
        return CriticInputs(
            obs_action=torch.cat((batch.obs, batch.action), dim=-1),
            reward=reward,
            discount=batch.discount,
            weight=batch.weight,
            next_obs_action=torch.cat((batch.next_obs, next_action), dim=-1),
        )

    def _critic(self, weights: Weights, moments: Moments, batch: CriticInputs) -> torch.Tensor:
        """A gradient step of the critics, out of nothing but its arguments."""
        gradients, metrics = self._critic_gradients(weights, batch)
        if self.world_size > 1:
            gradients = dict(zip(gradients, self._average(list(gradients.values())), strict=True))
        self._critic_apply(weights, moments, gradients)
        return metrics

    def _critic_gradients(self, weights: Weights, batch: CriticInputs) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        with self.cast():
            target = self.target(
                batch.reward, batch.discount, _call(self.critic, weights["target"])(batch.next_obs_action)
            )

            def loss_of(critic: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
                return self.critic_loss(_call(self.critic, critic)(batch.obs_action), target, batch.weight)

            gradients, (_, metrics) = grad_and_value(loss_of, has_aux=True)(weights["critic"])
        return gradients, metrics

    def _critic_apply(self, weights: Weights, moments: Moments, gradients: Mapping[str, torch.Tensor]) -> None:
        self._adam(weights["critic"], gradients, moments)
        critic = weights["critic"]
        torch._foreach_lerp_([weights["target"][name] for name in critic], list(critic.values()), self.tau)

    def _actor(
        self, weights: Weights, moments: Moments, coef_moments: Moments | None, batch: ActorBatch
    ) -> torch.Tensor:
        """A gradient step of the actor and of the temperature, out of nothing but its arguments."""
        gradients, coef_gradient, metrics = self._actor_gradients(weights, batch)
        if self.world_size > 1:
            *means, coef_gradient = self._average([*gradients.values(), coef_gradient])
            gradients = dict(zip(gradients, means, strict=True))
        self._actor_apply(weights, moments, coef_moments, gradients, coef_gradient)
        return metrics

    def _actor_gradients(
        self, weights: Weights, batch: ActorBatch
    ) -> tuple[dict[str, torch.Tensor], torch.Tensor, torch.Tensor]:
        with self.cast():
            alpha = _call(self.entropy_coef, weights["coef"])()
            critic = _call(self.critic, weights["critic"])

            def loss_of(actor: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
                return self.actor_loss(_call(self.actor, actor)(batch.obs), batch, critic, alpha)

            gradients, (loss, log_prob) = grad_and_value(loss_of, has_aux=True)(weights["actor"])
        coef_gradient = -(log_prob + self.target_entropy).mean()
        temperature = torch.zeros_like(loss)
        if self.entropy_optimizer is not None:
            temperature = weights["coef"]["log_value"] * coef_gradient
        return gradients, coef_gradient, torch.stack([loss, -log_prob.mean(), temperature])

    def _actor_apply(
        self,
        weights: Weights,
        moments: Moments,
        coef_moments: Moments | None,
        gradients: Mapping[str, torch.Tensor],
        coef_gradient: torch.Tensor,
    ) -> None:
        self._adam(weights["actor"], gradients, moments)
        if coef_moments is not None:
            self._adam(weights["coef"], {"log_value": coef_gradient}, coef_moments, clip=False)

    def _adam(
        self,
        weights: Mapping[str, torch.Tensor],
        gradients: Mapping[str, torch.Tensor],
        moments: Moments,
        clip: bool = True,
    ) -> None:
        """One step of AdamW (Loshchilov and Hutter 2019), in place, as torch.optim.AdamW does it."""
        # lists of tensors: on a GPU the compiler joins what is done to all of a list, where single tensors would be a
        # kernel for every size of parameter
        parameters, grads = list(weights.values()), [gradients[name].float() for name in weights]
        if clip and self.max_grad_norm is not None:
            norm = torch.stack(torch._foreach_norm(grads)).square().sum().sqrt()
            grads = torch._foreach_mul(grads, (self.max_grad_norm / (norm + 1.0e-6)).clamp(max=1.0))
        step = moments.steps[0] + 1.0
        beta1, beta2 = moments.betas
        step_size = moments.learning_rate / (1.0 - beta1**step)
        correction = (1.0 - beta2**step).sqrt()
        torch._foreach_lerp_(moments.first, grads, 1.0 - beta1)
        torch._foreach_mul_(moments.second, beta2)
        torch._foreach_addcmul_(moments.second, grads, grads, value=1.0 - beta2)
        denominators = torch._foreach_div(torch._foreach_sqrt(moments.second), correction)
        torch._foreach_add_(denominators, moments.eps)
        changes = torch._foreach_mul(torch._foreach_div(moments.first, denominators), step_size)
        torch._foreach_mul_(parameters, 1.0 - moments.learning_rate * moments.weight_decay)
        torch._foreach_sub_(parameters, changes)
        torch._foreach_add_(moments.steps, 1.0)

    def _moments(self, optimizer: torch.optim.Optimizer) -> Moments:
        """The state of an optimizer, made where there is none yet."""
        (group,) = optimizer.param_groups
        states = []
        for parameter in group["params"]:
            state = optimizer.state[parameter]
            if not state:
                state["step"] = torch.zeros((), device=parameter.device)
                state["exp_avg"] = torch.zeros_like(parameter, requires_grad=False)
                state["exp_avg_sq"] = torch.zeros_like(parameter, requires_grad=False)
            states.append(state)
        key = id(optimizer)
        if key not in self._learning_rates:
            self._learning_rates[key] = torch.zeros((), device=states[0]["exp_avg"].device)
        return Moments(
            first=[state["exp_avg"] for state in states],
            second=[state["exp_avg_sq"] for state in states],
            steps=[state["step"] for state in states],
            learning_rate=self._learning_rates[key].fill_(group["lr"]),
            betas=group["betas"],
            eps=group["eps"],
            weight_decay=group["weight_decay"],
        )


class CudaGraphUpdate(CompiledUpdate):
    """The compiled programs, captured as CUDA graphs: the host launches all gradient steps of a round at once.

    The first :data:`CAPTURE_AFTER` gradient steps of critics and actor are as they are, which compiles the programs and
    warms the libraries up; the next ones are captured. When both were, the rounds are: one graph for each of up to
    :data:`CAPTURED_ROUNDS` kinds, which differ in their number of gradient steps and in where the actor's come. When as
    many rounds in succession brought no new kind, capturing is over; rounds of other kinds are launched step by step.

    Args:
        *args: As for :class:`CompiledUpdate`.
        **kwargs: As for :class:`CompiledUpdate`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._calls: Counter[tuple] = Counter()
        self._graphs: dict[tuple, _Graph] = {}
        self._rounds: dict[tuple, _Graph] = {}
        self._captures = self._captures_rounds = True
        self._since_a_new_kind = 0

    @property
    def prepared(self) -> bool:
        """As :attr:`Update.prepared`: everything that is to be captured was."""
        return super().prepared and not (self.compiles and self._captures and self._captures_rounds)

    def forget(self) -> None:
        """As :meth:`Update.forget`."""
        super().forget()
        for known in (self._calls, self._graphs, self._rounds):
            known.clear()
        self._captures_rounds, self._since_a_new_kind = True, 0

    @torch.no_grad()
    def learn(self, batches: Batches) -> Iterator[Metrics]:
        """As :meth:`Update.learn`; in one program where the round was captured."""
        graph = self._graph_of(batches)
        if graph is None:
            yield from super().learn(batches)
            return
        of_critics, of_actor = graph((*batches.critic, *batches.actor))
        yield CRITIC_METRICS, of_critics
        if batches.turns:
            yield ACTOR_METRICS, of_actor

    def _graph_of(self, batches: Batches) -> _Graph | None:
        """The graph of a round of this kind, captured if it is time; None where its steps are launched one by one."""
        ready = self._is_compiled and self._captures and super().prepared
        if not ready:
            return None
        inputs = (*batches.critic, *batches.actor)
        arguments = self._arguments()  # and the learning rates are where graphs read them
        key = (batches.turns, *(tensor.shape for tensor in inputs), arguments[1].first[0].data_ptr())
        if key in self._rounds:
            self._since_a_new_kind += 1
        elif self._captures_rounds:
            self._since_a_new_kind = 0
            for stretch in batches.stretches():
                # libraries may have to load what is for another number of rows, which they cannot within a capture
                self._prepare(CriticBatch(*(tensor[stretch.start : stretch.stop] for tensor in batches.critic)))
            try:
                self._rounds[key] = _Graph(partial(self._round, arguments, batches.turns), inputs)
            except RuntimeError as error:
                if not self._fall_back:
                    raise
                reason = str(error).splitlines()[0]
                print(f"[WARNING] rounds of gradient steps are not captured: {reason}", file=sys.stderr)
                self._captures_rounds = False
        if CAPTURED_ROUNDS in (len(self._rounds), self._since_a_new_kind):
            self._captures_rounds = False
        return self._rounds.get(key)

    def _arguments(self) -> tuple[Weights, Moments, Moments, Moments | None]:
        """What the programs work on: weights, and the state of the optimizers of critics, actor and temperature."""
        coef_moments = None if self.entropy_optimizer is None else self._moments(self.entropy_optimizer)
        return self._weights, self._moments(self.critic_optimizer), self._moments(self.actor_optimizer), coef_moments

    def _round(
        self,
        arguments: tuple[Weights, Moments, Moments, Moments | None],
        turns: tuple[int, ...],
        *tensors: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """All gradient steps of a round; gives the metrics, shapes [G, 5] and [K, 3]."""
        weights, of_critics, of_actor, of_coef = arguments
        count = len(CriticBatch._fields)
        batches = Batches(CriticBatch(*tensors[:count]), ActorBatch(*tensors[count:]), turns)
        critic_metrics, actor_metrics = [], [torch.empty(0, len(ACTOR_METRICS), device=tensors[0].device)]
        for stretch in batches.stretches():
            rows = (tensor[stretch.start : stretch.stop].flatten(0, 1) for tensor in batches.critic)
            inputs = self._inputs_program(weights, CriticBatch(*rows))
            steps = zip(*(tensor.chunk(len(stretch)) for tensor in inputs), strict=True)
            critic_metrics += [self._critic_program(weights, of_critics, CriticInputs(*step)) for step in steps]
            if stretch[-1] in turns:
                batch = batches.of_actor(turns.index(stretch[-1]))
                actor_metrics.append(self._actor_program(weights, of_actor, of_coef, batch).unsqueeze(0))
        return torch.stack(critic_metrics), torch.cat(actor_metrics)

    def _run(self, program: Callable[..., Any], arguments: tuple, plain: Callable[..., Any], batch: Any) -> Any:
        # the actor's part comes with now more and now fewer rows
        if not self._is_compiled or not self._captures or isinstance(batch, CriticBatch):
            return super()._run(program, arguments, plain, batch)
        # a checkpoint brings other tensors for the optimizers' state, which need a graph of their own
        key = (type(batch), batch[0].shape, arguments[1].first[0].data_ptr())
        self._calls[key] += 1
        if self._calls[key] <= CAPTURE_AFTER:
            return super()._run(program, arguments, plain, batch)
        if key not in self._graphs:
            try:
                fixed, kind = arguments[:-1], type(batch)  # not the batch, which would be kept
                self._graphs[key] = _Graph(lambda *inputs: program(*fixed, kind(*inputs)), batch)
            except RuntimeError as error:
                if not self._fall_back:
                    raise
                reason = str(error).splitlines()[0]
                print(f"[WARNING] gradient steps are launched kernel by kernel: {reason}", file=sys.stderr)
                self._captures = False
                return super()._run(program, arguments, plain, batch)
        self._runs[type(batch)] += 1
        return self._graphs[key](batch)

    def inference(self, network: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
        """As :meth:`Update.inference`."""
        return _CapturedNetwork(network, self._fall_back)


class _CapturedNetwork:
    """A network's evaluation as a CUDA graph; plain for the first times and for another number of rows."""

    def __init__(self, network: nn.Module, fall_back: bool) -> None:
        self._network, self._fall_back, self._captures = network, fall_back, True
        self._calls: Counter[torch.Size] = Counter()
        self._graph: _Graph | None = None
        self._shape: torch.Size | None = None

    # the runner acts in inference mode, whose tensors could not be written to outside of it
    @torch.inference_mode(False)
    @torch.no_grad()
    def __call__(self, obs: torch.Tensor) -> torch.Tensor:
        self._calls[obs.shape] += 1
        if self._captures and self._graph is None and self._calls[obs.shape] > CAPTURE_AFTER:
            try:
                self._graph = _Graph(self._network, (obs,))
                self._shape = obs.shape
            except RuntimeError as error:
                if not self._fall_back:
                    raise
                print(f"[WARNING] the policy is not captured: {str(error).splitlines()[0]}", file=sys.stderr)
                self._captures = False
        if self._graph is None or obs.shape != self._shape:
            return self._network(obs)
        return self._graph((obs,))


class _Graph:
    """A program of tensors as a CUDA graph. Whatever else the program reads and writes must stay where it is."""

    def __init__(self, program: Callable[..., Any], inputs: Sequence[torch.Tensor]) -> None:
        self._inputs = [tensor.clone() for tensor in inputs]
        self._program = program  # which holds what the graph reads and writes
        self._device = inputs[0].device
        self._graph = torch.cuda.CUDAGraph()
        stream = torch.cuda.current_stream(self._device)
        try:
            # other threads, of the simulation or the replay, may use the device meanwhile
            with torch.cuda.device(self._device), torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
                self._output = program(*self._inputs)
        except RuntimeError:
            # a capture that fails at its end leaves its stream, and a generator that believes it is captured
            torch.cuda.set_stream(stream)
            generator = torch.cuda.default_generators[stream.device.index]
            generator.graphsafe_set_state(generator.clone_state())
            raise

    def __call__(self, inputs: Sequence[torch.Tensor]) -> Any:
        with torch.cuda.device(self._device):
            torch._foreach_copy_(self._inputs, list(inputs))
            self._graph.replay()
        return self._output


Weights = dict[str, dict[str, torch.Tensor]]
"""Weights by name, of ``actor``, ``critic``, ``target`` and ``coef``."""


class Moments(NamedTuple):
    """State and options of AdamW."""

    first: list[torch.Tensor]
    second: list[torch.Tensor]
    steps: list[torch.Tensor]
    learning_rate: torch.Tensor
    betas: tuple[float, float]
    eps: float
    weight_decay: float


def _call(module: nn.Module, weights: Mapping[str, torch.Tensor]) -> Callable[..., torch.Tensor]:
    """A module as a function, with other weights than its own."""
    return lambda *inputs: functional_call(module, dict(weights), inputs)


def _known_options() -> dict[str, Any]:
    """Those of :data:`GPU_OPTIONS` that this version of torch has."""
    from torch._inductor import config  # not at the top: it takes seconds

    return {name: value for name, value in GPU_OPTIONS.items() if hasattr(config, name)}


def _is_of_the_compiler(error: Exception) -> bool:
    """Whether an error is that of torch's compiler, and not of the program's run."""
    # not at the top: it takes seconds, and most processes do not compile
    from torch._dynamo.exc import FailOnRecompileLimitHit, TorchDynamoException

    return isinstance(error, (TorchDynamoException, FailOnRecompileLimitHit))


def make_update(kind: str, **options: Any) -> Update:
    """Gradient steps of a kind.

    Args:
        kind: ``"eager"`` (:class:`Update`), ``"fused"`` (:class:`~.fused.FusedUpdate`, on the CPU), ``"compiled"``
            (:class:`CompiledUpdate`), ``"cuda-graph"`` (:class:`CudaGraphUpdate`), or ``"auto"``, the fastest that the
            device and the networks allow. Where nothing can be compiled, ``"auto"`` says so and goes on.
        **options: Those of :class:`Update`.

    Raises:
        ValueError: If the kind is not known, or not for this device or these networks.
    """
    if kind not in UPDATES:
        raise ValueError(f"update is one of {', '.join(UPDATES)}, not '{kind}'")
    cuda = next(options["critic"].parameters()).device.type == "cuda"
    if kind == "cuda-graph" and not cuda:
        raise ValueError("update 'cuda-graph' needs a CUDA device")
    if kind == "cuda-graph" and options.get("world_size", 1) > 1:
        raise ValueError("update 'cuda-graph' is for one process; several take 'compiled'")
    if kind == "fused" and cuda:
        raise ValueError("update 'fused' is for the CPU")
    update = _fastest(cuda, options) if kind == "auto" else _kinds()[kind](**options)
    update.options = options
    return update


def _kinds() -> dict[str, type[Update]]:
    from .fused import FusedUpdate  # which builds on this module

    return {"eager": Update, "fused": FusedUpdate, "compiled": CompiledUpdate, "cuda-graph": CudaGraphUpdate}


def _fastest(cuda: bool, options: Mapping[str, Any]) -> Update:
    """The fastest form that the device and the networks allow."""
    from .fused import FusedUpdate, UnsupportedError

    if not cuda:
        try:
            return FusedUpdate(**options)
        except UnsupportedError:
            pass  # torch's compiler knows other networks, too
        except RuntimeError as error:
            reason = next(line for line in str(error).splitlines() if line.strip())
            print(f"[WARNING] gradient steps are not compiled, which makes them slower: {reason}", file=sys.stderr)
            return Update(**options)
    # ranks that fell back one by one would no longer exchange the same
    alone = options.get("world_size", 1) == 1
    # NCCL does not shut down as long as there are graphs that hold its collectives
    return (CudaGraphUpdate if cuda and alone else CompiledUpdate)(after=COMPILE_AFTER, fall_back=alone, **options)
