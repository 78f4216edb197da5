# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from isaaclab_offpolicy.agents import overrides
from isaaclab_offpolicy.agents.registry import find_agent, load_tasks
from isaaclab_offpolicy.cli import compare, evaluate, play, train
from isaaclab_offpolicy.cli import main as cli_main
from isaaclab_offpolicy.cli.checkpoints import find_policy
from isaaclab_offpolicy.errors import UserError
from isaaclab_offpolicy.options import duration
from isaaclab_offpolicy.training.runs import new_run

TASK = "Isaac-Velocity-Flat-Unitree-A1-v0"


def message(call, *args, **kwargs) -> str:
    with pytest.raises(UserError) as error:
        call(*args, **kwargs)
    text = str(error.value)
    assert text and "\n" not in text
    return text


@pytest.mark.parametrize("main", [train.main, play.main, evaluate.main])
def test_unknown_names_get_the_nearest_ones(main) -> None:
    assert f"nearest: {TASK}" in message(main, ["--task", "Isaac-Velocity-Flat-A1-v0"])
    assert TASK in message(main, ["--task", "Isaac-Velocity-Flat-Unitree-A1"])
    assert "Isaac-Velocity-Rough-Unitree-A1-v0" in message(main, ["--task", "isaac-velocity-rough-unitree-a1-v1"])
    assert "nearest: sac" in message(main, ["--task", TASK, "--agent", "sacc"])
    assert "--task is missing" in message(main, [])


def test_unknown_engine_and_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "nearest: newton_mjwarp" in message(train.main, ["--task", TASK, "--device", "cpu", "physics=newton"])
    assert "ovphysx" in message(train.main, ["--task", TASK, "--device", "cpu", "physics=physics"])
    assert "cpu, cuda" in message(train.main, ["--task", TASK, "--device", "gpu"])
    if not torch.cuda.is_available():
        assert "needs CUDA" in message(train.main, ["--task", TASK, "--device", "cuda:0"])


def test_a_task_without_the_agent_says_which_it_has() -> None:
    assert "has no agent 'sac'; it has: ppo" in message(find_agent, "Isaac-Reorient-Cube-Shadow", "sac")


def test_engine_follows_the_device() -> None:
    load_tasks()
    assert overrides.engine_overrides(TASK, "cpu", []) == ["physics=ovphysx"]
    assert overrides.engine_overrides(TASK, "cuda:0", ["env.x=1"]) == ["env.x=1", "physics=newton_mjwarp"]
    assert overrides.engine_overrides(TASK, "cpu", ["physics=newton_mjwarp"]) == ["physics=newton_mjwarp"]
    assert overrides.engine_overrides(TASK, "cpu", ["presets=nucleus,newton_mjwarp"]) == [
        "presets=nucleus,newton_mjwarp"
    ]
    assert overrides.engine_overrides(TASK, "cpu", ["presets=nucleus"])[1] == "physics=ovphysx"


def test_checkpoints_and_their_agents_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cpu, gpu, ppo = "rsl_rl_sac_cpu_cfg_entry_point", "rsl_rl_sac_cfg_entry_point", "rsl_rl_cfg_entry_point"
    assert str(tmp_path / "logs") in message(find_policy, "latest", TASK)
    runs = {}
    for day, library, experiment, agent, suffix in (
        ("01", "rsl_rl", "unitree_a1_flat", cpu, "pt"),
        ("02", "rsl_rl", "unitree_a1_flat", cpu, "pt"),
        ("03", "rsl_rl", "mine", ppo, "pt"),
        ("04", "rsl_rl", "unitree_a1_flat", gpu, "pt"),
        ("05", "sbx", "unitree_a1_flat", "sbx_sac_cfg_entry_point", "zip"),
    ):
        runs[day] = run = tmp_path / "logs" / library / experiment / f"2026-01-{day}"
        run.mkdir(parents=True)
        manifest = {
            "version": 1, "library": library, "task": TASK, "created_at": f"2026-01-{day}T00:00:00+00:00",
            "metadata": {"agent": agent},
        }  # fmt: skip
        (run / "run.json").write_text(json.dumps(manifest))
        if day != "04":  # whose first checkpoint is yet to come
            for name in (f"model_5.{suffix}", f"model_10.{suffix}", f"best.{suffix}"):
                (run / name).touch()

    def found(*args: str, **options: str) -> tuple[str, str]:
        path, agent = find_policy(*args, **options)
        return path, agent.name

    if importlib.util.find_spec("sbx") is not None:
        assert found("latest", TASK) == (str(runs["05"] / "model_10.zip"), "sbx-sac"), "whatever it was trained with"
        assert found("best", TASK) == (str(runs["05"] / "best.zip"), "sbx-sac")
    for agent in ("sac", "sac-cpu", cpu):
        assert found("latest", TASK, agent) == (str(runs["02"] / "model_10.pt"), "sac-cpu")
    assert found("best", TASK, "sac") == (str(runs["02"] / "best.pt"), "sac-cpu")
    assert found("latest", TASK, experiment="mine") == (str(runs["03"] / "model_10.pt"), "ppo")
    assert found(str(runs["01"]), TASK) == (str(runs["01"] / "model_10.pt"), "sac-cpu")
    assert found(str(runs["01"] / "model_5.pt"), TASK, "sac") == (str(runs["01"] / "model_5.pt"), "sac-cpu")
    text = message(find_policy, str(runs["01"] / "model_5.pt"), TASK, "ppo")
    assert "was trained with agent 'sac-cpu', and not with 'ppo'" in text
    # a task that has no such agent; and a run of which only the best one is left
    other = "Isaac-Reorient-Cube-Shadow"
    assert f"which task '{other}' does not have" in message(find_policy, str(runs["01"] / "model_5.pt"), other)
    for name in ("model_5.pt", "model_10.pt"):
        (runs["02"] / name).unlink()
    assert found("best", TASK, "sac") == (str(runs["02"] / "best.pt"), "sac-cpu")
    assert found("latest", TASK, "sac") == (str(runs["01"] / "model_10.pt"), "sac-cpu")
    text = message(find_policy, "latest", TASK, "sac-gpu")
    assert text.endswith("there are runs of: --agent ppo, --agent sac-cpu, --agent sbx-sac")
    assert "no checkpoint 'nothing.pt'" in message(find_policy, "nothing.pt", TASK)
    assert "no checkpoint model_N.pt" in message(find_policy, str(tmp_path), TASK)
    # a file of which no run tells anything has the agent that was given, or the device's
    (tmp_path / "model.pt").touch()
    assert found("model.pt", TASK, "ppo")[1] == "ppo"
    assert (
        found("model.pt", TASK, device="cpu")[1] == "sac-cpu"
        and found("model.pt", TASK, device="cuda:0")[1] == "sac-gpu"
    )


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("10m", 600), ("1.5h", 5400)])
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "5", "-5m", "10 minutes", "0s", "nan"])
def test_bad_durations(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="not a duration"):
        duration(text)


def test_overrides_that_stand_together() -> None:
    text = "agent.seed=2,agent.actor.hidden_dims=[64,64],env.commands.base_velocity.ranges.lin_vel_x=(-1.0,1.0)"
    first, second, third = overrides.separate_overrides(text)
    assert (first, second) == ("agent.seed=2", "agent.actor.hidden_dims=[64,64]") and third.endswith("(-1.0,1.0)")
    assert overrides.separate_overrides("") == []
    item = compare.entry(f"name=sac:16:{text}")
    assert item.overrides == (first, second, third)


def test_files_are_found_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("")
    assert compare.absolute("agent.action_bounds=mine.yaml") == f"agent.action_bounds={tmp_path / 'mine.yaml'}"
    for other in ("agent.action_bounds=percentile", "--task", f"agent.x={'y' * 5000}"):
        assert compare.absolute(other) == other


def test_bounds_are_for_sac(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "--bounds is for SAC" in message(train.main, ["--task", TASK, "--agent", "ppo", "--bounds", "2"])


def test_a_checkpoint_that_does_not_fit_gives_one_line(tmp_path: Path) -> None:
    from isaaclab_offpolicy.runners.rsl_rl import load_checkpoint

    (tmp_path / "text.pt").write_text("not a checkpoint")
    text = message(load_checkpoint, torch.jit.load, str(tmp_path / "text.pt"))
    assert "text.pt is not a checkpoint of this agent and task" in text
    small, large = torch.nn.Linear(2, 2), torch.nn.Linear(3, 2)
    assert "size mismatch" in message(
        load_checkpoint, lambda path: large.load_state_dict(small.state_dict()), "model.pt"
    )


@pytest.fixture
def forwarded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Runs a command up to the point where it hands over to Isaac Lab; gives what it hands over."""
    monkeypatch.chdir(tmp_path)

    def call(module, argv: list[str]) -> tuple[list[str], dict]:
        seen: list = []
        monkeypatch.setattr(module, "run", lambda command, **kwargs: seen.append((list(command), kwargs)))
        module.main(argv)
        return seen[0]

    return call


def test_what_train_hands_over(forwarded) -> None:
    command, options = forwarded(train, ["--task", TASK, "--device", "cpu", "--max_time", "2m"])
    assert options == {"max_time": 120.0, "verbose": False, "step_limit": None}
    assert re.fullmatch(r"\d{4}(-\d\d){2}_\d\d(-\d\d){2}", command.pop(command.index("--run_timestamp") + 1))
    assert command == [
        "--task", TASK, "--agent", "rsl_rl_sac_cpu_cfg_entry_point", "--device", "cpu", "--num_envs", "256",
        "agent.device=cpu", "physics=ovphysx", "--run_timestamp",
    ]  # fmt: skip
    # ranks of one training share the folder that they were told
    command, _ = forwarded(train, ["--task", TASK, "--device", "cpu", "--run_timestamp", "now"])
    assert command.count("--run_timestamp") == 1
    command, _ = forwarded(
        train,
        [
            "--task", TASK, "--agent", "sac-gpu", "--device", "cpu", "--num_envs", "8", "--bounds", "2", "--video",
            "physics=newton_mjwarp", "--seed", "3", "--run_name", "lr=1", "agent.algorithm.n_steps=5",
        ],
    )  # fmt: skip
    assert command[3] == "rsl_rl_sac_cfg_entry_point"
    assert command[command.index("--viz") + 1] == "newton_gl"
    assert command[command.index("--run_name") + 1] == "lr=1"
    assert [item for item in command if item.startswith("physics=")] == ["physics=newton_mjwarp"]
    assert {"agent.algorithm.action_bounds=2", "agent.algorithm.n_steps=5", "agent.device=cpu"} <= set(command)


def test_what_a_restart_hands_over(forwarded, tmp_path: Path) -> None:
    torch.save({"iter": 1}, tmp_path / "model_1.pt")
    given = ["--task", TASK, "--agent", "sac-cpu", "--device", "cpu", "--bounds", "2", "--run_timestamp", "now"]
    again = ["--resume", "latest", "--step_limit", "5m", "--restarts", "3"]
    again += ["--restarted_from", str(tmp_path / "model_1.pt"), "--max_iterations", "7"]
    command, options = forwarded(train, [*given, *again])
    assert options["step_limit"] == 300.0
    assert command[command.index("--checkpoint") + 1] == str(tmp_path / "model_1.pt")
    assert not any("action_bounds" in item for item in command), "they are the checkpoint's"
    assert command[command.index("--run_timestamp") + 1] != "now", "a folder of its own"
    assert command[command.index("--max_iterations") + 1] == "7"


def test_what_a_restart_says_anew_is_taken_out() -> None:
    given = ["--task", TASK, "--max_iterations", "9", "--max_time=5m", "agent.max_iterations=9", "agent.gamma=0.9"]
    for flag in ("--max_iterations", "--max_time"):
        given = overrides.without_option(given, flag)
    assert given == ["--task", TASK, "agent.gamma=0.9"]


def test_what_play_hands_over(forwarded, tmp_path: Path) -> None:
    torch.save({"iter": 1}, tmp_path / "model_1.pt")
    given = ["--task", TASK, "--device", "cpu", "--checkpoint", "model_1.pt"]
    command, _ = forwarded(play, [*given, "--video", "--video_length", "10"])
    assert command[command.index("--checkpoint") + 1] == str(tmp_path / "model_1.pt")
    assert command[command.index("--viz") + 1] == "newton_gl" and "--video" in command
    assert command[command.index("--video_length") + 1] == "10"
    assert "--viz" not in forwarded(play, given)[0]


def test_options_that_do_not_exist_are_refused(forwarded, tmp_path: Path) -> None:
    given = ["--task", TASK, "--device", "cpu"]
    assert "nearest: n_steps" in message(train.main, [*given, "agent.algorithm.n_step=3"])
    assert "nearest: hidden_dims" in message(train.main, [*given, "agent.actor.hidden_dim=[1]"])
    torch.save({"iter": 1}, tmp_path / "model_1.pt")
    resume = ["--resume", str(tmp_path / "model_1.pt")]
    assert "part of the policy" in message(train.main, [*given, *resume, "--bounds", "2"])


def test_the_tasks_are_isaac_labs_own_but_for_the_stated_differences() -> None:
    from isaaclab.utils import to_dict
    from isaaclab_tasks.utils import load_cfg_from_registry

    load_tasks()
    for ours, theirs in (
        (TASK, "IsaacContrib-Velocity-Flat-UnitreeA1"),
        ("Isaac-Velocity-Rough-Unitree-A1-v0", "IsaacContrib-Velocity-Rough-UnitreeA1"),
    ):
        a, b = (load_cfg_from_registry(name, "env_cfg_entry_point") for name in (ours, theirs))
        assert a.compute_final_obs == b.compute_final_obs
        for part in ("rewards", "observations", "actions", "terminations", "events", "curriculum"):
            assert to_dict(getattr(a, part)) == to_dict(getattr(b, part)), part
        assert to_dict(a.commands.base_velocity.nucleus) == to_dict(b.commands.base_velocity)
        assert (a.decimation, a.episode_length_s, a.sim.dt) == (b.decimation, b.episode_length_s, b.sim.dt)
        generators = a.scene.terrain.default.terrain_generator, b.scene.terrain.terrain_generator
        assert (generators[0] is None) == (generators[1] is None)
        if generators[1] is not None:
            assert to_dict(generators[0]) == to_dict(generators[1])


def test_runs_that_begin_together_have_folders_of_their_own(tmp_path: Path) -> None:
    root = tmp_path / "logs" / "a1"
    with ThreadPoolExecutor(3) as pool:
        runs = list(pool.map(lambda _: new_run(root, "name"), range(3)))
    assert len({folder for folder, _ in runs}) == 3 == len(list(root.iterdir()))
    assert all(folder == root / f"{stamp}_name" for folder, stamp in runs)
    folder, stamp = new_run(root)
    assert folder.is_dir() and folder.name == stamp
    (tmp_path / "file").touch()
    for taken in (tmp_path / "file", tmp_path / "file" / "a1"):
        assert "could not be written" in message(new_run, taken)


def test_entries_of_a_comparison() -> None:
    plain = compare.entry("sac-cpu:256:agent.algorithm.tau=0.1,physics=ovphysx")
    assert plain == ("sac-cpu", 256, ("agent.algorithm.tau=0.1", "physics=ovphysx"), "")
    assert plain.label == "sac-cpu_256_agent.algorithm.tau-0.1_physics-ovphysx"
    named = compare.entry("±1=sac-cpu:256:agent.algorithm.action_bounds=1")
    assert named == ("sac-cpu", 256, ("agent.algorithm.action_bounds=1",), "±1") and named.label == "±1"
    for text, what in (
        ("sac", "is not AGENT"),
        ("sac:0", "is not AGENT"),
        ("a/b=sac:1", "name of a file"),
        ("=sac:1", "file"),
    ):
        with pytest.raises(argparse.ArgumentTypeError, match=what):
            compare.entry(text)


def test_a_comparison_does_not_mix_results(tmp_path: Path) -> None:
    given, minute = ["--seeds", "1", "--max_time", "1m", "--out", str(tmp_path)], compare.Length(60.0)
    assert "two agents would be called 'x'" in message(compare.main, ["x=sac:16", "x=sac:32", *given])
    (tmp_path / "x_seed1.csv").write_text("env_steps,wall_time_s,mean_return,mean_episode_length\n")
    agent = find_agent(TASK, "sac").name  # which is recorded, and not what stands for it
    made = (
        f"scripts/train.py --task {TASK} --agent {agent} --num_envs 16 --max_time 60s --seed 1 --max_iterations 1000000"
    )
    (tmp_path / "x_seed1.json").write_text(json.dumps({"training_command": made}))
    assert "made with another command" in message(compare.main, ["x=sac:16:agent.algorithm.tau=0.1", *given])
    compare.check_command(tmp_path / "x_seed1.csv", compare.train_command(TASK, compare.entry("x=sac:16"), 1, minute))
    # what is recorded has all that was run: no agent ends before its time
    assert compare.train_command(TASK, compare.entry("sbx-ppo:16"), 1, minute)[-1] == "agent.total_timesteps=1000000000"
    # nor does the clock end one that is to have a number of iterations
    for agent in ("sac", "sbx-sac"):
        command = compare.train_command(TASK, compare.entry(f"{agent}:16"), 1, compare.Length(iterations=7))
        assert command[-2:] == ["--max_iterations", "7"] and "--max_time" not in command
    assert "--jobs needs --max_iterations" in message(compare.main, ["x=sac:16", *given, "--jobs", "2"])
    (tmp_path / "x_seed1.json").unlink()
    assert "no evaluation" in message(compare.main, ["x=sac:16", *given])


@pytest.mark.parametrize("command", sorted(cli_main.COMMANDS))
def test_help_is_quick_and_has_examples(command: str) -> None:
    """Without torch, gymnasium or Isaac Lab, which take seconds."""
    program = (
        "import sys; from isaaclab_offpolicy.cli.main import main\n"
        f"try: main(['{command}', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'gymnasium', 'isaaclab', 'numpy', 'jax'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert f"usage: isaaclab-offpolicy {command}" in result.stdout
    assert f"examples:\n  isaaclab-offpolicy {command} " in result.stdout


def test_the_command_exits_with_a_line_and_a_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli_main.main([]) == 0 and "commands:" in capsys.readouterr().out
    assert cli_main.main(["tain"]) == 1
    assert "error: unknown command 'tain'; nearest: train" in capsys.readouterr().err
    assert cli_main.main(["evaluate"]) == 1
    assert capsys.readouterr().err.startswith("error: --task is missing")

    def interrupted() -> None:
        raise KeyboardInterrupt

    assert cli_main.guard(interrupted) == 130 and capsys.readouterr().err == "interrupted\n"
