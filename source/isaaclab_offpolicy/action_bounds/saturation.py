# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""How often actions sit at their bounds, joint by joint."""

from __future__ import annotations

import torch

from .bounds import ActionBounds

SATURATED = 0.98
"""A normalised action beyond this is within 1 % of the range from a bound."""


class SaturationMonitor:
    """Counts how often each joint's action is within 1 % of the range from a bound, without leaving the device.

    A joint that is at its bounds, lower and upper together, in more than a fraction of the actions, for a number of
    transitions on end, gets one warning, with bounds that would give it more room.

    Args:
        joints: Number of joints A.
        fraction: Fraction of the actions at a bound from which on a joint is watched.
        transitions: Transitions after which a watched joint is reported.
        device: Device of the counts.
    """

    def __init__(
        self, joints: int, fraction: float = 0.5, transitions: int = 500_000, device: str | torch.device = "cpu"
    ) -> None:
        self.fraction, self.transitions = fraction, transitions
        self._counts = torch.zeros(2, joints, device=device)
        self._samples = 0
        self._watched = [0] * joints
        self._reported: set[int] = set()

    def add(self, normalized_action: torch.Tensor, weight: int = 1) -> None:
        """Count actions.

        Args:
            normalized_action: Actions in [-1, 1], shape [N, A].
            weight: For how many steps these stand.
        """
        # as products with a vector of ones: many times faster on the CPU than to sum truth values along axis 0
        ones = torch.full((len(normalized_action),), float(weight), device=normalized_action.device)
        self._counts[0] += ones @ (normalized_action < -SATURATED).float()
        self._counts[1] += ones @ (normalized_action > SATURATED).float()
        self._samples += weight * len(normalized_action)

    def pop(self, bounds: ActionBounds) -> tuple[dict[str, float], list[str]]:
        """Fractions since the last call, and warnings.

        Args:
            bounds: The bounds, in the order of the joints.

        Returns:
            The fraction of saturated actions over all joints (``action_saturation``) and of each joint
            (``saturation/JOINT``), nothing if there were no actions; and a line for each joint that needs more room.
        """
        if not self._samples:
            return {}, []
        shares: list[tuple[float, float]] = list(zip(*(self._counts / self._samples).tolist(), strict=True))
        lines = [self._watch(joint, share, bounds) for joint, share in enumerate(shares)]
        warnings = [line for line in lines if line is not None]
        both = [low + high for low, high in shares]
        metrics = {"action_saturation": sum(both) / len(both)}
        metrics |= {f"saturation/{name}": share for name, share in zip(bounds.joint_names, both, strict=True)}
        self._counts.zero_()
        self._samples = 0
        return metrics, warnings

    def _watch(self, joint: int, shares: tuple[float, float], bounds: ActionBounds) -> str | None:
        both = sum(shares)
        self._watched[joint] = self._watched[joint] + self._samples if both > self.fraction else 0
        if self._watched[joint] < self.transitions or joint in self._reported:
            return None
        self._reported.add(joint)
        box = [bounds.low[joint], bounds.high[joint]]
        # of the two sides those that have a good part of it
        tight = [side for side in (0, 1) if shares[side] > 0.25 * both]
        wider = [box[side] + (2 * side - 1) * (side in tight) * 0.25 * (box[1] - box[0]) for side in (0, 1)]
        where = "its bounds" if len(tight) == 2 else f"its {'upper' if tight[0] else 'lower'} bound"
        return (
            f"joint '{bounds.joint_names[joint]}' is at {where} in {100 * sum(shares[side] for side in tight):.0f} %"
            f" of the actions; [{box[0]:.3g}, {box[1]:.3g}] may be too narrow: try [{wider[0]:.3g}, {wider[1]:.3g}]"
        )
