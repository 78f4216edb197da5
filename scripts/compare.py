# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Compares agents on this machine: scripts/compare.py sac-cpu:256 ppo:512 --out outputs/comparison."""

import sys

from isaaclab_offpolicy.cli.main import run

if __name__ == "__main__":
    sys.exit(run("compare"))
