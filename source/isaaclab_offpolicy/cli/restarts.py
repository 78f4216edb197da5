# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Commands in a process that is watched, and trainings that start again from their last checkpoint."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from isaaclab_offpolicy.agents.overrides import without_option
from isaaclab_offpolicy.errors import ConfigError
from isaaclab_offpolicy.training.watchdog import Ending, watched


def run_watched(module: ModuleType, arguments: Sequence[str]) -> int | None:
    """Run the command of this process in another one, unless nothing is to be watched; gives the exit status.

    Args:
        module: That of the command.
        arguments: Its arguments.

    Raises:
        ConfigError: If it cannot be restarted as asked for.
    """
    # answers --help, too
    args, rest = module.parser().parse_known_args(arguments)
    restarts = getattr(args, "restarts", 0)
    if restarts and "--distributed" in rest:
        raise ConfigError("--restarts is for one process; torchrun restarts several (--max-restarts)")
    if not restarts and getattr(args, "step_limit", None) == math.inf:
        return module.main(arguments)
    # the same interpreter, options and script
    own = [sys.executable, *sys.orig_argv[1 : len(sys.orig_argv) - len(arguments)]]

    def train(options: Sequence[str]) -> Ending:
        given = list(arguments)
        for flag in options[::2]:
            given = without_option(given, flag)
        return watched([*own, *given, *options])

    return with_restarts(train, restarts)


def with_restarts(train: Callable[[Sequence[str]], Ending], restarts: int) -> int:
    """Train, and start again from the last checkpoint where the training hung or crashed; gives the exit status.

    Args:
        train: Trains with these further options of ``train``.
        restarts: How often to start again.
    """
    options: list[str] = []
    trained, checkpoint, steps = 0, None, -1
    while True:
        ending = train(options)
        news = ending.news
        if ending.reason is None or trained == restarts:
            return ending.status
        checkpoint = news.get("checkpoint", checkpoint)
        now = news.get("transitions", steps)
        if trained and now <= steps:
            print(f"error: not started again: {ending.reason} twice without a new checkpoint", file=sys.stderr)
            return ending.status
        seconds = None if "deadline" not in news else news["deadline"] - time.monotonic()
        if (seconds is not None and seconds <= 1.0) or news.get("left") == 0:
            print("[INFO] not started again: nothing of the training is left", file=sys.stderr)
            return ending.status
        trained, steps = trained + 1, now
        options = _options(checkpoint, seconds, news.get("left"), options)
        where = f"from {checkpoint} ({now} transitions)" if checkpoint else "from the beginning: there is no checkpoint"
        print(f"[INFO] restart {trained} of {restarts}, since {ending.reason}: {where}", file=sys.stderr, flush=True)


def _options(checkpoint: str | None, seconds: float | None, left: int | None, before: Sequence[str]) -> list[str]:
    """What another start needs beside the command's own options, given those of the start before."""
    values: dict[str, Any] = dict(zip(before[::2], before[1::2], strict=True))
    if checkpoint is not None:
        values["--restarted_from"] = checkpoint
    if seconds is not None:
        values["--max_time"] = f"{seconds:.1f}s"
    if left is not None:
        values["--max_iterations"] = str(left)
    return [str(item) for pair in values.items() for item in pair]
