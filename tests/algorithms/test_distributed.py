# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Two processes that learn together, with gloo on the CPU."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing as mp

from environments import COMPILER, LinearQuadraticEnv
from isaaclab_offpolicy.algorithms import SAC
from isaaclab_offpolicy.algorithms.batch import ActorBatch, CriticBatch
from isaaclab_offpolicy.runners.logger import ProgressLogger

WORLD = 2
BATCH = 16
BACKENDS = ("eager", "cpu", *(("compiled",) if COMPILER else ()))


def make(cfg: dict[str, Any], world_size: int = WORLD) -> SAC:
    env = LinearQuadraticEnv(8)
    cfg["multi_gpu"] = None if world_size == 1 else {"world_size": world_size, "global_rank": 0, "local_rank": 0}
    sac = SAC.construct_algorithm(env.get_observations(), env, cfg, "cpu")
    return sac


def train(rank: int, cfg: dict[str, Any], folder: str) -> None:
    """Ranks that differ in everything: weights at first, environments, noise."""
    torch.manual_seed(100 + rank)
    env = LinearQuadraticEnv(8)
    cfg["multi_gpu"] = {"world_size": WORLD, "global_rank": rank, "local_rank": rank}
    sac = SAC.construct_algorithm(env.get_observations(), env, cfg, "cpu")
    sac.broadcast_parameters()
    sac.train_mode()
    with torch.inference_mode():
        obs = env.get_observations()
        for _ in range(40):
            obs, rewards, dones, extras = env.step(sac.act(obs))
            sac.process_env_step(obs, rewards, dones, extras)
    torch.save({**sac.save(), "replay": sac.storage.reward.clone()}, f"{folder}/rank{rank}.pt")


def batches(seed: int) -> tuple[CriticBatch, ActorBatch]:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(BATCH, *shape, generator=generator)

    obs, next_obs, ones = normal(2), normal(2), torch.ones(BATCH)
    critic = CriticBatch(obs, normal(1).tanh(), normal(), 0.9 * ones, ones, next_obs, next_obs, normal(1))
    return critic, ActorBatch(obs, obs, normal(1))


def one_step(rank: int, cfg: dict[str, Any], folder: str) -> None:
    """The same weights on both ranks, and a batch for each."""
    for backend in BACKENDS:
        cfg["algorithm"]["backend"] = backend
        torch.manual_seed(5)
        sac = make(
            {**cfg, "algorithm": dict(cfg["algorithm"]), "actor": dict(cfg["actor"]), "critic": dict(cfg["critic"])}
        )
        critic_batch, actor_batch = batches(rank)
        for _ in range(3):
            sac.updater.critic_step(critic_batch)
            sac.updater.actor_step(actor_batch)
        torch.save(sac.save(), f"{folder}/{backend}{rank}.pt")


def work(rank: int, train_cfg: dict[str, Any], step_cfg: dict[str, Any], folder: str) -> None:
    """What a process does."""
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/group", rank=rank, world_size=WORLD)
    for first, second in ((True, False), (False, True)):
        clock = ProgressLogger(None, {"algorithm": {}}, {}, 8, True, WORLD, rank, "cpu")
        clock.deadline = 0.0 if (first, second)[rank] else 10.0
        assert clock.time_is_over(5.0) == first, "the first rank's clock counts for both"
        assert clock.anywhere((first, second)[rank]) and not clock.anywhere(False), "an interrupt is for both"
    train(rank, train_cfg, folder)
    one_step(rank, step_cfg, folder)
    torch.distributed.destroy_process_group()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ranks")


STEP = {"ent_coef": "auto_0.1", "max_grad_norm": 1.0}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_two_ranks_stay_in_step(train_cfg, folder: Path) -> None:
    # processes of their own: no fork of one that has threads
    cfgs = (train_cfg(learning_starts=64, replay_ratio=1 / 8, policy_delay=2, noise_hold=3), train_cfg(**STEP))
    mp.spawn(work, (*cfgs, str(folder)), nprocs=WORLD)  # type: ignore[no-untyped-call]
    left, right = (torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in range(WORLD))
    assert left["num_updates"] == right["num_updates"] > 20
    assert not torch.equal(left.pop("replay"), right.pop("replay")), "each has environments and a replay of its own"
    # 41 observations of 8 environments in each of two processes
    assert int(left["critic_obs_normalizer_state_dict"]["count"]) == 41 * 8 * WORLD
    assert left.pop("action_bounds") == right.pop("action_bounds")
    held = [state.pop("progress")["noise"]["held:3"][0] for state in (left, right)]
    assert not torch.equal(*held), "each explores by itself"
    torch.testing.assert_close(left, right, rtol=0, atol=0)

    # two ranks with a batch each learn as one with both batches
    torch.manual_seed(5)
    sac = make(train_cfg(**STEP), world_size=1)
    pairs = zip(*(batches(rank) for rank in range(WORLD)), strict=True)
    critic_batch, actor_batch = (
        type(parts[0])(*(torch.cat(tensors) for tensors in zip(*parts, strict=True))) for parts in pairs
    )
    for _ in range(3):
        sac.updater.critic_step(critic_batch)
        sac.updater.actor_step(actor_batch)
    expected = sac.save()
    for backend in BACKENDS:
        left, right = (torch.load(folder / f"{backend}{rank}.pt", weights_only=True) for rank in range(WORLD))
        assert left.pop("action_bounds") == right.pop("action_bounds")
        assert left["progress"].pop("schedule") == right["progress"].pop("schedule")
        torch.testing.assert_close(left, right, rtol=0, atol=0)
        for key in ("actor_state_dict", "critic_state_dict", "critic_target_state_dict", "entropy_coef_state_dict"):
            torch.testing.assert_close(
                left[key], expected[key], rtol=1e-5, atol=1e-5, msg=lambda m, k=key, u=backend: f"{u} {k}: {m}"
            )


@pytest.mark.parametrize("option", ["overlap", "normalize_rewards"])
def test_what_ranks_do_not_share_is_refused(train_cfg, option: str) -> None:
    with pytest.raises(ValueError, match=f"{option} is for one process"):
        make(train_cfg(**{option: True}))
