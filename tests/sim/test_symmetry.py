# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from commands import succeed

ROBOTS = ("Unitree-A1", "Unitree-Go1", "Unitree-Go2", "Anymal-B", "Anymal-C", "BDX")

pytestmark = pytest.mark.sim


def test_a_robot_beside_its_mirror_image_moves_as_its_mirror_image(tmp_path: Path) -> None:
    tasks = [f"Isaac-Velocity-Flat-{robot}-v0" for robot in ROBOTS]
    output = succeed([sys.executable, str(Path(__file__).parent / "symmetry_probe.py"), *tasks], tmp_path)
    found = {task: (float(a), float(b)) for task, a, b in re.findall(r"RESULT (\S+) (\S+) (\S+)", output)}
    assert list(found) == tasks
    for task, (difference, without_mirror) in found.items():
        # all observations, those of fast joints among them; a wrong sign would make a difference as large as they are
        assert without_mirror > 2.0 and difference < 0.03 * without_mirror, task
