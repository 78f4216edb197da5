# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Critics that predict a distribution of the return."""

from __future__ import annotations

import pytest
import torch

from environments import LinearQuadraticEnv
from isaaclab_offpolicy.algorithms import QEnsemble, losses
from isaaclab_offpolicy.algorithms.returns import KINDS, Backup, make_returns

ARGUMENTS = (torch.tensor([0.1, 0.2]), torch.tensor([0.9, 0.0]))
LOG_PROB, ALPHA = torch.tensor([-1.0, 3.0]), torch.tensor(0.1)
BACKUP = Backup(*ARGUMENTS, LOG_PROB, ALPHA)


def test_mean_is_sac() -> None:
    q = torch.tensor([[1.0, 2.0], [0.0, 4.0]])
    returns = make_returns("mean", None, 2, (-5.0, 5.0))
    assert torch.equal(returns.mean(q), q)
    target = returns.target(q, BACKUP, "min")
    assert torch.equal(target, losses.critic_target(*ARGUMENTS, q, LOG_PROB, ALPHA))
    assert torch.equal(returns.loss(q, target, torch.ones(2)), losses.critic_loss(q, target, torch.ones(2)))


@pytest.mark.parametrize(
    ("how", "kept"), [("mean", [0.0, 1.0, 2.0, 3.0]), ("min", [0.0, 1.0, 4.0]), ("mean-none-dropped", None)]
)
def test_quantiles_leave_out_the_highest(how: str, kept: list[float] | None) -> None:
    # means 2.25 and 3.5: the first critic is the lower
    atoms = torch.tensor([[4.0, 1.0, 0.0, 4.0], [2.0, 6.0, 3.0, 3.0]]).unsqueeze(1).expand(2, 2, 4)
    drop = {"mean": 2, "min": 1, "mean-none-dropped": 0}[how]
    returns = make_returns("quantiles", 4, drop, (-5.0, 5.0))
    assert returns.mean(atoms).tolist() == [[2.25, 2.25], [3.5, 3.5]]
    target = returns.target(atoms, BACKUP, how[:4].rstrip("-"))
    expected = sorted([4.0, 1.0, 0.0, 4.0, 2.0, 6.0, 3.0, 3.0]) if kept is None else kept
    assert target.shape == (2, len(expected))
    assert target[0].tolist() == pytest.approx([0.1 + 0.9 * (z + 0.1) for z in expected])
    assert target[1].tolist() == pytest.approx([0.2] * len(expected)), "it terminated"


def test_sizes_and_levels_are_the_published_ones() -> None:
    tqc, c51, bell = (make_returns(kind, None, 2, (-2.0, 2.0)) for kind in KINDS[1:])
    assert (tqc.outputs, c51.outputs, bell.outputs) == (25, 101, 151)
    torch.testing.assert_close(tqc.tau[[0, 12, 24]], torch.tensor([0.02, 0.5, 0.98]))
    assert "tau" not in tqc.state_dict() and c51.support[50].abs() < 1e-6
    assert make_returns("categorical", 2, 0, (0.0, 1.0)).support.tolist() == [0.0, 1.0], "two bins are enough"


@pytest.mark.parametrize("how", ["min", "mean"])
def test_bins_take_the_whole_distribution(how: str) -> None:
    returns = make_returns("categorical", 5, 0, (-1.0, 1.0))
    probabilities = torch.tensor([[0.0, 0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.5, 0.0, 0.5]]).unsqueeze(1).expand(2, 2, 5)
    output = probabilities.clamp(min=1e-30).log() + 7.0  # logits are free up to a constant
    torch.testing.assert_close(returns.mean(output), torch.tensor([[0.0, 0.0], [0.5, 0.5]]))
    chosen = probabilities[0] if how == "min" else probabilities.mean(dim=0)
    support = torch.tensor([-1.0, -0.5, 0.0, 0.5, 1.0])
    z = losses.bellman(*ARGUMENTS, support, LOG_PROB, ALPHA)
    expected = losses.project(z, chosen, support)
    target = returns.target(output, BACKUP, how)
    assert target.shape == (2, 5)
    torch.testing.assert_close(target, expected)


def test_a_bell_is_around_the_scalar_target() -> None:
    returns = make_returns("hl-gauss", 101, 0, (-2.0, 2.0))
    output = torch.randn(2, 2, 101)
    scalar = losses.critic_target(*ARGUMENTS, returns.mean(output), LOG_PROB, ALPHA)
    target = returns.target(output, BACKUP, "min")
    torch.testing.assert_close(target @ returns.support, scalar, rtol=0.0, atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_critics_learn_a_target(kind: str) -> None:
    # what each loss is minimal at: the mean of rewards 0 and 1, which come alike often
    critic = QEnsemble(2, 1, [32], predicts=kind, value_range=(-2.0, 2.0), init_output_scale=0.0)
    obs, action = torch.randn(64, 2), torch.rand(64, 1)
    output = critic(obs, action)
    assert output.shape == ((2, 64) if kind == "mean" else (2, 64, critic.returns.outputs))
    assert critic.returns.mean(output).abs().max() < 1e-6, "starts with Q = 0"
    reward, done = (torch.arange(64) % 2).float(), torch.zeros(64)
    obs[1::2], action[1::2] = obs[::2], action[::2]
    optimizer = torch.optim.Adam(critic.parameters(), 6e-3)
    for _ in range(150):
        output = critic(obs, action)
        target = critic.returns.target(output.detach(), Backup(reward, done, done, ALPHA), "min")
        optimizer.zero_grad()
        critic.returns.loss(output, target, torch.ones(64)).backward()
        optimizer.step()
    mean = critic.returns.mean(critic(obs, action))
    assert (mean - 0.5).abs().max() < 0.1, mean


def test_the_range_of_bins_is_part_of_a_checkpoint(make_sac, train_cfg) -> None:
    def learner(**critic):
        cfg = train_cfg(gamma=0.95)
        cfg["critic"] |= critic
        return make_sac(LinearQuadraticEnv(4), cfg)

    sac = learner(predicts="categorical")
    assert sac.critic.returns.support[[0, -1]].tolist() == pytest.approx([-1.0, 1.0]), "0.05 / (1 - 0.95)"
    other = learner(predicts="categorical", value_range=[-3.0, 2.0])
    assert other.critic.returns.support[[0, -1]].tolist() == [-3.0, 2.0]
    sac.load(other.save(), None, strict=True)
    for critic in (sac.critic, sac.updater.critic_target):
        assert critic.returns.support[[0, -1]].tolist() == [-3.0, 2.0]
    for kind in ("mean", "quantiles", "hl-gauss"):
        with pytest.raises((RuntimeError, ValueError)):
            learner(predicts=kind).load(other.save(), None, strict=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"predicts": "median"}, "one of mean, quantiles, categorical, hl-gauss"),
        ({"predicts": "quantiles", "atoms": 3, "drop": 3}, "from 0 to 2"),
        ({"predicts": "categorical", "value_range": (1.0, 1.0)}, "a lower and a higher return"),
        ({"predicts": "hl-gauss", "atoms": 1}, "two bins"),
    ],
)
def test_options_that_cannot_be_used(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        QEnsemble(2, 1, [8], **options)


def test_bins_that_are_too_narrow_are_told(make_sac, train_cfg, capsys: pytest.CaptureFixture[str]) -> None:
    env = LinearQuadraticEnv(16)
    cfg = train_cfg(learning_starts=32, batch_size=32, learning_rate=3e-3, tau=0.1)
    cfg["critic"] |= {"predicts": "categorical", "value_range": [-0.5, 0.5]}  # costs are far larger
    sac = make_sac(env, cfg)
    for _ in range(8):
        with torch.inference_mode():
            obs = env.get_observations()
            for _ in range(20):
                obs, rewards, dones, extras = env.step(sac.act(obs))
                sac.process_env_step(obs, rewards, dones, extras)
        sac.update()
    assert capsys.readouterr().err.count("the critics' bins are too narrow") == 1
