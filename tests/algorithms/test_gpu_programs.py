# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""What torch's compiler writes for a GPU, run by Triton's interpreter."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[2] / "scripts" / "tools" / "gpu_programs.py"


@pytest.mark.skipif(not torch.__version__.startswith("2.11."), reason="needs torch 2.11, whose compiler the tool knows")
def test_programs_for_a_gpu_compute_what_plain_gradient_steps_do(tmp_path: Path) -> None:
    pytest.importorskip("triton", reason="needs Triton, which torch has on Linux")
    out = tmp_path / "programs.json"
    # of these sizes torch's compiler fails if it may put loops into another order
    sizes = ["--hidden_dims", "64", "32", "--batch_size", "32", "--obs_dim", "2", "--num_actions", "1"]
    command = [sys.executable, str(SCRIPT), *sizes, "--steps", "2", "--out"]
    result = subprocess.run([*command, str(out)], capture_output=True, text=True, timeout=500)
    assert result.returncode == 0, result.stderr[-2000:]
    report = json.loads(out.read_text())
    assert report["differences"]["weights"] < 1e-3 and report["differences"]["metrics"] < 1e-5
    # a gradient step's time grows with the number of its kernels
    launches = {name: report[name]["launches"] for name in ("actor's part", "critics", "actor")}
    assert launches["actor's part"] <= 8 and launches["critics"] <= 16 and launches["actor"] <= 32, launches
