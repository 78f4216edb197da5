# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""What the algorithms ask of the environment."""

from __future__ import annotations

from rsl_rl.env import VecEnv


def action_joint_names(env: VecEnv) -> list[str]:
    """Names of the joints that the actions command, in the order of the actions.

    Isaac Lab's joint action terms say which joints they command. Actions of other terms are named ``term[i]``; those of
    an environment without an action manager ``action[i]``, unless it has an ``action_joint_names`` of its own.

    Args:
        env: The environment, as rsl_rl's runner sees it.
    """
    unwrapped = getattr(env, "unwrapped", env)
    names = getattr(unwrapped, "action_joint_names", None)
    if names is not None:
        return list(names)
    manager = getattr(unwrapped, "action_manager", None)
    if manager is None:
        return [f"action[{i}]" for i in range(env.num_actions)]
    joints: list[str] = []
    for name in manager.active_terms:
        term = manager.get_term(name)
        described = getattr(term.IO_descriptor, "joint_names", None)
        if described is not None and len(described) == term.action_dim:
            joints += described
        else:
            joints += [f"{name}[{i}]" for i in range(term.action_dim)]
    return joints
