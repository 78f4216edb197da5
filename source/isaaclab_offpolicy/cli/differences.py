# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Says at the start in what a task differs from Isaac Lab's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def create_runner(env: Any, agent_cfg: Any, log_dir: str | None = None, **options: Any) -> Any:
    """As :func:`~isaaclab_offpolicy.runners.rsl_rl.create_runner`, for Isaac Lab's entry points."""
    from isaaclab_offpolicy.runners import rsl_rl
    from isaaclab_offpolicy.tasks.velocity.offpolicy import DIFFERENCES

    if type(env.unwrapped.cfg).__module__.startswith("isaaclab_offpolicy."):
        print("Differences from Isaac Lab's own task:", *DIFFERENCES, sep="\n  - ")
    return rsl_rl.create_runner(env, agent_cfg, log_dir, **options)


@contextmanager
def checked_configs(entry_point: Any) -> Iterator[None]:
    """Have one of Isaac Lab's entry points refuse what an agent cannot learn before it starts the simulation.

    Args:
        entry_point: The module, which resolves the configurations of task and agent.
    """
    from isaaclab_rl.entrypoints.common import preserve_attribute

    from isaaclab_offpolicy.runners.preconditions import check_configs

    resolve = entry_point.resolve_task_config

    def resolve_task_config(*args: Any, **kwargs: Any) -> Any:
        configs = resolve(*args, **kwargs)
        check_configs(*configs)
        return configs

    with preserve_attribute(entry_point, "resolve_task_config"):
        entry_point.resolve_task_config = resolve_task_config
        yield
