# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Agents of SBX and Stable-Baselines3 from their configuration."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import VecEnv

from isaaclab_offpolicy.algorithms.temperature import entropy_coef
from isaaclab_offpolicy.environments.height_scan import height_scan_columns
from isaaclab_offpolicy.options import check_config

from .cfg import Sb3AgentCfg, Sb3OffPolicyCfg, Sb3PpoCfg
from .collection import StepReplayBuffer, VectorCollection

# before JAX is imported: it would take three quarters of a GPU's memory, which the simulation needs as well
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


def algorithm_class(cfg: Sb3AgentCfg) -> type[BaseAlgorithm]:
    """The algorithm's class; off-policy ones collect without loops over the environments.

    Raises:
        ValueError: If the library does not have it.
    """
    if cfg.library == "sbx":
        import sbx as module
    else:
        import stable_baselines3 as module
    base = getattr(module, cfg.algorithm, None)
    if base is None:
        raise ValueError(f"{module.__name__} has no algorithm '{cfg.algorithm}'")
    return base if cfg.algorithm == "PPO" else type(cfg.algorithm, (VectorCollection, base), {})


def gradient_steps(cfg: Sb3OffPolicyCfg, num_envs: int) -> int:
    """Gradient steps per update phase.

    Args:
        cfg: The configuration.
        num_envs: Number of environments.

    Raises:
        ValueError: If not exactly one of ``replay_ratio`` and ``gradient_steps`` is given, or the number is not a
            multiple of ``policy_delay``, for which SBX would compile its update again and again.
    """
    if (cfg.replay_ratio is None) == (cfg.gradient_steps is None):
        raise ValueError("give exactly one of replay_ratio and gradient_steps, and None for the other")
    delay = cfg.policy_delay if cfg.library == "sbx" else 1
    if cfg.replay_ratio is not None:
        wanted = cfg.replay_ratio * num_envs * cfg.train_freq
        steps = max(delay, round(wanted / delay) * delay)
        if steps > 1.5 * wanted:
            print(
                f"[WARNING] {steps} gradient steps, as few as policy_delay allows, for {num_envs * cfg.train_freq}"
                f" transitions are {steps / wanted:.3g} times the replay ratio; take more environments or train_freq"
            )
        return steps
    steps = int(cfg.gradient_steps or 0)
    if steps == -1:
        steps = num_envs * cfg.train_freq
        print(
            f"[WARNING] gradient_steps=-1 is {steps} gradient steps for every {cfg.train_freq} env step(s), one per"
            " transition; the published replay ratio is 1/32"
        )
    if steps < 1:
        raise ValueError(f"gradient_steps is a number above zero or -1, not {steps}")
    if steps % delay:
        below = steps // delay * delay
        near = " or ".join(str(x) for x in (below, below + delay) if x)
        raise ValueError(
            f"gradient_steps={steps} is not a multiple of policy_delay={delay}: SBX would compile its update anew for"
            f" each remainder; take {near}"
        )
    return steps


def columns_to_normalize(env: Any, which: str | None) -> np.ndarray | None:
    """Which entries of the observations are normalised, shape [D]; None for no normalisation.

    Args:
        env: Isaac Lab's environment, unwrapped.
        which: ``all``, ``none`` (or None, which Isaac Lab makes of it on the command line) or ``all-but-height-scan``.

    Raises:
        ValueError: If it is none of these.
    """
    if which in (None, "none"):
        return None
    if which not in ("all", "all-but-height-scan"):
        raise ValueError(f"normalize is 'all', 'none' or 'all-but-height-scan', not '{which}'")
    heights = height_scan_columns(env)
    return ~heights if which == "all-but-height-scan" else np.ones_like(heights)


def constructor_options(cfg: Sb3AgentCfg, num_envs: int, device: str) -> dict[str, Any]:
    """Arguments of the algorithm's constructor.

    Args:
        cfg: The configuration.
        num_envs: Number of environments.
        device: Device of Stable-Baselines3's networks; SBX's are where JAX puts them.

    Raises:
        ValueError: If an option cannot be used.
    """
    check_config(cfg)
    if cfg.algorithm == "TQC" and getattr(cfg, "n_critics", 2) != 2:
        raise ValueError(f"SBX's TQC has two critics; n_critics={cfg.n_critics} changes only which quantiles it drops")  # type: ignore[attr-defined]
    if isinstance(cfg, Sb3OffPolicyCfg):
        entropy_coef(cfg.ent_coef)
    options: dict[str, Any] = {"learning_rate": _learning_rate(cfg), "gamma": cfg.gamma, "seed": cfg.seed}
    if cfg.library == "sb3":
        options["device"] = device
    policy_kwargs: dict[str, Any] = {"net_arch": list(cfg.net_arch), "activation_fn": _activation(cfg)}
    if isinstance(cfg, Sb3PpoCfg):
        if cfg.n_steps * num_envs % cfg.n_minibatches:
            raise ValueError(f"{cfg.n_steps * num_envs} transitions make no {cfg.n_minibatches} equal minibatches")
        policy_kwargs["net_arch"] = {"pi": list(cfg.net_arch), "vf": list(cfg.net_arch)}
        policy_kwargs["log_std_init"] = math.log(cfg.init_std)
        options |= {
            "n_steps": cfg.n_steps, "batch_size": cfg.n_steps * num_envs // cfg.n_minibatches,
            "n_epochs": cfg.n_epochs, "gae_lambda": cfg.gae_lambda, "clip_range": cfg.clip_range,
            "ent_coef": cfg.ent_coef, "max_grad_norm": cfg.max_grad_norm, "target_kl": cfg.target_kl,
        }  # fmt: skip
    else:
        assert isinstance(cfg, Sb3OffPolicyCfg)
        options |= {
            "buffer_size": cfg.buffer_size, "batch_size": cfg.batch_size, "learning_starts": cfg.learning_starts,
            "train_freq": cfg.train_freq, "gradient_steps": gradient_steps(cfg, num_envs), "tau": cfg.tau,
            "ent_coef": cfg.ent_coef, "target_entropy": cfg.target_entropy, "use_sde": cfg.use_sde,
            "sde_sample_freq": cfg.sde_sample_freq, "replay_buffer_class": StepReplayBuffer,
            "replay_buffer_kwargs": {"n_steps": cfg.n_steps, "gamma": cfg.gamma},
        }  # fmt: skip
        policy_kwargs["n_critics"] = cfg.n_critics
        policy_kwargs |= _optimizer(cfg)
        if cfg.library == "sbx":
            policy_kwargs["layer_norm"] = cfg.layer_norm
            options["policy_delay"] = cfg.policy_delay
        elif cfg.policy_delay != 1 or cfg.layer_norm:
            raise ValueError("Stable-Baselines3's SAC has no policy_delay and no layer_norm; set them to 1 and False")
        if cfg.algorithm == "TQC":
            options["top_quantiles_to_drop_per_net"] = cfg.top_quantiles_to_drop_per_net
    return {**options, "policy_kwargs": policy_kwargs}


def build(cfg: Sb3AgentCfg, env: VecEnv, device: str, tensorboard_log: str | None = None) -> BaseAlgorithm:
    """Make an agent.

    Args:
        cfg: The configuration.
        env: The environment, normalised if it is to be.
        device: Device of Stable-Baselines3's networks; SBX's are where JAX puts them.
        tensorboard_log: Folder of TensorBoard's files.

    Raises:
        ValueError: If an option cannot be used.
    """
    options = constructor_options(cfg, env.num_envs, device)
    if cfg.library == "sbx" and learns_elsewhere(device):
        print(f"[WARNING] {learns_elsewhere(device)}")
    return algorithm_class(cfg)("MlpPolicy", env, tensorboard_log=tensorboard_log, **options)  # type: ignore[arg-type]


def learns_elsewhere(device: str) -> str | None:
    """What is to be said where SBX cannot learn on a device, as JAX does not see it; None where it can."""
    import jax

    if not device.startswith("cuda") or jax.default_backend() != "cpu":
        return None
    return "JAX sees no GPU, so SBX learns on the CPU; install jax[cuda13] beside this package"


def _learning_rate(cfg: Sb3AgentCfg) -> float | LinearSchedule:
    if cfg.learning_rate_end is None:
        return cfg.learning_rate
    return LinearSchedule(cfg.learning_rate, cfg.learning_rate_end, cfg.learning_rate_end_fraction)


def _activation(cfg: Sb3AgentCfg) -> Any:
    if cfg.library == "sbx":
        import flax.linen as nn

        found = getattr(nn, cfg.activation.lower(), None)
    else:
        from torch import nn as torch_nn

        found = next((value for name, value in vars(torch_nn).items() if name.lower() == cfg.activation.lower()), None)
    if found is None:
        raise ValueError(f"{cfg.library} has no activation '{cfg.activation}'")
    return found


def _optimizer(cfg: Sb3OffPolicyCfg) -> dict[str, Any]:
    if cfg.library == "sbx":
        import optax

        return {"optimizer_class": getattr(optax, cfg.optimizer)}
    import torch

    # optax's default, with which the published results were made
    decay = {"weight_decay": 1.0e-4} if cfg.optimizer == "adamw" else {}
    return {
        "optimizer_class": torch.optim.AdamW if cfg.optimizer == "adamw" else torch.optim.Adam,
        "optimizer_kwargs": decay,
    }
