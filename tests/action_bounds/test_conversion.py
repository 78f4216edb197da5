# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Bounds between tasks: action scales, default poses, sides and robots."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from write_robots import SOURCES

from isaaclab_offpolicy.action_bounds import ActionBounds, BoundsError, find_bounds
from isaaclab_offpolicy.action_bounds.roles import Role, joint_role, transfer
from isaaclab_offpolicy.action_bounds.symmetry import mirror_joints
from isaaclab_offpolicy.assets.check import UrdfModel
from isaaclab_offpolicy.robots import DATA_DIR
from isaaclab_offpolicy.robots.usd import read_usd

BOUNDS = ActionBounds(("a", "b"), (-1.0, -2.0), (3.0, 0.5), "test", {}, (0.25, 0.5), (0.1, -1.5))


def test_conversion_keeps_the_joint_targets() -> None:
    other = BOUNDS.converted((0.5, 0.2), (0.0, -1.0))
    assert other.low == pytest.approx((-0.3, -7.5)) and other.high == pytest.approx((1.7, -1.25))
    np.testing.assert_allclose(other.targets(), BOUNDS.targets())
    np.testing.assert_allclose(BOUNDS.targets(), [(-0.15, 0.85), (-2.5, -1.25)])
    back = other.converted(BOUNDS.action_scale, BOUNDS.default_pose)
    np.testing.assert_allclose([back.low, back.high], [BOUNDS.low, BOUNDS.high])
    with pytest.raises(BoundsError, match="does not say for which action_scale"):
        replace(BOUNDS, action_scale=None).converted((1.0, 1.0), (0.0, 0.0))


def test_scale_and_pose_are_part_of_a_file(tmp_path: Path) -> None:
    for bounds in (BOUNDS, replace(BOUNDS, action_scale=(0.5, 0.5), default_pose=None)):
        bounds.to_yaml(tmp_path / "bounds.yaml")
        assert ActionBounds.from_yaml(tmp_path / "bounds.yaml") == bounds
    assert "action_scale: 0.5\n" in (tmp_path / "bounds.yaml").read_text(), "one number where all joints have the same"
    assert BOUNDS.reorder(["b", "a"]).action_scale == (0.5, 0.25)


def test_another_scale_or_pose_is_an_error_that_says_what_differs() -> None:
    assert BOUNDS.fitted((0.25, 0.5), (0.1, -1.5)) == BOUNDS
    bare = replace(BOUNDS, action_scale=None, default_pose=None)
    assert bare.fitted((0.25, 0.5), (0.1, -1.5)) == BOUNDS, "a file that does not say is taken as it is"
    with pytest.raises(
        BoundsError, match=r"another action scale: 0.5 rad at joint 'b', where the task has 0.25.*derive"
    ):
        BOUNDS.fitted((0.25, 0.25), (0.1, -1.5))
    with pytest.raises(BoundsError, match=r"another default pose: 0.1 rad at joint 'a', where the task has 0"):
        BOUNDS.fitted((0.25, 0.5), (0.0, -1.5))


@pytest.mark.parametrize(("file", "robot"), [("unitree_a1", "unitree_a1"), ("anymal", "anymal_c")])
def test_symmetric_bounds_are_their_own_mirror_image(file: str, robot: str) -> None:
    bounds = find_bounds(file)
    mirror = mirror_joints(bounds.joint_names, read_usd(DATA_DIR / robot / f"{robot}.usda").axes)
    even = bounds.symmetrized(mirror)
    image_low, image_high = mirror.apply(even.low), mirror.apply(even.high)
    np.testing.assert_allclose(even.low, np.minimum(image_low, image_high))
    np.testing.assert_allclose(even.high, np.maximum(image_low, image_high))
    np.testing.assert_allclose(np.mean(even.low), np.mean(even.symmetrized(mirror).low))
    width = np.subtract(bounds.high, bounds.low)
    np.testing.assert_allclose(np.subtract(even.high, even.low).mean(), width.mean(), atol=1e-12)
    crooked = replace(bounds, default_pose=(0.3, *bounds.default_pose[1:]))
    with pytest.raises(BoundsError, match="default pose is not left-right symmetric"):
        crooked.symmetrized(mirror)


def test_roles_of_joints() -> None:
    assert joint_role("FL_hip_joint") == joint_role("LF_HAA") == joint_role("fl_hx") == Role(True, True, 0)
    assert joint_role("RR_calf_joint") == joint_role("RH_KFE") == Role(False, False, 2)
    assert joint_role("left_knee") is None


def pose_of(robot: str) -> dict[str, float]:
    """Default pose of a quadruped of ours."""
    bounds = find_bounds("anymal" if robot.startswith("anymal") else "unitree_a1")
    return dict(zip(bounds.joint_names, bounds.default_pose or (), strict=True))


@pytest.mark.parametrize("robot", ["anymal_c", "unitree_go2"])
def test_bounds_of_another_robot_move_the_feet_the_same_way(robot: str) -> None:
    source = find_bounds("unitree_a1")
    pose = pose_of(robot)
    usd = read_usd(DATA_DIR / robot / f"{robot}.usda")
    joints, scale = list(usd.limits), 0.5 if robot == "anymal_c" else 0.25
    axes = read_usd(DATA_DIR / "unitree_a1" / "unitree_a1.usda").axes
    target = transfer(source, axes, joints, [scale] * 12, [pose[j] for j in joints], usd.axes)
    # the same room in radians
    rooms = [sorted(np.multiply(np.subtract(b.high, b.low), b.action_scale)) for b in (source, target)]
    np.testing.assert_allclose(*rooms)
    models = {
        "unitree_a1": UrdfModel(SOURCES["unitree_a1"].path("unitree_a1"), [*read_usd_bodies("unitree_a1")]),
        robot: UrdfModel(SOURCES[robot].path(robot), list(usd.bodies)),
    }
    for role in (Role(front, left, part) for front in (True, False) for left in (True, False) for part in range(3)):
        moves = []
        for name, bounds in (("unitree_a1", source), (robot, target)):
            i = next(i for i, joint in enumerate(bounds.joint_names) if joint_role(joint) == role)
            # the foot of that leg, with the joint at the end of the longer reach
            reach = max(bounds.low[i], bounds.high[i], key=abs)
            other = min(bounds.low[i], bounds.high[i], key=abs)
            moves.append([foot_shift(models[name], bounds, i, role, x) for x in (reach, other)])
        (a_far, a_near), (b_far, b_near) = moves
        if role.part == 0:  # abduction: outwards stays outwards
            assert np.sign(a_far[1]) == np.sign(b_far[1])
        elif role.part == 1:  # ANYmal's hind legs are mirrored front to back as a whole
            mirrored = robot == "anymal_c" and not role.front
            assert np.sign(a_far[0]) == (-1.0 if mirrored else 1.0) * np.sign(b_far[0])
        else:  # knee: what stretches the one leg stretches the other
            assert np.sign(a_far[2]) == np.sign(b_far[2])
        assert np.linalg.norm(a_near) < np.linalg.norm(a_far) and np.linalg.norm(b_near) < np.linalg.norm(b_far)


def read_usd_bodies(robot: str) -> list[str]:
    return list(read_usd(DATA_DIR / robot / f"{robot}.usda").bodies)


def foot_shift(model: UrdfModel, bounds: ActionBounds, joint: int, role: Role, action: float) -> np.ndarray:
    """How the foot of a leg moves when one joint leaves the default pose by an action."""
    pose = dict(zip(bounds.joint_names, bounds.default_pose or (), strict=True))
    end, side = ("F" if role.front else "RH"), ("L" if role.left else "R")
    start = model.poses(pose)
    foot = next(
        body
        for body in start
        if body.lower().endswith("foot") and body[0] + body[1] in (f"{end[0]}{side}", f"{side}{end[-1]}")
    )
    moved = model.poses(
        pose | {bounds.joint_names[joint]: pose[bounds.joint_names[joint]] + bounds.action_scale[joint] * action}
    )
    return moved[foot][:3, 3] - start[foot][:3, 3]


def test_robots_without_a_counterpart_are_refused() -> None:
    source = find_bounds("unitree_a1")
    axes = read_usd(DATA_DIR / "unitree_a1" / "unitree_a1.usda").axes
    with pytest.raises(BoundsError, match="role of joint 'left_knee' is not known"):
        transfer(source, axes, ["left_knee"], [0.5], [0.0], {})
    with pytest.raises(BoundsError, match="joint 'FR_hip_joint' has no counterpart among LF_HAA"):
        transfer(source, axes, ["LF_HAA"], [0.5], [0.0], {"LF_HAA": axes["FL_hip_joint"]})
    with pytest.raises(BoundsError, match="turn about different axes"):
        transfer(source, axes, ["LF_HAA"], [0.5], [0.0], {"LF_HAA": axes["FL_calf_joint"]})
