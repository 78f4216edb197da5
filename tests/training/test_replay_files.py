# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""A replay buffer on disk: what is written when, what is read, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from isaaclab_offpolicy.algorithms import ReplayBuffer
from isaaclab_offpolicy.replay import STORAGES
from isaaclab_offpolicy.training import replay_files
from isaaclab_offpolicy.training.replay_files import OVERLAP, ReplayFiles, load_replay

KIND: dict[str, Any] = {"num_envs": 4, "obs_dims": {"policy": 3, "critic": 2}, "action_dim": 2}


def make(rows: int = 20, **kind: Any) -> ReplayBuffer:
    return ReplayBuffer(rows * 4, **(KIND | kind))


def add(buffer: ReplayBuffer, steps: int) -> None:
    """Store env steps of noise, in which episodes end now and then."""

    def obs() -> dict[str, torch.Tensor]:
        return {"policy": torch.randn(4, 3), "critic": torch.randn(4, 2)}

    if buffer.written == 1:
        buffer.reset(obs())
    for _ in range(steps):
        terminated, truncated = torch.rand(2, 4) < 0.1
        buffer.add(torch.rand(4, 2), torch.randn(4), terminated, truncated, obs(), obs())


def rows_of(buffer: ReplayBuffer) -> dict[str, torch.Tensor]:
    """All that a buffer holds, oldest first; of the newest row only the observations are known."""
    columns, count = buffer.columns(), min(buffer.written, buffer.rows)
    place = torch.arange(buffer.written - count, buffer.written) % buffer.rows
    known = {name: tensor[place] for name, tensor in columns.items()}
    return {name: tensor if "." in name or name == "is_start" else tensor[:-1] for name, tensor in known.items()}


def assert_newest(restored: ReplayBuffer, rows: dict[str, torch.Tensor]) -> None:
    """Whether a buffer holds the newest of these rows, as many as fit."""
    for name, tensor in rows_of(restored).items():
        assert len(tensor) >= min(len(rows[name]), restored.rows - 1)
        assert torch.equal(tensor, rows[name][-len(tensor) :]), name


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of six rows."""
    monkeypatch.setattr(replay_files, "CHUNK", 6 * sum(tensor[0].nbytes for tensor in make().columns().values()))


@pytest.mark.parametrize("storage", STORAGES)
def test_after_every_save_the_disk_holds_what_the_buffer_holds(tmp_path: Path, storage: str, small_files: None) -> None:
    buffer, files = make(storage=storage), ReplayFiles(tmp_path, 1.0, "")
    for number, steps in enumerate((1, 1, 7, 0, 12, 3, 19, 20, 21, 75, 2, 2)):
        add(buffer, steps)
        assert files.save(buffer, tmp_path / f"model_{number}.pt")
        assert [path.name for path in tmp_path.glob("replay_*")] == [f"replay_{number}.json"]
        for rows in (5, 20, 33):
            restored = make(rows, storage=storage)
            load_replay(tmp_path / f"replay_{number}.json", restored)
            assert_newest(restored, rows_of(buffer))
            # it goes on as the one that was written
            restored.cut()
            add(restored, 1)
            assert len(restored) == 4 * min(rows, buffer._filled + 2)


def test_a_save_writes_the_rows_that_are_new_and_removes_those_that_are_old(tmp_path: Path, small_files: None) -> None:
    buffer, files = make(), ReplayFiles(tmp_path, 1.0, "")
    row = sum(tensor[0].nbytes for tensor in buffer.columns().values())

    def written() -> dict[str, tuple[int, int, int]]:
        found = {path.name: path.stat() for path in (tmp_path / "replay").iterdir()}
        return {name: (stat.st_ino, stat.st_mtime_ns, stat.st_size // row) for name, stat in found.items()}

    add(buffer, 10)
    files.save(buffer, tmp_path / "model_0.pt")
    first = written()
    assert sum(rows for *_, rows in first.values()) == 11
    add(buffer, 3)
    files.save(buffer, tmp_path / "model_1.pt")
    second = written()
    assert {name: second[name] for name in first} == first, "not touched"
    assert sum(rows for name, (*_, rows) in second.items() if name not in first) == 3 + OVERLAP
    for number in range(2, 30):
        add(buffer, 4)
        files.save(buffer, tmp_path / f"model_{number}.pt")
        assert sum(rows for *_, rows in written().values()) <= buffer.rows + 15 * OVERLAP
    assert not set(first) & set(written())


def test_rows_that_change_after_a_save_are_written_again(tmp_path: Path) -> None:
    buffer, files = make(), ReplayFiles(tmp_path, 1.0, "")
    add(buffer, 8)
    files.save(buffer, tmp_path / "model_0.pt")
    buffer.cut()  # the transitions of the newest complete row end now
    add(buffer, 4)
    files.save(buffer, tmp_path / "model_1.pt")
    restored = make()
    load_replay(tmp_path / "replay_1.json", restored)
    assert_newest(restored, rows_of(buffer))
    # and all of them, where others have taken the place of those on disk
    load_replay(tmp_path / "replay_1.json", buffer)
    files.forget()
    buffer.cut()
    add(buffer, 5)
    files.save(buffer, tmp_path / "model_2.pt")
    load_replay(tmp_path / "replay_2.json", restored)
    assert_newest(restored, rows_of(buffer))


def test_a_buffer_that_is_too_large_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    buffer, files = make(rows=10_000), ReplayFiles(tmp_path, 0.001, "agent.limit")
    add(buffer, 5)
    for number in range(2):
        assert not files.save(buffer, tmp_path / f"model_{number}.pt")
    assert not list(tmp_path.iterdir())
    output = capsys.readouterr().out
    assert output.count("\n") == 1 and "is not saved" in output and "agent.limit=0.1 saves it" in output


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"num_envs": 5}, "4 environments, not 5"),
        ({"obs_dims": {"policy": 3}}, r"'critic.values' is float32 \[4, 2\] where nothing is needed"),
        ({"obs_dims": {"policy": 4, "critic": 2}}, r"'policy.values' is float32 \[4, 3\] where float32 \[4, 4\]"),
        ({"action_dim": 3}, r"'action' is float32 \[4, 2\] where float32 \[4, 3\]"),
        ({"storage": "float16"}, r"'policy.values' is float32 \[4, 3\] where float16 \[4, 3\]"),
    ],
)
def test_a_buffer_of_another_kind_is_refused(tmp_path: Path, other: dict, message: str) -> None:
    buffer = make()
    add(buffer, 3)
    ReplayFiles(tmp_path, 1.0, "").save(buffer, tmp_path / "model_0.pt")
    with pytest.raises(ValueError, match=message):
        load_replay(tmp_path / "replay_0.json", make(**other))
    save_as_version_0_1(buffer, tmp_path / "replay_0.pt")
    with pytest.raises(ValueError, match=message):
        load_replay(tmp_path / "replay_0.pt", make(**other))


def save_as_version_0_1(buffer: ReplayBuffer, path: Path) -> None:
    count = min(buffer.written, buffer.rows)
    place = torch.arange(buffer.written - count, buffer.written) % buffer.rows
    rows = {name: tensor[place] for name, tensor in buffer.columns().items()}
    obs = {group: {"values": rows[f"{group}.values"]} for group in buffer.groups}
    columns = {name: tensor for name, tensor in rows.items() if "." not in name}
    kind = {"num_envs": 4, "storage": buffer.storage, "obs_dims": KIND["obs_dims"]}
    torch.save({**kind, "columns": columns, "obs": obs}, path)


def test_a_buffer_of_version_0_1_is_read(tmp_path: Path) -> None:
    buffer = make()
    add(buffer, 50)
    save_as_version_0_1(buffer, tmp_path / "replay_0.pt")
    for rows in (5, 20, 33):
        restored = make(rows)
        load_replay(tmp_path / "replay_0.pt", restored)
        assert_newest(restored, rows_of(buffer))


STREAM = """
import resource, sys
from pathlib import Path
import torch
from isaaclab_offpolicy.algorithms import ReplayBuffer
from isaaclab_offpolicy.training.replay_files import ReplayFiles, load_replay
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
folder, buffer = Path(sys.argv[1]), ReplayBuffer(500 * 1024, 1024, {"policy": 100}, 2)
for tensor in buffer.columns().values():
    tensor.fill_(1)
buffer.resume(500)
before = peak()
assert ReplayFiles(folder, 1.0, "").save(buffer, folder / "model_0.pt")
saved = peak()
load_replay(folder / "replay_0.json", buffer)
print(buffer.nbytes / 2**20, saved - before, peak() - before)
"""


def test_saving_and_loading_take_little_memory(tmp_path: Path) -> None:
    output = subprocess.run([sys.executable, "-c", STREAM, tmp_path], capture_output=True, text=True, check=True).stdout
    size, saving, loading = map(float, output.split())
    assert size > 200 and saving < 80 and loading < 180, "MB"
