# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from environments import LinearQuadraticEnv
from isaaclab_offpolicy.algorithms import SAC
from isaaclab_offpolicy.algorithms.update import ActorBatch, CriticBatch

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
        result.append((critic, ActorBatch(obs, obs, normal(BATCH, 1))))
    return result


def learner(make_sac, train_cfg, update: str, model: dict[str, Any] | None = None, **algorithm: Any):
    torch.manual_seed(3)
    cfg = train_cfg(update=update, learning_rate=1e-3, tau=0.05, **algorithm)
    cfg["critic"] |= model or {}
    return make_sac(LinearQuadraticEnv(4), cfg)


@pytest.mark.parametrize(
    ("model", "algorithm"),
    [
        ({}, {"ent_coef": "auto_0.1"}),
        ({"n_critics": 1, "layer_norm": False, "activation": "relu"}, {"ent_coef": 0.1, "max_grad_norm": 0.5}),
        ({"n_critics": 3}, {"q_aggregation": "mean", "actor_learning_rate": 1e-4}),
    ],
)
def test_compiled_updates_equal_plain_ones_after_100_steps(make_sac, train_cfg, model: dict, algorithm: dict) -> None:
    plain, compiled = (learner(make_sac, train_cfg, kind, model, **algorithm) for kind in ("eager", "compiled"))
    start = copy.deepcopy(plain.save())
    metrics = []
    for sac in (plain, compiled):
        for i, (critic_batch, actor_batch) in enumerate(batches(100)):
            values = [sac.updater.critic_step(critic_batch)]
            if i % 2:
                values.append(sac.updater.actor_step(actor_batch))
        metrics.append(torch.cat(values))
    torch.testing.assert_close(*metrics, rtol=1e-4, atol=1e-5)
    # the whole state, with that of the optimizers, as checkpoints hold it
    left, right = plain.save(), compiled.save()
    torch.testing.assert_close(
        left.pop("critic_optimizer_state_dict"), right.pop("critic_optimizer_state_dict"), rtol=1e-3, atol=1e-5
    )
    for saved in (left, right, start):
        saved.pop("action_bounds")
    torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-5)
    for module in ("actor", "critic", "critic_target"):
        before, after = start[f"{module}_state_dict"], left[f"{module}_state_dict"]
        moved = max(float((after[name] - before[name]).abs().max()) for name in before)
        assert moved > 1e-3, f"{module} has moved by more than the tolerance"


def test_compiled_updates_go_on_from_a_checkpoint(make_sac, train_cfg) -> None:
    plain, compiled = (learner(make_sac, train_cfg, kind) for kind in ("eager", "compiled"))
    for critic_batch, actor_batch in batches(20):
        plain.updater.critic_step(critic_batch)
        plain.updater.actor_step(actor_batch)
    for critic_batch, _ in batches(2, seed=9):
        compiled.updater.critic_step(critic_batch)  # a state of its own, which the checkpoint replaces
    compiled.load(copy.deepcopy(plain.save()), None, strict=True)
    for sac in (plain, compiled):
        for critic_batch, actor_batch in batches(20, seed=2):
            sac.updater.critic_step(critic_batch)
            sac.updater.actor_step(actor_batch)
    assert int(compiled.critic_optimizer.state[compiled.critic_parameters[0]]["step"]) == 40
    for left, right in zip(plain.actor_parameters, compiled.actor_parameters, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-5)
    for left, right in zip(plain.target_parameters, compiled.target_parameters, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-5)


def test_a_schedule_of_the_learning_rate_does_not_compile_anew(make_sac, train_cfg) -> None:
    sac = learner(make_sac, train_cfg, "compiled")
    counters = torch._dynamo.utils.counters
    counters.clear()
    for i, (critic_batch, actor_batch) in enumerate(batches(5)):
        sac.critic_optimizer.param_groups[0]["lr"] = sac.actor_optimizer.param_groups[0]["lr"] = 1e-3 / (i + 1)
        before = [p.detach().clone() for p in sac.critic_parameters]
        sac.updater.critic_step(critic_batch)
        sac.updater.actor_step(actor_batch)
        largest = max(float((p - q.detach()).abs().max()) for p, q in zip(before, sac.critic_parameters, strict=True))
        assert largest == pytest.approx(1e-3 / (i + 1), rel=0.5)  # a step of Adam is about the learning rate
    assert counters["stats"]["unique_graphs"] == 2, "one program for the critics and one for the actor"


def test_without_a_compiler_gradient_steps_run_plainly(
    make_sac, train_cfg, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("isaaclab_offpolicy.algorithms.update.COMPILE_AFTER", 3)
    monkeypatch.setattr(torch._inductor.config.cpp, "cxx", ("no-such-compiler",))
    monkeypatch.setattr(torch._inductor.config, "force_disable_caches", True)
    plain, auto, compiled = (learner(make_sac, train_cfg, kind) for kind in ("eager", "auto", "compiled"))
    for i, (critic_batch, _) in enumerate(batches(6)):
        plain.updater.critic_step(critic_batch)
        auto.updater.critic_step(critic_batch)
        assert auto.updater.compiles == (i < 3), "it is tried after three gradient steps"
    for left, right in zip(plain.critic_parameters, auto.critic_parameters, strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=0)
    warnings = [line for line in capsys.readouterr().err.splitlines() if "not compiled" in line]
    assert len(warnings) == 1 and "compiler" in warnings[0]
    with pytest.raises(Exception, match="compiler"):
        compiled.updater.critic_step(batches(1)[0][0])


def test_half_precision_stays_close(make_sac, train_cfg) -> None:
    full, half = (learner(make_sac, train_cfg, "compiled", precision=p) for p in ("float32", "bfloat16"))
    critic_batch, actor_batch = batches(1)[0]
    metrics = [
        torch.cat([sac.updater.critic_step(critic_batch), sac.updater.actor_step(actor_batch)]) for sac in (full, half)
    ]
    assert not torch.equal(*metrics)
    torch.testing.assert_close(*metrics, rtol=0.03, atol=0.02)
    assert all(p.dtype == torch.float32 for p in (*half.critic_parameters, *half.actor_parameters))


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
        saved = sac.save()
        states.append([saved[f"{name}_state_dict"] for name in ("actor", "critic", "critic_target", "entropy_coef")])
    torch.testing.assert_close(*states, rtol=1e-4, atol=1e-5)
