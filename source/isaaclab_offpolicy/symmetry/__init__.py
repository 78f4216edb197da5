# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Left-right symmetry of robots and tasks: transitions and their mirror images."""

from .environment import MIRROR_SIGNS, Symmetry, check_bounds, find_symmetry
from .mirroring import HalfMirror

__all__ = ["MIRROR_SIGNS", "HalfMirror", "Symmetry", "check_bounds", "find_symmetry"]
