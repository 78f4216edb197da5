# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Finds numbers that are not finite, names them, and says when there are too many."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

WINDOW = 100
"""Env steps over which the share of transitions that are left out is taken."""

SHOWN = 8
"""Environments and columns that a message names."""


class NonFiniteError(ValueError):
    """An observation, reward, action, loss or weight that is not finite."""


class FiniteGuard:
    """Looks for numbers of the environments that are not finite; a few are left out, many end the training.

    Args:
        num_envs: Number of environments N.
        share: Share of the transitions of the last :data:`WINDOW` env steps that may be left out; 0 allows none.
        expire: Has the episodes of some environments, mask [N], end at their next step; None where that cannot be done.

    Raises:
        ValueError: If the share is none.
    """

    def __init__(self, num_envs: int, share: float, expire: Callable[[torch.Tensor], None] | None = None) -> None:
        if not 0.0 <= share <= 1.0:
            raise ValueError(f"max_nonfinite is a share from 0 to 1, not {share!r}")
        self.num_envs, self.share, self._expire = num_envs, share, expire
        self._env_steps = self._broken_steps = self._popped = 0
        self._recent: deque[tuple[int, int]] = deque()
        self.left_out = 0
        """Transitions that were left out so far."""

    def check(
        self, values: Mapping[str, torch.Tensor], num_timesteps: int, also: Sequence[torch.Tensor] = ()
    ) -> tuple[Sequence[bool], dict[str, torch.Tensor]]:
        """Look at the numbers of an env step; one host–device sync when all is well.

        Args:
            values: Tensors by what they are, environments first. An ``action`` is the policy's own.
            num_timesteps: Transitions so far, for the messages.
            also: Truth values that are read in the same sync.

        Returns:
            The values of ``also``; and for each tensor with numbers that are not finite the mask of the environments
            that have them, shape [N].

        Raises:
            NonFiniteError: If there are too many, or an action is not finite; with environments and columns.
        """
        self._env_steps += 1
        # the sum of a tensor is finite if and only if its entries are (up to overflow, which is no better)
        sums = [value.sum() for value in values.values()]
        sums += [torch.where(flag, torch.nan, 0.0) for flag in also]
        if bool(torch.stack(sums).isfinite().all()):
            return [False] * len(also), {}
        broken = {name: value.isfinite().logical_not() for name, value in values.items()}
        masks = {name: mask.flatten(1).any(1) if mask.dim() > 1 else mask for name, mask in broken.items()}
        masks = {name: mask for name, mask in masks.items() if bool(mask.any())}
        if masks:
            what = "; ".join(_described(name, values[name], broken[name]) for name in masks)
            self._count(any_of(masks.values()), f"{what} after {num_timesteps} transitions", "action" in masks)
        return [bool(flag) for flag in also], masks

    def pop(self) -> dict[str, float]:
        """The number of transitions that were left out since the last call, as a metric; empty if there were none."""
        since, self._popped = self.left_out - self._popped, self.left_out
        return {"left_out": float(since)} if since else {}

    def _count(self, mask: torch.Tensor, what: str, fatal: bool) -> None:
        """Count the environments of a step that are left out, warn, and have them begin anew."""
        number = int(mask.sum())
        self._recent.append((self._env_steps, number))
        while self._recent[0][0] <= self._env_steps - WINDOW:
            self._recent.popleft()
        share = sum(count for _, count in self._recent) / (WINDOW * self.num_envs)
        if fatal or self.share == 0.0:
            raise NonFiniteError(what)
        if share > self.share:
            raise NonFiniteError(
                f"{what}: {100 * share:.3g} % of the transitions of the last {WINDOW} env steps are not finite, where"
                f" max_nonfinite allows {100 * self.share:.3g} %"
            )
        self.left_out += number
        self._broken_steps += 1
        if self._expire is not None:
            self._expire(mask)
        if self._broken_steps & (self._broken_steps - 1) == 0:  # the 1st, 2nd, 4th, 8th…
            print(
                f"[WARNING] {what}: left out"
                + (", and these episodes end" if self._expire is not None else "")
                + f" ({self.left_out} transitions so far)",
                file=sys.stderr,
            )


def any_of(masks: Any) -> torch.Tensor:
    """Where any of these masks is set."""
    return torch.stack(list(masks)).any(0)


def expire_episodes(env: Any) -> Callable[[torch.Tensor], None] | None:
    """A function that has the episodes of an environment, mask [N], end at their next step, by timeout.

    rsl_rl itself writes these counts at the start. So the environment resets in its own way.

    Args:
        env: An environment of rsl_rl's interface, or Isaac Lab's own.

    Returns:
        The function; None if the environment does not count its steps.
    """
    if not isinstance(getattr(env, "episode_length_buf", None), torch.Tensor):
        return None

    def expire(mask: torch.Tensor) -> None:
        lengths: torch.Tensor = env.episode_length_buf
        with torch.inference_mode():  # where the environment stepped, and which its tensors may be of
            lengths.masked_fill_(mask.to(lengths.device), int(env.max_episode_length))

    return expire


def check_weights(modules: Mapping[str, nn.Module]) -> None:
    """Raise where a weight or a statistic is not finite.

    Raises:
        NonFiniteError: With its name.
    """
    for module, network in modules.items():
        for name, value in network.state_dict().items():
            if not bool(value.isfinite().all()):
                raise NonFiniteError(f"weights are not finite ({module}.{name}); no checkpoint is written")


def check_metrics(metrics: Mapping[str, float], num_updates: int) -> None:
    """Raise where a loss is not finite.

    Raises:
        NonFiniteError: With its name.
    """
    bad = [name for name, value in metrics.items() if value != value or abs(value) == float("inf")]
    if bad:
        raise NonFiniteError(f"learning diverged: {', '.join(bad)} not finite after {num_updates} updates")


def _described(name: str, value: torch.Tensor, broken: torch.Tensor) -> str:
    """What is not finite: the first such number, its environments and its columns."""
    where = broken.nonzero().cpu()
    parts = [f"environment {_listed(where[:, 0])}"]
    if broken.dim() > 1:
        parts.append(f"entry {_listed(where[:, 1])}")
    return f"{name} is not finite: {value[tuple(where[0])].item()} in {', '.join(parts)}"


def _listed(indices: torch.Tensor) -> str:
    """The first of these indices."""
    unique = indices.unique().tolist()
    more = f" and {len(unique) - SHOWN} more" if len(unique) > SHOWN else ""
    return " ".join(str(index) for index in unique[:SHOWN]) + more
