# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Tasks and trained policies for the commands that do not train, and what all commands that simulate begin with."""

from __future__ import annotations

import atexit
import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from .preconditions import check_configs


def collect_garbage_rarely() -> None:
    """Have Python look for cyclic garbage rarely, and not at all when the process ends.

    Starting a simulation makes millions of objects that stay. To look through them again and again takes 3 s of the
    start, and once more 3 to 5 s at the end.
    """
    gc.set_threshold(100_000, 50, 1000)
    atexit.register(gc.freeze)


@contextmanager
def running_task(
    task: str,
    agent_key: str,
    num_envs: int,
    device: str,
    seed: int,
    overrides: list[str],
    adjust: Callable[[Any], None] | None = None,
) -> Iterator[tuple[Any, Any]]:
    """A task in a running simulation, which ends with the context.

    Args:
        task: A registered task.
        agent_key: Configuration key of the agent.
        num_envs: Number of environments.
        device: Device of simulation and policy.
        seed: Seed of the environment.
        overrides: Isaac Lab's overrides, such as ``physics=newton_mjwarp``.
        adjust: Changes the environment's resolved configuration in place, where overrides do not reach.

    Yields:
        The environment, wrapped for rsl_rl, and the agent's resolved configuration.
    """
    collect_garbage_rarely()
    import gymnasium as gym

    from isaaclab.app import launch_simulation
    from isaaclab_rl.rsl_rl import RslRlVecEnvWrapper, check_rsl_rl_version, handle_deprecated_rsl_rl_cfg
    from isaaclab_tasks.utils import resolve_task_config

    configs: tuple[Any, Any] = resolve_task_config(task, agent_key, overrides=overrides)  # type: ignore[assignment]
    env_cfg, agent_cfg = configs
    check_configs(env_cfg, agent_cfg)
    clip_actions = None
    if not hasattr(agent_cfg, "library"):  # which SBX's and Stable-Baselines3's agents have
        handle_deprecated_rsl_rl_cfg(agent_cfg, check_rsl_rl_version())
        clip_actions = agent_cfg.clip_actions
    env_cfg.scene.num_envs, env_cfg.sim.device, env_cfg.seed = num_envs, device, seed
    agent_cfg.device = device
    if adjust is not None:
        adjust(env_cfg)
    with launch_simulation(env_cfg, {"device": device}):
        env = gym.make(task, cfg=env_cfg)
        try:
            yield RslRlVecEnvWrapper(env, clip_actions=clip_actions), agent_cfg  # type: ignore[arg-type]
        finally:
            env.close()


def load_policy(env: Any, agent_cfg: Any, checkpoint: str) -> Callable[..., torch.Tensor]:
    """The policy of a checkpoint.

    Args:
        env: The wrapped environment.
        agent_cfg: The agent's resolved configuration.
        checkpoint: Path of the checkpoint.

    Returns:
        A function from observations to actions, shape [N, A]; with ``stochastic_output=True`` they are sampled.

    Raises:
        ConfigError: If the file is not a checkpoint of the agent and task.
    """
    if hasattr(agent_cfg, "library"):
        from .sbx.playback import load_policy as load_sb3_policy

        return load_sb3_policy(env, agent_cfg, checkpoint)

    from isaaclab.utils import to_dict

    from .rsl_rl import Runner

    runner = Runner(env, to_dict(agent_cfg), log_dir=None, device=agent_cfg.device)
    runner.load(checkpoint)
    return runner.get_inference_policy(device=agent_cfg.device)
