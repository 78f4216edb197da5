# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""A disk that is full, broken or read-only while SBX saves: the newest whole state can be read."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("sbx", reason="needs SBX: install isaaclab_offpolicy[sbx]")

HERE = Path(__file__).parent


def test_a_whole_state_is_there_whichever_write_fails(tmp_path: Path) -> None:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    shim, result, work = tmp_path / "failing_disk.so", tmp_path / "result.json", tmp_path / "work"
    source = HERE.parent / "training" / "failing_disk.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", shim, source, "-ldl"], check=True)
    work.mkdir()
    probe = [sys.executable, HERE / "sbx_disk_probe.py", result, work]
    done = subprocess.run(
        probe, env={**os.environ, "LD_PRELOAD": str(shim)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(result.read_text())
    assert found["tried"] > 3 * 2 * 14 and len(found["calls"]) > 14
    assert "could not be written: No space left on device" in done.stderr
