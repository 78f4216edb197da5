# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Learning curves from the ``progress.csv`` of runs."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np


def read_progress(path: str | Path) -> dict[str, np.ndarray]:
    """Columns of a run's ``progress.csv``; empty cells are NaN.

    Args:
        path: The file, or the run's folder.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "progress.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        raise ValueError(f"{path} holds no iterations")
    return {name: np.array([float(row[name] or "nan") for row in rows]) for name in rows[0]}


def plot_progress(
    runs: Mapping[str, Sequence[str | Path]], output: str | Path, title: str = "", wall_clock: bool = True
) -> None:
    """Plot the mean training return against wall-clock and against environment steps.

    Args:
        runs: Runs (folders or files) by label; those of one label are seeds, drawn thin with their mean on top.
        output: Picture to write; its suffix gives the format.
        title: Title of the picture.
        wall_clock: Whether the time means something; without it the steps alone are plotted.
    """
    from matplotlib.figure import Figure

    units = {"wall_time_s": ("wall-clock [min]", 60.0), "env_steps": ("environment steps [million]", 1e6)}
    if not wall_clock:
        del units["wall_time_s"]
    figure = Figure(figsize=(5.5 * len(units), 4.2), layout="constrained")
    axes = figure.subplots(1, len(units), sharey=True, squeeze=False)[0]
    for color, (label, paths) in enumerate(runs.items()):
        seeds = [read_progress(path) for path in paths]
        for axis, (column, (_, unit)) in zip(axes, units.items(), strict=True):
            for seed in seeds:
                axis.plot(
                    seed[column] / unit,
                    seed["mean_return"],
                    color=f"C{color}",
                    linewidth=0.8 if len(seeds) > 1 else 1.8,
                    alpha=0.4 if len(seeds) > 1 else 1.0,
                    label=label if len(seeds) == 1 else None,
                )
            if len(seeds) > 1:
                end = min(seed[column][-1] for seed in seeds)
                grid = np.linspace(0.0, end, 300)
                curves = [np.interp(grid, s[column], s["mean_return"], left=np.nan) for s in seeds]
                axis.plot(grid / unit, np.mean(curves, axis=0), color=f"C{color}", linewidth=2.0, label=label)
    axes[0].set_ylabel("return (mean of the last 100 training episodes)")
    for axis, (label, _) in zip(axes, units.values(), strict=True):
        axis.set_xlabel(label)
        axis.grid(alpha=0.3)
    axes[0].legend()
    if title:
        figure.suptitle(title)
    Path(output).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(str(output), dpi=130)
