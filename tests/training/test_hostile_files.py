# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Broken and hostile files: each is refused with one line, runs nothing, and takes neither the memory nor the time."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.xdist_group("hostile files")  # one run of the probe for all

WITH_SBX = importlib.util.find_spec("sbx") is not None


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What hostile_probe.py was told of each file; the canary is beside it."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "work").mkdir()
    probe = [sys.executable, Path(__file__).parent / "hostile_probe.py"]
    arguments = [folder / "result.json", folder / "work", str(WITH_SBX)]
    done = subprocess.run([*probe, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads((folder / "result.json").read_text())
    found.append({"canary": (folder / "canary").exists(), "stdout": done.stdout})
    return found


def test_each_gets_one_clear_line(results: list[dict[str, Any]]) -> None:
    cases = results[:-1]
    assert len(cases) > (240 if WITH_SBX else 120)
    assert len({case["name"] + case["kind"] for case in cases}) == len(cases), "each has a name of its own"
    accepted = [f"{case['kind']} {case['name']}" for case in cases if not case["message"]]
    assert not accepted
    unclear = [
        case
        for case in cases
        if "\n" in case["message"].strip() or len(case["message"]) > 600 or "weights_only" in case["message"]
    ]
    assert not unclear


def test_what_was_changed_or_is_not_finite_is_said(results: list[dict[str, Any]]) -> None:
    said = {case["name"]: case["message"] for case in results[:-1]}
    changed = [name for name in said if "swapped" in name or "changed" in name or name.startswith("change of")]
    changed += [name for name in said if name.endswith(("weights that are others", "rows with a bit flip"))]
    assert len(changed) > 8
    assert [name for name in changed if "checksum" not in said[name]] == []
    broken = [name for name in said if name.endswith("weights that are not finite")]
    assert len(broken) > 1 and [name for name in broken if "not finite" not in said[name]] == []
    commands = [name for name in said if "a command" in name and "bounds" not in name and "statistics" not in name]
    assert len(commands) > 5 and [name for name in commands if "it would call" not in said[name]] == []


def test_nothing_of_them_runs(results: list[dict[str, Any]]) -> None:
    assert not results[-1]["canary"]


def test_none_takes_much_memory_or_time(results: list[dict[str, Any]]) -> None:
    assert {case["name"]: case["megabytes"] for case in results[:-1] if case["megabytes"] > 1500} == {}
    assert {case["name"]: case["seconds"] for case in results[:-1] if case["seconds"] > 10.0} == {}, "of a processor"
