# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Action bounds from a trained PPO policy: scripts/record_ppo_actions.py --task … --checkpoint latest."""

from isaaclab_offpolicy.cli.record_ppo_actions import main

if __name__ == "__main__":
    main()
