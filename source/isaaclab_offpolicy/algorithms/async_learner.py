# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Learning beside the environment."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import torch


class AsyncLearner:
    """Runs one update phase at a time in a thread, and on a GPU in a stream, of its own.

    Args:
        device: Device of the learner.
        threads: Processor threads of the learner; None leaves torch's number.
    """

    def __init__(self, device: torch.device, threads: int | None = None) -> None:
        self._device = device
        self._thread = ThreadPoolExecutor(
            1, "learner", torch.set_num_threads, (threads or torch.get_num_threads(),)
        )  # fmt: skip
        # threads begin on the default stream, which is the simulation's
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._future: Future[None] | None = None
        self._in_use: Any = None

    def start(self, run: Callable[[Any], None], batches: Any) -> None:
        """Start an update phase on these batches; :meth:`wait` comes before the next one."""
        # their memory may not be given out again before the learner's stream is done with it
        self._in_use = batches
        if self._stream is not None:
            self._stream.wait_stream(torch.cuda.current_stream(self._device))

        def phase() -> None:
            with nullcontext() if self._stream is None else torch.cuda.stream(self._stream):
                run(batches)

        self._future = self._thread.submit(phase)

    def wait(self) -> bool:
        """Wait for the update phase; says whether there was one, and raises what it raised."""
        if self._future is None:
            return False
        try:
            self._future.result()
        finally:
            # an interrupt while waiting leaves the phase under way, and the next call waits for it
            if self._future.done():
                self._future = None
                if self._stream is not None:
                    torch.cuda.current_stream(self._device).wait_stream(self._stream)
                self._in_use = None
        return True
