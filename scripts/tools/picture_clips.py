# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Makes one picture of frames of several clips, side by side with their names.

Example::

    scripts/tools/picture_clips.py A1=a1.mp4 Go1=go1.mp4 --at 2.0 --out robots.png
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import imageio.v3 as iio
import numpy as np
from matplotlib.figure import Figure

from isaaclab_offpolicy.cli.main import guard
from isaaclab_offpolicy.errors import UserError


def named_clip(text: str) -> tuple[str, Path]:
    """Parse ``NAME=PATH``."""
    name, sep, path = text.partition("=")
    if not sep or not Path(path).is_file():
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=PATH of a clip")
    return name, Path(path)


def frame_at(clip: Path, seconds: float) -> np.ndarray:
    """The frame at a time [s], or the last one before it; shape [H, W, 3]."""
    fps = iio.immeta(clip, plugin="FFMPEG")["fps"]
    last = None
    for i, frame in enumerate(iio.imiter(clip, plugin="FFMPEG")):
        last = frame
        if i >= seconds * fps:
            break
    if last is None:
        raise ValueError(f"{clip} holds no frames")
    return last


def parser() -> argparse.ArgumentParser:
    """The command line's parser."""
    result = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("clips", nargs="+", type=named_clip, metavar="NAME=PATH", help="Clips.")
    result.add_argument("--at", type=float, default=2.0, help="Time of the frames [s]; default 2.")
    result.add_argument(
        "--crop", nargs=4, type=float, default=[0.0, 0.0, 1.0, 1.0], metavar=("LEFT", "TOP", "RIGHT", "BOTTOM"),
        help="Part of each frame, in fractions of its width and height; default all of it.",
    )  # fmt: skip
    result.add_argument("--columns", type=int, default=3, help="Clips in a row; default 3.")
    result.add_argument("--out", type=Path, required=True, help="Picture to write.")
    return result


def main() -> None:
    """Make the picture."""
    args = parser().parse_args()
    left, top, right, bottom = args.crop
    if not (0.0 <= left < right <= 1.0 and 0.0 <= top < bottom <= 1.0):
        raise UserError("--crop is left, top, right and bottom from 0 to 1")
    rows = -(-len(args.clips) // args.columns)
    figure = Figure(figsize=(3.6 * args.columns, 2.3 * rows), layout="constrained")
    axes = figure.subplots(rows, args.columns, squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    for axis, (name, clip) in zip(axes, args.clips, strict=False):
        frame = frame_at(clip, args.at)
        height, width = frame.shape[:2]
        axis.imshow(frame[int(top * height) : int(bottom * height), int(left * width) : int(right * width)])
        axis.set_title(name, fontsize=10)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(str(args.out), dpi=110)


if __name__ == "__main__":
    sys.exit(guard(main))
