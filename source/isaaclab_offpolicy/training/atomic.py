# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Files that are whole or not there."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO


def write_atomically(write: Callable[[BinaryIO], Any], path: str | Path, last: Any = None) -> bool:
    """Write a file beside its final name, have it reach the disk, and rename it: an earlier one survives any failure.

    Args:
        write: Writes the contents into an open file.
        path: The file's final name.
        last: The last checkpoint, to be named in the warning.

    Returns:
        Whether that went well; a failure, such as a full disk, is reported on standard error.
    """
    temporary = Path(f"{path}.tmp")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:
        # torch reports a full disk as a RuntimeError of its writer
        temporary.unlink(missing_ok=True)
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        print(f"[WARNING] {path} could not be written: {reason}; the last checkpoint is {last}", file=sys.stderr)
        return False
    return True
