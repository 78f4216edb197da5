# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from tensordict import TensorDict

from isaaclab.managers import ObservationGroupCfg, ObservationTermCfg

from environments import LinearQuadraticEnv
from isaaclab_offpolicy.action_bounds import ActionBoundsWrapper, BoundsError
from isaaclab_offpolicy.algorithms.rsl_rl_cfg import SacRunnerCfg
from isaaclab_offpolicy.errors import ConfigError
from isaaclab_offpolicy.runners.preconditions import check_configs
from isaaclab_offpolicy.runners.sbx.cfg import Sb3OffPolicyCfg
from isaaclab_offpolicy.runners.sbx.environment import make_vec_env

ACTION_SPACES = {
    "discrete": ({5}, r"Discrete\(5\)"),
    "multi-discrete": ([{3}, {2}], r"MultiDiscrete\(\[3 2\]\)"),
    "dict": ({"legs": 3, "arm": 2}, r"Dict\('"),
    "tuple": ((3, {2}), r"Tuple\(Box"),
    "matrix": ([3, 2], r"Box\(-inf, inf, \(3, 2\)"),
    "integers": (gym.spaces.Box(0, 3, (2,), np.int64), r"Box\(0, 3, \(2,\), int64\)"),
}


def agents() -> list[Any]:
    """SAC's configuration and SBX's."""
    return [SacRunnerCfg(experiment_name="test", device="cpu"), Sb3OffPolicyCfg()]


@pytest.mark.parametrize("name", ACTION_SPACES)
def test_action_spaces_are_refused_by_their_configuration(name: str) -> None:
    spec, named = ACTION_SPACES[name]
    for agent in agents():
        with pytest.raises(ConfigError, match=f"action space is {named}.*; supported are vectors of real numbers"):
            check_configs(SimpleNamespace(action_space=spec, observation_space=4), agent)
        check_configs(SimpleNamespace(action_space=3, observation_space=4), agent)
    ppo = SimpleNamespace(algorithm=SimpleNamespace(class_name="PPO"))
    check_configs(SimpleNamespace(action_space=spec), ppo)


@pytest.mark.parametrize("space", [[64, 64, 3], {3}, {"camera": [8, 8], "joints": 3}])
def test_observation_spaces_are_refused_by_their_configuration(space: Any) -> None:
    for agent in agents():
        with pytest.raises(ConfigError, match="observation group 'policy' has the space"):
            check_configs(SimpleNamespace(action_space=3, observation_space=space), agent)


def test_observation_groups_are_refused_by_their_configuration() -> None:
    def group(term: dict[str, Any] | None = None, **options: Any) -> ObservationGroupCfg:
        result = ObservationGroupCfg(**options)
        result.joints = ObservationTermCfg(func=len, **(term or {}))  # type: ignore[attr-defined]
        return result

    refused = {
        "env.observations.policy.concatenate_terms=True": group(concatenate_terms=False),
        "env.observations.policy.flatten_history_dim=True": group(history_length=3, flatten_history_dim=False),
        "env.observations.policy.joints.flatten_history_dim=True": group(
            {"history_length": 2, "flatten_history_dim": False}
        ),
    }
    for agent in agents():
        for message, cfg in refused.items():
            with pytest.raises(ConfigError, match=message):
                check_configs(SimpleNamespace(observations=SimpleNamespace(policy=cfg)), agent)
        fine = SimpleNamespace(policy=group(history_length=3), camera=group(concatenate_terms=False))
        check_configs(SimpleNamespace(observations=fine), agent)


@pytest.mark.parametrize(
    ("role", "network"),
    [
        ("actor", "RNNModel"),
        ("actor", "CNNModel"),
        ("critic", "MLPModel"),
        ("critic", "RNNModel"),
        ("actor", "rsl_rl.modules:MLP"),
    ],
)
def test_other_networks_are_refused(role: str, network: str, make_sac: Any, train_cfg: Any) -> None:
    agent = SacRunnerCfg(experiment_name="test", device="cpu")
    getattr(agent, role).class_name = network
    message = f"the {role} is {network.rpartition(':')[2]}; SAC learns multi-layer perceptrons"
    with pytest.raises(ConfigError, match=message):
        check_configs(SimpleNamespace(), agent)
    cfg = train_cfg()
    cfg[role]["class_name"] = network
    with pytest.raises(ConfigError, match=message):
        make_sac(LinearQuadraticEnv(), cfg)


class Other(LinearQuadraticEnv):
    """With observations and actions that the configuration did not tell."""

    def __init__(self, obs: Any, space: gym.Space | None = None) -> None:
        super().__init__(num_envs=4)
        self.obs = obs
        if space is not None:
            self.single_action_space = space

    def get_observations(self) -> TensorDict:
        return TensorDict({"policy": self.obs}, batch_size=[4])


def test_what_the_configuration_does_not_tell_is_refused_at_construction(make_sac: Any) -> None:
    vector = torch.zeros(4, 2)
    with pytest.raises(ConfigError, match=r"group 'policy' has the shape \(3, 2\).*flatten_history_dim"):
        make_sac(Other(torch.zeros(4, 3, 2)))
    with pytest.raises(ConfigError, match=r"group 'policy' has its terms apart \(a, b\).*concatenate_terms"):
        make_sac(Other(TensorDict({"a": vector, "b": vector}, batch_size=[4])))
    with pytest.raises(ConfigError, match=r"action space is Discrete\(5\)"):
        make_sac(Other(vector, gym.spaces.Discrete(5)))
    narrow = Other(vector)
    narrow.cfg.action_space = gym.spaces.Box(-1.0, 1.0, (1,))
    error = make_sac(narrow, action_bounds=2.0).bounds_error
    assert isinstance(error, BoundsError) and "exceed the task's action space" in str(error)
    clipped = Other(vector)
    clipped.clip_actions = 1.0  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="clip_actions"):
        make_sac(clipped)
    make_sac(Other(vector, gym.spaces.Box(-1.0, 1.0, (1,))))


class Direct(gym.Env):
    """As every direct environment: no action manager."""

    num_envs, device = 2, "cpu"
    observation_space = gym.spaces.Box(-np.inf, np.inf, (2, 3))

    def __init__(self, action: gym.Space, policy: gym.Space | None = None) -> None:
        self.cfg = SimpleNamespace(compute_final_obs=False, is_finite_horizon=False)
        self.single_action_space = action
        self.single_observation_space = gym.spaces.Dict(policy=policy or gym.spaces.Box(-np.inf, np.inf, (3,)))
        self.action_space = gym.vector.utils.batch_space(action, 2)


def test_a_direct_environment_has_actions_by_number() -> None:
    env = ActionBoundsWrapper(Direct(gym.spaces.Box(-np.inf, np.inf, (3,))), 1.0)
    assert env.bounds.joint_names == ("action[0]", "action[1]", "action[2]")
    assert env.action_space.shape == (2, 3)
    named = Direct(gym.spaces.Box(-np.inf, np.inf, (3,)))
    named.action_joint_names = ["a", "b"]  # type: ignore[attr-defined]
    with pytest.raises(BoundsError, match="2 joints are named, where there are 3 actions"):
        ActionBoundsWrapper(named, 1.0)
    narrow = Direct(gym.spaces.Box(-1.0, 1.0, (3,)))
    narrow.cfg.action_space = narrow.single_action_space
    ActionBoundsWrapper(narrow, 1.0)
    with pytest.raises(
        BoundsError, match=r"bounds \[-2, 2\] of 'action\[0\]' exceed the task's action space \[-1, 1\]"
    ):
        ActionBoundsWrapper(narrow, 2.0)
    for space in (gym.spaces.Discrete(5), gym.spaces.Box(-1.0, 1.0, (3, 2))):
        with pytest.raises(ConfigError, match="the task's action space is"):
            ActionBoundsWrapper(Direct(space), 1.0)


def test_sbx_refuses_images() -> None:
    env = Direct(gym.spaces.Box(-np.inf, np.inf, (3,)), gym.spaces.Box(0, 255, (8, 8, 3), np.uint8))
    with pytest.raises(ConfigError, match="observation group 'policy' has the space"):
        make_vec_env(env, Sb3OffPolicyCfg(action_bounds=1.0))
