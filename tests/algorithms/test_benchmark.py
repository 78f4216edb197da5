# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""The benchmark of the learner, run for real with small networks."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest
import torch

from environments import LinearQuadraticEnv, ppo_cfg
from isaaclab_offpolicy.benchmarks import command as benchmark
from isaaclab_offpolicy.benchmarks.harness import busy_processes
from isaaclab_offpolicy.benchmarks.learner import RecordProducts, make_learner, products_of
from isaaclab_offpolicy.benchmarks.reference import compare_with_reference, ratios
from isaaclab_offpolicy.benchmarks.rsl_rl_training import measure_training
from isaaclab_offpolicy.benchmarks.worker import measure_learner
from isaaclab_offpolicy.errors import UserError
from isaaclab_offpolicy.runners.rsl_rl import Runner

LEARNERS = ["eager"]
SMALL = {"preset": "sac-cpu", "num_envs": 8, "batch_size": 16, "width": 0.1, "obs_dim": 10, "num_actions": 3,
         "rows": 20, "device": "cpu", "seconds": 0.2}  # fmt: skip


def test_products_are_counted() -> None:
    a, b, bias = torch.randn(3, 4), torch.randn(4, 5), torch.randn(5)
    weight = torch.randn(5, 4, requires_grad=True)
    with RecordProducts() as recorded:
        a @ b
        torch.nn.functional.linear(a, weight, bias).sum().backward()
        torch.bmm(torch.randn(2, 3, 4), torch.randn(2, 4, 5))
    shapes = sorted(tuple(product) for product in recorded.products)
    # the backward pass has the product of the weight's gradient: [5, 3] times [3, 4]
    assert shapes == sorted([(1, 3, 4, 5), (1, 3, 4, 5), (1, 5, 3, 4), (2, 3, 4, 5)])
    assert sum(product.flops for product in recorded.products) == 2 * (3 * 60 + 2 * 60)


def test_products_of_a_gradient_step(train_cfg) -> None:
    """Against a count by hand: forward of actor, targets and critics, backward of the critics."""
    sac = make_learner(train_cfg(batch_size=32), 4, 10, 3, "cpu", rows=20)
    critic, actor = products_of(sac)
    batch, obs, act, hidden = 32, 10, 3, 64
    q = (obs + act) * hidden + hidden * hidden  # the last layer is no matrix product
    pi = obs * hidden + hidden * hidden + hidden * 2 * act
    by_hand = pi + 2 * q * 2 + 2 * q + 2 * hidden * hidden
    assert sum(p.flops for p in critic) == 2 * batch * by_hand
    by_hand = pi + 2 * q + 2 * q + pi + hidden * hidden + hidden * 2 * act
    assert sum(p.flops for p in actor) == 2 * batch * by_hand


def test_the_command_measures_compares_and_plots(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, plot = tmp_path / "result.json", tmp_path / "plot.png"
    command = ["learner", "--learners", *LEARNERS, "--preset", "sac-cpu", "--width", "0.1", "--num_envs", "8"]
    command += ["--rows", "20", "--seconds", "0.3", "--batch_size", "16", "64", "--device", "cpu"]
    benchmark.main([*command, "--rounds", "2", "--out", str(out), "--plot", str(plot)])
    report = json.loads(out.read_text())
    rows = report["rows"]
    assert [(row["batch_size"], row["learner"]) for row in rows] == [(b, name) for b in (16, 64) for name in LEARNERS]
    for row in rows:
        assert row["update_ms"] > 0.0
        for measured in row["rounds"]:
            assert measured["updates_per_second"] == pytest.approx(1000.0 / measured["update_ms"])
    ours = rows[0]
    assert len(ours["rounds"]) == 2 and min(r["update_ms"] for r in ours["rounds"]) <= ours["update_ms"]
    assert min(ours[name] for name in ("insert_gb_s", "gather_gb_s", "copy_gb_s", "act_ms", "gflops")) > 0.0
    assert 0.0 < ours["gemm_fraction"] < 1.5 and ours["critic_ms"] < ours["update_ms"] * 1.5
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert report["versions"]["torch"] and "benchmark.py learner" in report["command"]
    # against itself nothing is worse; against twice the ratio it is
    compare_with_reference(rows, rows, 0.0)
    ours["gemm_fraction"] *= 2.0
    better = tmp_path / "better.json"
    better.write_text(json.dumps(report))
    with pytest.raises(UserError, match=r"slower than the reference: eager, fraction"):
        compare_with_reference(json.loads(out.read_text())["rows"], report["rows"], 0.15)
    with pytest.raises(UserError, match="in common"):
        compare_with_reference(rows, [], 0.15)
    capsys.readouterr()


def test_beside_busy_processes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.json"
    command = ["recording", "--actions", "20000", "--num_actions", "2", "--device", "cpu"]
    benchmark.main([*command, "--beside", "2", "--rounds", "2", "--out", str(out)])
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(
        r"recording beside 2: \d+ % of actions_per_second alone \(\d+ to \d+ in 2 rounds\)", lines[-1]
    ), lines
    rows = json.loads(out.read_text())["rows"]
    assert [row["beside"] for row in rows] == [0, 2] and all(row["actions_per_second"] > 0.0 for row in rows)
    with pytest.raises(UserError, match="--beside does not go with"):
        benchmark.main(["learner", "--batch_size", "1", "2", "--device", "cpu", "--beside", "1", "--plot", "x.png"])
    with busy_processes(2) as processes:
        assert [process.poll() for process in processes] == [None, None], "they run"
    assert all(process.poll() is not None for process in processes), "and are ended"


@pytest.mark.parametrize("agent", ["sac", "ppo"])
def test_a_training_is_measured(train_cfg, agent: str) -> None:
    cfg = train_cfg(learning_starts=64, replay_ratio=1 / 8)
    if agent == "ppo":
        cfg = ppo_cfg()
    env = LinearQuadraticEnv(16)
    env.cfg.compute_final_obs = True  # SAC asks for it, PPO does not
    result = measure_training(Runner(env, cfg, log_dir=None, device="cpu"), 0.3)
    assert result["throughput_ratio"] > 0.0
    assert result["throughput_ratio"] == pytest.approx(result["training_per_second"] / result["simulation_per_second"])
    phases = [result[name] for name in ("simulate", "act", "store", "learn")]
    assert min(phases) > 0.0 and 0.5 < sum(phases) <= 1.0
    assert (result["updates_per_second"] > 0.0) == (agent == "sac") and result["memory_gib"] > 0.1


@pytest.mark.parametrize("learner", ["sbx", "sb3"])
def test_other_learners_are_measured(learner: str) -> None:
    if importlib.util.find_spec("sbx") is None:
        pytest.skip("needs SBX: install isaaclab_offpolicy[sbx]")
    result = measure_learner(learner, **SMALL)
    assert result["updates_per_second"] == pytest.approx(1000.0 / result["update_ms"]) and result["update_ms"] > 0.0


def test_ratios_are_of_the_same_sizes() -> None:
    sizes = {key: value for key, value in SMALL.items() if key != "seconds"}
    rows = [
        {"learner": "eager", **sizes, "update_ms": 2.0, "gemm_fraction": 0.5},
        {"learner": "sbx", **sizes, "update_ms": 3.0},
        {"learner": "sbx", **sizes, "batch_size": 32, "update_ms": 9.0},
    ]
    assert sorted(ratios(rows).values()) == [0.5, 1.5]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["learner", "--learners", "eagre"], "unknown learner 'eagre'; nearest: eager"),
        (["learner", "--reference", "nowhere.json"], "nowhere.json cannot be read"),
        (["learner", "--learners", "cuda-graph", "--device", "cpu"], "'cuda-graph' is for a GPU, and not for cpu"),
        (["training", "--agents", "sac", "ppo:agent.no_such=1"], "no_such"),
        (["training", "--plot", "plot.png"], "needs several values of num_envs"),
        (["learner", "--out", "/dev/null/result.json"], "could not be written"),
        (["simulation", "--task", "Isaac-Velocity-Flat-Unitree-A2-v0"], "Isaac-Velocity-Flat-Unitree-A1-v0"),
    ],
)
def test_bad_options_are_one_line(arguments: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        benchmark.main(arguments)


def test_recording_takes_little_memory_and_comes_close_to_numpy(capsys: pytest.CaptureFixture[str]) -> None:
    benchmark.main(["recording", "--actions", "500000", "--num_actions", "12", "--device", "cpu"])
    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == ["actions", "actions/s", "memory", "[MiB]", "error", "[%]"]
    actions, rate, memory, error = map(float, row.split())
    assert actions == 500_000 and rate > 0.0
    assert memory < 10.0, "the actions alone are 23 MiB"
    assert error < 0.05
