# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""A table of a training's progress."""

from __future__ import annotations

import csv
import sys
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
