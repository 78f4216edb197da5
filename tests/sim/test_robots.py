# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Every robot in every task on both engines."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pinocchio
import pytest
from commands import TOGETHER, succeed
from pxr import Usd, UsdGeom, UsdPhysics
from write_robots import SOURCES

from isaaclab_offpolicy.assets.check import UrdfModel
from isaaclab_offpolicy.assets.model import Shape
from isaaclab_offpolicy.assets.shapes import prism_corners
from isaaclab_offpolicy.robots import DATA_DIR
from isaaclab_offpolicy.robots.usd import BodyProperties

ENGINES = ("ovphysx", "newton_mjwarp")
TASK_NAMES = {
    "unitree_a1": "Unitree-A1",
    "unitree_go1": "Unitree-Go1",
    "unitree_go2": "Unitree-Go2",
    "anymal_b": "Anymal-B",
    "anymal_c": "Anymal-C",
    "bdx": "BDX",
}
TERRAINS = ("Flat", "Rough")
FEET = {"bdx": ".*_ankle"}
PARTS = {
    "unitree": ("trunk|base", ".*_thigh", ".*_calf", ".*_foot"),
    "anymal": ("base", ".*_THIGH", ".*_SHANK", ".*_FOOT"),
    # the shank of the biped is too short to reach the ground before others do
    "bdx": ("base", ".*_hip_pitch", ".*_ankle"),
}
"""Trunk, thighs, shanks and feet, whose contacts the tasks look at."""

SELF_COLLISIONS = ("anymal_b", "anymal_c")
"""Robots whose bodies touch one another as well, which the sensor reports too."""
JOINTS = {
    "unitree": [f"{leg}_{part}_joint" for part in ("hip", "thigh", "calf") for leg in ("FL", "FR", "RL", "RR")],
    "anymal": [f"{leg}_{part}" for part in ("HAA", "HFE", "KFE") for leg in ("LF", "LH", "RF", "RH")],
}

Probe = Callable[[str, str, str], dict[str, np.ndarray]]


@pytest.fixture(scope="session")
def robot_probe(tmp_path_factory: pytest.TempPathFactory) -> Probe:
    """Runs tests/sim/robot_probe.py, once for the same engine and two robots on both terrains."""

    @cache
    def run(engine: str, robots: tuple[str, ...]) -> Path:
        folder = tmp_path_factory.mktemp("robots")
        tasks = [task_of(terrain, robot) for robot in robots for terrain in TERRAINS]
        program = str(Path(__file__).parent / "robot_probe.py")
        succeed([sys.executable, program, engine, str(folder), *tasks], folder, timeout=550.0)
        return folder

    def look(engine: str, terrain: str, robot: str) -> dict[str, np.ndarray]:
        robots = next(robots for robots in TOGETHER if robot in robots)
        return dict(np.load(run(engine, robots) / f"{task_of(terrain, robot)}.npz"))

    return look


def task_of(terrain: str, robot: str) -> str:
    return f"Isaac-Velocity-{terrain}-{TASK_NAMES[robot]}-v0"


def rotation(quaternion: np.ndarray) -> np.ndarray:
    """Rotation matrix of a quaternion (x, y, z, w)."""
    x, y, z, w = (float(value) for value in quaternion)
    return pinocchio.Quaternion(w, x, y, z).matrix()


@pytest.mark.parametrize("robot", TASK_NAMES)
@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_has_the_robot_of_the_urdf(robot_probe: Probe, engine: str, robot: str) -> None:
    seen = robot_probe(engine, "Flat", robot)
    names = [str(name) for name in seen["bodies"]]
    urdf = UrdfModel(SOURCES[robot].path(robot), names)
    # PhysX and Newton both report inertias along the body's axes
    bodies = {
        name: BodyProperties(float(seen["mass"][i]), seen["com"][i], seen["inertia"][i]) for i, name in enumerate(names)
    }
    difference = urdf.compare(bodies)
    assert difference.total_mass < 1e-3 and difference.mass < 1e-3, "1 g"
    assert difference.com < 1e-4, "0.1 mm"
    assert difference.inertia < 0.01, "1 %"
    joints = [str(name) for name in seen["joints"]]
    assert sorted(joints) == sorted(urdf.joint_names)
    np.testing.assert_allclose(seen["limits"], [urdf.limits(joint) for joint in joints], atol=1e-3)
    assert len(seen["positions"]) == 100
    for positions, poses in zip(seen["positions"], seen["poses"], strict=True):
        reference = urdf.poses(dict(zip(joints, positions, strict=True)))
        root = rotation(poses[0, 3:]).T
        for name, pose in zip(names, poses, strict=True):
            np.testing.assert_allclose(root @ (pose[:3] - poses[0, :3]), reference[name][:3, 3], atol=1e-4)
            np.testing.assert_allclose(root @ rotation(pose[3:]), reference[name][:3, :3], atol=1e-3)


@pytest.mark.parametrize("robot", TASK_NAMES)
@pytest.mark.parametrize("terrain", TERRAINS)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_task_runs_stands_and_trains(robot_probe: Probe, engine: str, terrain: str, robot: str) -> None:
    seen = robot_probe(engine, terrain, robot)
    assert seen["finite"]
    joints = [str(name) for name in seen["joints"]]
    assert joints == [str(name) for name in seen["action_joints"]]
    assert joints == JOINTS.get(robot.partition("_")[0], joints)
    dof = len(joints)
    # base velocities, gravity, command, joints' positions and velocities, last action, height scan
    assert seen["obs_dim"] == 12 + 3 * dof + (187 if terrain == "Rough" else 0)
    assert sorted(str(name) for name in seen["sensed"]) == sorted(str(name) for name in seen["bodies"])
    assert seen["kicked"].max() < 10.0, "motors do not turn a kick of 60 rad/s into an oscillation"
    # the task's own criterion of a fall: contact of the trunk, and for the biped of anything but its feet
    assert seen["falls"] == 0, "stands for 3 s under zero action"
    if terrain == "Flat":
        feet = [i for i, name in enumerate(seen["sensed"]) if re.fullmatch(FEET.get(robot, ".*(foot|FOOT)"), str(name))]
        weight = float(seen["mass"].sum()) * 9.81
        assert seen["forces"][feet].sum() == pytest.approx(weight, rel=0.05), "the feet carry the robot"
    if engine == "ovphysx" or (terrain, robot) == ("Flat", "unitree_a1"):
        assert seen["rsl_rl_sac_cfg_entry_point"] == 2 and seen["rsl_rl_cfg_entry_point"] == 2


@pytest.mark.parametrize("robot", TASK_NAMES)
def test_engines_agree_on_order_and_motion(robot_probe: Probe, robot: str) -> None:
    ovphysx, newton = (robot_probe(engine, "Flat", robot) for engine in ENGINES)
    for key in ("bodies", "joints"):
        assert ovphysx[key].tolist() == newton[key].tolist()
    # the same action in the air, 0.2 s; explicit and implicit integration of the same motors differ a little
    assert np.abs(ovphysx["motion"]).max() > 0.1
    np.testing.assert_allclose(ovphysx["motion"], newton["motion"], atol=0.05)


@pytest.mark.parametrize("cylinders", [False, True])
def test_every_step_on_rough_terrain_returns(cylinders: bool, tmp_path: Path) -> None:
    # with the URDF's cylinders as PhysX takes them unasked it never returned from the 18th
    command = [sys.executable, str(Path(__file__).parent / "rough_probe.py"), "Isaac-Velocity-Rough-Anymal-C-v0", "256"]
    usd = []
    if cylinders:  # as a robot of one's own may have them
        write_with_cylinders(tmp_path / "cylinders.usda")
        usd = [str(tmp_path / "cylinders.usda")]
    assert "RESULT longest step" in succeed([*command, "40", *usd], tmp_path, timeout=550.0)


def write_with_cylinders(path: Path) -> None:
    """ANYmal-C with the cylinders of its URDF."""
    stage = Usd.Stage.Open(str(DATA_DIR / "anymal_c" / "anymal_c.usda"))
    count = 0
    for prim in list(stage.Traverse()):
        if prim.HasAPI(UsdPhysics.MeshCollisionAPI) or prim.IsA(UsdGeom.Capsule):
            (_, _, _), (radius, _, half) = UsdGeom.Boundable(prim).GetExtentAttr().Get()
            prim.RemoveAPI(UsdPhysics.MeshCollisionAPI)
            prim.SetTypeName("Cylinder")
            cylinder = UsdGeom.Cylinder(prim)
            cylinder.CreateAxisAttr("Z")
            cylinder.CreateRadiusAttr(radius)
            cylinder.CreateHeightAttr(2.0 * half)
            count += 1
    assert count == 29
    stage.GetRootLayer().Export(str(path))


def lowest(shapes: Sequence[Shape], poses: np.ndarray) -> np.ndarray:
    """Height of the lowest point of a body above z = 0 [m], shape (...).

    Args:
        shapes: Its shapes.
        poses: Its poses, positions and quaternions (x, y, z, w), shape (..., 7).
    """
    x, y, z, w = np.moveaxis(poses[..., 3:], -1, 0)
    # the world's vertical in the body's frame: the last row of its rotation matrix
    up = np.stack([2.0 * (x * z - w * y), 2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y)], axis=-1)
    heights = []
    for shape in shapes:
        local = up @ shape.pose[:3, :3]
        if shape.kind == "box":
            reach = np.abs(local) @ np.array(shape.size) / 2
        elif shape.kind == "prism":
            reach = (local @ prism_corners(*shape.size).T).max(axis=-1)
        else:
            radius, length = (*shape.size, 0.0)[:2]
            reach = radius + np.abs(local[..., 2]) * length / 2
        heights.append(poses[..., 2] + up @ shape.pose[:3, 3] - reach)
    return np.min(heights, axis=0)


@pytest.mark.parametrize("robot", TASK_NAMES)
@pytest.mark.parametrize("engine", ENGINES)
def test_what_touches_the_ground_is_reported(robot_probe: Probe, engine: str, robot: str) -> None:
    seen = robot_probe(engine, "Flat", robot)
    forces, poses, names = seen["tumble_forces"], seen["tumble_poses"], [str(name) for name in seen["sensed"]]
    links = SOURCES[robot].read(robot).links
    parts = PARTS[robot.partition("_")[0]]
    touching, reported = dict.fromkeys(parts, 0), dict.fromkeys(parts, 0)
    pressed, pressed_and_reported = 0, 0
    for i, name in enumerate(names):
        if not links[name].shapes:
            continue
        height, force = lowest(links[name].shapes, poses[:, :, i]), forces[:, :, i] > 0.1
        assert np.quantile(height, 0.001) > -0.02, f"{name} is on the ground, not in it"
        pressed += int((height < -2e-4).sum())
        pressed_and_reported += int((force & (height < -2e-4)).sum())
        if robot not in SELF_COLLISIONS:
            assert force[height > 0.02].mean() < 0.002, f"{name} is reported in the air"
        for part in (part for part in parts if re.fullmatch(part, name)):
            touching[part] += int((height < 5e-4).sum())
            reported[part] += int((force & (height < 5e-4)).sum())
    assert pressed > 20 and pressed_and_reported > 0.85 * pressed
    trunk, *legs = parts
    # MuJoCo-Warp is slow on the CPU: few robots, whose legs count together
    for which in ([trunk], *([leg] for leg in legs)) if engine == "ovphysx" else ([trunk], legs):
        touch = sum(touching[part] for part in which)
        assert touch > 20, f"{which} hardly touches the ground"
        # a part that lies there may leave its load to the foot beside it
        assert sum(reported[part] for part in which) > 0.5 * touch, which
