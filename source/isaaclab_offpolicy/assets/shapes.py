# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Collision shapes that engines take well in place of those that they do not.

No cylinder is written. PhysX takes a USD cylinder as a "convex core", whose contact with a terrain's mesh may never
return; :func:`replace_cylinder` says what takes its place.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .model import Shape

PRIMITIVES = ("box", "sphere", "cylinder", "capsule")
"""Shapes of a URDF, and those that a mesh may be replaced by."""

SLENDER = 4.0
"""Length over radius from which on a cylinder becomes a capsule, and not a prism."""

PRISM_SIDES = 16
"""Sides of that prism, which is thinner than the cylinder by 1.9 % of the radius at most: 1 - cos(π / 16)."""


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
