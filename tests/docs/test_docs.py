# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""What the pages say exists: their links, commands, tasks, agents and options."""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import gymnasium as gym
import pytest
from doc_pages import DOCS, PAGES, ROOT, commands, expand, read

from isaaclab.app import add_launcher_args
from isaaclab_rl.entrypoints.backends import cli_args_rsl_rl
from isaaclab_rl.entrypoints.common import add_common_play_args, add_common_train_args
from isaaclab_tasks.utils import load_cfg_from_registry

from isaaclab_offpolicy.agents.configuration import resolve
from isaaclab_offpolicy.agents.registry import check_task, find_agent, load_tasks
from isaaclab_offpolicy.agents.table import AGENTS
from isaaclab_offpolicy.algorithms.rsl_rl_cfg import SacAlgorithmCfg, check_options
from isaaclab_offpolicy.cli import bounds
from isaaclab_offpolicy.cli.arguments import parse
from isaaclab_offpolicy.cli.main import COMMANDS

TASK = "Isaac-Velocity-Flat-Unitree-A1-v0"
OWN_TASKS = ("Isaac-Velocity-Flat-Your-Robot-v0", "Isaac-Velocity-Rough-Your-Robot-v0", "My-Walking-Task-v0")
"""Tasks that the guide registers; their environments are the reader's."""

pages = pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


# -- links


@pages
def test_links_and_pictures_lead_somewhere(path: Path) -> None:
    broken = []
    for link in read(path).links:
        if re.match(r"\w+:", link):
            continue
        target, _, anchor = unquote(link).partition("#")
        file = (path.parent / target).resolve() if target else path
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in read(file).anchors):
            broken.append(link)
    assert not broken


@pages
def test_contents_name_pages_that_exist(path: Path) -> None:
    for language, content in read(path).fences:
        if language == "{toctree}":
            entries = [line for line in content.splitlines() if line and not line.startswith(":")]
            assert [entry for entry in entries if not list(path.parent.glob(f"{entry}.md"))] == []
        if language.startswith("{include}"):
            assert (path.parent / language.partition("} ")[2]).is_file()


# -- commands


@pytest.fixture(scope="module", autouse=True)
def guide() -> Iterator[dict[str, Any]]:
    """What the guide's Python code defines, with the tasks that it registers."""
    load_tasks()
    names: dict[str, Any] = {"__name__": "your_robot.tasks"}
    for language, code in read(DOCS / "guides" / "bring_your_task.md").fences:
        if language == "python" and "import" in code:
            exec(code, names)
    yield names
    for task in OWN_TASKS:
        gym.registry.pop(task, None)


def test_the_guides_code_gives_agents_that_can_train(guide: dict[str, Any]) -> None:
    assert {task for task in OWN_TASKS if find_agent(task, "sac-cpu", "cpu").name == "sac-cpu"} == set(OWN_TASKS)
    check_options(guide["my_sac_cpu"]().algorithm)


@cache
def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def script(words: Sequence[str]) -> int | None:
    """Which of a command's words is one of our scripts."""
    return next((i for i, word in enumerate(words[:5]) if re.search(r"(^|/)scripts/[\w/]+\.py$", word)), None)


def check_command(words: list[str]) -> None:
    """Run a command of a page through everything that its program checks before it begins.

    Raises:
        UserError: If a task, an agent, an engine or an agent's option does not exist.
        AssertionError: If a target, a script, a command, an argument or an environment's option does not exist.
    """
    position = script(words)
    if words[0] == "make":
        assert all(word in targets() for word in words[1:] if "=" not in word), "target"
    elif position is not None:
        name = words[position].rpartition("scripts/")[2].removesuffix(".py")
        assert (ROOT / "scripts" / f"{name}.py").is_file(), "script"
        check_arguments({"record_ppo_actions": "record"}.get(name, name), words[position + 1 :])
    elif words[0].endswith("isaaclab-offpolicy") and words[1] != "--version":
        check_arguments(words[1], words[2:])
    elif words[0].endswith("isaaclab") and words[1] in ("train", "play"):
        check_isaaclab(words[1], words[2:])


def check_arguments(command: str, arguments: list[str]) -> None:
    """Parse the arguments of one of our commands, or of a tool, with its own parser."""
    where = (
        command.replace("tools/", "") if command.startswith("tools/") else f"isaaclab_offpolicy.{COMMANDS[command][0]}"
    )
    module = importlib.import_module(where)
    if not hasattr(module, "parser"):
        assert not arguments, f"{command} takes none"
        return
    args, rest, overrides = parse(module.parser(), arguments)
    if command in ("train", "play"):
        rest = isaaclab_parser(command).parse_known_args(rest)[1]
    assert not rest, rest
    tasks = getattr(args, "task", None) or []
    for task in [tasks] if isinstance(tasks, str) else tasks:
        agent = getattr(args, "agent", None) or "sac"
        check_overrides(task, agent, overrides + getattr(args, "override", []))
        for entry in getattr(args, "entries", ()):
            check_overrides(task, entry.agent, entry.overrides)


def check_overrides(task: str, agent: str, overrides: Sequence[str]) -> None:
    entry_point = find_agent(check_task(task), agent, "cpu").entry_point
    if task not in OWN_TASKS:
        resolve(task, entry_point, "cpu", overrides)


def isaaclab_parser(command: str) -> argparse.ArgumentParser:
    """The parser of one of Isaac Lab's commands."""
    parser = argparse.ArgumentParser()
    add = add_common_train_args if command == "train" else add_common_play_args
    add(parser, agent_default="rsl_rl_cfg_entry_point", agent_help="")
    cli_args_rsl_rl.add_rsl_rl_args(parser)
    add_launcher_args(parser)
    parser.add_argument("--rl_library", choices=["rsl_rl"])
    return parser


def check_isaaclab(command: str, arguments: list[str]) -> None:
    args, rest, overrides = parse(isaaclab_parser(command), arguments)
    assert not rest, rest
    check_overrides(args.task, args.agent, overrides)


@pages
def test_commands_parse(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in commands(read(path)):
        try:
            check_command(words)
        except (SystemExit, AssertionError, KeyError) as error:
            pytest.fail(f"{' '.join(words)}\n{error!r}\n{capsys.readouterr().err}")


@pytest.mark.parametrize(
    "command",
    [
        "isaaclab-offpolicy train --task Isaac-Velocity-Flat-A1-v0",
        "isaaclab-offpolicy train --task TASK --agent sacc",
        "isaaclab-offpolicy train --task TASK --max_time 5",
        "isaaclab-offpolicy train --task TASK --no_such_flag",
        "isaaclab-offpolicy train --task TASK agent.algorithm.gama=0.9",
        "isaaclab-offpolicy train --task TASK env.rewards.trak_lin=3",
        "isaaclab-offpolicy train --task TASK physics=newton",
        "isaaclab-offpolicy evaluate --task TASK --episode 5x",
        "isaaclab-offpolicy compare sac-cpu --out x",
        "isaaclab-offpolicy compare sac-cpu:256:agent.algorithm.gama=0.9 --out x",
        "isaaclab-offpolicy no-command",
        "python scripts/no_script.py",
        "python scripts/tools/find_stance.py --radius 1",
        "isaaclab train --rl_library rsl_rl --task TASK --agent no_such_key",
        "make no-target",
    ],
)
def test_a_wrong_command_is_found(command: str) -> None:
    with pytest.raises((SystemExit, AssertionError, KeyError)):
        check_command(command.replace("TASK", TASK).split())


@pages
def test_code_in_sentences_names_what_exists(path: Path) -> None:
    unknown = []
    for text in read(path).code:
        words = text.split()
        found = re.match(r"agent\.[\w.]+", text)
        if words[:1] == ["make"] and len(words) > 1:
            good = words[1] in targets()
        elif words and script(words) is not None:
            good = (ROOT / "scripts" / words[script(words) or 0].rpartition("scripts/")[2]).is_file()
        elif words[:1] == ["isaaclab-offpolicy"] and len(words) > 1 and words[1].isalpha() and words[1].islower():
            good = words[1] in COMMANDS
        elif found and found[0].islower() and not found[0].endswith(".") and path.name != "CHANGELOG.md":
            good = any(has_option(agent, text) for agent in AGENTS)
        else:
            continue
        if not good:
            unknown.append(text)
    assert not unknown


def has_option(agent: str, override: str) -> bool:
    node = load_cfg_from_registry(TASK, AGENTS[agent].entry_point)
    for name in override.partition("=")[0].split(".")[1:]:
        children = node if isinstance(node, dict) else vars(node)
        if name not in children:
            return False
        node = children[name]
    return True


@pages
def test_tasks_exist(path: Path) -> None:
    named = {name for word in re.findall(r"Isaac-Velocity-[\w{},-]+", read(path).text) for name in expand(word)}
    assert {name for name in named if "ROBOT" not in name} - set(gym.registry) == set()


def test_options_are_read_from_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sphinx")
    monkeypatch.syspath_prepend(str(DOCS / "_ext"))
    reference = importlib.import_module("reference")
    docs = reference.attribute_docs(SacAlgorithmCfg)
    assert docs["n_steps"].startswith("Steps of the return.")
    ranges = [reference.range_text(*option) for option in (("gamma", "float"), ("n_steps", "int"), ("schedule", "str"))]
    assert ranges == ["a number from 0 to 1, ", "a whole number above zero, ", ""]
    help_texts = [parser.format_help() for parser in reference.parsers(bounds.parser())]
    assert len(help_texts) == 3 and "--widen" in help_texts[2]


# -- words

OLD_SENTENCES = (
    "it turns as told", "What is special to a GPU is written", "--video` films", "Trainings that lose nothing",
    "Tasks that run where there is nothing", "Standing is worth 8 to 10", "are searched below", "in 77 forms",
    "What is bootstrapped from?",
    "Why, is in", "fills in what the machine decides", "has learned to lie", "-1 says what it costs", "`share` is what",
    "what they learn does not hang on them", "noise still hides it", "by a margin that means nothing",
    "on two cores do not reach", "Sets of history", "should be where one guesses it",
)  # fmt: skip
"""Of a review, which says them better."""

OLD_TERMS = re.compile(
    r"vector steps?\b|half.widths?\b|\bunit actions?\b|policy units|without a fall|share_without_fall|\bcut off\b"
    r"|looks? at the device|\bloud\b|\bin turns\b|\banatomy\b|\btwins?\b",
    re.IGNORECASE,
)


@pages
def test_words_are_the_fields(path: Path) -> None:
    text = " ".join(read(path).text.split())
    assert [sentence for sentence in OLD_SENTENCES if sentence in text] == []
    if path.name != "CHANGELOG.md":  # which tells of renamed things
        assert OLD_TERMS.findall(text) == []


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) < 600
