# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Replay on the simulation's device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch


class ReplayBatch(NamedTuple):
    """Transitions for ``G`` gradient steps of batch size ``B``."""

    obs: dict[str, torch.Tensor]
    """Observations by group, shape [G, B, D]."""

    action: torch.Tensor
    """Unit actions, shape [G, B, A]."""

    reward: torch.Tensor
    """Sum of the discounted rewards over the steps taken, shape [G, B]."""

    next_obs: dict[str, torch.Tensor]
    """Observations after the last of these steps, by group, shape [G, B, D]."""

    discount: torch.Tensor
    """Factor on the value of ``next_obs``: γ to the number of steps, and 0 after a fall; shape [G, B]."""

    weight: torch.Tensor
    """1, or 0 for the few draws that are no transition (see :class:`ReplayBuffer`); shape [G, B]."""


class ReplayBuffer:
    """Ring of transitions of all environments, in rows of one vector step.

    Observations are stored once: the next observation of row t is the observation of row t + 1, and the newest one
    waits in the row that comes next. Where an episode was cut off by a timeout, row t + 1 holds its true last
    observation, from which the value is bootstrapped, in place of the first one of the next episode; the transition
    that would start there is not a transition and gets weight 0 (one in a thousand with Isaac Lab's 20 s episodes).
    After a fall nothing is bootstrapped, so no last observation is needed and none is kept.

    n-step returns are built when sampling. They end where the episode ends, or at the newest row.

    Args:
        capacity: Transitions to hold, over all environments; rounded down to whole rows, at least ``n_steps`` rows.
        num_envs: Number of environments N.
        obs_dims: Number of observations D of each group.
        action_dim: Number of joints A.
        n_steps: Steps of the return.
        gamma: Discount factor γ per step.
        device: Device of the storage.
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
    ) -> None:
        if n_steps < 1:
            raise ValueError(f"n_steps must be at least 1, not {n_steps}")
        # one row more than transitions, for the newest observation
        self.rows = max(capacity // num_envs, n_steps) + 1
        self.num_envs, self.n_steps, self.gamma = num_envs, n_steps, gamma
        self.device = torch.device(device)
        self._obs_dims, self._action_dim = dict(obs_dims), action_dim
        self._allocated = False
        self._row = 0
        self._filled = 0

    def __len__(self) -> int:
        """Number of transitions stored."""
        return self._filled * self.num_envs

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the observation groups."""
        return tuple(self._obs_dims)

    @property
    def nbytes(self) -> int:
        """Bytes of storage; 0 before :meth:`begin`."""
        if not self._allocated:
            return 0
        tensors = (*self.obs.values(), self.action, self.reward, self.terminated, self.done, self.is_start)
        return sum(t.numel() * t.element_size() for t in tensors)

    def _allocate(self) -> None:
        shape, device = (self.rows, self.num_envs), self.device
        self.obs = {group: torch.zeros(*shape, dim, device=device) for group, dim in self._obs_dims.items()}
        self.action = torch.zeros(*shape, self._action_dim, device=device)
        self.reward = torch.zeros(shape, device=device)
        self.terminated = torch.zeros(shape, dtype=torch.bool, device=device)
        self.done = torch.zeros(shape, dtype=torch.bool, device=device)
        self.is_start = torch.ones(shape, dtype=torch.bool, device=device)
        """Whether a transition starts here: false in the row after a timeout."""
        self._allocated = True

    def begin(self, obs: Mapping[str, torch.Tensor]) -> None:
        """Set the observations from which the first :meth:`add` starts, shape [N, D] each.

        The storage is allocated here, so that a policy that only plays needs none.
        """
        self._allocate()
        for group, storage in self.obs.items():
            storage[self._row].copy_(obs[group])

    def add(
        self,
        action: torch.Tensor,
        reward: torch.Tensor,
        terminated: torch.Tensor,
        truncated: torch.Tensor,
        next_obs: Mapping[str, torch.Tensor],
        final_obs: Mapping[str, torch.Tensor] | None = None,
    ) -> None:
        """Store one vector step.

        Args:
            action: Unit actions, shape [N, A].
            reward: Rewards, shape [N].
            terminated: Whether the episode ended in a terminal state (a fall), shape [N].
            truncated: Whether it was cut off (a timeout), shape [N]; a fall at the same step is a fall.
            next_obs: Observations after the step, the first of the new episode where one ended; shape [N, D] each.
            final_obs: Observations after the step and before any reset, shape [N, D] each; only the rows of
                truncated episodes are read.

        Raises:
            ValueError: If an episode was truncated and ``final_obs`` is not given.
        """
        row, nxt = self._row, (self._row + 1) % self.rows
        terminated = terminated.bool()
        truncated = truncated.bool() & ~terminated
        self.action[row].copy_(action)
        self.reward[row].copy_(reward)
        self.terminated[row].copy_(terminated)
        self.done[row].copy_(terminated | truncated)
        self.is_start[nxt].copy_(~truncated)
        if final_obs is None and bool(truncated.any()):
            raise ValueError("an episode was truncated and its last observation is missing")
        for group, storage in self.obs.items():
            if final_obs is None:
                storage[nxt].copy_(next_obs[group])
            else:
                storage[nxt].copy_(torch.where(truncated.unsqueeze(-1), final_obs[group], next_obs[group]))
        self._row = nxt
        self._filled = min(self._filled + 1, self.rows - 1)

    def sample(self, gradient_steps: int, batch_size: int, generator: torch.Generator | None = None) -> ReplayBatch:
        """Draw transitions uniformly, all at once.

        Args:
            gradient_steps: Number of batches G.
            batch_size: Transitions B of a batch.
            generator: Source of randomness.

        Returns:
            The batches, new tensors on the buffer's device.
        """
        if self._filled == 0:
            raise ValueError("the replay buffer is empty")
        shape, device = (gradient_steps, batch_size), self.device
        # age 0 is the newest transition
        age = torch.randint(self._filled, shape, device=device, generator=generator)
        env = torch.randint(self.num_envs, shape, device=device, generator=generator)
        return self.gather(age, env)

    def gather(self, age: torch.Tensor, env: torch.Tensor) -> ReplayBatch:
        """The transitions that started ``age`` + 1 vector steps ago in environments ``env``, shapes [G, B]."""
        row = torch.remainder(self._row - 1 - age, self.rows)
        start = row * self.num_envs + env
        reward = self.reward.view(-1)[start]
        ended = self.done.view(-1)[start]
        terminated = self.terminated.view(-1)[start]
        steps = torch.ones_like(age)
        for k in range(1, self.n_steps):
            # the return goes on while the episode does and there is another row
            going = ~ended & (age >= k)
            index = torch.remainder(row + k, self.rows) * self.num_envs + env
            reward = reward + going * self.gamma**k * self.reward.view(-1)[index]
            terminated = terminated | (going & self.terminated.view(-1)[index])
            ended = ended | (going & self.done.view(-1)[index])
            steps = steps + going
        last = torch.remainder(row + steps, self.rows) * self.num_envs + env
        return ReplayBatch(
            obs={group: _take(storage, start) for group, storage in self.obs.items()},
            action=_take(self.action, start),
            reward=reward,
            next_obs={group: _take(storage, last) for group, storage in self.obs.items()},
            discount=torch.where(terminated, 0.0, self.gamma ** steps.to(reward.dtype)),
            weight=self.is_start.view(-1)[start].to(reward.dtype),
        )


def _take(storage: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Rows of a [rows, N, D] tensor by flat index of any shape."""
    return storage.flatten(0, 1).index_select(0, index.flatten()).view(*index.shape, storage.shape[-1])
