# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Plots of measurements."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from isaaclab_offpolicy.errors import ConfigError

RATES = {"simulation": "steps_per_second", "training": "training_per_second"}
"""What is plotted against the number of environments, by what is measured."""

SWEEPS = {"num_envs": "environments", "batch_size": "batch size", "width": "network width", "obs_dim": "observations"}
"""What a learner's cost may be plotted against."""


def swept(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What takes several values, and can be the axis of a plot.

    Raises:
        ConfigError: If nothing does.
    """
    sweeps = [name for name in SWEEPS if rows[0]["what"] == "learner" or name == "num_envs"]
    swept = [name for name in sweeps if len({row.get(name) for row in rows}) > 1]
    if not swept:
        raise ConfigError(f"--plot needs several values of {'one of ' * (len(sweeps) > 1)}{', '.join(sweeps)}")
    return swept


def plot(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Plot each learner's time per gradient step, or the steps per second of simulations and runs.

    Learners are plotted against what takes several values among the rows, the others against the environments.

    Raises:
        ConfigError: If nothing takes several values, or the file cannot be written.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogFormatter

    what = rows[0]["what"]
    axis, *others = swept(rows)
    figure = Figure(figsize=(6.0, 4.0), layout="constrained")
    axes = figure.subplots()
    lines: dict[str, list[Mapping[str, Any]]] = {}
    if what == "learner":
        value, floor, labels = "update_ms", "products_ms", ["learner"]
        axes.set_ylabel("time per gradient step [ms]")
    else:
        value, floor = RATES[what], "simulation_per_second"
        labels = [
            name for name in ("task", "engine", "agent", "overrides") if len({str(row.get(name)) for row in rows}) > 1
        ]
        axes.set_ylabel("environment steps per second")
    for row in rows:
        label = ", ".join([*(str(row[name]) for name in labels), *(f"{name} {row[name]}" for name in others)])
        lines.setdefault(label or what, []).append(row)
    for label, line in lines.items():
        axes.loglog(*zip(*sorted((row[axis], row[value]) for row in line), strict=True), marker="o", label=label)
        beside = sorted((row[axis], row[floor]) for row in line if floor in row)
        if beside:
            name = "matrix products" if what == "learner" else "simulation only"
            axes.loglog(*zip(*beside, strict=True), linestyle=":", color="gray", label=f"{label}: {name}")
    values = sorted({row[axis] for row in rows})
    axes.set_xlabel(SWEEPS[axis])
    axes.set_xticks(values, [f"{value:g}" for value in values])
    axes.set_xticks([], minor=True)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1.2, 0.5)))
    low, high = axes.get_ylim()
    if high < 10.0 * low:  # a decade, lest the machine's drift fill the picture
        middle = math.sqrt(low * high)
        axes.set_ylim(middle / math.sqrt(10.0), middle * math.sqrt(10.0))
    axes.grid(which="both", alpha=0.3)
    axes.legend()
    try:
        figure.savefig(path, dpi=120)
    except OSError as error:
        raise ConfigError(f"{path} could not be written: {error.strerror}") from None
