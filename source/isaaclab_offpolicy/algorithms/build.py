# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""SAC from the configuration of rsl_rl's runner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from rsl_rl.env import VecEnv
from rsl_rl.models import CNNModel, MLPModel, RNNModel
from rsl_rl.modules import EmpiricalNormalization
from rsl_rl.utils import resolve_callable, resolve_class, resolve_obs_groups
from tensordict import TensorDict
from torch import nn

from isaaclab_offpolicy.action_bounds import ActionBounds, BoundsError, action_bounds, check_declared_space
from isaaclab_offpolicy.environments.episodes import adopt_time_limit, reset_terminated
from isaaclab_offpolicy.environments.final_observations import request_final_observations
from isaaclab_offpolicy.environments.height_scan import height_scan_columns
from isaaclab_offpolicy.environments.spaces import action_width, check_observations
from isaaclab_offpolicy.errors import ConfigError
from isaaclab_offpolicy.exploration import make_noise
from isaaclab_offpolicy.replay import PrefetchingReplayBuffer, ReplayBuffer
from isaaclab_offpolicy.symmetry import find_symmetry
from isaaclab_offpolicy.training.finite import FiniteGuard, expire_episodes

from .critic import QEnsemble
from .normalization import fix_columns
from .reward_scale import VALUE_LIMIT
from .rsl_rl_cfg import SacAlgorithmCfg

if TYPE_CHECKING:
    from .sac import SAC

REWARD_LIMIT = 0.05
"""More than a velocity task's reward in a step: tracking weighs 1.5 + 0.75 at most, times a step of 0.02 s."""


def build_sac(obs: TensorDict, env: VecEnv, cfg: dict, device: str) -> SAC:
    """Build actor, critics and replay buffer.

    Args:
        obs: Observations of the environment, shape [N, D] each.
        env: The environment; it is asked for its final observations from now on.
        cfg: The runner's configuration as a dictionary, which is used up.
        device: Device of the learner.

    Raises:
        ConfigError: If networks or spaces are not supported.
        ValueError: If an option cannot be used.
    """
    check_networks(cfg["actor"]["class_name"], cfg["critic"]["class_name"])
    action_width(env)
    adopt_time_limit(env)
    alg_class, alg_cfg = resolve_class(cfg["algorithm"])
    actor_class, actor_cfg = resolve_class(cfg["actor"])
    critic_class, critic_cfg = resolve_class(cfg["critic"])
    for name in ("rnd_cfg", "symmetry_cfg"):
        if alg_cfg.get(name) is not None:
            raise ValueError(f"SAC has no {name.removesuffix('_cfg')}; leave algorithm.{name} at None")
    if cfg.get("torch_compile_mode") is not None:
        raise ValueError("SAC has no torch_compile_mode; algorithm.backend=compiled takes torch's compiler")
    if getattr(env, "clip_actions", None) is not None:
        raise ValueError("SAC's actions have bounds of their own, which clip_actions would cut; leave it at None")
    options = SacAlgorithmCfg(**alg_cfg)
    if (options.schedule == "linear" or options.replay_ratio_end is not None) and not options.schedule_steps:
        options.schedule_steps = cfg["max_iterations"] * cfg["num_steps_per_env"] * env.num_envs
    world_size = (cfg.get("multi_gpu") or {"world_size": 1})["world_size"]
    cfg["obs_groups"] = resolve_obs_groups(obs, cfg["obs_groups"], ["actor", "critic"])
    check_observations(obs, dict.fromkeys(cfg["obs_groups"]["actor"] + cfg["obs_groups"]["critic"]))

    bounds, bounds_error = _bounds(env, options)
    actor_cfg["distribution_cfg"] |= {"low": bounds.low, "high": bounds.high, "joint_names": bounds.joint_names}
    actor: MLPModel = actor_class(obs, cfg["obs_groups"], "actor", env.num_actions, **actor_cfg)
    critic_groups: list[str] = cfg["obs_groups"]["critic"]
    critic_obs_dim = sum(obs[group].shape[-1] for group in critic_groups)
    normalizes = critic_cfg.pop("obs_normalization", False)
    critic_cfg.pop("distribution_cfg", None)
    if critic_cfg.get("value_range") is None:
        furthest = VALUE_LIMIT if options.normalize_rewards else REWARD_LIMIT / max(1.0 - options.gamma, 1.0e-3)
        critic_cfg["value_range"] = (-furthest, furthest)
    critic: QEnsemble = critic_class(critic_obs_dim, env.num_actions, **critic_cfg)
    print(f"Actor: {actor}\nCritic: {critic}")
    if not normalizes:
        normalizer: nn.Module = nn.Identity()
    elif actor.obs_normalization and critic_groups == actor.obs_groups:
        normalizer = actor.obs_normalizer
    else:
        normalizer = EmpiricalNormalization(critic_obs_dim)

    if options.normalize == "all-but-height-scan":
        for module, of_module in ((actor.obs_normalizer, actor.obs_groups), (normalizer, critic_groups)):
            if isinstance(module, EmpiricalNormalization):
                columns = np.concatenate([height_scan_columns(env, group) for group in of_module])
                fix_columns(module, torch.from_numpy(columns))

    groups = {group: obs[group].shape[-1] for group in dict.fromkeys([*actor.obs_groups, *critic_groups])}
    storage = _replay_buffer(options, env, groups, torch.device(device))
    request_final_observations(env)
    guard = FiniteGuard(env.num_envs, options.max_nonfinite, expire_episodes(env))
    symmetry = find_symmetry(env, storage.groups) if options.symmetry else None
    widths = [layer.out_features for layer in actor.mlp.children() if isinstance(layer, nn.Linear)]
    noise = make_noise(
        options.noise, env.num_envs, env.num_actions, options.noise_hold, options.noise_scale, device,
        int(env.max_episode_length), widths[-2],
    )  # fmt: skip
    sac: SAC = alg_class(
        actor, critic, storage, normalizer, critic_groups, bounds, options, device, world_size, reset_terminated(env),
        guard, symmetry, noise,
    )  # fmt: skip
    sac.bounds_error = bounds_error
    return sac


def check_networks(actor: Any, critic: Any) -> None:
    """Refuse networks, classes or their names, that SAC cannot learn.

    Raises:
        ConfigError: If the actor is not one of rsl_rl's MLPs, or the critics no :class:`.QEnsemble`.
    """
    for role, name, supported in (("actor", actor, MLPModel), ("critic", critic, QEnsemble)):
        # Isaac Lab's configurations hold a text that can be called
        cls: Any = resolve_callable(str(name) if isinstance(name, str) else name)
        if not issubclass(cls, supported) or issubclass(cls, (RNNModel, CNNModel)):
            raise ConfigError(
                f"the {role} is {cls.__name__}; SAC learns multi-layer perceptrons ({supported.__name__}), and no"
                " recurrent or convolutional networks"
            )


def _bounds(env: VecEnv, options: SacAlgorithmCfg) -> tuple[ActionBounds, BoundsError | None]:
    """The bounds, or ±1 and why those of the configuration cannot be used: a checkpoint may bring its own."""
    try:
        bounds = action_bounds(
            env, options.action_bounds, options.action_bounds_scale, options.percentile_bounds,
            options.percentile_bounds_scale,
        )  # fmt: skip
        check_declared_space(env, bounds)
    except BoundsError as error:
        return action_bounds(env, 1.0), error
    width = max(len(name) for name in bounds.joint_names)
    print("Action bounds [raw action units]:")
    for name, low, high in zip(bounds.joint_names, bounds.low, bounds.high, strict=True):
        print(f"  {name:<{width}}  [{low:7.3f}, {high:7.3f}]")
    print(f"  source: {bounds.source}")
    return bounds, None


def _replay_buffer(options: SacAlgorithmCfg, env: VecEnv, groups: dict[str, int], device: torch.device) -> ReplayBuffer:
    """The replay buffer, on the learner's device or elsewhere."""
    size = options.buffer_size, env.num_envs, groups, env.num_actions, options.n_steps, options.gamma
    ages: dict[str, Any] = {"recency": options.replay_recency, "newest": options.replay_newest}
    if options.replay_device is None:
        return ReplayBuffer(*size, device, options.replay_storage, **ages)
    own = torch.device(options.replay_device)
    pinned = device.type == "cuda" and own.type == "cpu"
    return PrefetchingReplayBuffer(*size, own, options.replay_storage, pinned, **ages, learner_device=device)
