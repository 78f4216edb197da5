# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""What goes wrong with bounds."""


class BoundsError(ValueError):
    """Bounds that cannot be used. The message names the file, where there is one, and the joint."""
