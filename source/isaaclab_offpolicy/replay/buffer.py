# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Replay on the simulation's device."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch

STORAGES = ("float32", "float16", "uint8")
"""Formats in which observations may be stored."""


class ObservationRing:
    """Observations of all environments in rows of one env step, decoded to float32 when taken.

    Besides ``float32``, with which nothing is lost, there are ``float16`` (11 bits: an error of up to 0.05 %; values
    beyond ±65504 are clamped) and ``uint8``: 256 steps between the smallest and the largest value that the feature has
    among the environments of the row, so that the error is at most 0.2 % of what the feature spans at that moment.

    Args:
        rows: Number of rows R.
        num_envs: Number of environments N.
        dim: Number of features D.
        storage: One of :data:`STORAGES`.
        device: Device of the storage.
        pinned: Whether it lies in pinned host memory, to which a GPU writes on its own.
    """

    def __init__(
        self, rows: int, num_envs: int, dim: int, storage: str, device: torch.device, pinned: bool = False
    ) -> None:
        dtype = getattr(torch, storage)
        self.pinned = pinned
        self.values = torch.zeros(rows, num_envs, dim, dtype=dtype, device=device, pin_memory=pinned)
        self._low = self._step = None
        if dtype == torch.uint8:
            self._low, self._step = (torch.zeros(rows, dim, device=device, pin_memory=pinned) for _ in range(2))

    @property
    def nbytes(self) -> int:
        """Bytes of storage."""
        return sum(tensor.nbytes for tensor in self.tensors().values())

    def write(self, row: int, obs: torch.Tensor) -> None:
        """Set a row, shape [N, D]."""
        if self._low is not None and self._step is not None:
            low, high = torch.aminmax(obs, dim=0)
            step = (high - low) / 255.0
            self._low[row].copy_(low, non_blocking=self.pinned)
            self._step[row].copy_(step, non_blocking=self.pinned)
            # a feature that is the same everywhere has no step
            obs = ((obs - low) / step.clamp_min(1.0e-30)).round_()
        elif self.values.dtype == torch.float16:
            obs = obs.clamp(-65504.0, 65504.0)
        # converted where it is, so that what travels is little, and nothing waits for it
        self.values[row].copy_(obs.to(self.values.dtype), non_blocking=self.pinned)

    def take(self, row: torch.Tensor, env: torch.Tensor) -> torch.Tensor:
        """Observations of rows and environments, shapes [...], as float32, shape [..., D]."""
        values = _take(self.values, row * self.values.shape[1] + env)
        if self._low is None or self._step is None:
            return values.float()
        index = row.flatten()
        low, step = (t.index_select(0, index).view(values.shape) for t in (self._low, self._step))
        return torch.addcmul(low, values.float(), step)

    def tensors(self) -> dict[str, torch.Tensor]:
        """What is stored, by name, shapes [R, ...]."""
        tensors = {"values": self.values, "low": self._low, "step": self._step}
        return {name: tensor for name, tensor in tensors.items() if tensor is not None}

    def __getitem__(self, row: int) -> torch.Tensor:
        """A row, shape [N, D]."""
        env = torch.arange(self.values.shape[1], device=self.values.device)
        return self.take(torch.full_like(env, row), env)


class SampleIndices(NamedTuple):
    """Which transitions to gather."""

    age: torch.Tensor
    """They started ``age`` + 1 env steps ago, shape [G, B]."""

    env: torch.Tensor
    """In these environments, shape [G, B]."""

    newest: int
    """Row of the newest observation when they were sampled."""


class ReplayBatch(NamedTuple):
    """Transitions for ``G`` gradient steps of batch size ``B``."""

    obs: dict[str, torch.Tensor]
    """Observations by group, shape [G, B, D]."""

    action: torch.Tensor
    """Normalised actions, shape [G, B, A]."""

    reward: torch.Tensor
    """Sum of the discounted rewards over the steps taken, shape [G, B]."""

    next_obs: dict[str, torch.Tensor]
    """Observations after the last of these steps, by group, shape [G, B, D]."""

    discount: torch.Tensor
    """Factor on the value of ``next_obs``: γ to the number of steps, and 0 after a termination; shape [G, B]."""

    weight: torch.Tensor
    """1, or 0 for the few samples that are no transition (see :class:`ReplayBuffer`); shape [G, B]."""


class ReplayBuffer:
    """Ring of transitions of all environments, in rows of one env step.

    Observations are stored once: the next observation of row t is the observation of row t + 1, and the newest one
    waits in the row that comes next. Where an episode was truncated by a timeout, row t + 1 holds its true last
    observation, from which the value is bootstrapped, in place of the first one of the next episode; the transition
    that would start there is not a transition and gets weight 0 (one in a thousand with Isaac Lab's 20 s episodes).
    After a termination nothing is bootstrapped, so no last observation is needed and none is kept.

    n-step returns are built when sampling. They end where the episode ends, or at the newest row.

    Args:
        capacity: Transitions to hold, over all environments; rounded down to whole rows, at least ``n_steps`` rows.
        num_envs: Number of environments N.
        obs_dims: Number of observations D of each group.
        action_dim: Number of joints A.
        n_steps: Steps of the return.
        gamma: Discount factor γ per step.
        device: Device of the storage.
        storage: Format of the observations, one of :data:`STORAGES`.
        pinned: Whether it lies in pinned host memory, since what is stored comes from a GPU. The host does not wait
            for what the GPU writes there until it reads.
        recency: Exponent r of the age of what is sampled: :math:`u^r` of the oldest, with u uniform. 1 samples
            uniformly, 2 takes half of the samples from the newest quarter.
        newest: Share of all that was ever stored from which is sampled, as long as the buffer holds more: a buffer that
            grows with the training. 1 takes all that there is.

    Raises:
        ValueError: If it has no n-step returns, its storage is not known, or a share is none.
    """

    def __init__(
        self,
        capacity: int,
        num_envs: int,
        obs_dims: Mapping[str, int],
        action_dim: int,
        n_steps: int = 1,
        gamma: float = 0.99,
        device: str | torch.device = "cpu",
        storage: str = "float32",
        pinned: bool = False,
        recency: float = 1.0,
        newest: float = 1.0,
    ) -> None:
        if not recency > 0.0 or not 0.0 < newest <= 1.0:
            raise ValueError(f"recency is above 0 and newest a share up to 1, not {recency} and {newest}")
        if n_steps < 1:
            raise ValueError(f"n_steps must be at least 1, not {n_steps}")
        if storage not in STORAGES:
            raise ValueError(f"storage is one of {', '.join(STORAGES)}, not '{storage}'")
        # one row more than transitions, for the newest observation
        self.rows = max(capacity // num_envs, n_steps) + 1
        self.num_envs, self.n_steps, self.gamma = num_envs, n_steps, gamma
        self.device, self.storage, self.pinned = torch.device(device), storage, pinned
        self.recency, self.newest = recency, newest
        self._written: torch.cuda.Event | None = None
        self._obs_dims, self._action_dim = dict(obs_dims), action_dim
        self._allocated = False
        self._env_steps = 0
        self.seen = 0
        """Env steps of the whole training, also those that a resume brought no rows of."""

    @property
    def _row(self) -> int:
        """Row of the newest observation."""
        return self._env_steps % self.rows

    @property
    def _filled(self) -> int:
        """Rows of transitions."""
        return min(self._env_steps, self.rows - 1)

    @property
    def written(self) -> int:
        """Rows written so far, with that of the newest observation; row i lies in place i modulo R."""
        return self._env_steps + 1

    def __len__(self) -> int:
        """Number of transitions stored."""
        return self._filled * self.num_envs

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the observation groups."""
        return tuple(self._obs_dims)

    @property
    def nbytes(self) -> int:
        """Bytes of storage; 0 before :meth:`reset`."""
        return sum(tensor.nbytes for tensor in self.columns().values()) if self._allocated else 0

    def _allocate(self) -> None:
        shape, device = (self.rows, self.num_envs), self.device
        where: dict[str, Any] = {"device": device, "pin_memory": self.pinned}
        self.obs = {
            group: ObservationRing(*shape, dim, self.storage, device, self.pinned)
            for group, dim in self._obs_dims.items()
        }
        self.action = torch.zeros(*shape, self._action_dim, **where)
        self.reward = torch.zeros(shape, **where)
        self.terminated = torch.zeros(shape, dtype=torch.bool, **where)
        self.done = torch.zeros(shape, dtype=torch.bool, **where)
        self.is_start = torch.ones(shape, dtype=torch.bool, **where)
        """Whether a transition starts here: false in the row after a timeout."""
        self._allocated = True

    def columns(self) -> dict[str, torch.Tensor]:
        """All that is stored, by name, shapes [R, ...]; :meth:`resume` follows what is written into it."""
        if not self._allocated:
            self._allocate()
        self._wait()
        columns = {name: getattr(self, name) for name in ("action", "reward", "terminated", "done", "is_start")}
        for group, ring in self.obs.items():
            columns |= {f"{group}.{name}": tensor for name, tensor in ring.tensors().items()}
        return columns

    def resume(self, rows: int) -> None:
        """Go on with the first rows as all that was written; :meth:`cut` and :meth:`reset` come before other steps."""
        self._env_steps = rows - 1

    def cut(self) -> None:
        """Truncate all episodes at the newest observation, as timeouts do: what comes next does not follow from it.

        Its row becomes one in which no transition starts; :meth:`reset` sets the observations of the row after it.
        """
        self._wait()
        row, nxt = self._row, (self._row + 1) % self.rows
        self.done[row - 1].fill_(True)  # row -1 is the last one
        self.action[row].zero_()
        self.reward[row].zero_()
        self.terminated[row].fill_(False)
        self.done[row].fill_(True)
        self.is_start[row].fill_(False)
        self.is_start[nxt].fill_(True)
        self._env_steps += 1

    def reset(self, obs: Mapping[str, torch.Tensor]) -> None:
        """Set the observations from which the first :meth:`add` starts, shape [N, D] each.

        The storage is allocated here, so that a policy that only plays needs none.
        """
        if not self._allocated:
            self._allocate()
        for group, ring in self.obs.items():
            ring.write(self._row, obs[group])
        self._mark_written(next(iter(obs.values())))

    def add(
        self,
        action: torch.Tensor,
        reward: torch.Tensor,
        terminated: torch.Tensor,
        truncated: torch.Tensor,
        next_obs: Mapping[str, torch.Tensor],
        final_obs: Mapping[str, torch.Tensor] | None = None,
    ) -> None:
        """Store one env step.

        Args:
            action: Normalised actions, shape [N, A].
            reward: Rewards, shape [N].
            terminated: Whether the episode ended in a terminal state, shape [N].
            truncated: Whether it was truncated (a timeout), shape [N]; a termination at the same step is a termination.
            next_obs: Observations after the step, the first of the new episode where one ended; shape [N, D] each.
            final_obs: Observations after the step and before any reset, shape [N, D] each; only the rows of
                truncated episodes are read.

        Raises:
            ValueError: If an episode was truncated and ``final_obs`` is not given.
        """
        row, nxt = self._row, (self._row + 1) % self.rows
        terminated = terminated.bool()
        truncated = truncated.bool() & ~terminated
        for column, value in (
            (self.action[row], action), (self.reward[row], reward), (self.terminated[row], terminated),
            (self.done[row], terminated | truncated), (self.is_start[nxt], ~truncated),
        ):  # fmt: skip
            column.copy_(value.to(column.dtype), non_blocking=self.pinned)
        if final_obs is None and bool(truncated.any()):
            raise ValueError("an episode was truncated and its last observation is missing")
        for group, ring in self.obs.items():
            after = next_obs[group]
            if final_obs is not None:
                after = torch.where(truncated.unsqueeze(-1), final_obs[group], after)
            ring.write(nxt, after)
        self._mark_written(action)
        self._env_steps += 1
        self.seen += 1

    def largest_reward(self) -> torch.Tensor:
        """Largest absolute reward of all that is stored, shape [1]."""
        self._wait()
        return torch.linalg.vector_norm(self.reward, ord=torch.inf).view(1)

    def leave_out(self, transition: torch.Tensor, observation: torch.Tensor) -> None:
        """Take back a part of what was stored last, which then is sampled no more; returns of n steps end before it.

        Args:
            transition: Environments whose last transition is none, shape [N].
            observation: Those whose newest observation is none, so that no transition starts from it, shape [N].
        """
        self._wait()
        row, nxt = (self._row - 1) % self.rows, self._row
        transition, observation = transition.to(self.device), observation.to(self.device)
        for ended in (row - 1, row):  # row -1 is the last one
            self.done[ended] |= transition
        self.is_start[row] &= ~transition
        self.is_start[nxt] &= ~observation

    def sample_indices(self, gradient_steps: int, batch_size: int, spare: int = 0) -> SampleIndices:
        """Sample transitions, all at once.

        Args:
            gradient_steps: Number of batches G.
            batch_size: Transitions B of a batch.
            spare: Oldest rows of a full buffer that are left out, since new ones will take their place.
        """
        rows = min(self._filled, self.rows - 1 - spare)
        if rows <= 0:
            raise ValueError("the replay buffer is empty")
        rows = min(rows, max(self.n_steps, math.ceil(self.newest * self.seen)))
        shape, device = (gradient_steps, batch_size), self.device
        # age 0 is the newest transition
        if self.recency == 1.0:
            age = torch.randint(rows, shape, device=device)
        else:
            age = (rows * torch.rand(shape, device=device) ** self.recency).long().clamp(max=rows - 1)
        env = torch.randint(self.num_envs, shape, device=device)
        return SampleIndices(age, env, self._row)

    def sample(self, gradient_steps: int, batch_size: int, following: int = 0, env_steps: int = 0) -> ReplayBatch:
        """Sample transitions and gather them.

        Args:
            gradient_steps: Number of batches G.
            batch_size: Transitions B of a batch.
            following: Number of batches that are wanted next; only a buffer that prefetches uses it.
            env_steps: Env steps that will be stored until then.

        Returns:
            The batches, new tensors on the buffer's device.
        """
        return self.gather(self.sample_indices(gradient_steps, batch_size))

    def drop_prefetched(self) -> None:
        """Forget what was gathered ahead, if anything was."""

    def gather(self, indices: SampleIndices) -> ReplayBatch:
        """The transitions with these indices."""
        self._wait()
        age, env, newest = indices
        # the n steps of the returns side by side, shape [n, G, B]
        k = torch.arange(self.n_steps, device=self.device).view(-1, 1, 1)
        row = torch.remainder(newest - 1 - age, self.rows)
        index = torch.remainder(row + k, self.rows) * self.num_envs + env
        reward, done, terminated = (_take(column, index) for column in (self.reward, self.done, self.terminated))
        going = age >= k  # a return goes on while there is another row, and the episode does
        for i in range(1, self.n_steps):
            going[i] &= going[i - 1] & ~done[i - 1]
        powers = self.gamma ** torch.arange(self.n_steps + 1, dtype=reward.dtype, device=self.device)
        steps = going.sum(dim=0)
        last = torch.remainder(row + steps, self.rows)
        return ReplayBatch(
            obs={group: ring.take(row, env) for group, ring in self.obs.items()},
            action=_take(self.action, index[0]),
            reward=(going * reward * powers[:-1].view(-1, 1, 1)).sum(dim=0),
            next_obs={group: ring.take(last, env) for group, ring in self.obs.items()},
            # after a timeout the value counts, after a termination it does not
            discount=torch.where((going & terminated).any(dim=0), 0.0, powers[steps]),
            weight=_take(self.is_start, index[0]).to(reward.dtype),
        )

    def _mark_written(self, source: torch.Tensor) -> None:
        """Remember where in its stream a GPU has written all that there is."""
        if self.pinned and source.device.type == "cuda":
            written = torch.cuda.Event()
            written.record(torch.cuda.current_stream(source.device))
            self._written = written

    def _wait(self) -> None:
        """Wait until all that there is has been written; rings on a GPU, and those that the host writes, never do."""
        if self._written is not None:
            self._written.synchronize()


def _take(storage: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Entries of a [rows, N] tensor, or rows of a [rows, N, D] one, by flat index of any shape."""
    return storage.flatten(0, 1).index_select(0, index.flatten()).view(*index.shape, *storage.shape[2:])
