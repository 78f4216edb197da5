# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

r"""Makes a small, flat USD of a robot from its URDF, and sets the result beside the URDF.

Example::

    scripts/tools/urdf_to_usd.py go2.urdf go2.usda --mesh '.*_foot=sphere' \
        --stance '.*_thigh_joint=0.8' '.*_calf_joint=-1.5'
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from isaaclab_offpolicy.assets.check import report
from isaaclab_offpolicy.assets.model import overlaps
from isaaclab_offpolicy.assets.shapes import PRIMITIVES, SLENDER
from isaaclab_offpolicy.assets.urdf import read_urdf
from isaaclab_offpolicy.assets.usd import write_usd


def pair(text: str) -> tuple[str, str]:
    """Parse ``NAME=VALUE``."""
    name, separator, value = text.rpartition("=")
    if not separator or not name or not value:
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=VALUE")
    return name, value


def angle(text: str) -> tuple[str, float]:
    """Parse ``JOINT=ANGLE``."""
    name, value = pair(text)
    try:
        return name, float(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{value}' is not an angle [rad]") from None


def primitive(text: str) -> tuple[str, str]:
    """Parse ``LINK=PRIMITIVE``."""
    name, value = pair(text)
    if value not in PRIMITIVES:
        raise argparse.ArgumentTypeError(f"'{value}' is not one of {', '.join(PRIMITIVES)}")
    return name, value


def parser() -> argparse.ArgumentParser:
    """The command line's parser."""
    result = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("urdf", type=Path, help="URDF to read.")
    result.add_argument("usd", type=Path, help="USD to write; .usda gives text.")
    result.add_argument("--name", help="Name of the robot's prim; default the URDF's.")
    result.add_argument(
        "--keep", default=".*foot", metavar="LINK", help="Links behind fixed joints that stay bodies; default '.*foot'."
    )
    result.add_argument("--drop", default="", metavar="LINK", help="Links whose collision shapes are left out.")
    result.add_argument(
        "--mesh", nargs="+", type=primitive, default=[], metavar="LINK=PRIMITIVE",
        help=f"What takes the place of collision meshes: {', '.join(PRIMITIVES)}; a box where nothing is said.",
    )  # fmt: skip
    result.add_argument("--package", nargs="+", type=pair, default=[], metavar="NAME=PATH", help="ROS packages.")
    result.add_argument(
        "--stance", nargs="+", type=angle, default=[], metavar="JOINT=ANGLE",
        help="Default pose [rad], for the check and for pairs of bodies that must not collide.",
    )  # fmt: skip
    result.add_argument(
        "--slender", type=float, default=SLENDER, metavar="RATIO",
        help="Cylinders at least this many radii long become capsules, shorter ones prisms; at least 2, default"
        f" {SLENDER:g}. PhysX must not get a cylinder.",
    )  # fmt: skip
    result.epilog = "LINK and JOINT are regular expressions of whole names."
    return result


def main() -> None:
    """Convert and check."""
    args = parser().parse_args()
    if not args.urdf.is_file():
        sys.exit(f"error: no URDF '{args.urdf}'")
    if not args.slender >= 2.0:
        sys.exit(f"error: --slender is at least 2, not {args.slender:g}: a capsule is as long as it is thick")
    stance = dict(args.stance)
    try:
        robot = read_urdf(args.urdf, args.keep, args.drop, dict(args.mesh), dict(args.package), args.slender)
    except ValueError as error:
        sys.exit(f"error: {error}")
    robot.name = args.name or robot.name
    pairs = overlaps(robot, stance)
    args.usd.parent.mkdir(parents=True, exist_ok=True)
    write_usd(robot, args.usd, f"From {args.urdf.name} by scripts/tools/urdf_to_usd.py.", sorted(pairs))
    print(report(args.urdf, args.usd, stance, args.keep or ".*(foot|ankle)"))
    for (first, second), depth in sorted(pairs.items()):
        print(f"self-collision: {first} and {second} overlap by {1000 * depth:.1f} mm; they do not collide in the USD")
    if not pairs:
        print("self-collision: none in this stance")
    print(f"{args.usd}: {len(robot.links)} bodies, {sum(len(link.shapes) for link in robot.links.values())} shapes")


if __name__ == "__main__":
    main()
