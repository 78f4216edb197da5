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

import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from .inertia import principal_axes
from .model import Joint, Robot, Shape, link_poses
from .shapes import PRISM_SIDES, prism_corners


def write_usd(
    robot: Robot, path: str | Path, comment: str = "", filtered_pairs: Iterable[tuple[str, str]] = ()
) -> None:
    """Write the robot as a USD with flat bodies.

    Args:
        robot: The robot.
        path: File to write; ``.usda`` gives text.
        comment: Provenance, stored as the layer's comment.
        filtered_pairs: Pairs of bodies that do not collide with each other, such as those of :func:`overlaps`: where
            simple shapes overlap in every pose, self-collisions would tear the robot apart.
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


def _clean(values: np.ndarray) -> list:
    """The numbers without the last bits, which depend on the machine's mathematics library, and without -0."""
    return (np.round(values, 12) + 0.0).tolist()


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
