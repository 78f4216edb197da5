# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Plain data out of YAML that anyone may have written."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import yaml

from .errors import BoundsError

LARGEST = 1.0e30
"""Larger numbers overflow in single precision, in which policies compute; widths below its inverse vanish there."""

MAX_ITEMS = 10_000
"""Values in a file's ``info``: aliases of YAML let a small file stand for a huge one."""


def short(value: Any) -> str:
    """A value for an error message, whatever its length."""
    try:
        # not all of it is looked at: aliases of YAML make huge ones of a few lines
        text = _SHORT.repr(value)
    except ValueError:  # an integer of thousands of digits
        text = type(value).__name__
    return text if len(text) <= 60 else f"{text[:57]}..."


_SHORT = reprlib.Repr(maxlevel=2, maxdict=3, maxlist=3, maxtuple=3, maxset=3, maxstring=50, maxlong=50, maxother=50)


def parse_yaml(text: str) -> Any:
    """What a text in YAML says.

    Raises:
        BoundsError: If it is none.
    """
    try:
        return yaml.load(text, Loader=_UniqueKeyLoader)
    except BoundsError:
        raise
    except RecursionError as error:
        raise BoundsError("nested too deeply") from error
    except Exception as error:
        # yaml.YAMLError, and whatever else PyYAML's constructors raise at a scalar that is not of its tag
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BoundsError(f"not valid YAML: {reason if len(reason) <= 300 else f'{reason[:297]}...'}") from error


class PlainData:
    """Turns what a YAML file holds into plain data that a checkpoint can hold."""

    def __init__(self) -> None:
        self._items = 0

    def convert(self, value: Any, entry: str, depth: int = 0) -> Any:
        """A value as plain data; ``entry`` is its place in the file, for messages."""
        self._items += 1
        if depth > 10 or self._items > MAX_ITEMS:
            raise BoundsError(f"'{entry}' holds too much")
        if isinstance(value, dict):
            return {
                str(self.convert(key, entry, depth + 1)): self.convert(item, entry, depth + 1)
                for key, item in value.items()
            }
        if isinstance(value, (list, tuple, set)):
            return [self.convert(item, entry, depth + 1) for item in value]
        if isinstance(value, bytes):
            raise BoundsError(f"'{entry}' holds binary data")
        if isinstance(value, int) and abs(value) > LARGEST:
            raise BoundsError(f"'{entry}' holds a number that is too large")
        if value is None or isinstance(value, (bool, int, float)):
            return value
        text = str(value)  # of a date, too
        try:
            text.encode()
        except UnicodeEncodeError:
            raise BoundsError(f"'{entry}' holds text that is none: {short(text)}") from None
        return text


class _UniqueKeyLoader(yaml.SafeLoader):
    """Safe YAML that refuses a key given twice, where YAML itself would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        if not isinstance(node, yaml.MappingNode):
            return super().construct_mapping(node, deep)  # says so
        keys = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)  # type: ignore[no-untyped-call]
            if not isinstance(key, Hashable):
                raise BoundsError(f"line {key_node.start_mark.line + 1}: {short(key)} cannot be a name")
            if key in keys:
                raise BoundsError(f"{short(key)} is given twice (line {key_node.start_mark.line + 1})")
            keys.add(key)
        return super().construct_mapping(node, deep)


def number(what: str, value: Any) -> float:
    """A value as a number; ``what`` says of what, for messages."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise BoundsError(f"{what}: {short(value)} is not a number")
    try:
        return float(value)
    except OverflowError:
        raise BoundsError(f"{what}: {short(value)} is too large") from None


def word(what: str, value: Any) -> str:
    """A value as a short text of one line; ``what`` says of what, for messages."""
    if not isinstance(value, str) or not value.isprintable() or len(value) > 60:
        raise BoundsError(f"{what}: {short(value)} is not a short text")
    return value


def per_joint(
    key: str, value: Any, names: Sequence[str], convert: Callable[[str, Any], Any] = number
) -> tuple[Any, ...] | None:
    """A value for each joint out of one or a mapping, in which null is for a joint of which it is not known."""
    if value is None:
        return None
    if not isinstance(value, dict):
        return (convert(f"'{key}'", value),) * len(names)
    for joint in value:
        if joint not in names:
            raise BoundsError(f"'{key}' names joint {short(joint)}, which has no bounds")
    for joint in names:
        if joint not in value:
            raise BoundsError(f"'{key}' lacks joint '{joint}'")
    return tuple(
        None if value[joint] is None else convert(f"'{key}' of joint '{joint}'", value[joint]) for joint in names
    )
