# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Policies of SBX's and Stable-Baselines3's checkpoints, to play and to evaluate."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from isaaclab_offpolicy.environments.episodes import adopt_time_limit
from isaaclab_offpolicy.errors import ConfigError

from ..preconditions import check_configs
from .cfg import Sb3AgentCfg, Sb3OffPolicyCfg
from .checkpoint import load_for_playback, read_checkpoint
from .environment import check_bounds
from .vec_env import AffineNormalizer


def load_policy(env: Any, cfg: Sb3AgentCfg, checkpoint: str) -> Callable[..., torch.Tensor]:
    """The policy of a checkpoint, for observations as Isaac Lab's environment gives them.

    Args:
        env: Isaac Lab's environment, or a wrapper of it.
        cfg: The agent's configuration.
        checkpoint: Path of the checkpoint.

    Returns:
        A function from observations by group to actions [raw action units], shape [N, A]; with
        ``stochastic_output=True`` they are sampled.

    Raises:
        ConfigError: If the file is not a checkpoint of the agent and task.
    """
    device = env.unwrapped.device
    adopt_time_limit(env)
    try:
        contents = read_checkpoint(cfg, checkpoint)
        check_bounds(env, contents.bounds)
        observations = env.unwrapped.single_observation_space["policy"].shape[0]
        model: Any = load_for_playback(cfg, contents, observations, str(device))
    except ValueError as error:
        raise ConfigError(f"{checkpoint}: {error}") from None
    normalize = AffineNormalizer(contents.normalizer) if contents.normalizer is not None else np.asarray

    def policy(obs: Any, stochastic_output: bool = False) -> torch.Tensor:
        if stochastic_output and cfg.library == "sbx" and isinstance(cfg, Sb3OffPolicyCfg):
            model.policy.reset_noise()  # with use_sde, SBX holds noise until it is told otherwise
        array = normalize(obs["policy"].detach().cpu().numpy())
        actions, _ = model.predict(array, deterministic=not stochastic_output)
        return torch.from_numpy(np.asarray(actions, dtype=np.float32)).to(device)

    return policy


def run(command: Sequence[str]) -> None:
    """Play as Isaac Lab's ``play`` does for its libraries.

    Args:
        command: Isaac Lab's arguments, such as ``--task``, ``--agent``, ``--checkpoint``, ``--video``, and overrides.
    """
    from isaaclab.app import add_launcher_args, launch_simulation
    from isaaclab_rl.entrypoints.common import (
        add_common_play_args,
        apply_env_overrides,
        apply_video_recording,
        close_env,
        create_isaaclab_env,
        enable_cameras_for_video,
        pre_launch_video_config,
        run_playback,
    )
    from isaaclab_tasks.utils import resolve_task_config, setup_preset_cli

    parser = argparse.ArgumentParser(prog="isaaclab-offpolicy play")
    add_common_play_args(parser, agent_default=None, agent_help="Agent.")
    parser.add_argument("--checkpoint", required=True, help="Checkpoint.")
    add_launcher_args(parser)
    args, overrides = setup_preset_cli(parser, list(command))
    enable_cameras_for_video(args)
    configs: tuple[Any, Any] = resolve_task_config(  # type: ignore[assignment]
        args.task, args.agent, play_mode=not args.train_env_cfg, overrides=overrides
    )
    env_cfg, cfg = configs
    check_configs(env_cfg, cfg)
    pre_launch_video_config(env_cfg, args)
    with launch_simulation(env_cfg, args):
        apply_env_overrides(args, env_cfg)
        env_cfg.seed = cfg.seed if args.seed is None else args.seed
        env_cfg.log_dir = str(Path(args.checkpoint).parent)
        apply_video_recording(env_cfg, env_cfg.log_dir, args, subdir="play")
        env = create_isaaclab_env(args.task, env_cfg, args, convert_marl_to_single_agent=False)
        try:
            policy = load_policy(env, cfg, args.checkpoint)
            obs, _ = env.reset()

            def step() -> None:
                nonlocal obs
                obs, *_ = env.step(policy(obs))

            run_playback(step, dt=env.unwrapped.step_dt, args_cli=args, env_cfg=env_cfg)  # type: ignore[attr-defined]
        finally:
            close_env(env)
