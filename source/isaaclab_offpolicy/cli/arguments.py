# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""What the command lines have in common."""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

from isaaclab_offpolicy.agents.overrides import SAME, as_flags, check_contradictions, check_form, split_overrides
from isaaclab_offpolicy.agents.table import NAMES
from isaaclab_offpolicy.errors import ConfigError, one_of
from isaaclab_offpolicy.options import Parser, positive_int, seed_number


def command_parser(command: str, description: str, examples: str) -> Parser:
    """A parser with examples at its end.

    Args:
        command: Name of the command.
        description: What it does.
        examples: Command lines, one per line, without the command's own name.
    """
    lines = "\n".join(f"  isaaclab-offpolicy {command} {line.strip()}" for line in examples.strip().splitlines())
    return Parser(
        prog=f"isaaclab-offpolicy {command}",
        description=textwrap.fill(description, 100),
        epilog=f"examples:\n{lines}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_task_arguments(parser: argparse.ArgumentParser, agent: str = "sac", own_seed: int | None = None) -> None:
    """Add what says which task and agent, where, with which seed, and below which folder.

    Args:
        parser: The parser.
        agent: Agent when nobody says.
        own_seed: Seed when nobody says; None is the agent's.
    """
    parser.add_argument("--task", help="Task, for example Isaac-Velocity-Flat-Unitree-A1-v0.")
    parser.add_argument(
        "--agent",
        help=f"One of {', '.join(NAMES)}; default {agent}, or that of a checkpoint. sac takes the preset that fits the"
        " device.",
    )
    parser.add_argument("--device", help="cpu or cuda:N; found when not given.")
    default = "the agent's" if own_seed is None else own_seed
    parser.add_argument(
        "--seed", type=seed_number, default=own_seed, help=f"Seed of the environment; default {default}."
    )
    parser.add_argument("--experiment_name", metavar="NAME", help="Folder of the runs, below logs/LIBRARY.")


def add_policy_arguments(
    parser: argparse.ArgumentParser, num_envs: int, agent: str = "sac", own_seed: int | None = 1
) -> None:
    """Add what :func:`add_task_arguments` does, ``--checkpoint``, and ``--num_envs`` with its default."""
    add_task_arguments(parser, agent, own_seed)
    parser.add_argument("--checkpoint", default="latest", metavar="latest|best|PATH", help="Default latest.")
    parser.add_argument(
        "--num_envs", type=positive_int, default=num_envs, help=f"Number of environments; default {num_envs}."
    )
    add_terrain_argument(parser)


def add_terrain_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--terrain``; :func:`terrain_overrides` says what it means."""
    parser.add_argument(
        "--terrain",
        metavar="KIND[,KIND]",
        help="Kinds of rough terrain, such as pyramid_stairs_inv; default all, as the task has them.",
    )


def terrain_overrides(env_cfg: Any, kinds: str | None) -> list[str]:
    """Overrides that leave some kinds of a task's terrain.

    Args:
        env_cfg: The task's configuration.
        kinds: Their names with commas between them; None leaves all.

    Raises:
        ConfigError: If a kind is not known, or the terrain is flat.
    """
    if kinds is None:
        return []
    from isaaclab_offpolicy.evaluation.terrain import only

    return only(env_cfg, kinds.split(","))


def parse(
    parser: argparse.ArgumentParser, argv: Sequence[str] | None
) -> tuple[argparse.Namespace, list[str], list[str]]:
    """Parse a command line that may have overrides; those that say the same as a flag become that flag.

    Args:
        parser: The command's parser.
        argv: The command line; None is the process' own.

    Returns:
        What the parser knows, what it does not know, and the other overrides.

    Raises:
        ConfigError: If a value or an override cannot be used, or contradicts another.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    check_contradictions(given)
    flags, overrides = split_overrides(given)
    check_form(overrides)
    more, kept = as_flags(overrides, parser._option_string_actions)
    try:
        args, rest = parser.parse_known_args([*flags, *more])
    except ConfigError as error:
        text = str(error)
        for item in overrides:
            key = item.partition("=")[0]
            text = text.replace(f"{SAME.get(key, '--')}: ", f"{key}: ")
        raise ConfigError(text) from None
    return args, rest, kept


def refuse(rest: Sequence[str], *parsers: argparse.ArgumentParser) -> None:
    """Refuse what no parser knows.

    Raises:
        ConfigError: With the nearest names.
    """
    for item in sorted(rest, key=lambda item: not item.startswith("-"))[:1]:
        if re.match(r"--?(agent|env|physics|presets|renderer)\b.*=", item):
            raise ConfigError(f"'{item}': an override has no dashes; write {item.lstrip('-')}")
        if item.startswith("-"):
            groups = [action.choices for parser in parsers for action in parser._actions]
            parsers += tuple(sub for group in groups if isinstance(group, dict) for sub in group.values())
            names = {name for parser in parsers for name in parser._option_string_actions}
            one_of("option", item.partition("=")[0], sorted(names))
        check_form([item])
        raise ConfigError(f"'{item}' is given to no option")


def check_isaaclab_flags(rest: Sequence[str], own: argparse.ArgumentParser, command: str, is_sb3: bool) -> None:
    """Refuse flags that Isaac Lab does not know, or whose values it cannot use.

    Args:
        rest: What the command's own parser does not know.
        own: That parser.
        command: ``train`` or ``play``.
        is_sb3: Whether SBX or Stable-Baselines3 trains the agent.

    Raises:
        ConfigError: With the nearest names.
    """
    from isaaclab.app import add_launcher_args
    from isaaclab_rl.entrypoints import common
    from isaaclab_rl.entrypoints.backends.cli_args_rsl_rl import add_rsl_rl_args

    parser = Parser(prog=own.prog, add_help=False)
    if command == "play":
        common.add_common_play_args(parser, agent_default=None, agent_help="")
    else:
        common.add_common_train_args(parser, agent_default=None, agent_help="", include_distributed=not is_sb3)
    if is_sb3:
        parser.add_argument("--run_timestamp")
    else:
        add_rsl_rl_args(parser)
        parser.add_argument("--external_callback")
        parser.add_argument("--resume_optimizer_state", action=argparse.BooleanOptionalAction)
    add_launcher_args(parser)
    _, unknown = parser.parse_known_args(rest)
    refuse(unknown, own, parser)
