# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Ends a training whose env step never returns, from a process of its own.

A thread of Python cannot do it: a physics engine that hangs in C may hold the interpreter's lock, and then neither
other threads nor handlers of signals run. So the command starts the training in a second process, and the first one,
which imports nothing but the standard library, watches: a counter in shared memory goes up with every env step, and a
pipe tells what else there is to know, such as the last checkpoint.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import json
import math
import mmap
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

STEP_LIMIT = 60.0
"""Time that an env step may take, with what is learned meanwhile [s]."""

SLOW_FACTOR = 15.0
"""Factor on the limit where more time may be needed: first steps, compilation, files."""

GRACE = 10.0
"""Time that an env step may still take after a signal or the end of the training's time [s]; twice that of the longest
one so far if this is more."""

OUTSIDE = 30.0
"""Time after a signal in which a process has to end before its first env step, or after the last one [s]."""

HUNG = 75
"""Exit status of a training that was ended because it hung: ``EX_TEMPFAIL`` of ``sysexits.h``, try again."""

FIRST_STEPS = 3
"""Env steps that may take as long as compilation: engines compile in them."""

_VARIABLE = "ISAACLAB_OFFPOLICY_WATCHED"
_BEATS, _SLOW, _CELLS = 0, 1, 2
_TRACEBACK_SIGNAL = signal.SIGRTMAX - 4
_KILL_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)


def check_limit(value: Any) -> float:
    """The limit, if it is one; infinite for None.

    Raises:
        ValueError: If it is no time above zero.
    """
    if value is None:
        return math.inf
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0.0:
        raise ValueError(f"step_limit is a time above zero [s], or None, not {value!r}")
    return float(value)


class Pulse:
    """What a training tells the process that watches it; where there is none, it tells nobody."""

    def __init__(self) -> None:
        self._cells = memoryview(bytearray(8 * _CELLS)).cast("Q")
        self._pipe: int | None = None
        self._untold: dict[str, Any] = {}

    def attach(self) -> bool:
        """Let the process that started this one watch it; says whether it does. Comes before anything is imported."""
        memory, pipe, parent = (int(number) for number in os.environ.pop(_VARIABLE, "-1 -1 -1").split())
        if pipe < 0:
            return self._pipe is not None
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD))
        ctypes.CDLL(None).prctl(_KILL_WITH_PARENT, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)  # it was killed already
        for descriptor in (memory, pipe):
            os.set_inheritable(descriptor, False)
        self._cells = memoryview(mmap.mmap(memory, 8 * _CELLS)).cast("Q")
        os.close(memory)
        os.set_blocking(pipe, False)
        self._pipe = pipe
        faulthandler.register(_TRACEBACK_SIGNAL, file=2, all_threads=True)
        return True

    def watch(self, limit: float, deadline: float | None = None, **facts: Any) -> None:
        """Begin to watch.

        Args:
            limit: Time between two calls of :meth:`beat` [s]; infinite to wait for ever.
            deadline: When the training shall have ended, as of :func:`time.perf_counter` [s].
            **facts: Told where the training is ended, such as task and seed.
        """
        self.slow()
        remaining = None if deadline is None else deadline - time.perf_counter()
        self.tell(watching=True, limit=limit, remaining=remaining, facts=facts)

    def beat(self) -> None:
        """An env step is done."""
        cells = self._cells
        count = cells[_BEATS] + 1
        cells[_BEATS] = count
        cells[_SLOW] = count < FIRST_STEPS

    def slow(self) -> None:
        """What comes until the next :meth:`beat` may take long: something is compiled, or written to a disk."""
        self._cells[_SLOW] = 1

    def tell(self, **news: Any) -> None:
        """Tell what has changed; the newest value of each name counts."""
        if self._pipe is not None:
            self._untold |= news
            # what cannot be told at the moment, since who watches is stopped, does not hold up the training
            with contextlib.suppress(BlockingIOError, BrokenPipeError):
                os.write(self._pipe, (json.dumps(self._untold) + "\n").encode())
                self._untold = {}

    def end(self) -> None:
        """The training is over; nothing more is watched."""
        self.beat()  # what was slow before, such as the last checkpoint, does not count against what comes
        self.tell(watching=False, finished=True)


PULSE = Pulse()
"""That of this process."""


class Ending(NamedTuple):
    """How a process ended."""

    status: int
    """Exit status, 128 and the number of a signal that killed it, or :data:`HUNG`."""

    reason: str | None
    """Why it is worth another try: it hung or crashed. None where it ended by itself."""

    news: dict[str, Any]
    """What it told last, by name."""


class _Clock:
    """How long a process has not moved: time in which it, or who watches it, was stopped does not count."""

    def __init__(self, pid: int, interval: float) -> None:
        self._stat, self._longest = Path("/proc", str(pid), "stat"), 4.0 * interval
        self._then, self._beats = time.monotonic(), 0
        self.quiet = 0.0
        """Time since the last env step [s]."""
        self.slowest = 0.0
        """Time of the longest env step but the first ones [s]."""

    def tick(self, beats: int) -> float:
        """Look at the clock, given the env steps so far; gives the time since the last look [s]."""
        now = time.monotonic()
        elapsed, self._then = min(now - self._then, self._longest), now
        with contextlib.suppress(OSError):
            if self._stat.read_text().rpartition(")")[2].split()[0] in "tT":  # stopped, or held by a debugger
                return 0.0
        if beats != self._beats:
            if beats > FIRST_STEPS + 1:
                self.slowest = max(self.slowest, self.quiet)
            self._beats, self.quiet = beats, 0.0
        self.quiet += elapsed
        return elapsed


def watched(command: Sequence[str], interval: float = 0.25) -> Ending:
    """Run a command and watch it; comes from the main thread of a process that does nothing else.

    Signals that ask to end are passed on. The command ends with this process, whatever ends it.

    Args:
        command: Command line of a process that calls :meth:`Pulse.attach`.
        interval: Time between two looks [s].

    Returns:
        How it ended; what is wrong was printed on standard error.
    """
    memory, (told, tell) = os.memfd_create("pulse"), os.pipe()
    os.ftruncate(memory, 8 * _CELLS)
    cells = memoryview(mmap.mmap(memory, 8 * _CELLS)).cast("Q")
    ends = {number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) != signal.SIG_IGN}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*ends, signal.SIGCHLD})
    for descriptor in (memory, tell):
        os.set_inheritable(descriptor, True)
    environment = os.environ | {_VARIABLE: f"{memory} {tell} {os.getpid()}"}
    process = subprocess.Popen(command, env=environment, close_fds=False)
    for descriptor in (memory, tell):
        os.close(descriptor)
    os.set_blocking(told, False)
    try:
        return _watch(process, ends, cells, told, interval)
    finally:
        _kill(process)
        os.close(told)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _watch(
    process: subprocess.Popen[bytes], ends: set[signal.Signals], cells: memoryview, told: int, interval: float
) -> Ending:
    """Watch a process until it ends, or end it."""
    clock, news, rest = _Clock(process.pid, interval), {}, b""
    asked: signal.Signals | None = None
    over = 0.0
    while True:
        came = signal.sigtimedwait({*ends, signal.SIGCHLD}, interval)
        rest = _read(told, rest, news)
        if process.poll() is not None:
            break
        if came is not None and came.si_signo in ends:
            asked = signal.Signals(came.si_signo)
            if came.si_code <= 0:  # one that the terminal sends has reached the process, too
                process.send_signal(asked)
        elapsed = clock.tick(cells[_BEATS])
        late = time.monotonic() >= news.get("deadline", math.inf)
        over = over + elapsed if asked or late else 0.0
        if clock.quiet <= _allowed(clock, bool(cells[_SLOW]), news, min(over, clock.quiet)):
            continue
        why = "the time of the training is over, and " if late else f"{asked.name} came, and " if asked else ""
        after = f"after env step {cells[_BEATS]} of this process" if cells[_BEATS] else "since it began"
        what = f"{why}nothing has moved for {clock.quiet:.0f} s {after}"
        with contextlib.suppress(ProcessLookupError):
            if news.get("watching") is not None:
                process.send_signal(_TRACEBACK_SIGNAL)
                time.sleep(1.0)
        _kill(process)
        _report(f"{what}; it was ended", _read_all(told, rest, news))
        return Ending(HUNG, None if asked or late else "it hung", news)
    _read_all(told, rest, news)
    if process.returncode >= 0 or asked:
        return Ending(process.returncode if process.returncode >= 0 else 128 - process.returncode, None, news)
    name = signal.Signals(-process.returncode).name
    hint = " (nobody asked for it here: was there too little memory?)" if name == "SIGKILL" else ""
    _report(f"crashed: {name}{hint} after env step {cells[_BEATS]} of this process", news)
    return Ending(128 - process.returncode, None if news.get("finished") else f"it crashed ({name})", news)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process, and do not wait for ever for one that a driver holds."""
    process.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(OUTSIDE)


def _allowed(clock: _Clock, slow: bool, news: dict[str, Any], over: float) -> float:
    """For how long nothing needs to move [s], given for how long the training should have been over [s]."""
    limit = float(news.get("limit", math.inf)) if news.get("watching") else math.inf
    allowed = limit * SLOW_FACTOR if slow else limit
    if over == 0.0:
        return allowed
    if not news.get("watching"):
        grace = OUTSIDE
    elif slow:
        grace = min(limit, STEP_LIMIT) * SLOW_FACTOR
    else:
        grace = max(GRACE, 2.0 * clock.slowest)
    return -math.inf if over > grace else allowed


def _read(told: int, rest: bytes, news: dict[str, Any]) -> bytes:
    """Take over what was told; gives the beginning of a line whose end is still to come."""
    with contextlib.suppress(BlockingIOError):
        *lines, rest = (rest + os.read(told, 1 << 20)).split(b"\n")
        for line in lines:
            with contextlib.suppress(ValueError):  # a part of one, where the pipe was full
                news |= json.loads(line)
            if (remaining := news.pop("remaining", None)) is not None:
                news["deadline"] = time.monotonic() + remaining
    return rest


def _read_all(told: int, rest: bytes, news: dict[str, Any]) -> dict[str, Any]:
    """What was told until the end."""
    _read(told, rest, news)
    return news


def _report(what: str, news: dict[str, Any]) -> None:
    """Say why a training is over, from where it goes on, and what repeats it."""
    facts = ", ".join(f"{name} {value}" for name, value in news.get("facts", {}).items())
    checkpoint = news.get("checkpoint")
    where = f"last checkpoint: {checkpoint}" if checkpoint else "no checkpoint yet"
    print(f"error: {what}; {where}{f' ({facts})' if facts else ''}", file=sys.stderr, flush=True)
