# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Folders of runs, and names of the files in them."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from isaaclab_offpolicy.errors import ConfigError

MANIFEST = "run.json"
"""What Isaac Lab writes of a run when it begins."""


class CheckpointNames(NamedTuple):
    """Names of a library's checkpoints."""

    suffix: str
    """``pt`` or ``zip``."""

    @property
    def best(self) -> str:
        """The checkpoint with the highest mean return."""
        return f"best.{self.suffix}"

    def number(self, path: Path) -> int | None:
        """N of ``model_N``; None for another file."""
        match = re.fullmatch(rf"model_(\d+)\.{self.suffix}", path.name)
        return int(match[1]) if match else None

    def numbered(self, folder: Path) -> list[Path]:
        """Checkpoints of a run, oldest first."""
        found = {path: self.number(path) for path in folder.glob(f"model_*.{self.suffix}")}
        return sorted((path for path, number in found.items() if number is not None), key=lambda path: found[path] or 0)


CHECKPOINTS_OF = {"rsl_rl": CheckpointNames("pt"), "sbx": CheckpointNames("zip")}
"""By the folder of the runs below ``logs``."""

REPLAYS = {"pt": "pt", "zip": "npz"}
"""Suffixes of replay buffers by those of checkpoints."""

MIN_EPISODES = 50
"""Episodes whose mean return is needed before a checkpoint may be called the best."""


def new_run(root: Path, run_name: str = "") -> tuple[Path, str]:
    """Make the folder of a new run, which no other training has.

    Isaac Lab names it by the second, so that runs that begin together would write into one.

    Args:
        root: Folder of the experiment's runs.
        run_name: What Isaac Lab appends to the name.

    Returns:
        The folder, and the time in its name, for Isaac Lab's ``--run_timestamp``.

    Raises:
        ConfigError: If it cannot be made.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        while True:
            stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
            folder = root / (f"{stamp}_{run_name}" if run_name else stamp)
            try:
                folder.mkdir()
                return folder, stamp
            except FileExistsError:
                time.sleep(0.1)
    except OSError as error:
        raise ConfigError(f"{root} could not be written: {error.strerror}") from None


def replay_path(checkpoint: str | Path) -> Path | None:
    """Where the replay buffer of a checkpoint lies: ``replay_N`` beside ``model_N``; the best one has none."""
    path = Path(checkpoint)
    match = re.fullmatch(r"model_(\d+)\.(pt|zip)", path.name)
    return path.with_name(f"replay_{match[1]}.{REPLAYS[match[2]]}") if match else None


def replays_of(folder: Path, suffix: str) -> dict[Path, int]:
    """Replay buffers of a run, and their numbers."""
    matches = {path: re.fullmatch(rf"replay_(\d+)\.{suffix}", path.name) for path in folder.glob(f"replay_*.{suffix}")}
    return {path: int(match[1]) for path, match in matches.items() if match}


def find_replay(checkpoint: str | Path) -> Path | None:
    """The replay buffer of a checkpoint, or the newest of an earlier one: a full disk may have cost its own."""
    own = replay_path(checkpoint)
    if own is None:
        return None
    last = int(own.stem.removeprefix("replay_"))
    numbers = {path: n for path, n in replays_of(own.parent, own.suffix[1:]).items() if n <= last}
    return max(numbers, key=lambda path: numbers[path], default=None)


def remove_older_replays(newest: Path) -> None:
    """Remove all replay buffers of a run but the newest."""
    for path in replays_of(newest.parent, newest.suffix[1:]):
        if path != newest:
            with suppress(OSError):
                path.unlink()
