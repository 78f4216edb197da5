# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""The published hyperparameters, in one place.

Source: A. Raffin, "Getting SAC to Work on a Massive Parallel Simulator", part II (2025): SAC tuned on A1, flat ground,
1024 environments, for the return after a given wall-clock time; and its additions for rough terrain (ANYmal-C).
"""

from __future__ import annotations

HIDDEN_DIMS = (512, 256, 128)
"""Widths of the hidden layers of actor and critics."""

BUFFER_SIZE = 2_000_000
"""Transitions in the replay buffer."""

BATCH_SIZE = 512
"""Transitions per gradient step."""

LEARNING_STARTS = 2000
"""Transitions collected with uniform random actions."""

REPLAY_RATIO = 32 / 1024
"""Gradient steps per transition."""

POLICY_DELAY = 8
"""Gradient steps of the critics per one of the actor."""

GAMMA = 0.98310025
"""Discount factor."""

TAU = 0.0023055561
"""Step of the target networks towards the critics."""

ENT_COEF = "auto_0.00947178"
"""Temperature: learned, from this value."""

LEARNING_RATE = 4.4689099625712413e-4
"""Learning rate of actor, critics and temperature."""

ROUGH_TRAIN_FREQ = 10
"""Env steps between two update phases on rough terrain, for which noise is held, too."""

ROUGH_N_STEPS = 3
"""Steps of the return on rough terrain."""

ROUGH_BOUNDS_SCALE = 1.25
"""Factor on the percentiles on rough terrain."""
