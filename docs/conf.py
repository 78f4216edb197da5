# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Sphinx configuration. Build with ``make docs``."""

import sys
import tomllib
from pathlib import Path

_root = Path(__file__).resolve().parents[1]
_project = tomllib.loads((_root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
sys.path.insert(0, str(_root / "docs" / "_ext"))

project = _project["name"]
author = "The isaaclab_offpolicy Developers"
copyright = f"2026, {author}"
version = release = _project["version"]

extensions = [
    "myst_parser",
    "presets",
    "reference",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx-mathjax-offline",
]
exclude_patterns = ["_build"]

myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
# what is linked to is what the API's page documents; the rest stays text
nitpicky = False

html_theme = "furo"
html_title = f"{project} {release}"
