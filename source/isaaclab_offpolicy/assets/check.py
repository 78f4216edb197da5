# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Compares a robot, as a USD file or an engine has it, with its URDF.

The URDF is read here by Pinocchio, not by :mod:`.urdf`, so that a fault of the one does not hide in the other.
"""

# pinocchio's type stubs lack most of what it has
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false, reportArgumentType=false

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pinocchio  # pyright: ignore[reportMissingImports] - it is installed beside site-packages, by cmeel

from isaaclab_offpolicy.robots.usd import BodyProperties, read_usd


@dataclass(frozen=True)
class Difference:
    """Largest differences between two descriptions of a robot."""

    total_mass: float
    """[kg]"""

    mass: float
    """Of a single body [kg]."""

    com: float
    """Distance of the centres of mass of a body [m]."""

    inertia: float
    """Of a body, relative to the norm of its inertia."""


class UrdfModel:
    """A URDF through Pinocchio, with its fixed links merged into a given set of bodies.

    Args:
        path: The URDF.
        bodies: Names of the links that are bodies; every other link must hang on one of them by fixed joints, or
            carry it by fixed joints without having a mass.

    Raises:
        ValueError: If a body is no link of the URDF.
    """

    def __init__(self, path: str | Path, bodies: Sequence[str]) -> None:
        self.model = pinocchio.buildModelFromUrdf(str(path), pinocchio.JointModelFreeFlyer())
        self.data = self.model.createData()
        self.bodies = list(bodies)
        frames = self.model.frames
        links = {frame.name: i for i, frame in enumerate(frames) if frame.type == pinocchio.FrameType.BODY}
        unknown = [name for name in bodies if name not in links]
        if unknown:
            raise ValueError(f"{path}: body '{unknown[0]}' is not a link of the URDF")
        self.frame_ids = {name: links[name] for name in bodies}
        # Pinocchio merges fixed links into the moving joint, and keeps what it merged in the fixed joints' frames.
        # Spatial inertias (6, 6) about the joint's origin add up; those of bodies behind fixed joints are taken out.
        spatial = {
            name: self.model.inertias[frames[i].parentJoint].matrix() if self._moves(i) else np.zeros((6, 6))
            for name, i in self.frame_ids.items()
        }
        for index, frame in enumerate(frames):
            if frame.type != pinocchio.FrameType.FIXED_JOINT or not frame.inertia.mass:
                continue
            owner, moving = self._owner(index + 1), self._moving_body(frame.parentJoint)
            if owner != moving:
                inertia = frame.placement.act(frame.inertia).matrix()
                spatial[owner] += inertia
                spatial[moving] -= inertia
        self.properties: dict[str, BodyProperties] = {}
        """Mass properties of each body."""
        for name, matrix in spatial.items():
            mass, cross = matrix[0, 0], matrix[3:, :3] / matrix[0, 0]
            inertia = pinocchio.Inertia(mass, pinocchio.unSkew(cross), matrix[3:, 3:] + mass * cross @ cross)
            inertia = frames[self.frame_ids[name]].placement.actInv(inertia)
            self.properties[name] = BodyProperties(inertia.mass, np.array(inertia.lever), np.array(inertia.inertia))

    def _moving_body(self, joint: int) -> str:
        """The body that a joint moves: the first of those on it."""
        return min((i, name) for name, i in self.frame_ids.items() if self.model.frames[i].parentJoint == joint)[1]

    def _moves(self, index: int) -> bool:
        frame = self.model.frames[index]
        return self._moving_body(frame.parentJoint) == frame.name

    def _owner(self, index: int) -> str:
        """The body that a link is merged into: the nearest one above it on the same joint."""
        frames = self.model.frames
        joint = frames[index].parentJoint
        while frames[index].parentJoint == joint and index:
            if self.frame_ids.get(frames[index].name) == index:
                return frames[index].name
            index = frames[index].parentFrame
        return self._moving_body(joint)  # a root without mass, above the first body

    @property
    def joint_names(self) -> list[str]:
        """Names of the moving joints."""
        return [name for name in self.model.names[2:]]

    def limits(self, joint: str) -> tuple[float, float]:
        """Lower and upper limit of a joint [rad]."""
        index = self.model.joints[self.model.getJointId(joint)].idx_q
        return float(self.model.lowerPositionLimit[index]), float(self.model.upperPositionLimit[index])

    def poses(self, positions: Mapping[str, float]) -> dict[str, np.ndarray]:
        """Poses of the bodies in the frame of the first one.

        Args:
            positions: Joint positions [rad]; joints that are not named are at zero.

        Returns:
            Homogeneous transforms, shape (4, 4) each.
        """
        q = pinocchio.neutral(self.model)
        for name, angle in positions.items():
            joint = self.model.joints[self.model.getJointId(name)]
            # continuous joints are represented by cosine and sine
            q[joint.idx_q : joint.idx_q + joint.nq] = [math.cos(angle), math.sin(angle)] if joint.nq == 2 else angle
        pinocchio.framesForwardKinematics(self.model, self.data, q)
        root = self.data.oMf[self.frame_ids[self.bodies[0]]]
        return {name: root.actInv(self.data.oMf[i]).homogeneous for name, i in self.frame_ids.items()}

    def compare(self, bodies: Mapping[str, BodyProperties]) -> Difference:
        """Largest differences to another description of the same bodies."""
        mass, com, inertia = [], [], []
        for name, reference in self.properties.items():
            other = bodies[name]
            mass.append(abs(other.mass - reference.mass))
            com.append(float(np.linalg.norm(other.com - reference.com)))
            inertia.append(float(np.linalg.norm(other.inertia - reference.inertia) / np.linalg.norm(reference.inertia)))
        total = abs(sum(b.mass for b in bodies.values()) - sum(b.mass for b in self.properties.values()))
        return Difference(total, max(mass), max(com), max(inertia))


def report(urdf: str | Path, usd: str | Path, stance: Mapping[str, float] | None = None, feet: str = ".*foot") -> str:
    """A text that sets a USD beside its URDF: masses, inertias, limits, and how it would stand.

    Args:
        urdf: The URDF.
        usd: The USD.
        stance: Joint positions [rad] by regular expressions of joint names; others are at zero.
        feet: Regular expression of the bodies that should carry the robot.
    """
    robot = read_usd(usd)
    model = UrdfModel(urdf, list(robot.bodies))
    lines = [f"{'body':<20}{'mass [kg]':>12}{'URDF':>10}{'largest moment [kg·m²]':>25}{'URDF':>12}"]
    for name, body in robot.bodies.items():
        reference = model.properties[name]
        moments = [np.linalg.eigvalsh(each.inertia)[-1] for each in (body, reference)]
        lines.append(f"{name:<20}{body.mass:>12.4f}{reference.mass:>10.4f}{moments[0]:>25.3e}{moments[1]:>12.3e}")
    difference = model.compare(robot.bodies)
    lines += [
        f"total mass {sum(body.mass for body in robot.bodies.values()):.4f} kg; largest differences: mass"
        f" {1000 * difference.mass:.3f} g, centre of mass {1000 * difference.com:.4f} mm, inertia"
        f" {100 * difference.inertia:.4f} %",
        "",
        f"{'joint':<20}{'limits [rad]':>20}{'URDF':>20}",
    ]
    for name, (low, high) in robot.limits.items():
        reference_low, reference_high = model.limits(name)
        lines.append(f"{name:<20}{low:>10.3f}{high:>10.3f}{reference_low:>10.3f}{reference_high:>10.3f}")
    positions = {
        name: next((angle for pattern, angle in (stance or {}).items() if re.fullmatch(pattern, name)), 0.0)
        for name in robot.limits
    }
    poses = model.poses(positions)
    standing = [pose[:3, 3] for name, pose in poses.items() if re.fullmatch(feet, name, re.IGNORECASE)]
    coms = [(pose @ [*robot.bodies[name].com, 1.0])[:3] * robot.bodies[name].mass for name, pose in poses.items()]
    com = np.sum(coms, axis=0) / sum(body.mass for body in robot.bodies.values())
    lines.append("")
    if standing:
        center = np.mean(standing, axis=0)
        lines.append(
            f"default pose: root {-min(foot[2] for foot in standing):.3f} m above the lowest foot's frame; centre of"
            f" mass {1000 * (com[0] - center[0]):+.0f} mm ahead of and {1000 * (com[1] - center[1]):+.0f} mm left of"
            f" the middle of {len(standing)} feet"
        )
    else:
        lines.append(f"default pose: no body matches '{feet}'")
    outside = [name for name, angle in positions.items() if not robot.limits[name][0] <= angle <= robot.limits[name][1]]
    if outside:
        lines.append(f"default pose: outside the limits: {', '.join(outside)}")
    return "\n".join(lines)
