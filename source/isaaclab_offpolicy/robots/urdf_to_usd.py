# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Writes a small, flat USD of a robot from its URDF.

Flat: every rigid body is a direct child of the robot's prim, so that Isaac Lab's stock paths
(``{ENV_REGEX_NS}/Robot/[^/]*`` of the contact sensor, ``{ENV_REGEX_NS}/Robot/trunk`` of the height scanner) find them.
Small: shapes are the URDF's collision primitives; visual meshes are left out and the colliders are what one sees. A
collision mesh becomes a primitive of its extents.
Safe: no cylinder is written. PhysX takes a USD cylinder as a "convex core", whose contact with a terrain's mesh may
never return; :func:`replace_cylinder` says what takes its place.

Links behind fixed joints are merged into their parent with mass, centre of mass, inertia and colliders, unless they
are to be kept as bodies of their own (the feet, whose contacts are sensed).
"""

# pxr's type stubs lack most of what it has
# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false, reportCallIssue=false
# pyright: reportArgumentType=false

from __future__ import annotations

import itertools
import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

MARKER_EXTENT = 2.0e-3
"""Collision shapes not larger than this [m] in any direction mark a frame; they are not written."""

PLACEHOLDER_MASS = 1.0e-5
"""A root link at or below this mass [kg] only marks the floating base (Go1's has 1e-6 kg)."""

PRIMITIVES = ("box", "sphere", "cylinder", "capsule")
"""Shapes of a URDF, and those that a mesh may be replaced by."""

SLENDER = 4.0
"""Length over radius from which on a cylinder becomes a capsule, and not a prism."""

PRISM_SIDES = 16
"""Sides of that prism, which is thinner than the cylinder by 1.9 % of the radius at most: 1 - cos(π / 16)."""


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


def read_urdf(
    path: str | Path,
    keep: str = ".*foot.*",
    drop: str = "",
    meshes: Mapping[str, str] | None = None,
    packages: Mapping[str, str | Path] | None = None,
    slender: float = SLENDER,
) -> Robot:
    """Read a URDF, merge its fixed links, and replace its cylinders (:func:`replace_cylinder`).

    Args:
        path: The URDF file.
        keep: Links behind fixed joints whose name matches this regular expression (whole name, any case) stay bodies.
        drop: Links that match this one lose their collision shapes; their mass is merged all the same.
        meshes: Which primitive takes the place of the collision meshes of links whose name matches a regular
            expression; the first that matches counts, and a box where none does. See :func:`fit_mesh`.
        packages: Folders of ROS packages, for ``package://NAME/…``. A package that is not named here is looked for
            among the folders above the URDF.
        slender: Length over radius from which on a cylinder becomes a capsule, at least 2.

    Returns:
        The robot with the remaining links and joints. A root without mass gives way to its only child.

    Raises:
        ValueError: If the file is not a URDF, the tree is not one tree, a mesh is missing, or a joint's or a shape's
            type is not supported.
    """
    path = Path(path)
    try:
        tree = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise ValueError(f"{path}: not XML: {error}") from None
    if tree.tag != "robot":
        raise ValueError(f"{path}: not a URDF: its root is <{tree.tag}>, not <robot>")

    def fit(link: str, uri: str, scale: Sequence[float]) -> tuple[str, tuple[float, ...], np.ndarray]:
        kind = next((k for pattern, k in (meshes or {}).items() if re.fullmatch(pattern, link, re.IGNORECASE)), "box")
        return fit_mesh(_read_vertices(_locate(uri, path, packages or {})) * np.asarray(scale), kind)

    colors = {
        m.get("name"): tuple(_floats(c.get("rgba"), 4)[:3])
        for m in tree.findall("material")
        if (c := m.find("color")) is not None
    }
    links = {e.get("name", ""): _read_link(e, colors, fit) for e in tree.findall("link")}
    joints = [_read_joint(e) for e in tree.findall("joint")]
    children = {joint.child for joint in joints}
    roots = [name for name in links if name not in children]
    reached = set(roots)
    for _ in links:
        reached |= {joint.child for joint in joints if joint.parent in reached}
    if len(roots) != 1 or len(joints) != len(links) - 1 or reached != set(links):
        raise ValueError(f"{path}: not a single tree: roots are {roots}, {len(links)} links, {len(joints)} joints")
    for name, link in links.items():
        if drop and re.fullmatch(drop, name, re.IGNORECASE):
            link.shapes = []
        link.shapes = [replace_cylinder(shape, slender) for shape in link.shapes]
    robot = Robot(tree.get("name", "robot"), roots[0], links, joints)
    _merge_fixed(robot, keep)
    return robot


def _floats(text: str | None, count: int) -> list[float]:
    values = [float(x) for x in text.split()] if text else [0.0] * count
    if len(values) != count:
        raise ValueError(f"expected {count} numbers, got {text!r}")
    return values


def _origin(element: ElementTree.Element) -> np.ndarray:
    origin = element.find("origin")
    if origin is None:
        return np.eye(4)
    return transform(_floats(origin.get("xyz"), 3), _floats(origin.get("rpy"), 3))


def _locate(uri: str, urdf: Path, packages: Mapping[str, str | Path]) -> Path:
    """Path of a mesh."""
    if not uri.startswith("package://"):
        path = urdf.parent / uri.removeprefix("file://")
    else:
        package, _, rest = uri.removeprefix("package://").partition("/")
        folder = packages.get(package) or next((p for p in urdf.absolute().parents if p.name == package), None)
        if folder is None:
            raise ValueError(f"mesh '{uri}': where is the package '{package}'?")
        path = Path(folder) / rest
    if not path.is_file():
        raise ValueError(f"mesh '{uri}': no file '{path}'")
    return path


def _read_vertices(path: Path) -> np.ndarray:
    """Vertices of a mesh [m], shape (V, 3)."""
    import trimesh

    return np.asarray(trimesh.load(path, force="mesh").vertices)  # type: ignore[union-attr]


def fit_mesh(vertices: np.ndarray, kind: str) -> tuple[str, tuple[float, ...], np.ndarray]:
    """A primitive with the extents of a mesh, along the mesh's axes.

    A box has the mesh's extents. A sphere has the middle one as its diameter. A capsule and a cylinder lie along the
    longest one, with the mean of the other two as their diameter; a capsule's caps are within the length.

    Args:
        vertices: Vertices [m], shape (V, 3).
        kind: ``box``, ``sphere``, ``cylinder`` or ``capsule``.

    Returns:
        Kind and size as of :class:`Shape`, and the pose in the mesh's frame, shape (4, 4).
    """
    if kind not in PRIMITIVES:
        raise ValueError(f"'{kind}' is not one of {', '.join(PRIMITIVES)}")
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    extents = high - low
    pose = np.eye(4)
    pose[:3, 3] = (low + high) / 2
    if kind == "box":
        return kind, tuple(extents.tolist()), pose
    if kind == "sphere":
        return kind, (float(np.median(extents)) / 2,), pose
    axis = int(np.argmax(extents))
    # a cyclic permutation of the axes that makes the longest one z
    pose[:3, :3] = np.roll(np.eye(3), 2 - axis, axis=1)
    radius = float(np.delete(extents, axis).mean()) / 2
    length = float(extents[axis]) - (2 * radius if kind == "capsule" else 0.0)
    return kind, (radius, max(length, 0.0)), pose


def replace_cylinder(shape: Shape, slender: float = SLENDER) -> Shape:
    """The shape that takes a cylinder's place; any other shape as it is.

    A slender cylinder becomes a capsule of the same length and thickness, whose ends are rounded off: the edge is up to
    0.41 radii away. Any other becomes a regular prism of :data:`PRISM_SIDES` sides within it, with all its corners on
    its edges.

    Args:
        shape: A shape.
        slender: Length over radius from which on a cylinder is slender, at least 2.
    """
    if shape.kind != "cylinder":
        return shape
    radius, length = shape.size
    if length >= max(slender, 2.0) * radius:
        return replace(shape, kind="capsule", size=(radius, length - 2.0 * radius))
    return replace(shape, kind="prism")


def prism_corners(radius: float, length: float) -> np.ndarray:
    """Corners of a regular prism along z [m], shape (2 · PRISM_SIDES, 3): the lower ones, then the upper ones."""
    angles = 2.0 * np.pi * np.arange(PRISM_SIDES) / PRISM_SIDES
    circle = radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.concatenate([np.insert(circle, 2, z, axis=1) for z in (-length / 2, length / 2)])


def _read_link(element: ElementTree.Element, colors: dict, fit: Callable) -> Link:
    link = Link(element.get("name", ""))
    inertial = element.find("inertial")
    if inertial is not None:
        mass, inertia = inertial.find("mass"), inertial.find("inertia")
        link.mass = float(mass.get("value", 0.0)) if mass is not None else 0.0
        pose = _origin(inertial)
        link.com = pose[:3, 3]
        if inertia is not None:
            ixx, ixy, ixz, iyy, iyz, izz = (
                float(inertia.get(k, 0.0)) for k in ("ixx", "ixy", "ixz", "iyy", "iyz", "izz")
            )
            rotation = pose[:3, :3]
            tensor = np.array([[ixx, ixy, ixz], [ixy, iyy, iyz], [ixz, iyz, izz]])
            link.inertia = rotation @ tensor @ rotation.T
    visual_material = element.find("visual/material")
    color = (0.35, 0.37, 0.4)
    if visual_material is not None:
        inline = visual_material.find("color")
        named = colors.get(visual_material.get("name"))
        color = tuple(_floats(inline.get("rgba"), 4)[:3]) if inline is not None else named or color
    for collision in element.findall("collision"):
        shape = _read_shape(collision, color, lambda uri, scale: fit(link.name, uri, scale))
        if shape is not None:
            link.shapes.append(shape)
    return link


def _read_shape(collision: ElementTree.Element, color: tuple[float, float, float], fit: Callable) -> Shape | None:
    geometry = collision.find("geometry")
    primitive = geometry[0] if geometry is not None and len(geometry) else None
    if primitive is None:
        return None
    kind, pose = primitive.tag, _origin(collision)
    size: tuple[float, ...]
    if kind == "mesh":
        scale = _floats(primitive.get("scale"), 3) if primitive.get("scale") else [1.0] * 3
        kind, size, local = fit(primitive.get("filename", ""), scale)
        pose = pose @ local
    elif kind == "box":
        size = tuple(_floats(primitive.get("size"), 3))
    elif kind == "sphere":
        size = (float(primitive.get("radius", 0.0)),)
    elif kind in ("cylinder", "capsule"):
        size = (float(primitive.get("radius", 0.0)), float(primitive.get("length", 0.0)))
    else:
        raise ValueError(f"collision shape <{kind}> is not supported")
    extent = max(size) if kind == "box" else max((2.0 * size[0], *size[1:]))
    return Shape(kind, size, pose, color) if extent > MARKER_EXTENT else None


def _read_joint(element: ElementTree.Element) -> Joint:
    kind = element.get("type", "")
    if kind not in ("revolute", "continuous", "fixed"):
        raise ValueError(f"joint '{element.get('name')}': type '{kind}' is not supported")
    parent, child, axis, limit = (element.find(tag) for tag in ("parent", "child", "axis", "limit"))
    assert parent is not None and child is not None
    direction = np.array(_floats(axis.get("xyz"), 3)) if axis is not None else np.array([1.0, 0.0, 0.0])
    if kind != "fixed" and not direction.any():
        raise ValueError(f"joint '{element.get('name')}': its axis is zero")
    joint = Joint(
        element.get("name", ""),
        kind,
        parent.get("link", ""),
        child.get("link", ""),
        _origin(element),
        direction / (np.linalg.norm(direction) or 1.0),
    )
    if limit is not None:
        joint.effort = float(limit.get("effort", 0.0))
        joint.velocity = float(limit.get("velocity", 0.0))
        if kind == "revolute":
            joint.lower, joint.upper = float(limit.get("lower", 0.0)), float(limit.get("upper", 0.0))
    return joint


def _merge_fixed(robot: Robot, keep: str) -> None:
    """Merge links behind fixed joints into their parents, leaves first; a massless root gives way to its child."""
    while True:
        fixed = [j for j in robot.joints if j.kind == "fixed" and not re.fullmatch(keep, j.child, re.IGNORECASE)]
        if not fixed:
            return
        parents_of_fixed = {j.parent for j in fixed}
        joint = next(j for j in fixed if j.child not in parents_of_fixed)
        parent, child = robot.links[joint.parent], robot.links[joint.child]
        if parent.mass <= PLACEHOLDER_MASS and joint.parent == robot.root and not parent.shapes:
            # An empty root frame (URDF's floating base): the child becomes the root and keeps its own frame.
            if sum(j.parent == joint.parent for j in robot.joints) != 1:
                raise ValueError(f"root '{joint.parent}' has no mass and more than one child")
            robot.root = joint.child
            del robot.links[joint.parent]
            robot.joints.remove(joint)
            continue
        _absorb(parent, child, joint.pose)
        for other in robot.joints:
            if other.parent == joint.child:
                other.parent, other.pose = joint.parent, joint.pose @ other.pose
        del robot.links[joint.child]
        robot.joints.remove(joint)


def _absorb(parent: Link, child: Link, pose: np.ndarray) -> None:
    """Add a rigidly attached link to its parent (parallel-axis theorem)."""
    rotation, offset = pose[:3, :3], pose[:3, 3]
    if child.mass > PLACEHOLDER_MASS:
        com, inertia = rotation @ child.com + offset, rotation @ child.inertia @ rotation.T
        mass = parent.mass + child.mass
        joint_com = (parent.mass * parent.com + child.mass * com) / mass
        parent.inertia = sum(
            (
                tensor + m * (np.dot(d, d) * np.eye(3) - np.outer(d, d))
                for m, tensor, d in (
                    (parent.mass, parent.inertia, parent.com - joint_com),
                    (child.mass, inertia, com - joint_com),
                )
            ),
            np.zeros((3, 3)),
        )
        parent.mass, parent.com = mass, joint_com
    for shape in child.shapes:
        parent.shapes.append(Shape(shape.kind, shape.size, pose @ shape.pose, shape.color))


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
    """Pairs of bodies whose shapes overlap in a stance, other than neighbours in the tree, which engines never collide.

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


EQUAL_MOMENTS = 1.0e-6
"""Principal moments that differ by less than this share of the largest one are equal."""


def principal_axes(inertia: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Principal moments and axes of an inertia, the same on every machine.

    An eigendecomposition leaves order and signs of the axes open and, where moments are equal, the axes themselves:
    what it returns depends on the machine's LAPACK. Here the axes are those nearest to the body's own.

    Args:
        inertia: Inertia tensor along the body's axes [kg·m²], shape (3, 3), symmetric.

    Returns:
        Moments [kg·m²], shape (3,), and a rotation whose columns are their axes, shape (3, 3).
    """
    moments, axes = np.linalg.eigh(inertia)  # ascending
    close = np.diff(moments) <= EQUAL_MOMENTS * moments[-1]
    if close.all():
        return np.full(3, moments.mean()), np.eye(3)
    if close.any():
        single = 2 if close[0] else 0
        pair = [i for i in range(3) if i != single]
        moments[pair] = moments[pair].mean()
        axis = axes[:, single]
        # in the plane of the equal moments: the projection of the body's axis that lies closest to it
        first = np.eye(3)[_first_largest(-np.abs(axis))]
        first = first - axis * (axis @ first)
        axes[:, pair[0]] = first / np.linalg.norm(first)
        axes[:, pair[1]] = np.cross(axis, axes[:, pair[0]])
    for column in axes.T:
        column *= np.sign(column[_first_largest(np.abs(column))])
    turned = [
        (list(order), axes[:, list(order)] * signs)
        for order in itertools.permutations(range(3))
        for signs in itertools.product((1.0, -1.0), repeat=3)
    ]
    right_handed = [(order, rotation) for order, rotation in turned if np.linalg.det(rotation) > 0.0]
    order, rotation = right_handed[_first_largest(np.array([np.trace(rotation) for _, rotation in right_handed]))]
    return moments[order], rotation


def _first_largest(values: np.ndarray) -> int:
    """Index of the first value that is the largest but for rounding."""
    return int(np.argmax(values >= values.max() - 1.0e-6))


def _clean(values: np.ndarray) -> list:
    """The numbers without the last bits, which depend on the machine's mathematics library, and without -0."""
    return (np.round(values, 12) + 0.0).tolist()


def write_usd(
    robot: Robot, path: str | Path, comment: str = "", filtered_pairs: Iterable[tuple[str, str]] = ()
) -> None:
    """Write the robot as a USD with flat bodies.

    Args:
        robot: The robot.
        path: File to write; ``.usda`` gives text.
        comment: Provenance, stored as the layer's comment.
        filtered_pairs: Pairs of bodies that do not collide with each other, such as those of :func:`overlaps`: where
            simple shapes overlap in every stance, self-collisions would tear the robot apart.
    """
    from pxr import Gf, Sdf, Usd, UsdGeom, UsdPhysics

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    layer = Sdf.Layer.CreateAnonymous(path.suffix or ".usda")
    layer.comment = comment
    stage = Usd.Stage.Open(layer)
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdPhysics.SetStageKilogramsPerUnit(stage, 1.0)
    base = f"/{robot.name}"
    root = UsdGeom.Xform.Define(stage, base)
    stage.SetDefaultPrim(root.GetPrim())
    UsdPhysics.ArticulationRootAPI.Apply(root.GetPrim())

    def quaternion(rotation: np.ndarray) -> Gf.Quatf:
        quat = Gf.Matrix3d(*rotation.T.flatten().tolist()).ExtractRotation().GetQuat()
        values = np.array(_clean(np.array([quat.GetReal(), *quat.GetImaginary()])))
        # of the two that are the same rotation, the one whose first number is positive
        return Gf.Quatf(*_clean(values * np.sign(values[np.flatnonzero(values)[0]])))

    def place(prim: UsdGeom.Xformable, pose: np.ndarray) -> None:
        prim.AddTranslateOp().Set(Gf.Vec3d(*_clean(pose[:3, 3])))
        prim.AddOrientOp().Set(quaternion(pose[:3, :3]))

    for name, pose in link_poses(robot).items():
        link = robot.links[name]
        body = UsdGeom.Xform.Define(stage, f"{base}/{name}")
        place(body, pose)
        UsdPhysics.RigidBodyAPI.Apply(body.GetPrim())
        mass = UsdPhysics.MassAPI.Apply(body.GetPrim())
        moments, axes = principal_axes(link.inertia)
        mass.CreateMassAttr(link.mass)
        mass.CreateCenterOfMassAttr(Gf.Vec3f(*_clean(link.com)))
        mass.CreateDiagonalInertiaAttr(Gf.Vec3f(*(float(f"{moment:.9g}") for moment in moments)))
        mass.CreatePrincipalAxesAttr(quaternion(axes))
        for index, shape in enumerate(link.shapes):
            prim = _define_shape(stage, f"{base}/{name}/collision_{index}", shape)
            place(prim, shape.pose)
            if shape.kind == "box":
                prim.AddScaleOp().Set(Gf.Vec3f(*shape.size))
            prim.CreateDisplayColorAttr([Gf.Vec3f(*shape.color)])
            UsdPhysics.CollisionAPI.Apply(prim.GetPrim())
            if shape.kind == "prism":
                UsdPhysics.MeshCollisionAPI.Apply(prim.GetPrim()).CreateApproximationAttr("convexHull")

    for first, second in filtered_pairs:
        pairs = UsdPhysics.FilteredPairsAPI.Apply(stage.GetPrimAtPath(f"{base}/{first}"))
        pairs.CreateFilteredPairsRel().AddTarget(f"{base}/{second}")

    UsdGeom.Scope.Define(stage, f"{base}/joints")
    for joint in robot.joints:
        _define_joint(stage, base, joint, quaternion)
    layer.Export(str(path))


def _define_shape(stage, path: str, shape: Shape):  # noqa: ANN001, ANN202 - pxr has no type hints
    from pxr import UsdGeom

    if shape.kind == "box":
        prim = UsdGeom.Cube.Define(stage, path)
        prim.CreateSizeAttr(1.0)
        prim.CreateExtentAttr([(-0.5, -0.5, -0.5), (0.5, 0.5, 0.5)])
    elif shape.kind == "sphere":
        prim = UsdGeom.Sphere.Define(stage, path)
        prim.CreateRadiusAttr(shape.size[0])
        r = shape.size[0]
        prim.CreateExtentAttr([(-r, -r, -r), (r, r, r)])
    elif shape.kind == "capsule":
        prim = UsdGeom.Capsule.Define(stage, path)
        radius, length = shape.size
        prim.CreateAxisAttr("Z")
        prim.CreateRadiusAttr(radius)
        prim.CreateHeightAttr(length)
        half = 0.5 * length + radius
        prim.CreateExtentAttr([(-radius, -radius, -half), (radius, radius, half)])
    elif shape.kind == "prism":
        prim = UsdGeom.Mesh.Define(stage, path)
        corners, n = prism_corners(*shape.size), PRISM_SIDES
        # faces counter-clockwise from outside: bottom, top, sides
        faces = [list(range(n - 1, -1, -1)), list(range(n, 2 * n))]
        faces += [[i, (i + 1) % n, n + (i + 1) % n, n + i] for i in range(n)]
        prim.CreatePointsAttr(_clean(corners))
        prim.CreateFaceVertexCountsAttr([len(face) for face in faces])
        prim.CreateFaceVertexIndicesAttr([i for face in faces for i in face])
        prim.CreateExtentAttr(_clean(np.stack([corners.min(axis=0), corners.max(axis=0)])))
        prim.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    else:
        raise ValueError(f"a shape of kind '{shape.kind}' is not written; see replace_cylinder")
    return prim


def _define_joint(stage, base: str, joint: Joint, quaternion) -> None:  # noqa: ANN001
    from pxr import Gf, UsdPhysics

    path = f"{base}/joints/{joint.name}"
    if joint.kind == "fixed":
        prim = UsdPhysics.FixedJoint.Define(stage, path)
        align = np.eye(3)
    else:
        prim = UsdPhysics.RevoluteJoint.Define(stage, path)
        # USD knows the axes X, Y and Z: turn both joint frames such that X is the joint's axis, unless it is one.
        token = next((t for t, e in zip("XYZ", np.eye(3), strict=True) if np.allclose(joint.axis, e)), None)
        align = np.eye(3) if token else _rotation_onto_x(joint.axis)
        prim.CreateAxisAttr(token or "X")
        if math.isfinite(joint.lower):
            prim.CreateLowerLimitAttr(math.degrees(joint.lower))
            prim.CreateUpperLimitAttr(math.degrees(joint.upper))
        drive = UsdPhysics.DriveAPI.Apply(prim.GetPrim(), "angular")
        drive.CreateTypeAttr("force")
        drive.CreateStiffnessAttr(0.0)
        drive.CreateDampingAttr(0.0)
        drive.CreateMaxForceAttr(joint.effort)
    prim.CreateBody0Rel().SetTargets([f"{base}/{joint.parent}"])
    prim.CreateBody1Rel().SetTargets([f"{base}/{joint.child}"])
    prim.CreateLocalPos0Attr(Gf.Vec3f(*_clean(joint.pose[:3, 3])))
    prim.CreateLocalRot0Attr(quaternion(joint.pose[:3, :3] @ align))
    prim.CreateLocalPos1Attr(Gf.Vec3f(0.0, 0.0, 0.0))
    prim.CreateLocalRot1Attr(quaternion(align))


def _rotation_onto_x(axis: np.ndarray) -> np.ndarray:
    """A rotation whose first column is the axis."""
    helper = np.eye(3)[int(np.argmin(np.abs(axis)))]
    second = np.cross(axis, helper)
    second /= np.linalg.norm(second)
    return np.stack([axis, second, np.cross(axis, second)], axis=1)


def write_ground_plane(path: str | Path, extent: int = 20) -> None:
    """Write the offline ground: an infinite collision plane at z = 0, with a grid of lines to see motion by.

    Args:
        path: File to write.
        extent: Distance from the centre up to which there is a line every metre [m].
    """
    from pxr import Gf, Sdf, Usd, UsdGeom, UsdPhysics

    layer = Sdf.Layer.CreateAnonymous(".usda")
    layer.comment = "Ground plane, written by isaaclab_offpolicy (scripts/tools/write_robots.py)."
    stage = Usd.Stage.Open(layer)
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    root = UsdGeom.Xform.Define(stage, "/ground")
    stage.SetDefaultPrim(root.GetPrim())
    plane = UsdGeom.Plane.Define(stage, "/ground/collision")
    plane.CreateAxisAttr("Z")
    plane.CreatePurposeAttr(UsdGeom.Tokens.guide)
    UsdPhysics.CollisionAPI.Apply(plane.GetPrim())
    # lines a hair above the plane, so that they show through
    half, width, height = float(extent), 0.015, 0.001
    points: list[Gf.Vec3f] = []
    for position in range(-extent, extent + 1):
        low, high = position - width, position + width
        points += [Gf.Vec3f(x, y, height) for x, y in ((low, -half), (high, -half), (high, half), (low, half))]
        points += [Gf.Vec3f(x, y, height) for x, y in ((-half, low), (half, low), (half, high), (-half, high))]
    lines = UsdGeom.Mesh.Define(stage, "/ground/lines")
    lines.CreatePointsAttr(points)
    lines.CreateFaceVertexCountsAttr([4] * (len(points) // 4))
    lines.CreateFaceVertexIndicesAttr(list(range(len(points))))
    lines.CreateExtentAttr([Gf.Vec3f(-half, -half, height), Gf.Vec3f(half, half, height)])
    lines.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    lines.CreateDoubleSidedAttr(True)
    lines.CreateDisplayColorAttr([Gf.Vec3f(0.25, 0.3, 0.38)])
    layer.Export(str(path))
