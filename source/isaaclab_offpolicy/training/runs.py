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


def replay_path(checkpoint: str | Path) -> Path:
    """Where the replay buffer of checkpoint ``model_N`` lies: ``replay_N.json`` beside it."""
    path = Path(checkpoint)
    return path.with_name(f"replay_{path.stem.removeprefix('model_')}.json")


def replays_of(folder: Path) -> dict[Path, int]:
    """Replay buffers of a run, and their numbers; version 0.1 wrote ``replay_N.pt``."""
    matches = {path: re.fullmatch(r"replay_(\d+)\.(json|pt)", path.name) for path in folder.glob("replay_*")}
    return {path: int(match[1]) for path, match in matches.items() if match}


def find_replay(checkpoint: str | Path) -> Path | None:
    """The replay buffer of a checkpoint, or the newest of an earlier one: a full disk may have cost its own.

    The best checkpoint has none.
    """
    path = Path(checkpoint)
    match = re.fullmatch(r"model_(\d+)\.(pt|zip)", path.name)
    if match is None:
        return None
    numbers = {replay: n for replay, n in replays_of(path.parent).items() if n <= int(match[1])}
    return max(numbers, key=lambda replay: numbers[replay], default=None)


class Retention:
    """Removes a training's own older checkpoints; the best one and those of other trainings stay.

    Args:
        keep: Number of newest checkpoints to keep; None keeps all.
    """

    def __init__(self, keep: int | None) -> None:
        self.keep = keep
        self._written: list[Path] = []

    def wrote(self, checkpoint: Path) -> None:
        """Note a checkpoint that is on disk, and remove what is too old by now."""
        self._written = [*(path for path in self._written if path != checkpoint), checkpoint]
        while self.keep is not None and len(self._written) > self.keep:
            with suppress(OSError):
                self._written[0].unlink(missing_ok=True)
            del self._written[0]
