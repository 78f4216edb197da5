# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import copy
from collections.abc import Iterable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from environments import LinearQuadraticEnv
from isaaclab_offpolicy.algorithms import SAC, QEnsemble
from isaaclab_offpolicy.algorithms.backends import Backend, UnsupportedError
from isaaclab_offpolicy.algorithms.backends.cpu import Cpu
from isaaclab_offpolicy.algorithms.backends.cpu.build import kernels, sgemm
from isaaclab_offpolicy.algorithms.backends.cpu.mlp import MLP
from isaaclab_offpolicy.algorithms.batch import ActorBatch, Batches, CriticBatch
from isaaclab_offpolicy.benchmarks.learner import with_backend

BATCH = 32


@pytest.fixture(autouse=True)
def _programs_of_their_own():
    """Programs of one test do not count against the limit of compilations of the next."""
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def batches(steps: int, seed: int = 1) -> list[tuple[CriticBatch, ActorBatch]]:
    """Transitions of no environment in particular: 2 observations, 1 action."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    result = []
    for _ in range(steps):
        obs, next_obs = normal(BATCH, 2), normal(BATCH, 2)
        weight = (torch.rand(BATCH, generator=generator) > 0.1).float()
        critic = CriticBatch(
            obs, normal(BATCH, 1).tanh(), normal(BATCH), 0.9 * weight, weight, next_obs, next_obs, normal(BATCH, 1)
        )
        result.append((critic, ActorBatch(obs, obs.clone(), normal(BATCH, 1))))
    return result


def phase(actor_updates: tuple[int, ...], steps: int, seed: int) -> Batches:
    """An update phase of so many gradient steps, with the actor's after some of them."""
    critics, actors = zip(*batches(steps, seed), strict=True)
    chosen = [actors[i] for i in actor_updates]
    actor = [torch.stack(tensors) for tensors in zip(*chosen, strict=True)] or [torch.empty(0)] * 3
    critic = CriticBatch(*(torch.stack(tensors) for tensors in zip(*critics, strict=True)))
    return Batches(critic, ActorBatch(*actor), actor_updates)


def learner(make_sac, train_cfg, backend: str, model: dict[str, Any] | None = None, **algorithm: Any) -> SAC:
    torch.manual_seed(3)
    cfg = train_cfg(backend=backend, tau=0.05, **algorithm)
    cfg["critic"] |= model or {}
    return make_sac(LinearQuadraticEnv(4), cfg)


def assert_same(left: SAC, right: SAC) -> dict[str, Any]:
    """Compare the whole state, with that of the optimizers, as checkpoints hold it."""
    states = [copy.deepcopy(sac.save()) for sac in (left, right)]
    for name in ("actor", "critic", "entropy"):
        key = f"{name}_optimizer_state_dict"
        moments = [state.pop(key, {"state": {}})["state"] for state in states]
        torch.testing.assert_close(*moments, rtol=1e-3, atol=1e-5)
    bounds = [state.pop("action_bounds") for state in states]
    assert bounds[0] == bounds[1]
    schedules = [state["progress"].pop("schedule") for state in states]
    assert schedules[0] == schedules[1]
    # Adam divides by the size of a gradient: of one that is nearly zero the last bits move a weight
    torch.testing.assert_close(*states, rtol=1e-4, atol=1e-4)
    return states[0]


@pytest.mark.parametrize("backend", ["cpu", "compiled"])
@pytest.mark.parametrize(
    ("model", "algorithm"),
    [
        ({}, {"ent_coef": "auto_0.1"}),
        (
            {"n_critics": 3, "layer_norm": False, "activation": "tanh"},
            {"ent_coef": 0.1, "max_grad_norm": 0.5, "q_aggregation": "mean", "actor_learning_rate": 1e-4},
        ),
        ({"predicts": "quantiles"}, {"q_aggregation": "mean"}),
        ({"predicts": "categorical", "value_range": (-9.0, 9.0)}, {}),
        ({"predicts": "hl-gauss", "value_range": (-9.0, 9.0), "atoms": 31}, {}),
    ],
)
def test_backends_learn_the_same(make_sac, train_cfg, backend: str, model: dict, algorithm: dict) -> None:
    plain, fast = (learner(make_sac, train_cfg, kind, model, **algorithm) for kind in ("eager", backend))
    assert type(plain.updater.backend) is Backend and type(fast.updater.backend) is not Backend
    start = copy.deepcopy(plain.save())
    metrics: list[list[torch.Tensor]] = [[], []]
    for i in range(25):
        for sac, of_sac in zip((plain, fast), metrics, strict=True):
            of_sac += [values for _, values in sac.updater.learn(phase((1, 3), 4, seed=i))]
    torch.testing.assert_close(*(torch.cat(of_sac) for of_sac in metrics), rtol=1e-4, atol=1e-5)
    end = assert_same(plain, fast)
    for module in ("actor", "critic", "critic_target"):
        before, after = start[f"{module}_state_dict"], end[f"{module}_state_dict"]
        moved = max(float((after[name] - before[name]).abs().max()) for name in before)
        assert moved > 2e-3, f"{module} has moved by much more than the tolerance"
    # a checkpoint of the plain one, in which the optimizers have a new state, and a falling learning rate
    for sac in (plain, fast):
        sac.load(copy.deepcopy({**start, "num_updates": 0}), None, strict=True)
        for i in range(5):
            sac.updater.set_learning_rate(1e-4 / (i + 1), 2e-4 / (i + 1))
            list(sac.updater.learn(phase((0,), 2, seed=50 + i)))
    assert_same(plain, fast)


def test_the_same_learner_with_another_backend(make_sac, train_cfg) -> None:
    fast = learner(make_sac, train_cfg, "cpu")
    plain = with_backend(fast.updater, Backend())
    for critic_batch, actor_batch in batches(3):
        for step, batch in (("critic_step", critic_batch), ("actor_step", actor_batch)):
            left, right = (getattr(updater, step)(batch) for updater in (plain, fast.updater))
            torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-5)


def test_without_a_compiler_gradient_steps_run_plainly(
    make_sac, train_cfg, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch._inductor.config.cpp, "cxx", ("no-such-compiler",))
    monkeypatch.setattr(torch._inductor.config, "force_disable_caches", True)
    monkeypatch.setenv("CXX", "no-such-compiler")
    kernels.cache_clear()
    auto, compiled, falls_back = (learner(make_sac, train_cfg, kind) for kind in ("auto", "compiled", "compiled"))
    assert type(auto.updater.backend) is Backend
    falls_back.updater.backend._fall_back = True
    falls_back.updater.compile()
    for critic_batch, _ in batches(3):
        for sac in (auto, falls_back):
            sac.updater.critic_step(critic_batch)
    assert_same(auto, falls_back)
    warnings = [line for line in capsys.readouterr().err.splitlines() if "not compiled" in line]
    assert len(warnings) == 2 and all("compiler" in line for line in warnings)
    with pytest.raises(Exception, match="compiler"):
        compiled.updater.critic_step(batches(1)[0][0])
    with pytest.raises(RuntimeError, match="compiler"):
        learner(make_sac, train_cfg, "cpu")
    kernels.cache_clear()


def test_a_cache_that_cannot_be_written_is_no_obstacle(
    make_sac, train_cfg, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    kernels.cache_clear()
    assert type(learner(make_sac, train_cfg, "auto").updater.backend) is Backend
    assert "cannot be kept" in capsys.readouterr().err
    kernels.cache_clear()


def test_networks_that_the_kernels_do_not_know(make_sac, train_cfg) -> None:
    with pytest.raises(UnsupportedError, match="ELU, ReLU, Tanh, Identity, not GELU"):
        learner(make_sac, train_cfg, "cpu", {"activation": "gelu"})
    with pytest.raises(UnsupportedError, match="which the actor is not"):
        MLP(torch.nn.Conv2d(1, 1, 1))
    # torch knows them
    for other in ({"activation": "gelu"}, {}):
        sac = learner(make_sac, train_cfg, "auto", other, precision="float32" if other else "bfloat16")
        assert type(sac.updater.backend) is Backend


def near_a_kink(critic: QEnsemble, obs: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
    """Which rows have an activation's input that is zero but for rounding in any layer, shape [B]."""
    inputs, near = [], torch.zeros(len(obs), dtype=torch.bool)
    act = critic.activation.forward
    critic.activation.forward = lambda z: inputs.append(z) or act(z)  # type: ignore[method-assign]
    try:
        critic(obs, action.detach())
    finally:
        del critic.activation.forward
    for z in inputs:
        near |= (z.detach().abs() < 1e-5).any(dim=0).any(dim=-1)
    assert inputs and near.float().mean() < 0.2
    return near


def cpu_network(module: torch.nn.Module) -> MLP:
    """A module in the kernels, where torch has MKL."""
    try:
        sgemm()
    except UnsupportedError as error:
        pytest.skip(str(error))
    return MLP(module)


def side_by_side(tensors: Iterable[torch.Tensor]) -> torch.Tensor:
    """All numbers in one row, as the kernels give the gradients of parameters."""
    return torch.cat([tensor.flatten() for tensor in tensors])


@pytest.mark.parametrize("activation", ["elu", "relu", "tanh", "identity"])
@pytest.mark.parametrize("layer_norm", [True, False])
@pytest.mark.parametrize("batch", [5, 45, 300])
def test_critics_against_autograd(activation: str, layer_norm: bool, batch: int) -> None:
    """Outputs, gradients of all parameters and of the inputs, at sizes that are no multiple of a vector."""
    torch.manual_seed(0)
    critic = QEnsemble(7, 3, [37, 50, 19], activation, layer_norm, n_critics=3)
    with torch.no_grad():
        for parameter in (*critic.norm_weights, *critic.norm_biases):
            parameter += 0.3 * torch.randn_like(parameter)
    network = cpu_network(critic)
    obs = (torch.randn(batch, 7) * 3.0).requires_grad_()
    action, grad = torch.rand(batch, 3, requires_grad=True), torch.randn(3, batch)
    if activation == "relu":
        # where rounding decides on which side of its kink a unit is, no gradient is the right one
        grad[:, near_a_kink(critic, obs, action)] = 0.0
    expected_q, q = critic(obs, action), network(obs, action)
    torch.testing.assert_close(q, expected_q, rtol=1e-5, atol=1e-5)
    expected = torch.autograd.grad(expected_q, [*critic.parameters(), obs, action], grad)
    gradients = torch.autograd.grad(q, [network.leaf, obs, action], grad)
    torch.testing.assert_close(side_by_side(gradients), side_by_side(expected), rtol=1e-4, atol=1e-4)
    # only the inputs' gradients, as the actor's step needs them, of two inputs and of one
    network.leaf.requires_grad_(False)
    (of_action,) = torch.autograd.grad(network(obs.detach(), action), [action], grad)
    torch.testing.assert_close(of_action, expected[-1], rtol=1e-4, atol=1e-4)
    joined = torch.cat((obs, action), dim=-1).detach().requires_grad_()
    (of_joined,) = torch.autograd.grad(network(joined), [joined], grad)
    torch.testing.assert_close(of_joined, torch.cat(expected[-2:], dim=-1), rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(network(obs, action), expected_q, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("hidden", [[37, 18], []])
def test_an_actor_against_autograd(hidden: list[int]) -> None:
    torch.manual_seed(0)
    widths = [7, *hidden, 6]
    modules: list[torch.nn.Module] = []
    for fan_in, fan_out in pairwise(widths):
        modules += [torch.nn.Linear(fan_in, fan_out), torch.nn.Tanh()]
    actor = torch.nn.Sequential(*modules[:-1], torch.nn.Unflatten(-1, (2, 3)))
    obs, grad = torch.randn(45, 7, requires_grad=True), torch.randn(45, 2, 3)
    network = cpu_network(actor)
    expected_output, output = actor(obs), network(obs)
    torch.testing.assert_close(output, expected_output, rtol=1e-5, atol=1e-5)
    expected = torch.autograd.grad(expected_output, [*actor.parameters(), obs], grad)
    gradients = torch.autograd.grad(output, [network.leaf, obs], grad)
    torch.testing.assert_close(side_by_side(gradients), side_by_side(expected), rtol=1e-4, atol=1e-5)


def test_outputs_and_gradients_outlive_the_passes_after_them() -> None:
    """The memory of passes is used again and again, also while other passes wait for their backward pass."""
    torch.manual_seed(0)
    critic = QEnsemble(7, 3, [16, 8])
    network, inputs = cpu_network(critic), [torch.randn(20, 10) for _ in range(3)]
    with torch.no_grad():
        evaluated = [network(x) for x in inputs]
    outputs = [network(x) for x in inputs]
    gradients = [torch.autograd.grad(q.square().sum(), [network.leaf]) for q in reversed(outputs)][::-1]
    again = [torch.autograd.grad(network(x).square().sum(), [network.leaf]) for x in inputs]
    for i, x in enumerate(inputs):
        expected = critic(x)
        torch.testing.assert_close(evaluated[i], expected, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(outputs[i], expected, rtol=1e-5, atol=1e-5)
        of_parameters = torch.autograd.grad(expected.square().sum(), list(critic.parameters()))
        for result in (gradients[i], again[i]):
            torch.testing.assert_close(side_by_side(result), side_by_side(of_parameters), rtol=1e-4, atol=1e-4)


def test_a_pass_of_parameters_that_have_moved_is_not_used_again() -> None:
    torch.manual_seed(0)
    critic, x = QEnsemble(2, 1, [8]), torch.randn(4, 3)
    network = cpu_network(critic)
    before = network(x)
    for parameter in critic.parameters():
        parameter.data = parameter.data.clone() * 2.0
    network(x)  # with the new ones
    with pytest.raises(RuntimeError, match="changed between"):
        torch.autograd.grad(before.sum(), [network.leaf])
    torch.testing.assert_close(network(x), critic(x), rtol=1e-5, atol=1e-5)


def test_weights_that_change_before_the_backward_pass_are_an_error() -> None:
    critic = QEnsemble(2, 1, [8])
    q = cpu_network(critic)(torch.randn(4, 3))
    with torch.no_grad():
        critic.weights[0].add_(1.0)
    with pytest.raises(RuntimeError, match="changed between"):
        q.sum().backward()


def test_which_thread_is_faster_does_not_change_the_gradients() -> None:
    torch.manual_seed(0)
    critic = QEnsemble(7, 3, [64, 32])
    x, grad = torch.randn(300, 10), torch.randn(2, 300)
    network, results = cpu_network(critic), []
    threads = torch.get_num_threads()
    try:
        for number in (1, 2, 2, 3, 3):
            torch.set_num_threads(number)
            results.append(torch.autograd.grad(network(x), [network.leaf], grad))
    finally:
        torch.set_num_threads(threads)
    for result in results[1:]:
        torch.testing.assert_close(result, results[0], rtol=1e-4, atol=1e-4)
    for first, second in ((1, 2), (3, 4)):
        torch.testing.assert_close(results[first], results[second], rtol=0, atol=0)


def test_inputs_of_other_types_and_widths(make_sac, train_cfg) -> None:
    sac = learner(make_sac, train_cfg, "cpu")
    policy, obs = sac.updater.policy(sac.actor.mlp), torch.randn(9, 2)
    torch.testing.assert_close(policy(obs.double()), policy(obs))
    with pytest.raises(ValueError, match="has 2 inputs, not 3"):
        policy(torch.randn(9, 3))


@pytest.mark.parametrize("backend", ["eager", "compiled"])
def test_half_precision_stays_close(make_sac, train_cfg, backend: str) -> None:
    full, half = (
        learner(make_sac, train_cfg, kind, precision=precision)
        for kind, precision in (("eager", "float32"), (backend, "bfloat16"))
    )
    critic_batch, actor_batch = batches(1)[0]
    metrics = [
        torch.cat([sac.updater.critic_step(critic_batch), sac.updater.actor_step(actor_batch)]) for sac in (full, half)
    ]
    assert not torch.equal(*metrics)
    torch.testing.assert_close(*metrics, rtol=0.03, atol=0.02)
    assert all(p.dtype == torch.float32 for p in (*half.critic.parameters(), *half.actor.parameters()))
    # after many steps on a fixed problem both have learned the same
    for sac in (full, half):
        for batch, _ in batches(8) * 40:
            last = sac.updater.critic_step(batch._replace(discount=torch.zeros(BATCH)))
        metrics[sac is half] = last
    assert float(metrics[1][0]) == pytest.approx(float(metrics[0][0]), rel=0.2, abs=0.02)


def test_the_policy_that_acts_follows_the_one_that_learns(make_sac, train_cfg) -> None:
    sac = learner(make_sac, train_cfg, "cpu")
    assert isinstance(sac.updater.backend, Cpu)
    policy = sac.updater.policy(sac.actor.mlp)
    with torch.inference_mode():  # as the runner acts
        obs = torch.randn(5, 2)
        before = policy(obs).clone()
    for critic_batch, actor_batch in batches(3):
        sac.updater.critic_step(critic_batch)
        sac.updater.actor_step(actor_batch)
    assert not torch.equal(policy(obs), before)
    for rows in (obs, torch.randn(9, 2), obs):
        with torch.no_grad():
            torch.testing.assert_close(policy(rows), sac.actor.mlp(rows), rtol=1e-6, atol=1e-6)


def test_a_program_is_compiled_once(make_sac, train_cfg, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the schedule and the update phases: anew at a step would cost more than it saves."""
    # traced and guarded as ever, but not compiled, which would take a minute
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    counters = torch._dynamo.utils.counters
    counters.clear()
    sac = learner(make_sac, train_cfg, "compiled")
    assert not sac.updater.backend.is_warm
    for i, (steps, actor_updates) in enumerate([(4, (1, 3)), (3, (0,)), (5, ()), (1, (0,))]):
        sac.updater.set_learning_rate(1e-3 / (i + 1), 1e-3)
        list(sac.updater.learn(phase(actor_updates, steps, seed=i)))
    assert sac.updater.backend.is_warm
    assert counters["stats"]["unique_graphs"] == 2, "the critics' loss and the actor's"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_captured_gradient_steps_equal_plain_ones(train_cfg) -> None:
    states = []
    for kind in ("eager", "cuda-graph"):
        torch.manual_seed(3)
        env = LinearQuadraticEnv(4)
        cfg = train_cfg(backend=kind, learning_rate=1e-3, tau=0.05)
        sac = SAC.construct_algorithm(env.get_observations().to("cuda"), env, cfg, "cuda")
        for i, (critic_batch, actor_batch) in enumerate(batches(100)):
            sac.updater.set_learning_rate(1e-3 / (i + 1), 1e-3)
            sac.updater.critic_step(CriticBatch(*(tensor.cuda() for tensor in critic_batch)))
            sac.updater.actor_step(ActorBatch(*(tensor.cuda() for tensor in actor_batch)))
        assert sac.updater.backend.is_warm
        policy = sac.updater.policy(sac.actor.mlp)
        for rows in (7, 7, 7, 7, 7, 3, 7):
            obs = torch.randn(rows, 2, device="cuda")
            torch.testing.assert_close(policy(obs), sac.actor.mlp(obs).detach(), rtol=1e-5, atol=1e-5)
        saved = sac.save()
        states.append([saved[f"{name}_state_dict"] for name in ("actor", "critic", "critic_target", "entropy_coef")])
    torch.testing.assert_close(*states, rtol=1e-4, atol=1e-5)
