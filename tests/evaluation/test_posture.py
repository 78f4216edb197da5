# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from isaaclab_offpolicy.evaluation.posture import Lasting, posture


def test_what_a_robot_does_in_place_of_walking() -> None:
    assert posture(0.6, 0.7, 0.3, 0.35, 900.0, 1000.0) is None
    assert "falls: episodes last 20 %" in str(posture(0.6, 0.7, 0.3, 0.35, 200.0, 1000.0))
    assert "lies or crouches: its base is at 0.10 m of 0.35 m" in str(posture(0.6, 0.7, 0.1, 0.35, 900.0, 1000.0))
    assert "stands: it moves at 0.05 m/s where 0.70 m/s" in str(posture(0.05, 0.7, 0.3, 0.35, 900.0, 1000.0))
    # where nothing is known of the height, or no episode has ended, nothing is said of it
    assert posture(0.6, 0.7, None, 0.35, None, 1000.0) is None


def test_it_is_said_once_and_only_of_what_lasts() -> None:
    once = Lasting(100)
    stands = [posture(0.05 + 1e-4 * i, 0.7, 0.3, 0.35, 900.0, 1000.0) for i in range(4)]
    assert [once(text, 50 * i) for i, text in enumerate(stands)] == [None, None, stands[2], None]
    assert once(None, 200) is None
    lies = posture(0.05, 0.7, 0.1, 0.35, 900.0, 1000.0)
    assert [once(lies, 210), once(None, 290), once(lies, 330), once(lies, 429), once(lies, 430)] == [*[None] * 4, lies]
    assert [once(stands[0], 1000), once(stands[0], 2000)] == [None, None]
