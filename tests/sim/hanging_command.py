# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""The command ``isaaclab-offpolicy``, whose 100th env step hangs in C as long as there is no second run."""

import ctypes
import os
import sys
from pathlib import Path

from isaaclab_offpolicy.cli.main import main


def hang() -> None:
    libc, mutex = ctypes.PyDLL(None), ctypes.create_string_buffer(128)
    libc.pthread_mutex_lock(mutex)
    libc.pthread_mutex_lock(mutex)


if "ISAACLAB_OFFPOLICY_WATCHED" in os.environ:
    import gymnasium

    make = gymnasium.make

    def make_hanging(*args, **kwargs):
        env = make(*args, **kwargs)
        step, steps = env.unwrapped.step, []

        def hanging(action):
            steps.append(1)
            if len(steps) == 100 and len(list(Path("logs").glob("*/*/2*"))) == 1:
                hang()
            return step(action)

        env.unwrapped.step = hanging
        return env

    gymnasium.make = make_hanging

sys.exit(main())
