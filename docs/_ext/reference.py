# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Directives that write the reference from the code: commands from their parsers, options from their classes."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import inspect
import os
from collections.abc import Iterator
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.docutils import SphinxDirective

from isaaclab_offpolicy.options import ANY, range_of

os.environ["COLUMNS"] = "88"  # width of argparse's help


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """A parser and those of its sub-commands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from parsers(child)


class Commands(SphinxDirective):
    """``.. commands::``: a section for each command, with the help that it prints."""

    def run(self) -> list[nodes.Node]:
        from isaaclab_offpolicy.cli.main import COMMANDS

        self.env.note_reread()
        sections: list[nodes.Node] = []
        for name, (module, _) in COMMANDS.items():
            parser = importlib.import_module(f"isaaclab_offpolicy.{module}").parser()
            section = nodes.section(ids=[name], names=[name])
            section += nodes.title(name, name)
            for each in parsers(parser):
                text = each.format_help()
                section += nodes.literal_block(text, text, language="text")
            self.state.document.note_explicit_target(section)
            sections.append(section)
        return sections


def attribute_docs(cls: type) -> dict[str, str]:
    """Docstrings of a configuration class's attributes, its parents' included."""
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if base.__module__ == "builtins":
            continue
        found = ModuleAnalyzer.for_module(base.__module__).find_attr_docs()
        docs |= {name: " ".join(lines) for (owner, name), lines in found.items() if owner == base.__name__}
    return docs


def range_text(name: str, kind: str) -> str:
    """What an option of numbers may be."""
    limits = range_of(name)
    return "" if limits is ANY else f"{limits.describe('int' in kind)}, "


def shown(value: Any) -> str:
    """A default; that of a nested configuration is its class."""
    return f"``{type(value).__name__}``" if dataclasses.is_dataclass(value) else f"``{value!r}``"


class Options(SphinxDirective):
    """``.. options:: module.Class``: a list of a configuration's options, with type, range, default and docstring.

    ``own`` leaves out what a parent outside of the package brings.
    """

    required_arguments = 1
    option_spec: ClassVar[dict[str, Any]] = {"own": directives.flag}

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()  # the code may have changed
        cls = _load(self.arguments[0])
        docs, defaults, lines = attribute_docs(cls), cls(), []
        for field in dataclasses.fields(cls):
            value = getattr(defaults, field.name)
            unset = isinstance(value, type(dataclasses.MISSING))  # what rsl_rl no longer has
            if unset or ("own" in self.options and field.name not in _own_fields(cls)):
                continue
            kind = field.type if isinstance(field.type, str) else inspect.formatannotation(field.type)
            facts = f"``{kind}``, {range_text(field.name, kind)}default {shown(value)}"
            lines += [f"``{field.name}``", f"   {facts}", "", f"   {docs.get(field.name, '')}", ""]
        self.env.ref_context["py:module"] = cls.__module__  # roles in the docstrings are relative to it
        return self.parse_text_to_nodes("\n".join(lines))


def _own_fields(cls: type) -> set[str]:
    own = (base for base in cls.__mro__ if base.__module__.startswith("isaaclab_offpolicy"))
    return {name for base in own for name in vars(base).get("__annotations__", {})}


def _load(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("commands", Commands)
    app.add_directive("options", Options)
    return {"parallel_read_safe": True}
