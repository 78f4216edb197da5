# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Refuses numbers that are not finite, and says which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn


class NonFiniteError(ValueError):
    """An observation, reward, action, loss or weight that is not finite."""


def check_finite(
    values: Mapping[str, torch.Tensor], num_timesteps: int, also: Sequence[torch.Tensor] = ()
) -> Sequence[bool]:
    """Raise where a number is not finite; one host–device sync when all is well.

    Args:
        values: Tensors by what they are, environments first.
        num_timesteps: Transitions so far, for the message.
        also: Truth values that are read in the same sync.

    Returns:
        The values of ``also``.

    Raises:
        NonFiniteError: With the first such number, its environment and its entry.
    """
    # the sum of a tensor is finite if and only if its entries are (up to overflow, which is no better)
    sums = [value.sum() for value in values.values()]
    sums += [torch.where(flag, torch.nan, 0.0) for flag in also]
    if bool(torch.stack(sums).isfinite().all()):
        return [False] * len(also)
    for name, value in values.items():
        bad = (~value.isfinite()).nonzero()
        if len(bad):
            where = ", ".join(f"{axis} {int(i)}" for axis, i in zip(("environment", "entry"), bad[0], strict=False))
            raise NonFiniteError(
                f"{name} is not finite: {value[tuple(bad[0])].item()} in {where}"
                f" ({len(bad)} numbers in all) after {num_timesteps} transitions"
            )
    return [bool(flag) for flag in also]


def check_weights(modules: Mapping[str, nn.Module]) -> None:
    """Raise where a weight or a statistic is not finite.

    Raises:
        NonFiniteError: With its name.
    """
    for module, network in modules.items():
        for name, value in network.state_dict().items():
            if not bool(value.isfinite().all()):
                raise NonFiniteError(f"weights are not finite ({module}.{name}); no checkpoint is written")


def check_metrics(metrics: Mapping[str, float], num_updates: int) -> None:
    """Raise where a loss is not finite.

    Raises:
        NonFiniteError: With its name.
    """
    bad = [name for name, value in metrics.items() if value != value or abs(value) == float("inf")]
    if bad:
        raise NonFiniteError(f"learning diverged: {', '.join(bad)} not finite after {num_updates} updates")
