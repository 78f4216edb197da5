# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""What a checkpoint holds of a training beside its agent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from isaaclab_offpolicy.errors import UserError
from isaaclab_offpolicy.training.atomic import write_atomically
from isaaclab_offpolicy.training.random_state import random_state, restore_random_state

from .environment_state import EnvironmentState

PARTS = ("environment", "random", "wall_time_s", "best_return")
"""What a checkpoint holds."""


class TrainingState:
    """What goes on with a training beside its agent: the environment's state, random generators, time, best return.

    Args:
        env: The environment as it is before the training, or a wrapper of it.
        draws_alone: Whether no other process learns with this one. The first of several writes the checkpoint: with its
            random state the others would draw what it draws.
    """

    def __init__(self, env: Any, draws_alone: bool = True) -> None:
        self.environment, self._draws_alone = EnvironmentState(env), draws_alone
        self.wall_time_before = 0.0
        """Time that the training took until the checkpoint that it goes on from [s]."""
        self.best_return = -float("inf")
        """Mean return of the best checkpoint."""
        self.episodes_go_on = False
        """Whether the environment goes on amid its episodes."""
        self.same_task = True
        """Whether the checkpoint is one of this task."""

    def state(self, wall_time: float) -> dict[str, Any]:
        """The state as tensors on the CPU and plain values.

        Args:
            wall_time: Time that the training took so far [s].
        """
        parts = self.environment.state(), random_state(), wall_time, self.best_return
        return dict(zip(PARTS, parts, strict=True))

    def restore(self, state: Mapping[str, Any] | None, reset: Callable[[], Any]) -> list[str]:
        """Take over what :meth:`state` gave.

        Args:
            state: The state; None if the checkpoint has none.
            reset: Begins all episodes anew.

        Returns:
            What was not taken over, a line each.
        """
        if state is None or not set(PARTS) <= set(state):
            return [
                "the checkpoint has no state of the training: terrain levels, step counters, random generators, wall"
                " time and best return begin anew"
            ]
        theirs, lines = state["environment"], []
        self.wall_time_before = float(state["wall_time_s"])
        self.same_task = theirs["task"] == self.environment.task
        try:
            self.episodes_go_on = self.environment.restore(theirs, reset)
        except ValueError as error:
            lines = [f"the environment's state is not taken over: it is {error}"]
        if self.same_task:
            self.best_return = float(state["best_return"])
        else:
            lines[-1] += "; neither are random generators, replay buffer and best return"
        # last: whatever came before may have drawn
        if self._draws_alone and self.same_task:
            restore_random_state(state["random"])
        return lines

    def keep_best(self, before: Path, own: Path, value_of: Callable[[Path], Any]) -> None:
        """Let the best checkpoint so far be the best one of the run that goes on, until there is a better one.

        Without its file there is none so far, as after a resume from a checkpoint that was not the last.

        Args:
            before: The best checkpoint of the run before.
            own: That of the run that goes on.
            value_of: Gives the mean return of such a file, None if it has none.
        """
        value, self.best_return = self.best_return, -float("inf")
        try:
            is_that = before.is_file() and value_of(before) == value
        except (Exception, UserError):  # a broken file raises nearly anything
            return
        own.parent.mkdir(parents=True, exist_ok=True)
        if is_that and (own.exists() or write_atomically(before.read_bytes(), own)):
            self.best_return = value
