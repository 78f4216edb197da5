# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""A table of a training's progress, and a line of it for people."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from .atomic import succeeds, write_whole


class ProgressTable:
    """A CSV file that grows by a row at a time, and by columns, such as losses, when they come.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._columns: list[str] = []
        self._rows: list[dict[str, Any]] = []
        self._whole = False

    def append(self, row: dict[str, Any]) -> None:
        """Append a row.

        The file is written anew when it has columns that were not there before, or could not be written before.
        """
        self._rows.append(row)
        grown = [name for name in row if name not in self._columns]
        self._columns += grown
        anew = bool(grown) or not self._whole
        text = StringIO(newline="")
        writer = csv.DictWriter(text, self._columns, restval="")
        if anew:
            writer.writeheader()
        writer.writerows(self._rows if anew else [row])
        data = text.getvalue().encode()
        write = write_whole if anew else _append
        self._whole = succeeds(lambda: write(data, self.path), self.path)


def _append(data: bytes, path: Path) -> None:
    with path.open("ab") as file:
        file.write(data)


class Unfailing:
    """Passes calls on to a writer; what the disk refuses is reported once, and the training goes on.

    Args:
        writer: The writer; None where it could not even be made.
        what: What it writes, for the warning.
    """

    def __init__(self, writer: Any, what: str) -> None:
        self._writer, self._what = writer, what
        self._told = False

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._writer, name, None) if self._writer is None else getattr(self._writer, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return None if value is None else value(*args, **kwargs)
            except OSError as error:
                if not self._told:
                    self._told = True  # before the warning, which may fail for the same reason
                    print(f"[WARNING] {self._what} could not be written: {error.strerror or error}", file=sys.stderr)

        return call if value is None or callable(value) else value


@contextmanager
def unfailing_output() -> Iterator[None]:
    """Let the training go on where what it prints cannot be written, as into a file on a full disk."""
    with (
        redirect_stdout(Unfailing(sys.stdout, "the output")),  # type: ignore[type-var]
        redirect_stderr(Unfailing(sys.stderr, "the error output")),  # type: ignore[type-var]
    ):
        yield


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
