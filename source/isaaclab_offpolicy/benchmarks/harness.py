# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Runs measurements one after the other, each in a process of its own, and reports them."""

from __future__ import annotations

import json
import shlex
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from isaaclab_offpolicy.errors import ConfigError, UserError
from isaaclab_offpolicy.training.provenance import machine, package_versions

MARK = "BENCHMARK "
"""Begins the line with which a measuring process reports."""


def write_report(path: Path, arguments: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write what was measured so far.

    Raises:
        ConfigError: If it cannot be written.
    """
    report = {
        "command": shlex.join(["scripts/benchmark.py", *arguments]),
        "machine": machine(),
        "versions": package_versions(),
        "rows": list(rows),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} could not be written: {error.strerror}") from None


def medians(results: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The median of each number over several results."""
    return {key: statistics.median(result[key] for result in results) for key in results[0]}


def line(
    job: Mapping[str, Any],
    names: Sequence[str],
    widths: Mapping[str, int],
    results: Sequence[Mapping[str, float]],
    columns: Mapping[str, str],
) -> str:
    """A line of the table."""
    row = medians(results)
    cells = [
        f"{row[key]:>17.{0 if 'second' in key else 2}f}" if key in row else f"{'-':>17}" for key in columns.values()
    ]
    return "".join([*(f"{job[name]!s:<{widths[name]}}" for name in names), *cells])


def compare_beside(
    jobs: Sequence[Mapping[str, Any]], rounds: Sequence[Sequence[Mapping[str, float]]], rate: str
) -> None:
    """Print what is left of a rate beside busy processes; jobs alternate between alone and beside them."""
    for alone, beside, job in zip(rounds[::2], rounds[1::2], jobs[1::2], strict=True):
        kept = [100.0 * there[rate] / here[rate] for here, there in zip(alone, beside, strict=True)]
        spread = f" ({min(kept):.0f} to {max(kept):.0f} in {len(kept)} rounds)" if len(kept) > 1 else ""
        which = str(job.get("task", job.get("learner", job["what"])))
        print(f"{which} beside {job['beside']}: {statistics.median(kept):.0f} % of {rate} alone{spread}", flush=True)


@contextmanager
def busy_processes(count: int) -> Iterator[list[subprocess.Popen]]:
    """So many processes that each keep a core busy."""
    program = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: pass  # not longer than this process"
    processes: list[subprocess.Popen] = []
    try:
        for _ in range(count):
            processes.append(subprocess.Popen([sys.executable, "-S", "-c", program], stdin=subprocess.DEVNULL))  # noqa: PERF401
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


def in_process(job: Mapping[str, Any]) -> dict[str, float]:
    """Measure in a process of its own, beside as many busy ones as the job says."""
    job = dict(job)
    with busy_processes(job.pop("beside", 0)):
        result = subprocess.run(
            [sys.executable, "-m", "isaaclab_offpolicy.benchmarks.worker", json.dumps(job)],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
    line = next((line for line in result.stdout.splitlines() if line.startswith(MARK)), None)
    if line is None:
        which = ", ".join(f"{key} {value}" for key, value in job.items())
        raise UserError(f"a measurement failed ({which}): {result.stderr[-400:]}")
    return json.loads(line.removeprefix(MARK))
