# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import re
from pathlib import Path

import pytest

from isaaclab_offpolicy.action_bounds import ActionBounds, BoundsError, available_bounds, resolve_bounds
from isaaclab_offpolicy.action_bounds.files import DATA_DIR

LEGS = ("FL", "FR", "RL", "RR")
A1_JOINTS = [f"{leg}_{part}_joint" for part in ("hip", "thigh", "calf") for leg in LEGS]


def write(path: Path, joints: str) -> Path:
    path.write_text(f"source: test\njoints:\n{joints}")
    return path


def test_published_a1_bounds_are_in_physx_order_with_the_published_numbers() -> None:
    bounds = resolve_bounds("unitree_a1", A1_JOINTS)
    assert "unitree_a1" in available_bounds()
    assert list(bounds.joint_names) == A1_JOINTS
    assert bounds.low == (-2.0, -0.4, -2.6, -1.3, -2.2, -1.9, -0.7, -0.4, -2.1, -2.4, -2.5, -1.7)
    assert bounds.high == (1.1, 2.6, 0.7, 1.9, 1.3, 2.6, 3.4, 3.8, 3.4, 3.4, 1.9, 2.1)


@pytest.mark.parametrize("robot", ["Unitree-A1", "Unitree-Go1", "Unitree-Go2", "Anymal-B", "Anymal-C", "BDX"])
def test_measured_bounds_are_symmetric_and_of_a_policy_that_moves(robot: str) -> None:
    name = f"{robot.replace('-', '_').lower()}_flat"
    measured = ActionBounds.from_yaml(DATA_DIR / f"{name}.yaml")
    assert measured.info["task"] == f"Isaac-Velocity-Flat-{robot}-v0" and measured.info["samples"] == 256_000
    box = dict(zip(measured.joint_names, zip(measured.low, measured.high, strict=True), strict=True))
    # by roll and yaw a leg's mirror image moves the other way, by pitch the same
    turned = re.compile("hip_joint|HAA|yaw|roll")
    for joint, (low, high) in box.items():
        left, right = (r"^left", "right") if robot == "BDX" else (r"^(F|R|)L", r"\1R")
        mirrored = re.sub(left, right, joint)
        if re.match("left|head|neck|.?L", joint):  # in the middle it is its own image
            assert box[mirrored] == ((-high, -low) if turned.search(joint) else (low, high))
    if published := {"Unitree": "unitree_a1", "Anymal": "anymal"}.get(robot.split("-")[0]):
        other = resolve_bounds(published, measured.joint_names)
        assert (measured.action_scale, measured.default_pose) == (other.action_scale, other.default_pose)
    # of a policy that stands there would be its noise alone: at most 0.37 units, 95 % of which lie within 1.45
    assert min(high - low for low, high in box.values()) > 1.7


def test_reordering_goes_by_name() -> None:
    leg_by_leg = [f"{leg}_{part}_joint" for leg in LEGS for part in ("hip", "thigh", "calf")]
    bounds = resolve_bounds("unitree_a1", leg_by_leg)
    assert bounds.low[:3] == (-2.0, -2.2, -2.1)  # FL: hip, thigh, calf
    assert bounds.reorder(A1_JOINTS) == resolve_bounds("unitree_a1", A1_JOINTS)


def test_files_round_trip(tmp_path: Path) -> None:
    bounds = ActionBounds(("a", "b"), (-1.0, 0.5), (0.25, 2.0), "by hand")
    bounds.to_yaml(tmp_path / "bounds.yaml")
    assert ActionBounds.from_yaml(tmp_path / "bounds.yaml") == bounds
    assert ActionBounds.from_dict(bounds.to_dict()) == bounds


def test_a_number_is_a_symmetric_box_and_a_factor_widens_it() -> None:
    assert resolve_bounds(3, ["a", "b"]).high == (3.0, 3.0)
    assert resolve_bounds("1.5", ["a"]).low == (-1.5,)
    assert resolve_bounds(2.0, ["a"], scale=1.25).high == (2.5,)


@pytest.mark.parametrize(
    ("joints", "message"),
    [
        ("  a: [-1, 1]\n", "joint 'b' of the robot has no bounds"),
        ("  a: [-1, 1]\n  b: [-1, 1]\n  c: [-1, 1]\n", "joint 'c' is not a joint of the robot"),
        ("  a: [-1, 1]\n  b: [-1, 1]\n  a: [-2, 2]\n", "'a' is given twice"),
        ("  a: [1, 1]\n  b: [-1, 1]\n", "joint 'a': low 1.0 is not below high 1.0"),
        ("  a: [-1, 1]\n  b: [2, -2]\n", "joint 'b': low 2.0 is not below high -2.0"),
        ("  a: [-1, .nan]\n  b: [-1, 1]\n", "joint 'a': high nan is not finite"),
        ("  a: [-.inf, 1]\n  b: [-1, 1]\n", "joint 'a': low -inf is not finite"),
        ("  a: [-1, 0, 1]\n  b: [-1, 1]\n", "joint 'a': expected [low, high]"),
        ("  a: 1\n  b: [-1, 1]\n", "joint 'a': expected [low, high]"),
        ("  a: [x, 1]\n  b: [-1, 1]\n", "joint 'a': 'x' is not a number"),
        ("  1: [-1, 1]\n  b: [-1, 1]\n", "joint name 1 is not text"),
        ("  a: !!python/object/apply:os.getcwd []\n", "not valid YAML"),
        ("  a: [-1, 1\n", "not valid YAML"),
    ],
)
def test_a_bad_file_is_refused_with_file_and_joint(tmp_path: Path, joints: str, message: str) -> None:
    path = write(tmp_path / "bad.yaml", joints)
    with pytest.raises(BoundsError) as error:
        resolve_bounds(str(path), ["a", "b"])
    assert str(path) in str(error.value)
    assert message in str(error.value)


def test_other_unusable_files(tmp_path: Path) -> None:
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(BoundsError, match="expected a mapping 'joints'"):
        ActionBounds.from_yaml(tmp_path / "list.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(BoundsError, match="UTF-8"):
        ActionBounds.from_yaml(tmp_path / "binary.yaml")
    with pytest.raises(BoundsError, match="unitree_a1"):
        resolve_bounds("unitree_a2", A1_JOINTS)
    with pytest.raises(BoundsError, match="finite positive"):
        resolve_bounds("nan", ["a"])
    with pytest.raises(BoundsError, match="2 values of 'low' for 1 joints"):
        ActionBounds(("a",), (0.0, 0.0), (1.0,))


def test_bounds_of_a_policy_are_checked_against_the_task() -> None:
    policy = ActionBounds(("a", "b"), (-1.0, 0.5), (0.25, 2.0), "PPO", {}, (0.25, 0.25), (0.1, -1.5))
    task = ActionBounds.symmetric(["a", "b"], 1.0)
    assert policy.of_policy_for(task) == policy, "whose scale and pose are not known"
    assert policy.of_policy_for(task.fitted((0.25, 0.25), (0.1, -1.5))) == policy
    others = {
        "another action scale: 0.25 rad at joint 'b', where the task has 0.5; give the task the policy's (env.actions":
            task.fitted((0.25, 0.5), (0.1, -1.5)),
        "another default pose: 0.1 rad at joint 'a', where the task has 0.2": task.fitted((0.25, 0.25), (0.2, -1.5)),
        "in another order (a, b) than the task's (b, a); set robot.joint_ordering": task.reorder(["b", "a"]),
        "other joints: joint 'c' of the robot has no bounds; joint 'b' is not a joint":
            ActionBounds.symmetric(["a", "c"], 1.0),
    }  # fmt: skip
    for message, other in others.items():
        with pytest.raises(BoundsError, match=re.escape(message)):
            policy.of_policy_for(other)


def test_joint_limits_as_bounds() -> None:
    bounds = ActionBounds.from_joint_limits(["a", "b"], [(-1.0, 2.0), (-3.0, -0.5)], [0.5, -1.5], [0.25, 0.5])
    # target = default + scale * action reaches exactly the limits
    assert bounds.low == (-6.0, -3.0) and bounds.high == (6.0, 2.0)
    with pytest.raises(BoundsError, match="joint 'a' has no position limits; give bounds as ±X"):
        ActionBounds.from_joint_limits(["a"], [(-float("inf"), 1.0)], [0.0], [1.0])
    for scale in (0.0, -0.5, float("nan")):
        with pytest.raises(BoundsError, match="joint 'a': action scale"):
            ActionBounds.from_joint_limits(["a"], [(-1.0, 1.0)], [0.0], [scale])
    with pytest.raises(BoundsError, match="is not below high"):
        ActionBounds.from_joint_limits(["a"], [(1.0, -1.0)], [0.0], [1.0])


def test_bounds_around_the_default_pose_are_the_reach_over_the_scale() -> None:
    bounds = ActionBounds.around_default_pose(["a", "b"], 0.3, [0.1, -0.8], [0.5, 0.25])
    assert bounds.high == pytest.approx((0.6, 1.2)) and bounds.low == pytest.approx((-0.6, -1.2))
    assert bounds.targets() == [pytest.approx((-0.2, 0.4)), pytest.approx((-1.1, -0.5))]
    for reach in (0.0, -0.3, float("inf"), float("nan")):
        with pytest.raises(BoundsError, match="finite positive"):
            ActionBounds.around_default_pose(["a"], reach, [0.0], [1.0])
    assert ActionBounds.around_default_pose(["a"], 1e-3, [0.0], [1.0]).high == (1e-3,)


def test_a_factor_grows_bounds_about_action_zero() -> None:
    bounds = ActionBounds(("a", "b"), (-1.0, 0.5), (0.25, 2.0), "by hand")
    larger = bounds.scaled(1.25)
    assert larger.low == (-1.25, 0.625) and larger.high == (0.3125, 2.5) and larger.source == "by hand × 1.25"
    assert bounds.scaled(0.5).high == (0.125, 1.0)
    assert bounds.scaled(1.0) is bounds
    for factor in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(BoundsError, match="finite positive"):
            bounds.scaled(factor)


@pytest.mark.parametrize(
    ("low", "high", "fits"),
    [
        (1000.0, 1000.002, True), (1000.0, 1000.0005, False), (-1000.0, -999.9995, False), (-0.0005, 0.0005, True),
        (0.0, 1.1e-30, True), (0.0, 0.9e-30, False), (1.0, 1.0, False), (-1e30, 1e30, True), (0.0, 1.1e30, False),
    ],
)  # fmt: skip
def test_bounds_are_apart_and_finite_in_single_precision(low: float, high: float, fits: bool) -> None:
    if fits:
        assert ActionBounds(("a",), (low,), (high,)).high == (high,)
    else:
        with pytest.raises(BoundsError, match="joint 'a'"):
            ActionBounds(("a",), (low,), (high,))


def test_scales_are_positive() -> None:
    with pytest.raises(BoundsError, match=r"joint 'b': action_scale 0\.0 is not positive"):
        ActionBounds(("a", "b"), (-1.0, -1.0), (1.0, 1.0), action_scale=(0.5, 0.0), default_pose=(0.0, 0.0))


def test_what_a_file_says_besides_is_kept(tmp_path: Path) -> None:
    names = ("a", "b")
    one = ActionBounds(names, (-1.0, 0.5), (0.25, 2.0), "by hand", {"samples": 7}, (0.5, 0.5), (0.1, 0.2))
    assert one.to_dict()["action_scale"] == 0.5 and one.to_dict()["default_pose"] == {"a": 0.1, "b": 0.2}
    one.to_yaml(tmp_path / "bounds.yaml")
    again = ActionBounds.from_yaml(tmp_path / "bounds.yaml")
    assert again == one and again.info == {"samples": 7}
    assert "info" not in ActionBounds(names, (-1.0, 0.5), (0.25, 2.0)).to_dict()
