# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""``isaaclab-offpolicy COMMAND``: finds the command, and is the only place that ends the process."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence

from isaaclab_offpolicy.errors import UserError, one_of
from isaaclab_offpolicy.training.watchdog import PULSE

COMMANDS = {
    "train": ("cli.train", "train a policy"),
    "play": ("cli.play", "play a policy, record a video, export it"),
    "evaluate": ("cli.evaluate", "evaluate a policy with deterministic actions"),
    "compare": ("cli.compare", "train and evaluate several agents and seeds"),
    "record": ("cli.record_ppo_actions", "record action bounds from a trained PPO policy"),
    "bounds": ("cli.bounds", "look at action bounds, and make new ones"),
    "benchmark": ("benchmarks.command", "measure simulation, learner and training"),
    "demo": ("cli.demo", "train, evaluate and record A1"),
}
"""Modules of the commands in this package, and what the commands do."""

WATCHED = ("train", "evaluate")
"""Commands that are ended when they hang; see :mod:`~isaaclab_offpolicy.training.watchdog`."""

USAGE = "\n".join(
    [
        "usage: isaaclab-offpolicy COMMAND [options]",
        "",
        "commands:",
        *(f"  {name:<10} {what}" for name, (_, what) in COMMANDS.items()),
        "",
        "isaaclab-offpolicy COMMAND --help tells a command's options.",
    ]
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; gives the exit status: 0, 1 for an error of the user's, 75 if it hung, 130 when interrupted.

    Args:
        argv: The command and its arguments, which is then run in this process; those of the process by default.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE)
        return 0
    if arguments[0] == "--version":
        from importlib.metadata import version

        print(version("isaaclab_offpolicy"))
        return 0
    return run(arguments[0], arguments[1:], own=argv is None)


def run(command: str, arguments: Sequence[str] | None = None, own: bool = False) -> int:
    """Run one command; gives the exit status.

    Args:
        command: One of :data:`COMMANDS`.
        arguments: Its arguments; those of the process by default.
        own: Whether they are the process's own. Such a command is run once more, in a process that this one watches.
    """
    own = own or arguments is None
    arguments = list(sys.argv[1:] if arguments is None else arguments)

    def call() -> int | None:
        module = importlib.import_module(f"isaaclab_offpolicy.{COMMANDS[one_of('command', command, COMMANDS)][0]}")
        if own and command in WATCHED and not PULSE.attach():
            from .restarts import run_watched

            return run_watched(module, arguments)
        return module.main(arguments)

    return guard(call)


def guard(function: Callable[[], int | None]) -> int:
    """Call a function; gives the exit status, its own if it has one, and says in one line what a user can put right."""
    try:
        return function() or 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
