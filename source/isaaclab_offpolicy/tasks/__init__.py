# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Tasks of the project. Importing this module registers them; Isaac Lab does so through its entry point.

It also adds SAC to Isaac Lab's own velocity tasks.
"""

from isaaclab_tasks.utils import import_packages

from .velocity.stock_tasks import add_sac_to_isaaclab_tasks

import_packages(__name__, ["agents"])
add_sac_to_isaaclab_tasks()
