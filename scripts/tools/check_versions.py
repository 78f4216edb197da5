# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Checks that every file that states the project's version states the same one."""

from __future__ import annotations

import re
import runpy
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def versions(root: Path = ROOT) -> dict[str, str]:
    """Version by file; empty where a file states none.

    Args:
        root: Root of the repository.
    """
    package = "source/isaaclab_offpolicy/__init__.py"
    return {
        "pyproject.toml": _toml(root / "pyproject.toml", "project"),
        "config/extension.toml": _toml(root / "config/extension.toml", "package"),
        package: _match(root / package, r'^__version__ = "([^"]+)"'),
        "docs/conf.py": runpy.run_path(str(root / "docs/conf.py")).get("release", ""),
        "CHANGELOG.md": _match(root / "CHANGELOG.md", r"^## \[(\d[^\]]*)\]"),
    }


def _toml(path: Path, table: str) -> str:
    return tomllib.loads(path.read_text(encoding="utf-8")).get(table, {}).get("version", "")


def _match(path: Path, pattern: str) -> str:
    match = re.search(pattern, path.read_text(encoding="utf-8"), re.MULTILINE)
    return match[1] if match else ""


def main() -> int:
    """Print the versions; the exit status is 1 if they differ."""
    found = versions()
    if len(set(found.values())) == 1 and all(found.values()):
        print(f"version {found['pyproject.toml']} in {len(found)} files")
        return 0
    print("the version differs between files:", file=sys.stderr)
    for name, version in found.items():
        print(f"  {name}: {version or 'none'}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
