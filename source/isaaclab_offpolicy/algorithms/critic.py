# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""The critics: an ensemble of Q-functions evaluated as one network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from rsl_rl.utils import resolve_nn_activation
from torch import nn

from .returns import make_returns

LAYER_NORM_EPS = 1.0e-6
"""Added to the variance: Flax's, with which the published results were made, and not torch's 1e-5."""


class QEnsemble(nn.Module):
    """Several Q-functions of equal shape, with one batched matrix product per layer for all of them.

    Each is a multi-layer perceptron: linear, layer normalisation, activation; the last layer is linear.

    Args:
        obs_dim: Number of observations D.
        action_dim: Number of joints A.
        hidden_dims: Widths of the hidden layers.
        activation: Name of the activation, as rsl_rl knows it.
        layer_norm: Whether hidden layers are normalised before their activation.
        n_critics: Number of Q-functions C.
        init_output_scale: Factor on the initial weights and biases of the last layer. Zero starts with Q = 0 (or in the
            middle of ``value_range``), so that the actor does not climb what is only the networks' initialisation.
        predicts: What the outputs mean; see :func:`.returns.make_returns`, also for the arguments that follow.
        atoms: Outputs M of each critic that predicts a distribution.
        drop: Quantiles left out.
        value_range: The lowest and the highest return of bins.

    Raises:
        ValueError: If critics cannot predict that.
    """

    def __init__(
        self,
        obs_dim: int,
        action_dim: int,
        hidden_dims: Sequence[int] = (512, 256, 128),
        activation: str = "elu",
        layer_norm: bool = True,
        n_critics: int = 2,
        init_output_scale: float = 1.0,
        predicts: str = "mean",
        atoms: int | None = None,
        drop: int = 2,
        value_range: tuple[float, float] = (-5.0, 5.0),
    ) -> None:
        super().__init__()
        self.n_critics = n_critics
        self.returns = make_returns(predicts, atoms, drop, value_range)
        self.activation = resolve_nn_activation(activation)
        dims = [obs_dim + action_dim, *hidden_dims, self.returns.outputs]
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        self.norm_weights, self.norm_biases = nn.ParameterList(), nn.ParameterList()
        for fan_in, fan_out in pairwise(dims):
            # the initialisation of torch.nn.Linear
            limit = 1.0 / math.sqrt(fan_in)
            self.weights.append(nn.Parameter(torch.empty(n_critics, fan_in, fan_out).uniform_(-limit, limit)))
            self.biases.append(nn.Parameter(torch.empty(n_critics, 1, fan_out).uniform_(-limit, limit)))
        with torch.no_grad():
            self.weights[-1] *= init_output_scale
            self.biases[-1] *= init_output_scale
        if layer_norm:
            for width in hidden_dims:
                self.norm_weights.append(nn.Parameter(torch.ones(n_critics, 1, width)))
                self.norm_biases.append(nn.Parameter(torch.zeros(n_critics, 1, width)))

    def forward(self, obs: torch.Tensor, normalized_action: torch.Tensor | None = None) -> torch.Tensor:
        """What :attr:`returns` is predicted from.

        Args:
            obs: Normalised observations, shape [B, D]; or observations and actions side by side, shape [B, D + A].
            normalized_action: Actions scaled to [-1, 1], shape [B, A], if they are not there.

        Returns:
            Shape [C, B] for one output, Q-values then, and [C, B, M] for several.
        """
        x = obs if normalized_action is None else torch.cat((obs, normalized_action), dim=-1)
        x = x.expand(self.n_critics, -1, -1)
        for i in range(len(self.weights) - 1):
            # bias apart: a compiler fuses it with the normalisation, while baddbmm would write it to memory first
            x = torch.bmm(x, self.weights[i]) + self.biases[i]
            if len(self.norm_weights):
                x = F.layer_norm(x, x.shape[-1:], eps=LAYER_NORM_EPS)
                x = torch.addcmul(self.norm_biases[i], x, self.norm_weights[i])
            x = self.activation(x)
        if self.returns.outputs > 1:
            return torch.bmm(x, self.weights[-1]) + self.biases[-1]
        # a product with one column is slow as a matrix product
        return (x * self.weights[-1].transpose(1, 2)).sum(dim=-1) + self.biases[-1].squeeze(-1)
