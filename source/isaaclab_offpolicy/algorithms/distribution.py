# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Squashed Gaussian: tanh of a Gaussian, scaled into the action bounds."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from rsl_rl.modules.distribution import Distribution
from torch import nn
from torch.distributions import Normal, kl_divergence


class SquashedGaussianDistribution(Distribution):
    r"""Gaussian with state-dependent standard deviation, squashed by tanh and scaled into the action bounds.

    With :math:`u \sim \mathcal{N}(\mu, \sigma^2)`, the *normalised action* is :math:`z = \tanh u \in [-1, 1]` and the
    action :math:`a = c + h z`, where :math:`c` and :math:`h` are centre and half-range of the bounds. The change of
    variables gives :math:`\log p(a) = \log p(u) - \sum_i \log(1 - z_i^2) - \sum_i \log h_i` (Haarnoja et al. 2018,
    appendix C).

    The critics see normalised actions, and entropies are those of the normalised action, so that a target entropy of
    minus the number of joints means the same whatever the bounds. :meth:`log_prob` is that of the action itself.

    The network gives a tensor ``[..., 2, A]``: mean and logarithm of the standard deviation, both before tanh.

    Args:
        output_dim: Number of joints A.
        low: Smallest actions [raw action units], length A. Without bounds, -1.
        high: Largest actions [raw action units], length A. Without bounds, 1.
        joint_names: Names of the joints, stored in the exports.
        init_std: Standard deviation before tanh at the start, the same in every state; None leaves the layer's own
            initialisation, which gives about 1 (SB3's and SBX's behaviour).
        init_output_scale: Standard deviation of the weights that give the mean at the start, with zero bias: small
            values start in the middle of the bounds; None leaves the layer's own initialisation.
        init_at_zero: Whether the mean starts around action zero, which is the robot's default pose, instead of around
            the middle of the bounds: percentile bounds are not symmetric.
        log_std_range: Clamp on the logarithm of the standard deviation (SB3's and SBX's -20, 2).
    """

    def __init__(
        self,
        output_dim: int,
        low: Sequence[float] | None = None,
        high: Sequence[float] | None = None,
        joint_names: Sequence[str] | None = None,
        init_std: float | None = None,
        init_output_scale: float | None = None,
        init_at_zero: bool = False,
        log_std_range: tuple[float, float] = (-20.0, 2.0),
    ) -> None:
        super().__init__(output_dim)
        low_ = torch.as_tensor([-1.0] * output_dim if low is None else list(low), dtype=torch.float32)
        high_ = torch.as_tensor([1.0] * output_dim if high is None else list(high), dtype=torch.float32)
        if low_.shape != (output_dim,) or high_.shape != (output_dim,):
            raise ValueError(f"bounds of {tuple(low_.shape)} and {tuple(high_.shape)} for {output_dim} actions")
        if not bool(torch.isfinite(low_).all() and torch.isfinite(high_).all() and (low_ < high_).all()):
            raise ValueError("bounds must be finite, and low below high")
        self.low: torch.Tensor
        self.high: torch.Tensor
        self.register_buffer("low", low_)
        self.register_buffer("high", high_)
        self.joint_names = list(joint_names) if joint_names is not None else [str(i) for i in range(output_dim)]
        self.init_std = init_std
        self.init_output_scale = init_output_scale
        self.init_at_zero = init_at_zero
        self.log_std_range = log_std_range
        # before the first observation, so that the runner can always log a standard deviation
        initial = torch.full((1, output_dim), 1.0 if init_std is None else init_std)
        self._mean, self._std = torch.zeros_like(initial), initial

    def to_action(self, normalized_action: torch.Tensor) -> torch.Tensor:
        """Scale normalised actions, shape [..., A], into the bounds. Never leaves them, whatever the rounding."""
        return scale_into_bounds(normalized_action, self.low, self.high)

    def to_normalized(self, action: torch.Tensor) -> torch.Tensor:
        """The inverse of :meth:`to_action`, shape [..., A]."""
        center, half = (self.high + self.low) / 2, (self.high - self.low) / 2
        return ((action - center) / half).clamp(-1.0, 1.0)

    def split(self, mlp_output: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and clamped logarithm of the standard deviation before tanh, shape [..., A] each."""
        mean, log_std = torch.unbind(mlp_output, dim=-2)
        return mean, log_std.clamp(*self.log_std_range)

    def rsample_normalized(
        self, mlp_output: torch.Tensor, noise: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Reparametrised normalised actions and their log-probability.

        Args:
            mlp_output: Output of the network, shape [..., 2, A].
            noise: Standard normal noise, shape [..., A]; drawn when not given.

        Returns:
            Normalised actions in [-1, 1], shape [..., A], and their log-probabilities, shape [...].
        """
        mean, log_std = self.split(mlp_output)
        if noise is None:
            noise = torch.randn_like(mean)
        pre_tanh = torch.addcmul(mean, log_std.exp(), noise)
        # log N(u) with (u - mean)/std = noise, minus log|d tanh/du| as log_tanh_slope has it; in few passes, since a
        # gradient step does this three times
        terms = torch.addcmul(log_std, noise, noise, value=0.5)
        terms = terms.add(F.logsigmoid(2.0 * pre_tanh) - pre_tanh, alpha=2.0)
        log_prob = -self.output_dim * (_HALF_LOG_2PI + 2.0 * math.log(2.0)) - terms.sum(-1)
        return torch.tanh(pre_tanh), log_prob

    def update(self, mlp_output: torch.Tensor) -> None:
        """Set the distribution from the output of the network, shape [..., 2, A]."""
        self._mean, log_std = self.split(mlp_output)
        self._std = log_std.exp()

    def sample(self) -> torch.Tensor:
        """Actions within the bounds, shape [..., A]."""
        return self.to_action(torch.tanh(torch.addcmul(self._mean, self._std, torch.randn_like(self._mean))))

    def deterministic_output(self, mlp_output: torch.Tensor) -> torch.Tensor:
        """Action of the mean: ``c + h tanh(mean)``, shape [..., A]."""
        return self.to_action(torch.tanh(mlp_output[..., 0, :]))

    def as_deterministic_output_module(self) -> nn.Module:
        """The deterministic output as a module for export, with the bounds in it."""
        return _SquashedDeterministicOutput(self.low, self.high, self.joint_names)

    @property
    def input_dim(self) -> list[int]:
        """The network must give ``[2, A]`` numbers."""
        return [2, self.output_dim]

    @property
    def mean(self) -> torch.Tensor:
        """Deterministic action of the current distribution [raw action units], shape [..., A]."""
        return self.to_action(torch.tanh(self._mean))

    @property
    def std(self) -> torch.Tensor:
        """Standard deviation before tanh, shape [..., A]."""
        return self._std

    @property
    def entropy(self) -> torch.Tensor:
        """Estimate from one sample of the entropy of the action [nats], shape [...]; it has no closed form."""
        return -self.log_prob(self.sample())

    @property
    def params(self) -> tuple[torch.Tensor, ...]:
        """Mean and standard deviation before tanh, shape [..., A] each."""
        return (self._mean, self._std)

    def log_prob(self, outputs: torch.Tensor) -> torch.Tensor:
        """Log-probability density of actions within the bounds.

        Args:
            outputs: Actions [raw action units], shape [..., A]. At and beyond a bound the density is taken just inside.

        Returns:
            Log-probability summed over the joints, shape [...].
        """
        half = (self.high - self.low) / 2
        pre_tanh = torch.atanh(self.to_normalized(outputs).clamp(-1.0 + _EDGE, 1.0 - _EDGE))
        log_prob = Normal(self._mean, self._std).log_prob(pre_tanh)
        return (log_prob - log_tanh_slope(pre_tanh) - torch.log(half)).sum(-1)

    def kl_divergence(self, old_params: tuple[torch.Tensor, ...], new_params: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """KL(old || new), shape [...]; that of the Gaussians, since tanh and scaling are one-to-one."""
        (old_mean, old_std), (new_mean, new_std) = old_params, new_params
        return kl_divergence(Normal(old_mean, old_std), Normal(new_mean, new_std)).sum(-1)

    def init_mlp_weights(self, mlp: nn.Module) -> None:
        """Set the last layer's start, as the options say."""
        last = next(m for m in reversed(list(mlp.children())) if isinstance(m, nn.Linear))
        n = self.output_dim
        with torch.no_grad():
            if self.init_output_scale is not None:
                nn.init.normal_(last.weight[:n], std=self.init_output_scale)
                nn.init.zeros_(last.bias[:n])
            if self.init_at_zero:
                zero = self.to_normalized(torch.zeros_like(self.low))
                last.bias[:n] += torch.atanh(zero.clamp(-0.95, 0.95))  # within the bounds, if zero is not
            if self.init_std is not None:
                nn.init.zeros_(last.weight[n:])
                nn.init.constant_(last.bias[n:], math.log(self.init_std))


_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)
_EDGE = 1.0e-6
"""Distance from ±1 at which atanh is taken in float32."""


def log_tanh_slope(x: torch.Tensor) -> torch.Tensor:
    """log(1 - tanh²x), finite for every finite x: 2 (log 2 - x + log sigmoid(2x))."""
    return 2.0 * (math.log(2.0) - x + F.logsigmoid(2.0 * x))


def scale_into_bounds(normalized_action: torch.Tensor, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    """Map [-1, 1] onto [low, high], clamped against rounding; shapes [..., A], [A], [A]."""
    action = (high + low) / 2 + (high - low) / 2 * normalized_action
    return torch.minimum(torch.maximum(action, low), high)


class _SquashedDeterministicOutput(nn.Module):
    """Exportable: bounded action of the network's mean. ``low``, ``high`` and ``joint_names`` can be read back."""

    def __init__(self, low: torch.Tensor, high: torch.Tensor, joint_names: list[str]) -> None:
        super().__init__()
        self.low: torch.Tensor
        self.high: torch.Tensor
        self.register_buffer("low", low.detach().clone())
        self.register_buffer("high", high.detach().clone())
        self.joint_names = list(joint_names)

    def forward(self, mlp_output: torch.Tensor) -> torch.Tensor:
        normalized_action = torch.tanh(mlp_output[..., 0, :])
        return scale_into_bounds(normalized_action, self.low, self.high)
