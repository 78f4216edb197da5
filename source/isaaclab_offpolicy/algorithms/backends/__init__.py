# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""How networks and optimizers are computed; what is learned with them is in :mod:`..losses` and :mod:`..update`."""

from .base import Backend, Descent, UnsupportedError
from .registry import BACKENDS, make_backend

__all__ = ["BACKENDS", "Backend", "Descent", "UnsupportedError", "make_backend"]
