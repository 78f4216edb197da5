# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Signals that wait until a training can end."""

from __future__ import annotations

import signal
import time
from typing import Any


class Interruption:
    """Ctrl+C and a termination signal, which wait until a training can end.

    An exception that a signal's handler raises gets lost where C calls back into Python, as Warp does for every array
    that it hands over; and elsewhere it may leave weights half updated. So the signal is only noted. Who has had enough
    sends another one, which interrupts at once; those that follow within :attr:`GRACE` count as the first, as terminal
    and launcher may both send one.
    """

    GRACE = 2.0
    """Time after the first signal in which others are ignored [s]."""

    def __init__(self) -> None:
        self.requested = False
        self._first = 0.0
        self._previous: dict[int, Any] = {}

    def listen(self) -> None:
        """Take the signals, but for those that the process was started to ignore; only the main thread may."""
        self.requested = False
        self._previous = {
            number: signal.signal(number, self._note)
            for number in (signal.SIGINT, signal.SIGTERM)
            if signal.getsignal(number) != signal.SIG_IGN
        }

    def close(self) -> None:
        """Give the signals back to whom they belonged."""
        for number, handler in self._previous.items():
            if handler is not None:  # one that is not Python's cannot be set from here
                signal.signal(number, handler)
        self._previous = {}

    def _note(self, signum: int, frame: Any) -> None:
        now = time.perf_counter()
        if not self.requested:
            self.requested, self._first = True, now
        elif now - self._first > self.GRACE:
            raise KeyboardInterrupt
