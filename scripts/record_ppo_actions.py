# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Action bounds from a trained PPO policy: scripts/record_ppo_actions.py --task … --checkpoint latest."""

import sys

from isaaclab_offpolicy.cli.main import run

if __name__ == "__main__":
    sys.exit(run("record"))
