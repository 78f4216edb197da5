# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Errors that are the user's to mend; a command prints them in one line and exits with status 1."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(SystemExit):
    """Something that the user can put right; its message is one line.

    It is no ``Exception``: Isaac Lab's ``launch_simulation`` prints a traceback of every one that passes through it,
    and closes the simulation with the status of a ``SystemExit``.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class ConfigError(UserError):
    """An option, a file or a task that cannot be used."""


class TrainingError(UserError):
    """A training that could not go on."""


def one_of(kind: str, name: str, choices: Iterable[str]) -> str:
    """Return the name, or raise a :class:`ConfigError` with the nearest ones.

    Args:
        kind: What it is the name of.
        name: What the user gave.
        choices: What there is.
    """
    choices = list(choices)
    if name in choices:
        return name
    by_lower = {choice.lower(): choice for choice in choices}
    wanted = name.lower()
    # parts of names that are there, in any order, count more than letters: Flat-A1 is nearer to Flat-Unitree-A1 than to
    # Flat-G1
    parts = set(wanted.replace("_", "-").split("-"))
    common = {choice: len(parts & set(choice.replace("_", "-").split("-"))) for choice in by_lower}
    letters = get_close_matches(wanted, by_lower, n=len(by_lower), cutoff=0.3)
    near = sorted(letters, key=lambda choice: -common[choice])[:3]
    raise ConfigError(
        f"unknown {kind} '{name}'; nearest: {', '.join([by_lower[n] for n in near] or sorted(choices)[:8])}"
    )
