# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import bdx_description
import numpy as np
import pytest
import trimesh
from pxr import Gf, Sdf, Usd, UsdGeom, UsdPhysics
from write_robots import SOURCES
from write_robots import __file__ as write_robots_file

from isaaclab_offpolicy.assets import urdf
from isaaclab_offpolicy.assets.check import UrdfModel, report
from isaaclab_offpolicy.assets.inertia import principal_axes
from isaaclab_offpolicy.assets.model import Shape, link_poses, overlaps
from isaaclab_offpolicy.assets.shapes import fit_mesh, prism_corners
from isaaclab_offpolicy.assets.urdf import read_urdf
from isaaclab_offpolicy.assets.usd import write_ground_plane, write_usd
from isaaclab_offpolicy.robots import DATA_DIR, GROUND_PLANE_USD
from isaaclab_offpolicy.robots.usd import read_usd

INERTIA = ("physics:diagonalInertia", "physics:principalAxes")


def prims(path: Path) -> dict[str, Any]:
    """What a USD says of each prim: type, schemas, targets of its relations, and attributes."""
    result, stage = {}, Usd.Stage.Open(str(path))
    for prim in stage.Traverse():
        relations = {rel.GetName(): [str(t) for t in rel.GetTargets()] for rel in prim.GetRelationships()}
        attributes = {a.GetName(): a.Get() for a in prim.GetAttributes() if a.HasAuthoredValue()}
        result[str(prim.GetPath())] = (str(prim.GetTypeName()), prim.GetAppliedSchemas(), relations, attributes)
    return result


def assert_same_value(mine: Any, theirs: Any) -> None:
    """Numbers to 1e-6, rotations as rotations, everything else as it is."""
    if isinstance(mine, Gf.Quatf):
        assert abs(Gf.Dot(mine, theirs)) == pytest.approx(1.0, abs=1e-6)
        return
    values = np.asarray(mine)
    if values.dtype.kind in "fiu":
        np.testing.assert_allclose(values, np.asarray(theirs), atol=1e-6, rtol=1e-6)
    else:
        assert mine == theirs


@pytest.mark.parametrize("name", SOURCES)
def test_the_shipped_files_are_what_the_tool_writes(name: str, tmp_path: Path) -> None:
    shipped = DATA_DIR / name / f"{name}.usda"
    source = SOURCES[name]
    robot = source.read(name)
    pairs = sorted(overlaps(robot) | overlaps(robot, source.stance))
    write_usd(robot, tmp_path / "robot.usda", Sdf.Layer.FindOrOpen(str(shipped)).comment, pairs)
    written, expected = prims(tmp_path / "robot.usda"), prims(shipped)
    assert list(written) == list(expected)
    for path, (kind, schemas, relations, attributes) in written.items():
        assert (kind, schemas, relations) == expected[path][:3]
        theirs = expected[path][3]
        assert set(attributes) == set(theirs)
        for attribute in set(attributes) - set(INERTIA):
            assert_same_value(attributes[attribute], theirs[attribute])
    # of two equal moments the axes are anybody's: what counts is the tensor
    bodies = read_usd(shipped).bodies
    for body, mine in read_usd(tmp_path / "robot.usda").bodies.items():
        scale = np.linalg.norm(bodies[body].inertia)
        np.testing.assert_allclose(mine.inertia, bodies[body].inertia, rtol=0.0, atol=1e-6 * scale)
    assert {path.name for path in shipped.parent.iterdir()} >= {"LICENSE.txt", "PROVENANCE.md"}


@pytest.mark.parametrize("name", [*SOURCES, "ground_plane"])
def test_no_shipped_file_has_a_cylinder_or_a_cone(name: str) -> None:
    path = DATA_DIR / name / f"{name}.usda" if name in SOURCES else Path(GROUND_PLANE_USD)
    assert {kind for kind, *_ in prims(path).values()} & {"Cylinder", "Cylinder_1", "Cone"} == set()


NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


def test_the_shipped_ground_and_biped_are_what_the_tool_writes(tmp_path: Path) -> None:
    write_ground_plane(tmp_path / "ground.usda")
    assert (tmp_path / "ground.usda").read_text() == Path(GROUND_PLANE_USD).read_text()
    bdx_description.write(tmp_path / "bdx.urdf")
    written, shipped = ((f / "bdx.urdf").read_text() for f in (tmp_path, DATA_DIR / "bdx"))
    assert NUMBER.sub("", written) == NUMBER.sub("", shipped)
    # sines and roots have other last digits elsewhere
    mine, theirs = (np.array(NUMBER.findall(text), dtype=float) for text in (written, shipped))
    np.testing.assert_allclose(mine, theirs, rtol=2e-5, atol=1e-9)


INERTIAS = {
    "three equal": np.diag([2.0, 2.0, 2.0]),
    "two equal": np.diag([1.0, 3.0, 3.0]),
    "two equal, turned": np.array([[2.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 3.0]]),
    "two equal along a diagonal": np.eye(3) - np.ones((3, 3)) / 6.0,
    "at 45 degrees": np.array([[2.0, 0.5, 0.0], [0.5, 2.0, 0.0], [0.0, 0.0, 4.0]]),
    "small": np.diag([1e-6, 2e-6, 3e-6]),
    "all different": np.array([[3.0, 0.2, -0.1], [0.2, 2.0, 0.3], [-0.1, 0.3, 1.0]]),
}


@pytest.mark.parametrize("name", INERTIAS)
def test_principal_axes_are_the_same_whatever_the_eigendecomposition_gives(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    inertia = INERTIAS[name]
    moments, axes = principal_axes(inertia)
    np.testing.assert_allclose(axes @ np.diag(moments) @ axes.T, inertia, rtol=0.0, atol=1e-9 * inertia.max())
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-12)
    assert np.linalg.det(axes) == pytest.approx(1.0)
    # as near to the body's axes as they can be: no other order or signs are nearer
    assert np.trace(axes) >= 0.99
    eigh, rng = np.linalg.eigh, np.random.default_rng(0)

    def another_machine(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Other signs, other last bits, and other axes in the plane of equal moments."""
        values, vectors = eigh(matrix + 1e-16 * matrix.max() * rng.normal(size=(3, 3)))
        for i in (0, 1):
            if values[i + 1] - values[i] < 1e-9 * values[-1]:
                angle = rng.uniform(0.0, 2.0 * np.pi)
                c, s = np.cos(angle), np.sin(angle)
                vectors[:, i : i + 2] = vectors[:, i : i + 2] @ np.array([[c, -s], [s, c]])
        return values, vectors * rng.choice([-1.0, 1.0], 3)

    monkeypatch.setattr(np.linalg, "eigh", another_machine)
    for _ in range(100):
        other_moments, other_axes = principal_axes(inertia)
        np.testing.assert_allclose(other_moments, moments, rtol=1e-9)
        np.testing.assert_allclose(other_axes, axes, atol=1e-7)


def support(shape: Shape, directions: np.ndarray) -> np.ndarray:
    """How far a shape reaches in directions of its link's frame [m], shape (D,)."""
    local, center = directions @ shape.pose[:3, :3], directions @ shape.pose[:3, 3]
    if shape.kind == "prism":
        return center + (local @ prism_corners(*shape.size).T).max(axis=1)
    radius, length = shape.size
    if shape.kind == "cylinder":
        return center + radius * np.hypot(local[:, 0], local[:, 1]) + length / 2 * np.abs(local[:, 2])
    assert shape.kind == "capsule"
    return center + radius + length / 2 * np.abs(local[:, 2])


@pytest.mark.parametrize("name", [name for name in SOURCES if name != "bdx"])
def test_what_takes_a_cylinders_place_reaches_as_far(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    replaced = SOURCES[name].read(name)
    monkeypatch.setattr(urdf, "replace_cylinder", lambda shape, slender: shape)
    original = SOURCES[name].read(name)
    axes = np.concatenate([np.eye(3), -np.eye(3)])
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(1000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    count = 0
    for link, before in original.links.items():
        for old, new in zip(before.shapes, replaced.links[link].shapes, strict=True):
            if old.kind != "cylinder":
                assert (new.kind, new.size) == (old.kind, old.size)
                continue
            count += 1
            # along the link's axes, and along the shape's own
            for frame in (axes, axes @ old.pose[:3, :3].T):
                np.testing.assert_allclose(support(new, frame), support(old, frame), atol=0.0015)
            # in any direction: prisms within 1.9 % of the radius, the ends of capsules 0.41 radii of thin tubes
            lost = support(old, directions) - support(new, directions)
            assert lost.min() > -1e-9, "nowhere farther out than the cylinder"
            assert lost.max() < (0.0073 if new.kind == "capsule" else 0.0018)
    assert count == {"unitree_a1": 8, "unitree_go1": 16, "anymal_b": 24, "anymal_c": 29, "unitree_go2": 0}[name]


@pytest.mark.parametrize("name", SOURCES)
def test_a_shipped_robot_is_that_of_its_urdf(name: str) -> None:
    robot = read_usd(DATA_DIR / name / f"{name}.usda")
    urdf = UrdfModel(SOURCES[name].path(name), list(robot.bodies))
    difference = urdf.compare(robot.bodies)
    # Go1's root marker of 1 mg is left out
    assert difference.total_mass < 1e-4 and difference.mass < 1e-4
    assert difference.com < 1e-6 and difference.inertia < 1e-3
    assert sorted(robot.limits) == sorted(urdf.joint_names)
    for joint, limits in robot.limits.items():
        np.testing.assert_allclose(limits, urdf.limits(joint), atol=1e-4)
    for body, pose in urdf.poses({}).items():
        np.testing.assert_allclose(robot.poses[body], pose, atol=1e-6)
    stage = Usd.Stage.Open(str(DATA_DIR / name / f"{name}.usda"))
    for prim in stage.Traverse():
        if prim.HasAPI(UsdPhysics.RigidBodyAPI):
            assert prim.GetParent() == stage.GetDefaultPrim(), "flat under the robot's prim"


def test_a_wrong_mass_or_frame_is_noticed(tmp_path: Path) -> None:
    source = SOURCES["anymal_c"]
    robot = source.read("anymal_c")
    robot.links["LF_SHANK"].mass += 0.01
    robot.links["LF_HIP"].com = robot.links["LF_HIP"].com + np.array([0.0, 0.002, 0.0])
    robot.links["RF_FOOT"].inertia = 1.05 * robot.links["RF_FOOT"].inertia
    write_usd(robot, tmp_path / "robot.usda")
    bodies = read_usd(tmp_path / "robot.usda").bodies
    difference = UrdfModel(source.path("anymal_c"), list(bodies)).compare(bodies)
    assert difference.mass == pytest.approx(0.01, rel=1e-3)
    assert difference.com == pytest.approx(0.002, rel=1e-3)
    assert difference.inertia == pytest.approx(0.05, rel=1e-3)


def test_the_biped_is_symmetric_and_of_the_published_size() -> None:
    robot = SOURCES["bdx"].read("bdx")
    assert robot.mass == pytest.approx(15.4)
    poses = link_poses(robot)
    for name, link in robot.links.items():
        if not name.startswith("left_"):
            continue
        other = robot.links[name.replace("left", "right")]
        mirror = np.diag([1.0, -1.0, 1.0])
        np.testing.assert_allclose(mirror @ link.com, other.com, atol=1e-12)
        np.testing.assert_allclose(mirror @ link.inertia @ mirror, other.inertia, atol=1e-9)
    tops, bottoms = [], []
    for name, pose in poses.items():
        for shape in robot.links[name].shapes:
            world = pose @ shape.pose
            half = (
                shape.size[2] / 2 if shape.kind == "box" else shape.size[0] + abs(world[2, 2]) * sum(shape.size[1:]) / 2
            )
            tops.append(world[2, 3] + half)
            bottoms.append(world[2, 3] - half)
    assert max(tops) - min(bottoms) == pytest.approx(0.66, abs=0.02), "about 0.66 m tall"


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
        ('<box size="0.1 0.2 0.3"/>', '<mesh filename="a.stl"/>', "no file"),
        ('<box size="0.1 0.2 0.3"/>', '<mesh filename="package://other/a.stl"/>', "where is the package 'other'"),
        ('<box size="0.1 0.2 0.3"/>', "<plane/>", "<plane> is not supported"),
        ('<axis xyz="0 -1 1"/>', '<axis xyz="0 0 0"/>', "joint 'hinge': its axis is zero"),
        ('<robot name="lump">', '<mujoco name="lump">', "not a URDF|not XML"),
        ('type="revolute"', 'type="planar"', "joint 'hinge': type 'planar'"),
        ('<parent link="box"/><child link="arm"/>', '<parent link="arm"/><child link="arm"/>', "tree"),
    ],
)
def test_what_cannot_be_converted_is_said(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in LUMP
    (tmp_path / "bad.urdf").write_text(LUMP.replace(old, new))
    with pytest.raises(ValueError, match=message):
        read_urdf(tmp_path / "bad.urdf")


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_mesh_becomes_a_primitive_of_its_extents(axis: int) -> None:
    extents = np.roll([0.1, 0.04, 0.06], axis)
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) * extents + 0.5
    kind, size, pose = fit_mesh(corners, "box")
    assert kind == "box" and size == pytest.approx(tuple(extents))
    np.testing.assert_allclose(pose[:3, 3], 0.5 + extents / 2)
    _, size, _ = fit_mesh(corners, "sphere")
    assert size == pytest.approx((0.03,)), "the middle extent is the diameter"
    for kind, length in (("cylinder", 0.1), ("capsule", 0.05)):
        _, size, pose = fit_mesh(corners, kind)
        assert size == pytest.approx((0.025, length)), "caps are within the length"
        np.testing.assert_allclose(np.abs(pose[:3, 2]), np.eye(3)[axis], atol=1e-12)  # along the longest extent
        assert np.linalg.det(pose[:3, :3]) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="'cone' is not one of box"):
        fit_mesh(corners, "cone")


def test_meshes_are_read_scaled_and_chosen_by_link(tmp_path: Path) -> None:
    import trimesh

    trimesh.creation.box((1.0, 2.0, 4.0)).export(tmp_path / "a.stl")
    text = LUMP.replace('<box size="0.1 0.2 0.3"/>', '<mesh filename="package://pkg/a.stl" scale="0.1 0.1 0.1"/>')
    (tmp_path / "mesh.urdf").write_text(text)
    robot = read_urdf(tmp_path / "mesh.urdf", keep="box", packages={"pkg": tmp_path})
    (shape,) = robot.links["box"].shapes
    assert shape.kind == "box" and shape.size == pytest.approx((0.1, 0.2, 0.4))
    robot = read_urdf(tmp_path / "mesh.urdf", keep="box", packages={"pkg": tmp_path}, meshes={"b.x": "capsule"})
    assert robot.links["box"].shapes[0].kind == "capsule"


TWINS = """
<robot name="twins">
  <link name="base"><inertial><mass value="1"/><inertia ixx="1" iyy="1" izz="1"/></inertial>
    <collision><geometry><box size="0.2 0.2 0.2"/></geometry></collision></link>
  <joint name="a" type="revolute"><parent link="base"/><child link="upper"/><axis xyz="0 1 0"/>
    <limit lower="-3" upper="3" effort="1" velocity="1"/></joint>
  <link name="upper"><inertial><mass value="1"/><inertia ixx="1" iyy="1" izz="1"/></inertial></link>
  <joint name="b" type="revolute"><origin xyz="0.3 0 0"/><parent link="upper"/><child link="lower"/><axis xyz="0 1 0"/>
    <limit lower="-3" upper="3" effort="1" velocity="1"/></joint>
  <link name="lower"><inertial><mass value="1"/><inertia ixx="1" iyy="1" izz="1"/></inertial>
    <collision><origin xyz="0.18 0 0"/><geometry><cylinder radius="0.05" length="0.2"/></geometry></collision></link>
</robot>
"""


def test_bodies_that_overlap_in_a_stance_do_not_collide(tmp_path: Path) -> None:
    (tmp_path / "twins.urdf").write_text(TWINS)
    robot = read_urdf(tmp_path / "twins.urdf")
    assert overlaps(robot) == {}
    folded = overlaps(robot, {"b": np.pi})
    assert list(folded) == [("base", "lower")]
    # folded back, the cylinder reaches from x = 0.3 - 0.15 + 0.05 m to 0.07 m; the box's face is at 0.1 m
    assert folded["base", "lower"] == pytest.approx(0.03, abs=1e-4)
    write_usd(robot, tmp_path / "twins.usda", filtered_pairs=folded)
    stage = Usd.Stage.Open(str(tmp_path / "twins.usda"))
    rel = UsdPhysics.FilteredPairsAPI(stage.GetPrimAtPath("/twins/base")).GetFilteredPairsRel()
    assert [str(target) for target in rel.GetTargets()] == ["/twins/lower"]


def test_no_cylinder_is_left(tmp_path: Path) -> None:
    (tmp_path / "twins.urdf").write_text(TWINS)
    (shape,) = read_urdf(tmp_path / "twins.urdf").links["lower"].shapes
    assert shape.kind == "capsule" and shape.size == pytest.approx((0.05, 0.1)), "a slender one"
    (tmp_path / "disc.urdf").write_text(TWINS.replace('length="0.2"', 'length="0.15"'))
    robot = read_urdf(tmp_path / "disc.urdf")
    (shape,) = robot.links["lower"].shapes
    assert shape.kind == "prism" and shape.size == pytest.approx((0.05, 0.15))
    (shape,) = read_urdf(tmp_path / "disc.urdf", slender=2.9).links["lower"].shapes
    assert shape.kind == "capsule" and shape.size == pytest.approx((0.05, 0.05))
    # one that would be thicker than long stays what it is
    (tmp_path / "coin.urdf").write_text(TWINS.replace('length="0.2"', 'length="0.02"'))
    (shape,) = read_urdf(tmp_path / "coin.urdf", slender=0.0).links["lower"].shapes
    assert shape.kind == "prism" and shape.size == pytest.approx((0.05, 0.02))

    write_usd(robot, tmp_path / "disc.usda")
    stage = Usd.Stage.Open(str(tmp_path / "disc.usda"))
    prim = UsdGeom.Mesh(stage.GetPrimAtPath("/twins/lower/collision_0"))
    counts = np.array(prim.GetFaceVertexCountsAttr().Get())
    faces = np.split(np.array(prim.GetFaceVertexIndicesAttr().Get()), np.cumsum(counts)[:-1])
    triangles = [(face[0], *pair) for face in faces for pair in itertools.pairwise(face[1:])]
    mesh = trimesh.Trimesh(np.array(prim.GetPointsAttr().Get()), triangles)
    # a closed surface whose faces look outwards: its volume is positive, and that of a regular prism
    assert mesh.is_watertight and mesh.is_convex
    assert mesh.volume == pytest.approx(8 * np.sin(np.pi / 8) * 0.05**2 * 0.15, rel=1e-5)
    assert UsdPhysics.MeshCollisionAPI(prim.GetPrim()).GetApproximationAttr().Get() == "convexHull"
    # what was made by hand is not written either
    robot.links["lower"].shapes[0].kind = "cylinder"
    with pytest.raises(ValueError, match="'cylinder' is not written"):
        write_usd(robot, tmp_path / "cylinder.usda")


def test_the_command_line_tool_converts_and_reports(tmp_path: Path) -> None:
    tool = Path(write_robots_file).with_name("urdf_to_usd.py")
    urdf = SOURCES["unitree_go2"].path("unitree_go2")
    command = [sys.executable, str(tool), str(urdf), str(tmp_path / "go2.usda")]
    done = subprocess.run(
        [*command, "--mesh", ".*_foot=sphere", "--stance", ".*_thigh_joint=0.8", ".*_calf_joint=-1.5"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "total mass 16.0850 kg" in done.stdout and "17 bodies, 19 shapes" in done.stdout
    assert "self-collision: base and FL_thigh overlap by 11.6 mm" in done.stdout
    assert "default pose: root 0.311 m above the lowest foot" in done.stdout
    assert read_usd(tmp_path / "go2.usda").bodies
    for arguments, message in (
        (["--mesh", "foot=cone"], "'cone' is not one of"),
        (["--stance", "a=b"], "'b' is not an angle"),
        (["--slender", "1"], "--slender is at least 2, not 1"),
        ([], ""),
    ):
        bad = [*command, *arguments] if message else [sys.executable, str(tool), "nothing.urdf", "out.usda"]
        done = subprocess.run(bad, capture_output=True, text=True, check=False)
        assert done.returncode != 0 and (message or "error: no URDF 'nothing.urdf'") in done.stderr


def test_a_report_sets_both_side_by_side() -> None:
    source = SOURCES["bdx"]
    text = report(source.path("bdx"), DATA_DIR / "bdx" / "bdx.usda", {"left_knee": 2.0}, feet=".*_ankle")
    assert "total mass 15.4000 kg" in text
    assert "default pose: outside the limits: left_knee" in text
