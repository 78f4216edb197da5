# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Checkpoints as files of torch: tensors and plain values with a checksum, read without running what is in them."""

from __future__ import annotations

import hashlib
import io
import math
import os
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import torch

from isaaclab_offpolicy.errors import ConfigError

FORMAT = 2
"""Format of a checkpoint; version 0.1 of this package and rsl_rl write none, and no checksum."""

PLAIN = (str, int, float, bool, type(None), bytes, torch.Size, torch.dtype)
"""What a checkpoint may hold beside tensors, dictionaries, lists and tuples."""

MOST_ENTRIES, DEEPEST = 100_000, 32
"""More entries, or deeper ones, than any checkpoint has: a few lines of a pickle can stand for any number of them."""


def checkpoint_bytes(contents: Mapping[str, Any]) -> memoryview:
    """A checkpoint's file, with its format and a checksum over all that it holds.

    Raises:
        ValueError: If something is neither a tensor nor a plain value.
    """
    contents = {**contents, "format": FORMAT}
    buffer = io.BytesIO()
    torch.save({**contents, "sha256": _Contents(math.inf).digest(contents)}, buffer)
    return buffer.getbuffer()


def read_checkpoint_tensors(path: str | Path, device: str = "cpu") -> dict[str, Any]:
    """Read a checkpoint, of this package or of rsl_rl.

    Raises:
        ConfigError: If the file cannot be read, would call something, is not what was written, or holds a weight that
            is not finite.
    """
    try:
        contents = load_tensors(path, device)
        if not isinstance(contents, dict):
            raise ValueError("it holds no dictionary")
        check_contents(contents, os.path.getsize(path))
    except Exception as error:  # a broken file makes torch raise nearly anything
        raise ConfigError(f"{path} is not a checkpoint: {_reason(error)}") from None
    return contents


def check_contents(contents: Mapping[str, Any], nbytes: int) -> None:
    """Refuse contents that are not those that were written, if they have a checksum, and weights that are not finite.

    Args:
        contents: What a file holds.
        nbytes: Size of the file.

    Raises:
        ValueError: With one line that says what is wrong.
    """
    # tensors may share what is stored
    digest = _Contents(4 * nbytes + 2**26).digest({key: item for key, item in contents.items() if key != "sha256"})
    if not {"format", "sha256"} & set(contents):
        return
    version = contents.get("format")
    if isinstance(version, int) and version > FORMAT:
        raise ValueError(f"its format {version} is newer than this package's, {FORMAT}")
    if version != FORMAT or contents.get("sha256") != digest:
        raise ValueError("its checksum is not that of its contents: it was changed or damaged")


def load_tensors(file: str | Path | IO[bytes], device: str = "cpu") -> Any:
    """Read tensors and plain values; a file that names anything else is refused.

    Args:
        file: What :func:`torch.save` has written.
        device: Device of the tensors.

    Raises:
        ValueError: If the file cannot be read, or would call something; with one line that says why.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            check_archive(archive)
            if any(name.endswith("/constants.pkl") for name in archive.namelist()):
                raise ValueError("it is an exported TorchScript policy")
            # torch itself does not look at the checksums of a zip file
            if (damaged := archive.testzip()) is not None:
                raise ValueError(f"its {damaged} is damaged")
        if not isinstance(file, (str, Path)):
            file.seek(0)
        return torch.load(file, weights_only=True, map_location=device)
    except Exception as error:  # a broken file makes torch raise nearly anything
        raise ValueError(_reason(error)) from None


def check_archive(archive: zipfile.ZipFile) -> None:
    """Refuse a zip file that would unpack to more than it is: the members of a checkpoint are not compressed.

    Raises:
        ValueError: If it would, or has members of the same name.
    """
    members = archive.infolist()
    if len({info.filename for info in members}) < len(members):
        raise ValueError("members of the same name")
    assert archive.fp is not None
    if sum(info.file_size for info in members) > archive.fp.seek(0, os.SEEK_END):
        raise ValueError("it would unpack to more than it is")


class _Contents:
    """Goes through what a checkpoint holds, and makes a checksum of it.

    Args:
        most: Bytes that the tensors may stand for.
    """

    def __init__(self, most: float) -> None:
        self._sha256 = hashlib.sha256()
        self._entries, self._bytes = MOST_ENTRIES, most

    def digest(self, contents: Mapping[str, Any]) -> str:
        """The checksum: of names, kinds, shapes and bytes, whatever the file is like.

        Raises:
            ValueError: If something is neither a tensor nor a plain value, is not finite, or is far too much.
        """
        for key, item in contents.items():
            self._add(item, str(key), 0)
        return self._sha256.hexdigest()

    def _add(self, value: Any, name: str, depth: int) -> None:
        self._entries -= 1
        if self._entries < 0 or depth > DEEPEST:
            raise ValueError("it holds more entries, or deeper ones, than any checkpoint")
        if isinstance(value, torch.Tensor):
            self._add_tensor(value, name)
        elif isinstance(value, (Mapping, list, tuple)):
            kind = "mapping" if isinstance(value, Mapping) else type(value).__name__
            self._sha256.update(f"{name}: {kind} of {len(value)}\n".encode())
            for key, item in value.items() if isinstance(value, Mapping) else enumerate(value):
                if type(key) not in PLAIN:
                    raise ValueError(f"its {name} has a key that is no plain value: {type(key).__name__}")
                self._add(item, f"{name}[{key!r}]", depth + 1)
        elif type(value) in PLAIN:
            self._sha256.update(f"{name}: {value!r}\n".encode(errors="surrogatepass"))
        else:
            raise ValueError(f"its {name} is neither a tensor nor a plain value: {type(value).__name__}")

    def _add_tensor(self, tensor: torch.Tensor, name: str) -> None:
        self._bytes -= tensor.nbytes if tensor.layout == torch.strided else math.inf
        if self._bytes < 0 or tensor.is_meta or tensor.is_quantized:
            raise ValueError(f"its {name} of shape {list(tensor.shape)} stands for numbers that are not there")
        tensor = tensor.detach().cpu().contiguous()
        if "state_dict" in name and tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise ValueError(f"its {name} is not finite")
        self._sha256.update(f"{name}: {tensor.dtype} {list(tensor.shape)}\n".encode())
        self._sha256.update(tensor.reshape(-1).view(torch.uint8).numpy())  # type: ignore[arg-type]


def _reason(error: Exception) -> str:
    """The reason not to read a file in one line, without torch's advice on how to read it all the same."""
    text = getattr(error, "strerror", None) or str(error)
    if named := re.search(r"GLOBAL ([\w.]+)", text):
        return f"it would call {named[1]}; only tensors and plain values are read"
    # torch puts its advice first
    text = text.rpartition("WeightsUnpickler error:")[2].partition(" (Could this error")[0]
    lines = [line.strip() for line in text.splitlines() if line.strip() and "weights_only" not in line]
    return lines[0] if lines else f"{type(error).__name__} while reading"
