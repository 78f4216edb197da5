# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""A training that is killed at any moment leaves a whole state."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

KILLS = 20


def test_the_newest_state_is_whole_whenever_a_training_is_killed(tmp_path: Path) -> None:
    probe = [sys.executable, Path(__file__).parent / "kill_probe.py", tmp_path, str(KILLS)]
    done = subprocess.run(probe, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    saved, amid = map(int, done.stdout.split())
    assert saved > 0 and amid > 0, "some of them amid a save"
    # what was cut off is gone after the next save, but for that of the last kill
    assert len(list(tmp_path.glob("replay_*.json"))) <= 2
