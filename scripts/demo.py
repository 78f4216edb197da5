# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Trains and evaluates Unitree A1, and records a video: scripts/demo.py."""

import sys

from isaaclab_offpolicy.cli.main import run

if __name__ == "__main__":
    sys.exit(run("demo"))
