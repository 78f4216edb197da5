# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Exploration noise: white, held for some steps, pink, or a function of the state (gSDE).

White noise at 50 Hz averages out over a leg's motion; noise that lasts pushes a joint the same way for a while and so
reaches other states.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn


class Noise:
    """Standard normal noise per environment and joint; here white, drawn anew at each step.

    Args:
        num_envs: Number of environments N.
        action_dim: Number of joints A.
        scale: Standard deviations of the first and of the last environment; those between are spaced evenly. Some
            environments then explore widely while others stay close to the policy, as in PQL (Li et al. 2023).
        device: Device of the noise.

    Raises:
        ValueError: If the scale is no pair of numbers from 0 on.
    """

    def __init__(
        self,
        num_envs: int,
        action_dim: int,
        scale: tuple[float, float] = (1.0, 1.0),
        device: str | torch.device = "cpu",
    ) -> None:
        if len(scale) != 2 or min(scale) < 0.0:
            raise ValueError(f"noise_scale is a pair of numbers from 0 on, not {scale}")
        self.shape, self.device = (num_envs, action_dim), device
        self.kind = "white"
        """What it is, as checkpoints have it."""
        self.scale = torch.linspace(scale[0], scale[1], num_envs, device=device).unsqueeze(-1)
        """Standard deviation of each environment, shape [N, 1]."""

    def sample(self, features: Callable[[], torch.Tensor] | None = None) -> torch.Tensor:
        """Noise for the next step, shape [N, A].

        Args:
            features: Gives the features of the states, shape [N, F]; only :class:`StateNoise` asks for them.
        """
        return self.scale * self._draw()

    def reset(self, dones: torch.Tensor) -> None:
        """Draw anew at the next step where an episode ended; ``dones`` has shape [N]."""

    def state(self) -> list[torch.Tensor]:
        """What goes on from step to step."""
        return []

    def restore(self, kind: str, state: Sequence[torch.Tensor]) -> bool:
        """Go on from the :attr:`kind` and the :meth:`state` of another; gives whether it was one of the same shape."""
        own = self.state()
        if kind != self.kind or [tensor.shape for tensor in own] != [tensor.shape for tensor in state]:
            return False
        for tensor, saved in zip(own, state, strict=True):
            tensor.copy_(saved)
        return True

    def _draw(self) -> torch.Tensor:
        return torch.randn(self.shape, device=self.device)


class HeldNoise(Noise):
    """Noise that stays the same for ``hold`` steps.

    The published recipe calls it gSDE; in its code it is this: the noise is drawn anew once per roll-out (every
    ``train_freq`` steps), while the standard deviation follows the state. Here environments draw anew one after the
    other, and one whose episode ended draws anew at once.

    Args:
        num_envs: Number of environments N.
        action_dim: Number of joints A.
        hold: Steps for which noise is held.
        scale: As of :class:`Noise`.
        device: Device of the noise.

    Raises:
        ValueError: If it is held for less than a step.
    """

    name = "held"
    """Beginning of its kind."""

    def __init__(
        self,
        num_envs: int,
        action_dim: int,
        hold: int = 1,
        scale: tuple[float, float] = (1.0, 1.0),
        device: str | torch.device = "cpu",
    ) -> None:
        super().__init__(num_envs, action_dim, scale, device)
        if hold < 1:
            raise ValueError(f"noise must be held for at least one step, not {hold}")
        self.hold, self.kind = hold, f"{self.name}:{hold}"
        self.held = torch.randn(num_envs, action_dim, device=device)
        """The noise that is held, shape [N, A]."""
        self.left = torch.arange(num_envs, device=device) % hold
        """Steps until the next draw, at first staggered, shape [N]."""

    def reset(self, dones: torch.Tensor) -> None:
        """As :meth:`Noise.reset`."""
        self.left.masked_fill_(dones.bool(), 0)

    def state(self) -> list[torch.Tensor]:
        """As :meth:`Noise.state`: the noise, and the steps for which it stays."""
        return [self.held, self.left]

    def _draw(self) -> torch.Tensor:
        renew = self.left <= 0
        self.held.copy_(torch.where(renew.unsqueeze(-1), torch.randn_like(self.held), self.held))
        self.left.copy_(torch.where(renew, self._lengths(), self.left) - 1)
        return self.held

    def _lengths(self) -> int | torch.Tensor:
        """Steps for which what is drawn now stays."""
        return self.hold


class ZetaNoise(HeldNoise):
    r"""Noise that each environment holds for a number of steps drawn anew each time.

    .. math:: P(n) \propto n^{-2}, \; n = 1, \dots, \text{hold}

    Most noise lasts a step, some lasts long: FlashSAC's, which holds it for up to 16 steps (arXiv:2604.04539).

    Args:
        *args: As for :class:`HeldNoise`; ``hold`` is the most steps for which noise is held.
        **kwargs: As for :class:`HeldNoise`.
    """

    name = "zeta"

    def _lengths(self) -> torch.Tensor:
        weights = torch.arange(1, self.hold + 1, device=self.device, dtype=torch.float32) ** -2.0
        return 1 + torch.multinomial(weights, self.shape[0], replacement=True)


class PinkNoise(Noise):
    """Noise whose power falls as one over its frequency (Eberhard et al., "Pink Noise Is All You Need", ICLR 2023).

    A bank of periodic sequences is made once; each joint of each environment goes along one of them from a place drawn
    at random, and draws anew where an episode ended.

    Args:
        *args: As for :class:`Noise`.
        steps: Length of a sequence, best that of an episode.
        sequences: Number of sequences.
        **kwargs: As for :class:`Noise`.
    """

    def __init__(self, *args: Any, steps: int = 1000, sequences: int = 256, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        device = self.device
        self.kind = f"pink:{steps}"
        frequency = torch.fft.rfftfreq(steps, device=device)
        amplitude = frequency.clamp(min=1.0 / steps) ** -0.5
        amplitude[0] = 0.0  # no bias over an episode
        spectrum = amplitude * torch.randn(sequences, len(frequency), dtype=torch.complex64, device=device)
        bank = torch.fft.irfft(spectrum, n=steps)
        self._bank = (bank / bank.square().mean().sqrt()).flatten()
        self._steps, self._sequences = steps, sequences
        self.row, self.at = torch.zeros(2, *self.shape, dtype=torch.long, device=device)
        """The sequence of each joint, and how far along it is, shape [N, A]."""
        self.reset(torch.ones(self.shape[0], device=device))

    def reset(self, dones: torch.Tensor) -> None:
        """As :meth:`Noise.reset`."""
        ended = dones.bool().unsqueeze(-1)
        for place, count in ((self.row, self._sequences), (self.at, self._steps)):
            place.copy_(torch.where(ended, torch.randint_like(place, count), place))

    def state(self) -> list[torch.Tensor]:
        """As :meth:`Noise.state`: the bank, and where in it the joints are."""
        return [self._bank, self.row, self.at]

    def _draw(self) -> torch.Tensor:
        values = self._bank[self.row * self._steps + self.at]
        self.at.add_(1).remainder_(self._steps)
        return values


class StateNoise(HeldNoise):
    r"""Generalised state-dependent exploration, gSDE (Raffin et al. 2021, arXiv:2005.05719).

    .. math:: \varepsilon(s) = \frac{z(s)^T \theta}{\| z(s) \|}, \; \theta_{ij} \sim \mathcal{N}(0, 1)

    The weights θ stay for ``hold`` steps, and meanwhile the noise is a smooth function of the state's features z, the
    actor's last hidden layer. gSDE multiplies θ by standard deviations of its own, so that the noise grows with z; here
    its size is the policy's standard deviation, as that of every other noise, and z gives the direction alone.

    Args:
        num_envs: Number of environments N.
        action_dim: Number of joints A.
        *args: As for :class:`HeldNoise`; ``hold`` is the steps for which weights are held.
        features: Number of features F.
    """

    name = "gsde"

    def __init__(self, num_envs: int, action_dim: int, *args: Any, features: int = 128) -> None:
        super().__init__(num_envs, features * action_dim, *args)
        self.action_shape = num_envs, features, action_dim

    def sample(self, features: Callable[[], torch.Tensor] | None = None) -> torch.Tensor:
        """As :meth:`Noise.sample`."""
        assert features is not None, "noise that depends on the state needs its features"
        direction = nn.functional.normalize(features(), dim=-1)
        return self.scale * torch.einsum("nf,nfa->na", direction, self._draw().view(self.action_shape))


def hidden_layers(network: nn.Module) -> nn.Sequential:
    """The layers of a multi-layer perceptron before its last linear one; they share their weights with it."""
    layers = list(network.children())
    last = max(i for i, layer in enumerate(layers) if isinstance(layer, nn.Linear))
    return nn.Sequential(*layers[:last])


def make_noise(
    kind: str,
    num_envs: int,
    action_dim: int,
    hold: int,
    scale: tuple[float, float] = (1.0, 1.0),
    device: str | torch.device = "cpu",
    steps: int = 1000,
    features: int = 128,
) -> Noise:
    """The exploration noise of a kind: ``white``, ``held``, ``zeta``, ``pink`` or ``gsde``.

    Args:
        kind: Its name.
        num_envs: Number of environments N.
        action_dim: Number of joints A.
        hold: Steps for which held noise lasts, and Zeta noise at most.
        scale: Standard deviations of the first and of the last environment.
        device: Device of the noise.
        steps: Steps of an episode, the length of a sequence of pink noise.
        features: Width of the actor's last hidden layer, on which gSDE depends.
    """
    if kind == "zeta":
        return ZetaNoise(num_envs, action_dim, hold, scale, device)
    if kind == "gsde":
        return StateNoise(num_envs, action_dim, hold, scale, device, features=features)
    if kind == "pink":
        return PinkNoise(num_envs, action_dim, scale, device, steps=steps)
    if kind == "held" and hold > 1:
        return HeldNoise(num_envs, action_dim, hold, scale, device)
    return Noise(num_envs, action_dim, scale, device)
