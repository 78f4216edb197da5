# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""What a resumed training in the simulator goes on with."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from commands import succeed


def test_the_curriculum_goes_on_in_a_new_process(tmp_path: Path) -> None:
    def probe(phase: str) -> dict:
        output = succeed(
            [sys.executable, str(Path(__file__).parent / "resume_probe.py"), phase, str(tmp_path)], tmp_path
        )
        return json.loads(output.partition("RESULT ")[2].splitlines()[0])

    first, second = probe("save"), probe("resume")
    saved = first["curriculum"]
    # the range of commands, the weight and the two values of the term; nothing that no curriculum has changed
    assert first["changed"] == [
        "command.base_velocity.ranges.lin_vel_x",
        "curriculum.stage.func._stage",
        "curriculum.stage.func.progress",
        "reward.action_rate_l2.weight",
    ]
    assert saved["counters"][0] == 12345 and saved["weight"] == -0.5 and saved["range"][1] > first["before"]["range"][1]
    for name in ("levels", "counters", "origins", "range", "weight", "stage", "often", "rarely"):
        assert second["before"][name] != saved[name], f"{name}: a new environment has another"
    assert second["curriculum"] == saved
    assert second["away"] < 1.0 and second["lengths"] == [0] * 6, "episodes begin at the new origins"
    assert second["rows"] == 12 and second["cut"], "the replay buffer is cut where they began"
    assert second["counter"] == 12345 + 12 and second["iteration"] == 2
