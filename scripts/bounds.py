# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Looks at action bounds, and makes new ones without a trained policy: scripts/bounds.py show unitree_a1."""

import sys

from isaaclab_offpolicy.cli.main import run

if __name__ == "__main__":
    sys.exit(run("bounds"))
