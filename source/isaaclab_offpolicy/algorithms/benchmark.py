# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""How fast SAC learns, and how fast its matrix products alone would be."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from rsl_rl.env import VecEnv
from rsl_rl.runners import OnPolicyRunner
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
    sac.num_timesteps = sac.actor_learning_starts
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


def timed(function: Callable[[], Any], device: str) -> float:
    """Time [s] of one call, with everything that it started on the device."""
    start = time.perf_counter()
    function()
    if device != "cpu":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def median_time(function: Callable[[], Any], device: str, seconds: float) -> float:
    """Median time [s] of a call, of those that fit in a time, and of five at least."""
    for _ in range(3):
        function()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < end:
        times.append(timed(function, device))
    return statistics.median(times)


def times_in_turns(parts: Mapping[str, Callable[[], Any]], device: str, seconds: float) -> dict[str, list[float]]:
    """Times [s] of functions that are called in turns, so that a drift of the machine's speed meets all of them.

    Args:
        parts: The functions by name.
        device: Device on which they run.
        seconds: Time of the measurement [s]; there are five rounds at least.

    Returns:
        One time per round for each function.
    """
    for _ in range(3):
        for part in parts.values():
            part()
    result: dict[str, list[float]] = {name: [] for name in parts}
    end = time.perf_counter() + seconds
    while len(next(iter(result.values()))) < 5 or time.perf_counter() < end:
        for name, part in parts.items():
            result[name].append(timed(part, device))
    return result


class Stopwatch:
    """Sums the time spent in functions."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, timed with everything that it starts on a GPU."""

        def run(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            result = function(*args, **kwargs)
            if torch.cuda.is_initialized():
                torch.cuda.synchronize()
            self.seconds += time.perf_counter() - start
            return result

        return run


def measure_replay(sac: SAC, seconds: float) -> dict[str, float]:
    """Rates at which the replay takes in and gives out, beside that of a plain copy on its device.

    Bytes are those of the transitions, in float32, read once and written once.

    Args:
        sac: A learner with a full replay buffer.
        seconds: Time of the measurement [s].

    Returns:
        ``insert_gb_s``, ``gather_gb_s`` (of what a round of learning draws) and ``copy_gb_s`` [GB/s].
    """
    storage, delay = sac.storage, sac.policy_delay
    device = str(storage.device)
    obs = {group: ring[0] for group, ring in storage.obs.items()}
    action, reward = storage.action[0].clone(), storage.reward[0].clone()
    false = torch.zeros_like(storage.done[0])
    batch = storage.sample(delay, sac.batch_size)
    gathered = [*batch.obs.values(), *batch.next_obs.values(), batch.action, batch.reward]
    inserted = [*obs.values(), action, reward]
    source = torch.randn(16 * 2**20, device=device)
    target = torch.empty_like(source)
    times = times_in_turns(
        {
            "insert": lambda: storage.add(action, reward, false, false, obs),
            "gather": lambda: storage.sample(delay, sac.batch_size),
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
        its parts [ms], ``products_ms`` of the matrix products alone, measured in turns with the whole [ms], ``share``
        of the matrix products' rate that the whole reaches (the median over the turns), ``gflops`` per second,
        ``updates_per_second``; ``act_ms``, a policy's actions for all environments [ms]; the replay's
        ``bytes_per_transition``, and what :func:`measure_replay` gives; ``memory_gib`` as in :func:`measure_training`.
    """
    sac = make_learner(cfg, num_envs, obs_dim, num_actions, device, rows)
    critic_products, actor_products = products_of(sac)
    critic_batch, actor_batch = _batches(sac)
    delay = sac.policy_delay
    sac._uniform_until = 0
    dtype = torch.bfloat16 if sac.updater.precision == "bfloat16" else torch.float32
    obs = sac.storage.obs
    acting = TensorDict({group: ring[0] for group, ring in obs.items()}, batch_size=[num_envs])
    run_critic, run_actor = (product_runner(products, device, dtype) for products in (critic_products, actor_products))

    def products_of_a_round() -> None:
        for _ in range(delay):
            run_critic()
        run_actor()

    times = times_in_turns(
        {
            "update": lambda: sac._learn(delay),
            "products": products_of_a_round,
            "sample": lambda: sac._batches(delay),
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
        "share": statistics.median(p / u for p, u in zip(times["products"], times["update"], strict=True)),
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


def measure_training(runner: OnPolicyRunner, seconds: float) -> dict[str, float]:
    """Measure a training's loop: first the environment alone, then everything, then the parts of everything.

    Args:
        runner: rsl_rl's runner; its algorithm may be SAC or PPO. Where its logger writes (to a folder), what it does at
            each step is part of the training.
        seconds: Time of each of the three measurements [s].

    Returns:
        ``simulation_per_second`` and ``training_per_second``, environment steps over all environments without and with
        learning; their ratio ``kept``; the shares of time ``simulate``, ``act``, ``store`` and ``learn`` of a training
        in which each part is waited for; ``updates_per_second`` (SAC's gradient steps); and ``memory_gib``: what is in
        use on the GPU at the end, simulation included, or the most that the process has used on the CPU [GiB].
    """
    env, alg, device = runner.env, runner.alg, str(runner.device)
    obs = env.get_observations().to(device)
    alg.train_mode()
    stopwatches = {name: Stopwatch() for name in ("simulate", "act", "store", "learn", "gradient_steps")}
    # this package's logger reads them once per row of the log, rsl_rl's own at each step
    read_episodes = getattr(runner.logger, "read_episodes", None)

    def loop(seconds: float, waits: bool = False) -> tuple[int, float]:
        """Vector steps made, and their time [s]."""
        nonlocal obs
        functions = {"act": alg.act, "simulate": env.step, "store": alg.process_env_step, "learn": _learn(alg)}
        if waits:
            functions = {name: stopwatches[name].around(function) for name, function in functions.items()}
            if isinstance(alg, SAC):
                alg._learn = stopwatches["gradient_steps"].around(alg._learn)  # type: ignore[method-assign]
        begin, steps = time.perf_counter(), 0
        while not steps or time.perf_counter() - begin < seconds or steps % runner.cfg["num_steps_per_env"]:
            with torch.inference_mode():
                obs, rewards, dones, extras = functions["simulate"](functions["act"](obs).to(env.device))
                obs = obs.to(device)
                rewards, dones = rewards.to(device), dones.to(device)
                functions["store"](obs, rewards, dones, extras)
                runner.logger.process_env_step(rewards, dones, extras)
            steps += 1
            if steps % runner.cfg["num_steps_per_env"] == 0:
                functions["learn"](obs)
                if read_episodes is not None:
                    read_episodes()
                runner.logger.ep_extras.clear()
        if device != "cpu":
            torch.cuda.synchronize(device)
        return steps, time.perf_counter() - begin

    # fills the replay, compiles and captures
    loop(0.3 * seconds)
    while isinstance(alg, SAC) and not (alg.num_updates and alg.updater.prepared):
        loop(0.0)
    simulated, simulation_time, obs = _simulate(env, alg, obs, seconds, device)
    updates = getattr(alg, "num_updates", 0)
    trained, training_time = loop(seconds)
    updates = getattr(alg, "num_updates", 0) - updates
    _, waited = loop(seconds, waits=True)
    phases = {name: stopwatch.seconds / waited for name, stopwatch in stopwatches.items()}
    # SAC's gradient steps are within its storing of a transition
    nested = phases.pop("gradient_steps")
    phases["store"] -= nested
    phases["learn"] += nested
    simulation, training = (
        env.num_envs * steps / elapsed for steps, elapsed in ((simulated, simulation_time), (trained, training_time))
    )
    return {
        "simulation_per_second": simulation,
        "training_per_second": training,
        "kept": training / simulation,
        **phases,
        "updates_per_second": updates / training_time,
        "memory_gib": memory_in_use(device),
    }


def memory_in_use(device: str) -> float:
    """What is in use on a GPU, simulation included, or the most that the process has used on the CPU [GiB]."""
    if device == "cpu":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    free, total = torch.cuda.mem_get_info(device)
    return (total - free) / 2**30


def _learn(alg: Any) -> Callable[[TensorDict], None]:
    """What rsl_rl's runner does after collecting."""

    def learn(obs: TensorDict) -> None:
        with torch.inference_mode():
            alg.compute_returns(obs)
        alg.update()

    return learn


def _simulate(env: VecEnv, alg: Any, obs: TensorDict, seconds: float, device: str) -> tuple[int, float, TensorDict]:
    """Step the environment with the policy's actions.

    Returns:
        Vector steps made; the time [s] of the steps alone, each of which is waited for; and the last observations.
    """
    elapsed, steps = 0.0, 0
    with torch.inference_mode():
        while elapsed < seconds:
            actions = alg.act(obs).to(env.device)
            if device != "cpu":
                torch.cuda.synchronize(device)
            start = time.perf_counter()
            obs, *_ = env.step(actions)
            obs = obs.to(device)
            if device != "cpu":
                torch.cuda.synchronize(device)
            elapsed += time.perf_counter() - start
            steps += 1
    return steps, elapsed, obs


def _batches(sac: SAC) -> tuple[CriticBatch, ActorBatch]:
    """One batch each."""
    batches = sac._batches(sac.policy_delay)
    return batches.of_critic(0), batches.of_actor(0)
