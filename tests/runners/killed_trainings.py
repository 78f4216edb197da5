# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Kills a training at random moments and resumes it from its newest checkpoint, again and again: FOLDER KILLS.

Every training is a fork of this process, so that none of them imports anything, and writes what it does to a pipe.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from isaaclab.utils import to_dict
from isaaclab_rl.rsl_rl import handle_deprecated_rsl_rl_cfg

from environments import GoesOnEnv
from isaaclab_offpolicy.algorithms.rsl_rl_cfg import SacRunnerCfg
from isaaclab_offpolicy.runners.rsl_rl import Runner
from isaaclab_offpolicy.runners.simulation import collect_garbage_rarely


def number(path: Path) -> int:
    return int(path.stem.removeprefix("model_"))


def train(folder: Path, attempt: int, pipe: int, iterations: int) -> None:
    """Train on from the newest checkpoint of the newest run that has one, and tell each checkpoint that was written."""
    cfg = SacRunnerCfg(experiment_name="killed", device="cpu", num_steps_per_env=5, save_interval=1)
    cfg.actor.hidden_dims = cfg.critic.hidden_dims = [16, 16]
    cfg.algorithm.action_bounds, cfg.algorithm.backend, cfg.algorithm.buffer_size = 2.0, "eager", 2000
    cfg.algorithm.learning_starts, cfg.algorithm.batch_size, cfg.algorithm.noise_hold = 100, 16, 3
    cfg.algorithm.save_replay_buffer, cfg.algorithm.n_steps = True, 3
    torch.manual_seed(attempt)
    options = to_dict(handle_deprecated_rsl_rl_cfg(cfg, "5.5.1"))
    runner = Runner(GoesOnEnv(8), options, str(folder / f"run_{attempt:02}"), "cpu")
    found = max(folder.glob("run_*/model_*.pt"), key=number, default=None)
    if found is not None:
        runner.load(str(found))
        assert runner.alg.num_timesteps == (number(found) + 1) * 5 * 8
        assert len(runner.alg.storage) > 0, "an older replay buffer at worst"
        os.write(pipe, f"resumed {number(found)}\n".encode())
    save = runner.save

    def save_and_tell(path: str, infos: dict | None = None) -> None:
        save(path, infos)
        os.write(pipe, f"saved {number(Path(path))}\n".encode())

    runner.save = save_and_tell
    runner.learn(iterations)


def main() -> None:
    collect_garbage_rarely()
    folder, kills = Path(sys.argv[1]), int(sys.argv[2])
    moments, saved = random.Random(0), -1
    for attempt in range(kills + 1):
        reader, writer = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(reader)
            try:
                train(folder, attempt, writer, 3 if attempt == kills else 10_000)
                os._exit(0)
            except BaseException:
                sys.excepthook(*sys.exc_info())
                os._exit(1)
        os.close(writer)
        checkpoints, left = 0, moments.randint(1, 4)
        with os.fdopen(reader) as lines:
            for line in lines:
                what, n = line.split()
                if what == "resumed":
                    # one may have been written whole that was not told of any more
                    assert int(n) >= saved, f"resumed from {n} where {saved} had been written"
                    print(f"resumed from {n}", flush=True)
                else:
                    saved, checkpoints = int(n), checkpoints + 1
                if checkpoints == left and attempt < kills:
                    time.sleep(moments.random() * 0.03)  # amid steps, gradient steps or a file
                    os.kill(process, signal.SIGKILL)
                    break
        _, status = os.waitpid(process, 0)
        if attempt < kills:
            assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, status
        else:
            assert status == 0, status
            assert checkpoints >= 3
    print("RESULT", saved)


if __name__ == "__main__":
    main()
