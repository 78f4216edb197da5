# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""What a checkpoint of SAC holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from isaaclab_offpolicy.action_bounds import ActionBounds
from isaaclab_offpolicy.training.finite import check_weights

if TYPE_CHECKING:
    from .sac import SAC

RESUME_ENV_STEPS = 100
"""Env steps that fill an empty replay buffer before a resumed training learns: two seconds of simulated time."""


def modules(sac: SAC) -> dict[str, nn.Module]:
    """All that has weights or statistics, by its name in a checkpoint."""
    return {
        "actor": sac.actor,
        "critic": sac.critic,
        "critic_target": sac.updater.critic_target,
        "critic_obs_normalizer": sac.critic_obs_normalizer,
        "entropy_coef": sac.entropy_coef,
    }


def save(sac: SAC) -> dict[str, Any]:
    """Everything but the replay buffer, as plain data and tensors on the CPU.

    Raises:
        NonFiniteError: If a weight is not finite: a checkpoint must not replace a good one with a broken one.
    """
    check_weights(modules(sac))
    saved: dict[str, Any] = {f"{name}_state_dict": module.state_dict() for name, module in modules(sac).items()}
    for name, optimizer in sac.updater.optimizers().items():
        saved[f"{name}_optimizer_state_dict"] = optimizer.state_dict()
    saved |= {
        "action_bounds": sac.bounds.to_dict(),
        "num_timesteps": sac.num_timesteps,
        "num_updates": sac.num_updates,
    }
    # so that a machine without the device can read it; Isaac Lab's play does not say where to put the tensors
    return _on_cpu(saved)


def load(sac: SAC, saved: dict[str, Any], what: Mapping[str, bool] | None, strict: bool) -> bool:
    """Restore what :func:`save` gave. The bounds of the checkpoint replace those of the configuration.

    Args:
        sac: The learner.
        saved: The checkpoint.
        what: Which of ``actor``, ``critic``, ``optimizer`` and ``iteration`` to restore; None is all.
        strict: Whether the weights' names must match.

    Returns:
        Whether the runner shall continue its count of iterations.

    Raises:
        BoundsError: If the checkpoint's joints, action scale or default pose are not those of the task.
        ValueError: If the checkpoint is not one of SAC.
    """
    if "action_bounds" not in saved:
        raise ValueError("not a checkpoint of SAC: it holds no action bounds (was it trained with another agent?)")
    what = what or {"actor": True, "critic": True, "optimizer": True, "iteration": True}
    if what.get("actor"):
        bounds = ActionBounds.from_dict(saved["action_bounds"]).of_policy_for(sac.bounds)
        sac.actor.load_state_dict(saved["actor_state_dict"], strict=strict)
        sac.follow_actor()
        sac.bounds, sac.bounds_error = bounds, None
        sac.uniform_until = 0
    if what.get("critic"):
        for name in ("critic", "critic_target", "critic_obs_normalizer", "entropy_coef"):
            modules(sac)[name].load_state_dict(saved[f"{name}_state_dict"], strict=strict)
    if what.get("optimizer"):
        for name in sac.updater.optimizers():
            if f"{name}_optimizer_state_dict" in saved:
                sac.updater.load_optimizer(name, saved[f"{name}_optimizer_state_dict"])
        sac.learning_rate = float(sac.updater.critic_optimizer.param_groups[0]["lr"])
        sac.updater.compile()
    if what.get("iteration"):
        sac.num_timesteps, sac.num_updates = saved["num_timesteps"], saved["num_updates"]
    sac.schedule_start = sac.num_timesteps
    # an empty replay buffer is filled with the policy before anything is learned from it
    refill = max(sac.cfg.learning_starts, RESUME_ENV_STEPS * sac.storage.num_envs)
    sac.learn_from = sac.num_timesteps + refill
    return bool(what.get("iteration", False))


def _on_cpu(value: Any) -> Any:
    """The same data with its tensors on the CPU."""
    if isinstance(value, torch.Tensor):
        return value.cpu()
    if isinstance(value, Mapping):
        return {key: _on_cpu(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_on_cpu(item) for item in value]
    return value
