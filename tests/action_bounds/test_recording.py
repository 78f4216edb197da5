# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from write_robots import SOURCES

from isaaclab_offpolicy.action_bounds import ActionBounds, BoundsError, resolve_bounds
from isaaclab_offpolicy.action_bounds.recording import ActionRecorder
from isaaclab_offpolicy.action_bounds.symmetry import Mirror, mirror_joints, mirrored_name
from isaaclab_offpolicy.assets.check import UrdfModel
from isaaclab_offpolicy.robots import DATA_DIR
from isaaclab_offpolicy.robots.usd import read_usd

REFLECTION = np.diag([1.0, -1.0, 1.0])


@pytest.mark.parametrize("robot", SOURCES)
def test_a_mirrored_pose_is_the_mirror_image(robot: str) -> None:
    usd = read_usd(DATA_DIR / robot / f"{robot}.usda")
    joints = list(usd.limits)
    mirror = mirror_joints(joints, usd.axes)
    assert [mirror.index[i] for i in mirror.index] == list(range(len(joints))), "twice is none"
    urdf = UrdfModel(SOURCES[robot].path(robot), list(usd.bodies))
    rng = np.random.default_rng(0)
    for _ in range(5):
        q = rng.uniform(-0.5, 0.5, len(joints))
        image = np.array(mirror.sign) * q[list(mirror.index)]
        poses, images = (urdf.poses(dict(zip(joints, x, strict=True))) for x in (q, image))
        for body in usd.bodies:
            other = mirrored_name(body, list(usd.bodies))
            np.testing.assert_allclose(images[other][:3, 3], REFLECTION @ poses[body][:3, 3], atol=1e-3)


def test_joints_without_an_image_are_named() -> None:
    x, y = np.eye(3)[0], np.eye(3)[1]
    with pytest.raises(BoundsError, match="axis of joint 'FR_hip' is not known"):
        mirror_joints(["FL_hip", "FR_hip"], {"FL_hip": x})
    with pytest.raises(BoundsError, match="no left and right joints are known by their names among hip1, hip2"):
        mirror_joints(["hip1", "hip2"], {"hip1": y, "hip2": y})
    with pytest.raises(BoundsError, match="'FL_hip' and 'FR_hip' are no mirror images"):
        mirror_joints(["FL_hip", "FR_hip"], {"FL_hip": x, "FR_hip": y})
    names = ["FL_hip", "neck", "FR_hip", "roll"]
    mirror = mirror_joints(names, dict(zip(names, (x, y, x, x), strict=True)))
    assert mirror == Mirror((2, 1, 0, 3), (-1.0, 1.0, -1.0, -1.0))
    mirror.check_pose(names, (0.1, 0.5, -0.1, 0.0))
    with pytest.raises(BoundsError, match=r"default pose is not left-right symmetric \(joint 'FL_hip'\)"):
        mirror.check_pose(names, (0.1, 0.5, 0.1, 0.0))


@pytest.mark.parametrize(
    ("left", "right", "sign"),
    [
        ((0.6, 0.8, 0.0), (-0.6, 0.8, 0.0), 1.0),
        ((0.6, 0.8, 0.0), (0.6, -0.8, 0.0), -1.0),
        ((0.0, 0.8, 0.6), (0.0, 0.8, -0.6), 1.0),
        ((0.6, 0.0, 0.8), (0.6, 0.0, 0.8), -1.0),
    ],
)
def test_axes_that_are_oblique_are_mirrored(left: tuple, right: tuple, sign: float) -> None:
    axes = {"FL_hip": np.array(left), "FR_hip": np.array(right)}
    assert mirror_joints(["FL_hip", "FR_hip"], axes) == Mirror((1, 0), (sign, sign))


@pytest.mark.parametrize("axis", range(3))
def test_axes_that_are_30_degrees_apart_are_no_images(axis: int) -> None:
    left = np.eye(3)[axis]
    right = np.cos(np.pi / 6) * left + np.sin(np.pi / 6) * np.eye(3)[(axis + 1) % 3]
    with pytest.raises(BoundsError, match="no mirror images"):
        mirror_joints(["FL_hip", "FR_hip"], {"FL_hip": left, "FR_hip": right})


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("FL_hip_joint", "FR_hip_joint"), ("LH_HAA", "RH_HAA"), ("fl_hx", "fr_hx"), ("left_hip_yaw", "right_hip_yaw"),
        ("hip_abduction_left", "hip_abduction_right"), ("L_Left_toe", "L_Right_toe"),
    ],
)  # fmt: skip
def test_sides_are_told_by_names(left: str, right: str) -> None:
    names = [left, right, "torso_joint"]
    assert [mirrored_name(name, names) for name in names] == [right, left, "torso_joint"]


def test_recorded_bounds_are_the_percentiles_of_the_actions(tmp_path: Path) -> None:
    torch.manual_seed(0)
    names = ["FL_hip", "FR_hip", "FL_thigh", "FR_thigh", "tail"]
    actions = torch.randn(20_000, 5) * torch.tensor([1.0, 0.5, 2.0, 2.0, 1e-4]) + torch.tensor(
        [1.0, 0.2, 0.0, 1.0, 0.3]
    )
    recorder = ActionRecorder(names)
    for batch in actions.split(500):
        recorder.add(batch)
    bounds = recorder.bounds((2.5, 97.5), "test", {"task": "T"})
    low, high = np.percentile(actions.numpy(), [2.5, 97.5], axis=0)
    np.testing.assert_allclose(bounds.low[:4], low[:4], atol=0.02)
    np.testing.assert_allclose(bounds.high[:4], high[:4], atol=0.02)
    assert bounds.high[4] - bounds.low[4] == pytest.approx(0.1, abs=1e-3), "a joint that hardly moves gets some room"
    assert bounds.info["samples"] == 20_000 and bounds.info["task"] == "T"
    assert bounds.info["share_outside"]["FL_thigh"] == pytest.approx(0.05, abs=5e-3)
    # the file holds all of it, and is found by its joints in any order
    bounds.to_yaml(tmp_path / "recorded.yaml")
    read = ActionBounds.from_yaml(tmp_path / "recorded.yaml")
    assert read == bounds
    assert resolve_bounds(str(tmp_path / "recorded.yaml"), names[::-1]).low == bounds.low[::-1]
    recorder.plot(tmp_path / "recorded.png", bounds, {"tail": (0.0, 1.0)}, "title")
    assert (tmp_path / "recorded.png").stat().st_size > 10_000
    with pytest.raises(BoundsError, match="the lower first"):
        recorder.bounds((97.5, 2.5))


def test_a_picture_has_no_teeth_where_its_bars_are_not_whole_bins() -> None:
    recorder = ActionRecorder(["joint"], bins=256)
    recorder.add(torch.linspace(-1.0, 1.0, 100_001).unsqueeze(-1))
    counts, edges = recorder._coarse(0, -0.9, 0.9)
    assert len(counts) == 120 and (edges[0], edges[-1]) == (-0.9, 0.9)
    assert counts.max() < 1.02 * counts.min() and counts.sum() == pytest.approx(90_000, rel=1e-3)


def test_symmetric_bounds_pool_both_sides() -> None:
    torch.manual_seed(0)
    names = ["FL_hip", "FR_hip", "FL_thigh", "FR_thigh", "tail"]
    actions = torch.randn(20_000, 5) + torch.tensor([1.0, 0.2, 0.0, 1.0, 0.3])
    mirror = Mirror((1, 0, 3, 2, 4), (-1.0, -1.0, 1.0, 1.0, -1.0))
    recorder = ActionRecorder(names, mirror)
    recorder.add(actions)
    bounds = recorder.bounds((2.5, 97.5))
    low, high = np.array(bounds.low), np.array(bounds.high)
    assert (low[0], high[0]) == (-high[1], -low[1])
    assert (low[2], high[2]) == (low[3], high[3])
    assert low[4] == -high[4]
    pooled = np.concatenate([actions[:, 0].numpy(), -actions[:, 1].numpy()])
    np.testing.assert_allclose((low[0], high[0]), np.percentile(pooled, [2.5, 97.5]), atol=0.02)
    assert bounds.info["symmetric"] is True


def test_info_of_a_file_is_a_mapping(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("joints: {a: [0, 1]}\ninfo: 3\n")
    with pytest.raises(BoundsError, match="'info' is a mapping, not 3"):
        ActionBounds.from_yaml(tmp_path / "bad.yaml")
