# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Saves an agent of SBX on a disk that fails; test_disk_of_sbx.py starts it, with failing_disk.c loaded first."""

from __future__ import annotations

import io
import json
import os
import sys
import zipfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "training"), str(HERE.parent)]

import numpy as np
from disk_probe import ALWAYS, ERRORS, calls_made, fail
from stable_baselines3.common.vec_env import DummyVecEnv
from test_checkpoint import BOUNDS, Still, small

from isaaclab_offpolicy.runners.sbx.checkpoint import read_checkpoint, write_checkpoint
from isaaclab_offpolicy.runners.sbx.models import build
from isaaclab_offpolicy.runners.sbx.training import restore_replay
from isaaclab_offpolicy.training.atomic import write_atomically
from isaaclab_offpolicy.training.replay_files import ReplayFiles
from isaaclab_offpolicy.training.runs import CHECKPOINTS_OF


def main() -> None:
    out, folder = Path(sys.argv[1]), Path(sys.argv[2])
    cfg = small("sbx", "SAC")
    env = DummyVecEnv([Still] * 2)
    model, other = build(cfg, env, "cpu"), build(cfg, env, "cpu")
    files, rng = ReplayFiles(folder, 1.0, ""), np.random.default_rng(0)
    held: dict[int, np.ndarray] = {}
    number = tried = 0

    def save(first: int, last: int, error: int = 0) -> str:
        """A save with what is new since the last one; gives the kinds of its system calls."""
        nonlocal number
        buffer: Any = model.replay_buffer
        obs, nxt = rng.normal(size=(2, 2, 3)).astype(np.float32)
        buffer.add_step(
            obs, nxt, rng.normal(size=(2, 2)), rng.normal(size=2), np.zeros(2), np.zeros(2), np.zeros(0, int), None
        )
        number += 1
        held[number] = obs
        model.num_timesteps = number
        contents = io.BytesIO()
        with zipfile.ZipFile(contents, "w") as archive:
            write_checkpoint(archive, model, cfg, BOUNDS, None)
        path = folder / f"model_{number}.zip"
        fail(folder, first, last, error)
        if write_atomically(contents.getvalue(), path):
            files.save(buffer, path)
        made = calls_made()
        fail(folder, ALWAYS, ALWAYS)
        return made

    def newest() -> tuple[int, int]:
        """Numbers of the newest checkpoint and of its replay buffer, both of which can be read."""
        path = CHECKPOINTS_OF["sbx"].numbered(folder)[-1]
        checkpoint = read_checkpoint(cfg, path)
        assert checkpoint.counters["num_timesteps"] == int(path.stem[6:])
        restore_replay(other, cfg, path)
        buffer: Any = other.replay_buffer
        # the newest row is that of some save, and marks the cut
        last = buffer.observations[buffer.pos - 1]
        stored = next(count for count, obs in held.items() if np.array_equal(obs, last))
        return int(path.stem[6:]), stored

    save(ALWAYS, ALWAYS)
    for error in ERRORS:
        calls = save(ALWAYS, ALWAYS)
        for first in range(len(calls)):
            for last in (first + 1, ALWAYS):
                before = newest()
                save(first, last, error)
                checkpoint, stored = newest()
                assert checkpoint in (number, before[0]) and before[1] <= stored <= checkpoint
                tried += 1
        save(ALWAYS, ALWAYS)
        assert newest() == (number, number), "the disk is there again"
    out.write_text(json.dumps({"tried": tried, "calls": calls}))


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)
