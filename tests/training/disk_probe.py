# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Trains on a disk that fails; started by test_disk.py with failing_disk.c loaded before all else."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch

from environments import LinearQuadraticEnv
from isaaclab_offpolicy.algorithms import ReplayBuffer
from isaaclab_offpolicy.errors import TrainingError
from isaaclab_offpolicy.runners.rsl_rl import Runner
from isaaclab_offpolicy.training.replay_files import load_replay
from isaaclab_offpolicy.training.runs import CHECKPOINTS_OF, find_replay
from isaaclab_offpolicy.training.safe_load import read_checkpoint_tensors

ERRORS = (errno.ENOSPC, errno.EIO, errno.EROFS)
ALWAYS = 10**9


def fail(folder: Path, first: int, last: int, error: int = 0) -> None:
    """Let the calls with these numbers fail."""
    ctypes.CDLL(None).failing_disk(str(folder).encode(), ctypes.c_long(first), ctypes.c_long(last), error)


def calls_made() -> str:
    """Kinds of the system calls that were made since."""
    trace = ctypes.CDLL(None).failing_disk_calls
    trace.restype = ctypes.c_char_p
    return trace().decode()


def rows_of(buffer: ReplayBuffer) -> dict[str, torch.Tensor]:
    count = min(buffer.written, buffer.rows)
    place = torch.arange(buffer.written - count, buffer.written) % buffer.rows
    return {name: tensor[place] for name, tensor in buffer.columns().items()}


def newest(folder: Path) -> tuple[Path, Path, dict[str, torch.Tensor]]:
    """The newest checkpoint, which can be read, its replay buffer, and what that holds."""
    checkpoint = CHECKPOINTS_OF["rsl_rl"].numbered(folder)[-1]
    assert read_checkpoint_tensors(checkpoint)["iter"] == int(checkpoint.stem[6:])
    replay, buffer = find_replay(checkpoint), ReplayBuffer(300 * 32, 32, {"policy": 2}, 1)
    assert replay is not None
    load_replay(replay, buffer)
    return checkpoint, replay, rows_of(buffer)


def every_write(cfg: Callable[[], dict], folder: Path) -> dict[str, Any]:
    """Let every system call of a save fail, one after the other, and all that follow; gives their number and kinds."""
    env = LinearQuadraticEnv(32)
    runner = Runner(env, cfg(), str(folder))
    runner.learn(1)
    obs, number, tried, calls = env.get_observations(), runner.current_learning_iteration, 0, ""
    held: dict[int, dict[str, torch.Tensor]] = {}

    def save(first: int, last: int, error: int = 0) -> str:
        """A save with what is new since the last one; gives the kinds of its system calls."""
        nonlocal obs, number
        for _ in range(3):
            obs, rewards, dones, extras = env.step(runner.alg.act(obs))
            runner.alg.process_env_step(obs, rewards, dones, extras)
        number += 1
        held[number] = {name: tensor.clone() for name, tensor in rows_of(runner.alg.storage).items()}
        runner.current_learning_iteration = number
        fail(folder, first, last, error)
        runner.save(str(folder / f"model_{number}.pt"))
        made = calls_made()
        fail(folder, ALWAYS, ALWAYS)
        return made

    for error in ERRORS:
        calls = save(ALWAYS, ALWAYS)
        for first in range(len(calls)):
            for last in (first + 1, ALWAYS):
                before = newest(folder)
                save(first, last, error)
                checkpoint, replay, rows = newest(folder)
                stored = int(replay.stem[7:])
                assert int(checkpoint.stem[6:]) in (number, int(before[0].stem[6:]))
                assert stored <= int(checkpoint.stem[6:]) and stored >= int(before[1].stem[7:])
                assert all(torch.equal(rows[name], tensor) for name, tensor in held[stored].items())
                tried += 1
        save(ALWAYS, ALWAYS)
        assert newest(folder)[1].stem == f"replay_{number}", "the disk is there again"
    return {"tried": tried, "calls": calls}


class Env(LinearQuadraticEnv):
    """An environment whose steps break and mend the disk."""

    def __init__(self, folder: Path, error: int, broken: range) -> None:
        super().__init__(32)
        self.folder, self.error, self.broken, self.steps = folder, error, broken, 0

    def step(self, actions: torch.Tensor) -> Any:
        if self.steps == self.broken.start:
            fail(self.folder.parent, 0, ALWAYS, self.error)  # with the file that holds the output
        if self.steps == self.broken.stop:
            fail(self.folder, ALWAYS, ALWAYS)
        self.steps += 1
        return super().step(actions)


def train(cfg: Callable[[], dict], folder: Path, error: int, broken: range) -> dict[str, Any]:
    """Eight iterations of ten env steps."""
    folder.mkdir()
    if broken.start < 0:  # before anything was written
        fail(folder, 0, ALWAYS, error)
    runner = Runner(Env(folder, error, broken), cfg(), str(folder))
    message = None
    try:
        runner.learn(8)
    except TrainingError as stopped:
        message = str(stopped)
    fail(folder, ALWAYS, ALWAYS)
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    checkpoint = newest(folder)[0].name if any("model_" in name for name in names) else None
    table = folder / "progress.csv"
    rows = table.read_text().splitlines() if table.is_file() else []
    return {"iterations": runner.current_learning_iteration + 1, "message": message, "checkpoint": checkpoint,
            "names": names, "rows": rows}  # fmt: skip


def main() -> None:
    from isaaclab.utils import to_dict
    from isaaclab_rl.rsl_rl import handle_deprecated_rsl_rl_cfg

    from isaaclab_offpolicy.algorithms.rsl_rl_cfg import SacRunnerCfg

    def cfg() -> dict:
        result = SacRunnerCfg(experiment_name="test", device="cpu", num_steps_per_env=10, save_interval=2)
        result.actor.hidden_dims = result.critic.hidden_dims = [8]
        result.algorithm.action_bounds, result.algorithm.buffer_size = 2.0, 300 * 32
        result.algorithm.backend, result.algorithm.learning_starts = "eager", 10**6
        plain = to_dict(handle_deprecated_rsl_rl_cfg(result, "5.5.1"))
        return plain | {"multi_gpu": None}

    out, work = Path(sys.argv[1]), Path(sys.argv[2])
    results: dict[str, Any] = every_write(cfg, work / "every")
    for error in ERRORS:
        name = errno.errorcode[error]
        results[f"{name} for a while"] = train(cfg, work / f"while{error}", error, range(25, 65))
        results[f"{name} from then on"] = train(cfg, work / f"then{error}", error, range(45, 10**6))
    results["nothing can be written"] = train(cfg, work / "never", errno.EROFS, range(-1, 10**6))
    out.write_text(json.dumps(results))


if __name__ == "__main__":
    (Path(sys.argv[2]) / "every").mkdir()
    main()
    sys.stdout.flush()
    os._exit(0)  # TensorBoard's threads that failed are no matter
