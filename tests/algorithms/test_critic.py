# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from isaaclab_offpolicy.algorithms import QEnsemble


def test_critics_as_one_network_equal_separate_networks() -> None:
    critic = QEnsemble(5, 3, [16, 8], "elu", layer_norm=True, n_critics=2)
    with torch.no_grad():
        for p in critic.parameters():
            p.add_(0.1 * torch.randn_like(p))
    obs, action = torch.randn(7, 5), torch.randn(7, 3)
    result = critic(obs, action)
    for c in range(2):
        x = torch.cat((obs, action), -1)
        for i, width in enumerate((16, 8)):
            x = F.linear(x, critic.weights[i][c].T, critic.biases[i][c, 0])
            x = F.elu(F.layer_norm(x, (width,), critic.norm_weights[i][c, 0], critic.norm_biases[i][c, 0], 1e-6))
        x = F.linear(x, critic.weights[2][c].T, critic.biases[2][c, 0])
        torch.testing.assert_close(result[c], x.squeeze(-1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("scale", [0.0, 0.1])
def test_a_small_last_layer_starts_with_small_values_and_learns(scale: float) -> None:
    obs, action = torch.randn(64, 5), torch.randn(64, 3)
    torch.manual_seed(0)
    reference = QEnsemble(5, 3, [16, 8])
    torch.manual_seed(0)
    critic = QEnsemble(5, 3, [16, 8], init_output_scale=scale)
    torch.testing.assert_close(critic(obs, action), scale * reference(obs, action))
    critic(obs, action).sum().backward()
    assert all(p.is_leaf and p.grad is not None for p in critic.parameters())
    assert critic.weights[-1].grad.abs().sum() > 0.0
