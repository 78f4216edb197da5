# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""A robot as its URDF describes it: links, joints and collision shapes."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class Shape:
    """A collision primitive in the frame of its link."""

    kind: str
    """``box``, ``sphere``, ``cylinder``, ``capsule`` or ``prism``."""

    size: tuple[float, ...]
    """Box: full extents (x, y, z) [m]; sphere: (radius,) [m]; cylinder, prism and capsule: (radius, length along z)
    [m], the length of a capsule without its caps."""

    pose: np.ndarray
    """Homogeneous transform into the link's frame, shape (4, 4)."""

    color: tuple[float, float, float]
    """Display colour, linear RGB in [0, 1]."""


@dataclass
class Link:
    """A rigid body in its own frame."""

    name: str
    mass: float = 0.0
    """Mass [kg]."""

    com: np.ndarray = field(default_factory=lambda: np.zeros(3))
    """Centre of mass in the link's frame [m], shape (3,)."""

    inertia: np.ndarray = field(default_factory=lambda: np.zeros((3, 3)))
    """Inertia about the centre of mass, along the link's axes [kg·m²], shape (3, 3)."""

    shapes: list[Shape] = field(default_factory=list)


@dataclass
class Joint:
    """A joint between two links."""

    name: str
    kind: str
    """``revolute``, ``continuous`` or ``fixed``."""

    parent: str
    child: str
    pose: np.ndarray
    """Pose of the child's frame in the parent's at zero position, shape (4, 4)."""

    axis: np.ndarray
    """Unit axis in the child's frame, shape (3,)."""

    lower: float = -math.inf
    """Lower limit [rad]."""

    upper: float = math.inf
    """Upper limit [rad]."""

    effort: float = 0.0
    """Effort limit [N·m]."""

    velocity: float = 0.0
    """Velocity limit [rad/s]."""


@dataclass
class Robot:
    """A kinematic tree of links."""

    name: str
    root: str
    links: dict[str, Link]
    joints: list[Joint]

    @property
    def mass(self) -> float:
        """Total mass [kg]."""
        return sum(link.mass for link in self.links.values())


def transform(xyz: Iterable[float], rpy: Iterable[float]) -> np.ndarray:
    """Homogeneous transform of a URDF origin: translation [m], then fixed-axis roll, pitch, yaw [rad]."""
    roll, pitch, yaw = rpy
    cr, sr, cp, sp, cy, sy = (
        math.cos(roll), math.sin(roll), math.cos(pitch), math.sin(pitch), math.cos(yaw), math.sin(yaw),
    )  # fmt: skip
    pose = np.eye(4)
    pose[:3, :3] = [
        [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
        [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
        [-sp, cp * sr, cp * cr],
    ]
    pose[:3, 3] = list(xyz)
    return pose


def link_poses(robot: Robot, stance: Mapping[str, float] | None = None) -> dict[str, np.ndarray]:
    """Poses of all links in the root's frame.

    Args:
        robot: The robot.
        stance: Joint positions [rad] by regular expressions of joint names, as in Isaac Lab's initial states; joints
            that match none are at zero.

    Returns:
        Homogeneous transforms, shape (4, 4) each; parents come before their children.
    """
    poses = {robot.root: np.eye(4)}
    pending = list(robot.joints)
    while pending:
        joint = next(j for j in pending if j.parent in poses)
        angle = next((a for pattern, a in (stance or {}).items() if re.fullmatch(pattern, joint.name)), 0.0)
        motion = np.eye(4)
        if joint.kind != "fixed" and angle:
            x, y, z = joint.axis
            cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
            # Rodrigues' formula
            motion[:3, :3] += math.sin(angle) * cross + (1.0 - math.cos(angle)) * cross @ cross
        poses[joint.child] = poses[joint.parent] @ joint.pose @ motion
        pending.remove(joint)
    return poses


def overlaps(robot: Robot, stance: Mapping[str, float] | None = None) -> dict[tuple[str, str], float]:
    """Pairs of bodies whose shapes overlap in a pose, other than neighbours in the tree, which engines never collide.

    Args:
        robot: The robot.
        stance: Joint positions, as of :func:`link_poses`.

    Returns:
        The depth of the deepest overlap [m] of each pair.
    """
    import coal  # pyright: ignore[reportMissingImports] - it is installed beside site-packages, by cmeel

    shapes: dict[str, list[tuple[Any, Any]]] = {}
    for name, pose in link_poses(robot, stance).items():
        shapes[name] = []
        for shape in robot.links[name].shapes:
            # a prism lies within its disc
            geometry = {"box": coal.Box, "sphere": coal.Sphere, "prism": coal.Cylinder, "capsule": coal.Capsule}
            world = pose @ shape.pose
            shapes[name].append((geometry[shape.kind](*shape.size), coal.Transform3s(world[:3, :3], world[:3, 3])))
    neighbours = {frozenset((joint.parent, joint.child)) for joint in robot.joints}
    result: dict[tuple[str, str], float] = {}
    for first, second in itertools.combinations(shapes, 2):
        if frozenset((first, second)) in neighbours:
            continue
        distances = [
            coal.distance(*a, *b, coal.DistanceRequest(), coal.DistanceResult())
            for a, b in itertools.product(shapes[first], shapes[second])
        ]
        if distances and min(distances) < 0.0:
            result[first, second] = -min(distances)
    return result
