# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""What a checkpoint of SAC holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from rsl_rl.modules import EmpiricalNormalization
from torch import nn
from torch.utils._pytree import tree_map_only

from isaaclab_offpolicy.action_bounds import ActionBounds
from isaaclab_offpolicy.training.finite import check_weights

from .normalization import as_in_checkpoint
from .schedule import LearningRate

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
        "progress": {
            "env_steps": sac._env_steps,
            "steps_owed": sac._steps_owed,
            "uniform_until": sac.uniform_until,
            "schedule": list(sac.rate),
            "schedule_start": sac.schedule_start,
            "noise": {sac.noise.kind: sac.noise.state()},
        },
    }
    if sac.reward_scale is not None:
        saved["reward_scale"] = sac.reward_scale.state()
    # so that a machine without the device can read it; Isaac Lab's play does not say where to put the tensors
    return tree_map_only(torch.Tensor, torch.Tensor.cpu, saved)


def load(sac: SAC, saved: dict[str, Any], what: Mapping[str, bool] | None, strict: bool) -> bool:
    """Restore what :func:`save` gave; ``sac.differences`` says what is another now.

    The checkpoint's bounds and learned temperature replace those of the configuration; learning rates, weight decay
    and a fixed temperature are the configuration's. A schedule of the learning rate goes on unless its options have
    changed or the optimizers begin anew.

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
    progress: dict[str, Any] = saved.get("progress", {}) if what.get("iteration") else {}
    differences: list[str | None] = []
    if what.get("actor"):
        bounds = ActionBounds.from_dict(saved["action_bounds"]).of_policy_for(sac.bounds)
        sac.actor.load_state_dict(saved["actor_state_dict"], strict=strict)
        sac.follow_actor()
        if isinstance(sac.actor.obs_normalizer, EmpiricalNormalization) and as_in_checkpoint(sac.actor.obs_normalizer):
            differences.append("observations are normalised as they were, and not as normalize says")
        sac.bounds, sac.bounds_error = bounds, None
        sac.uniform_until = progress.get("uniform_until", 0)
    if what.get("critic"):
        for name in ("critic", "critic_target", "critic_obs_normalizer"):
            modules(sac)[name].load_state_dict(saved[f"{name}_state_dict"], strict=strict)
        if isinstance(sac.critic_obs_normalizer, EmpiricalNormalization):
            as_in_checkpoint(sac.critic_obs_normalizer)
        differences.append(sac.entropy_coef.restore(saved["entropy_coef_state_dict"]))
        if (sac.reward_scale is None) != ("reward_scale" not in saved):
            before = "were" if sac.reward_scale is None else "were not"
            differences.append(f"rewards {before} normalised: the critics' values have another size now")
        elif sac.reward_scale is not None:
            sac.reward_scale.restore(saved["reward_scale"])
    if what.get("optimizer"):
        states = {name: saved.get(f"{name}_optimizer_state_dict") for name in sac.updater.optimizers()}
        for name, state in states.items():
            if state is not None:
                sac.updater.load_optimizer(name, state)
        if missing := [name for name, state in states.items() if state is None]:
            differences.append(f"it has no optimizer state of {', '.join(missing)}: these begin anew")
        sac.updater.compile()
    if what.get("iteration"):
        sac.num_timesteps, sac.num_updates = saved["num_timesteps"], saved["num_updates"]
    sac.schedule_start = sac.num_timesteps
    if progress:
        sac._env_steps, sac._steps_owed = progress["env_steps"], progress["steps_owed"]
        noise = progress["noise"]
        if isinstance(noise, list):  # as before there were several kinds
            noise = {f"held:{noise[0]}": noise[1:]}
        ((kind, state),) = noise.items()
        if sac.world_size == 1:  # other processes shall not have the first one's noise
            sac.noise.restore(kind, state)
        before = LearningRate(*progress["schedule"])
        if before != sac.rate:
            differences.append(f"learning rate: {sac.rate} from here on; it was {before}")
        elif what.get("optimizer"):
            sac.schedule_start = progress["schedule_start"]
    sac.learning_rate = sac.rate.at(sac.num_timesteps - sac.schedule_start)
    sac.differences = [line for line in differences if line is not None]
    # an empty replay buffer is filled with the policy before anything is learned from it
    refill = max(sac.cfg.learning_starts, RESUME_ENV_STEPS * sac.storage.num_envs)
    sac.learn_from = sac.num_timesteps + refill
    return bool(what.get("iteration", False))
