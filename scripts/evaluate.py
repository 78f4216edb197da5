# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Evaluates a policy: scripts/evaluate.py --task Isaac-Velocity-Flat-Unitree-A1-v0 --checkpoint latest."""

import sys

from isaaclab_offpolicy.cli.main import run

if __name__ == "__main__":
    sys.exit(run("evaluate"))
