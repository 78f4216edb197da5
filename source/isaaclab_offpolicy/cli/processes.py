# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Commands in processes of their own."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Event

from isaaclab_offpolicy.errors import UserError
from isaaclab_offpolicy.training.progress import end_line, show_line

PATIENCE = 60.0
"""Time that a process has to end after a termination signal [s]."""

SHOW_EVERY = 3.0
"""Time between two lines that are shown [s]."""


def run_logged(
    command: str,
    arguments: Sequence[str],
    log: Path,
    cwd: Path | None = None,
    stop: Event | None = None,
    show: str | None = None,
) -> None:
    """Run one of the commands in a process of its own.

    Args:
        command: One of :data:`.main.COMMANDS`.
        arguments: Its command line.
        log: File that takes its output.
        cwd: Folder to run it in.
        stop: Once it is set, the process gets a termination signal, and is killed if it does not end in
            :data:`PATIENCE`.
        show: What lines begin with that are shown as they come, the last one every :data:`SHOW_EVERY`.

    Raises:
        UserError: If it fails, with the error it printed, or else its last line.
        subprocess.TimeoutExpired: If it had to be killed.
    """
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "isaaclab_offpolicy", command, *arguments],
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
        stop, shown, following = stop or Event(), 0.0, log.open(errors="replace")
        try:
            while process.poll() is None:
                if stop.wait(0.5):
                    process.terminate()
                    break
                if show is not None and time.monotonic() - shown >= SHOW_EVERY:
                    lines = [line for line in following.read().splitlines() if line.startswith(show)]
                    if lines:
                        show_line(lines[-1])
                        shown = time.monotonic()
            code = process.wait(PATIENCE)
        except BaseException:
            process.kill()
            process.wait()
            raise
        finally:
            following.close()
            end_line()
    if code:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        # other packages may print after the error, or not, on the way out
        reason = next((line for line in reversed(lines) if line.startswith("error: ")), (lines or [""])[-1])
        raise UserError(f"{command} failed with status {code}: {reason.removeprefix('error: ')} (log: {log})")
