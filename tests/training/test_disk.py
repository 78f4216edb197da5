# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""A disk that is full, broken or read-only: no training ends, and what was written is not lost."""

from __future__ import annotations

import csv
import errno
import json
import os
import re
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from isaaclab_offpolicy.training.atomic import write_atomically
from isaaclab_offpolicy.training.progress import ProgressTable, Unfailing

HERE = Path(__file__).parent
ERRORS = [errno.errorcode[number] for number in (errno.ENOSPC, errno.EIO, errno.EROFS)]


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What disk_probe.py found, whose output goes to a file on the disk that fails."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    folder = tmp_path_factory.mktemp("disk")
    shim, result, work = folder / "failing_disk.so", folder / "result.json", folder / "work"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", shim, HERE / "failing_disk.c", "-ldl"], check=True)
    work.mkdir()
    env = {**os.environ, "LD_PRELOAD": str(shim)}
    with (work / "output.txt").open("w") as output:
        probe = [sys.executable, HERE / "disk_probe.py", result, work]
        done = subprocess.run(probe, env=env, stdout=output, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(result.read_text()) | {"stderr": done.stderr}


def test_a_whole_state_is_there_whichever_write_fails(probed: dict[str, Any]) -> None:
    assert probed["tried"] > 3 * 2 * 15
    # each file is written, reaches the disk, and is renamed, which reaches the disk as well; then old ones go
    checkpoint = index = "ow+srs"
    assert re.fullmatch(f"{checkpoint}m(ow+s)+s{index}u+", probed["calls"]), probed["calls"]
    assert "the last checkpoint is" in probed["stderr"]
    for number in (errno.ENOSPC, errno.EIO, errno.EROFS):
        assert f"could not be written: {os.strerror(number)}" in probed["stderr"]


@pytest.mark.parametrize("error", ERRORS)
def test_a_training_goes_on_while_nothing_can_be_written(probed: dict[str, Any], error: str) -> None:
    result = probed[f"{error} for a while"]
    assert result["message"] is None and result["iterations"] == 8
    assert result["checkpoint"] == "model_7.pt" and "model_4.pt" not in result["names"]
    rows = list(csv.DictReader(result["rows"]))
    assert [row["iteration"] for row in rows] == list("01234567"), "also those that could not be written then"
    assert not any(name.endswith(".tmp") for name in result["names"])


@pytest.mark.parametrize("error", ERRORS)
def test_a_training_whose_last_checkpoint_is_missing_says_so(probed: dict[str, Any], error: str) -> None:
    result = probed[f"{error} from then on"]
    assert result["iterations"] == 8 and result["checkpoint"] == "model_2.pt"
    assert "the last checkpoint could not be written; the one before it is" in result["message"]
    assert "model_2.pt" in result["message"]
    assert len(result["rows"]) >= 4, "a table that was whole stays so"


def test_a_run_whose_folder_cannot_be_written_ends_with_one_line(probed: dict[str, Any]) -> None:
    result = probed["nothing can be written"]
    assert result["iterations"] == 8 and result["names"] == []
    assert result["message"].endswith("could not be written; the one before it is None")


def test_free_space_is_looked_at_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model_1.pt"
    path.write_bytes(b"before")
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9 - 10**6, 10**6))
    assert not write_atomically(bytes(10**6 + 1), path, "model_0.pt")
    assert "1.0 MB are needed and 1.0 MB are free; the last checkpoint is model_0.pt" in capsys.readouterr().err
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"before"]
    assert write_atomically(bytes(10**6), path)


def test_a_table_is_mended_after_a_write_that_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = ProgressTable(tmp_path / "progress.csv")
    table.append({"a": 1})
    before = table.path.read_bytes()
    table.path.unlink()
    table.path.mkdir()  # in its way
    table.append({"a": 2})
    assert capsys.readouterr().err.count("[WARNING]") == 1
    table.path.rmdir()
    table.path.write_bytes(before + b"half a r")
    table.append({"a": 3, "b": 4})
    table.append({"a": 5, "b": 6})
    with table.path.open() as file:
        assert [row["a"] for row in csv.DictReader(file)] == ["1", "2", "3", "5"]


def test_a_writer_that_fails_is_told_of_once(capsys: pytest.CaptureFixture[str]) -> None:
    class Full:
        name = "full"

        def write(self, text: str) -> int:
            if len(text) > 3:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return len(text)

    writer = Unfailing(Full(), "the table")
    assert [writer.write(text) for text in ("four", "abc", "fives")] == [None, 3, None] and writer.name == "full"
    assert capsys.readouterr().err == f"[WARNING] the table could not be written: {os.strerror(errno.ENOSPC)}\n"
    assert Unfailing(None, "nothing").add_scalar("a", 1) is None
