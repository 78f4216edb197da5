# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import sys

import pytest

from isaaclab_offpolicy.training.progress import progress_line, show_line


def test_a_line_of_progress() -> None:
    line = progress_line(12, 310_000, 2410.4, 872.4, {"return": 12.345, "length": None, "velocity error": 0.45})
    assert line == "[train] 12  0.31 M steps  2,410 steps/s  14:32 left  return 12.3  velocity error 0.45"
    assert "2:00:05 left" in progress_line(0, 0, 0.0, 7205.0, {}) and "0:00 left" in progress_line(0, 0, 0.0, -1.0, {})


def test_lines_replace_each_other_on_a_terminal_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for line in ("one", "two"):
        show_line(line)
    assert capsys.readouterr().out == "one\ntwo\n"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    for line in ("one", "two"):
        show_line(line)
    assert capsys.readouterr().out == "\r\033[Kone\r\033[Ktwo"
