# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Bounds from what a policy commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .bounds import ActionBounds
from .errors import BoundsError
from .histogram import StreamingHistogram
from .symmetry import Mirror, mirrored_name

MIN_WIDTH = 0.1
"""A joint whose percentiles lie closer together than this [raw action units] gets at least this much room."""


class ActionRecorder:
    """Counts actions in a histogram per joint, and makes bounds of their percentiles.

    Args:
        joint_names: Names of the A joints.
        mirror: If given, the mirror image of every action counts as well, which makes the bounds left-right symmetric.
        bins: Bins of the histogram.
        device: Device of the histogram.
    """

    def __init__(
        self,
        joint_names: Sequence[str],
        mirror: Mirror | None = None,
        bins: int = 4096,
        device: str | torch.device = "cpu",
    ) -> None:
        self.joint_names = list(joint_names)
        self.mirror = mirror
        self.histogram = StreamingHistogram(len(self.joint_names), bins, device)
        if mirror is not None:
            self._index = torch.tensor(mirror.index, device=device)
            self._sign = torch.tensor(mirror.sign, device=device)

    def add(self, actions: torch.Tensor) -> None:
        """Count actions [raw action units], shape [N, A].

        Raises:
            BoundsError: If an action is not finite.
        """
        self.histogram.add(actions)
        if self.mirror is not None:
            self.histogram.add(self._sign * actions[:, self._index])

    def bounds(
        self,
        percentiles: tuple[float, float],
        source: str = "",
        info: Mapping[str, Any] | None = None,
        action_scale: Sequence[float] | None = None,
        default_pose: Sequence[float] | None = None,
    ) -> ActionBounds:
        """Bounds between two percentiles.

        Args:
            percentiles: Lower and upper percentile.
            source: Where the actions come from.
            info: What else is to be kept beside the bounds.
            action_scale: Joint position per unit of action [rad], length A.
            default_pose: Position of each joint at action zero [rad], length A.

        Raises:
            BoundsError: If the percentiles are not two, the lower first.
        """
        if len(percentiles) != 2 or not percentiles[0] < percentiles[1]:
            raise BoundsError(f"percentiles are two numbers, the lower first, not {percentiles}")
        low, high = self.histogram.percentiles(percentiles)
        if self.mirror is not None:
            # the same but for the width of a bin; now exactly
            box = self.mirror.symmetric_box(low.tolist(), high.tolist())
            low, high = (torch.tensor(corner).to(low) for corner in box)
        # an action and its image are one sample
        samples = self.histogram.samples // (1 if self.mirror is None else 2)
        narrow = (MIN_WIDTH - (high - low)).clamp(min=0.0) / 2
        low, high = low - narrow, high + narrow
        outside = self.histogram.share_outside(low, high)
        facts = {
            "percentiles": list(percentiles),
            "samples": samples,
            "symmetric": self.mirror is not None,
            "minimum": _rounded(self.joint_names, self.histogram.minimum),
            "maximum": _rounded(self.joint_names, self.histogram.maximum),
            "share_outside": _rounded(self.joint_names, outside),
        }
        return ActionBounds(
            tuple(self.joint_names),
            tuple(round(x, 4) for x in low.tolist()),
            tuple(round(x, 4) for x in high.tolist()),
            source,
            {**facts, **(info or {})},
            None if action_scale is None else tuple(action_scale),
            None if default_pose is None else tuple(default_pose),
        )

    def plot(
        self,
        output: str | Path,
        bounds: ActionBounds,
        limits: Mapping[str, tuple[float, float]] | None = None,
        title: str = "",
    ) -> None:
        """Draw a histogram per joint with the bounds, left joints beside their images on the right.

        Args:
            output: Picture to write; its suffix gives the format.
            bounds: The bounds.
            limits: Soft limits of the joints [raw action units]; drawn where they are within the picture, else
                written at its edge.
            title: Title of the picture.
        """
        from matplotlib.figure import Figure

        rows: list[list[int]] = []
        for i, name in enumerate(self.joint_names):
            other = self.joint_names.index(mirrored_name(name, self.joint_names))
            if other >= i:
                rows.append(sorted({i, other}))
        figure = Figure(figsize=(9, 1.6 * len(rows) + 0.6), layout="constrained")
        axes = figure.subplots(len(rows), 2, squeeze=False)
        share = self.histogram.share_outside(torch.tensor(bounds.low), torch.tensor(bounds.high)).tolist()
        for row, pair in zip(axes, rows, strict=True):
            for axis in row[len(pair) :]:
                axis.set_axis_off()
            for axis, i in zip(row, pair, strict=False):
                low, high = bounds.low[i], bounds.high[i]
                room = 0.35 * (high - low)
                counts, edges = self._coarse(i, low - room, high + room)
                axis.stairs(counts, edges, fill=True, color="C0", alpha=0.6)
                axis.axvline(low, color="C3")
                axis.axvline(high, color="C3")
                for limit in (limits or {}).get(self.joint_names[i], ()):
                    if edges[0] < limit < edges[-1]:
                        axis.axvline(limit, color="black", linestyle=":")
                    else:
                        at, align = (0.01, "left") if limit <= edges[0] else (0.99, "right")
                        text = f"limit {limit:.1f}"
                        axis.text(at, 0.8, text, transform=axis.transAxes, horizontalalignment=align, fontsize=7)
                axis.set_title(
                    f"{self.joint_names[i]}: [{low:.2f}, {high:.2f}], {100 * share[i]:.1f} % outside", fontsize=8
                )
                axis.set_yticks([])
                axis.tick_params(labelsize=7)
        axes[-1][0].set_xlabel("action [raw action units]; red: bounds, dotted: soft joint limits", fontsize=8)
        if title:
            figure.suptitle(title, fontsize=10)
        Path(output).parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(str(output), dpi=120)

    def _coarse(self, joint: int, low: float, high: float, bins: int = 120) -> tuple[np.ndarray, np.ndarray]:
        """Counts and edges of fewer bins between two values; counts are spread evenly within a bin of the histogram."""
        histogram = self.histogram
        fine = histogram.low[joint] + torch.arange(histogram.bins + 1).to(histogram.low) * histogram.width[joint]
        below = np.concatenate([[0.0], histogram.counts[joint].cumsum(0).cpu().numpy()])
        edges = np.linspace(low, high, bins + 1)
        return np.diff(np.interp(edges, fine.cpu().numpy(), below)), edges


def _rounded(names: Sequence[str], values: torch.Tensor) -> dict[str, float]:
    return {name: round(value, 4) for name, value in zip(names, values.tolist(), strict=True)}
