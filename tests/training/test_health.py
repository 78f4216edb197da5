# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import re

import pytest

from isaaclab_offpolicy.training.health import ROWS, LearnerHealth

GOOD = {"q_mean": 20.0, "entropy": -12.0, "alpha": 0.001}


@pytest.mark.parametrize(
    ("target", "row", "words"),
    [
        (-12.0, {"q_mean": 300.0}, "the critics diverge: the mean Q is 300.*agent.algorithm.max_grad_norm"),
        (-12.0, {"q_mean": -300.0}, "diverge"),
        (-12.0, {"entropy": -60.0}, "exploration has collapsed.*far below its target of -12.*ent_coef=auto_0.1"),
        (None, {"entropy": -80.0}, "exploration has collapsed.*a larger agent.algorithm.ent_coef"),
        (-12.0, {"alpha": 20.0, "entropy": -20.0}, "temperature runs away.*a lower agent.algorithm.target_entropy"),
        (-12.0, {"alpha": 1e-9}, "temperature has vanished.*a higher agent.algorithm.target_entropy"),
    ],
)
def test_what_is_wrong_is_said_once_with_what_helps(target: float | None, row: dict, words: str) -> None:
    health = LearnerHealth(0.97, 12, target)
    said = [health.check(GOOD | row, 1.0) for _ in range(3 * ROWS)]
    assert [len(lines) for lines in said] == [*[0] * (ROWS - 1), 1, *[0] * (2 * ROWS)]
    assert re.search(words, said[ROWS - 1][0])


def test_what_comes_and_goes_is_not_said() -> None:
    health = LearnerHealth(0.97, 12, -12.0)
    for _ in range(5):
        lines = [line for _ in range(ROWS - 1) for line in health.check(GOOD | {"q_mean": 300.0}, 1.0)]
        assert not lines and not health.check(GOOD, 1.0)


def test_what_is_well_is_not_said() -> None:
    health = LearnerHealth(0.97, 12, -12.0)
    for row in (GOOD, {"alpha": 1.0}, GOOD | {"alpha": 1.0, "entropy": 8.0, "q_mean": 400.0}, GOOD | {"alpha": 0.0}):
        assert not [line for _ in range(2 * ROWS) for line in health.check(row, 1.0)]


def test_values_at_the_ends_of_the_critics_bins() -> None:
    health = LearnerHealth(0.97, 12, -12.0)
    for value, limits in ((0.7, (-1.0, 1.0)), (-0.7, (-1.0, 1.0)), (5.0, None)):
        assert not [line for _ in range(2 * ROWS) for line in health.check(GOOD | {"q_mean": value}, 1.0, limits)]
    lines = [line for _ in range(2 * ROWS) for line in health.check(GOOD | {"q_mean": -0.9}, 1.0, (-1.0, 3.0))]
    (line,) = lines
    assert "the mean Q is -0.9, and they end at -1 and 3" in line and "agent.critic.value_range" in line
