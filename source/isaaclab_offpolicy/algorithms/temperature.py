# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""The entropy coefficient of SAC, fixed or learned."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import nn


def entropy_coef(spec: str | float) -> tuple[bool, float]:
    """Whether a temperature is learned, and from which value, or the one that is kept.

    Args:
        spec: ``"auto"`` learns it from 1, ``"auto_X"`` from X, a number keeps it (SB3's ``ent_coef``).

    Raises:
        ValueError: If the specification is none of these, or the value is not positive.
    """
    text = str(spec)
    learned = text.startswith("auto")
    try:
        value = 1.0 if text == "auto" else float(text.removeprefix("auto_"))
    except ValueError:
        raise ValueError(f"ent_coef is 'auto', 'auto_X' or a number, not '{spec}'") from None
    if not (math.isfinite(value) and value >= 0.0 and (value > 0.0 or not learned)):
        raise ValueError(f"ent_coef '{spec}': the value must be positive")
    return learned, value


class EntropyCoef(nn.Module):
    """The temperature α.

    Args:
        spec: As of :func:`entropy_coef`.

    Raises:
        ValueError: If it is none.
    """

    def __init__(self, spec: str | float = "auto") -> None:
        super().__init__()
        self.learned, value = entropy_coef(spec)
        if self.learned:
            self.log_value = nn.Parameter(torch.tensor(math.log(value)))
        else:
            self.value: torch.Tensor
            self.register_buffer("value", torch.tensor(value))

    def restore(self, state: Mapping[str, torch.Tensor]) -> str | None:
        """Go on from the α of a ``state_dict`` where it is learned; a fixed one stays. Gives what is another then."""
        was_learned = "log_value" in state
        before = float(state["log_value"].exp() if was_learned else state["value"])
        if self.learned and before > 0.0:
            self.log_value.data.fill_(state["log_value"] if was_learned else math.log(before))
        then, now = (
            f"learned, {value:.4g}" if learned else f"fixed at {value:.4g}"
            for learned, value in ((was_learned, before), (self.learned, self().item()))
        )
        return None if then == now else f"temperature: {now} from here on; it was {then}"

    def forward(self) -> torch.Tensor:
        """α, a scalar without gradient."""
        return self.log_value.detach().exp() if self.learned else self.value
