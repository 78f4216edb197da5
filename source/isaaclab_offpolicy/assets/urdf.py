# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Reads a URDF; links behind fixed joints are merged into their parent."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from .model import Joint, Link, Robot, Shape, transform
from .shapes import SLENDER, fit_mesh, replace_cylinder

MARKER_EXTENT = 2.0e-3
"""Collision shapes not larger than this [m] in any direction mark a frame; they are not written."""

PLACEHOLDER_MASS = 1.0e-5
"""A root link at or below this mass [kg] only marks the floating base (Go1's has 1e-6 kg)."""


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
        if inline is not None:
            red, green, blue, _ = _floats(inline.get("rgba"), 4)
            color = red, green, blue
        else:
            color = named or color
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
