# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""How often actions sit at their bounds, joint by joint."""

from __future__ import annotations

import torch

from isaaclab_offpolicy.action_bounds import ActionBounds

SATURATED = 0.98
"""A unit action beyond this is within 1 % of the range from a bound."""


class SaturationMonitor:
    """Counts how often each joint's action is within 1 % of the range from a bound, without leaving the device.

    A joint that is at the same bound in more than a share of the actions, for a number of transitions on end, gets one
    warning, with bounds that would give it more room.

    Args:
        joints: Number of joints A.
        share: Share of the actions at one bound from which on a joint is watched.
        transitions: Transitions after which a watched joint is reported.
        device: Device of the counts.
    """

    def __init__(
        self, joints: int, share: float = 0.5, transitions: int = 500_000, device: str | torch.device = "cpu"
    ) -> None:
        self.share, self.transitions = share, transitions
        self._counts = torch.zeros(2, joints, device=device)
        self._samples = 0
        self._watched = [[0] * joints, [0] * joints]
        self._reported: set[tuple[int, int]] = set()

    def add(self, unit_action: torch.Tensor, weight: int = 1) -> None:
        """Count actions.

        Args:
            unit_action: Actions in [-1, 1], shape [N, A].
            weight: For how many steps these stand.
        """
        # as products with a vector of ones: many times faster on the CPU than to sum truth values along axis 0
        ones = torch.full((len(unit_action),), float(weight), device=unit_action.device)
        self._counts[0] += ones @ (unit_action < -SATURATED).float()
        self._counts[1] += ones @ (unit_action > SATURATED).float()
        self._samples += weight * len(unit_action)

    def pop(self, bounds: ActionBounds) -> tuple[dict[str, float], list[str]]:
        """Shares since the last call, and warnings.

        Args:
            bounds: The bounds, in the order of the joints.

        Returns:
            The share of saturated actions over all joints (``action_saturation``) and of each joint
            (``saturation/JOINT``), nothing if there were no actions; and a line for each joint that needs more room.
        """
        if not self._samples:
            return {}, []
        shares = (self._counts / self._samples).tolist()
        warnings = [
            line
            for side in (0, 1)
            for joint in range(len(bounds.joint_names))
            if (line := self._watch(side, joint, shares[side][joint], bounds)) is not None
        ]
        both = [low + high for low, high in zip(*shares, strict=True)]
        metrics = {"action_saturation": sum(both) / len(both)}
        metrics |= {f"saturation/{name}": share for name, share in zip(bounds.joint_names, both, strict=True)}
        self._counts.zero_()
        self._samples = 0
        return metrics, warnings

    def _watch(self, side: int, joint: int, share: float, bounds: ActionBounds) -> str | None:
        watched = self._watched[side]
        watched[joint] = watched[joint] + self._samples if share > self.share else 0
        if watched[joint] < self.transitions or (side, joint) in self._reported:
            return None
        self._reported.add((side, joint))
        box = [bounds.low[joint], bounds.high[joint]]
        wider = list(box)
        wider[side] += (1.0 if side else -1.0) * 0.25 * (box[1] - box[0])
        return (
            f"joint '{bounds.joint_names[joint]}' is at its {'upper' if side else 'lower'} bound in {100 * share:.0f} %"
            f" of the actions; [{box[0]:.3g}, {box[1]:.3g}] may be too narrow: try [{wider[0]:.3g}, {wider[1]:.3g}]"
        )
