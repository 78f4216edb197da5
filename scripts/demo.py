# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Trains, evaluates and films Unitree A1: scripts/demo.py."""

from isaaclab_offpolicy.cli.demo import main

if __name__ == "__main__":
    main()
