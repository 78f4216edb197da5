# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""What a robot's USD says of its bodies and joints."""

# pxr's type stubs lack most of what it has
# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false, reportCallIssue=false
# pyright: reportArgumentType=false

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class BodyProperties:
    """Mass properties of a body in its own frame."""

    mass: float
    """Mass [kg]."""

    com: np.ndarray
    """Centre of mass [m], shape (3,)."""

    inertia: np.ndarray
    """Inertia about the centre of mass, along the body's axes [kg·m²], shape (3, 3)."""


@dataclass(frozen=True)
class UsdRobot:
    """What a USD says of a robot."""

    bodies: dict[str, BodyProperties]
    """Bodies; the root first."""

    poses: dict[str, np.ndarray]
    """Poses of the bodies at zero joint positions in the root's frame, shape (4, 4) each."""

    limits: dict[str, tuple[float, float]]
    """Limits of the moving joints [rad]."""

    axes: dict[str, np.ndarray]
    """Axes of the moving joints in the root's frame at zero positions, unit vectors of shape (3,)."""


def read_usd(path: str | Path) -> UsdRobot:
    """Read bodies and joints of a robot's USD.

    Raises:
        ValueError: If the file holds no robot.
    """
    from pxr import Gf, Usd, UsdGeom, UsdPhysics

    def rotation_of(quaternion: Gf.Quatf) -> np.ndarray:
        # Gf's matrices are for row vectors
        return np.array(Gf.Matrix3d(Gf.Rotation(Gf.Quatd(quaternion)))).T

    stage = Usd.Stage.Open(str(path))
    cache = UsdGeom.XformCache()
    bodies: dict[str, BodyProperties] = {}
    world: dict[str, np.ndarray] = {}
    limits: dict[str, tuple[float, float]] = {}
    turning: dict[str, tuple[str, np.ndarray]] = {}
    for prim in stage.Traverse():
        if prim.HasAPI(UsdPhysics.RigidBodyAPI):
            api = UsdPhysics.MassAPI(prim)
            axes = rotation_of(api.GetPrincipalAxesAttr().Get())
            moments = np.diag(np.array(api.GetDiagonalInertiaAttr().Get(), dtype=float))
            com = np.array(api.GetCenterOfMassAttr().Get(), dtype=float)
            bodies[prim.GetName()] = BodyProperties(float(api.GetMassAttr().Get()), com, axes @ moments @ axes.T)
            world[prim.GetName()] = np.array(cache.GetLocalToWorldTransform(prim)).T
        elif joint := UsdPhysics.RevoluteJoint(prim):
            low, high = joint.GetLowerLimitAttr().Get(), joint.GetUpperLimitAttr().Get()
            limits[prim.GetName()] = (math.radians(low), math.radians(high))
            local = np.eye(3)["XYZ".index(joint.GetAxisAttr().Get())]
            child, rotation = joint.GetBody1Rel().GetTargets(), rotation_of(joint.GetLocalRot1Attr().Get())
            turning[prim.GetName()] = (child[0].name, rotation @ local)
    if not bodies:
        raise ValueError(f"{path}: no rigid bodies")
    root = np.linalg.inv(next(iter(world.values())))
    poses = {name: root @ pose for name, pose in world.items()}
    axes = {name: poses[child][:3, :3] @ axis for name, (child, axis) in turning.items()}
    return UsdRobot(bodies, poses, limits, axes)
