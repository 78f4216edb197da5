# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Clocks and gauges."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch


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


def interleaved_times(parts: Mapping[str, Callable[[], Any]], device: str, seconds: float) -> dict[str, list[float]]:
    """Times [s] of functions, interleaved so that a drift of the machine's speed meets all of them.

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


def memory_in_use(device: str) -> float:
    """What is in use on a GPU, simulation included, or the most that the process has used on the CPU [GiB]."""
    if device == "cpu":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    free, total = torch.cuda.mem_get_info(device)
    return (total - free) / 2**30
