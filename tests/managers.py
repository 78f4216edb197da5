# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Isaac Lab's own managers and terms on an environment without a simulator: only the articulation is a stand-in."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch

from isaaclab.utils.string import resolve_matching_names


class Proxy:
    """A tensor as Isaac Lab's data classes and indices give it."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self.torch = self.warp = tensor

    def __len__(self) -> int:
        return len(self.torch)


class Articulation:
    """Joints that can be found by name, with positions and limits."""

    def __init__(self, joints: dict[str, float], num_envs: int) -> None:
        self.joint_names, self.num_joints = list(joints), len(joints)
        pose = torch.tensor([list(joints.values())]).repeat(num_envs, 1)
        limits = torch.tensor([-2.0, 3.0]).repeat(num_envs, len(joints), 1)
        self.data = SimpleNamespace(
            default_joint_pos=Proxy(pose), default_joint_vel=Proxy(torch.zeros_like(pose)),
            joint_pos=Proxy(pose.clone()), soft_joint_pos_limits=Proxy(limits),
        )  # fmt: skip
        self.targets: dict[str, torch.Tensor] = {}

    def find_joints(self, names: Any, preserve_order: bool = False, as_proxy: bool = False) -> tuple[Any, list[str]]:
        index, found = resolve_matching_names(names, self.joint_names, preserve_order)
        return Proxy(torch.tensor(index)), found


def environment(joints: dict[str, float], num_envs: int = 3, **actions: Any) -> Any:
    """An environment with an action manager of these terms (configurations by name)."""
    from isaaclab.managers import ActionManager

    env: Any = SimpleNamespace(num_envs=num_envs, device="cpu", sim=SimpleNamespace(is_playing=lambda: True))
    env.scene = {"robot": Articulation(joints, num_envs)}
    env.cfg = SimpleNamespace(is_finite_horizon=False)
    if actions:
        # it looks for a flag that only a configuration class has
        env.action_manager = ActionManager(TermsCfg(**actions), env)
    return env


class TermsCfg:
    """A configuration of terms by name."""

    def __init__(self, **terms: Any) -> None:
        vars(self).update(terms)
