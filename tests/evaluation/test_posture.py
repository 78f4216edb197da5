# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from isaaclab_offpolicy.evaluation.posture import posture


def test_what_a_robot_does_in_place_of_walking() -> None:
    assert posture(0.6, 0.7, 0.3, 0.35, 900.0, 1000.0) is None
    assert "falls: episodes last 20 %" in str(posture(0.6, 0.7, 0.3, 0.35, 200.0, 1000.0))
    assert "lies or crouches: its base is at 0.10 m of 0.35 m" in str(posture(0.6, 0.7, 0.1, 0.35, 900.0, 1000.0))
    assert "stands: it moves at 0.05 m/s where 0.70 m/s" in str(posture(0.05, 0.7, 0.3, 0.35, 900.0, 1000.0))
    # where nothing is known of the height, or no episode has ended, nothing is said of it
    assert posture(0.6, 0.7, None, 0.35, None, 1000.0) is None
