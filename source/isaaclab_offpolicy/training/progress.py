# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""A table of a training's progress, and a line of it for people."""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class ProgressTable:
    """A CSV file that grows by a row at a time, and by columns, such as losses, when they come.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._columns: list[str] = []
        self._rows: list[dict[str, Any]] = []

    def append(self, row: dict[str, Any]) -> None:
        """Append a row; the file is written anew when it has columns that were not there before."""
        self._rows.append(row)
        grown = [name for name in row if name not in self._columns]
        self._columns += grown
        try:
            with self.path.open("w" if grown else "a", newline="") as file:
                writer = csv.DictWriter(file, self._columns, restval="")
                if grown:
                    writer.writeheader()
                writer.writerows(self._rows if grown else [row])
        except OSError as error:
            print(f"[WARNING] {self.path}: {error.strerror}", file=sys.stderr)


MARK = "[train]"
"""Begins the lines that tell a training's progress."""


def progress_line(
    iteration: int, steps: int, rate: float, seconds_left: float, numbers: Mapping[str, float | None]
) -> str:
    """A line for people.

    Args:
        iteration: Number of the iteration.
        steps: Transitions so far.
        rate: Transitions per second.
        seconds_left: Time until the training ends [s].
        numbers: What else there is to tell, by name; None where there is nothing yet.
    """
    hours, seconds = divmod(max(0, round(seconds_left)), 3600)
    left = f"{hours}:{seconds // 60:02}:{seconds % 60:02}" if hours else f"{seconds // 60}:{seconds % 60:02}"
    parts = [f"{MARK} {iteration}", f"{steps / 1e6:.2f} M steps", f"{rate:,.0f} steps/s", f"{left} left"]
    parts += [f"{name} {value:.3g}" for name, value in numbers.items() if value is not None]
    return "  ".join(parts)


_open = False
"""Whether a line on the terminal waits for the next one to take its place."""


def show_line(line: str) -> None:
    """Print a line in place of the one before on a terminal, and below it elsewhere."""
    global _open
    _open = sys.stdout.isatty()
    print(f"\r\033[K{line}" if _open else line, end="" if _open else "\n", flush=True)


def end_line() -> None:
    """Let the last line of :func:`show_line` stand, before something else is printed."""
    global _open
    if _open:
        print(flush=True)
    _open = False
