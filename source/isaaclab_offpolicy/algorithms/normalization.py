# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Running statistics of observations."""

from __future__ import annotations

from typing import Any

import torch
from rsl_rl.modules import EmpiricalNormalization


@torch.no_grad()
def update_statistics(normalizer: EmpiricalNormalization, obs: torch.Tensor) -> None:
    """Let rsl_rl's normaliser see observations, as its own ``update`` does, but without a number from the host.

    Its own makes a tensor of the number of observations, and on a GPU the host waits for that copy at every step.
    Means and variances of two sets are combined as by Chan, Golub and LeVeque (1979), over all processes.

    Args:
        normalizer: rsl_rl's normaliser; nothing happens unless it is training.
        obs: Observations, shape [N, D]; there may be none, where other processes have some.
    """
    if not normalizer.training:
        return
    # the number is an argument of a kernel, and no copy
    count = torch.full_like(normalizer.count, len(obs))
    mean, var = torch.zeros_like(normalizer._mean), torch.zeros_like(normalizer._var)
    if len(obs):
        mean, var = obs.mean(dim=0, keepdim=True), obs.var(dim=0, unbiased=False, keepdim=True)
    if torch.distributed.is_initialized():
        torch.distributed.all_reduce(count)
        total = mean * len(obs)
        torch.distributed.all_reduce(total)
        squares = len(obs) * (var + (mean - total / count).square())
        torch.distributed.all_reduce(squares)
        mean, var = total / count, squares / count
    normalizer.count += count
    share = count / normalizer.count
    change = mean - normalizer._mean
    normalizer._mean += share * change
    normalizer._var += share * (var - normalizer._var + change * (mean - normalizer._mean))
    normalizer._std.copy_(normalizer._var.sqrt())
    _leave_alone(normalizer)


def fix_columns(normalizer: EmpiricalNormalization, columns: torch.Tensor) -> None:
    """Let a normaliser leave some observations as they are.

    Their mean stays 0 and their deviation 1, also in checkpoints and exports, which so need not know of it.

    Args:
        normalizer: rsl_rl's normaliser.
        columns: Whether an observation is left alone, shape [D].
    """
    normalizer.register_buffer("fixed", columns.bool().view(1, -1), persistent=False)
    _leave_alone(normalizer)


def as_in_checkpoint(normalizer: EmpiricalNormalization) -> bool:
    """Let a normaliser that was restored go on as it began, whatever the configuration says now.

    Args:
        normalizer: rsl_rl's normaliser.

    Returns:
        Whether it leaves other observations alone than before.
    """
    state = normalizer.state_dict()
    columns = (state["_mean"] == 0.0) & (state["_var"] == 1.0)  # no statistics are so exact
    before = getattr(normalizer, "fixed", torch.zeros_like(columns))
    if not bool(normalizer.count > 0) or torch.equal(before, columns):
        return False
    fix_columns(normalizer, columns)
    return True


def _leave_alone(normalizer: Any) -> None:
    fixed = getattr(normalizer, "fixed", None)
    if fixed is not None:
        normalizer._mean.masked_fill_(fixed, 0.0)
        normalizer._var.masked_fill_(fixed, 1.0)
        normalizer._std.masked_fill_(fixed, 1.0 - normalizer.eps)  # rsl_rl divides by their sum
