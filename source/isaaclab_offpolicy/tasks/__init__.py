# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Tasks of the project. Importing this module registers them; Isaac Lab does so through its entry point."""

from isaaclab_tasks.utils import import_packages

import_packages(__name__, ["agents"])
