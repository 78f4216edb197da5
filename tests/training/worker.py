# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""A stand-in for a training that hangs or crashes where it is told to, and who watches it.

Usage: worker.py '{"limit": 2, "starts": [["beat 20", "hang"], ["beat 5"]]}': what each start does, one after the other.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
from pathlib import Path

from isaaclab_offpolicy.training import watchdog
from isaaclab_offpolicy.training.signals import Interruption
from isaaclab_offpolicy.training.watchdog import PULSE, watched


def hang() -> None:
    """Wait for ever in C, with the interpreter's lock, whatever signal comes: lock a mutex twice."""
    libc, mutex = ctypes.PyDLL(None), ctypes.create_string_buffer(128)
    libc.pthread_mutex_lock(mutex)
    libc.pthread_mutex_lock(mutex)


def act(action: str, interruption: Interruption) -> None:
    name, _, value = action.partition(" ")
    if name == "beat":
        for _ in range(int(value)):
            time.sleep(0.02)
            PULSE.beat()
            if interruption.requested:
                print("ended by itself", flush=True)
                sys.exit(0)
    elif name == "save":
        PULSE.tell(checkpoint=f"model_{value}.pt", transitions=int(value), left=1000 - int(value))
    elif name == "saves":
        for transitions in range(int(value)):
            act(f"save {transitions}", interruption)
    elif name == "sleep":
        time.sleep(float(value))
    elif name == "say":
        print(value, flush=True)
    elif name == "signal":
        os.kill(os.getpid(), getattr(signal, value))
    elif name == "exit":
        sys.exit(int(value))
    else:
        {"hang": hang, "slow": PULSE.slow, "end": PULSE.end}[name]()


def main() -> int:
    what = json.loads(sys.argv[1])
    if not PULSE.attach():
        watchdog.GRACE = watchdog.OUTSIDE = what.get("grace", 2.0)
        if "restarts" not in what:
            return watched([sys.executable, *sys.orig_argv[1:]]).status
        from isaaclab_offpolicy.cli.restarts import with_restarts

        return with_restarts(lambda options: watched([sys.executable, *sys.orig_argv[1:], *options]), what["restarts"])
    starts = Path("starts")
    number = len(starts.read_text().splitlines()) if starts.exists() else 0
    with starts.open("a") as file:
        print(" ".join(sys.argv[2:]), file=file)
    interruption = Interruption()
    if what.get("listen", True):
        interruption.listen()
    print("pid", os.getpid(), flush=True)
    if "limit" in what:
        deadline = time.perf_counter() + what["max_time"] if "max_time" in what else None
        PULSE.watch(what["limit"] or float("inf"), deadline, task="stand-in", engine="none", seed=7)
    for action in what["starts"][number]:
        act(action, interruption)
    return 0


if __name__ == "__main__":
    sys.exit(main())
