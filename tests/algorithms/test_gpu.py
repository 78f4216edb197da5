# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""What only a GPU can show: who waits for whom."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch

from environments import LinearQuadraticEnv
from isaaclab_offpolicy.algorithms import SAC

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def build(train_cfg, seed: int = 0, **algorithm: Any) -> tuple[SAC, LinearQuadraticEnv]:
    torch.manual_seed(seed)
    env = LinearQuadraticEnv(16, max_episode_length=7, device="cuda")
    options = {"learning_starts": 64, "replay_ratio": 1 / 8, "policy_delay": 2, "noise_hold": 3, **algorithm}
    return SAC.construct_algorithm(env.get_observations(), env, train_cfg(**options), "cuda"), env


def run(sac: SAC, env: LinearQuadraticEnv, steps: int) -> list[tuple[int, int]]:
    """Step like rsl_rl's runner; gives how often the host waited for the device while acting and while storing."""
    counts = []
    with torch.inference_mode():
        obs = env.get_observations()
        for _ in range(steps):
            waited = []
            actions: Any = None
            for part in ("act", "store"):
                if part == "store":
                    obs, rewards, dones, extras = env.step(actions)
                with warnings.catch_warnings(record=True) as seen:
                    warnings.simplefilter("always")
                    torch.cuda.set_sync_debug_mode("warn")
                    try:
                        if part == "act":
                            actions = sac.act(obs)
                        else:
                            sac.process_env_step(obs, rewards, dones, extras)
                    finally:
                        torch.cuda.set_sync_debug_mode("default")
                waited.append(sum("synchronizing CUDA operation" in str(item.message) for item in seen))
            counts.append((waited[0], waited[1]))
    return counts


@pytest.mark.parametrize("options", [{}, {"backend": "cuda-graph"}, {"replay_device": "cpu"}])
def test_the_host_waits_once_per_vector_step(train_cfg, options: dict[str, Any]) -> None:
    sac, env = build(train_cfg, **options)
    counts = run(sac, env, 60)
    assert sac.num_updates > 40
    # what is compiled and captured at first may wait
    assert counts[-20:] == [(0, 1)] * 20, "acting never; storing and learning once"


def test_a_replay_in_host_memory_holds_the_same(train_cfg) -> None:
    (here, env), (there, other) = build(train_cfg), build(train_cfg, replay_device="cpu")
    torch.manual_seed(1)
    run(here, env, 3)  # before anything is learned
    torch.manual_seed(1)
    run(there, other, 3)
    assert there.storage.pinned and there.storage.action.is_pinned() and not here.storage.pinned
    states = [sac.storage.state_dict() for sac in (there, here)]
    torch.testing.assert_close(*([state[key] for key in ("columns", "obs")] for state in states), rtol=0, atol=0)


@pytest.mark.parametrize("backend", ["eager", "cuda-graph"])
def test_learning_beside_the_environment_can_be_repeated(train_cfg, backend: str) -> None:
    saved = []
    for _ in range(2):
        sac, env = build(train_cfg, backend=backend, overlap=True)
        run(sac, env, 60)
        metrics = sac.update()
        assert metrics["critic_loss"] > 0.0
        for acting, actor in zip(sac._acting.parameters(), sac.actor.mlp.parameters(), strict=True):
            assert torch.equal(acting, actor)
        saved.append({name: value.cpu() for name, value in sac.actor.mlp.state_dict().items()})
    torch.testing.assert_close(*saved, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("backend", ["eager", "cuda-graph"])
def test_deterministic_trainings_are_the_same_to_the_bit(train_cfg, backend: str) -> None:
    saved = []
    try:
        for _ in range(2):
            sac, env = build(train_cfg, backend=backend, deterministic=True)
            run(sac, env, 60)
            saved.append(sac.save())
    finally:
        torch.use_deterministic_algorithms(False)
    left, right = saved
    assert left.pop("action_bounds") == right.pop("action_bounds")
    assert left["progress"].pop("schedule") == right["progress"].pop("schedule")
    torch.testing.assert_close(left, right, rtol=0, atol=0)


@pytest.mark.parametrize(("precision", "tf32"), [("float32", False), ("tf32", True)])
def test_float32_is_float32(train_cfg, precision: str, tf32: bool) -> None:
    torch.set_float32_matmul_precision("high")  # as Isaac Lab's training does, and the simulation keeps it
    try:
        sac, env = build(train_cfg, precision=precision)
        seen, step = [], sac.updater.critic_step

        def noted(*batch: Any) -> torch.Tensor:
            seen.append(torch.backends.cuda.matmul.allow_tf32)
            return step(*batch)

        sac.updater.critic_step = noted
        run(sac, env, 20)
        assert seen and set(seen) == {tf32} and torch.backends.cuda.matmul.allow_tf32
    finally:
        torch.set_float32_matmul_precision("highest")
