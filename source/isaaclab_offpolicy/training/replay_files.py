# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""A replay buffer on disk, of which every save adds the rows that are new.

Rows are numbered from the beginning of the training. They lie in files ``replay/rows_K.bin``, which are written once
and never changed; ``replay_N.json`` beside checkpoint ``model_N`` says which of them make up the buffer, and has their
checksums. It is written beside its name and renamed after they have reached the disk; what only earlier ones named is
removed after that. So there is a whole state at every moment, whatever happens amid a save. A buffer whose rows are all
new takes twice its size on the disk for that moment, and hardly any memory: that of one file at most.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch

from .atomic import check_space, succeeds, sync_folder, write_whole
from .runs import replay_path, replays_of
from .safe_load import load_tensors

FORMAT = 1
"""Format of the files."""

CHUNK = 2**26
"""Largest file of rows [B], if that is not less than a few rows."""

OVERLAP = 2
"""Newest rows that may still change, and are written again: one whose action is not known yet, and the one before,
whose episode may be cut off."""

LARGEST_INDEX = 2**24
"""Largest ``replay_N.json`` that is read [B]: of a hundred thousand files."""


class Ring(Protocol):
    """What is needed of a replay buffer: row i lies in place i modulo R."""

    @property
    def written(self) -> int:
        """Rows written so far, of which the newest R are there."""
        ...

    def columns(self) -> dict[str, torch.Tensor]:
        """All that is stored, shapes [R, ...]; what is written into them is stored."""
        ...

    def resume(self, rows: int) -> None:
        """Go on with the first rows of the columns as all that was written."""
        ...


class Chunk(NamedTuple):
    """A file of rows: those of the first column, then those of the next one, and so on."""

    number: int
    """K of ``rows_K.bin``."""

    first: int
    """Its first row."""

    rows: int
    """Number of rows."""

    sha256: str
    """Checksum of the file."""

    @property
    def end(self) -> int:
        """The row after the last one."""
        return self.first + self.rows

    def path(self, run_dir: Path) -> Path:
        """The file."""
        return run_dir / "replay" / f"rows_{self.number}.bin"


class ReplayFiles:
    """The replay buffer of a run on disk.

    Args:
        run_dir: The run's folder.
        limit: Largest buffer that is written [GB].
        option: Name of the option that sets it.
    """

    def __init__(self, run_dir: Path, limit: float, option: str) -> None:
        self.run_dir, self.limit, self.option = run_dir, limit, option
        self._chunks: list[Chunk] = []
        self._told = False

    def forget(self) -> None:
        """Write all rows anew at the next save: those of the buffer are others now."""
        self._chunks = []

    def save(self, ring: Ring, checkpoint: Path) -> bool:
        """Write the rows that are new, and remove those that are too old.

        Args:
            ring: The replay buffer.
            checkpoint: The checkpoint, ``model_N``.

        Returns:
            Whether that went well; a failure is reported, and the files of the last save stay.
        """
        if ring.written < OVERLAP:
            return False
        columns, index = ring.columns(), replay_path(checkpoint)
        gigabytes = sum(tensor.nbytes for tensor in columns.values()) / 1e9
        if gigabytes > self.limit:
            if not self._told:
                print(
                    f"[INFO] The replay buffer is not saved: its {gigabytes:.3g} GB are more than {self.limit:g};"
                    f" {self.option}={math.ceil(10 * gigabytes) / 10:g} saves it"
                )
            self._told = True
            return False
        if not succeeds(lambda: self._save(columns, ring.written, index), index, checkpoint):
            return False
        # only now that the new state is whole
        with suppress(OSError):
            for path in replays_of(self.run_dir):
                if path != index:
                    path.unlink()
            kept = {chunk.path(self.run_dir) for chunk in self._chunks}
            _remove(path for path in _row_files(self.run_dir / "replay") if path not in kept)
        return True

    def _save(self, columns: dict[str, torch.Tensor], end: int, index: Path) -> None:
        """Write new rows and the index.

        Raises:
            OSError: If one of them cannot be written.
        """
        rows = len(next(iter(columns.values())))
        oldest = max(0, end - rows)
        start = max(oldest, self._chunks[-1].end - OVERLAP) if self._chunks else oldest
        chunks = [chunk for chunk in self._chunks if chunk.first < start and chunk.end > oldest]
        folder, most, new = self.run_dir / "replay", _most_rows(columns), []
        try:
            folder.mkdir(exist_ok=True)
            check_space(folder, (end - start) * _row_bytes(columns))
            number = 1 + max((int(path.stem[5:]) for path in _row_files(folder)), default=-1)
            for first in range(start, end, most):
                chunk = Chunk(number + len(new), first, min(most, end - first), "")
                new.append(chunk.path(self.run_dir))
                chunks.append(chunk._replace(sha256=_write(columns, chunk, new[-1])))
            sync_folder(folder)
            layout = [[name, *_layout(tensor)] for name, tensor in columns.items()]
            contents = {"format": FORMAT, "first": oldest, "end": end, "columns": layout, "chunks": chunks}
            write_whole(json.dumps({**contents, "sha256": _digest(contents)}).encode(), index)
        except OSError:
            # the index may be there all the same: then what it names must stay
            if not index.exists():
                _remove(new)
            raise
        self._chunks = chunks


def load_replay(index: Path, ring: Ring) -> None:
    """Fill a replay buffer with the newest rows on disk, as many as it holds.

    After an error its rows are undefined.

    Args:
        index: ``replay_N.json``, or ``replay_N.pt`` of version 0.1.
        ring: The replay buffer.

    Raises:
        ValueError: With one line that says what is wrong.
    """
    columns = ring.columns()
    try:
        if index.suffix == ".pt":
            rows = _fill_from_legacy(load_tensors(index), columns)
        else:
            rows = _fill(index.parent, _read_index(index), columns)
    except ValueError:
        raise
    except Exception as error:  # a broken file makes json and torch raise nearly anything
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ValueError(reason.splitlines()[0]) from None
    ring.resume(rows)


def _read_index(path: Path) -> dict[str, Any]:
    if not path.is_file() or path.stat().st_size > LARGEST_INDEX:
        raise ValueError("not a replay buffer")
    try:
        contents = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise ValueError("cut short or damaged") from None
    if not isinstance(contents, dict) or not {"format", "first", "end", "columns", "chunks"} <= set(contents):
        raise ValueError("not a replay buffer")
    if type(version := contents["format"]) is int and version > FORMAT:
        raise ValueError(f"its format {version} is newer than this package's, {FORMAT}")
    if version != FORMAT or contents.pop("sha256", None) != _digest(contents):
        raise ValueError("its checksum is not that of its contents: it was changed or damaged")
    return contents


def _fill(run_dir: Path, contents: dict[str, Any], columns: dict[str, torch.Tensor]) -> int:
    """Put the newest rows into the first places; gives their number."""
    _check_layout({name: (dtype, dims) for name, dtype, dims in contents["columns"]}, columns)
    chunks, end = [Chunk(*entry) for entry in contents["chunks"]], contents["end"]
    numbers = [contents["first"], end, *(number for chunk in chunks for number in chunk[:3])]
    if not chunks or any(type(number) is not int or number < 0 for number in numbers):
        raise ValueError("not a replay buffer")
    rows = min(end - contents["first"], len(next(iter(columns.values()))))
    oldest, most = end - rows, _most_rows(columns)
    stops = [*(chunk.first for chunk in chunks[1:]), end]
    whole = rows > 0 and chunks[0].first <= oldest and chunks[-1].end == end
    for chunk, stop in zip(chunks, stops, strict=True):
        if not (whole and chunk.first < stop and 0 <= chunk.end - stop <= OVERLAP and chunk.rows <= most):
            raise ValueError("rows are missing, or there are too many")
        if stop <= oldest:
            continue
        data = _read(chunk, run_dir, _row_bytes(columns))
        first, offset = max(chunk.first, oldest), 0
        for tensor in columns.values():
            size = tensor[0].nbytes
            part = data[offset + (first - chunk.first) * size : offset + (stop - chunk.first) * size]
            values = torch.frombuffer(part, dtype=tensor.dtype).view(-1, *tensor.shape[1:]) if part else tensor[:0]
            tensor[first - oldest : first - oldest + len(values)].copy_(values)
            offset += chunk.rows * size
    return rows


def _fill_from_legacy(state: dict[str, Any], columns: dict[str, torch.Tensor]) -> int:
    """As :func:`_fill`, with what version 0.1 wrote."""
    saved = dict(state["columns"])
    for group, tensors in state["obs"].items():
        saved |= {f"{group}.{name}": tensor for name, tensor in tensors.items()}
    _check_layout({name: _layout(tensor) for name, tensor in saved.items()}, columns)
    rows = min(len(saved["reward"]), len(columns["reward"]))
    for name, tensor in columns.items():
        tensor[:rows].copy_(saved[name][-rows:])
    return rows


def _check_layout(saved: dict[str, Any], columns: dict[str, torch.Tensor]) -> None:
    """Refuse a buffer of other columns.

    Raises:
        ValueError: If it is of another number of environments, observations or joints, or of another format.
    """
    ours = {name: _layout(tensor) for name, tensor in columns.items()}
    counts = [layout[1][0] for layout in (next(iter(saved.values())), next(iter(ours.values())))]
    if counts[0] != counts[1]:
        raise ValueError(f"the replay buffer is of {counts[0]} environments, not {counts[1]}")
    for name in {**ours, **saved}:
        mine, theirs = ("{} {}".format(*layouts[name]) if name in layouts else "nothing" for layouts in (ours, saved))
        if mine != theirs:
            raise ValueError(f"the replay buffer's '{name}' is {theirs} where {mine} is needed")


def _layout(tensor: torch.Tensor) -> tuple[str, list[int]]:
    """Kind and shape of a row."""
    return str(tensor.dtype).removeprefix("torch."), list(tensor.shape[1:])


def _row_bytes(columns: dict[str, torch.Tensor]) -> int:
    return sum(tensor[0].nbytes for tensor in columns.values())


def _most_rows(columns: dict[str, torch.Tensor]) -> int:
    """Rows of the largest file."""
    return max(2 * OVERLAP, CHUNK // _row_bytes(columns))


def _row_files(folder: Path) -> list[Path]:
    return [path for path in folder.glob("rows_*.bin") if re.fullmatch(r"rows_\d+", path.stem)]


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _digest(contents: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(contents, sort_keys=True).encode()).hexdigest()


def _write(columns: dict[str, torch.Tensor], chunk: Chunk, path: Path) -> str:
    """Write a file of rows, and have it reach the disk; gives its checksum."""
    sha256 = hashlib.sha256()
    with path.open("xb") as file:
        for tensor in columns.values():
            for part in _parts(tensor, chunk):
                data: Any = part.cpu().reshape(-1).view(torch.uint8).numpy()
                file.write(data)
                sha256.update(data)
        file.flush()
        os.fsync(file.fileno())
    return sha256.hexdigest()


def _parts(ring: torch.Tensor, chunk: Chunk) -> Iterator[torch.Tensor]:
    """Rows of a ring in one or two pieces."""
    first = chunk.first % len(ring)
    before = min(chunk.rows, len(ring) - first)
    yield ring[first : first + before]
    yield ring[: chunk.rows - before]


def _read(chunk: Chunk, run_dir: Path, row_bytes: int) -> bytearray:
    """Contents of a file of rows.

    Raises:
        ValueError: If it is not there, or not what was written.
    """
    path = chunk.path(run_dir)
    if not path.is_file() or path.stat().st_size != chunk.rows * row_bytes:
        raise ValueError(f"its replay/{path.name} is missing or cut short")
    data = bytearray(chunk.rows * row_bytes)
    with path.open("rb") as file:
        file.readinto(data)
    if hashlib.sha256(data).hexdigest() != chunk.sha256:
        raise ValueError(f"the checksum of its replay/{path.name} is another: it was changed or damaged")
    return data
