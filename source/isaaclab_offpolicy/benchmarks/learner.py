# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""How fast SAC learns, and how fast its matrix products alone would be."""

from __future__ import annotations

import copy
import statistics
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from rsl_rl.env import VecEnv
from tensordict import TensorDict
from torch.utils._python_dispatch import TorchDispatchMode

from isaaclab_offpolicy.algorithms import SAC
from isaaclab_offpolicy.algorithms.backends import Backend
from isaaclab_offpolicy.algorithms.batch import ActorBatch, CriticBatch
from isaaclab_offpolicy.algorithms.update import Update

from .timing import interleaved_times, memory_in_use


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
        rows: Env steps in the replay buffer.
    """
    env = SilentEnv(num_envs, obs_dim, num_actions, device)
    cfg["algorithm"] |= {"action_bounds": 1.0, "buffer_size": rows * num_envs}
    sac = SAC.construct_algorithm(env.get_observations(), env, cfg, device)
    sac.train_mode()
    sac.reset(env.get_observations())
    false = torch.zeros(num_envs, dtype=torch.bool, device=device)
    for _ in range(rows):
        obs = env.get_observations()
        action = torch.rand(num_envs, num_actions, device=device) * 2.0 - 1.0
        sac.storage.add(action, torch.randn(num_envs, device=device), false, false, obs)
        sac._normalize_from(obs)
    sac.num_timesteps = sac.cfg.actor_learning_starts
    return sac


def with_backend(update: Update, backend: Backend) -> Update:
    """The same gradient steps on copies of the networks, with new optimizers, computed by another backend."""
    parts = copy.deepcopy((update.actor, update.distribution, update.critic, update.entropy_coef))
    result = Update(*parts, update.target_entropy, update.cfg, backend, update.world_size)
    result.critic_target.load_state_dict(update.critic_target.state_dict())
    return result


def products_of(sac: SAC) -> tuple[list[Product], list[Product]]:
    """Matrix products of one gradient step of the critics, and of one of the actor, as plain autograd runs them."""
    critic_batch, actor_batch = _batches(sac)
    plain = with_backend(sac.updater, Backend())
    with RecordProducts() as of_critic:
        plain.critic_step(critic_batch)
    with RecordProducts() as of_actor:
        plain.actor_step(actor_batch)
    return of_critic.products, of_actor.products


def product_runner(products: list[Product], device: str, dtype: torch.dtype = torch.float32) -> Callable[[], None]:
    """A function that runs these products one after the other, into memory that is already there."""
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

    if torch.device(device).type != "cuda":
        return run
    # as a graph, or it is the launching of kernels that is measured
    run()
    torch.cuda.synchronize(device)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.device(device), torch.cuda.graph(graph):
        run()

    def replay() -> None:
        assert operands
        graph.replay()

    return replay


def measure_replay(sac: SAC, seconds: float) -> dict[str, float]:
    """Rates at which the replay takes in and gives out, beside that of a plain copy on its device.

    Bytes are those of the transitions, in float32, read once and written once.

    Args:
        sac: A learner with a full replay buffer.
        seconds: Time of the measurement [s].

    Returns:
        ``insert_gb_s``, ``gather_gb_s`` (of what an update phase samples) and ``copy_gb_s`` [GB/s].
    """
    storage, delay = sac.storage, sac.cfg.policy_delay
    device = str(storage.device)
    obs = {group: ring[0] for group, ring in storage.obs.items()}
    action, reward = storage.action[0].clone(), storage.reward[0].clone()
    false = torch.zeros_like(storage.done[0])
    batch = storage.sample(delay, sac.cfg.batch_size)
    gathered = [*batch.obs.values(), *batch.next_obs.values(), batch.action, batch.reward]
    inserted = [*obs.values(), action, reward]
    source = torch.randn(16 * 2**20, device=device)
    target = torch.empty_like(source)
    times = interleaved_times(
        {
            "insert": lambda: storage.add(action, reward, false, false, obs),
            "gather": lambda: storage.sample(delay, sac.cfg.batch_size),
            "copy": lambda: target.copy_(source),
        },
        device,
        seconds,
    )
    sizes = {name: 8 * sum(t.numel() for t in tensors)
             for name, tensors in {"insert": inserted, "gather": gathered, "copy": [source]}.items()}  # fmt: skip
    return {f"{name}_gb_s": sizes[name] / statistics.median(times[name]) / 1.0e9 for name in sizes}


def measure_learner(
    cfg: dict[str, Any], num_envs: int, obs_dim: int, num_actions: int, device: str, rows: int, seconds: float
) -> dict[str, float]:
    """Measure one update phase: drawing, gathering, normalising, and all of its gradient steps.

    A repetition has ``policy_delay`` gradient steps of the critics and one of the actor, so that its time per gradient
    step is that of a long training.

    Args:
        cfg: The runner's configuration as a dictionary.
        num_envs: Number of environments.
        obs_dim: Number of observations.
        num_actions: Number of joints.
        device: Device of the learner.
        rows: Env steps in the replay buffer.
        seconds: About the time of the measurement [s].

    Returns:
        Per gradient step of the critics: ``update_ms`` of the whole, ``sample_ms``, ``critic_ms`` and ``actor_ms`` of
        its parts [ms], ``products_ms`` of the matrix products alone, interleaved with the whole [ms],
        ``gemm_fraction`` of their rate that the whole reaches (the median over the rounds), ``gflops`` per second,
        ``updates_per_second``; ``act_ms``, a policy's actions for all environments [ms]; the replay's
        ``bytes_per_transition``, and what :func:`measure_replay` gives; ``memory_gib`` as in :func:`measure_training`.
    """
    sac = make_learner(cfg, num_envs, obs_dim, num_actions, device, rows)
    critic_products, actor_products = products_of(sac)
    critic_batch, actor_batch = _batches(sac)
    delay = sac.cfg.policy_delay
    sac.uniform_until = 0
    dtype = torch.bfloat16 if sac.cfg.precision == "bfloat16" else torch.float32
    obs = sac.storage.obs
    acting = TensorDict({group: ring[0] for group, ring in obs.items()}, batch_size=[num_envs])
    run_critic, run_actor = (product_runner(products, device, dtype) for products in (critic_products, actor_products))

    def products_of_a_round() -> None:
        for _ in range(delay):
            run_critic()
        run_actor()

    times = interleaved_times(
        {
            "update": lambda: sac.learn(delay),
            "products": products_of_a_round,
            "sample": lambda: sac.sample_batches(delay),
            "critic": lambda: sac.updater.critic_step(critic_batch),
            "actor": lambda: sac.updater.actor_step(actor_batch),
            "act": lambda: _act(sac, acting),
        },
        device,
        0.8 * seconds,
    )
    ms = {name: 1000.0 * statistics.median(values) for name, values in times.items()}
    update = ms["update"] / delay
    flops = sum(p.flops for p in critic_products) + sum(p.flops for p in actor_products) / delay
    return {
        "update_ms": update,
        "sample_ms": ms["sample"] / delay,
        "critic_ms": ms["critic"],
        "actor_ms": ms["actor"] / delay,
        "products_ms": ms["products"] / delay,
        "gemm_fraction": statistics.median(p / u for p, u in zip(times["products"], times["update"], strict=True)),
        "gflops": flops / update / 1.0e6,
        "updates_per_second": 1000.0 / update,
        "act_ms": ms["act"],
        "bytes_per_transition": sac.storage.nbytes / (sac.storage.rows * num_envs),
        "memory_gib": memory_in_use(device),
        **measure_replay(sac, 0.2 * seconds),
    }


@torch.inference_mode()
def _act(sac: SAC, obs: TensorDict) -> torch.Tensor:
    """Act as within rsl_rl's runner."""
    return sac.act(obs)


def _batches(sac: SAC) -> tuple[CriticBatch, ActorBatch]:
    """One batch each."""
    batches = sac.sample_batches(sac.cfg.policy_delay)
    return batches.critics()[0], next(batches.actors())
