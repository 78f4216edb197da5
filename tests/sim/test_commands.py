# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Isaac Lab's own commands with the package merely installed, and the project's scripts."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import kill_after, run, script, stock, stock_training, succeed
from rsl_rl.models import MLPModel
from tensordict import TensorDict

from isaaclab_offpolicy.cli.compare import Length, summarize
from isaaclab_offpolicy.evaluation import read_progress

TASK = "Isaac-Velocity-Flat-Unitree-A1-v0"


def only_run(folder: Path) -> Path:
    (path,) = (folder / "logs" / "rsl_rl" / "unitree_a1_flat").iterdir()
    return path


def test_list_envs_shows_the_tasks(tmp_path: Path) -> None:
    output = succeed([*stock("list_envs"), "--keyword", "Isaac-Velocity-"], tmp_path)
    for robot in ("Unitree-A1", "Unitree-Go1", "Unitree-Go2", "Anymal-B", "Anymal-C", "BDX"):
        for terrain in ("Flat", "Rough"):
            assert f"Isaac-Velocity-{terrain}-{robot}-v0" in output


def test_stock_train_writes_checkpoints_with_the_bounds(trained: Path) -> None:
    run_dir = only_run(trained)
    saved = torch.load(run_dir / "model_3.pt", weights_only=True)
    assert saved["action_bounds"]["joints"]["FL_hip_joint"] == [-1.7517, 1.6792]
    assert saved["num_timesteps"] == 4 * 24 * 32 and saved["num_updates"] > 0
    assert (run_dir / "params" / "agent.yaml").is_file()


def test_a_training_repeats_itself_to_the_bit(trained: Path, tmp_path: Path) -> None:
    succeed(stock_training(), tmp_path)
    first, second = (torch.load(only_run(folder) / "model_3.pt", weights_only=True) for folder in (trained, tmp_path))
    assert first["num_updates"] > 0
    for part in ("actor_state_dict", "critic_state_dict", "critic_optimizer_state_dict"):
        torch.testing.assert_close(first[part], second[part], rtol=0, atol=0)


def test_stock_play_exports_and_films(trained: Path) -> None:
    succeed(
        [
            *stock("play"), "--rl_library", "rsl_rl", "--task", TASK, "--agent", "rsl_rl_sac_cfg_entry_point",
            "--num_envs", "2", "--device", "cpu", "--checkpoint", "latest",
            "--video", "--video_length", "12", "--viz", "newton_gl",
        ],
        trained,
    )  # fmt: skip
    run_dir = only_run(trained)
    (clip,) = (run_dir / "videos" / "play").glob("*.mp4")
    assert clip.stat().st_size > 10_000
    # the exports equal the checkpoint's policy and keep its bounds
    saved = torch.load(run_dir / "model_3.pt", weights_only=True)
    obs = TensorDict({"policy": torch.randn(64, 48) * 2}, batch_size=[64])
    cfg = {"class_name": "isaaclab_offpolicy.algorithms:SquashedGaussianDistribution"}
    actor = MLPModel(
        obs, {"actor": ["policy"]}, "actor", 12, [512, 256, 128], obs_normalization=True, distribution_cfg=cfg
    )
    actor.load_state_dict(saved["actor_state_dict"])
    expected = actor.eval()(obs).detach()
    jit = torch.jit.load(str(run_dir / "exported" / "policy.pt"))
    torch.testing.assert_close(jit(obs["policy"]).detach(), expected, rtol=0, atol=1e-5)
    import onnxruntime

    session = onnxruntime.InferenceSession(run_dir / "exported" / "policy.onnx", providers=["CPUExecutionProvider"])
    onnx = np.concatenate([session.run(None, {"obs": row[None].numpy()})[0] for row in obs["policy"]])
    torch.testing.assert_close(torch.from_numpy(onnx), expected, rtol=0, atol=1e-5)
    low, high = (torch.tensor([b[i] for b in saved["action_bounds"]["joints"].values()]) for i in (0, 1))
    assert (expected >= low).all() and (expected <= high).all()
    assert list(saved["action_bounds"]["joints"]) == jit.deterministic_output.joint_names


def test_a_policy_of_one_engine_plays_on_the_other(trained: Path) -> None:
    checkpoint = only_run(trained) / "model_3.pt"
    output = trained / "newton.json"
    succeed(
        [
            *script("evaluate"), "--task", TASK, "--checkpoint", str(checkpoint), "--episodes", "4", "--device", "cpu",
            "--out", str(output), "physics=newton_mjwarp", "env.episode_length_s=0.6",
        ],
        trained,
    )  # fmt: skip
    result = json.loads(output.read_text())
    assert result["episodes"] == 4 and np.isfinite(result["return_mean"])
    assert "physics=newton_mjwarp" in result["overrides"] and result["clip"] is None


def test_kinds_of_terrain_are_trained_and_evaluated(tmp_path: Path) -> None:
    task, kinds = "Isaac-Velocity-Rough-Unitree-A1-v0", "boxes,pyramid_stairs_inv"
    succeed(
        [
            *script("train"), "--task", task, "--agent", "sac-c51-cpu", "--num_envs", "16", "--device", "cpu",
            "--max_iterations", "2", "--terrain", kinds, "agent.algorithm.backend=eager",
            "agent.algorithm.normalize=all-but-height-scan",
        ],
        tmp_path,
    )  # fmt: skip
    saved = torch.load(next(tmp_path.rglob("model_1.pt")), weights_only=True)["actor_state_dict"]
    mean = saved["obs_normalizer._mean"].flatten()
    assert (mean[-187:] == 0.0).all() and (mean[:-187] != 0.0).any(), "the heights stay as they are"
    result = tmp_path / "result.json"
    output = succeed(
        [
            *script("evaluate"), "--task", task, "--device", "cpu", "--num_envs", "24", "--episodes", "48",
            "--by-terrain", "--terrain", kinds, "--out", str(result), "env.episode_length_s=0.4",
        ],
        tmp_path,
    )  # fmt: skip
    found = json.loads(result.read_text())
    assert found["by_terrain"]["kinds"] == ["pyramid_stairs_inv", "boxes"]
    # the task's ten levels, of which no robot leaves one in 0.4 s; and no command asks for it
    assert found["by_terrain"]["success"] == [[None] * 10] * 2
    assert found["power"] > 0.0 and found["action_rate"] > 0.0 and found["jerk"] > 0.0
    low, high = found["return_ci95"]
    assert low <= found["return_mean"] <= high
    assert "pyramid_stairs_inv" in output and result.with_suffix(".png").exists()


def test_a_policy_is_evaluated_within_a_box(trained: Path) -> None:
    checkpoint = only_run(trained) / "model_3.pt"
    evaluate = [
        *script("evaluate"), "--task", TASK, "--checkpoint", str(checkpoint), "--episodes", "4", "--device", "cpu",
        "--out", "clipped.json", "env.rewards.action_rate_l2.weight=-1000", "env.episode_length_s=0.6", "--clip",
    ]  # fmt: skip
    results = {}
    for box in ("0.0001rad", "joint-limits"):
        succeed([*evaluate, box], trained)
        results[box] = json.loads((trained / "clipped.json").read_text())
        assert results[box]["clip"] == box
    # actions that cannot change cost nothing, and those of a policy that is hardly trained change
    assert results["0.0001rad"]["return_mean"] > results["joint-limits"]["return_mean"] + 10.0
    result = run([*evaluate, "no_such_box"], trained)
    assert result.returncode == 1 and "no_such_box" in result.stderr.splitlines()[-1]
    # the task has percentiles whatever agent is evaluated
    succeed([*evaluate, "percentile"], trained)


def test_a_killed_training_is_resumed_with_a_time_limit(tmp_path: Path) -> None:
    train = [*script("train"), "--task", TASK, "--num_envs", "16", "--device", "cpu"]
    train += ["agent.algorithm.buffer_size=10000", "agent.algorithm.learning_starts=320", "agent.save_interval=1"]
    # some checkpoints beyond the first gradient steps
    kill_after(train, tmp_path, "logs/*/*/*/model_*.pt", 4)
    first = only_run(tmp_path)
    for name in ("bounds.yaml", "versions.json", "command.txt", "progress.csv", "params/agent.yaml", "params/env.yaml"):
        assert (first / name).is_file(), name
    assert json.loads((first / "versions.json").read_text())["isaaclab"] == "3.0.0"
    assert "--num_envs 16" in (first / "command.txt").read_text()
    assert "physics" in (first / "params" / "env.yaml").read_text()
    newest = max(first.glob("model_*.pt"), key=iteration)
    before = torch.load(newest, weights_only=True)
    assert before["num_updates"] > 0

    output = succeed([*train, "--resume", "latest", "--max_time", "4s"], tmp_path)
    assert newest.name in output, "the newest checkpoint, which was written to its end"
    second = max((tmp_path / "logs" / "rsl_rl" / "unitree_a1_flat").iterdir())
    assert second != first
    last = max(second.glob("model_*.pt"), key=iteration)
    with (second / "progress.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert iteration(last) == iteration(newest) + len(rows), "the count of iterations goes on"
    assert int(rows[0]["iteration"]) == iteration(newest) + 1
    # so does the time, but for the limit; both are rounded to a millisecond
    times = [float(row["wall_time_s"]) - before["training"]["wall_time_s"] for row in rows]
    assert times[-1] >= 4.0 - 0.002 and all(time <= 4.0 + 0.002 for time in times[:-1])
    # transitions and normaliser go on: every step's observations, and those of the one reset
    after = torch.load(last, weights_only=True)
    added = after["num_timesteps"] - before["num_timesteps"]
    assert added == 16 * 24 * len(rows)
    counters = [saved["training"]["environment"]["counters"]["common_step_counter"] for saved in (before, after)]
    assert counters[1] - counters[0] == 24 * len(rows)
    count, count_before = (int(saved["critic_obs_normalizer_state_dict"]["count"]) for saved in (after, before))
    assert count - count_before == added + 16


def test_a_run_with_options_of_its_own_is_evaluated_and_resumed_without_repeating_them(tmp_path: Path) -> None:
    train = [*script("train"), "--task", TASK, "--num_envs", "8", "--device", "cpu", "--max_iterations", "1"]
    given = ["agent.actor.hidden_dims=[16,16]", "agent.critic.hidden_dims=[16]", "agent.algorithm.ent_coef=0.01"]
    succeed([*train, *given, "agent.experiment_name=mine", "agent.algorithm.buffer_size=10000"], tmp_path)
    evaluate = [*script("evaluate"), "--task", TASK, "--episodes", "2", "--device", "cpu", "env.episode_length_s=0.4"]
    output = succeed([*evaluate, "agent.experiment_name=mine", "--out", "result.json"], tmp_path)
    assert "as in the run: " in output and "agent.actor.hidden_dims=[16, 16]" in output
    assert "/mine/" in json.loads((tmp_path / "result.json").read_text())["checkpoint"]
    output = succeed([*train, "--resume", "latest", "agent.experiment_name=mine"], tmp_path)
    assert "agent.algorithm.buffer_size=10000" in output and len(list((tmp_path / "logs/rsl_rl/mine").iterdir())) == 2


def iteration(path: Path) -> int:
    return int(path.stem.rpartition("_")[2])


def test_demo_to_its_end(tmp_path: Path) -> None:
    output = succeed(
        [*script("demo"), "--max_time", "3s", "--episodes", "4", "--video_length", "12", "--out", "out"], tmp_path
    )
    for name in ("learning_curve.png", "clip.mp4", "evaluation.json", "train.log"):
        assert (tmp_path / "out" / name).stat().st_size > 100, name
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text())["episodes"] == 4
    assert "[demo] exported policy" in output


def test_trainings_that_begin_together_keep_apart(tmp_path: Path) -> None:
    command = [*script("train"), "--task", TASK, "--num_envs", "16", "--device", "cpu", "--max_iterations", "1"]
    command += ["agent.algorithm.buffer_size=10000"]
    with ThreadPoolExecutor(2) as pool:
        seeds = [[*command, "--seed", seed] for seed in ("1", "2")]
        assert len(list(pool.map(lambda seed: succeed(seed, tmp_path), seeds))) == 2
    runs = sorted((tmp_path / "logs" / "rsl_rl" / "unitree_a1_flat").iterdir())
    assert len(runs) == 2
    for folder in runs:
        assert len(read_progress(folder)["env_steps"]) == 1 and (folder / "model_0.pt").is_file()
    # one that does not begin leaves no folder
    assert run([*command, "--no_such_option"], tmp_path).returncode != 0
    assert sorted((tmp_path / "logs" / "rsl_rl" / "unitree_a1_flat").iterdir()) == runs


def test_compare_writes_curves_and_a_summary_and_repeats_nothing(tmp_path: Path) -> None:
    short, options = (
        "short=ppo:16:env.episode_length_s=0.4",
        ["--max_iterations", "2", "--episodes", "4", "--out", "out"],
    )
    command = [*script("compare"), short, "--seeds", "1", "2", "--jobs", "2", *options, "--checkpoints", "kept"]
    output = succeed(command, tmp_path)
    curves = sorted((tmp_path / "out").glob("*_seed*.csv"))
    for seed, curve in enumerate(curves, start=1):
        assert (tmp_path / "kept" / f"{TASK}_short_seed{seed}.pt").is_file()
        assert f"[compare] {TASK}, short, seed {seed}\n" in output
        steps = read_progress(curve)["env_steps"]
        assert steps.tolist() == [24 * 16, 2 * 24 * 16]
        if hasattr(os, "sched_getaffinity"):
            # each had cores of its own
            threads = json.loads(curve.with_suffix(".json").read_text())["versions"]["torch_threads"]
            assert threads <= max(-(-len(os.sched_getaffinity(0)) // 2), int(os.environ.get("OMP_NUM_THREADS", 1)))
    written = [curve.stat().st_mtime_ns for curve in curves]
    with (tmp_path / "out" / "summary.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert row["agent"] == "short" and np.isfinite(float(row["evaluation_mean"]))
    ends = [read_progress(curve)["mean_return"][-1] for curve in curves]
    assert float(row["return_at_the_end"]) == pytest.approx(np.mean(ends), abs=1e-3)
    assert "million_steps_to_5" in row and "minutes_to_5" not in row
    assert (tmp_path / "out" / "curves.png").is_file()
    assert "is there" in succeed(command, tmp_path)
    # nothing begins after a training that failed; files are found though each training has a folder of its own
    (tmp_path / "mine.yaml").write_text("source: mine\njoints:\n  FL_hip_joint: [-1, 1]\n")
    bad = "bad=sac:16:agent.algorithm.action_bounds=mine.yaml"
    result = run([*script("compare"), bad, short, "--seeds", "3", *options], tmp_path)
    assert result.returncode == 1 and "of the robot has no bounds" in result.stderr
    assert "Traceback" not in result.stderr and result.stderr.count("error:") == 1
    assert sorted((tmp_path / "out").glob("*_seed*.csv")) == curves
    assert [curve.stat().st_mtime_ns for curve in curves] == written


@pytest.mark.parametrize("how", ["as a terminal does", "as kill does"])
def test_an_interrupted_comparison_keeps_no_short_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    command = [*script("compare"), "short=ppo:16", "--seeds", "1", "2", "--max_iterations", "100000", "--out", "out"]
    process = subprocess.Popen(
        command, cwd=tmp_path, start_new_session=True, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        # what runs in the background of a script ignores it, and so would what it starts
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 300.0
        while not list(tmp_path.glob("compare_*/logs/*/*/*/progress.csv")):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
        if how == "as a terminal does":
            os.killpg(process.pid, signal.SIGINT)  # all processes of the command
        else:
            process.terminate()
        _, error = process.communicate(timeout=120.0)
        assert process.returncode == 1 and error.splitlines()[-1].endswith("the same command goes on from them")
        with pytest.raises(ProcessLookupError):
            os.killpg(process.pid, 0)  # no training is left behind
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert list((tmp_path / "out").iterdir()) == [] == list(tmp_path.glob("compare_*"))


def test_the_summary_of_a_comparison_by_the_clock(tmp_path: Path) -> None:
    results = Path(__file__).parents[2] / "docs" / "results" / "a1_flat_bounds"
    for path in [*results.glob("*_seed*.csv"), *results.glob("*_seed*.json")]:
        shutil.copyfile(path, tmp_path / path.name)
    summarize(tmp_path, Length(300.0), "title")
    assert (tmp_path / "summary.csv").read_text() == (results / "summary.csv").read_text()


def test_benchmark_prints_a_row(tmp_path: Path) -> None:
    output = succeed(
        [*script("benchmark"), "simulation", "--num_envs", "16", "--seconds", "1", "--device", "cpu"], tmp_path
    )
    engine, num_envs, rate, *_ = output.splitlines()[-1].split()
    assert (engine, num_envs) == ("ovphysx", "16") and float(rate) > 0.0


def test_benchmark_of_a_training(tmp_path: Path) -> None:
    command = [*script("benchmark"), "training", "--agents", "sac-cpu:agent.algorithm.overlap=true", "--seconds", "1"]
    command += ["--num_envs", "8", "16", "--device", "cpu", "--out", "result.json", "--plot", "plot.png"]
    succeed([*command, "--override", "agent.algorithm.batch_size=64"], tmp_path)
    rows = json.loads((tmp_path / "result.json").read_text())["rows"]
    assert [row["num_envs"] for row in rows] == [8, 16]
    for row in rows:
        assert row["overrides"] == ["agent.algorithm.batch_size=64", "agent.algorithm.overlap=true"]
        rates = [row[name] for name in ("training_per_second", "simulation_per_second", "updates_per_second")]
        assert min(rates) > 0.0 and row["throughput_ratio"] == pytest.approx(rates[0] / rates[1])
        phases = [row[name] for name in ("simulate", "act", "store", "learn")]
        # beside the simulation learning takes none of the loop's time, or what is waited for
        assert min(phases) >= 0.0 and row["simulate"] > 0.0 and sum(phases) <= 1.0
    assert (tmp_path / "plot.png").stat().st_size > 10_000


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_train_on_the_gpu(tmp_path: Path) -> None:
    succeed([*script("train"), "--task", TASK, "--max_time", "20s", "--num_envs", "256"], tmp_path, timeout=600)
    assert (only_run(tmp_path) / "progress.csv").is_file()


@pytest.mark.parametrize(
    ("agent", "folder", "iterations", "save", "last"),
    [("sac", "rsl_rl", 8, 2, 8 * 24 * 16), ("sbx-sac", "sbx", 150, 640, 150 * 16)],
)
def test_a_training_whose_env_step_hangs_goes_on_from_its_checkpoint(
    tmp_path: Path, agent: str, folder: str, iterations: int, save: int, last: int
) -> None:
    if folder == "sbx":
        pytest.importorskip("sbx")
    command = [
        sys.executable, str(Path(__file__).with_name("hanging_command.py")), "train", "--task", TASK, "--agent", agent,
        "--num_envs", "16", "--device", "cpu", "--max_iterations", str(iterations), "--step_limit", "20s",
        "--restarts", "2", "agent.seed=5", f"agent.save_interval={save}",
    ]  # fmt: skip
    result = run(command, tmp_path)
    assert result.returncode == 0, result.stderr[-3000:]
    assert f"(task {TASK}, engine ovphysx, seed 5, environments 16)" in result.stderr
    assert "after env step 99 of this process" in result.stderr and "in hanging" in result.stderr
    seconds = re.search(r"nothing has moved for (\d+) s", result.stderr)
    assert seconds is not None and int(seconds[1]) < 100, "not the time of what is slow"
    first, second = sorted((tmp_path / "logs" / folder).glob("*/2*"))
    assert f"restart 1 of 2, since it hung: from {first}" in result.stderr
    if folder == "sbx":
        assert (second / f"model_{last}.zip").is_file()
    else:
        assert read_progress(second)["env_steps"][-1] == last
