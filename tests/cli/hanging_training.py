# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""A training without a simulator whose env steps hang in C, at a random one in the first starts, watched and restarted.

Usage: hanging_training.py CONFIGURATION ITERATIONS RESTARTS HANGING_STARTS [options of restarts].
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "training")]

from isaaclab_offpolicy.cli.restarts import with_restarts
from isaaclab_offpolicy.options import duration
from isaaclab_offpolicy.training.watchdog import PULSE, watched


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("cfg")
    for name in ("max_iterations", "restarts", "hanging"):
        parser.add_argument(name, type=int)
    parser.add_argument("--restarted_from")
    parser.add_argument("--max_time", type=duration)
    parser.add_argument("--max_iterations", type=int)
    args = parser.parse_args()
    if not PULSE.attach():
        return with_restarts(lambda options: watched([sys.executable, *sys.orig_argv[1:], *options]), args.restarts)

    from worker import hang

    from environments import LinearQuadraticEnv
    from isaaclab_offpolicy.runners.rsl_rl import Runner

    start = len(list(Path().glob("run*")))
    hangs_at = random.Random(start).randint(60, 90) if start < args.hanging else None

    class Hangs(LinearQuadraticEnv):
        steps = 0

        def step(self, actions):
            self.steps += 1
            if self.steps == hangs_at:
                hang()
            return super().step(actions)

    cfg = json.loads(Path(args.cfg).read_text())
    runner = Runner(Hangs(32), cfg, f"run{start}", "cpu", args.max_time, step_limit=4.0)
    if args.restarted_from is not None:
        runner.load(args.restarted_from)
    runner.learn(args.max_iterations)
    return 0


if __name__ == "__main__":
    sys.exit(main())
