# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""How the source is laid out: imports go down only, modules stay short."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "source"
PACKAGE = "isaaclab_offpolicy"

ORDER = (
    "__main__", "cli", "benchmarks", "tasks", "agents", "runners", "algorithms", "replay", "exploration", "symmetry",
    "action_bounds", "assets", "robots", "evaluation", "environments", "training", "engine", "options", "published",
    "errors",
)  # fmt: skip
"""Packages and modules of the package, from the top to the bottom; each imports only what stands below it."""

MODULES = {
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in SOURCE.rglob("*.py")
}


def statements(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Imports anywhere in a module, but for those that only type checkers see."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.Import, ast.ImportFrom)):
            yield child
        elif not (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)):
            yield from statements(child)


def imported(name: str) -> set[str]:
    """Modules of the package that a module imports."""
    path, found = MODULES[name], set()
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for statement in statements(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(statement, ast.Import):
            found |= {alias.name for alias in statement.names if alias.name in MODULES}
            continue
        base = statement.module or ""
        if statement.level:
            parents = package.split(".")
            base = ".".join([*parents[: len(parents) - statement.level + 1], *([base] if base else [])])
        for alias in statement.names:
            full = f"{base}.{alias.name}"
            found |= {full} if full in MODULES else {base} & set(MODULES)
    return found - {name}


EDGES = {name: imported(name) for name in MODULES}


def test_no_modules_import_each_other_in_a_circle() -> None:
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, f"circle: {' -> '.join([*above[above.index(name) :], name])}"
        if name not in done:
            for other in EDGES[name]:
                visit(other, (*above, name))
            done.add(name)

    for name in MODULES:
        visit(name, ())


def test_packages_import_what_stands_below_them() -> None:
    def rank(name: str) -> int | None:
        parts = name.split(".")
        return ORDER.index(parts[1]) if len(parts) > 1 else None

    assert {name.split(".")[1] for name in MODULES if "." in name} == set(ORDER)
    wrong = [
        f"{name} imports {other}"
        for name, others in EDGES.items()
        for other in others
        if (above := rank(name)) is not None and (below := rank(other)) is not None and above > below
    ]
    assert not wrong, wrong


def test_modules_fit_a_readers_head() -> None:
    lengths = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in MODULES.items()}
    assert {name: length for name, length in lengths.items() if length > 450} == {}
    algorithms = {n: length for n, length in lengths.items() if n.startswith(f"{PACKAGE}.algorithms")}
    backends = sum(length for name, length in algorithms.items() if ".backends" in name)
    kernels = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCE.rglob("*.cpp"))
    assert backends + kernels < 1500
    assert sum(algorithms.values()) - backends < 2600
