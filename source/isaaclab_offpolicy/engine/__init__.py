# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Choice of device and physics engine, and the work-arounds for faults of the engines."""

from .defaults import check_device, configure_physics, default_device, default_engine

__all__ = ["check_device", "configure_physics", "default_device", "default_engine"]
