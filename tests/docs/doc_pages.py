# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""The pages of the documentation, as a Markdown parser reads them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path
from string import Template
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts),
]


class Page(NamedTuple):
    """What is checked of a page."""

    text: str
    links: list[str]
    """Targets of links and images."""
    anchors: set[str]
    code: list[str]
    """Code within sentences."""
    fences: list[tuple[str, str]]
    """Language and content of fenced blocks."""


@cache
def read(path: Path) -> Page:
    text = path.read_text(encoding="utf-8")
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    anchors = set(re.findall(r"^\(([\w-]+)\)=$", text, re.MULTILINE))
    anchors |= {slug(tokens[i + 1]) for i, token in enumerate(tokens) if token.type == "heading_open"}
    inline = [child for token in tokens for child in token.children or ()]
    links = [str(child.attrs.get("href", child.attrs.get("src"))) for child in inline if child.type in _LINKS]
    code = [child.content for child in inline if child.type == "code_inline"]
    fences = [(token.info.strip(), token.content) for token in tokens if token.type == "fence"]
    return Page(text, links, anchors, code, fences)


_LINKS = ("link_open", "image")


def slug(heading: Token) -> str:
    """A heading's anchor, as GitHub and MyST make it."""
    title = "".join(child.content for child in heading.children or () if child.type in ("text", "code_inline"))
    return re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")


def commands(page: Page) -> Iterator[list[str]]:
    """The words of each command in the page's shell blocks, with variables and braces expanded."""
    for language, content in page.fences:
        if language not in ("bash", "sh", "shell", "console"):
            continue
        variables: dict[str, str] = {}
        for line in content.replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            while words and re.match(r"\w+=", words[0]):
                name, _, variables[name] = words.pop(0).partition("=")
            if words:
                yield [each for word in words for each in expand(Template(word).safe_substitute(variables))]


def expand(word: str) -> list[str]:
    """A word with braces, such as ``{a,b}-c``, as a shell expands it."""
    parts = [part.split(",") if i % 2 else [part] for i, part in enumerate(re.split(r"{([^{}]*,[^{}]*)}", word))]
    return ["".join(choice) for choice in product(*parts)]
