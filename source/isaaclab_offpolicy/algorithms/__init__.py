# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""SAC and what it is made of."""

from isaaclab_offpolicy.replay import ReplayBatch, ReplayBuffer
from isaaclab_offpolicy.training.finite import NonFiniteError

from .critic import QEnsemble
from .distribution import SquashedGaussianDistribution
from .sac import SAC
from .temperature import EntropyCoef

__all__ = [
    "SAC",
    "EntropyCoef",
    "NonFiniteError",
    "QEnsemble",
    "ReplayBatch",
    "ReplayBuffer",
    "SquashedGaussianDistribution",
]
