# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Deterministic evaluation of a policy."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from rsl_rl.env import VecEnv


@dataclass(frozen=True)
class Evaluation:
    """Complete episodes of a policy."""

    returns: torch.Tensor
    """Undiscounted return of each episode, shape [E]."""

    lengths: torch.Tensor
    """Number of steps of each episode, shape [E]."""

    timeouts: torch.Tensor
    """Whether the episode ran its full length rather than ending in a fall, shape [E]."""

    def summary(self) -> dict[str, Any]:
        """Mean, standard deviation and quartiles as plain numbers."""
        quartiles = torch.quantile(self.returns.double(), torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64))
        return {
            "episodes": len(self.returns),
            "return_mean": self.returns.mean().item(),
            "return_std": self.returns.std(correction=0).item(),
            "return_quartiles": quartiles.tolist(),
            "length_mean": self.lengths.mean().item(),
            "share_without_fall": self.timeouts.mean().item(),
        }


def evaluate(env: VecEnv, policy: Callable[[Any], torch.Tensor], episodes: int) -> Evaluation:
    """Run a policy for a number of complete episodes.

    Every environment contributes equally many, its first ones after a reset: taking whichever end first would favour
    short episodes.

    Args:
        env: The wrapped environment with N environments; it is reset.
        policy: Maps observations to actions, shape [N, A].
        episodes: Number of episodes E; the next multiple of N is run, and the first E are returned.
    """
    rounds = math.ceil(episodes / env.num_envs)
    sums = torch.zeros(env.num_envs, device=env.device)
    lengths = torch.zeros_like(sums)
    finished = torch.zeros(env.num_envs, dtype=torch.long, device=env.device)
    index = torch.arange(env.num_envs, device=env.device)
    rows: list[torch.Tensor] = []
    with torch.inference_mode():
        obs, _ = env.reset()  # type: ignore[attr-defined]
        while bool((finished < rounds).any()):
            obs, rewards, dones, extras = env.step(policy(obs))
            sums += rewards
            lengths += 1.0
            done = dones.bool()
            counted = done & (finished < rounds)
            if bool(counted.any()):
                time_outs = extras["time_outs"].float()
                order = (finished * env.num_envs + index).double()
                row = torch.stack((order, sums.double(), lengths.double(), time_outs.double()), dim=-1)
                rows.append(row[counted].cpu())
            finished += done
            sums.masked_fill_(done, 0.0)
            lengths.masked_fill_(done, 0.0)
    table = torch.cat(rows)
    # by round, then by environment: the order in which they ended must not decide which ones count
    table = table[torch.argsort(table[:, 0])][:episodes]
    return Evaluation(returns=table[:, 1], lengths=table[:, 2], timeouts=table[:, 3])
