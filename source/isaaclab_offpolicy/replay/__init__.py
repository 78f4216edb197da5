# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""The replay buffer of rsl_rl's learner."""

from .buffer import STORAGES, ObservationRing, ReplayBatch, ReplayBuffer, SampleIndices
from .prefetch import PrefetchingReplayBuffer

__all__ = [
    "STORAGES",
    "ObservationRing",
    "PrefetchingReplayBuffer",
    "ReplayBatch",
    "ReplayBuffer",
    "SampleIndices",
]
