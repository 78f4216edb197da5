# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Final observations that disturb nothing.

When an episode ends, Isaac Lab computes the observations of all environments once more before the reset
(``compute_final_obs``). That advances whatever has a state - filters, integrators, noise - a second time in that step,
in the environments whose episodes go on as well; and a history or a delay is only read, so that what it gives is the
observation *before* the last step (Isaac Lab 3.0.0). Here the extra computation works on copies of these states, which
it advances as the regular one would, and which are thrown away. torch's random numbers are put back, too: all other
observations, and all else that is random, are as if there were no final observations.
"""

from __future__ import annotations

import copy
import functools
import sys
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch

from isaaclab.utils.buffers import CircularBuffer, DelayBuffer
from isaaclab.utils.modifiers import ModifierBase
from isaaclab.utils.noise import NoiseModel

TOLERANCE = 1.0e-4
"""Difference, relative or absolute, up to which two observations are the same."""


def request_final_observations(env: Any) -> None:
    """Have Isaac Lab compute the observations before a reset, without an effect on anything else. May be called again.

    What has a state that cannot be copied is told once, at the end of the first episode.

    Args:
        env: Isaac Lab's environment of either kind, or a wrapper of it; others are asked by their configuration alone.
    """
    unwrapped = getattr(env, "unwrapped", env)
    cfg: Any = getattr(unwrapped, "cfg", None)
    if not hasattr(cfg, "compute_final_obs"):
        return
    cfg.compute_final_obs = True  # read at every step
    if hasattr(unwrapped, "_final_observations"):
        return
    if hasattr(getattr(unwrapped, "observation_manager", None), "_group_obs_class_instances"):
        unwrapped._final_observations = _OfManagers(unwrapped)
    elif hasattr(unwrapped, "_reset_envs_from_buffer"):
        unwrapped._final_observations = _OfDirect(unwrapped)


class _Extra(ABC):
    """The extra computation.

    Args:
        env: The environment.
    """

    def __init__(self, env: Any) -> None:
        self._env, device = env, torch.device(env.device)
        self._devices = [device] if device.type == "cuda" else []
        self._checked = False

    @abstractmethod
    def states(self) -> list[Any]:
        """Objects whose states are copied."""

    def run(self, compute: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """Compute observations, and leave everything as it was."""
        with self._apart():
            result = compute()
        if not self._checked:
            self._checked = True
            with self._apart():
                again = compute()
            groups = [group for group, value in result.items() if not _same(value, again[group])]
            if groups:
                print(
                    f"[WARNING] observations {', '.join(groups)} change when they are computed twice in one step, as"
                    " happens for final observations: a term keeps a state where it cannot be copied; let it be an"
                    " attribute of a modifier, of a noise model or of a term that is a class, or update it elsewhere",
                    file=sys.stderr,
                )
        return result

    @contextmanager
    def _apart(self) -> Iterator[None]:
        with ExitStack() as stack:
            stack.enter_context(torch.random.fork_rng(self._devices))
            for state in self.states():
                stack.enter_context(_copied(state))
            yield


class _OfManagers(_Extra):
    """Final observations of an environment with managers.

    Isaac Lab calls ``compute()`` for them, and ``compute(update_history=True)`` for all others.

    Args:
        env: The environment.
    """

    def __init__(self, env: Any) -> None:
        super().__init__(env)
        env.observation_manager.compute = self

    def states(self) -> list[Any]:
        manager = self._env.observation_manager
        terms = [cfg.func for cfgs in manager._group_obs_class_term_cfgs.values() for cfg in cfgs]
        buffers = [
            buffer
            for groups in (manager._group_obs_term_delay_buffer, manager._group_obs_term_history_buffer)
            for group in groups.values()
            for buffer in group.values()
        ]
        return [*terms, *manager._group_obs_class_instances, *buffers]

    def __call__(self, update_history: bool = False) -> Mapping[str, Any]:
        # the manager is not held: it goes when the environment lets go of it
        manager = self._env.observation_manager
        compute = functools.partial(type(manager).compute, manager, update_history=True)
        return compute() if update_history else self.run(compute)


class _OfDirect(_Extra):
    """Final observations of a direct environment.

    Args:
        env: The environment.
    """

    def __init__(self, env: Any) -> None:
        super().__init__(env)
        self._compute, self._reset = env._compute_observations, env._reset_envs_from_buffer
        env._reset_envs_from_buffer = self

    def states(self) -> list[Any]:
        noise = getattr(self._env, "_observation_noise_model", None)
        return [] if noise is None else [noise]

    def __call__(self) -> Any:
        # copied: an environment may give the same tensors at each step, and write the next observations to them
        self._env._compute_observations = lambda: self.run(lambda: _copy(self._compute()))
        try:
            return self._reset()
        finally:
            del self._env._compute_observations  # the class's own


@contextmanager
def _copied(owner: Any) -> Iterator[None]:
    """Let an object work on copies of its state. What it held before is never written to, and comes back."""
    held = dict(vars(owner))
    vars(owner).update({name: _copy(value) for name, value in held.items()})
    try:
        yield
    finally:
        vars(owner).clear()
        vars(owner).update(held)


def _copy(value: Any) -> Any:
    """A copy of what can be a state; the environment, the simulation, networks and the like stay the same objects."""
    if isinstance(value, torch.Tensor) and not isinstance(value, torch.nn.Parameter):
        return value.clone()
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, dict) and type(value) is dict:
        return {key: _copy(item) for key, item in value.items()}
    if type(value) in (list, tuple, set):
        items: Any = [_copy(item) for item in value]
        return type(value)(items)
    if isinstance(value, deque):
        return deque((_copy(item) for item in value), value.maxlen)
    if isinstance(value, (np.random.Generator, np.random.RandomState)):
        return copy.deepcopy(value)
    if isinstance(value, (CircularBuffer, DelayBuffer, ModifierBase, NoiseModel)):
        result = copy.copy(value)
        vars(result).update({name: _copy(item) for name, item in vars(value).items()})
        return result
    return value


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Mapping):
        return all(_same(value, other[key]) for key, value in one.items())
    return torch.allclose(one.float(), other.float(), rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
