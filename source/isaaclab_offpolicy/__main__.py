# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""``python -m isaaclab_offpolicy COMMAND``."""

import sys

from isaaclab_offpolicy.cli.main import main

sys.exit(main())
