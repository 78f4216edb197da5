# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""What the command lines have in common."""

from __future__ import annotations

import argparse
import textwrap

from isaaclab_offpolicy.agents.table import NAMES


def command_parser(command: str, description: str, examples: str) -> argparse.ArgumentParser:
    """A parser with examples at its end.

    Args:
        command: Name of the command.
        description: What it does.
        examples: Command lines, one per line, without the command's own name.
    """
    lines = "\n".join(f"  isaaclab-offpolicy {command} {line.strip()}" for line in examples.strip().splitlines())
    return argparse.ArgumentParser(
        prog=f"isaaclab-offpolicy {command}",
        description=textwrap.fill(description, 100),
        epilog=f"examples:\n{lines}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_task_arguments(parser: argparse.ArgumentParser, agent: str = "sac") -> None:
    """Add ``--task``, ``--agent`` with its default, and ``--device``."""
    parser.add_argument("--task", help="Task, for example Isaac-Velocity-Flat-Unitree-A1-v0.")
    parser.add_argument(
        "--agent",
        help=f"One of {', '.join(NAMES)}; default {agent}, or that of a checkpoint. sac takes the preset that fits the"
        " device.",
    )
    parser.add_argument("--device", help="cpu or cuda:N; found when not given.")


def add_policy_arguments(parser: argparse.ArgumentParser, agent: str = "sac") -> None:
    """Add ``--task``, ``--agent`` with its default, ``--device`` and ``--checkpoint``."""
    add_task_arguments(parser, agent)
    parser.add_argument("--checkpoint", default="latest", metavar="latest|best|PATH", help="Default latest.")
