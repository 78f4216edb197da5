# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Deterministic evaluation of a policy."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from rsl_rl.env import VecEnv

from isaaclab_offpolicy.environments.episodes import time_outs
from isaaclab_offpolicy.training.watchdog import PULSE


@dataclass(frozen=True)
class Evaluation:
    """Complete episodes of a policy."""

    returns: torch.Tensor
    """Undiscounted return of each episode, shape [E]."""

    lengths: torch.Tensor
    """Number of steps of each episode, shape [E]."""

    timeouts: torch.Tensor
    """Whether the episode ran its full length rather than ending in a termination, shape [E]."""

    environments: torch.Tensor
    """In which environment it ran, shape [E]."""

    measured: dict[str, torch.Tensor] = field(default_factory=dict)
    """Means over each episode of what else was measured, shape [E] each."""

    def summary(self) -> dict[str, Any]:
        """Means with their confidence intervals, standard deviation and quartiles as plain numbers."""
        quartiles = torch.quantile(self.returns.double(), torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64))
        return {
            "episodes": len(self.returns),
            "return_mean": self.returns.mean().item(),
            "return_std": self.returns.std(correction=0).item(),
            "return_quartiles": quartiles.tolist(),
            "return_ci95": confidence_interval(self.returns),
            "length_mean": self.lengths.mean().item(),
            "survival_rate": self.timeouts.mean().item(),
            "survival_ci95": confidence_interval(self.timeouts),
            **{name: values.mean().item() for name, values in self.measured.items()},
        }


def confidence_interval(values: torch.Tensor, resamples: int = 2000) -> list[float]:
    """The 95 % interval of a mean by the bootstrap (Efron 1979), the same at every call.

    Args:
        values: One number per episode, shape [E].
        resamples: Means of E episodes drawn with replacement.

    Returns:
        Its lower and its upper end.
    """
    generator = torch.Generator().manual_seed(0)
    values = values.double().cpu()
    means = [values[torch.randint(len(values), (len(values),), generator=generator)].mean() for _ in range(resamples)]
    return torch.quantile(torch.stack(means), torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()


def evaluate(
    env: VecEnv,
    policy: Callable[[Any], torch.Tensor],
    episodes: int,
    measure: Callable[[], dict[str, torch.Tensor]] | None = None,
    report: Callable[[int], None] | None = None,
) -> Evaluation:
    """Run a policy for a number of complete episodes.

    Every environment contributes equally many, its first ones after a reset: taking whichever end first would favour
    short episodes.

    Args:
        env: The wrapped environment with N environments; it is reset.
        policy: Maps observations to actions, shape [N, A].
        episodes: Number of episodes E; the next multiple of N is run, and the first E are returned.
        measure: Gives numbers of each environment before each step, shape [N] each, such as
            :func:`velocity_tracking`'s.
        report: Called now and then with the number of episodes that have ended.
    """
    rounds = math.ceil(episodes / env.num_envs)
    sums = torch.zeros(env.num_envs, device=env.device)
    lengths = torch.zeros_like(sums)
    finished = torch.zeros(env.num_envs, dtype=torch.long, device=env.device)
    index = torch.arange(env.num_envs, device=env.device)
    rows: list[torch.Tensor] = []
    names: list[str] = []
    measured: list[torch.Tensor] = []
    steps = 0
    with torch.inference_mode():
        obs, _ = env.reset()  # type: ignore[attr-defined]
        while bool((finished < rounds).any()):
            if measure is not None:
                values = measure()
                if not names:
                    names, measured = list(values), [torch.zeros_like(sums) for _ in values]
                for total, value in zip(measured, values.values(), strict=True):
                    total += value
            obs, rewards, dones, extras = env.step(policy(obs))
            sums += rewards
            lengths += 1.0
            done = dones.bool()
            counted = done & (finished < rounds)
            if bool(counted.any()):
                survived = time_outs(env, done, extras)
                order = (finished * env.num_envs + index).double()
                means = [(total / lengths).double() for total in measured]
                row = torch.stack((order, sums.double(), lengths.double(), survived.double(), *means), dim=-1)
                rows.append(row[counted].cpu())
            finished += done
            steps += 1
            PULSE.beat()
            if report is not None and steps % 50 == 0:
                report(int(finished.clamp(max=rounds).sum()))
            for total in (sums, lengths, *measured):
                total.masked_fill_(done, 0.0)
    table = torch.cat(rows)
    # by episode of an environment, then by environment: the order in which they ended must not decide which ones count
    table = table[torch.argsort(table[:, 0])][:episodes]
    return Evaluation(
        returns=table[:, 1],
        lengths=table[:, 2],
        timeouts=table[:, 3],
        environments=(table[:, 0] % env.num_envs).long(),
        measured={name: table[:, 4 + i] for i, name in enumerate(names)},
    )


def velocity_tracking(env: Any, command: str = "base_velocity") -> Callable[[], dict[str, torch.Tensor]] | None:
    """What to measure in a velocity task, for :func:`evaluate`.

    Args:
        env: Isaac Lab's environment, unwrapped.
        command: Name of the velocity command.

    Returns:
        A function that gives, for each environment, the distance between commanded and actual velocity in the plane
        ``velocity_error`` [m/s], that of the yaw rate ``yaw_rate_error`` [rad/s], the speed ``speed`` [m/s], the
        commanded one ``commanded_speed`` [m/s], the height of the base ``base_height`` [m] above the environment's
        origin, the mechanical power ``power`` of the joints [W], the distance between an action and the one before
        ``action_rate`` [raw action units], and the joints' ``jerk``, from one step to the next [rad/s³]. None if the
        task has no such command.
    """
    manager = getattr(env, "command_manager", None)
    if manager is None or command not in manager.active_terms:
        return None
    robot = env.scene[manager.get_term(command).cfg.asset_name]
    before: list[torch.Tensor] = []

    def measure() -> dict[str, torch.Tensor]:
        wanted = manager.get_command(command)
        power = (robot.data.applied_torque.torch * robot.data.joint_vel.torch).abs().sum(dim=-1)
        actions, acceleration = env.action_manager, robot.data.joint_acc.torch.clone()
        jerk = (acceleration - before.pop() if before else torch.zeros_like(acceleration)).norm(dim=-1) / env.step_dt
        before.append(acceleration)
        first = env.episode_length_buf == 0  # what was before the reset is another episode's
        velocity, turning = robot.data.root_lin_vel_b.torch[:, :2], robot.data.root_ang_vel_b.torch[:, 2]
        return {
            "velocity_error": (wanted[:, :2] - velocity).norm(dim=-1),
            "yaw_rate_error": (wanted[:, 2] - turning).abs(),
            "speed": velocity.norm(dim=-1),
            "commanded_speed": wanted[:, :2].norm(dim=-1),
            "base_height": robot.data.root_pos_w.torch[:, 2] - env.scene.env_origins[:, 2],
            "power": power,
            "action_rate": (actions.action - actions.prev_action).norm(dim=-1),
            "jerk": jerk.masked_fill(first, 0.0),
        }

    return measure
