# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""A checkpoint is data: every command refuses one that would run something, before a simulation is started."""

from __future__ import annotations

import base64
import importlib
import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from isaaclab_offpolicy.action_bounds import ActionBounds
from isaaclab_offpolicy.errors import UserError
from isaaclab_offpolicy.training.safe_load import read_checkpoint_tensors as read_tensors

TASK = "Isaac-Velocity-Flat-Unitree-A1-v0"
COMMANDS = {
    "evaluate": "--checkpoint",
    "play": "--checkpoint",
    "record_ppo_actions": "--checkpoint",
    "train": "--resume",
}


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return os.system, (f"touch '{self.canary}'",)


def evil(agent: str, canary: Path) -> Path:
    """A checkpoint that looks like one of an agent, and runs a command when it is unpickled."""
    path = canary.with_name("model_0.zip" if agent.startswith("sb") else "model_0.pt")
    if path.suffix == ".pt":
        torch.save({"actor_state_dict": {"mlp.0.weight": torch.zeros(3)}, "iter": 0, "infos": Evil(canary)}, path)
        return path
    with zipfile.ZipFile(path, "w") as archive:
        library, algorithm = agent.split("-")[:2]
        archive.writestr("agent.json", json.dumps({"library": library, "algorithm": algorithm.upper()}))
        bounds = ActionBounds(("a",), (-1.0,), (1.0,), "test")
        archive.writestr("bounds.yaml", yaml.safe_dump(bounds.to_dict()))
        data = base64.b64encode(pickle.dumps(Evil(canary))).decode()
        archive.writestr("data", json.dumps({"policy_kwargs": {":serialized:": data}}))
    return path


@pytest.mark.parametrize("agent", ["ppo", "sac", "sbx-sac", "sb3-ppo"])
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_refuses_a_checkpoint_that_would_run_something(
    command: str, agent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if agent.startswith("sb"):
        pytest.importorskip("sbx", reason="needs SBX: install isaaclab_offpolicy[sbx]")
    monkeypatch.chdir(tmp_path)
    canary = tmp_path / "canary"
    path = evil(agent, canary)
    main = importlib.import_module(f"isaaclab_offpolicy.cli.{command}").main
    out = ["--out", "bounds.yaml"] if command == "record_ppo_actions" else []
    with pytest.raises(UserError) as error:
        main(["--task", TASK, "--agent", agent, COMMANDS[command], str(path), *out])
    text = str(error.value)
    assert f"{path.name}" in text and "not a checkpoint" in text and "\n" not in text.strip()
    assert "it would call posix.system" in text
    assert "weights_only" not in text, "no advice to read it all the same"
    assert not canary.exists()


def test_what_would_be_called_is_named(tmp_path: Path) -> None:
    path = evil("ppo", tmp_path / "canary")
    with pytest.raises(UserError, match=r"it would call posix.system; only tensors and plain values are read"):
        read_tensors(str(path))
    policy = path.with_name("policy.pt")
    torch.jit.script(torch.nn.Linear(1, 1)).save(str(policy))
    with pytest.raises(UserError, match=r"policy.pt is not a checkpoint: it is an exported TorchScript policy"):
        read_tensors(str(policy))
    # without torch's container as well
    path.write_bytes(pickle.dumps({"infos": Evil(tmp_path / "canary")}))
    with pytest.raises(UserError, match=r"model_0.pt is not a checkpoint: "):
        read_tensors(str(path))
    assert not (tmp_path / "canary").exists()


def test_files_that_are_no_checkpoints(tmp_path: Path) -> None:
    path = tmp_path / "model_0.pt"
    for content in (b"", b"PK", b"text", bytes(100), b"J", b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f."):
        path.write_bytes(content)
        with pytest.raises(UserError) as error:
            read_tensors(str(path))
        text = str(error.value).strip()
        assert "model_0.pt is not a checkpoint: " in text and "\n" not in text and "weights_only" not in text
