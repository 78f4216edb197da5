# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""The watchdog and restarts with a stand-in for a training, ``worker.py``, in processes as they are run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from isaaclab_offpolicy.training.watchdog import FIRST_STEPS, HUNG, Pulse

WORKER = Path(__file__).with_name("worker.py")
HANGS = ["beat 20", "save 50", "say now", "hang"]


class Watched:
    """A stand-in that runs and is watched."""

    def __init__(self, cwd: Path, options: dict[str, Any]) -> None:
        self.cwd = cwd
        # the tests themselves may have been started in the background, where it is ignored
        previous = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER), json.dumps(options)],
            cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        signal.signal(signal.SIGINT, previous)

    def wait_for(self, word: str) -> str:
        """Read lines until one begins with a word; gives what follows."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(word):
                return line.removeprefix(word).strip()
        raise AssertionError(f"no '{word}': {self.process.communicate()[1]}")

    def end(self) -> tuple[int, str]:
        """Exit status and what was printed as an error."""
        errors = self.process.communicate(timeout=100)[1]
        return self.process.returncode, errors

    def starts(self) -> list[str]:
        """Further options of each start."""
        return (self.cwd / "starts").read_text().splitlines()


@pytest.fixture
def start(tmp_path: Path):
    running: list[Watched] = []

    def build(*starts: list[str], **options: Any) -> Watched:
        running.append(Watched(tmp_path, {"starts": starts, **options}))
        return running[-1]

    yield build
    for watched in running:
        if watched.process.poll() is None:
            watched.process.kill()


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def becomes(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 60.0
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def test_what_hangs_in_c_with_the_interpreters_lock_is_ended(start) -> None:
    watched = start(HANGS, limit=2)
    pid = int(watched.wait_for("pid"))
    status, errors = watched.end()
    assert status == HUNG == 75 and not is_running(pid)
    line = next(line for line in errors.splitlines() if line.startswith("error: "))
    assert "after env step 20 of this process; it was ended" in line and "last checkpoint: model_50.pt" in line
    assert "(task stand-in, engine none, seed 7)" in line
    assert "in hang" in errors and "Current thread" in errors, "where it hung, from faulthandler"


def test_before_the_first_checkpoint_it_says_so(start) -> None:
    status, errors = start(["beat 5", "hang"], limit=1).end()
    assert status == HUNG and "no checkpoint yet" in errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_what_hangs(start, number: signal.Signals) -> None:
    watched = start(HANGS, ["say again"], limit=None, restarts=3)
    watched.wait_for("now")
    watched.process.send_signal(number)
    status, errors = watched.end()
    assert status == HUNG and f"error: {number.name} came, and nothing has moved" in errors
    assert "last checkpoint: model_50.pt" in errors and len(watched.starts()) == 1, "the user's end is the end"


def test_a_signal_of_the_terminal_ends_what_hangs(start) -> None:
    watched = start(HANGS, limit=None)
    watched.wait_for("now")
    os.killpg(watched.process.pid, signal.SIGINT)  # all of the group get it
    status, errors = watched.end()
    assert status == HUNG and "SIGINT came" in errors


def test_the_end_of_the_time_ends_what_hangs(start) -> None:
    watched = start(HANGS, ["say again"], limit=None, max_time=2.0, restarts=3)
    status, errors = watched.end()
    assert status == HUNG and "error: the time of the training is over, and nothing has moved" in errors
    assert len(watched.starts()) == 1


def test_a_signal_before_the_first_step_ends_what_hangs(start) -> None:
    watched = start(["say now", "hang"])
    watched.wait_for("now")
    watched.process.terminate()
    status, errors = watched.end()
    assert status == HUNG and "since it began" in errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_what_moves_is_left_to_it(start, number: signal.Signals) -> None:
    watched = start(["beat 5", "say now", "beat 100000"], limit=60, grace=0.5)
    watched.wait_for("now")
    watched.process.send_signal(number)
    watched.wait_for("ended by itself")
    assert watched.end() == (0, "")


def test_what_takes_long_and_says_so_is_left_alone(start) -> None:
    slow = ["sleep 3", "beat 4", "slow", "sleep 3", "beat 5", "end", "sleep 3", "say done"]
    watched = start(slow, limit=2)
    watched.wait_for("done")
    assert watched.end() == (0, "")


def test_what_was_stopped_or_suspended_is_left_alone(start) -> None:
    watched = start(["beat 10", "say now", "beat 50", "say done"], limit=2)
    pid = int(watched.wait_for("pid"))
    watched.wait_for("now")
    os.kill(pid, signal.SIGSTOP)
    time.sleep(3.0)
    os.kill(watched.process.pid, signal.SIGSTOP)  # both, as Ctrl+Z does
    time.sleep(3.0)
    os.kill(watched.process.pid, signal.SIGCONT)
    time.sleep(1.0)
    os.kill(pid, signal.SIGCONT)
    watched.wait_for("done")
    assert watched.end() == (0, "")


def test_who_does_not_listen_holds_up_nothing(start) -> None:
    watched = start(
        ["beat 10", "say now", "sleep 1", "saves 5000", "say all", "beat 100", "save 9999", "hang"], limit=2
    )
    watched.wait_for("now")
    watched.process.send_signal(signal.SIGSTOP)
    watched.wait_for("all")
    watched.process.send_signal(signal.SIGCONT)
    status, errors = watched.end()
    assert status == HUNG and "last checkpoint: model_9999.pt" in errors


@pytest.mark.parametrize("before", [["beat 10"], []])
def test_it_does_not_outlive_who_watches_it(start, before: list[str]) -> None:
    watched = start([*before, "say now", "hang"], limit=None)
    pid = int(watched.wait_for("pid"))
    watched.wait_for("now")
    watched.process.kill()
    assert becomes(lambda: not is_running(pid))


def test_who_watches_costs_next_to_nothing(start) -> None:
    watched = start(["beat 5", "say now", "sleep 3", "say done"], limit=60)
    watched.wait_for("now")
    status = Path(f"/proc/{watched.process.pid}/status").read_text()
    ticks = [int(n) for n in Path(f"/proc/{watched.process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]]
    watched.wait_for("done")
    later = [int(n) for n in Path(f"/proc/{watched.process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]]
    resident = int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
    assert resident < 40_000, "no torch [kB]"
    assert sum(later) - sum(ticks) <= 0.05 * 3.0 * os.sysconf("SC_CLK_TCK"), "of its time"


def test_statuses_are_passed_on(start) -> None:
    assert start(["exit 3"], ["say again"], limit=1, restarts=2).end() == (3, "")


@pytest.mark.parametrize("crash", ["SIGSEGV", "SIGKILL", "SIGABRT"])
def test_a_crash_starts_again_from_the_last_checkpoint(start, crash: str) -> None:
    watched = start(
        ["beat 5", "save 10", f"signal {crash}"], ["save 20", "beat 5", "hang"], ["say done"], limit=1, restarts=3
    )
    status, errors = watched.end()
    assert status == 0 and f"error: crashed: {crash}" in errors
    assert f"restart 1 of 3, since it crashed ({crash}): from model_10.pt (10 transitions)" in errors
    assert "restart 2 of 3, since it hung: from model_20.pt (20 transitions)" in errors
    assert watched.starts() == [
        "",
        "--restarted_from model_10.pt --max_iterations 990",
        "--restarted_from model_20.pt --max_iterations 980",
    ]


def test_restarts_end(start) -> None:
    crash = ["beat 5", "signal SIGSEGV"]
    assert start(crash, limit=1).end()[0] == 128 + signal.SIGSEGV


def test_restarts_without_progress_end(start) -> None:
    crash = ["beat 5", "signal SIGSEGV"]
    watched = start(["save 10", *crash], ["save 10", *crash], ["say never"], limit=1, restarts=5)
    status, errors = watched.end()
    assert status == 128 + signal.SIGSEGV and len(watched.starts()) == 2
    assert "not started again: it crashed (SIGSEGV) twice without a new checkpoint" in errors


def test_restarts_without_a_checkpoint_end(start) -> None:
    watched = start(["signal SIGSEGV"], ["signal SIGSEGV"], ["say never"], limit=1, restarts=5)
    assert watched.end()[0] == 128 + signal.SIGSEGV and watched.starts() == ["", ""]


def test_restarts_are_counted(start) -> None:
    watched = start(*(["beat 5", f"save {n}", "hang"] for n in (1, 2, 3, 4)), limit=1, restarts=2)
    assert watched.end()[0] == HUNG and len(watched.starts()) == 3


def test_the_time_counts_over_all_restarts(start) -> None:
    watched = start(["save 10", "beat 50", "signal SIGSEGV"], ["save 20"], limit=60, max_time=100.0, restarts=5)
    assert watched.end()[0] == 0
    *_, option, seconds = watched.starts()[1].split(" --max_iterations")[0].split()
    assert option == "--max_time" and 0.0 < float(seconds.removesuffix("s")) < 99.5


def test_what_crashes_on_its_way_out_is_not_started_again(start) -> None:
    watched = start(["beat 5", "save 10", "end", "signal SIGSEGV"], ["say never"], limit=1, restarts=5)
    assert watched.end()[0] == 128 + signal.SIGSEGV and len(watched.starts()) == 1


def test_without_who_watches_nothing_is_told() -> None:
    pulse = Pulse()
    assert not pulse.attach()
    pulse.watch(1.0, None, seed=1)
    pulse.tell(checkpoint="model_1.pt")
    for _ in range(FIRST_STEPS + 1):
        pulse.beat()
    pulse.end()
