# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Says at the start in what a task differs from Isaac Lab's own."""

from __future__ import annotations

from typing import Any


def create_runner(env: Any, agent_cfg: Any, log_dir: str | None = None, **options: Any) -> Any:
    """As :func:`~isaaclab_offpolicy.runners.rsl_rl.create_runner`, for Isaac Lab's entry points."""
    from isaaclab_offpolicy.runners import rsl_rl
    from isaaclab_offpolicy.tasks.velocity.offpolicy import DIFFERENCES

    if type(env.unwrapped.cfg).__module__.startswith("isaaclab_offpolicy."):
        print("Differences from Isaac Lab's own task:", *DIFFERENCES, sep="\n  - ")
    return rsl_rl.create_runner(env, agent_cfg, log_dir, **options)
