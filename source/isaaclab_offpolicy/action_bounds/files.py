# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Bounds by the name of a shipped file, by path, or by number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from .bounds import ActionBounds
from .errors import BoundsError
from .plain import short

DATA_DIR = Path(__file__).resolve().parent / "data"
"""Folder of the bounds files that the package ships."""


def available_bounds() -> list[str]:
    """Names of the bounds files that the package ships."""
    return sorted(path.stem for path in DATA_DIR.glob("*.yaml"))


def resolve_bounds(spec: str | float, joint_names: Sequence[str], scale: float = 1.0) -> ActionBounds:
    """Find bounds for a robot.

    Args:
        spec: Name of a shipped file (:func:`available_bounds`), path of a bounds file, or a number X, or ``±X``.
        joint_names: The robot's joints in the order of its actions.
        scale: Factor on the bounds.

    Returns:
        The bounds in the order of ``joint_names``.

    Raises:
        BoundsError: If there is no such file, or it does not fit the robot.
    """
    number = None if str(spec).endswith("rad") else as_number(spec)
    if number is not None:
        if not (math.isfinite(number) and number > 0.0):
            raise BoundsError(f"bounds of ±{spec} are not a finite positive number")
        return ActionBounds.symmetric(joint_names, number).scaled(scale)
    bounds = find_bounds(str(spec))
    try:
        return bounds.reorder(joint_names).scaled(scale)
    except BoundsError as error:
        raise BoundsError(f"{bounds_path(str(spec))}: {error}") from error


def bounds_path(spec: str) -> Path:
    """Path of a bounds file.

    Args:
        spec: Name of a shipped file (:func:`available_bounds`), or path of a file.

    Raises:
        BoundsError: If there is none; it names the nearest shipped ones.
    """
    try:
        path = DATA_DIR / f"{spec}.yaml" if spec in available_bounds() else Path(spec).expanduser()
        found = path.is_file()
    except (OSError, RuntimeError, ValueError) as error:  # no such home, a name of hundreds of letters, a zero byte
        raise BoundsError(f"no bounds file {short(spec)}: {getattr(error, 'strerror', None) or error}") from None
    if not found:
        near = get_close_matches(spec, available_bounds(), n=3, cutoff=0.4) or available_bounds()
        raise BoundsError(f"no bounds file {short(spec)}; shipped are: {', '.join(near)}")
    return path


def find_bounds(spec: str) -> ActionBounds:
    """Bounds of a file, as it is.

    Args:
        spec: Name of a shipped file (:func:`available_bounds`), or path of a file.

    Raises:
        BoundsError: If there is no such file, or it cannot be used.
    """
    return ActionBounds.from_yaml(bounds_path(spec))


def as_number(spec: str | float) -> float | None:
    """X of X, ``±X`` or ``Xrad``; None of any other text."""
    try:
        return float(str(spec).removeprefix("±").removesuffix("rad"))
    except ValueError:
        return None
