# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Processes that save in a loop and are killed at random moments; started by test_kill.py."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from isaaclab_offpolicy.algorithms import ReplayBuffer
from isaaclab_offpolicy.training import replay_files
from isaaclab_offpolicy.training.atomic import write_atomically
from isaaclab_offpolicy.training.replay_files import ReplayFiles, load_replay
from isaaclab_offpolicy.training.runs import CHECKPOINTS_OF, Retention, find_replay
from isaaclab_offpolicy.training.safe_load import checkpoint_bytes, read_checkpoint_tensors

NUM_ENVS, ROWS, STEPS = 64, 100, 37
"""Environments, rows of the buffer, and env steps between two saves."""


def make() -> ReplayBuffer:
    return ReplayBuffer(ROWS * NUM_ENVS, NUM_ENVS, {"policy": 48}, 12)


def obs(step: int) -> dict[str, torch.Tensor]:
    return {"policy": torch.full((NUM_ENVS, 48), float(step))}


def save_for_ever(folder: Path, buffer: ReplayBuffer, number: int) -> None:
    """Save a checkpoint and a replay buffer whose contents tell their number."""
    files, retention = ReplayFiles(folder, 1.0, ""), Retention(3)
    no = torch.zeros(NUM_ENVS)
    while True:
        for step in range(number * STEPS, (number + 1) * STEPS):
            values = torch.full((NUM_ENVS, 12), step / 1e4), torch.full((NUM_ENVS,), float(step))
            buffer.add(*values, no, no, obs(step + 1))
        number += 1
        path = folder / f"model_{number}.pt"
        contents = {"iter": number, "actor_state_dict": {"weight": torch.full((300, 1000), float(number))}}
        assert write_atomically(checkpoint_bytes(contents), path)
        retention.wrote(path)
        assert files.save(buffer, path)


def check(folder: Path, buffer: ReplayBuffer) -> int:
    """Load the newest state; gives its number, and how it was cut off."""
    found = CHECKPOINTS_OF["rsl_rl"].numbered(folder)
    if not found:
        return 0
    number = int(found[-1].stem[6:])
    contents = read_checkpoint_tensors(found[-1])
    assert contents["iter"] == number and bool((contents["actor_state_dict"]["weight"] == number).all())
    replay = find_replay(found[-1])
    if replay is None:
        assert number == 1
        return 0
    saved = int(replay.stem[7:])
    assert number - 1 <= saved <= number, "this checkpoint's, or that of the one before"
    load_replay(replay, buffer)
    columns, count = buffer.columns(), min(saved * STEPS, ROWS) + 1
    assert buffer.written == count
    steps = torch.arange(saved * STEPS - count + 1, saved * STEPS + 1, dtype=torch.float32)
    assert torch.equal(columns["policy.values"][:count], steps.view(-1, 1, 1).expand(-1, NUM_ENVS, 48))
    assert torch.equal(columns["reward"][: count - 1], steps[:-1].view(-1, 1).expand(-1, NUM_ENVS))
    return saved


def main(folder: Path, kills: int) -> None:
    replay_files.CHUNK = 2**18  # several files for a save
    torch.set_num_threads(1)
    moments, amid, number = random.Random(0), 0, 0
    for _ in range(kills):
        buffer = make()
        buffer.reset(obs(0))
        number = check(folder, buffer)
        child = os.fork()
        if child == 0:
            save_for_ever(folder, buffer, number)
        time.sleep(moments.uniform(0.02, 0.3))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        newest = [path.name for path in folder.glob("*.tmp")]
        index = find_replay(folder / "model_999999999.pt")
        models = CHECKPOINTS_OF["rsl_rl"].numbered(folder)
        amid += bool(newest) or bool(models and (index is None or index.stem[7:] != models[-1].stem[6:]))
        for path in folder.glob("*.tmp"):
            path.unlink()
    number = check(folder, make())
    print(number, amid)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
