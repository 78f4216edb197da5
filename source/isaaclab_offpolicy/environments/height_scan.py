# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Where the terrain's heights are among an environment's observations."""

from __future__ import annotations

from typing import Any

import numpy as np

HEIGHT_SCAN = "height_scan"
"""Isaac Lab's observation term with the terrain's heights."""


def height_scan_columns(env: Any, group: str = "policy") -> np.ndarray:
    """Which entries of an observation group are heights, shape [D].

    Args:
        env: Isaac Lab's environment, or a wrapper of it.
        group: The group. One of a direct environment has no terms, and so no heights.
    """
    env = getattr(env, "unwrapped", env)
    manager = getattr(env, "observation_manager", None)
    if manager is None:
        return np.zeros(env.single_observation_space[group].shape[0], dtype=bool)
    terms, shapes = manager.active_terms[group], manager.group_obs_term_dim[group]
    cfg = getattr(env.cfg.observations, group)
    # with history_order="time" all terms of the oldest frame come first
    frames = int(cfg.history_length or 1) if getattr(cfg, "history_order", "term") == "time" else 1
    widths = [int(np.prod(shape)) // frames for shape in shapes]
    frame = [np.full(width, term == HEIGHT_SCAN) for term, width in zip(terms, widths, strict=True)]
    return np.tile(np.concatenate(frame), frames)
