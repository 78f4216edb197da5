# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import re

import gymnasium as gym
import pytest

from isaaclab_tasks.utils import load_cfg_from_registry, resolve_task_config

from isaaclab_offpolicy.action_bounds import JOINT_LIMITS, PERCENTILE, resolve_bounds
from isaaclab_offpolicy.agents import robots
from isaaclab_offpolicy.agents.registry import load_tasks
from isaaclab_offpolicy.errors import ConfigError
from isaaclab_offpolicy.robots.usd import read_usd
from isaaclab_offpolicy.tasks.velocity.registration import register_velocity_tasks
from isaaclab_offpolicy.tasks.velocity.stock_tasks import add_sac_to_isaaclab_tasks

ROBOTS = ("Unitree-A1", "Unitree-Go1", "Unitree-Go2", "Anymal-B", "Anymal-C", "BDX")
TASKS = [f"Isaac-Velocity-{terrain}-{robot}-v0" for terrain in ("Flat", "Rough") for robot in ROBOTS]
AGENTS = ("rsl_rl_cfg_entry_point", "rsl_rl_sac_cfg_entry_point", "rsl_rl_sac_cpu_cfg_entry_point")

load_tasks()


@pytest.mark.parametrize("task", TASKS)
def test_a_task_has_its_environment_and_agents(task: str) -> None:
    env_cfg = load_cfg_from_registry(task, "env_cfg_entry_point")
    ppo, sac, sac_cpu = (load_cfg_from_registry(task, agent) for agent in AGENTS)
    name = task.removeprefix("Isaac-Velocity-").removesuffix("-v0")
    terrain, _, robot = name.partition("-")
    # one folder for all agents of a task, and none shared by two tasks
    expected = f"{robot}_{terrain}".replace("-", "_").lower()
    assert ppo.experiment_name == sac.experiment_name == sac_cpu.experiment_name == expected
    # a small box around the default pose; on rough terrain, where none were compared, what was published
    box = 0.5 if robot.startswith("Anymal") else 0.25
    rough = JOINT_LIMITS if robot == "BDX" else PERCENTILE
    assert sac.algorithm.action_bounds == (f"{box}rad" if terrain == "Flat" else rough)
    published = {"Unitree": "unitree_a1", "Anymal": "anymal", "BDX": None}[robot.split("-")[0]]
    assert sac.algorithm.percentile_bounds == (expected if terrain == "Flat" else published)
    if sac.algorithm.percentile_bounds is not None:
        # recorded for the task's own action scale and default pose
        resolved = resolve_task_config(task, None, overrides=[])[0].scene.robot
        bounds = resolve_bounds(sac.algorithm.percentile_bounds, list(read_usd(resolved.spawn.usd_path).limits))
        assert set(bounds.action_scale or ()) == {env_cfg.actions.joint_pos.scale}
        pose = {
            joint: value
            for pattern, value in resolved.init_state.joint_pos.items()
            for joint in bounds.joint_names
            if re.fullmatch(pattern, joint)
        }
        assert bounds.default_pose == tuple(pose[joint] for joint in bounds.joint_names)
    assert sac_cpu.algorithm.action_bounds == f"{box}rad"
    assert sac_cpu.actor.distribution_cfg.init_std * box == pytest.approx(0.05)
    assert sac.algorithm.normalize == ("all" if terrain == "Flat" else "all-but-height-scan")
    # only percentiles are widened on rough terrain, by whichever agent
    wider = 1.25 if terrain == "Rough" else 1.0
    assert sac.algorithm.percentile_bounds_scale == sac_cpu.algorithm.percentile_bounds_scale == wider
    assert sac.algorithm.action_bounds_scale == sac_cpu.algorithm.action_bounds_scale == 1.0
    assert (sac.algorithm.n_steps, sac.algorithm.train_freq) == ((1, 1) if terrain == "Flat" else (3, 10))
    assert sac.actor.hidden_dims == [512, 256, 128] and sac_cpu.actor.hidden_dims == [128, 128, 128]


def test_isaaclabs_own_velocity_tasks_have_sac() -> None:
    stock = {
        task: spec.kwargs
        for task, spec in gym.registry.items()
        if ".velocity.config." in str((spec.kwargs or {}).get("env_cfg_entry_point"))
        and str(spec.kwargs["env_cfg_entry_point"]).startswith("isaaclab_tasks.")
    }
    robots = {re.sub(r".*-(Flat|Rough)-", "", task) for task in stock}
    assert robots >= {"AnymalD", "Spot", "H1", "G1", "Cassie", "Digit", "UnitreeGo2", "UnitreeA1", "AnymalC"}
    assert all("rsl_rl_sac_cfg_entry_point" in kwargs for kwargs in stock.values())
    assert add_sac_to_isaaclab_tasks() == [], "a second time there is nothing to do"


@pytest.mark.parametrize(
    ("task", "bounds", "experiment", "train_freq"),
    [
        ("Isaac-Velocity-Rough-AnymalD", JOINT_LIMITS, "anymal_d_rough", 10),
        ("Isaac-Velocity-Flat-G1", JOINT_LIMITS, "g1_flat", 1),
        ("IsaacContrib-Velocity-Flat-Spot", JOINT_LIMITS, "spot_flat", 10),
        ("IsaacContrib-Velocity-Rough-AnymalC", "anymal", "anymal_c_rough", 10),
        ("Isaac-Velocity-Flat-UnitreeGo2", "unitree_go2_flat", "unitree_go2_flat", 1),
        ("Isaac-Velocity-Rough-UnitreeGo2", "unitree_a1", "unitree_go2_rough", 10),
        ("IsaacContrib-Velocity-Flat-AnymalC", "anymal_c_flat", "anymal_c_flat", 1),
    ],
)
def test_sac_for_isaaclabs_own_tasks(task: str, bounds: str, experiment: str, train_freq: int) -> None:
    cfg = load_cfg_from_registry(task, "rsl_rl_sac_cfg_entry_point")
    if bounds == JOINT_LIMITS:
        assert cfg.algorithm.action_bounds == JOINT_LIMITS and cfg.algorithm.percentile_bounds is None
    else:
        box = "0.5rad" if "Anymal" in task else "0.25rad"
        assert cfg.algorithm.action_bounds == (box if "Flat" in task else PERCENTILE)
        assert cfg.algorithm.percentile_bounds == bounds
    assert cfg.experiment_name == experiment
    assert cfg.algorithm.train_freq == train_freq
    assert cfg.algorithm.percentile_bounds_scale == (1.25 if train_freq == 10 else 1.0)
    assert cfg.algorithm.action_bounds_scale == 1.0


def test_another_biped_takes_the_place_of_ours(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    from isaaclab_offpolicy.robots import DATA_DIR, bdx

    text = (DATA_DIR / "bdx" / "bdx.usda").read_text()
    # a body of another name, and a joint more, as an antenna would be
    other = tmp_path / "other.usda"
    other.write_text(text.replace("/bdx/base", "/bdx/pelvis").replace('def Xform "base"', 'def Xform "pelvis"'))
    monkeypatch.setenv(bdx.USD_PATH_VARIABLE, str(other))
    assert bdx.usd_path() == other
    assert bdx.body_names(other) == bdx.BodyNames("pelvis", ("left_ankle", "right_ankle"), ())
    assert bdx.bdx_cfg(other).spawn.usd_path == str(other)
    other.write_text(text.replace('"left_knee"', '"left_cap"'))
    with pytest.raises(ValueError, match="joint 'left_knee' is missing"):
        bdx.body_names(other)
    monkeypatch.setenv(bdx.USD_PATH_VARIABLE, str(tmp_path / "nothing.usd"))
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        bdx.usd_path()


def test_a_robot_of_ones_own() -> None:
    spec = robots.RobotSpec("mine", robots.ROBOTS["Unitree-Go2"].ppo, box=0.4, joints=8)
    with pytest.raises(ConfigError, match=r"'My-Robot' is none of Unitree-A1, .* a RobotSpec"):
        register_velocity_tasks("My-Robot", "mine", "MyRobot")
    try:
        register_velocity_tasks("My-Robot", "mine", "MyRobot", spec)
        task = "Isaac-Velocity-Rough-My-Robot-v0"
        ppo, sac, sac_cpu = (load_cfg_from_registry(task, agent) for agent in AGENTS)
        assert (
            ppo.experiment_name == sac.experiment_name == "mine_rough" and sac.algorithm.action_bounds == JOINT_LIMITS
        )
        assert sac_cpu.algorithm.action_bounds == "0.4rad" and sac_cpu.algorithm.target_entropy == -4.0
    finally:
        for terrain in ("Flat", "Rough"):
            gym.registry.pop(f"Isaac-Velocity-{terrain}-My-Robot-v0", None)
