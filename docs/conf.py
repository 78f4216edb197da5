# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Sphinx configuration. Build with ``make docs``."""

import tomllib
from pathlib import Path

_root = Path(__file__).resolve().parents[1]
_project = tomllib.loads((_root / "pyproject.toml").read_text(encoding="utf-8"))["project"]

project = _project["name"]
author = "The isaaclab_offpolicy Developers"
copyright = f"2026, {author}"
version = release = _project["version"]

extensions = ["myst_parser"]
exclude_patterns = ["_build"]
nitpicky = True

myst_heading_anchors = 3

html_theme = "furo"
html_title = f"{project} {release}"
