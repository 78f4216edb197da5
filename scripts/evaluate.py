# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Evaluates a policy: scripts/evaluate.py --task Isaac-Velocity-Flat-Unitree-A1-v0 --checkpoint latest."""

from isaaclab_offpolicy.cli.evaluate import main

if __name__ == "__main__":
    main()
