# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Bounds on their way from a trained policy through a file, a training and a checkpoint to the robot's joints."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from bounds_probe import output
from commands import run, script, stock, succeed

from isaaclab_offpolicy.action_bounds import ActionBounds, find_bounds

TASK = "Isaac-Velocity-Flat-Unitree-A1-v0"


ENGINES = ("ovphysx", "newton_mjwarp")
SMALL = ["--task", TASK, "--num_envs", "8"]


@pytest.fixture(scope="module")
def recorded(ppo: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders with bounds.yaml, bounds.png and raw.npz, recorded on each engine."""
    folders = {engine: tmp_path_factory.mktemp(engine) for engine in ENGINES}
    options = {
        "ovphysx": ["--symmetric", "--warm_up", "5", "physics=ovphysx"],
        "newton_mjwarp": ["--actions", "mean", "presets=newton_mjwarp"],
    }
    for engine, folder in folders.items():
        output = succeed(
            [
                *script("record_ppo_actions"), *SMALL, "--checkpoint", ppo, "--steps", "40", "--percentiles", "5", "95",
                "--out", "bounds.yaml", "--raw", "new/raw.npz", *options[engine],
            ],
            folder,
        )  # fmt: skip
        assert "320 actions" in output
    return folders


def test_recorded_bounds_are_the_percentiles_of_the_commanded_actions(recorded: dict[str, Path]) -> None:
    for engine, folder in recorded.items():
        raw = np.load(folder / "new" / "raw.npz")
        assert raw["actions"].shape == (320, 12)
        # PPO's noise at the start is 1
        assert (raw["actions"].std(axis=0) > 0.7).all() == (engine == "ovphysx")
        bounds = ActionBounds.from_yaml(folder / "bounds.yaml")
        assert bounds.info["engine"] == engine and bounds.info["percentiles"] == [5.0, 95.0]
        assert bounds.info["task"] == TASK and len(bounds.info["checkpoint_sha256"]) == 64
        assert bounds.action_scale == (0.25,) * 12
        assert dict(zip(bounds.joint_names, bounds.default_pose or (), strict=True))["RL_thigh_joint"] == 1.0
        by_name = dict(zip(bounds.joint_names, zip(bounds.low, bounds.high, strict=True), strict=True))
        assert (folder / "bounds.png").stat().st_size > 10_000
        if engine != "ovphysx":
            plain = np.percentile(raw["actions"], [5, 95], axis=0).T
            for joint, expected in zip(raw["joint_names"], plain, strict=True):
                assert np.mean(by_name[str(joint)]) == pytest.approx(expected.mean(), abs=0.02)
            continue
        low, high = by_name["FL_hip_joint"]
        assert by_name["FR_hip_joint"] == pytest.approx((-high, -low), abs=1e-6)
        left, right = (raw["actions"][:, list(raw["joint_names"]).index(f"{leg}_calf_joint")] for leg in ("FL", "FR"))
        pooled = np.sort(np.concatenate([left, right]))
        k = len(pooled) // 20
        for value, (below, above) in zip(by_name["FL_calf_joint"], (pooled[k - 1 : k + 1], pooled[-k - 1 : -k + 1]),
                                         strict=True):  # fmt: skip
            assert below - 0.01 < value < above + 0.01


@pytest.mark.parametrize(("source", "engine"), [ENGINES, ENGINES[::-1]])
def test_a_file_of_one_engine_bounds_the_joints_of_another(
    recorded: dict[str, Path], source: str, engine: str, tmp_path: Path
) -> None:
    file = recorded[source] / "bounds.yaml"
    bounds = ActionBounds.from_yaml(file)
    probe = str(Path(__file__).parent / "bounds_probe.py")
    succeed([sys.executable, probe, engine, f"order {engine}", str(file), "out.json"], tmp_path)
    result = json.loads((tmp_path / "out.json").read_text())
    assert result["joints"] != list(bounds.joint_names), "in another order"
    assert set(result["wrapper"]) == set(result["sac"]) == set(bounds.joint_names)
    for i, joint in enumerate(bounds.joint_names):
        # whatever the order and the engine: default pose + scale * (middle + half-range * output)
        middle, half = (bounds.high[i] + bounds.low[i]) / 2, (bounds.high[i] - bounds.low[i]) / 2
        expected = (bounds.default_pose or ())[i] + 0.25 * (middle + half * output(joint))
        assert result["wrapper"][joint] == pytest.approx(expected, abs=1e-6)
        assert result["sac"][joint] == pytest.approx(expected, abs=1e-6)
    # the middle 90 % of the URDF's limits, from the default pose on, in units of 0.25 rad
    limits = {"hip": (-0.802851, 0.802851), "thigh": (-1.047198, 4.188790), "calf": (-2.696534, -0.916298)}
    for joint, pose in zip(bounds.joint_names, bounds.default_pose or (), strict=True):
        low, high = limits[joint.split("_")[1]]
        middle, half = (low + high) / 2, 0.9 * (high - low) / 2
        expected = [(middle - half - pose) / 0.25, (middle + half - pose) / 0.25]
        assert result["joint-limits"][joint] == pytest.approx(expected, abs=1e-4)
    # the published set's left and right, in the middle between each other's mirror images
    published = {"FL_hip": (-2.3, 0.75), "FR_hip": (-0.75, 2.3), "FL_thigh": (-2.05, 1.95), "RR_calf": (-2.1, 2.0)}
    for joint, expected in published.items():
        assert result["symmetric"][f"{joint}_joint"] == pytest.approx(expected, abs=1e-6)


def test_a_checkpoint_needs_no_bounds_file(recorded: dict[str, Path], tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    there.mkdir()
    shutil.copytree(recorded["ovphysx"], here)
    succeed([*script("train"), "--bounds", "bounds.yaml", "--max_iterations", "1", *SMALL], here)
    run_dir = next((here / "logs" / "rsl_rl" / "unitree_a1_flat").iterdir())
    kept = ActionBounds.from_yaml(run_dir / "bounds.yaml")
    original = ActionBounds.from_yaml(here / "bounds.yaml")
    assert kept.reorder(original.joint_names) == original, "with all that was recorded"
    evaluate = [
        *script("evaluate"), "--task", TASK, "--episodes", "8", "--device", "cpu", "--out", "result.json",
        "env.episode_length_s=0.4", "--checkpoint",
    ]  # fmt: skip
    succeed([*evaluate, str(next(run_dir.glob("model_*.pt")))], here)
    before = json.loads((here / "result.json").read_text())
    moved = Path(shutil.move(next(run_dir.glob("model_*.pt")), there / "model_0.pt"))
    shutil.rmtree(here)
    succeed([*evaluate, str(moved)], there)
    after = json.loads((there / "result.json").read_text())
    assert after["return_mean"] == before["return_mean"] and after["return_quartiles"] == before["return_quartiles"]
    # and its export keeps the bounds
    succeed(
        [
            *stock("play"), "--rl_library", "rsl_rl", "--task", TASK, "--agent", "rsl_rl_sac_cpu_cfg_entry_point",
            "--num_envs", "2", "--device", "cpu", "--checkpoint", str(moved),
            "--video", "--video_length", "2", "--viz", "newton_gl",
        ],
        there,
    )  # fmt: skip
    session = onnxruntime.InferenceSession(str(there / "exported" / "policy.onnx"))
    (entry,) = session.get_inputs()
    observations = np.random.default_rng(0).normal(0.0, 100.0, (200, 48)).astype(np.float32)
    actions = np.concatenate([session.run(None, {entry.name: row[None]})[0] for row in observations])
    assert (actions >= np.float32(kept.low)).all() and (actions <= np.float32(kept.high)).all()
    reached = (actions.max(axis=0) - actions.min(axis=0)) / np.subtract(kept.high, kept.low)
    assert np.median(reached) > 0.99, "the whole box, and not a smaller one"


def test_bounds_that_do_not_fit_the_robot(tmp_path: Path) -> None:
    half = find_bounds("unitree_a1")
    half = half.converted((0.5,) * 12, half.default_pose or ())
    half.to_yaml(tmp_path / "half.yaml")
    (tmp_path / "other.yaml").write_text("joints:\n  LF_HAA: [-1, 1]\n")
    messages = {
        "other.yaml": [
            "other.yaml: joint 'FL_hip_joint' of the robot has no bounds", "joint 'LF_HAA' is not a joint of the robot",
        ],
        "half.yaml": ["made for another action scale: 0.5 rad at joint 'FL_hip_joint'", "scripts/bounds.py derive"],
    }  # fmt: skip
    for file, expected in messages.items():
        result = run([*script("train"), *SMALL, "--device", "cpu", "--bounds", file], tmp_path)
        assert result.returncode == 1
        (line,) = [line for line in result.stderr.splitlines() if line.startswith("error:")]
        assert all(message in line for message in expected), line
        assert "Traceback" not in result.stderr + result.stdout


def test_bounds_of_another_scale_are_converted(recorded: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(recorded["ovphysx"], tmp_path, dirs_exist_ok=True)
    original = ActionBounds.from_yaml(tmp_path / "bounds.yaml")
    original.converted((0.5,) * 12, original.default_pose or ()).to_yaml(tmp_path / "half.yaml")
    output = succeed(
        [*script("bounds"), "derive", "--task", TASK, "--source", "half.yaml", "--out", "again.yaml"], tmp_path
    )
    assert "again.yaml" in output
    again = ActionBounds.from_yaml(tmp_path / "again.yaml").reorder(original.joint_names)
    assert again.low == pytest.approx(original.low) and again.high == pytest.approx(original.high)


def test_bounds_derived_from_another_robot(tmp_path: Path) -> None:
    task = "Isaac-Velocity-Flat-Anymal-C-v0"
    succeed(
        [
            *script("bounds"), "derive", "--task", task, "--source", "unitree_a1", "--widen", "1.25", "--symmetric",
            "--out", "anymal.yaml",
        ],
        tmp_path,
    )  # fmt: skip
    bounds = ActionBounds.from_yaml(tmp_path / "anymal.yaml")
    assert bounds.action_scale == (0.5,) * 12 and bounds.info["derived_from"]["source"] == "unitree_a1"
    by_name = dict(zip(bounds.joint_names, zip(bounds.low, bounds.high, strict=True), strict=True))
    # A1's FL_calf [-2.1, 3.4] and FR_calf [-2.4, 3.4], averaged, times 1.25 * 0.25 / 0.5
    assert by_name["LF_KFE"] == by_name["RF_KFE"] == pytest.approx((-2.25 * 0.625, 3.4 * 0.625))
    # ANYmal's hind knees are bent the other way: A1's RL_calf [-2.5, 1.9] and RR_calf [-1.7, 2.1], turned round
    assert by_name["LH_KFE"] == by_name["RH_KFE"] == pytest.approx((-2.0 * 0.625, 2.1 * 0.625))


def test_percentiles_are_checked(ppo: str, tmp_path: Path) -> None:
    result = run([*script("record_ppo_actions"), *SMALL, "--checkpoint", ppo, "--percentiles", "95", "5"], tmp_path)
    assert result.returncode == 1 and "the lower first" in result.stderr
