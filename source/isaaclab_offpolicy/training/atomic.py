# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Files that are whole or not there."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any


def write_whole(data: bytes | memoryview, path: Path) -> None:
    """Write a file beside its final name, have it reach the disk, and rename it: an earlier one survives any failure.

    Args:
        data: The contents.
        path: The file's final name.

    Raises:
        OSError: If it cannot be written, or there is no room for it.
    """
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        check_space(path.parent, len(data))
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def write_atomically(data: bytes | memoryview, path: str | Path, last: Any = None) -> bool:
    """As :func:`write_whole`; a failure, such as a full disk, is reported on standard error.

    Args:
        data: The contents.
        path: The file's final name.
        last: The last checkpoint, to be named in the warning.

    Returns:
        Whether that went well.
    """
    return succeeds(lambda: write_whole(data, Path(path)), path, last)


def succeeds(write: Callable[[], Any], path: str | Path, last: Any = None) -> bool:
    """Whether a file could be written; a failure is reported on standard error.

    Args:
        write: Writes it.
        path: The file, to be named in the warning.
        last: The last checkpoint, to be named as well.
    """
    try:
        write()
    except OSError as error:
        remains = "" if last is None else f"; the last checkpoint is {last}"
        print(f"[WARNING] {path} could not be written: {error.strerror or error}{remains}", file=sys.stderr)
        return False
    return True


def check_space(folder: Path, nbytes: int) -> None:
    """Look whether there is room before anything is written.

    Raises:
        OSError: If there is less than is needed.
    """
    free = shutil.disk_usage(folder).free
    if free < nbytes:
        raise OSError(errno.ENOSPC, f"{nbytes / 1e6:.1f} MB are needed and {free / 1e6:.1f} MB are free")


def sync_folder(folder: Path) -> None:
    """Have the names of a folder's files reach the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # file systems of a network may not know it
            raise
    finally:
        os.close(descriptor)
