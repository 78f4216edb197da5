# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""The box of actions that a policy may command, with the names of its joints.

Bounds are in policy units: what the environment's action term multiplies by its scale and adds to the default pose.
They belong to the policy, not to the environment: they are stored in its checkpoints and exports.
"""

from __future__ import annotations

import math
import os
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

DATA_DIR = Path(__file__).resolve().parent / "data"
"""Folder of the bounds files that the package ships."""


class BoundsError(ValueError):
    """Bounds that cannot be used. The message names the file, where there is one, and the joint."""


@dataclass(frozen=True)
class ActionBounds:
    """Lower and upper action of every joint.

    Args:
        joint_names: Names of the A joints, in the order of ``low`` and ``high``.
        low: Smallest action of each joint [policy units], length A.
        high: Largest action of each joint [policy units], length A; greater than ``low``.
        source: Where the numbers come from.
        info: What else is known of them, such as percentiles and number of samples: plain data.

    Raises:
        BoundsError: If a joint is named twice, the lengths differ, a number is not finite, or low ≥ high.
    """

    joint_names: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    source: str = ""
    info: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if not self.joint_names:
            raise BoundsError("no joints")
        for name, values in (("low", self.low), ("high", self.high)):
            if len(values) != len(self.joint_names):
                raise BoundsError(f"{len(values)} values of '{name}' for {len(self.joint_names)} joints")
        seen: set[str] = set()
        for joint, low, high in zip(self.joint_names, self.low, self.high, strict=True):
            if joint in seen:
                raise BoundsError(f"joint '{joint}' is given twice")
            seen.add(joint)
            if not (math.isfinite(low) and math.isfinite(high)):
                raise BoundsError(f"joint '{joint}': [{low}, {high}] is not finite")
            if low >= high:
                raise BoundsError(f"joint '{joint}': low {low} is not below high {high}")

    @classmethod
    def symmetric(cls, joint_names: Sequence[str], limit: float) -> ActionBounds:
        """The same box ``[-limit, limit]`` [policy units] for every joint."""
        n = len(joint_names)
        return cls(tuple(joint_names), (-float(limit),) * n, (float(limit),) * n, f"±{limit:g}")

    @classmethod
    def from_joint_limits(
        cls,
        joint_names: Sequence[str],
        limits: Sequence[tuple[float, float]],
        default: Sequence[float],
        scale: Sequence[float],
    ) -> ActionBounds:
        """Bounds with which a joint's target stays within its limits.

        They are (limit - default pose) / action scale, joint by joint, and so in general not symmetric. Source: the
        recipe of RSL-RL-SAC (arXiv:2605.24975).

        Args:
            joint_names: Names of the A joints.
            limits: Lower and upper position limit of each joint [rad].
            default: Position of each joint at action zero [rad].
            scale: Position per unit of action [rad].

        Raises:
            BoundsError: If a joint has no limits, or its scale is not positive.
        """
        low, high = [], []
        for name, (lower, upper), middle, factor in zip(joint_names, limits, default, scale, strict=True):
            if not (math.isfinite(lower) and math.isfinite(upper)):
                raise BoundsError(f"joint '{name}' has no position limits; give bounds as ±X or as a file")
            if not factor > 0.0:
                raise BoundsError(f"joint '{name}': action scale {factor} is not positive")
            low.append((lower - middle) / factor)
            high.append((upper - middle) / factor)
        return cls(tuple(joint_names), tuple(low), tuple(high), "joint limits")

    @classmethod
    def from_yaml(cls, path: str | os.PathLike) -> ActionBounds:
        """Read a bounds file.

        The file holds ``joints``, a mapping from joint name to ``[low, high]``, and optionally ``source`` and ``info``;
        its order is free, since joints are matched by name.

        Raises:
            BoundsError: If the file cannot be read or what it says cannot be used.
        """
        path = Path(path)
        try:
            data = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)
            return cls.from_dict(data)
        except OSError as error:
            raise BoundsError(f"{path}: cannot be read: {error.strerror or error}") from error
        except UnicodeDecodeError as error:
            raise BoundsError(f"{path}: not a text file in UTF-8") from error
        except yaml.YAMLError as error:
            raise BoundsError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
        except BoundsError as error:
            raise BoundsError(f"{path}: {error}") from error

    @classmethod
    def from_dict(cls, data: Any) -> ActionBounds:
        """The inverse of :meth:`to_dict`.

        Raises:
            BoundsError: If the data does not have that form.
        """
        if not isinstance(data, dict) or not isinstance(data.get("joints"), dict):
            raise BoundsError("expected a mapping 'joints' of joint names to [low, high]")
        names, low, high = [], [], []
        for joint, pair in data["joints"].items():
            if not isinstance(joint, str):
                raise BoundsError(f"joint name {joint!r} is not text")
            numbers = pair if isinstance(pair, (list, tuple)) else [pair]
            if len(numbers) != 2:
                raise BoundsError(f"joint '{joint}': expected [low, high], got {pair!r}")
            for number in numbers:
                if isinstance(number, bool) or not isinstance(number, (int, float)):
                    raise BoundsError(f"joint '{joint}': {number!r} is not a number")
            names.append(joint)
            try:
                low.append(float(numbers[0]))
                high.append(float(numbers[1]))
            except OverflowError:
                raise BoundsError(f"joint '{joint}': {pair!r} is too large") from None
        info = data.get("info") or {}
        if not isinstance(info, dict):
            raise BoundsError(f"'info' is a mapping, not {info!r}")
        return cls(tuple(names), tuple(low), tuple(high), str(data.get("source") or ""), info)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for YAML and checkpoints: ``{"source": …, "joints": {name: [low, high]}, "info": …}``."""
        pairs = zip(self.joint_names, self.low, self.high, strict=True)
        data: dict[str, Any] = {"source": self.source, "joints": {name: [low, high] for name, low, high in pairs}}
        return data | ({"info": dict(self.info)} if self.info else {})

    def to_yaml(self, path: str | os.PathLike) -> None:
        """Write a bounds file that :meth:`from_yaml` reads."""
        text = yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True, default_flow_style=None, width=120)
        Path(path).write_text(text, encoding="utf-8")

    def reorder(self, joint_names: Sequence[str]) -> ActionBounds:
        """The same bounds in another order of joints.

        Args:
            joint_names: The wanted order; exactly these joints must be bounded.

        Raises:
            BoundsError: If a joint is missing here, or bounded here but not wanted.
        """
        missing = [name for name in joint_names if name not in self.joint_names]
        extra = [name for name in self.joint_names if name not in joint_names]
        if missing or extra:
            parts = [f"joint '{name}' of the robot has no bounds" for name in missing]
            parts += [f"joint '{name}' is not a joint of the robot" for name in extra]
            raise BoundsError("; ".join(parts))
        index = [self.joint_names.index(name) for name in joint_names]
        return replace(
            self,
            joint_names=tuple(joint_names),
            low=tuple(self.low[i] for i in index),
            high=tuple(self.high[i] for i in index),
        )

    def scaled(self, factor: float) -> ActionBounds:
        """The bounds multiplied by a factor, as the published recipe does on rough terrain (×1.25)."""
        if factor == 1.0:
            return self
        return replace(
            self,
            low=tuple(factor * x for x in self.low),
            high=tuple(factor * x for x in self.high),
            source=f"{self.source} × {factor:g}".strip(),
        )


JOINT_LIMITS = "joint-limits"
"""What to give in place of a file's name for bounds from the robot's own joint limits."""


def available_bounds() -> list[str]:
    """Names of the bounds files that the package ships."""
    return sorted(path.stem for path in DATA_DIR.glob("*.yaml"))


def resolve_bounds(spec: str | float, joint_names: Sequence[str], scale: float = 1.0) -> ActionBounds:
    """Find bounds for a robot.

    Args:
        spec: Name of a shipped file (:func:`available_bounds`), path of a bounds file, or a number X for ±X.
        joint_names: The robot's joints in the order of its actions.
        scale: Factor on the bounds.

    Returns:
        The bounds in the order of ``joint_names``.

    Raises:
        BoundsError: If there is no such file, or it does not fit the robot.
    """
    number = _as_number(spec)
    if number is not None:
        if not (math.isfinite(number) and number > 0.0):
            raise BoundsError(f"bounds of ±{spec} are not a finite positive number")
        return ActionBounds.symmetric(joint_names, number).scaled(scale)
    text = str(spec)
    path = DATA_DIR / f"{text}.yaml" if text in available_bounds() else Path(text).expanduser()
    if not path.is_file():
        near = get_close_matches(text, available_bounds(), n=3, cutoff=0.4) or available_bounds()
        raise BoundsError(f"no bounds file '{text}'; shipped are: {', '.join(near)}")
    bounds = ActionBounds.from_yaml(path)
    try:
        return bounds.reorder(joint_names).scaled(scale)
    except BoundsError as error:
        raise BoundsError(f"{path}: {error}") from error


def _as_number(spec: str | float) -> float | None:
    try:
        return float(spec)
    except ValueError:
        return None


class _UniqueKeyLoader(yaml.SafeLoader):
    """Safe YAML that refuses a key given twice, where YAML itself would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)  # type: ignore[no-untyped-call]
            if not isinstance(key, Hashable):
                raise BoundsError(f"line {key_node.start_mark.line + 1}: {key!r} cannot be a name")
            if key in keys:
                raise BoundsError(f"joint '{key}' is given twice (line {key_node.start_mark.line + 1})")
            keys.add(key)
        return super().construct_mapping(node, deep)
