# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""An option means the same in every command, and a bad one is refused before a simulation starts."""

from __future__ import annotations

import importlib
import json
import shlex
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml

from isaaclab_offpolicy.agents.table import AGENTS
from isaaclab_offpolicy.cli import compare, demo
from isaaclab_offpolicy.cli.run_options import options_of_run
from isaaclab_offpolicy.errors import UserError

TASK = "Isaac-Velocity-Flat-Unitree-A1-v0"
COMMANDS = {
    "train": "train", "play": "play", "evaluate": "evaluate", "record": "record_ppo_actions", "bounds": "bounds",
    "compare": "compare", "demo": "demo",
}  # fmt: skip
PLAYING = ("play", "evaluate", "record")


class Started(BaseException):
    """In place of the environment."""


def write_run(experiment: str, day: int, agent: str = "sac-cpu", options: dict[str, Any] | None = None) -> Path:
    """A run as a training leaves it, with a checkpoint that can be read."""
    spec = AGENTS[agent]
    folder = Path("logs", spec.folder, experiment, f"2026-01-0{day}")
    (folder / "params").mkdir(parents=True)
    manifest = {
        "version": 1, "library": spec.folder, "task": TASK, "created_at": f"2026-01-0{day}T00:00:00+00:00",
        "metadata": {"agent": spec.entry_point},
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(manifest))
    (folder / "params" / "agent.yaml").write_text(yaml.dump(options or {}))
    torch.save({"iter": 1}, folder / "model_1.pt")
    return folder / "model_1.pt"


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Runs a command up to the environment's creation; gives the configurations that it would be created with."""
    import gymnasium as gym

    import isaaclab.app
    from isaaclab_rl.entrypoints import common
    from isaaclab_rl.entrypoints.backends import play_rsl_rl, train_rsl_rl
    from isaaclab_tasks import utils
    from isaaclab_tasks.utils import hydra

    seen: dict[str, Any] = {}
    resolve_task_config = hydra.resolve_task_config

    def resolve(*args: Any, **options: Any) -> Any:
        seen["env"], seen["agent"] = resolve_task_config(*args, **options)
        return seen["env"], seen["agent"]

    def stop(*args: Any, **options: Any) -> None:
        raise Started

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["command"])
    monkeypatch.setattr(isaaclab.app, "launch_simulation", lambda *args: nullcontext())
    monkeypatch.setattr(gym, "make", stop)
    for module in (hydra, utils, train_rsl_rl, play_rsl_rl):
        monkeypatch.setattr(module, "resolve_task_config", resolve)
    for module in (common, train_rsl_rl, play_rsl_rl):
        monkeypatch.setattr(module, "create_isaaclab_env", stop)
    for module in (train_rsl_rl, play_rsl_rl):
        monkeypatch.setattr(module, "launch_simulation", lambda *args: nullcontext())

    def call(command: str, arguments: str, agent: str = "sac-cpu") -> SimpleNamespace:
        which = ["--task", TASK, "--agent", agent]
        argv = [*which, *shlex.split(arguments)]
        if command == "compare":
            overrides = ",".join(item for item in shlex.split(arguments) if not item.startswith("--"))
            item = compare.entry(f"{agent}:8:{overrides}")
            argv = compare.train_command(TASK, item, 5, compare.Length(iterations=3))
        elif command == "demo":
            commands: list[list[str]] = []

            def capture(command: str, argv: list[str], *args: Any, **options: Any) -> None:
                commands.append(argv)
                raise Started

            monkeypatch.setattr("isaaclab_offpolicy.cli.processes.run_logged", capture)
            with pytest.raises(Started):
                demo.main(argv)
            (argv,) = commands
        elif command == "bounds":
            argv = ["derive", "--task", TASK, "--source", "joint-limits", "--out", "b.yaml", *shlex.split(arguments)]
        name = "train" if command in ("compare", "demo") else COMMANDS[command]
        with pytest.raises(Started):
            importlib.import_module(f"isaaclab_offpolicy.cli.{name}").main(argv)
        env, cfg = seen["env"], seen["agent"]
        return SimpleNamespace(
            num_envs=env.scene.num_envs, seed=env.seed, device=env.sim.device,
            engine=type(getattr(env.sim.physics, "solver_cfg", env.sim.physics)).__name__,
            experiment_name=cfg.experiment_name, length=env.episode_length_s,
            iterations=getattr(cfg, "max_iterations", 0),
            folder=Path(env.log_dir).parent.name if getattr(env, "log_dir", None) else None, agent=cfg,
        )  # fmt: skip

    return call


TABLE = [
    ("--num_envs 8", "num_envs", 8, ("train", "play", "evaluate", "record", "demo")),
    ("env.scene.num_envs=8", "num_envs", 8, ("train", "play", "evaluate", "record", "demo", "compare")),
    ("--seed 5", "seed", 5, ("train", "play", "evaluate", "record", "demo")),
    ("agent.seed=5", "seed", 5, ("train", "play", "evaluate", "record", "demo", "compare")),
    ("env.seed=5", "seed", 5, ("train", "play", "evaluate", "record", "demo", "compare")),
    ("--device cpu", "device", "cpu", ("train", "play", "evaluate", "record", "demo")),
    ("env.sim.device=cpu", "device", "cpu", ("train", "play", "evaluate", "record", "demo", "compare")),
    ("physics=newton_mjwarp", "engine", "MJWarpSolverCfg", COMMANDS),
    ("env.sim.physics=newton_mjwarp", "engine", "MJWarpSolverCfg", COMMANDS),
    ("presets=newton_mjwarp", "engine", "MJWarpSolverCfg", COMMANDS),
    ("env.episode_length_s=7", "length", 7, COMMANDS),
    ("env.rewards.feet_air_time=null", "length", 20.0, COMMANDS),
    ("env.rewards.feet_air_time.params.threshold=0.3", "length", 20.0, COMMANDS),
    ("--max_iterations 3", "iterations", 3, ("train",)),
    ("agent.max_iterations=3", "iterations", 3, ("train", "compare")),
    ("--experiment_name mine", "experiment_name", "mine", ("train", "demo")),
    ("agent.experiment_name=mine", "experiment_name", "mine", ("train", "demo", "compare")),
]


@pytest.mark.parametrize(("arguments", "name", "value", "commands"), TABLE, ids=[row[0] for row in TABLE])
def test_an_option_means_the_same_in_every_command(resolved, arguments: str, name: str, value: Any, commands) -> None:
    write_run("mine", 1)
    for command in commands:
        assert getattr(resolved(command, arguments), name) == value, command


@pytest.mark.parametrize("agent", ["ppo", "sbx-sac"])
def test_other_agents_take_them_too(resolved, agent: str) -> None:
    if agent.startswith("sbx"):
        pytest.importorskip("sbx", reason="needs SBX: install isaaclab_offpolicy[sbx]")
    given = "env.scene.num_envs=8 env.seed=5 agent.experiment_name=mine physics=newton_mjwarp"
    result = resolved("train", given, agent)
    assert (result.num_envs, result.seed, result.engine) == (8, 5, "MJWarpSolverCfg")
    assert [path.name for path in Path("logs").glob("*/*")] == ["mine"]


def test_defaults_give_way_to_nothing(resolved) -> None:
    write_run("mine", 1)
    numbers = {command: resolved(command, "").num_envs for command in ("train", "play", "evaluate", "record")}
    assert numbers == {"train": 256, "play": 16, "evaluate": 256, "record": 64}


@pytest.mark.parametrize("flag", ["--experiment_name mine", "agent.experiment_name=mine", "--experiment_name=mine"])
def test_latest_is_the_newest_run_of_the_experiment(resolved, flag: str) -> None:
    write_run("mine", 1)
    write_run("unitree_a1_flat", 2)
    assert resolved("play", flag).folder == "mine" and resolved("play", "").folder == "unitree_a1_flat"
    for command in PLAYING:
        with pytest.raises(UserError, match="no checkpoint 'latest'"):
            resolved(command, flag.replace("mine", "yours"))
    with pytest.raises(UserError, match="no checkpoint 'latest'"):
        resolved("train", f"--resume latest {flag.replace('mine', 'yours')}")


SAC = "agent.algorithm."
BAD = [
    # types and ranges
    ("sac-cpu", SAC + "gamma=1.5", "agent.algorithm.gamma is a number from 0 to 1, not 1.5"),
    ("sac-cpu", SAC + "gamma=nan", "agent.algorithm.gamma is a number from 0 to 1, not 'nan'"),
    ("sac-cpu", SAC + "gamma=True", "agent.algorithm.gamma is a number from 0 to 1, not True"),
    ("sac-cpu", SAC + "gamma=null", "agent.algorithm.gamma is a number from 0 to 1, not None"),
    ("sac-cpu", SAC + "tau=2", "agent.algorithm.tau is a number above zero, up to 1, not 2"),
    ("sac-cpu", SAC + "tau=0", "agent.algorithm.tau is a number above zero"),
    ("sac-cpu", SAC + "buffer_size=-5", "agent.algorithm.buffer_size is a whole number above zero, not -5"),
    ("sac-cpu", SAC + "buffer_size=1e5", "a whole number above zero, not 100000.0; write 100000"),
    ("sac-cpu", SAC + "batch_size=64.0", "agent.algorithm.batch_size is a whole number above zero, not 64.0; write 64"),
    ("sac-cpu", SAC + "replay_ratio=-1", "agent.algorithm.replay_ratio is a number above zero"),
    ("sac-cpu", SAC + "learning_rate=0", "agent.algorithm.learning_rate is a number above zero, not 0"),
    ("sac-cpu", SAC + "learning_rate=1e999", "agent.algorithm.learning_rate is a number above zero, not inf"),
    ("sac-cpu", SAC + "n_steps=50 agent.algorithm.buffer_size=10000", "agent.algorithm.n_steps is at most 39"),
    ("sac-cpu", SAC + "learning_starts=20000 agent.algorithm.buffer_size=10000", "learning_starts is at most 10000"),
    ("sac-cpu", SAC + "gradient_steps=-1", "agent.algorithm.gradient_steps is a whole number above zero"),
    ("sac-cpu", SAC + "q_aggregation=max", "agent.algorithm.q_aggregation is one of min, mean, not 'max'"),
    ("sac-cpu", SAC + "ent_coef=auto_-1", "ent_coef 'auto_-1'"),
    ("sac-cpu", SAC + "ent_coef=-0.1", "agent.algorithm.ent_coef is text or a number from 0 on"),
    ("sac-cpu", SAC + "overlap=1", "agent.algorithm.overlap is true or false, not 1"),
    ("sac-cpu", SAC + "noise_scale=[1.0]", "agent.algorithm.noise_scale is a list of 2 numbers from 0 on, not [1.0]"),
    ("sac-cpu", "agent.actor.hidden_dims=[0]", "agent.actor.hidden_dims is a list of whole numbers above zero"),
    ("sac-cpu", "agent.actor.hidden_dims=64", "agent.actor.hidden_dims is a list of whole numbers above zero"),
    ("sac-cpu", "agent.actor.activation=swoosh", "agent.actor.activation"),
    ("sac-cpu", "agent.actor.distribution_cfg.log_std_range=[2,-20]", "is a smallest and a largest value"),
    ("sac-cpu", "agent.save_interval=0", "agent.save_interval is a whole number above zero"),
    ("sac-cpu", "agent.max_iterations=abc", "agent.max_iterations: 'abc' is not a whole number above zero"),
    ("sac-cpu", "--max_iterations 0", "--max_iterations: '0' is not a whole number above zero"),
    ("sac-cpu", "--seed -5", "--seed: "),
    ("sac-cpu", "--seed 99999999999", "--seed: '99999999999' is not a whole number from -1 to 4294967295"),
    ("sac-cpu", "--video_length long", "--video_length: invalid int value"),
    ("sac-cpu", "agent.algorithm=3", "agent.algorithm is a group of options, such as class_name"),
    ("sac-cpu", "agent.device=gpu", "unknown device 'gpu'; it is cpu, cuda or cuda:N"),
    ("sac-cpu", "env.sim=null", "env.sim is a group of options"),
    ("ppo", SAC + "gamma=1.5", "agent.algorithm.gamma is a number from 0 to 1, not 1.5"),
    ("ppo", SAC + "learning_rate=0", "agent.algorithm.learning_rate is a number above zero"),
    ("ppo", SAC + "num_mini_batches=0", "agent.algorithm.num_mini_batches is a whole number above zero"),
    ("ppo", SAC + "num_mini_batches=999999", "agent.algorithm.num_mini_batches is at most"),
    ("ppo", SAC + "clip_param=-0.2", "agent.algorithm.clip_param is a number above zero"),
    ("ppo", "agent.actor.distribution_cfg.init_std=0", "agent.actor.distribution_cfg.init_std is a number above zero"),
    ("sbx-sac", "agent.gamma=1.5", "agent.gamma is a number from 0 to 1, not 1.5"),
    ("sbx-sac", "agent.tau=2", "agent.tau is a number above zero, up to 1, not 2"),
    ("sbx-sac", "agent.learning_rate=nan", "agent.learning_rate is a number above zero, not 'nan'"),
    ("sbx-sac", "agent.net_arch=[256,0]", "agent.net_arch is a list of whole numbers above zero"),
    ("sbx-sac", "agent.n_steps=50 agent.buffer_size=10000", "agent.n_steps is at most 39"),
    ("sbx-sac", "agent.normalize=some", "agent.normalize is one of all, none, all-but-height-scan, not 'some'"),
    ("sbx-ppo", "agent.clip_range=-1", "agent.clip_range is a number above zero, not -1"),
    # the environment
    ("ppo", "env.decimation=0", "env.decimation is a whole number above zero, not 0"),
    ("ppo", "env.decimation=fast", "env.decimation is a whole number above zero, not 'fast'"),
    ("ppo", "env.sim.dt=-1", "env.sim.dt is a number above zero, not -1"),
    ("ppo", "env.episode_length_s=nan", "env.episode_length_s is a number above zero, not 'nan'"),
    ("ppo", "env.episode_length_s=0.001", "env.episode_length_s=0.001 is less than one env step"),
    ("ppo", "env.scene.num_envs=0", "env.scene.num_envs: '0' is not a whole number above zero"),
    ("ppo", "env.commands.base_velocity.ranges.lin_vel_x=(1,-1)", "lin_vel_x is a smallest and a largest value"),
    ("ppo", "env.commands.base_velocity.rel_standing_envs=2", "rel_standing_envs is a number from 0 to 1, not 2"),
    ("ppo", "env.rewards.feet_air_time.weight=much", "env.rewards.feet_air_time.weight is a number, not 'much'"),
    ("ppo", "env.rewards.feet_air_time=1", "env.rewards.feet_air_time is a group of options"),
    ("ppo", "env.compute_final_obs=maybe", "env.compute_final_obs is true or false, not 'maybe'"),
    # names
    ("ppo", "env.episode_lenght_s=10", "unknown option of env 'episode_lenght_s'; nearest: episode_length_s"),
    ("ppo", "env.rewards.feet_air_tme.weight=1", "option of env.rewards 'feet_air_tme'; nearest: feet_air_time"),
    ("ppo", "env.rewards.feet_air_time.params.treshold=1", "nearest: threshold"),
    ("ppo", "env.decimation.x=1", "env.decimation is 4, and has no 'x'"),
    ("sac-cpu", SAC + "gama=0.9", "unknown option of agent.algorithm 'gama'; nearest: gamma"),
    ("sbx-sac", "agent.gama=0.9", "unknown option of agent 'gama'; nearest: gamma"),
    ("sac-cpu", "env.sim.physics=newton", "unknown engine 'newton'; nearest: newton"),
    ("sac-cpu", "presets=foo", "Unknown preset(s): foo"),
    ("sac-cpu", "--num_evns 8", "unknown option '--num_evns'; nearest: --num_envs"),
    ("sac-cpu", "--num_env 8", "unknown option '--num_env'; nearest: --num_envs"),
    ("sbx-sac", "--num_env 8", "unknown option '--num_env'; nearest: --num_envs"),
    # forms
    ("sac-cpu", "algorithm.gamma=0.9", "an override begins with agent. or env., such as agent.algorithm.gamma=0.9"),
    ("sac-cpu", "gamma=0.9", "an override begins with agent. or env."),
    ("sac-cpu", "agent.algorithm.gamma = 0.9", "has no value; write agent.algorithm.gamma=VALUE without spaces"),
    ("sac-cpu", "agent.algorithm.gamma= 0.9", "has no value; write agent.algorithm.gamma=VALUE without spaces"),
    ("sac-cpu", "foo", "'foo' is neither a flag"),
    ("sac-cpu", "--agent.algorithm.gamma=0.9", "an override has no dashes; write agent.algorithm.gamma=0.9"),
    ("sac-cpu", "~env.rewards.feet_air_time", "or env.rewards.feet_air_time=null to switch"),
    ("sac-cpu", "+agent.algorithm.gama=0.9", "is Hydra's own form"),
    # contradictions
    ("sac-cpu", SAC + "gamma=0.9 agent.algorithm.gamma=0.8", "gamma=0.9 and agent.algorithm.gamma=0.8 contra"),
    ("sac-cpu", "--num_envs 8 env.scene.num_envs=16", "--num_envs 8 and env.scene.num_envs=16 contradict each other"),
    ("sac-cpu", "--seed 1 agent.seed=2", "--seed 1 and agent.seed=2 contradict each other"),
    ("sac-cpu", "agent.seed=1 env.seed=2", "agent.seed=1 and env.seed=2 contradict each other"),
    ("sac-cpu", "--seed 1 --seed 2", "--seed 1 and --seed 2 contradict each other"),
    ("sac-cpu", "physics=ovphysx env.sim.physics=newton_mjwarp", "contradict each other"),
    ("sac-cpu", "--bounds 2 agent.algorithm.action_bounds=3", "contradict each other"),
]  # fmt: skip


@pytest.mark.parametrize(("agent", "arguments", "text"), BAD, ids=[f"{row[0]} {row[1]}" for row in BAD])
def test_a_bad_option_is_refused_in_one_line_and_leaves_no_folder(
    resolved, agent: str, arguments: str, text: str
) -> None:
    if agent.startswith("sbx"):
        pytest.importorskip("sbx", reason="needs SBX: install isaaclab_offpolicy[sbx]")
    with pytest.raises(UserError) as error:
        resolved("train", arguments, agent)
    assert text in str(error.value) and "\n" not in str(error.value)
    assert not Path("logs").exists()


@pytest.mark.parametrize("arguments", [
    "agent.algorithm.gamma=1.5", "env.decimation=0", "env.episode_lenght_s=10", "--num_evns 8", "algorithm.gamma=0.9",
    "--seed 1 env.seed=2", "--seed -5", "env.scene.num_envs=0",
])  # fmt: skip
def test_every_command_refuses_them(resolved, arguments: str) -> None:
    write_run("mine", 1)
    for command in ("play", "evaluate", "record", "demo", "bounds"):
        if command == "bounds" and ("--seed" in arguments or "num_envs" in arguments or "agent." in arguments):
            continue  # which it has not
        with pytest.raises(UserError) as error:
            resolved(command, arguments)
        assert "\n" not in str(error.value) and not Path("outputs").exists()
        assert "evns" not in arguments or "unknown option '--num_evns'" in str(error.value)


@pytest.mark.parametrize(("entry", "text"), [
    ("sac-cpu:8:agent.algorithm.gama=1", "nearest: gamma"), ("sac-cpu:8:agent.seed=3", "--seed 1 and agent.seed=3"),
    ("sac-cpu:8:gamma=3", "an override begins with"), ("sac-cpu:8:env.scene.num_envs=9", "contradict each other"),
    ("sac-cpu:8:agent.algorithm.gamma=3", "agent.algorithm.gamma is"),
])  # fmt: skip
def test_a_comparison_checks_all_agents_before_the_first_begins(
    entry: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as error:
        compare.main(["ppo:8", entry, "--seeds", "1", "--max_iterations", "1", "--out", "out"])
    assert text in str(error.value) and not Path("out").exists()


def test_a_run_goes_on_with_its_options_and_what_cannot_change_is_said(resolved) -> None:
    options = {
        "actor": {"hidden_dims": [8, 8], "class_name": "os:system"}, "critic": {"n_critics": 3},
        "algorithm": {"gamma": 0.9, "noise_scale": (0.5, 1.0), "backend": "eager"}, "seed": 7, "nothing": 1,
    }  # fmt: skip
    checkpoint = write_run("mine", 1, options=options)
    agent = resolved("train", "--resume latest").agent
    assert (agent.actor.hidden_dims, agent.critic.n_critics, agent.algorithm.gamma) == ([8, 8], 3, 0.9)
    assert list(agent.algorithm.noise_scale) == [0.5, 1.0]
    assert (agent.algorithm.backend, agent.seed, agent.actor.class_name) == ("auto", 42, "MLPModel"), "not the run's"
    assert resolved("train", "--resume latest agent.algorithm.gamma=0.8").agent.algorithm.gamma == 0.8
    assert resolved("train", "--resume latest agent.actor.hidden_dims=[8,8]").agent.actor.hidden_dims == [8, 8]
    for command in PLAYING:
        agent = resolved(command, "").agent
        assert agent.actor.hidden_dims == [8, 8] and agent.algorithm.gamma != 0.9, command
    for command, given in (("train", "--resume latest"), *((name, "") for name in PLAYING)):
        with pytest.raises(
            UserError, match=r"agent.actor.hidden_dims cannot change: .* was trained with \[8, 8\], not"
        ):
            resolved(command, f"{given} agent.actor.hidden_dims=[16]")
    # a file of a run that nothing is known of
    (checkpoint.parent / "params" / "agent.yaml").write_text("!!python/object/apply:os.system [touch evil]")
    assert options_of_run(str(checkpoint), TASK, AGENTS["sac-cpu"], []) == [] and not Path("evil").exists()


@pytest.mark.slow
def test_every_registered_agent_has_a_configuration_that_passes() -> None:
    import gymnasium as gym

    from isaaclab_offpolicy.agents.configuration import resolve
    from isaaclab_offpolicy.agents.registry import entry_points, load_tasks
    from isaaclab_offpolicy.agents.table import agent_of

    load_tasks()
    ours = {spec.entry_point for spec in AGENTS.values()}
    tasks = [name for name in gym.registry if name.startswith(("Isaac-Velocity-", "IsaacContrib-Velocity-"))]
    assert len(tasks) > 12
    for task in tasks:
        for key in ours.intersection(entry_points(task)):
            assert resolve(task, agent_of(key).entry_point, "cpu", []).agent is not None
