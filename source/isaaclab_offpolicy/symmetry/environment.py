# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""The mirror image of what a task observes and commands: the reflection at the robot's sagittal plane, y to -y.

Positions, velocities and forces (x, y, z) are mirrored into (x, -y, z), turns and torques into (-x, y, -z). A joint's
image is the joint on the other side, whose sign follows from the axes of both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch

from isaaclab_offpolicy.action_bounds import ActionBounds, BoundsError
from isaaclab_offpolicy.action_bounds.environment import (
    action_joint_names,
    action_scale_and_offset,
    joint_axes,
    robot_of,
)
from isaaclab_offpolicy.action_bounds.symmetry import Mirror, mirror_joints
from isaaclab_offpolicy.errors import ConfigError

MIRROR_SIGNS = "mirror_signs"
"""Attribute of an observation function of one's own: the sign of each of its numbers in the mirror image."""

POLAR, AXIAL = (1.0, -1.0, 1.0), (-1.0, 1.0, -1.0)

SIGNS: dict[str, tuple[float, ...]] = {
    "base_lin_vel": POLAR,
    "base_ang_vel": AXIAL,
    "projected_gravity": POLAR,
    "base_pos_z": (1.0,),
    # forward, left and yaw velocity
    "generated_commands": (1.0, -1.0, -1.0),
}
"""Signs of the terms of Isaac Lab that have no joints."""

BY_JOINT = ("joint_pos", "joint_pos_rel", "joint_vel", "joint_vel_rel", "joint_effort")
"""Terms of Isaac Lab that have a number for each joint."""


class Symmetry(NamedTuple):
    """The mirror image of observations and actions."""

    obs: dict[str, Mirror]
    """Of each group of observations, D numbers."""

    action: Mirror
    """Of the actions, A numbers."""


def find_symmetry(env: Any, groups: Iterable[str]) -> Symmetry:
    """Find the mirror image of a task's observations and actions.

    An environment may say it itself, with an attribute ``symmetry`` (a :class:`Symmetry`). Else it is one of Isaac
    Lab's with managers: its actions are joint positions, and its terms those of :data:`SIGNS` and :data:`BY_JOINT`, the
    last action, a height scan, or functions with an attribute :data:`MIRROR_SIGNS`.

    Args:
        env: The environment, or a wrapper of it.
        groups: The groups of observations that are learned from.

    Raises:
        ConfigError: If the robot, its default pose or an observation have no mirror image that is known.
    """
    unwrapped = getattr(env, "unwrapped", env)
    try:
        return getattr(unwrapped, "symmetry", None) or _of_managers(unwrapped, list(groups))
    except BoundsError as error:
        raise ConfigError(f"algorithm.symmetry: {error}") from None


def check_bounds(symmetry: Symmetry, bounds: ActionBounds) -> None:
    """Refuse bounds that are not symmetric, with which a normalised action is not mirrored like an action.

    Args:
        symmetry: The mirror image of the actions.
        bounds: Their bounds.

    Raises:
        ConfigError: If they are not; it names the first joint.
    """
    low, high = symmetry.action.symmetric_box(bounds.low, bounds.high)
    for name, *values in zip(bounds.joint_names, bounds.low, low, bounds.high, high, strict=True):
        if abs(values[0] - values[1]) + abs(values[2] - values[3]) > 1.0e-4:
            raise ConfigError(
                f"algorithm.symmetry needs left-right symmetric bounds, which those of '{name}' are not;"
                " algorithm.action_bounds=symmetric makes them so"
            )


def _of_managers(env: Any, groups: Sequence[str]) -> Symmetry:
    """The symmetry of an environment of Isaac Lab with managers."""
    manager = getattr(env, "observation_manager", None)
    if manager is None:
        raise ConfigError("algorithm.symmetry: a task without managers needs an attribute 'symmetry' that says it")
    robot = robot_of(env)
    axes = joint_axes(robot.cfg.spawn.usd_path)
    names = action_joint_names(env)
    action = mirror_joints(names, axes)
    action.check_pose(names, action_scale_and_offset(env)[1])
    mirrors = {}
    for group in groups:
        parts: list[Mirror] = []
        terms = zip(manager.active_terms[group], manager._group_obs_term_cfgs[group], strict=True)
        widths = manager.group_obs_term_dim[group]
        for (name, cfg), shape in zip(terms, widths, strict=True):
            parts.append(term_mirror(env, f"{group}.{name}", cfg, torch.Size(shape).numel(), action, axes))
        mirrors[group] = side_by_side(parts)
    return Symmetry(mirrors, action)


def term_mirror(env: Any, name: str, cfg: Any, width: int, action: Mirror, axes: dict[str, Any]) -> Mirror:
    """The mirror image of an observation term, with its history."""
    function = getattr(cfg.func, "__name__", type(cfg.func).__name__)
    signs = getattr(cfg.func, MIRROR_SIGNS, None) or SIGNS.get(function)
    if function in BY_JOINT:
        robot = robot_of(env)
        asset = cfg.params.get("asset_cfg")
        ids = range(len(robot.joint_names)) if asset is None or isinstance(asset.joint_ids, slice) else asset.joint_ids
        joints = [robot.joint_names[i] for i in ids]
        mirror = mirror_joints(joints, axes)
        pose = robot.data.default_joint_pos.torch[0].tolist()
        mirror.check_pose(joints, [pose[i] for i in ids])
    elif function == "last_action" and cfg.params.get("action_name") is None:
        mirror = action
    elif function == "height_scan":
        mirror = points_mirror(env.scene.sensors[cfg.params["sensor_cfg"].name].ray_starts.torch[0])
    elif signs is not None:
        mirror = Mirror(tuple(range(len(signs))), tuple(float(sign) for sign in signs))
    else:
        raise ConfigError(
            f"algorithm.symmetry: the mirror image of observation '{name}' ({function}) is not known; give its function"
            f" an attribute {MIRROR_SIGNS} with a sign for each of its numbers"
        )
    size = len(mirror.index)
    if width % size:
        raise ConfigError(f"algorithm.symmetry: observation '{name}' has {width} numbers, and its mirror image {size}")
    _check_factors(name, cfg, mirror)
    return side_by_side([mirror] * (width // size))


def _check_factors(name: str, cfg: Any, mirror: Mirror) -> None:
    """Refuse a term whose scale or clip is another on the other side."""
    scale = cfg.scale
    if isinstance(scale, torch.Tensor) and scale.numel() > 1:
        values = scale.flatten().abs().tolist()
        if len(values) != len(mirror.index) or any(
            abs(value - values[i]) > 1.0e-6 for value, i in zip(values, mirror.index, strict=True)
        ):
            raise ConfigError(f"algorithm.symmetry: the scale of observation '{name}' is another left than right")
    if cfg.clip is not None and min(mirror.sign) < 0.0 and abs(cfg.clip[0] + cfg.clip[1]) > 1.0e-6:
        raise ConfigError(f"algorithm.symmetry: the clip {tuple(cfg.clip)} of observation '{name}' is not symmetric")


def points_mirror(points: torch.Tensor) -> Mirror:
    """The mirror image of numbers that belong to points (x, y, z), shape [R, 3]: those of (x, -y, z)."""
    images = points * points.new_tensor(POLAR)
    distance, index = torch.cdist(images.double(), points.double()).min(dim=1)
    if float(distance.max()) > 1.0e-4:
        raise ConfigError("algorithm.symmetry: the points of the height scan are not left-right symmetric")
    return Mirror(tuple(index.tolist()), (1.0,) * len(points))


def side_by_side(mirrors: Sequence[Mirror]) -> Mirror:
    """The mirror image of several vectors as one."""
    index: list[int] = []
    sign: list[float] = []
    for mirror in mirrors:
        start = len(index)
        index += [start + i for i in mirror.index]
        sign += mirror.sign
    return Mirror(tuple(index), tuple(sign))
