# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""From a URDF to a USD, and the comparison of the two; what is behind ``scripts/tools/urdf_to_usd.py``."""
