# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Whether a robot walks, stands, lies or falls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .rollout import velocity_tracking

FROM = 1_000_000
"""Transitions before anything is said: every training begins with robots that fall."""

LONG = 250_000
"""Transitions for which a robot has to do it before it is said."""


def posture(
    speed: float, commanded: float, height: float | None, nominal: float, length: float | None, full_length: float
) -> str | None:
    """What a robot does in place of walking, in words; None where it walks, or nobody can tell.

    Args:
        speed: Mean speed [m/s].
        commanded: Mean commanded speed [m/s].
        height: Mean height of the base above the ground [m]; None where the ground is not flat.
        nominal: Height of the base in the default pose [m].
        length: Mean length of the episodes [steps].
        full_length: Length of an episode without a termination [steps].
    """
    if length is not None and length < 0.3 * full_length:
        return (
            f"the robot falls: episodes last {100 * length / full_length:.0f} % of their time; the bounds may be too"
            " wide: try --bounds percentile, or a smaller agent.algorithm.action_bounds_scale"
        )
    if height is not None and height < 0.6 * nominal:
        return (
            f"the robot lies or crouches: its base is at {height:.2f} m of {nominal:.2f} m; the bounds may let it: try"
            " --bounds percentile, or a smaller agent.algorithm.action_bounds_scale"
        )
    if speed < 0.3 * commanded:
        return (
            f"the robot stands: it moves at {speed:.2f} m/s where {commanded:.2f} m/s are commanded; it may explore too"
            " little to find out how to walk: try agent.algorithm.noise_hold=10, or a higher"
            " agent.algorithm.target_entropy"
        )
    return None


class Lasting:
    """Lets a text pass once, when texts of its kind, up to the colon, came for some time on end.

    Args:
        time: That time, in transitions.
    """

    def __init__(self, time: int) -> None:
        self.time = time
        self._kind: str | None = None
        self._since = 0
        self._said: set[str] = set()

    def __call__(self, text: str | None, transitions: int) -> str | None:
        """The text, or None, given the transitions so far."""
        kind = None if text is None else text.partition(":")[0]
        if kind != self._kind:
            self._kind, self._since = kind, transitions
        if kind is None or kind in self._said or transitions - self._since < self.time:
            return None
        self._said.add(kind)
        return text


def posture_warnings(env: Any) -> Callable[[int, float | None], str | None] | None:
    """Warnings for the log of a velocity task, each of them once, when it holds for :data:`LONG` transitions.

    Args:
        env: Isaac Lab's environment, or a wrapper of it.

    Returns:
        A function of the transitions so far and the mean length of episodes [steps]; None for other tasks.
    """
    unwrapped = getattr(env, "unwrapped", env)
    measure = velocity_tracking(unwrapped)
    if measure is None:
        return None
    robot = unwrapped.scene[unwrapped.command_manager.get_term("base_velocity").cfg.asset_name]
    nominal = float(robot.cfg.init_state.pos[2])
    terrain = getattr(unwrapped.cfg.scene, "terrain", None)
    flat = terrain is None or terrain.terrain_type != "generator"
    once = Lasting(LONG)

    def warn(transitions: int, length: float | None) -> str | None:
        if transitions < FROM:
            return None
        means = {name: value.mean().item() for name, value in measure().items()}
        height = means["base_height"] if flat else None
        text = posture(
            means["speed"], means["commanded_speed"], height, nominal, length, float(unwrapped.max_episode_length)
        )
        return once(text, transitions)

    return warn
