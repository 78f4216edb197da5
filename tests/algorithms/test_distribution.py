# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from rsl_rl.models import MLPModel
from scipy.integrate import quad
from scipy.stats import norm
from tensordict import TensorDict

from isaaclab_offpolicy.algorithms import SquashedGaussianDistribution

LOW, HIGH = [-2.0, -0.4, 0.5], [1.1, 2.6, 0.75]


def distribution_at(mean: float, std: float, low: float, high: float) -> SquashedGaussianDistribution:
    distribution = SquashedGaussianDistribution(1, [low], [high])
    distribution.double()
    distribution.update(torch.tensor([[[mean], [math.log(std)]]], dtype=torch.float64))
    return distribution


@pytest.mark.parametrize(("mean", "std"), [(0.0, 0.3), (0.7, 0.8), (-1.5, 0.5), (0.2, 2.0)])
@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (-2.0, 1.1), (0.5, 0.75)])
def test_log_prob_against_numerical_integration(mean: float, std: float, low: float, high: float) -> None:
    distribution = distribution_at(mean, std, low, high)

    def density(action: float) -> float:
        return distribution.log_prob(torch.tensor([[action]], dtype=torch.float64)).exp().item()

    def cdf(action: float) -> float:
        unit = (action - (high + low) / 2) / ((high - low) / 2)
        return norm.cdf(math.atanh(unit), mean, std)

    # the mass between two actions is that of the Gaussian between their images
    for a, b in ((0.05, 0.5), (0.3, 0.9), (0.02, 0.98)):
        left, right = low + a * (high - low), low + b * (high - low)
        mass, _ = quad(density, left, right, epsabs=1e-10, limit=200)
        assert mass == pytest.approx(cdf(right) - cdf(left), abs=1e-7)


def test_log_prob_of_samples_is_consistent_with_that_of_actions() -> None:
    distribution = SquashedGaussianDistribution(3, LOW, HIGH).double()
    output = torch.randn(1000, 2, 3, dtype=torch.float64) * 0.3 - 0.5
    distribution.update(output)
    unit_action, unit_log_prob = distribution.rsample_normalized(output)
    action = distribution.to_action(unit_action)
    # the density of the scaled action is that of the normalised action over the half-ranges
    log_half = torch.log((distribution.high - distribution.low) / 2).sum()
    torch.testing.assert_close(distribution.log_prob(action), unit_log_prob - log_half, rtol=1e-6, atol=1e-6)


def test_batches_may_have_several_dimensions() -> None:
    distribution = SquashedGaussianDistribution(3, LOW, HIGH).double()
    output, noise = torch.randn(4, 5, 2, 3, dtype=torch.float64) * 0.3, torch.randn(4, 5, 3, dtype=torch.float64)
    distribution.update(output)
    normalized, log_prob = distribution.rsample_normalized(output, noise)
    density = distribution.log_prob(distribution.to_action(normalized))
    assert log_prob.shape == density.shape == (4, 5)
    for i, row in enumerate(output):
        distribution.update(row)
        rows = distribution.rsample_normalized(row, noise[i])
        torch.testing.assert_close(rows, (normalized[i], log_prob[i]))
        torch.testing.assert_close(distribution.log_prob(distribution.to_action(rows[0])), density[i])


def test_gradients_of_the_log_prob_are_finite_at_the_edges() -> None:
    # a million cases in single precision, most of them saturated
    distribution = SquashedGaussianDistribution(3, LOW, HIGH)
    output = (torch.randn(340_000, 2, 3) * 20.0).requires_grad_()
    action, log_prob = distribution.rsample_normalized(output)
    (action.sum() + log_prob.sum()).backward()
    assert output.grad is not None and output.grad.isfinite().all() and log_prob.isfinite().all()
    # of actions on the bounds themselves, and a hair beside them
    output = (torch.randn(340_000, 2, 3) * 2.0).requires_grad_()
    distribution.update(output)
    low, high = torch.tensor(LOW), torch.tensor(HIGH)
    edge = torch.where(torch.rand(340_000, 3) < 0.5, low, high) + 1e-7 * torch.randn(340_000, 3)
    log_prob = distribution.log_prob(edge)
    log_prob.sum().backward()
    assert log_prob.isfinite().all() and output.grad is not None and output.grad.isfinite().all()


def test_actions_never_leave_the_bounds() -> None:
    distribution = SquashedGaussianDistribution(3, LOW, HIGH)
    output = torch.randn(100_000, 2, 3) * 50.0
    distribution.update(output)
    low, high = torch.tensor(LOW), torch.tensor(HIGH)
    for action in (distribution.sample(), distribution.deterministic_output(output), distribution.mean):
        assert (action >= low).all() and (action <= high).all()


def test_scaling_and_its_inverse() -> None:
    distribution = SquashedGaussianDistribution(3, LOW, HIGH)
    unit = torch.rand(100_000, 3) * 2 - 1
    torch.testing.assert_close(distribution.to_normalized(distribution.to_action(unit)), unit, rtol=0, atol=1e-6)
    torch.testing.assert_close(distribution.to_action(torch.ones(3)), torch.tensor(HIGH))
    torch.testing.assert_close(distribution.to_action(-torch.ones(3)), torch.tensor(LOW))
    beyond = torch.tensor([LOW, HIGH]) + torch.tensor([[-0.3], [0.3]])
    assert distribution.to_normalized(beyond).tolist() == [[-1.0] * 3, [1.0] * 3]


def test_entropy_and_divergence_against_the_gaussian() -> None:
    distribution = distribution_at(0.3, 0.7, -1.0, 3.0)
    old = distribution.params
    distribution.update(torch.tensor([[[0.1], [math.log(0.9)]]], dtype=torch.float64))
    expected = math.log(0.9 / 0.7) + (0.7**2 + 0.2**2) / (2 * 0.9**2) - 0.5
    assert distribution.kl_divergence(old, distribution.params).item() == pytest.approx(expected, abs=1e-9)
    several = [tuple(p.expand(4, 5, 3) for p in params) for params in (old, distribution.params)]
    torch.testing.assert_close(distribution.kl_divergence(*several), torch.full((4, 5), 3 * expected).double())
    many = distribution_at(0.3, 0.7, -1.0, 3.0)
    many.update(torch.tensor([[[0.3], [math.log(0.7)]]], dtype=torch.float64).expand(200_000, 2, 1))

    def integrand(u: float) -> float:
        log_density = norm.logpdf(u, 0.3, 0.7) - math.log(1 - math.tanh(u) ** 2) - math.log(2.0)
        return -norm.pdf(u, 0.3, 0.7) * log_density

    expected_entropy, _ = quad(integrand, -7, 7)
    assert many.entropy.mean().item() == pytest.approx(expected_entropy, abs=5e-3)


def test_start_options() -> None:
    obs = TensorDict({"policy": torch.randn(500, 8)}, batch_size=[500])
    cfg = {
        "class_name": "isaaclab_offpolicy.algorithms:SquashedGaussianDistribution",
        "init_std": 0.15,
        "init_output_scale": 1e-3,
    }
    actor = MLPModel(obs, {"actor": ["policy"]}, "actor", 3, [32], distribution_cfg=cfg)
    actor(obs, stochastic_output=True)
    torch.testing.assert_close(actor.output_std, torch.full((500, 3), 0.15))
    assert actor.output_mean.abs().max() < 0.02
    cfg |= {"init_at_zero": True, "low": [-2.0, -0.4, 0.5], "high": [1.1, 2.6, 0.75]}
    zero = MLPModel(obs, {"actor": ["policy"]}, "actor", 3, [32], distribution_cfg=cfg)
    zero(obs, stochastic_output=True)
    assert zero.output_mean[:, :2].abs().max() < 0.05, "the default pose, although it is not the middle of the box"
    assert (zero.output_mean[:, 2] - 0.5).abs().max() < 0.02, "as near to it as the bounds allow"
    plain = MLPModel(obs, {"actor": ["policy"]}, "actor", 3, [32], distribution_cfg={"class_name": cfg["class_name"]})
    plain(obs, stochastic_output=True)
    assert plain.output_std.std() > 0.0
    # before the first observation, and the range of SB3 and SBX
    assert SquashedGaussianDistribution(2).std.tolist() == [[1.0, 1.0]]
    mean, log_std = plain.distribution.split(torch.tensor([[[9.0] * 3, [-50.0, 0.5, 50.0]]]))
    assert mean.tolist() == [[9.0] * 3] and log_std.tolist() == [[-20.0, 0.5, 2.0]]
    # unasked, the mean starts in the middle of the box
    cfg |= {"init_at_zero": False}
    middle = MLPModel(obs, {"actor": ["policy"]}, "actor", 3, [32], distribution_cfg=cfg)
    middle(obs, stochastic_output=True)
    assert (middle.output_mean - torch.tensor([-0.45, 1.1, 0.625])).abs().max() < 0.05
    assert not SquashedGaussianDistribution(2).init_at_zero


@pytest.mark.parametrize("kind", ["jit", "onnx"])
def test_exports_equal_the_policy_and_keep_the_bounds(kind: str, tmp_path) -> None:
    obs = TensorDict({"policy": torch.randn(2000, 8) * 3}, batch_size=[2000])
    cfg = {
        "class_name": "isaaclab_offpolicy.algorithms:SquashedGaussianDistribution",
        "low": LOW,
        "high": HIGH,
        "joint_names": ["a", "b", "c"],
    }
    actor = MLPModel(obs, {"actor": ["policy"]}, "actor", 3, [32, 16], obs_normalization=True, distribution_cfg=cfg)
    actor.update_normalization(obs)
    with torch.no_grad():
        actor.mlp[-2].weight *= 40.0  # drive most outputs into the corners
    actor.eval()
    expected = actor(obs).detach()
    assert (expected == torch.tensor(HIGH)).any() and (expected == torch.tensor(LOW)).any()
    x = obs["policy"]
    if kind == "jit":
        torch.jit.script(actor.as_jit()).save(str(tmp_path / "policy.pt"))
        policy = torch.jit.load(str(tmp_path / "policy.pt"))
        result = policy(x).detach()
        assert policy.deterministic_output.joint_names == ["a", "b", "c"]
        torch.testing.assert_close(policy.deterministic_output.low, torch.tensor(LOW))
    else:
        import onnxruntime

        module = actor.as_onnx(verbose=False)
        path = str(tmp_path / "policy.onnx")
        torch.onnx.export(
            module, module.get_dummy_inputs(), path, opset_version=18, input_names=["obs"], output_names=["actions"],
            dynamic_axes={"obs": {0: "batch"}}, dynamo=False,
        )  # fmt: skip
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        result = torch.from_numpy(session.run(None, {"obs": x.numpy()})[0])
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-5)
    assert (result >= torch.tensor(LOW)).all() and (result <= torch.tensor(HIGH)).all()
    huge = torch.from_numpy(np.full((4, 8), 1e6, dtype=np.float32))
    edge = policy(huge) if kind == "jit" else torch.from_numpy(session.run(None, {"obs": huge.numpy()})[0])
    assert (edge >= torch.tensor(LOW)).all() and (edge <= torch.tensor(HIGH)).all()


@pytest.mark.parametrize(("low", "high"), [([0.0], [0.0]), ([1.0], [0.0]), ([0.0], [math.inf]), ([-math.inf], [0.0])])
def test_bad_bounds_are_refused(low: list[float], high: list[float]) -> None:
    with pytest.raises(ValueError, match="bounds"):
        SquashedGaussianDistribution(1, low, high)
    with pytest.raises(ValueError, match="bounds"):  # one joint is enough
        SquashedGaussianDistribution(2, [-1.0, *low], [1.0, *high])
    with pytest.raises(ValueError, match=r"bounds of \(2,\) and \(1,\)"):
        SquashedGaussianDistribution(1, [-1.0, -1.0], [1.0])
    with pytest.raises(ValueError, match=r"bounds of \(1,\) and \(2,\)"):
        SquashedGaussianDistribution(1, [-1.0], [1.0, 1.0])
