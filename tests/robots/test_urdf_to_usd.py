# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import numpy as np
import pinocchio
import pytest
from pxr import Gf, Sdf, Usd, UsdGeom, UsdPhysics

from isaaclab_offpolicy.robots import DATA_DIR, GROUND_PLANE_USD
from isaaclab_offpolicy.robots.urdf_to_usd import read_urdf, write_ground_plane, write_usd

A1_USD = DATA_DIR / "unitree_a1" / "unitree_a1.usda"


@pytest.fixture(scope="module")
def a1_urdf() -> Path:
    try:
        distribution = importlib.metadata.distribution("example-robot-data")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the package example-robot-data (extra dev) is not installed")
    relative = "cmeel.prefix/share/example-robot-data/robots/a1_description/urdf/a1.urdf"
    return Path(str(distribution.locate_file(relative)))


def test_the_shipped_files_are_what_the_tool_writes(a1_urdf: Path, tmp_path: Path) -> None:
    comment = Sdf.Layer.FindOrOpen(str(A1_USD)).comment
    write_usd(read_urdf(a1_urdf, keep=".*_foot"), tmp_path / "a1.usda", comment)
    assert (tmp_path / "a1.usda").read_text() == A1_USD.read_text()
    write_ground_plane(tmp_path / "ground.usda")
    assert (tmp_path / "ground.usda").read_text() == Path(GROUND_PLANE_USD).read_text()


def test_masses_joints_and_kinematics_are_those_of_the_urdf(a1_urdf: Path) -> None:
    model = pinocchio.buildModelFromUrdf(str(a1_urdf), pinocchio.JointModelFreeFlyer())
    data = model.createData()
    stage = Usd.Stage.Open(str(A1_USD))
    prims = {prim.GetName(): prim for prim in stage.Traverse()}
    bodies = {name: prim for name, prim in prims.items() if prim.HasAPI(UsdPhysics.RigidBodyAPI)}
    assert all(prim.GetParent().GetName() == "a1" for prim in bodies.values()), "flat under the robot's prim"
    mass = sum(UsdPhysics.MassAPI(prim).GetMassAttr().Get() for prim in bodies.values())
    assert mass == pytest.approx(sum(inertia.mass for inertia in model.inertias), abs=1e-3)
    # frames and the centre of mass of the whole robot at zero joint positions
    q = pinocchio.neutral(model)
    pinocchio.centerOfMass(model, data, q)
    pinocchio.updateFramePlacements(model, data)
    cache = UsdGeom.XformCache()
    weighted = np.zeros(3)
    for name, prim in bodies.items():
        pose = np.array(cache.GetLocalToWorldTransform(prim)).T
        frame = data.oMf[model.getFrameId(name)]
        np.testing.assert_allclose(pose[:3, 3], frame.translation, atol=1e-6)
        np.testing.assert_allclose(pose[:3, :3], frame.rotation, atol=1e-6)
        api = UsdPhysics.MassAPI(prim)
        weighted += api.GetMassAttr().Get() * (pose[:3, :3] @ np.array(api.GetCenterOfMassAttr().Get()) + pose[:3, 3])
    np.testing.assert_allclose(weighted / mass, data.com[0], atol=1e-5)
    # limits and axes
    for name in model.names[2:]:
        joint = UsdPhysics.RevoluteJoint(prims[name])
        index = model.joints[model.getJointId(name)].idx_q
        limits = np.radians([joint.GetLowerLimitAttr().Get(), joint.GetUpperLimitAttr().Get()])
        np.testing.assert_allclose(
            limits, [model.lowerPositionLimit[index], model.upperPositionLimit[index]], atol=1e-4
        )
        assert joint.GetAxisAttr().Get() == ("X" if "hip" in name else "Y")


LUMP = """
<robot name="lump">
  <link name="world_frame"/>
  <joint name="root" type="fixed"><parent link="world_frame"/><child link="base"/></joint>
  <link name="base"><inertial><mass value="2"/><inertia ixx="0.1" iyy="0.2" izz="0.3"/></inertial></link>
  <joint name="welded" type="fixed">
    <origin xyz="0.3 0 0" rpy="0 0 1.5707963267948966"/><parent link="base"/><child link="box"/>
  </joint>
  <link name="box">
    <inertial><origin xyz="0.1 0 0"/><mass value="1"/><inertia ixx="0.01" iyy="0.02" izz="0.03"/></inertial>
    <collision><geometry><box size="0.1 0.2 0.3"/></geometry></collision>
  </link>
  <joint name="hinge" type="revolute">
    <origin xyz="0 0 0.5"/><parent link="box"/><child link="arm"/><axis xyz="0 -1 1"/>
    <limit lower="-1" upper="2" effort="5" velocity="7"/>
  </joint>
  <link name="arm"><inertial><mass value="0.5"/><inertia ixx="1e-3" iyy="1e-3" izz="1e-3"/></inertial></link>
</robot>
"""


def test_fixed_links_are_merged_with_mass_and_inertia(tmp_path: Path) -> None:
    (tmp_path / "lump.urdf").write_text(LUMP)
    robot = read_urdf(tmp_path / "lump.urdf")
    assert list(robot.links) == ["base", "arm"] and robot.root == "base"
    base = robot.links["base"]
    # the box's centre of mass lies at (0.3, 0.1, 0) in the base
    np.testing.assert_allclose(base.com, np.array([0.3, 0.1, 0.0]) / 3.0)
    d_base, d_box = -base.com, np.array([0.3, 0.1, 0.0]) - base.com
    expected = np.diag([0.1, 0.2, 0.3]) + np.diag([0.02, 0.01, 0.03])  # the box turned by 90°
    for mass, d in ((2.0, d_base), (1.0, d_box)):
        expected += mass * (d @ d * np.eye(3) - np.outer(d, d))
    np.testing.assert_allclose(base.inertia, expected, atol=1e-12)
    (joint,) = robot.joints
    assert joint.parent == "base"
    np.testing.assert_allclose(joint.pose[:3, 3], [0.3, 0.0, 0.5])
    assert (joint.lower, joint.upper, joint.effort, joint.velocity) == (-1.0, 2.0, 5.0, 7.0)
    # an axis that is none of X, Y and Z becomes the X of both joint frames
    write_usd(robot, tmp_path / "lump.usda")
    stage = Usd.Stage.Open(str(tmp_path / "lump.usda"))
    prim = UsdPhysics.RevoluteJoint(stage.GetPrimAtPath("/lump/joints/hinge"))
    assert prim.GetAxisAttr().Get() == "X"
    quat = prim.GetLocalRot1Attr().Get()
    axis = quat.Transform(Gf.Vec3f(1.0, 0.0, 0.0))
    np.testing.assert_allclose(np.array(axis), np.array([0.0, -1.0, 1.0]) / np.sqrt(2.0), atol=1e-6)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('<box size="0.1 0.2 0.3"/>', '<mesh filename="a.stl"/>', "not a primitive"),
        ('type="revolute"', 'type="planar"', "joint 'hinge': type 'planar'"),
        ('<parent link="box"/><child link="arm"/>', '<parent link="arm"/><child link="arm"/>', "tree"),
    ],
)
def test_what_cannot_be_converted_is_said(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in LUMP
    (tmp_path / "bad.urdf").write_text(LUMP.replace(old, new))
    with pytest.raises(ValueError, match=message):
        read_urdf(tmp_path / "bad.urdf")
