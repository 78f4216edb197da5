# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from picture_clips import frame_at, main

from isaaclab_offpolicy.errors import UserError


def test_frames_of_clips_in_one_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # every frame a little brighter
    frames = np.stack([np.full((64, 64, 3), 10 * i, np.uint8) for i in range(20)])
    iio.imwrite(tmp_path / "a.mp4", frames, plugin="FFMPEG", fps=10)
    assert abs(int(frame_at(tmp_path / "a.mp4", 1.0).mean()) - 100) < 8
    assert abs(int(frame_at(tmp_path / "a.mp4", 99.0).mean()) - 190) < 8, "the last one"
    out = tmp_path / "robots.png"
    monkeypatch.setattr("sys.argv", ["picture_clips.py", f"One={tmp_path / 'a.mp4'}", f"Two={tmp_path / 'a.mp4'}",
                                     "--out", str(out)])  # fmt: skip
    main()
    assert iio.imread(out).shape[1] > 500
    # the upper half of a clip whose lower half is black
    halves = np.zeros((10, 64, 64, 3), np.uint8)
    halves[:, :32] = 200
    iio.imwrite(tmp_path / "b.mp4", halves, plugin="FFMPEG", fps=10)
    black = []
    for crop in ([], ["--crop", "0", "0", "1", "0.4"]):
        monkeypatch.setattr("sys.argv", ["picture_clips.py", f"B={tmp_path / 'b.mp4'}", "--out", str(out), *crop])
        main()
        black.append(int((iio.imread(out)[..., :3].max(axis=-1) < 30).sum()))
    assert black[0] > 10_000 > 2_000 > black[1], "of which nothing is left but the title's letters"
    monkeypatch.setattr("sys.argv", ["picture_clips.py", f"B={tmp_path / 'b.mp4'}", "--out", str(out), "--crop",
                                     "0.5", "0", "0.5", "1"])  # fmt: skip
    with pytest.raises(UserError):
        main()
    monkeypatch.setattr("sys.argv", ["picture_clips.py", "One", "--out", str(out)])
    with pytest.raises(SystemExit):
        main()
