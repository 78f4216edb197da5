# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""The robots' own part in their agents."""

from __future__ import annotations

from typing import NamedTuple

BOX = 0.25
"""Half-range of the joint targets [rad] around the default pose, in which robots learn to stand and to walk.

It won over percentiles and joint limits wherever they were compared (docs, "Action bounds").
"""

ANYDRIVE_BOX = 0.5
"""That of robots on ANYdrives [rad].

ANYmal's drives give way under its weight, and noise of 0.05 rad makes ANYmal-C sink by 0.1 m: targets within ±0.25 rad
leave little to pull it up again (docs, "Benchmarks").
"""


class RobotSpec(NamedTuple):
    """What agents need to know of a robot."""

    experiment: str
    """Folder of the runs, before ``_flat`` and ``_rough``."""

    ppo: str
    """``module:Class`` of PPO's configuration, with ``{terrain}`` (``Flat`` or ``Rough``) in the class's name."""

    flat_percentiles: str | None = None
    """Percentiles of a trained PPO policy's actions on flat ground, by name or path; None where none are recorded."""

    rough_percentiles: str | None = None
    """Those on rough terrain."""

    published_percentiles: str | None = None
    """Those of the published recipe, with which SBX's agents are trained."""

    box: float = BOX
    """Half-range of the joint targets [rad]."""

    joints: int = 12
    """Number of joints."""


def _isaaclab(where: str, robot: str, prefix: str) -> str:
    return f"isaaclab_tasks.{where}.velocity.config.{robot}.agents.rsl_rl_ppo_cfg:{prefix}{{terrain}}PPORunnerCfg"


ROBOTS = {
    "Unitree-A1": RobotSpec(
        "unitree_a1", _isaaclab("contrib", "a1", "UnitreeA1"), "unitree_a1_flat", "unitree_a1", "unitree_a1"
    ),
    "Unitree-Go1": RobotSpec(
        "unitree_go1", _isaaclab("contrib", "go1", "UnitreeGo1"), "unitree_go1_flat", "unitree_a1", "unitree_a1"
    ),
    "Unitree-Go2": RobotSpec(
        "unitree_go2", _isaaclab("core", "go2", "UnitreeGo2"), "unitree_go2_flat", "unitree_a1", "unitree_a1"
    ),
    "Anymal-B": RobotSpec(
        "anymal_b", _isaaclab("contrib", "anymal_b", "AnymalB"), "anymal_b_flat", "anymal", "anymal", ANYDRIVE_BOX
    ),
    "Anymal-C": RobotSpec(
        "anymal_c", _isaaclab("contrib", "anymal_c", "AnymalC"), "anymal_c_flat", "anymal", "anymal", ANYDRIVE_BOX
    ),
    # Isaac Lab's biped without arms
    "BDX": RobotSpec("bdx", _isaaclab("core", "cassie", "Cassie"), "bdx_flat", None, "bdx_flat", joints=14),
}
"""The robots of this package's tasks."""

ISAACLAB_ROBOTS = {
    "a1": "Unitree-A1", "go1": "Unitree-Go1", "go2": "Unitree-Go2", "anymal_b": "Anymal-B", "anymal_c": "Anymal-C",
}  # fmt: skip
"""Robots by their package in Isaac Lab; other robots' actions are bounded by their joint limits."""
