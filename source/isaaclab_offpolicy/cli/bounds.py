# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""``scripts/bounds.py``: looks at bounds files and makes new ones without a trained policy."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from isaaclab_offpolicy.errors import ConfigError
from isaaclab_offpolicy.options import positive_float

from .arguments import command_parser, parse, refuse


def parser() -> argparse.ArgumentParser:
    """The command line's parser."""
    result = command_parser(
        "bounds",
        "Look at action bounds, and make new ones.",
        """
        show unitree_a1_flat
        derive --task Isaac-Velocity-Flat-Unitree-A1-v0 --source joint-limits --out bounds.yaml
        """,
    )
    commands = result.add_subparsers(dest="command", required=True)
    show = commands.add_parser("show", help="Print a bounds file, and check it.")
    show.add_argument("bounds", metavar="NAME|FILE", help="A shipped file or a file.")
    derive = commands.add_parser(
        "derive",
        help="Make a bounds file for a task without a trained policy.",
        description="Make a bounds file for a task without a trained policy: from its joint limits, from a number, or"
        " from another file, whose bounds are converted to the task's action scale and default pose, so that the joint"
        " targets stay the same. A file of another quadruped is matched by the role of the joints.",
    )
    derive.add_argument("--task", required=True, help="Task.")
    derive.add_argument(
        "--source", required=True, metavar="joint-limits|X|Xrad|NAME|FILE",
        help="Joint limits; ±X raw action units, or ±X rad, such as 0.25rad; a shipped file or a file.",
    )  # fmt: skip
    derive.add_argument(
        "--widen", type=positive_float, default=1.0, metavar="F", help="Factor on the bounds, such as 1.25."
    )
    derive.add_argument("--symmetric", action="store_true", help="Make them left-right symmetric.")
    derive.add_argument("--out", type=Path, required=True, help="File to write.")
    derive.add_argument("overrides", nargs="*", help="Overrides such as env.actions.joint_pos.scale=0.5.")
    return result


def main(argv: Sequence[str] | None = None) -> None:
    """Do what the command line says.

    Raises:
        ConfigError: With one line that says what is wrong.
    """
    args, rest, overrides = parse(parser(), argv)
    refuse([*getattr(args, "overrides", overrides), *rest], parser())
    from isaaclab_offpolicy.action_bounds import BoundsError, find_bounds

    from .derived_bounds import derive, describe

    try:
        if args.command == "show":
            print(describe(find_bounds(args.bounds)))
            return
        bounds = derive(args.task, args.source, args.widen, args.symmetric, overrides)
    except BoundsError as error:
        raise ConfigError(str(error)) from None
    try:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        bounds.to_yaml(args.out)
    except OSError as error:
        raise ConfigError(f"{args.out} could not be written: {error.strerror}") from None
    print(f"{describe(bounds)}\n[INFO] {args.out}")
