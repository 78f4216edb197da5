# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Trains, plays and evaluates with SAC, PPO and SBX in a task of one's own: managers|direct FOLDER.

The task has a registration with ``max_episode_steps``, and with managers an action term without a docstring,
observations with a history and with a filter, and a finite horizon. In its own process.
"""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from isaaclab.app import launch_simulation
from isaaclab.cli import load_external_tasks
from isaaclab.envs import DirectRLEnv, DirectRLEnvCfg, mdp
from isaaclab.envs.mdp.actions.joint_actions import JointPositionAction
from isaaclab.managers import ObservationManager
from isaaclab.utils.modifiers import DigitalFilterCfg
from isaaclab_rl.rsl_rl import RslRlVecEnvWrapper, check_rsl_rl_version, handle_deprecated_rsl_rl_cfg
from isaaclab_tasks.utils import load_cfg_from_registry, parse_env_cfg

from isaaclab_offpolicy.environments.final_observations import request_final_observations
from isaaclab_offpolicy.errors import ConfigError
from isaaclab_offpolicy.evaluation import evaluate
from isaaclab_offpolicy.runners.rsl_rl import create_runner
from isaaclab_offpolicy.runners.sbx.training import train
from isaaclab_offpolicy.runners.simulation import collect_garbage_rarely, load_policy

TASK = "Isaac-Velocity-Flat-Unitree-A1-v0"
OWN = "Own-A1-v0"
NUM_ENVS, EPISODE = 8, 10


class Undocumented(JointPositionAction):
    pass


Undocumented.__doc__ = None


class Legs(DirectRLEnv):
    """A direct environment: A1's joints follow the actions and are rewarded for the default pose."""

    def _pre_physics_step(self, actions: torch.Tensor) -> None:
        self.actions = actions.clone()

    def _apply_action(self) -> None:
        robot = self.scene["robot"]
        robot.set_joint_position_target_index(target=robot.data.default_joint_pos.torch + 0.25 * self.actions)

    def _angles(self) -> torch.Tensor:
        robot = self.scene["robot"]
        return robot.data.joint_pos.torch - robot.data.default_joint_pos.torch

    def _get_observations(self) -> dict[str, torch.Tensor]:
        return {"policy": torch.cat((self._angles(), self.actions), dim=-1)}

    def _reset_idx(self, env_ids: Any) -> None:
        super()._reset_idx(env_ids)
        mdp.reset_scene_to_default(self, env_ids)  # type: ignore[arg-type]

    def _get_rewards(self) -> torch.Tensor:
        return -self._angles().square().sum(-1)

    def _get_dones(self) -> tuple[torch.Tensor, torch.Tensor]:
        over = self.episode_length_buf >= self.max_episode_length
        return torch.zeros_like(over), over


class Shadow(gym.Wrapper):
    """Compares all observations with those of a second observation manager, which no final observation disturbs."""

    def __init__(self, env: gym.Env) -> None:
        super().__init__(env)
        unwrapped: Any = env.unwrapped
        self.manager = ObservationManager(unwrapped.cfg.observations, unwrapped)
        self.before: Any = None
        self.finals = 0

    def _compare(self, obs: Any, ended: torch.Tensor) -> None:
        self.manager.reset(ended)  # type: ignore[arg-type]
        for group, value in self.manager.compute(update_history=True).items():
            assert torch.equal(value, obs[group]), group
        self.before = obs

    def reset(self, **options: Any) -> Any:
        obs, extras = super().reset(**options)
        self._compare(obs, torch.arange(NUM_ENVS))
        return obs, extras

    def step(self, action: Any) -> Any:
        obs, reward, terminated, truncated, extras = super().step(action)
        ended = (terminated | truncated).nonzero()[:, 0]
        if len(ended):
            self._check_final(extras["final_obs"], ended)
        self._compare(obs, ended)
        return obs, reward, terminated, truncated, extras

    def _check_final(self, final: Any, ended: torch.Tensor) -> None:
        widths = [shape[0] for shape in self.manager.group_obs_term_dim["plain"]]
        frames = torch.split(final["policy"][ended], [3 * width for width in widths], dim=-1)
        newest = torch.cat([frame[:, -width:] for frame, width in zip(frames, widths, strict=True)], dim=-1)
        assert torch.equal(newest, final["plain"][ended]), "the newest frame is that of the last step"
        turning = slice(widths[0], widths[0] + widths[1])  # after the linear velocity
        mean = (final["plain"][ended, turning] + self.before["plain"][ended, turning]) / 2
        torch.testing.assert_close(final["filtered"][ended, turning], mean)
        self.finals += len(ended)


def with_managers() -> Any:
    cfg = parse_env_cfg(TASK, device="cpu", num_envs=NUM_ENVS, overrides=["physics=ovphysx"])
    cfg.actions.joint_pos.class_type = Undocumented
    cfg.is_finite_horizon = True
    policy = cfg.observations.policy
    policy.enable_corruption = False
    cfg.observations.plain, cfg.observations.filtered = copy.deepcopy(policy), copy.deepcopy(policy)
    cfg.observations.filtered.base_ang_vel.modifiers = [DigitalFilterCfg(A=[0.0], B=[0.5, 0.5])]
    policy.history_length = 3
    return cfg


def direct() -> Any:
    velocity = parse_env_cfg(TASK, device="cpu", num_envs=NUM_ENVS, overrides=["physics=ovphysx"])
    velocity.scene.contact_forces = None
    return DirectRLEnvCfg(
        decimation=4, episode_length_s=20.0, action_space=12, observation_space=24, sim=velocity.sim,
        scene=velocity.scene,
    )  # fmt: skip


def main() -> None:
    collect_garbage_rarely()
    kind, folder = sys.argv[1], Path(sys.argv[2])
    load_external_tasks()
    cfg = with_managers() if kind == "managers" else direct()
    cfg.seed = 1
    entry_point = "isaaclab.envs:ManagerBasedRLEnv" if kind == "managers" else Legs
    gym.register(OWN, entry_point, max_episode_steps=EPISODE, disable_env_checker=True)
    with launch_simulation(cfg, {"device": "cpu"}):
        env = gym.make(OWN, cfg=cfg)
        if kind == "managers":
            check_observations(env)
        check_rsl_rl(env, kind, folder)
        leave_inference_mode(env)
        check_sbx(env, kind, folder)
        print("RESULT")
        env.close()


def leave_inference_mode(env: Any) -> None:
    """Let another library go on with the environment: rsl_rl's rollouts leave tensors that only it may change."""
    for modifier in getattr(getattr(env.unwrapped, "observation_manager", None), "_group_obs_class_instances", ()):
        for name, value in vars(modifier).items():
            if isinstance(value, torch.Tensor):
                setattr(modifier, name, value.clone())


def check_observations(env: gym.Env) -> None:
    unwrapped: Any = env.unwrapped
    request_final_observations(env)
    shadow = Shadow(unwrapped)
    shadow.reset()
    unwrapped.episode_length_buf[:] = unwrapped.max_episode_length - 3 * torch.arange(1, NUM_ENVS + 1)
    for _ in range(3 * NUM_ENVS + 3):
        shadow.step(0.3 * torch.randn(NUM_ENVS, 12))
    assert shadow.finals >= NUM_ENVS
    unwrapped.cfg.compute_final_obs = False


def rsl_rl_cfg(name: str) -> Any:
    cfg: Any = load_cfg_from_registry(TASK, name)
    cfg.num_steps_per_env, cfg.device, cfg.seed = 5, "cpu", 1
    handle_deprecated_rsl_rl_cfg(cfg, check_rsl_rl_version())
    cfg.actor.hidden_dims = cfg.critic.hidden_dims = [32, 32]
    return cfg


def check_rsl_rl(env: gym.Env, kind: str, folder: Path) -> None:
    wrapped: Any = RslRlVecEnvWrapper(env)  # type: ignore[arg-type]
    ppo = create_runner(wrapped, rsl_rl_cfg("rsl_rl_cfg_entry_point"))
    assert not env.unwrapped.cfg.compute_final_obs, "which PPO does not need"  # type: ignore[attr-defined]
    assert wrapped.max_episode_length == EPISODE
    ppo.learn(5)
    cfg = rsl_rl_cfg("rsl_rl_sac_cpu_cfg_entry_point")
    cfg.algorithm.buffer_size, cfg.algorithm.learning_starts, cfg.algorithm.backend = 2000, 80, "eager"
    cfg.algorithm.action_bounds = 1.0
    sac: Any = create_runner(wrapped, cfg, str(folder))
    sac.learn(6)
    assert sac.alg.num_updates > 0
    names = sac.alg.bounds.joint_names
    assert ("FL_hip_joint" in names) == (kind == "managers") == ("action[0]" not in names)
    result = evaluate(wrapped, load_policy(wrapped, cfg, sac.last_checkpoint), 2 * NUM_ENVS).summary()
    assert 1.0 <= result["length_mean"] <= EPISODE
    if kind == "direct":
        assert result["length_mean"] == EPISODE and result["survival_rate"] == 1.0
        return
    term = wrapped.unwrapped.action_manager.get_term("joint_pos")
    term._scale *= 2.0
    try:
        load_policy(wrapped, cfg, sac.last_checkpoint)
        raise AssertionError("a policy of another action scale was taken")
    except ConfigError as error:
        assert "another action scale: 0.25 rad at joint" in str(error), error
    term._scale /= 2.0


def check_sbx(env: gym.Env, kind: str, folder: Path) -> None:
    cfg: Any = load_cfg_from_registry(TASK, "sbx_sac_cfg_entry_point")
    cfg.buffer_size, cfg.learning_starts, cfg.net_arch, cfg.action_bounds = 2000, 80, [32, 32], 1.0
    (folder / "sbx").mkdir()
    model: Any = train(cfg, env, folder / "sbx", max_iterations=40)
    done, cut = (getattr(model.replay_buffer, name)[:40] > 0 for name in ("dones", "timeouts"))
    assert done.any() and np.array_equal(done & (kind == "direct"), cut), "a finite horizon is an end"
    wrapped: Any = RslRlVecEnvWrapper(env)  # type: ignore[arg-type]
    (checkpoint,) = (folder / "sbx").glob("model_*.zip")
    result = evaluate(wrapped, load_policy(wrapped, cfg, str(checkpoint)), NUM_ENVS).summary()
    assert 1.0 <= result["length_mean"] <= EPISODE


if __name__ == "__main__":
    main()
