# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Builds broken and hostile files, and reads each of them; started by test_hostile_files.py."""

from __future__ import annotations

import base64
import collections
import contextlib
import hashlib
import io
import itertools
import json
import os
import pickle
import resource
import shutil
import signal
import sys
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import torch
import yaml

from environments import LinearQuadraticEnv, ppo_cfg
from isaaclab_offpolicy.action_bounds import ActionBounds
from isaaclab_offpolicy.action_bounds.files import find_bounds
from isaaclab_offpolicy.algorithms import ReplayBuffer
from isaaclab_offpolicy.cli.checkpoints import find_policy, manifest
from isaaclab_offpolicy.errors import UserError
from isaaclab_offpolicy.runners.rsl_rl import Runner
from isaaclab_offpolicy.training.replay_files import ReplayFiles, load_replay
from isaaclab_offpolicy.training.safe_load import checkpoint_bytes, read_checkpoint_tensors

TASK = "Isaac-Velocity-Flat-Unitree-A1-v0"
Case = tuple[str, str, Callable[[Path], Any]]
"""A name, who reads the file, and what writes it, given the file's path."""


class Evil:
    """Runs a command when it is unpickled."""

    canary = ""

    def __reduce__(self) -> Any:
        return os.system, (f"touch '{self.canary}'",)


class Storage:
    def __init__(self, numbers: int, key: str = "0") -> None:
        self.numbers, self.key = numbers, key


class View:
    """A tensor as a file of torch describes it, of any size."""

    def __init__(self, numbers: int, shape: tuple[int, ...], stride: tuple[int, ...]) -> None:
        self.args = Storage(numbers), 0, shape, stride, False, collections.OrderedDict()

    def __reduce__(self) -> Any:
        return torch._utils._rebuild_tensor_v2, self.args


class Pickler(pickle.Pickler):
    def persistent_id(self, value: Any) -> Any:
        if isinstance(value, Storage):
            return "storage", torch.FloatStorage, value.key, "cpu", value.numbers
        return None


def pickled(value: Any) -> bytes:
    buffer = io.BytesIO()
    Pickler(buffer, 2).dump(value)
    return buffer.getvalue()


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_zip(path: Path, contents: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in contents.items():
            archive.writestr(name, data)


def torch_file(path: Path, program: bytes, data: bytes = bytes(16), compression: int = zipfile.ZIP_STORED) -> None:
    """A file of torch with this pickle."""
    parts = {"data.pkl": program, "byteorder": b"little", "data/0": data, "version": b"3\n"}
    write_zip(path, {f"archive/{name}": part for name, part in parts.items()}, compression)


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


def general(kind: str, good: Path) -> Iterator[Case]:
    """What can happen to any file."""
    data = good.read_bytes()
    for number in range(6):
        at = len(data) * (2 * number + 1) // 12
        if kind != "pt":  # where its padding is, says the next function
            yield f"bit flip {number}", kind, lambda path, at=at: path.write_bytes(flipped(data, at))
    for size in (0, 1, 30, len(data) // 2, len(data) - 1):
        yield f"cut to {size}", kind, lambda path, size=size: path.write_bytes(data[:size])
    yield "text", kind, lambda path: path.write_text("this is no such file\n" * 100)
    yield "zeros", kind, lambda path: path.write_bytes(bytes(5000))
    yield "a folder", kind, lambda path: path.mkdir()
    yield "a link to itself", kind, lambda path: path.symlink_to(path)
    yield "a link to nothing", kind, lambda path: path.symlink_to("nothing")
    yield "a hundred gigabytes of nothing", kind, lambda path: (path.touch(), os.truncate(path, 10**11))
    yield "a pickle", kind, lambda path: path.write_bytes(pickle.dumps(Evil()))


def of_rsl_rl(good: Path) -> Iterator[Case]:
    """Checkpoints of rsl_rl's runner."""
    contents, parts = torch.load(good, weights_only=True), members(good)
    with zipfile.ZipFile(good) as archive:
        offsets = {info.filename: info.header_offset for info in archive.infolist()}
    data, names = good.read_bytes(), list(parts)
    tensors = sorted((name for name in names if "/data/" in name), key=lambda name: -len(parts[name]))

    def saved(**changes: Any) -> Callable[[Path], Any]:
        kept = {key: value for key, value in contents.items() if key not in ("format", "sha256")}
        return lambda path: path.write_bytes(checkpoint_bytes({**kept, **changes}))

    def raw(value: Any) -> Callable[[Path], Any]:
        return lambda path: torch.save(value, path)

    renamed = parts[names[0]].replace(b"actor_state_dict", b"actor_state_dicu")
    yield "change of a name", "pt", lambda path: write_zip(path, {**parts, names[0]: renamed})
    for name in tensors[:4]:
        at = data.index(parts[name], offsets[name]) + len(parts[name]) // 2
        yield f"bit flip in {name}", "pt", lambda path, at=at: path.write_bytes(flipped(data, at))
        changed = flipped(parts[name], len(parts[name]) // 2)
        yield f"change of {name}", "pt", lambda path, c=changed, name=name: write_zip(path, {**parts, name: c})
    pairs = itertools.combinations(tensors, 2)
    same = next(pair for pair in pairs if len({*map(len, map(parts.get, pair))}) == 1 < len({*map(parts.get, pair)}))
    swapped = {**parts, same[0]: parts[same[1]], same[1]: parts[same[0]]}
    yield "swapped tensors", "pt", lambda path: write_zip(path, swapped)
    yield "swapped networks", "pt", raw(
        {**contents, "critic_state_dict": contents["critic_target_state_dict"],
         "critic_target_state_dict": contents["critic_state_dict"]}
    )  # fmt: skip
    yield "a counter that was changed", "pt", raw({**contents, "iter": 7})
    yield "no checksum", "pt", raw({key: value for key, value in contents.items() if key != "sha256"})
    yield "no format", "pt", raw({key: value for key, value in contents.items() if key != "format"})
    yield "a newer format", "pt", raw({**contents, "format": 99})
    yield "a format that is none", "pt", raw({**contents, "format": [2]})
    for what, value in (("list", [1]), ("none", None), ("number", 3), ("tensor", torch.zeros(3))):
        yield f"a {what} in place of a dictionary", "pt", raw(value)
        yield f"a {what} in place of weights", "pt", saved(actor_state_dict=value)
        yield f"a {what} in place of bounds", "pt", saved(action_bounds=value)
    for key in ("iter", "num_timesteps", "num_updates", "env_steps"):
        yield f"{key} is text", "pt", saved(**{key: "many"})
    yield "iter is negative", "pt", saved(iter=-1)
    yield "no counters", "pt", raw({"actor_state_dict": {}})
    broken = {**contents["actor_state_dict"], "mlp.0.weight": torch.full((8, 2), float("nan"))}
    yield "weights that are not finite", "pt", raw({"actor_state_dict": broken, "iter": 1, "infos": None})
    smaller = {**contents["actor_state_dict"], "mlp.0.weight": torch.zeros(4, 2)}
    yield "another network", "pt", saved(actor_state_dict=smaller)
    yield "another name", "pt", saved(actor_state_dict={"other": torch.zeros(1)})
    yield "keys that are numbers", "pt", saved(actor_state_dict={1: torch.zeros(1)})
    robot = ActionBounds(("wheel",), (-1.0,), (1.0,), "test").to_dict()
    yield "another robot", "pt", saved(action_bounds=robot)
    yield "bounds that are not finite", "pt", saved(action_bounds={**robot, "joints": {"cart": [float("nan"), 1.0]}})
    yield "another algorithm's", "pt", lambda path: shutil.copy(good.parents[1] / "ppo" / "model_0.pt", path)
    yield "one of SAC for PPO", "ppo", lambda path: shutil.copy(good, path)
    yield "PPO's weights that are not finite", "ppo", raw({"actor_state_dict": broken, "iter": 1, "infos": None})
    yield "PPO's that would run a command", "ppo", raw({"actor_state_dict": {}, "iter": 0, "infos": Evil()})
    # what would be run, or would take the machine
    yield "a command", "pt", raw({**contents, "infos": Evil()})
    yield "a command in torch's file", "pt", lambda path: torch_file(path, pickle.dumps(Evil(), 2))
    program = b"cbuiltins\nexec\n(Vimport os; os.system('touch " + Evil.canary.encode() + b"')\ntR."
    yield "a command as a program", "pt", lambda path, program=program: torch_file(path, program)
    old: dict[str, Any] = {"_use_new_zipfile_serialization": False}
    yield "torch's old format", "pt", lambda path: torch.save(contents, path, **old)
    yield "a pickle in torch's old format", "pt", lambda path: torch.save({"infos": Evil()}, path, **old)
    yield "an exported policy", "pt", lambda path: torch.jit.script(torch.nn.Linear(2, 1)).save(str(path))
    views = {
        "a huge storage": View(10**11, (4,), (1,)), "a huge tensor": View(10**11, (10**11,), (1,)),
        "a tensor larger than its storage": View(4, (10**9,), (1,)),
        "a tensor out of nothing": View(4, (10**12,), (0,)),
        "a storage larger than its bytes": View(10**6, (10**6,), (1,)),
        "a negative size": View(4, (-5,), (1,)), "an overflow": View(4, (2**62, 8), (8, 1)),
    }  # fmt: skip
    for what, view in views.items():
        program = pickled({"actor_state_dict": {"mlp.0.weight": view}, "iter": 0, "infos": None})
        yield what, "pt", lambda path, program=program: torch_file(path, program)
    many: Any = 1
    for _ in range(40):
        many = [many] * 10
    yield "lists within lists", "pt", lambda path: torch_file(path, pickled({"infos": many}))
    circle: list[Any] = []
    circle.append(circle)
    yield "a list that holds itself", "pt", lambda path: torch_file(path, pickled({"infos": circle}))
    yield "a long text", "pt", lambda path: torch_file(path, b"\x80\x02X\xff\xff\xff\x7fabc.")
    yield "a long number", "pt", lambda path: torch_file(path, b"\x80\x02\x8b\xff\xff\xff\x7fabc.")
    yield "room for many entries", "pt", lambda path: torch_file(path, b"Nr\xff\xff\xff\x7f0N.")
    yield "deep tuples", "pt", lambda path: torch_file(path, b"\x80\x02N" + b"\x85" * 10**6 + b".")
    bomb = pickled({"actor_state_dict": {"w": View(10**9, (10**9,), (1,))}, "iter": 0, "infos": None})

    def compressed(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.writestr("archive/data.pkl", bomb)
            with archive.open("archive/data/0", "w", force_zip64=True) as file:
                for _ in range(250):
                    file.write(bytes(10**7))

    yield "a zip bomb", "pt", compressed

    def twice(path: Path) -> None:
        write_zip(path, parts)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(tensors[0], bytes(len(parts[tensors[0]])))

    yield "a member twice", "pt", twice
    yield (
        "members with paths that escape",
        "pt",
        lambda path: write_zip(path, {f"../../{name}": part for name, part in parts.items()}),
    )
    yield "no pickle", "pt", lambda path: write_zip(path, {name: parts[name] for name in tensors})
    yield "no tensors", "pt", lambda path: write_zip(path, {names[0]: parts[names[0]]})


def of_replay(good: Path) -> Iterator[Case]:
    """Replay buffers: ``replay_1.json``, and files of rows beside it."""
    contents = json.loads(good.read_text())
    folder = good.parent / "replay"

    def sealed(path: Path, **changes: Any) -> None:
        shutil.copytree(folder, path.parent / "replay")
        changed = {key: value for key, value in {**contents, **changes}.items() if key != "sha256"}
        digest = hashlib.sha256(json.dumps(changed, sort_keys=True).encode()).hexdigest()
        path.write_text(json.dumps({**changed, "sha256": digest}))

    (chunk,) = contents["chunks"]
    others: dict[str, dict[str, Any]] = {
        "of a newer format": {"format": 99}, "of a format that is none": {"format": "2"},
        "of a million rows": {"end": 10**6}, "of more rows": {"end": contents["end"] + 1},
        "of fewer rows": {"end": contents["end"] - 5}, "of no rows": {"end": 0}, "of negative rows": {"first": -10**9},
        "of half a row": {"end": contents["end"] - 0.5}, "of rows that are text": {"end": "7"},
        "of no files": {"chunks": []}, "of files that are none": {"chunks": [1, 2]},
        "of a file that is text": {"chunks": "abc"},
        "of a path that escapes": {"chunks": [["../../../etc/passwd", *chunk[1:]]]},
        "of a file elsewhere": {"chunks": [["x/../../../../../../dev/zero", *chunk[1:]]]},
        "of a file that is not there": {"chunks": [[77, *chunk[1:]]]},
        "of a huge file": {"chunks": [[chunk[0], 0, 10**12, chunk[3]]], "end": 10**12},
        "of one file many times": {"chunks": [[chunk[0], i, chunk[2], chunk[3]] for i in range(5000)]},
        "of a gap": {"chunks": [[chunk[0], 0, 3, chunk[3]], [chunk[0], 9, chunk[2], chunk[3]]]},
        "of another checksum": {"chunks": [[*chunk[:3], "0" * 64]]}, "of columns that are none": {"columns": {}},
        "of columns without shapes": {"columns": [["action"]]},
        "of another robot": {"columns": [["action", "float32", [32, 7]]]},
        "of other environments": {"columns": [["action", "float32", [10**9, 1]]]}, "of no columns": {"columns": []},
    }  # fmt: skip
    for name, changes in others.items():
        yield f"a replay buffer {name}", "replay", lambda path, changes=changes: sealed(path, **changes)
    rows = (folder / f"rows_{chunk[0]}.bin").read_bytes()

    def with_rows(write: Callable[[Path], Any]) -> Callable[[Path], None]:
        def make(path: Path) -> None:
            sealed(path)
            file = path.parent / "replay" / f"rows_{chunk[0]}.bin"
            file.unlink()
            write(file)

        return make

    yield "rows with a bit flip", "replay", with_rows(lambda file: file.write_bytes(flipped(rows, len(rows) // 2)))
    yield "rows cut short", "replay", with_rows(lambda file: file.write_bytes(rows[:-1]))
    yield "rows that are a folder", "replay", with_rows(lambda file: file.mkdir())
    yield "rows that are a link to themselves", "replay", with_rows(lambda file: file.symlink_to(file))
    yield "rows that are endless", "replay", with_rows(lambda file: file.symlink_to("/dev/zero"))
    yield "rows of a pipe", "replay", with_rows(os.mkfifo)
    yield "rows that are swapped", "replay", with_rows(lambda file: file.write_bytes(rows[len(rows) // 2 :] * 2))
    yield "JSON within JSON", "replay", lambda path: path.write_text("[" * 10**6)
    yield "a long number in JSON", "replay", lambda path: path.write_text(f'{{"format": {"9" * 10**5}}}')
    for name, value in (("command", Evil()), ("list", [1]), ("dictionary", {"columns": 1, "obs": 2})):
        yield (
            f"a {name} as of version 0.1",
            "replay",
            lambda path, value=value: torch.save(value, path.with_suffix(".pt")),
        )
    huge = pickled({"columns": {"action": View(4, (10**12, 32, 1), (0, 0, 0))}, "obs": {}})
    yield "huge rows as of version 0.1", "replay", lambda path: torch_file(path.with_suffix(".pt"), huge)


def of_sbx(good: Path, kind: str) -> Iterator[Case]:
    """Checkpoints of SBX and Stable-Baselines3."""
    parts = members(good)
    states = next(name for name in parts if name.startswith(("states", "policy")))

    def put(name: str, data: bytes) -> Callable[[Path], None]:
        return lambda path: write_zip(path, {**parts, name: data})

    def arrays(**values: Any) -> bytes:
        buffer = io.BytesIO()
        np.savez(buffer, **values)
        return buffer.getvalue()

    def evil(value: Any) -> bytes:
        buffer = io.BytesIO()
        torch.save(value, buffer)
        return buffer.getvalue()

    agent = json.loads(parts["agent.json"])
    for what, changes in {
        "a newer format": {"format": 99}, "no checksum": {"sha256": None}, "another checksum": {"sha256": "0" * 64},
        "another algorithm": {"algorithm": "TQC"}, "counters that are text": {"counters": {"num_timesteps": "x"}},
        "counters that were changed": {"counters": {"num_timesteps": 3}}, "other options": {"options": {"library": 1}},
        "a format that is none": {"format": "3"}, "no options": {"options": None},
    }.items():  # fmt: skip
        yield f"{kind}: {what}", kind, put("agent.json", json.dumps({**agent, **changes}).encode())
    yield f"{kind}: JSON within JSON", kind, put("agent.json", b"[" * 10**6)
    yield f"{kind}: a large agent", kind, put("agent.json", b" " * 2_000_000)
    yield f"{kind}: states with a bit flip", kind, put(states, flipped(parts[states], len(parts[states]) // 2))
    yield f"{kind}: no states", kind, put(states, b"")
    yield (
        f"{kind}: a command in the bounds",
        kind,
        put("bounds.yaml", f"!!python/object/apply:os.system ['touch {Evil.canary}']".encode()),
    )
    yield f"{kind}: a command in the statistics", kind, put("normalizer.npz", arrays(mean=np.array([Evil()], object)))
    yield f"{kind}: bounds within bounds", kind, put("bounds.yaml", aliases().encode())
    header = b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (100000000000,), }"
    huge = io.BytesIO()
    with zipfile.ZipFile(huge, "w") as archive:
        archive.writestr("mean.npy", header + b" " * (127 - len(header)) + b"\n" + bytes(16))
    yield f"{kind}: a huge array", kind, put("normalizer.npz", huge.getvalue())
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("mean.npy", bytes(300_000_000))
    yield f"{kind}: a zip bomb in the statistics", kind, put("normalizer.npz", bomb.getvalue())

    def compressed(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for name in parts:
                archive.writestr(name, bytes(400_000_000) if name == states else parts[name])

    yield f"{kind}: a zip bomb", kind, compressed

    def twice(path: Path) -> None:
        write_zip(path, parts)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("bounds.yaml", yaml.safe_dump(ActionBounds(("x",), (-1.0,), (1.0,), "test").to_dict()))

    yield f"{kind}: a member twice", kind, twice
    if kind == "sb3":
        names = sorted(name for name in parts if name.endswith(".pth"))
        yield "sb3: a command", kind, put(states, evil({"a": Evil()}))
        yield "sb3: a path that escapes", kind, put("../../../evil.pth", evil({"a": Evil()}))
        yield (
            "sb3: swapped states",
            kind,
            lambda path: write_zip(path, {**parts, names[0]: parts[names[1]], names[1]: parts[names[0]]}),
        )
        nan = torch.load(io.BytesIO(parts[states]), weights_only=True)
        next(iter(nan.values())).fill_(float("nan"))
        yield "sb3: weights that are not finite", kind, put(states, evil(nan))
        return
    from flax import serialization

    tree = serialization.msgpack_restore(parts[states])
    swapped = {**tree, "qf_state": tree["actor_state"], "actor_state": tree["qf_state"]}
    yield "sbx: swapped states", kind, put(states, serialization.msgpack_serialize(swapped))
    for value, what in ((float("nan"), "not finite"), (0.5, "others")):
        leaf = serialization.msgpack_restore(parts[states])
        params = leaf["actor_state"]["params"]
        while not isinstance(next(iter(params.values())), np.ndarray):
            params = next(iter(params.values()))
        name = next(iter(params))
        params[name] = np.full_like(params[name], value)
        yield f"sbx: weights that are {what}", kind, put(states, serialization.msgpack_serialize(leaf))
    for program in (
        b"\xdd\xff\xff\xff\xff",
        b"\xdd\x00\xff\xff\xff" * 1000,
        b"\x91" * 10**6,
        b"\xc6\xff\xff\xff\xffabc",
    ):
        yield f"sbx: MessagePack {program[:5].hex()} {len(program)}", kind, put(states, program)
    data = base64.b64encode(pickle.dumps(Evil())).decode()
    plain = {key: agent[key] for key in ("library", "algorithm")}
    yield "sbx: a command as of version 0.1", kind, lambda path: write_zip(
        path,
        {**parts, "agent.json": json.dumps(plain).encode(),
         "data": json.dumps({"policy_kwargs": {":serialized:": data}}).encode()},
    )  # fmt: skip


def aliases() -> str:
    """A few lines of YAML that stand for a thousand million entries."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    return "\n".join(lines) + "\njoints: {a: *a9}\n"


def of_text() -> Iterator[Case]:
    """Bounds files, manifests of runs, and paths."""
    good = "joints: {a: [-1, 1]}\n"
    for name, text in {
        "aliases": aliases(), "aliases in info": good + "info:\n  " + aliases().replace("\n", "\n  "),
        "lists within lists": "[" * 10**5, "a command": f"!!python/object/apply:os.system ['touch {Evil.canary}']",
        "a module": "!!python/module:antigravity", "nothing": "", "not a mapping": "[1, 2]", "a key twice": good + good,
        "not finite": "joints: {a: [.nan, 1]}", "a huge number": f"joints: {{a: [-1, {'9' * 10**5}]}}",
        "a name of a million letters": f"joints: {{{'a' * 10**6}: [-1, 1]}}", "other keys": good + "other: 1\n",
        "wrong types": "joints: {a: [x, y]}", "binary": "\x00\x01",
    }.items():  # fmt: skip
        yield f"bounds: {name}", "yaml", lambda path, text=text: path.write_text(text)
    yield "bounds: not text", "yaml", lambda path: path.write_bytes(zlib.compress(b"abc") + bytes(range(128, 256)))
    yield "bounds: a folder", "yaml", lambda path: path.mkdir()
    yield "bounds: a link to itself", "yaml", lambda path: path.symlink_to(path)
    yield "bounds: endless", "yaml", lambda path: path.symlink_to("/dev/zero")
    yield "bounds: a pipe", "yaml", os.mkfifo
    for name, text in {
        "lists within lists": "[" * 10**6, "text": "abc", "nothing": "", "a list": "[]", "metadata": '{"metadata": 3}',
        "a large one": " " * 2**21, "a long number": "9" * 10**5,
    }.items():  # fmt: skip
        yield f"manifest: {name}", "manifest", lambda path, text=text: path.write_text(text)
    yield "manifest: not text", "manifest", lambda path: path.write_bytes(bytes(range(128, 256)))
    yield "manifest: a folder", "manifest", lambda path: path.mkdir()
    yield "manifest: a link to itself", "manifest", lambda path: path.symlink_to(path)
    yield "manifest: endless", "manifest", lambda path: path.symlink_to("/dev/zero")
    yield "path: a link to itself", "path", lambda path: path.symlink_to(path)
    yield "path: a pipe", "path", os.mkfifo
    yield "path: endless", "path", lambda path: path.symlink_to("/dev/zero")
    yield "path: an empty folder", "path", lambda path: path.mkdir()


FILES = {"pt": "model_1.pt", "ppo": "model_1.pt", "replay": "replay_1.json", "sbx": "model_1.zip", "sb3": "model_1.zip",
         "yaml": "bounds.yaml", "manifest": "run.json", "path": "model_1.pt"}  # fmt: skip


class TookTooLongError(BaseException):
    """Ten seconds of a processor are over."""


def too_long(*_: Any) -> None:
    raise TookTooLongError


def peak() -> float:
    """Largest memory of the process so far [MB]."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def read_all(cases: Iterator[Case], readers: dict[str, Callable[[Path], Any]], work: Path) -> list[dict[str, Any]]:
    """Write and read every file; gives what was said of it."""
    results = []
    signal.signal(signal.SIGVTALRM, too_long)
    for number, (name, kind, write) in enumerate(cases):
        path = work / f"{kind}{number}" / FILES[kind]
        path.parent.mkdir(parents=True)
        write(path)
        before, started, message, stderr = peak(), time.process_time(), None, io.StringIO()
        signal.setitimer(signal.ITIMER_VIRTUAL, 10.0)
        try:
            with contextlib.redirect_stderr(stderr):
                readers[kind](path if os.path.lexists(path) else path.with_suffix(".pt"))
        except (UserError, ValueError) as error:
            message = str(error)
        except BaseException as error:
            message = f"{type(error).__name__}\n{error}"
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
        text = stderr.getvalue() if kind == "manifest" else message
        seconds, megabytes = time.process_time() - started, peak() - before
        results.append({"name": name, "kind": kind, "message": text, "megabytes": megabytes, "seconds": seconds})
        with contextlib.suppress(OSError):
            shutil.rmtree(path.parent)
    return results


def main(out: Path, work: Path, with_sbx: bool) -> None:
    from isaaclab.utils import to_dict
    from isaaclab_rl.rsl_rl import handle_deprecated_rsl_rl_cfg

    from isaaclab_offpolicy.algorithms.rsl_rl_cfg import SacRunnerCfg

    Evil.canary = str(out.with_name("canary"))
    sac_cfg = SacRunnerCfg(experiment_name="test", device="cpu", num_steps_per_env=10)
    sac_cfg.actor.hidden_dims = sac_cfg.critic.hidden_dims = [8]
    sac_cfg.algorithm.action_bounds, sac_cfg.algorithm.buffer_size = 2.0, 100 * 32
    sac_cfg.algorithm.backend, sac_cfg.algorithm.learning_starts = "eager", 10
    cfg = to_dict(handle_deprecated_rsl_rl_cfg(sac_cfg, "5.5.1")) | {"multi_gpu": None}

    def runner(make: Callable[[], dict], folder: str | None) -> Runner:
        env = LinearQuadraticEnv(32)
        env.cfg.compute_final_obs = True
        return Runner(env, make(), folder, "cpu")

    def sac() -> dict:
        return json.loads(json.dumps(cfg))

    trained = runner(sac, str(work / "sac"))
    trained.learn(2)
    learner: Any = trained.alg
    (work / "replay").mkdir()
    assert ReplayFiles(work / "replay", 1.0, "").save(learner.storage, work / "replay" / "model_1.pt"), "in one file"
    runner(ppo_cfg, str(work / "ppo")).learn(1)
    players = {"pt": runner(sac, None), "ppo": runner(ppo_cfg, None)}

    def play(kind: str) -> Callable[[Path], Any]:
        def read(path: Path) -> None:
            read_checkpoint_tensors(path)
            players[kind].load(str(path))

        return read

    readers: dict[str, Callable[[Path], Any]] = {
        "pt": play("pt"), "ppo": play("ppo"), "yaml": lambda path: find_bounds(str(path)),
        "replay": lambda path: load_replay(path, ReplayBuffer(100 * 32, 32, {"policy": 2}, 1)),
        "manifest": lambda path: manifest(path.parent), "path": lambda path: find_policy(str(path), TASK, "sac", "cpu"),
    }  # fmt: skip
    checkpoint, replay = work / "sac" / "model_1.pt", work / "replay" / "replay_1.json"
    cases = [
        *general("pt", checkpoint),
        *of_rsl_rl(checkpoint),
        *general("replay", replay),
        *of_replay(replay),
        *of_text(),
    ]
    if with_sbx:
        from stable_baselines3.common.vec_env import DummyVecEnv

        from isaaclab_offpolicy.runners.sbx.cfg import Sb3OffPolicyCfg
        from isaaclab_offpolicy.runners.sbx.checkpoint import (
            _Spaces,
            load_for_playback,
            read_checkpoint,
            write_checkpoint,
        )
        from isaaclab_offpolicy.runners.sbx.models import build

        bounds = ActionBounds(("a", "b"), (-1.0, -0.5), (1.0, 2.0), "test")
        for kind in ("sbx", "sb3"):
            agent: Any = Sb3OffPolicyCfg(library=kind, net_arch=[8], buffer_size=10)
            if kind == "sb3":
                agent.layer_norm, agent.policy_delay = False, 1
            model = build(agent, DummyVecEnv([lambda: _Spaces(3, bounds)]), "cpu")
            good = work / f"{kind}.zip"
            with zipfile.ZipFile(good, "w") as archive:
                write_checkpoint(archive, model, agent, bounds, None)
            readers[kind] = lambda path, agent=agent: load_for_playback(agent, read_checkpoint(agent, path), 3, "cpu")
            readers[kind](good)
            cases += [*general(kind, good), *of_sbx(good, kind)]
    for kind, good in (("pt", checkpoint), ("ppo", work / "ppo" / "model_0.pt"), ("replay", replay)):
        readers[kind](good)  # what is not broken is read
    limit = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE") + 2 * 10**9
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    out.write_text(json.dumps(read_all(iter(cases), readers, work)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "True")
