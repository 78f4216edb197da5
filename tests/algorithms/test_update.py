# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import copy
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch._dynamo.exc import TorchDynamoException

from environments import LinearQuadraticEnv
from isaaclab_offpolicy.algorithms import SAC, QEnsemble, fused
from isaaclab_offpolicy.algorithms import update as update_module
from isaaclab_offpolicy.algorithms.fused import kernels
from isaaclab_offpolicy.algorithms.update import (
    ACTOR_METRICS,
    CRITIC_METRICS,
    ActorBatch,
    Batches,
    CompiledUpdate,
    CriticBatch,
    CudaGraphUpdate,
    Update,
)

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
        # tensors of their own, as parts of a round are
        result.append((critic, ActorBatch(obs, obs.clone(), normal(BATCH, 1))))
    return result


def learner(make_sac, train_cfg, update: str, model: dict[str, Any] | None = None, **algorithm: Any):
    torch.manual_seed(3)
    cfg = train_cfg(update=update, tau=0.05, **algorithm)
    cfg["critic"] |= model or {}
    return make_sac(LinearQuadraticEnv(4), cfg)


@pytest.mark.parametrize("update", ["fused", "compiled"])
@pytest.mark.parametrize(
    ("model", "algorithm"),
    [
        ({}, {"ent_coef": "auto_0.1"}),
        (
            {"n_critics": 3, "layer_norm": False, "activation": "tanh"},
            {"ent_coef": 0.1, "max_grad_norm": 0.5, "q_aggregation": "mean", "actor_learning_rate": 1e-4},
        ),
    ],
)
def test_fast_updates_equal_plain_ones(make_sac, train_cfg, update: str, model: dict, algorithm: dict) -> None:
    plain, compiled = (learner(make_sac, train_cfg, kind, model, **algorithm) for kind in ("eager", update))
    counters = torch._dynamo.utils.counters
    counters.clear()
    start = copy.deepcopy(plain.save())

    def run(steps: int, seed: int, learning_rate: float | None = None) -> None:
        metrics = []
        for sac in (plain, compiled):
            for i, (critic_batch, actor_batch) in enumerate(batches(steps, seed)):
                if learning_rate is not None:  # a schedule
                    for optimizer in (sac.critic_optimizer, sac.actor_optimizer):
                        optimizer.param_groups[0]["lr"] = learning_rate / (i + 1)
                values = [sac.updater.critic_step(critic_batch)]
                if i % 2:
                    values.append(sac.updater.actor_step(actor_batch))
            metrics.append(torch.cat(values))
        torch.testing.assert_close(*metrics, rtol=1e-4, atol=1e-5)

    def compare() -> dict[str, Any]:
        # the whole state, with that of the optimizers, as checkpoints hold it
        left, right = copy.deepcopy(plain.save()), compiled.save()
        assert left.pop("action_bounds") == right.pop("action_bounds")
        moments = "critic_optimizer_state_dict"
        torch.testing.assert_close(left.pop(moments), right.pop(moments), rtol=1e-3, atol=1e-5)
        torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-5)
        return left

    run(100, seed=1)
    end = compare()
    for module in ("actor", "critic", "critic_target"):
        before, after = start[f"{module}_state_dict"], end[f"{module}_state_dict"]
        moved = max(float((after[name] - before[name]).abs().max()) for name in before)
        assert moved > 1e-3, f"{module} has moved by more than the tolerance"
    # a checkpoint of the plain one, in which the optimizers have a new state, and a falling learning rate
    for sac in (plain, compiled):
        sac.load(copy.deepcopy({**start, "num_updates": 0}), None, strict=True)
    run(10, seed=2, learning_rate=1e-4)
    compare()
    for batches_ in rounds([(3, (2,)), (1, ()), (5, (0,)), (8, ())]):
        for sac in (plain, compiled):
            list(sac.updater.learn(batches_))
    compare()
    if update == "compiled":
        assert counters["stats"]["unique_graphs"] == 3, "the actor's part, the critics and the actor, once each"


def test_without_a_compiler_gradient_steps_run_plainly(
    make_sac, train_cfg, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch._inductor.config.cpp, "cxx", ("no-such-compiler",))
    monkeypatch.setattr(torch._inductor.config, "force_disable_caches", True)
    monkeypatch.setenv("CXX", "no-such-compiler")
    kernels.cache_clear()
    plain, auto, compiled = (learner(make_sac, train_cfg, kind) for kind in ("eager", "auto", "compiled"))
    # an activation that the kernels do not have is left to torch's compiler, after some steps
    monkeypatch.setattr("isaaclab_offpolicy.algorithms.update.COMPILE_AFTER", 3)
    other = learner(make_sac, train_cfg, "auto", {"activation": "gelu"})
    assert type(auto.updater) is Update
    for i, (critic_batch, _) in enumerate(batches(6)):
        plain.updater.critic_step(critic_batch)
        auto.updater.critic_step(critic_batch)
        other.updater.critic_step(critic_batch)
        assert other.updater.compiles == (i < 3), "it is tried after three gradient steps"
    for left, right in zip(plain.critic_parameters, auto.critic_parameters, strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=0)
    warnings = [line for line in capsys.readouterr().err.splitlines() if "not compiled" in line]
    assert len(warnings) == 2 and all("compiler" in line for line in warnings)
    with pytest.raises(Exception, match="compiler"):
        compiled.updater.critic_step(batches(1)[0][0])
    with pytest.raises(Exception, match="compiler"):
        learner(make_sac, train_cfg, "fused")
    kernels.cache_clear()


def test_a_cache_that_cannot_be_written_is_no_obstacle(
    make_sac, train_cfg, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    kernels.cache_clear()
    assert type(learner(make_sac, train_cfg, "auto").updater) is Update
    assert "cannot be kept" in capsys.readouterr().err
    kernels.cache_clear()


def test_networks_that_the_kernels_do_not_know(make_sac, train_cfg) -> None:
    with pytest.raises(ValueError, match="a network without hidden layers"):
        learner(make_sac, train_cfg, "fused", {"hidden_dims": []})
    with pytest.raises(ValueError, match="ELU, ReLU, Tanh, Identity, not GELU"):
        learner(make_sac, train_cfg, "fused", {"activation": "gelu"})


@pytest.fixture(params=["blocks", "layers"])
def order(request, monkeypatch) -> str:
    """Whether blocks of rows go through all layers, or layers are worked off one by one, as without MKL."""
    if request.param == "layers":
        monkeypatch.setattr(fused, "sgemm", lambda: None)
    elif fused.sgemm() is None:
        pytest.skip("torch has no MKL on this machine")
    return request.param


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


@pytest.mark.parametrize("activation", ["elu", "relu", "tanh", "identity"])
@pytest.mark.parametrize("layer_norm", [True, False])
@pytest.mark.parametrize("batch", [5, 45, 300])
def test_kernels_against_autograd(order: str, activation: str, layer_norm: bool, batch: int) -> None:
    """Outputs, gradients of all parameters and of the inputs, at sizes that are no multiple of a vector."""
    torch.manual_seed(0)
    critic = QEnsemble(7, 3, [37, 50, 19], activation, layer_norm, n_critics=3)
    with torch.no_grad():
        for parameter in (*critic.norm_weights, *critic.norm_biases):
            parameter += 0.3 * torch.randn_like(parameter)
    stack = fused._critic_stack(critic, half=False)
    obs, action, grad = torch.randn(batch, 7) * 3.0, torch.rand(batch, 3, requires_grad=True), torch.randn(3, batch)
    if activation == "relu":
        # where rounding decides on which side of its kink a unit is, no gradient is the right one
        grad[:, near_a_kink(critic, obs, action)] = 0.0
    q = critic(obs, action)
    parameters = list(critic.parameters())
    *expected, expected_action = torch.autograd.grad(q, [*parameters, action], grad)
    inputs = obs, action.detach()
    with torch.no_grad():
        torch.testing.assert_close(stack.forward(*inputs, keep=False), q, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(stack.forward(torch.cat(inputs, dim=-1), keep=False), q, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(stack.forward(*inputs, keep=True), q, rtol=1e-5, atol=1e-5)
        stack.backward(grad)
        for parameter, value in zip(parameters, expected, strict=True):
            torch.testing.assert_close(stack.gradients()[id(parameter)], value, rtol=1e-4, atol=1e-4)
        stack.forward(*inputs, keep=True)
        of_action = stack.input_gradient(grad, 7).sum(dim=0)
        torch.testing.assert_close(of_action, expected_action, rtol=1e-4, atol=1e-5)


def test_kernels_of_an_actor_against_autograd(order: str) -> None:
    torch.manual_seed(0)
    actor = torch.nn.Sequential(
        torch.nn.Linear(7, 37), torch.nn.Tanh(), torch.nn.Linear(37, 18), torch.nn.Tanh(), torch.nn.Linear(18, 6)
    )
    stack = fused._actor_stack(actor, half=False)
    obs, grad = torch.randn(45, 7), torch.randn(45, 6)
    output = actor(obs)
    expected = torch.autograd.grad(output, list(actor.parameters()), grad)
    with torch.no_grad():
        torch.testing.assert_close(stack.forward(obs, keep=False), output, rtol=1e-5, atol=1e-5)
        stack.forward(obs, keep=True)
        stack.backward(grad)
    for parameter, value in zip(actor.parameters(), expected, strict=True):
        torch.testing.assert_close(stack.gradients()[id(parameter)], value, rtol=1e-4, atol=1e-5)


def test_which_thread_is_faster_does_not_change_the_gradients() -> None:
    if fused.sgemm() is None:
        pytest.skip("torch has no MKL on this machine")
    torch.manual_seed(0)
    critic = QEnsemble(7, 3, [64, 32])
    x, grad = torch.randn(300, 10), torch.randn(2, 300)
    results = []
    threads = torch.get_num_threads()
    try:
        for number in (1, 2, 2, 3, 3):
            torch.set_num_threads(number)
            stack = fused._critic_stack(critic, half=False)
            stack.forward(x, keep=True)
            stack.backward(grad)
            results.append(list(stack.gradients().values()))
    finally:
        torch.set_num_threads(threads)
    for result in results[1:]:
        torch.testing.assert_close(result, results[0], rtol=1e-4, atol=1e-4)
    for first, second in ((1, 2), (3, 4)):
        torch.testing.assert_close(results[first], results[second], rtol=0, atol=0)


def test_inputs_of_other_types_and_widths(make_sac, train_cfg) -> None:
    sac = learner(make_sac, train_cfg, "fused")
    policy, obs = sac.updater.inference(sac.actor.mlp), torch.randn(9, 2)
    expected = policy(obs).clone()
    torch.testing.assert_close(policy(obs.double()), expected)
    with pytest.raises(ValueError, match="has 2 inputs, not 3"):
        policy(torch.randn(9, 3))


def test_sampled_actions_are_those_of_the_distribution(make_sac, train_cfg) -> None:
    """And their gradients; also where tanh is flat and where the standard deviation is clamped."""
    updater = learner(make_sac, train_cfg, "fused").updater
    generator = torch.Generator().manual_seed(1)
    low, high = updater.distribution.log_std_range
    alpha = torch.tensor(0.3)
    for size in (1.0e-3, 1.0, 30.0):
        output = (size * torch.randn(1001, 2, generator=generator)).requires_grad_()
        noise = torch.randn(1001, 1, generator=generator)
        expected, expected_log_prob = updater.distribution.rsample_unit(output.view(1001, 2, 1), noise)
        of_action = torch.randn(3, 1001, 1, generator=generator)
        loss = alpha * expected_log_prob.mean() + (of_action.sum(dim=0) * expected).sum()
        (expected_gradient,) = torch.autograd.grad(loss, output)
        with torch.no_grad():
            action, log_prob = updater._sample(output, noise)
            gradient = torch.empty(1001, 2)
            kernels().sample_actions_backward(
                *(tensor.data_ptr() for tensor in (output, noise, action, of_action, alpha)), low, high,
                gradient.data_ptr(), 3, 1001, 1,
            )  # fmt: skip
        assert action.abs().max() <= 1.0
        torch.testing.assert_close(action, expected, rtol=1e-6, atol=3e-7)
        torch.testing.assert_close(log_prob, expected_log_prob, rtol=2e-6, atol=2e-6)
        torch.testing.assert_close(gradient, expected_gradient, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("update", ["fused", "compiled"])
def test_half_precision_stays_close(make_sac, train_cfg, update: str) -> None:
    full, half = (
        learner(make_sac, train_cfg, kind, precision=precision)
        for kind, precision in (("eager", "float32"), (update, "bfloat16"))
    )
    critic_batch, actor_batch = batches(1)[0]
    metrics = [
        torch.cat([sac.updater.critic_step(critic_batch), sac.updater.actor_step(actor_batch)]) for sac in (full, half)
    ]
    assert not torch.equal(*metrics)
    torch.testing.assert_close(*metrics, rtol=0.03, atol=0.02)
    assert all(p.dtype == torch.float32 for p in (*half.critic_parameters, *half.actor_parameters))
    # weights that come from elsewhere are followed, in the copies in half precision, too
    with torch.no_grad():
        for sac in (full, half):
            for parameter in (*sac.critic_parameters, *sac.target_parameters, *sac.actor_parameters):
                parameter.mul_(3.0)
    metrics = [torch.cat([sac.updater.critic_step(critic_batch), sac.updater.actor_step(actor_batch)])
               for sac in (full, half)]  # fmt: skip
    torch.testing.assert_close(*metrics, rtol=0.05, atol=0.1)
    # after many steps on a fixed problem both have learned the same
    for sac in (full, half):
        for batch, _ in batches(8) * 40:
            last = sac.updater.critic_step(batch._replace(discount=torch.zeros(BATCH)))
        metrics[sac is half] = last
    assert float(metrics[1][2]) == pytest.approx(float(metrics[0][2]), rel=0.2, abs=0.02)


def test_the_policy_that_acts_follows_the_one_that_learns(make_sac, train_cfg) -> None:
    sac = learner(make_sac, train_cfg, "fused")
    policy = sac.updater.inference(sac.actor.mlp)
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


class RepeatedGraph:
    """What a CUDA graph does, as far as the data goes: the program runs again on the same memory."""

    def __init__(self, program, inputs) -> None:
        self.inputs, self.program = [tensor.clone() for tensor in inputs], program
        self.outputs = None

    def __call__(self, inputs):
        torch._foreach_copy_(self.inputs, list(inputs))
        outputs = self.program(*self.inputs)
        if self.outputs is None:
            self.outputs = outputs
        elif isinstance(outputs, tuple):
            torch._foreach_copy_(list(self.outputs), list(outputs))
        else:
            self.outputs.copy_(outputs)
        return self.outputs


def rounds(kinds: list[tuple[int, tuple[int, ...]]], seed: int = 1) -> list[Batches]:
    """Rounds with so many gradient steps of the critics, and with the actor's after these."""
    result = []
    for i, (count, turns) in enumerate(kinds):
        critics, actors = zip(*batches(count, seed + i), strict=True)
        actors = [actors[turn] for turn in turns]
        actor = [torch.stack(tensors) for tensors in zip(*actors, strict=True)] or [torch.empty(0)] * 3
        critic = CriticBatch(*(torch.stack(tensors) for tensors in zip(*critics, strict=True)))
        result.append(Batches(critic, ActorBatch(*actor), turns))
    return result


@pytest.mark.parametrize("broken", ["steps", "rounds"])
def test_without_a_capture_gradient_steps_are_launched_one_by_one(
    make_sac, train_cfg, monkeypatch, capsys: pytest.CaptureFixture, broken: str
) -> None:
    class Fails(RepeatedGraph):
        def __init__(self, program, inputs) -> None:
            if broken == "steps" or isinstance(program, partial):  # that of a round
                raise RuntimeError("operation not permitted\nwhen the stream is capturing")
            super().__init__(program, inputs)

    monkeypatch.setattr(update_module, "_Graph", Fails)
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    plain, captured = (learner(make_sac, train_cfg, "eager") for _ in range(2))
    captured.updater = CudaGraphUpdate(**captured.updater.options, fall_back=True)
    policy = captured.updater.inference(captured.actor.mlp)
    for batch in rounds([(4, (1, 3)), (3, (0,))] * 4):
        for sac in (plain, captured):
            list(sac.updater.learn(batch))
        obs = torch.randn(5, 2)
        with torch.no_grad():
            torch.testing.assert_close(policy(obs), captured.actor.mlp(obs))
    for name in ("actor", "critic", "critic_target", "entropy_coef"):
        left, right = (sac.save()[f"{name}_state_dict"] for sac in (plain, captured))
        torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-5)
    assert captured.updater.prepared, "nothing is left to be captured"
    lines = capsys.readouterr().err.splitlines()
    expected = {"steps": ["launched kernel by kernel", "the policy is not captured"], "rounds": ["rounds of gradient"]}
    assert len(lines) == len(expected[broken])
    for line, words in zip(sorted(lines), expected[broken], strict=True):
        assert words in line and line.endswith("operation not permitted")
    strict = CudaGraphUpdate(**plain.updater.options)
    with pytest.raises(RuntimeError, match="not permitted"):
        for batch in rounds([(4, (1, 3))] * 4):
            list(strict.learn(batch))


@pytest.mark.parametrize("program", ["_inputs_program", "_critic_program", "_actor_program"])
def test_a_program_that_cannot_be_compiled_within_a_round(
    make_sac, train_cfg, monkeypatch, capsys: pytest.CaptureFixture, program: str
) -> None:
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    plain, compiled = (learner(make_sac, train_cfg, "eager") for _ in range(2))
    compiled.updater = CompiledUpdate(**compiled.updater.options, fall_back=True, after=1)
    works, calls = getattr(compiled.updater, program), []

    def fails_at_the_second_call(*args: Any) -> Any:
        calls.append(args)
        if len(calls) == 2:
            raise TorchDynamoException("no such kernel\nand so on")
        return works(*args)

    setattr(compiled.updater, program, fails_at_the_second_call)
    for batch in rounds([(4, (2,)), (5, (1, 3)), (3, (0,))]):
        for sac in (plain, compiled):
            list(sac.updater.learn(batch))
    assert len(calls) == 2 and not compiled.updater.compiles and compiled.updater.prepared
    for name in ("actor", "critic", "critic_target", "entropy_coef"):
        left, right = (sac.save()[f"{name}_state_dict"] for sac in (plain, compiled))
        torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-5)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("not compiled, which makes them slower: no such kernel")


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_rounds_in_one_program_equal_single_steps(make_sac, train_cfg, monkeypatch, device: str) -> None:
    """On a GPU as CUDA graphs; on the CPU, where there are none, programs that run again on the same memory."""
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    if device == "cpu":
        monkeypatch.setattr(update_module, "_Graph", RepeatedGraph)
        # programs are traced and guarded as ever, and not compiled, which would take a minute
        monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    counters = torch._dynamo.utils.counters
    counters.clear()

    def build() -> SAC:
        torch.manual_seed(3)
        env = LinearQuadraticEnv(4)
        cfg = train_cfg(update="eager", tau=0.05, max_grad_norm=0.5)
        return SAC.construct_algorithm(env.get_observations().to(device), env, cfg, device)

    plain, captured = build(), build()
    captured.updater = CudaGraphUpdate(**captured.updater.options)
    often, seldom, none = (4, (1, 3)), (3, (0,)), (5, ())
    kinds = [often] * 3 + [seldom, none, often, seldom, seldom, (1, (0,)), none, often] + [often, seldom] * 4
    seen = [
        {name: [] for name in (CRITIC_METRICS, ACTOR_METRICS)} for _ in range(2)
    ]  # fmt: skip
    prepared = []
    for i, batch in enumerate(rounds(kinds)):
        critic, actor = ([tensor.to(device) for tensor in part] for part in batch[:2])
        batch = Batches(CriticBatch(*critic), ActorBatch(*actor), batch.turns)
        for sac, metrics in zip((plain, captured), seen, strict=True):
            sac.critic_optimizer.param_groups[0]["lr"] = 1.0e-3 / (i + 1)  # a schedule
            for names, values in sac.updater.learn(batch):
                if sac is captured:
                    # from the third round on, all steps of a round come at once
                    steps = len(batch.critic.reward) if names == CRITIC_METRICS else len(batch.turns)
                    assert values.shape == ((steps, len(names)) if i >= 2 else (len(names),))
                metrics[names].append(values.reshape(-1, len(names)).clone())
        prepared.append(captured.updater.prepared)
    # the ninth round brings the last new kind; capturing is over when eight have brought none
    assert prepared == [False] * 16 + [True] * 3
    assert len(captured.updater._rounds) == 4
    for names in (CRITIC_METRICS, ACTOR_METRICS):
        left, right = (torch.cat(metrics[names]) for metrics in seen)
        torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-5)

    def compare() -> None:
        for name in ("actor", "critic", "critic_target", "entropy_coef"):
            left, right = (sac.save()[f"{name}_state_dict"] for sac in (plain, captured))
            torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-5)

    compare()
    # a checkpoint brings other tensors
    saved = plain.save()
    captured.load(copy.deepcopy(saved), None, True)
    plain.load(copy.deepcopy(saved), None, True)
    assert not captured.updater.prepared
    for batch in rounds([often] * 11, seed=50):
        critic, actor = ([tensor.to(device) for tensor in part] for part in batch[:2])
        for sac in (plain, captured):
            list(sac.updater.learn(Batches(CriticBatch(*critic), ActorBatch(*actor), batch.turns)))
    assert captured.updater.prepared
    compare()
    # whatever the rounds: a compilation within a capture would end it
    assert counters["stats"]["unique_graphs"] == 3, "the actor's part, the critics and the actor, once each"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_captured_updates_equal_plain_ones_after_100_steps(train_cfg) -> None:
    states = []
    for kind in ("eager", "cuda-graph"):
        torch.manual_seed(3)
        env = LinearQuadraticEnv(4)
        cfg = train_cfg(update=kind, learning_rate=1e-3, tau=0.05)
        sac = SAC.construct_algorithm(env.get_observations().to("cuda"), env, cfg, "cuda")
        for critic_batch, actor_batch in batches(100):
            sac.updater.critic_step(CriticBatch(*(tensor.cuda() for tensor in critic_batch)))
            sac.updater.actor_step(ActorBatch(*(tensor.cuda() for tensor in actor_batch)))
        policy = sac.updater.inference(sac.actor.mlp)
        for rows in (7, 7, 7, 7, 3, 7):
            obs = torch.randn(rows, 2, device="cuda")
            torch.testing.assert_close(policy(obs), sac.actor.mlp(obs).detach(), rtol=1e-5, atol=1e-5)
        saved = sac.save()
        states.append([saved[f"{name}_state_dict"] for name in ("actor", "critic", "critic_target", "entropy_coef")])
    torch.testing.assert_close(*states, rtol=1e-4, atol=1e-5)
