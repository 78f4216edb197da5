# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""The range of actions that a policy may command, with the names of its joints.

Bounds are in raw action units: what the environment's action term multiplies by its scale and adds to the default pose.
So they mean nothing without scale and pose, and go with them. They belong to the policy, not to the environment: they
are stored in its checkpoints and exports.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from .errors import BoundsError
from .plain import LARGEST, PlainData, number, parse_yaml, per_joint, short, word
from .symmetry import Mirror
from .terms import POSITION, Numbers, differs

MAX_FILE_BYTES = 1_000_000
"""A larger file is no bounds file."""

MAX_NAME = 100
"""A longer text is no joint's name."""

RESOLUTION = 1.0e-6
"""Bounds must differ by more than this fraction of their size, or single precision cannot tell them apart."""

COLUMNS = ("action_scale", "default_pose", "commands")
"""What is known of each action beside its bounds."""


@dataclass(frozen=True)
class ActionBounds:
    """Lower and upper action of every joint.

    Args:
        joint_names: Names of the A joints, in the order of ``low`` and ``high``.
        low: Smallest action of each joint [raw action units], length A.
        high: Largest action of each joint [raw action units], length A; greater than ``low``.
        source: Where the numbers come from.
        info: What else is known of them, such as percentiles and number of samples: plain data.
        action_scale: Joint position per unit of action [rad], length A; None if it is not known, of all or of one.
        default_pose: Position of each joint at action zero [rad], length A; None if it is not known, of all or of one.
        commands: What each action commands if not positions all, such as ``velocity``, length A; scale and pose are in
            its units.

    Raises:
        BoundsError: If a joint is named twice, the lengths differ, a number is not finite, or low ≥ high.
    """

    joint_names: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    source: str = ""
    info: Mapping[str, Any] = field(default_factory=dict, hash=False)
    action_scale: Numbers | None = None
    default_pose: Numbers | None = None
    commands: tuple[str | None, ...] | None = None

    def __post_init__(self) -> None:
        if not self.joint_names:
            raise BoundsError("no joints")
        for name in ("low", "high", *COLUMNS):
            values = getattr(self, name)
            if values is None:
                continue
            if len(values) != len(self.joint_names):
                raise BoundsError(f"{len(values)} values of '{name}' for {len(self.joint_names)} joints")
            for joint, value in zip(self.joint_names, values if name != "commands" else (), strict=False):
                # in single precision, in which policies compute
                if value is not None and (not math.isfinite(value) or abs(value) > LARGEST):
                    raise BoundsError(f"joint '{joint}': {name} {value} is not finite")
        seen: set[str] = set()
        for joint, low, high in zip(self.joint_names, self.low, self.high, strict=True):
            if joint in seen:
                raise BoundsError(f"joint '{joint}' is given twice")
            seen.add(joint)
            if high - low <= max(RESOLUTION * max(abs(low), abs(high)), 1.0 / LARGEST):
                raise BoundsError(f"joint '{joint}': low {low} is not below high {high}")
        for joint, scale in zip(self.joint_names, self.action_scale or (), strict=False):
            if scale is not None and scale <= 0.0:
                raise BoundsError(f"joint '{joint}': action_scale {scale} is not positive")

    @classmethod
    def symmetric(cls, joint_names: Sequence[str], limit: float) -> ActionBounds:
        """The same bounds ``[-limit, limit]`` [raw action units] for every joint."""
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
        return cls(
            tuple(joint_names), tuple(low), tuple(high), "joint limits", {}, tuple(scale), tuple(default)
        )  # fmt: skip

    @classmethod
    def around_default_pose(
        cls, joint_names: Sequence[str], reach: float, default: Sequence[float], scale: Sequence[float]
    ) -> ActionBounds:
        """Bounds with which a joint's target stays within ±``reach`` [rad] of its default position.

        Args:
            joint_names: Names of the A joints.
            reach: Largest distance of a target from the default position [rad].
            default: Position of each joint at action zero [rad].
            scale: Position per unit of action [rad].

        Raises:
            BoundsError: If ``reach`` is not a finite positive number.
        """
        if not (math.isfinite(reach) and reach > 0.0):
            raise BoundsError(f"bounds of ±{reach} rad are not a finite positive number")
        high = tuple(reach / factor for factor in scale)
        low = tuple(-x for x in high)
        return cls(tuple(joint_names), low, high, f"±{reach:g} rad", {}, tuple(scale), tuple(default))

    @classmethod
    def from_yaml(cls, path: str | os.PathLike) -> ActionBounds:
        """Read a bounds file.

        The file holds ``joints``, a mapping from joint name to ``[low, high]``, and optionally ``source``,
        ``action_scale``, ``default_pose``, ``commands`` (one for all joints, or a mapping from joint name to it) and
        ``info``; its order is free, since joints are matched by name.

        Raises:
            BoundsError: If the file cannot be read or what it says cannot be used.
        """
        path = Path(path)
        try:
            if path.stat().st_size > MAX_FILE_BYTES:
                raise BoundsError(f"larger than {MAX_FILE_BYTES} bytes, which no bounds file is")
            text = path.read_text(encoding="utf-8")
            return cls.from_dict(parse_yaml(text))
        except OSError as error:
            raise BoundsError(f"{path}: cannot be read: {error.strerror or error}") from error
        except UnicodeDecodeError as error:
            raise BoundsError(f"{path}: not a text file in UTF-8") from error
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
        unknown = [key for key in data if key not in FILE_KEYS]
        if unknown:
            raise BoundsError(f"unknown entry {short(unknown[0])}; a bounds file has {', '.join(FILE_KEYS)}")
        names, low, high = [], [], []
        for joint, pair in data["joints"].items():
            if not isinstance(joint, str) or not joint.strip() or not joint.isprintable():
                raise BoundsError(f"joint name {short(joint)} is not text")
            if len(joint) > MAX_NAME:
                raise BoundsError(f"joint name {short(joint)} is longer than {MAX_NAME} characters")
            if not isinstance(pair, (list, tuple)) or len(pair) != 2:
                raise BoundsError(f"joint '{joint}': expected [low, high], got {short(pair)}")
            names.append(joint)
            low.append(number(f"joint '{joint}'", pair[0]))
            high.append(number(f"joint '{joint}'", pair[1]))
        source = data.get("source") or ""
        if not isinstance(source, str):
            raise BoundsError(f"'source' is text, not {short(source)}")
        source = PlainData().convert(source, "source")
        info = data.get("info") or {}
        if not isinstance(info, dict):
            raise BoundsError(f"'info' is a mapping, not {short(info)}")
        scale, pose = (per_joint(key, data.get(key), names) for key in ("action_scale", "default_pose"))
        commands = per_joint("commands", data.get("commands"), names, word)
        info = PlainData().convert(info, "info")
        return cls(tuple(names), tuple(low), tuple(high), source, info, scale, pose, commands)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for YAML and checkpoints: what :meth:`from_yaml` describes."""
        pairs = zip(self.joint_names, self.low, self.high, strict=True)
        data: dict[str, Any] = {"source": self.source, "joints": {name: [low, high] for name, low, high in pairs}}
        for key in COLUMNS:
            values = getattr(self, key)
            if values is not None:
                # one number where all joints have the same
                same = len(set(values)) == 1
                data[key] = values[0] if same else dict(zip(self.joint_names, values, strict=True))
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
        columns = {name: getattr(self, name) for name in ("low", "high", *COLUMNS)}
        ordered = {
            name: None if values is None else tuple(values[i] for i in index) for name, values in columns.items()
        }
        return replace(self, joint_names=tuple(joint_names), **ordered)

    def symmetrized(self, mirror: Mirror) -> ActionBounds:
        """Left-right symmetric bounds: the mean of these and their mirror image.

        Args:
            mirror: Left and right, in the order of the joints.

        Raises:
            BoundsError: If the default pose is not symmetric, so that an action's mirror image is none.
        """
        if self.default_pose is not None:
            mirror.check_pose(self.joint_names, [pose or 0.0 for pose in self.default_pose])
        low, high = mirror.symmetric_box(self.low, self.high)
        return replace(self, low=low, high=high, source=f"{self.source}; made left-right symmetric".lstrip("; "))

    def fitted(
        self,
        action_scale: Sequence[float | None],
        default_pose: Sequence[float | None],
        commands: Sequence[str | None] | None = None,
    ) -> ActionBounds:
        """The same bounds, known to be those of a task with this scale and pose.

        What either side does not know of an action is not compared.

        Args:
            action_scale: The task's joint position per unit of action [rad], length A.
            default_pose: The task's joint positions at action zero [rad], length A.
            commands: What the task's actions command, length A, if not positions all.

        Raises:
            BoundsError: If the bounds were made for another scale or pose; it names the first joint that differs.
        """
        unknown = (None,) * len(self.joint_names)
        mine, theirs = (
            tuple(words or _positions(scales))
            for words, scales in ((self.commands, self.action_scale or unknown), (commands, action_scale))
        )
        for joint, own, other in zip(self.joint_names, mine, theirs, strict=True):
            if own is not None and other is not None and own != other:
                raise BoundsError(f"made for another action: {own} at joint '{joint}', where the task has {other}")
        known: list[Numbers] = []
        task = {"action scale": (self.action_scale, action_scale), "default pose": (self.default_pose, default_pose)}
        for what, (own, others) in task.items():
            for joint, one, other, command in zip(self.joint_names, own or unknown, others, theirs, strict=True):
                if differs(one, other):
                    unit = " rad" if command == POSITION else ""
                    raise BoundsError(
                        f"made for another {what}: {one:g}{unit} at joint '{joint}', where the task has {other:g}; the"
                        " same joint targets in the task's units are written by: scripts/bounds.py derive --task TASK"
                        " --source FILE --out NEW"
                    )
            known.append(_first_known(others, own or unknown))
        scale, pose = (None if values == unknown else values for values in known)
        words = _first_known(theirs, mine)
        return replace(
            self, action_scale=scale, default_pose=pose, commands=None if words == _positions(known[0]) else words
        )

    def of_policy_for(self, task: ActionBounds) -> ActionBounds:
        """These bounds, of a trained policy, checked against a task that it is to act in.

        Args:
            task: Any bounds of the task: its joints in the order of its actions, its action scale and default pose.

        Raises:
            BoundsError: If joints, their order, scale or pose are not those that the policy was trained with; it says
                what differs and how the task gets them.
        """
        if self.joint_names != task.joint_names:
            try:
                self.reorder(task.joint_names)
            except BoundsError as error:
                raise BoundsError(f"the policy was trained with other joints: {error}") from None
            raise BoundsError(
                f"the policy's joints are in another order ({', '.join(self.joint_names)}) than the task's"
                f" ({', '.join(task.joint_names)}); set robot.joint_ordering to the one it was trained with"
            )
        unknown = (None,) * len(self.joint_names)
        try:
            return self.fitted(task.action_scale or unknown, task.default_pose or unknown, task.commands)
        except BoundsError as error:
            raise BoundsError(
                f"the policy was {str(error).partition(';')[0]}; give the task the policy's"
                " (env.actions.joint_pos.scale=…, env.scene.robot.init_state.joint_pos=…), or train another one with"
                " the bounds.yaml of its run, converted by scripts/bounds.py derive"
            ) from None

    def converted(self, action_scale: Sequence[float], default_pose: Sequence[float]) -> ActionBounds:
        """Bounds with the same joint targets in a task with another scale or pose.

        Target = pose + scale · action, joint by joint.

        Args:
            action_scale: The task's joint position per unit of action [rad], length A.
            default_pose: The task's joint positions at action zero [rad], length A.

        Raises:
            BoundsError: If it is not known for which scale and pose these bounds were made.
        """
        targets = self.targets()
        if targets is None:
            raise BoundsError("the file does not say for which action_scale and default_pose its bounds are")
        low, high = (
            tuple((t[side] - pose) / scale for t, pose, scale in zip(targets, default_pose, action_scale, strict=True))
            for side in (0, 1)
        )
        return replace(
            self, low=low, high=high, action_scale=tuple(action_scale), default_pose=tuple(default_pose)
        )  # fmt: skip

    def scale_and_pose(self) -> tuple[list[float], list[float]] | None:
        """Action scale and default pose of each joint [rad]; None if one is not known, or an action is no position."""
        scale = [x for x in self.action_scale or () if x is not None]
        pose = [x for x in self.default_pose or () if x is not None]
        known = len(scale) == len(pose) == len(self.joint_names)
        return (scale, pose) if known and self.commands is None else None

    def targets(self) -> list[tuple[float, float]] | None:
        """Lowest and highest target of each joint [rad]; None where :meth:`scale_and_pose` is."""
        known = self.scale_and_pose()
        if known is None:
            return None
        rows = zip(*known, self.low, self.high, strict=True)
        return [(pose + scale * low, pose + scale * high) for scale, pose, low, high in rows]

    def scaled(self, factor: float) -> ActionBounds:
        """The bounds multiplied by a factor, as the published recipe does on rough terrain (×1.25).

        They grow about action zero, not about their middle: bounds on one side of it move away from it.

        Raises:
            BoundsError: If the factor is not a finite positive number.
        """
        if factor == 1.0:
            return self
        if not (math.isfinite(factor) and factor > 0.0):
            raise BoundsError(f"a factor of {factor} on the bounds is not a finite positive number")
        return replace(
            self,
            low=tuple(factor * x for x in self.low),
            high=tuple(factor * x for x in self.high),
            source=f"{self.source} × {factor:g}".strip(),
        )


def _positions(scale: Sequence[float | None]) -> tuple[str | None, ...]:
    """What is commanded where nothing is said of it: positions, if their scale is known."""
    return tuple(None if value is None else POSITION for value in scale)


def _first_known(values: Sequence[Any], others: Sequence[Any]) -> tuple[Any, ...]:
    """The values, with the others' where there is none."""
    return tuple(other if value is None else value for value, other in zip(values, others, strict=True))


FILE_KEYS = ("source", "joints", *COLUMNS, "info")
"""Entries of a bounds file."""
