# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""The BD-X-style biped, number by number, and its URDF.

A robot of our own in the manner of Disney's BD-X: not that robot, not affiliated with Disney, nothing of it copied.

Sources, named beside the numbers:

- [RSS24] R. Grandia et al., "Design and Control of a Bipedal Robotic Character", RSS 2024, arXiv:2501.05204: five
  joints per leg, four in neck and head, rounded soles, policy at 50 Hz; 15.4 kg, some 0.66 m tall.
- [BDX-R] the 3D-printed relative BDX-R, https://github.com/BDX-R/BDX-R-MjLab (Apache-2.0), ``bdxr.xml`` and
  ``bdxr_constants.py``: positions of the joints, their ranges, the distribution of mass, the motors. Its base frame is
  shifted by 0.10 m, so that ours lies above the feet, and its numbers are rounded to 5 mm and made left-right
  symmetric.
- [own] our own choice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import quoteattr

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Part:
    """A primitive of uniform density."""

    kind: str
    """``box``, ``sphere``, ``cylinder`` or ``capsule``."""

    size: tuple[float, ...]
    """Box: extents (x, y, z) [m]; sphere: (radius,) [m]; capsule: (radius,) [m], from ``start`` to ``end``."""

    start: Vector = (0.0, 0.0, 0.0)
    """Centre in the link's frame; of a capsule the centre of its first cap [m]."""

    end: Vector | None = None
    """Centre of a capsule's second cap [m]."""

    solid: bool = True
    """Whether it carries the link's mass."""

    collides: bool = True
    """Whether it collides."""


@dataclass(frozen=True)
class Body:
    """A link with the joint that carries it."""

    name: str
    parent: str
    offset: Vector
    """Position of the joint in the parent's frame [m]."""

    axis: Vector
    limits: tuple[float, float]
    """Range of the joint [rad]."""

    motor: tuple[float, float]
    """Largest effort [N·m] and speed [rad/s]."""

    mass: float
    """Mass [kg]."""

    parts: tuple[Part, ...]


X, Y, Z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)

LEG_MOTOR = (42.0, 18.849)
"""Effort and speed of the RobStride 03, hips and knees of [BDX-R]."""

NECK_MOTOR = (10.9, 37.699)
"""RobStride 02, ankles and neck of [BDX-R]."""

HEAD_MOTOR = (4.2, 45.0)
"""RobStride 05, head of [BDX-R]."""

BASE_MASS = 5.5
"""[BDX-R] has 6.34 of 17.75 kg in the base; scaled to the 15.4 kg of [RSS24] and rounded."""

# [own] body of the size of [BDX-R]'s base capsule (0.39 m x 0.24 m), slimmer so that it clears the thighs
BASE_PARTS = (Part("box", (0.26, 0.17, 0.16), (-0.02, 0.0, 0.07)),)


def leg(side: str) -> list[Body]:
    """One leg.

    Masses are [BDX-R]'s times 0.87, rounded; the hip roll's is more than doubled, which helps solvers [own].
    Axes point along +x, +y and +z on both sides [own]; [BDX-R]'s differ in sign from joint to joint.
    """
    s = 1.0 if side == "left" else -1.0

    def mirrored(x: float, y: float, z: float) -> Vector:
        return (x, s * y, z)

    # [BDX-R] -0.349 rad inwards, 0.262 rad outwards
    roll = (-0.349, 0.262) if s > 0 else (-0.262, 0.349)
    # [BDX-R]'s ankle has the smaller RobStride 02. Its 16.6 N·m/rad on two ankles are less than what a standing robot
    # of this weight needs (m g h = 15.4 · 9.81 · 0.3 = 45 N·m/rad), so ours has the knee's motor [own].
    return [
        Body(
            f"{side}_hip_yaw", "base", mirrored(0.0, 0.05, 0.02), Z, (-0.262, 0.262), LEG_MOTOR, 0.9,
            (Part("capsule", (0.035,), (0.0, 0.0, 0.0), (0.015, s * 0.0125, -0.05)),),
        ),
        Body(
            f"{side}_hip_roll", f"{side}_hip_yaw", mirrored(0.015, 0.0125, -0.06), X, roll, LEG_MOTOR, 0.2,
            (Part("capsule", (0.03,), (0.0, 0.0, 0.0), (-0.01, s * 0.04, 0.0)),),
        ),
        Body(
            f"{side}_hip_pitch", f"{side}_hip_roll", mirrored(-0.01, 0.07, 0.0), Y, (-0.698, 1.047), LEG_MOTOR, 2.05,
            (Part("capsule", (0.035,), (0.0, 0.0, 0.0), (-0.08, 0.0, -0.075)),),
        ),
        Body(
            f"{side}_knee", f"{side}_hip_pitch", (-0.08, 0.0, -0.075), Y, (-0.96, 1.309), LEG_MOTOR, 0.65,
            (Part("capsule", (0.025,), (0.0, 0.0, 0.0), (0.045, 0.0, -0.13)),),
        ),
        Body(
            f"{side}_ankle", f"{side}_knee", (0.045, 0.0, -0.13), Y, (-1.222, 0.785), LEG_MOTOR, 0.3,
            # sole of 0.165 m x 0.05 m, 0.08 m below the ankle, as two capsules for [RSS24]'s rounded edges [own]
            (
                Part("box", (0.12, 0.05, 0.03), (0.028, 0.0, -0.06), collides=False),
                Part("capsule", (0.0125,), (-0.042, 0.0125, -0.0675), (0.098, 0.0125, -0.0675), solid=False),
                Part("capsule", (0.0125,), (-0.042, -0.0125, -0.0675), (0.098, -0.0125, -0.0675), solid=False),
            ),
        ),
    ]  # fmt: skip


BODIES = [
    *leg("left"),
    *leg("right"),
    # neck and head: positions and ranges of [BDX-R], masses scaled to 1.7 kg; the head gives the 0.66 m of [RSS24]
    Body(
        "neck_pitch", "base", (0.085, 0.0, 0.065), Y, (-0.349, 0.872), NECK_MOTOR, 0.4,
        (Part("capsule", (0.025,), (0.0, 0.0, 0.0), (-0.065, 0.0, 0.11)),),
    ),
    Body(
        "head_pitch", "neck_pitch", (-0.065, 0.0, 0.11), Y, (-1.047, 0.872), HEAD_MOTOR, 0.25,
        (Part("capsule", (0.025,), (0.0, 0.0, 0.0), (0.0, 0.0, 0.06)),),
    ),
    Body(
        "head_yaw", "head_pitch", (0.0, 0.0, 0.075), Z, (-0.872, 0.872), HEAD_MOTOR, 0.1,
        (Part("sphere", (0.025,), (0.0, 0.0, 0.0)),),
    ),
    Body(
        "head_roll", "head_yaw", (0.045, 0.0, -0.01), X, (-0.523, 0.523), HEAD_MOTOR, 0.95,
        (Part("box", (0.2, 0.18, 0.11), (0.0, 0.0, 0.035)),),
    ),
]  # fmt: skip


def inertia(part: Part, mass: float) -> tuple[Vector, Vector, Vector]:
    """Inertia about the centre of mass of a solid part [kg·m²], rows along the link's axes."""
    if part.kind == "box":
        x, y, z = part.size
        diagonal = (y * y + z * z, x * x + z * z, x * x + y * y)
        ixx, iyy, izz = (mass / 12.0 * value for value in diagonal)
        return (ixx, 0.0, 0.0), (0.0, iyy, 0.0), (0.0, 0.0, izz)
    radius = part.size[0]
    if part.kind == "sphere":
        value = 0.4 * mass * radius**2
        return (value, 0.0, 0.0), (0.0, value, 0.0), (0.0, 0.0, value)
    if part.kind != "capsule" or part.end is None:
        raise ValueError(f"{part.kind} cannot carry mass")
    along = [b - a for a, b in zip(part.start, part.end, strict=True)]
    length = math.hypot(*along)
    u = [value / length for value in along]
    # a cylinder and two half spheres, whose centres of mass lie 3/8 of the radius beyond its ends
    cylinder, sphere = math.pi * radius**2 * length, 4.0 / 3.0 * math.pi * radius**3
    m_c, m_s = mass * cylinder / (cylinder + sphere), mass * sphere / (cylinder + sphere)
    axial = 0.5 * m_c * radius**2 + 0.4 * m_s * radius**2
    lateral = m_c * (length**2 / 12 + radius**2 / 4) + m_s * (
        0.4 * radius**2 + length**2 / 4 + 3.0 / 8.0 * length * radius
    )
    rows = [[lateral * (i == j) + (axial - lateral) * u[i] * u[j] for j in range(3)] for i in range(3)]
    return tuple(tuple(row) for row in rows)  # type: ignore[return-value]


def _numbers(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:.6g}" for value in values)


def _link(name: str, mass: float, parts: tuple[Part, ...]) -> str:
    (solid,) = (part for part in parts if part.solid)
    com = solid.start if solid.end is None else tuple((a + b) / 2 for a, b in zip(solid.start, solid.end, strict=True))
    (ixx, ixy, ixz), (_, iyy, iyz), (_, _, izz) = inertia(solid, mass)
    tensor = {"ixx": ixx, "ixy": ixy, "ixz": ixz, "iyy": iyy, "iyz": iyz, "izz": izz}
    lines = [
        f"  <link name={quoteattr(name)}>",
        "    <inertial>",
        f'      <origin xyz="{_numbers(com)}"/>',
        f'      <mass value="{mass:g}"/>',
        "      <inertia " + " ".join(f'{key}="{value:.6g}"' for key, value in tensor.items()) + "/>",
        "    </inertial>",
    ]
    for part in parts:
        if part.kind == "capsule":
            assert part.end is not None
            along = [b - a for a, b in zip(part.start, part.end, strict=True)]
            length = math.hypot(*along)
            # roll about x, then pitch about y, that turn z onto the capsule's axis
            roll = -math.asin(along[1] / length)
            pitch = math.atan2(along[0], along[2])
            center = tuple((a + b) / 2 for a, b in zip(part.start, part.end, strict=True))
            # URDF has no capsules: a cylinder with its extents, which the tool makes a capsule again
            geometry = f'<cylinder radius="{part.size[0]:g}" length="{length + 2.0 * part.size[0]:.6g}"/>'
            origin = f'<origin xyz="{_numbers(center)}" rpy="{roll:.6g} {pitch:.6g} 0"/>'
        else:
            size = f'radius="{part.size[0]:g}"' if part.kind == "sphere" else f'size="{_numbers(part.size)}"'
            geometry = f"<{part.kind} {size}/>"
            origin = f'<origin xyz="{_numbers(part.start)}"/>'
        tag = "collision" if part.collides else "visual"
        lines.append(f"    <{tag}>{origin}<geometry>{geometry}</geometry></{tag}>")
    return "\n".join([*lines, "  </link>"])


def urdf() -> str:
    """The whole URDF."""
    lines = [
        '<?xml version="1.0"?>',
        "<!-- Copyright (c) 2026, The isaaclab_offpolicy Developers. SPDX-License-Identifier: BSD-3-Clause -->",
        "<!-- Generated by scripts/tools/write_robots.py; the numbers and their sources are in",
        "     scripts/tools/bdx_description.py. A BD-X-style biped; not affiliated with Disney. -->",
        '<robot name="bdx">',
        _link("base", BASE_MASS, BASE_PARTS),
    ]
    for body in BODIES:
        low, high = body.limits
        effort, velocity = body.motor
        lines += [
            _link(body.name, body.mass, body.parts),
            f'  <joint name="{body.name}" type="revolute">',
            f'    <parent link="{body.parent}"/>',
            f'    <child link="{body.name}"/>',
            f'    <origin xyz="{_numbers(body.offset)}"/>',
            f'    <axis xyz="{_numbers(body.axis)}"/>',
            f'    <limit lower="{low:g}" upper="{high:g}" effort="{effort:g}" velocity="{velocity:g}"/>',
            "  </joint>",
        ]
    return "\n".join([*lines, "</robot>", ""])


def write(path: Path) -> None:
    """Write the URDF."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(urdf(), encoding="utf-8")
