# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Robots that run offline, one module each, and the tool that writes their USD files."""

from pathlib import Path

DATA_DIR = Path(__file__).resolve().parent / "data"
"""Folder of the USD files that the package ships."""

GROUND_PLANE_USD = str(DATA_DIR / "ground_plane.usda")
"""Flat ground: an infinite collision plane at z = 0."""
