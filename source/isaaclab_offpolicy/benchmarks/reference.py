# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Comparison with an earlier run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from isaaclab_offpolicy.errors import ConfigError


def read_reference(path: Path) -> list[dict[str, Any]]:
    """The learners' rows of a report."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
        return [row for row in rows if row["what"] == "learner"]
    except OSError as error:
        raise ConfigError(f"reference {path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise ConfigError(f"reference {path} is not what --out writes") from None


def compare_with_reference(
    rows: Sequence[Mapping[str, Any]], reference: Sequence[Mapping[str, Any]], tolerance: float
) -> None:
    """Compare ratios, which carry over between machines of a kind, with those of an earlier run.

    Ratios are the fraction of the GEMMs' rate, and the rate relative to SBX's with the same sizes.

    Raises:
        ConfigError: If one is worse by more than the tolerance, or nothing can be compared.
    """
    now, then = ratios(rows), ratios(reference)
    common = [key for key in now if key in then]
    if not common:
        raise ConfigError("the reference has no measurement in common with this run")
    for key in common:
        print(f"{key}: {now[key]:.2f}, reference {then[key]:.2f}")
    for key in then:
        if key not in now:
            print(f"{key}: not measured, reference {then[key]:.2f}")
    worse = [key for key in common if now[key] < (1.0 - tolerance) * then[key]]
    if worse:
        raise ConfigError(f"slower than the reference: {'; '.join(worse)}")


def ratios(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Ratios of the measured times, by a description of what was measured."""
    result: dict[str, float] = {}
    sizes = ("preset", "num_envs", "rows", "batch_size", "width", "obs_dim", "num_actions", "device")
    for row in rows:
        where = ", ".join(f"{name} {row[name]}" for name in sizes)
        if "gemm_fraction" in row:
            result[f"{row['learner']}, fraction of the GEMMs' rate ({where})"] = row["gemm_fraction"]
        for other in rows:
            if other["learner"] == "sbx" and row["learner"] != "sbx" and all(row[n] == other[n] for n in sizes):
                result[f"{row['learner']}, relative to SBX ({where})"] = other["update_ms"] / row["update_ms"]
    return result
