# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Left and right: which joint is the mirror image of which, and whether its sign turns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .errors import BoundsError

SIDES = (
    (r"^([FRH])L(?=_)", r"\1R"), (r"^([FRH])R(?=_)", r"\1L"),  # Unitree: FL_hip_joint, FR_hip_joint
    (r"^([fh])l(?=_)", r"\1r"), (r"^([fh])r(?=_)", r"\1l"),  # Spot: fl_hx, fr_hx
    (r"^L([FHM])(?=_)", r"R\1"), (r"^R([FHM])(?=_)", r"L\1"),  # ANYmal: LF_HAA, RF_HAA
    (r"(?<![a-zA-Z])left(?=_|$)", "right"), (r"(?<![a-zA-Z])right(?=_|$)", "left"),  # hip_left, left_hip_yaw
    (r"(?<![a-zA-Z])Left(?=_|$)", "Right"), (r"(?<![a-zA-Z])Right(?=_|$)", "Left"),
)  # fmt: skip
"""How names of left and right joints are told apart, and what takes their place on the other side."""


@dataclass(frozen=True)
class Mirror:
    """The reflection of a robot at its sagittal plane, y to -y.

    The mirror image of positions q is ``sign * q[index]``, for actions about the default pose as well, if that pose is
    symmetric.
    """

    index: tuple[int, ...]
    """For each joint, which one is its image."""

    sign: tuple[float, ...]
    """For each joint, 1, or -1 where the image turns the other way."""

    def apply(self, values: Sequence[float]) -> tuple[float, ...]:
        """The mirror image of joint positions or actions, length A."""
        return tuple(sign * values[i] for i, sign in zip(self.index, self.sign, strict=True))

    def check_pose(self, names: Sequence[str], pose: Sequence[float]) -> None:
        """Refuse a default pose that is not symmetric, about which an action's mirror image is none.

        Args:
            names: Names of the joints.
            pose: Their positions [rad], length A.

        Raises:
            BoundsError: If it is not; it names the first joint that differs.
        """
        for joint, own, other in zip(names, pose, self.apply(pose), strict=True):
            if abs(own - other) > 1e-3:
                raise BoundsError(f"the default pose is not left-right symmetric (joint '{joint}')")

    def symmetric_box(self, low: Sequence[float], high: Sequence[float]) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """The mean of bounds and their mirror image, exactly symmetric.

        Args:
            low: Lower corner, length A.
            high: Upper corner, length A.

        Returns:
            Lower and upper corner.
        """
        corners = (self.apply(low), self.apply(high))
        image_low, image_high = map(min, *corners), map(max, *corners)
        return (
            tuple((a + b) / 2 for a, b in zip(low, image_low, strict=True)),
            tuple((a + b) / 2 for a, b in zip(high, image_high, strict=True)),
        )


def mirrored_name(name: str, names: Sequence[str]) -> str:
    """Name of the joint on the other side; the joint's own for one in the middle."""
    for pattern, replacement in SIDES:
        other = re.sub(pattern, replacement, name, count=1)
        if other != name and other in names:
            return other
    return name


def mirror_joints(names: Sequence[str], axes: Mapping[str, np.ndarray]) -> Mirror:
    """Find the mirror image of each joint.

    A turn about the axis (x, y, z) is mirrored into one about (-x, y, -z). The image of a joint turns the same way
    where that is its own axis, and the other way where it is the opposite one.

    Args:
        names: Names of the joints.
        axes: Axis of each joint in the root's frame at zero positions, as of
            :func:`~isaaclab_offpolicy.robots.usd.read_usd`.

    Raises:
        BoundsError: If no joint's name tells its side, a joint's axis is not known, or it is no mirror image of that of
            the other side.
    """
    if all(mirrored_name(name, names) == name for name in names):
        raise BoundsError(f"no left and right joints are known by their names among {', '.join(names)}")
    index, sign = [], []
    for name in names:
        other = mirrored_name(name, names)
        for joint in (name, other):
            if joint not in axes:
                raise BoundsError(f"the axis of joint '{joint}' is not known")
        alignment = float(np.dot(np.array([-1.0, 1.0, -1.0]) * axes[name], axes[other]))
        if abs(alignment) < 0.9:
            raise BoundsError(f"the axes of joints '{name}' and '{other}' are no mirror images of each other")
        index.append(list(names).index(other))
        sign.append(1.0 if alignment > 0.0 else -1.0)
    return Mirror(tuple(index), tuple(sign))
