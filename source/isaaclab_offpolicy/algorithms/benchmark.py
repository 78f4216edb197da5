# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""How fast SAC learns, and how fast its matrix products alone would be."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from rsl_rl.env import VecEnv
from tensordict import TensorDict
from torch.utils._python_dispatch import TorchDispatchMode

from .sac import SAC
from .update import ActorBatch, CriticBatch, make_update


class Product(NamedTuple):
    """A batched matrix product, [batch, rows, inner] times [batch, inner, columns]."""

    batch: int
    rows: int
    inner: int
    columns: int

    @property
    def flops(self) -> int:
        """Multiplications and additions."""
        return 2 * self.batch * self.rows * self.inner * self.columns


class RecordProducts(TorchDispatchMode):
    """Records the matrix products that run within the context, those of the backward pass included."""

    def __init__(self) -> None:
        super().__init__()
        self.products: list[Product] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Note the shapes, and go on."""
        aten = torch.ops.aten
        first = {aten.mm: 0, aten.bmm: 0, aten.addmm: 1, aten.baddbmm: 1}.get(func.overloadpacket)
        if first is not None:
            left, right = args[first], args[first + 1]
            batch = left.shape[0] if left.dim() == 3 else 1
            self.products.append(Product(batch, left.shape[-2], left.shape[-1], right.shape[-1]))
        return func(*args, **(kwargs or {}))


class SilentEnv(VecEnv):
    """An environment of given size that does not step: the learner is measured alone."""

    def __init__(self, num_envs: int, obs_dim: int, num_actions: int, device: str) -> None:
        self.num_envs, self.num_actions, self.device = num_envs, num_actions, device
        self.max_episode_length, self.cfg = 1000, SimpleNamespace()
        self.obs_dim = obs_dim
        self.episode_length_buf = torch.zeros(num_envs, dtype=torch.long, device=device)

    def get_observations(self) -> TensorDict:
        """Normal noise, shape [N, D]."""
        obs = torch.randn(self.num_envs, self.obs_dim, device=self.device)
        return TensorDict({"policy": obs}, batch_size=[self.num_envs], device=self.device)

    def step(self, actions: torch.Tensor) -> Any:
        """Not available."""
        raise NotImplementedError


def make_learner(cfg: dict[str, Any], num_envs: int, obs_dim: int, num_actions: int, device: str, rows: int) -> SAC:
    """SAC with a replay buffer full of noise.

    Args:
        cfg: The runner's configuration as a dictionary.
        num_envs: Number of environments N.
        obs_dim: Number of observations.
        num_actions: Number of joints.
        device: Device of the learner.
        rows: Vector steps in the replay buffer.
    """
    env = SilentEnv(num_envs, obs_dim, num_actions, device)
    cfg["algorithm"] |= {"action_bounds": 1.0, "buffer_size": rows * num_envs}
    sac = SAC.construct_algorithm(env.get_observations(), env, cfg, device)
    sac.train_mode()
    sac._begin(env.get_observations())
    false = torch.zeros(num_envs, dtype=torch.bool, device=device)
    for _ in range(rows):
        obs = env.get_observations()
        action = torch.rand(num_envs, num_actions, device=device) * 2.0 - 1.0
        sac.storage.add(action, torch.randn(num_envs, device=device), false, false, obs)
        sac._normalize_from(obs)
    return sac


def products_of(sac: SAC) -> tuple[list[Product], list[Product]]:
    """Matrix products of one gradient step of the critics, and of one of the actor, as plain autograd runs them."""
    critic_batch, actor_batch = _batches(sac)
    plain = make_update("eager", **sac.updater.options)
    with RecordProducts() as of_critic:
        plain.critic_step(critic_batch)
    with RecordProducts() as of_actor:
        plain.actor_step(actor_batch)
    return of_critic.products, of_actor.products


def time_products(products: list[Product], device: str, seconds: float, dtype: torch.dtype = torch.float32) -> float:
    """Time [s] that these products take one after the other, into memory that is already there."""
    operands = [
        (
            torch.randn(p.batch, p.rows, p.inner, device=device, dtype=dtype),
            torch.randn(p.batch, p.inner, p.columns, device=device, dtype=dtype),
            torch.empty(p.batch, p.rows, p.columns, device=device, dtype=dtype),
        )
        for p in products
    ]

    def run() -> None:
        for left, right, out in operands:
            torch.bmm(left, right, out=out)

    return median_time(run, device, seconds)


def median_time(function: Callable[[], Any], device: str, seconds: float) -> float:
    """Median time [s] of a call, of those that fit in a time, and of five at least."""
    times: list[float] = []
    for _ in range(3):
        function()
    end = time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        function()
        if device != "cpu":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def measure_learner(
    cfg: dict[str, Any], num_envs: int, obs_dim: int, num_actions: int, device: str, rows: int, seconds: float
) -> dict[str, float]:
    """Measure one round of learning: drawing, gathering, normalising, and all of its gradient steps.

    A round has ``policy_delay`` gradient steps of the critics and one of the actor, so that its time per gradient step
    is that of a long training.

    Args:
        cfg: The runner's configuration as a dictionary.
        num_envs: Number of environments.
        obs_dim: Number of observations.
        num_actions: Number of joints.
        device: Device of the learner.
        rows: Vector steps in the replay buffer.
        seconds: About the time of the measurement [s].

    Returns:
        Per gradient step of the critics: ``update_ms`` of the whole, ``sample_ms``, ``critic_ms`` and ``actor_ms`` of
        its parts [ms], ``products_ms`` of the matrix products alone, measured in between [ms], ``share`` of the matrix
        products' rate that the whole reaches, ``gflops`` per second, ``updates_per_second``, and the replay's
        ``bytes_per_transition``.
    """
    sac = make_learner(cfg, num_envs, obs_dim, num_actions, device, rows)
    critic_products, actor_products = products_of(sac)
    critic_batch, actor_batch = _batches(sac)
    delay = sac.policy_delay
    sac.num_timesteps = sac.actor_learning_starts
    dtype = torch.bfloat16 if sac.updater.precision == "bfloat16" else torch.float32
    # in turns, so that a drift of the machine's speed meets all of them
    parts: dict[str, Callable[[], Any]] = {
        "update": lambda: sac._learn(delay),
        "sample": lambda: sac._batches(delay),
        "critic": lambda: sac.updater.critic_step(critic_batch),
        "actor": lambda: sac.updater.actor_step(actor_batch),
    }
    times: dict[str, list[float]] = {name: [] for name in (*parts, "critic_products", "actor_products")}
    share = seconds / 3 / len(times)
    for _ in range(3):
        for name, part in parts.items():
            times[name].append(median_time(part, device, share))
        times["critic_products"].append(time_products(critic_products, device, share, dtype))
        times["actor_products"].append(time_products(actor_products, device, share, dtype))
    ms = {name: 1000.0 * statistics.median(values) for name, values in times.items()}
    update = ms["update"] / delay
    products = ms["critic_products"] + ms["actor_products"] / delay
    flops = sum(p.flops for p in critic_products) + sum(p.flops for p in actor_products) / delay
    return {
        "update_ms": update,
        "sample_ms": ms["sample"] / delay,
        "critic_ms": ms["critic"],
        "actor_ms": ms["actor"] / delay,
        "products_ms": products,
        "share": products / update,
        "gflops": flops / update / 1.0e6,
        "updates_per_second": 1000.0 / update,
        "bytes_per_transition": sac.storage.nbytes / (sac.storage.rows * num_envs),
    }


def _batches(sac: SAC) -> tuple[CriticBatch, ActorBatch]:
    """One batch each."""
    critic, actor = sac._batches(1)[0]
    return critic, actor
