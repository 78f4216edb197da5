# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Checkpoints of SBX and Stable-Baselines3: what goes on, what is refused, and that nothing in them runs."""

from __future__ import annotations

import base64
import io
import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
import yaml

pytest.importorskip("sbx", reason="needs SBX: install isaaclab_offpolicy[sbx]")

import cloudpickle
import jax
from stable_baselines3.common.vec_env import DummyVecEnv

from isaaclab_offpolicy.action_bounds import ActionBounds
from isaaclab_offpolicy.runners.sbx.cfg import Sb3OffPolicyCfg, Sb3PpoCfg
from isaaclab_offpolicy.runners.sbx.checkpoint import (
    load_for_playback,
    load_for_training,
    read_checkpoint,
    restore,
    write_checkpoint,
)
from isaaclab_offpolicy.runners.sbx.legacy import read_pickle
from isaaclab_offpolicy.runners.sbx.models import build
from isaaclab_offpolicy.runners.sbx.training import restore_replay
from isaaclab_offpolicy.training.replay_files import ReplayFiles

BOUNDS = ActionBounds(("a", "b"), (-1.0, -0.5), (1.0, 2.0), "test")
OBS = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)


class Still(gym.Env):
    """Nothing happens."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (3,), np.float32)
    action_space = gym.spaces.Box(np.array(BOUNDS.low, np.float32), np.array(BOUNDS.high, np.float32))

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        return np.zeros(3, np.float32), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        return np.zeros(3, np.float32), 0.0, False, False, {}


def small(library: Any, algorithm: Any, **options: Any) -> Any:
    """A configuration of an agent with small networks."""
    if algorithm == "PPO":
        return Sb3PpoCfg(library=library, net_arch=[8], init_std=0.3, **options)
    if library == "sb3":
        options |= {"layer_norm": False, "policy_delay": 1}
    return Sb3OffPolicyCfg(library=library, algorithm=algorithm, net_arch=[8], buffer_size=10, seed=7, **options)


def write(cfg: Any, path: Path) -> Any:
    """Write a checkpoint, and give its agent."""
    model: Any = build(cfg, DummyVecEnv([Still]), "cpu")
    model.num_timesteps, model._n_updates, model._episode_num = 1234, 56, 7
    with zipfile.ZipFile(path, "w") as archive:
        write_checkpoint(archive, model, cfg, BOUNDS, None)
    return model


def write_as_version_0_1(cfg: Any, path: Path) -> Any:
    """Write a checkpoint as version 0.1 did, with Stable-Baselines3's own function, and give its agent."""
    model: Any = build(cfg, DummyVecEnv([Still]), "cpu")
    model.num_timesteps, model._n_updates, model._episode_num = 1234, 56, 7
    model.save(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("agent.json", json.dumps({"library": cfg.library, "algorithm": cfg.algorithm}))
        archive.writestr("bounds.yaml", yaml.safe_dump(BOUNDS.to_dict()))
    return model


def arrays(model: Any) -> list[np.ndarray]:
    """All that was learned: networks, targets, optimisers, temperature."""
    if hasattr(model, "key"):
        owners = [*vars(model.policy).items(), *vars(model).items()]
        return [np.asarray(x) for name, state in owners if name.endswith("_state") for x in jax.tree.leaves(state)]
    found = [x for states in model.get_parameters().values() for x in jax.tree.leaves(states)]
    extra = [model.log_ent_coef.detach()] if hasattr(model, "log_ent_coef") else []
    return [np.asarray(x) for x in (*found, *extra)]


AGENTS = [("sbx", "SAC"), ("sbx", "TQC"), ("sbx", "PPO"), ("sb3", "SAC"), ("sb3", "PPO")]


@pytest.mark.parametrize("writer", [write, write_as_version_0_1])
@pytest.mark.parametrize(("library", "algorithm"), AGENTS)
def test_an_agent_plays_and_goes_on_as_it_was(tmp_path: Path, library: str, algorithm: str, writer: Any) -> None:
    cfg = small(library, algorithm)
    model = writer(cfg, tmp_path / "m.zip")
    checkpoint = read_checkpoint(cfg, tmp_path / "m.zip")
    assert checkpoint.bounds == BOUNDS
    # played with the networks of the checkpoint, whatever the configuration says by now
    other = small(library, algorithm)
    other.net_arch = [16, 16]
    played = load_for_playback(other, checkpoint, 3, "cpu")
    resumed: Any = load_for_training(cfg, read_checkpoint(cfg, tmp_path / "m.zip"), DummyVecEnv([Still]), "cpu")
    wanted = model.predict(OBS, deterministic=True)[0]
    assert np.abs(wanted).max() > 0.005
    for loaded in (played, resumed):
        np.testing.assert_array_equal(loaded.predict(OBS, deterministic=True)[0], wanted)
    mine, theirs = arrays(model), arrays(resumed)
    assert len(mine) > 8
    for left, right in zip(mine, theirs, strict=True):
        np.testing.assert_array_equal(left, right)
    assert (resumed.num_timesteps, resumed._n_updates, resumed._episode_num) == (1234, 56, 7)
    if library == "sbx":
        np.testing.assert_array_equal(model.key, resumed.key)


@pytest.mark.parametrize(("library", "algorithm"), AGENTS)
def test_checkpoints_hold_nothing_that_runs(tmp_path: Path, library: str, algorithm: str) -> None:
    write(small(library, algorithm), tmp_path / "m.zip")
    with zipfile.ZipFile(tmp_path / "m.zip") as archive:
        names = set(archive.namelist())
    assert "data" not in names
    assert {name for name in names if name.endswith((".pkl", ".pickle"))} == set()


def test_statistics_are_read_as_they_were_written(tmp_path: Path) -> None:
    cfg = small("sbx", "SAC")
    normalizer = {
        "columns": np.array([True, False, True]), "epsilon": np.array(1e-8), "clip_obs": np.array(10.0),
        "mean": np.arange(3.0), "var": np.ones(3), "count": np.array(12.5),
    }  # fmt: skip
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as archive:
        write_checkpoint(archive, build(cfg, DummyVecEnv([Still]), "cpu"), cfg, BOUNDS, normalizer)
    found = read_checkpoint(cfg, tmp_path / "m.zip").normalizer
    assert found is not None and set(found) == set(normalizer)
    for name, value in normalizer.items():
        np.testing.assert_array_equal(found[name], value)


def test_held_noise_changes_after_a_checkpoint_was_loaded(tmp_path: Path) -> None:
    cfg = small("sbx", "SAC", use_sde=True)
    write(cfg, tmp_path / "m.zip")
    model: Any = load_for_playback(cfg, read_checkpoint(cfg, tmp_path / "m.zip"), 3, "cpu")
    obs = np.zeros((1, 3), np.float32)
    first, again = (model.predict(obs)[0] for _ in range(2))
    model.actor.reset_noise()  # what a round of collection begins with
    np.testing.assert_array_equal(first, again)
    assert np.abs(model.predict(obs)[0] - first).max() > 1e-3


@pytest.mark.parametrize("library", ["sbx", "sb3"])
def test_ppo_begins_with_the_noise_that_is_asked_for_and_goes_on_with_what_it_has(tmp_path: Path, library: Any) -> None:
    model = write(small(library, "PPO"), tmp_path / "m.zip")
    later = Sb3PpoCfg(library=library, net_arch=[8])
    env = DummyVecEnv([Still] * 4)
    resumed = load_for_training(later, read_checkpoint(later, tmp_path / "m.zip"), env, "cpu")
    for which in (model, resumed):
        actions = which.predict(np.zeros((4000, 3), np.float32))[0]
        # of the second action, whose bounds are not symmetric, half of the noise is cut off less
        np.testing.assert_allclose(actions[:, 0].std(), 0.3, rtol=0.1)


@pytest.mark.parametrize("writer", [write, write_as_version_0_1])
def test_a_training_goes_on_with_the_networks_that_it_began_with(tmp_path: Path, writer: Any) -> None:
    for algorithm in ("SAC", "TQC"):
        cfg = small("sbx", algorithm)
        writer(cfg, tmp_path / "m.zip")
        others: dict[str, Any] = {"top_quantiles_to_drop_per_net": 7}
        if algorithm == "SAC":
            others = {"net_arch": [9], "activation": "relu", "optimizer": "adam"}
        for option, value in others.items():
            other = small("sbx", algorithm)
            setattr(other, option, value)
            with pytest.raises(ValueError, match=f"its {option}.* is not .*goes on with the one it began with"):
                load_for_training(other, read_checkpoint(other, tmp_path / "m.zip"), DummyVecEnv([Still]), "cpu")


@pytest.mark.parametrize("writer", [write, write_as_version_0_1])
@pytest.mark.parametrize("library", ["sbx", "sb3"])
def test_a_policy_is_played_with_its_own_activation(tmp_path: Path, library: str, writer: Any) -> None:
    cfg = small(library, "SAC", activation="tanh")
    model = writer(cfg, tmp_path / "m.zip")
    now = small(library, "SAC", activation="relu", optimizer="adam")
    played = load_for_playback(now, read_checkpoint(now, tmp_path / "m.zip"), 3, "cpu")
    np.testing.assert_array_equal(played.predict(OBS, deterministic=True)[0], model.predict(OBS, deterministic=True)[0])


@pytest.mark.parametrize(("library", "algorithm"), AGENTS)
def test_a_training_keeps_the_temperature_that_it_began_with_over_several_resumes(
    tmp_path: Path, library: str, algorithm: str
) -> None:
    write(small(library, algorithm, ent_coef=0.03), tmp_path / "first.zip")
    now, env = small(library, algorithm), DummyVecEnv([Still])
    model = load_for_training(now, read_checkpoint(now, tmp_path / "first.zip"), env, "cpu")
    with zipfile.ZipFile(tmp_path / "second.zip", "w") as archive:
        write_checkpoint(archive, model, now, BOUNDS, None)
    checkpoint = read_checkpoint(now, tmp_path / "second.zip")
    assert checkpoint.options["ent_coef"] == 0.03
    load_for_training(now, checkpoint, env, "cpu")
    load_for_playback(now, checkpoint, 3, "cpu")


def test_noise_goes_on_where_it_was(tmp_path: Path) -> None:
    cfg = small("sbx", "SAC")
    model: Any = build(cfg, DummyVecEnv([Still]), "cpu")
    first = model.predict(OBS)[0]
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as archive:
        write_checkpoint(archive, model, cfg, BOUNDS, None)
    resumed = load_for_training(cfg, read_checkpoint(cfg, tmp_path / "m.zip"), DummyVecEnv([Still]), "cpu")
    for _ in range(2):
        later = resumed.predict(OBS)[0]
        np.testing.assert_array_equal(model.predict(OBS)[0], later)
        assert np.abs(later - first).max() > 1e-3


@pytest.mark.parametrize(("library", "where"), [("sbx", "kernel"), ("sb3", "size mismatch")])
def test_a_policy_of_other_observations_is_one_line(tmp_path: Path, library: str, where: str) -> None:
    cfg = small(library, "SAC")
    write(cfg, tmp_path / "m.zip")
    with pytest.raises(ValueError, match=where):
        load_for_playback(cfg, read_checkpoint(cfg, tmp_path / "m.zip"), 4, "cpu")


def test_files_that_are_no_checkpoints(tmp_path: Path) -> None:
    for content in (b"", b"PK", b"not a zip file", bytes(100)):
        (tmp_path / "m.zip").write_bytes(content)
        with pytest.raises(ValueError, match="not a checkpoint of SBX or Stable-Baselines3"):
            read_checkpoint(Sb3OffPolicyCfg(), tmp_path / "m.zip")


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return os.system, (f"touch '{self.canary}'",)


def replaced(path: Path, member: str, content: bytes) -> None:
    """Replace or add a member of a zip file."""
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in {**contents, member: content}.items():
            archive.writestr(name, data)


def evil_torch(canary: Path) -> bytes:
    buffer = io.BytesIO()
    torch.save({"infos": Evil(canary)}, buffer)
    return buffer.getvalue()


def evil_array(canary: Path) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, mean=np.array([Evil(canary)], dtype=object))
    return buffer.getvalue()


def evil_yaml(canary: Path) -> bytes:
    return f"!!python/object/apply:os.system ['touch {canary}']".encode()


def evil_data(path: Path, name: str, canary: Path) -> bytes:
    """The member ``data`` of a checkpoint of version 0.1, with one of its objects replaced."""
    with zipfile.ZipFile(path) as archive:
        data = json.loads(archive.read("data"))
    data[name] = {":type:": "x", ":serialized:": base64.b64encode(cloudpickle.dumps(Evil(canary))).decode()}
    return json.dumps(data).encode()


@pytest.mark.parametrize(
    ("library", "member"),
    [("sbx", "normalizer.npz"), ("sb3", "policy.pth"), ("sb3", "more.pth"), ("sbx", "states.msgpack"),
     ("sbx", "policy_class"), ("sbx", "policy"), ("sb3", "lr_schedule"), ("sbx", "agent.json"), ("sbx", "bounds.yaml")],
)  # fmt: skip
def test_a_checkpoint_that_would_run_a_command_is_refused(tmp_path: Path, library: str, member: str) -> None:
    cfg, path, canary = small(library, "SAC"), tmp_path / "m.zip", tmp_path / "canary"
    if "." in member:
        write(cfg, path)
        makers = {".npz": evil_array, ".pth": evil_torch, ".yaml": evil_yaml}
        content = makers.get(Path(member).suffix, lambda c: pickle.dumps(Evil(c)))(canary)
        replaced(path, member, content)
    else:
        write_as_version_0_1(cfg, path)
        replaced(path, "data", evil_data(path, member, canary))
    with pytest.raises(ValueError, match="not a checkpoint") as error:
        read_checkpoint(cfg, path)
    assert "\n" not in str(error.value) and "weights_only" not in str(error.value) and not canary.exists()
    if library == "sb3" or "." not in member:
        assert "would call posix.system" in str(error.value)


def test_what_a_pickle_names_is_neither_imported_nor_called(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    with pytest.raises(pickle.UnpicklingError, match=r"it would call posix.system; refused"):
        read_pickle(pickle.dumps(Evil(canary)))
    for code in (f"import os; os.system('touch {canary}')", "import antigravity"):
        # names of an allowed package are not called either
        program = b"cnumpy.testing\nrundocs\n(V" + code.encode("raw_unicode_escape") + b"\ntR."
        assert read_pickle(program) == (code,)
        with pytest.raises(pickle.UnpicklingError, match=r"builtins.exec"):
            read_pickle(b"cbuiltins\nexec\n(V" + code.encode() + b"\ntR.")
    assert not canary.exists()


@pytest.mark.parametrize(
    "program",
    [
        b"Nr\xff\xff\xff\x7f0N.",  # room for two thousand million entries
        b"})" + b"\x85" * 1_000_000 + b"Ns.",  # a million tuples within one another, as a key
        b"\x82\x01.", b"P0\n.", b"(ios\nsystem\n.", b"N", b"", b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
    ],
)  # fmt: skip
def test_pickles_that_would_take_the_machine_are_refused(program: bytes) -> None:
    with pytest.raises((pickle.UnpicklingError, ValueError, EOFError)):
        read_pickle(program)


SAC = b'{"format": 2, "library": "sbx", "algorithm": "SAC"}'


@pytest.mark.parametrize(
    ("member", "content"),
    [
        ("states.msgpack", b"\x05"), ("states.msgpack", b""), ("agent.json", b"[]"), ("agent.json", b"{}"),
        ("agent.json", SAC.replace(b"2", b"4")),
        ("agent.json", SAC[:-1] + b', "options": {"library": "sb3"}, "counters": {}}'),
        ("agent.json", SAC[:-1] + b', "options": [], "counters": {"_n_updates": "x"}}'),
        ("agent.json", b" " * 2_000_000), ("bounds.yaml", b"joints: {}"), ("normalizer.npz", b"PK"),
    ],
)  # fmt: skip
def test_contents_that_are_others_are_one_line(tmp_path: Path, member: str, content: bytes) -> None:
    cfg = small("sbx", "SAC")
    write(cfg, tmp_path / "m.zip")
    replaced(tmp_path / "m.zip", member, content)
    with pytest.raises(ValueError, match="not a checkpoint of SBX") as error:
        read_checkpoint(cfg, tmp_path / "m.zip")
    assert "\n" not in str(error.value)


def test_a_replay_buffer_goes_on_and_one_that_would_run_a_command_is_refused(tmp_path: Path) -> None:
    cfg = small("sbx", "SAC")
    env = DummyVecEnv([Still] * 2)
    model: Any = build(cfg, env, "cpu")
    rng = np.random.default_rng(0)
    for _ in range(7):  # of ten transitions, so that the ring goes round
        obs, nxt = rng.normal(size=(2, 2, 3)).astype(np.float32)
        model.replay_buffer.add_step(
            obs, nxt, rng.normal(size=(2, 2)), rng.normal(size=2), np.zeros(2), np.zeros(2), np.zeros(0, int), None
        )
    assert model.replay_buffer.full
    assert ReplayFiles(tmp_path, 1.0, "").save(model.replay_buffer, tmp_path / "model_1.zip")
    later = small("sbx", "SAC")
    later.buffer_size = 40
    other: Any = build(later, env, "cpu")
    restore_replay(other, later, tmp_path / "model_1.zip")
    mine, theirs = model.replay_buffer, other.replay_buffer
    assert (theirs.pos, theirs.full, theirs.written, mine.pos) == (5, False, 5, 2)
    for name in ("observations", "next_observations", "actions", "rewards"):
        np.testing.assert_array_equal(np.roll(getattr(mine, name), -2, axis=0), getattr(theirs, name)[:5])
    assert theirs.dones[4].all() and theirs.timeouts[4].all(), "cut at the newest step"
    # exploration that was under way goes on; without rows enough nothing is learned
    for learned, starts, learning_at in ((6, 100, 6 + 90), (200, 0, 290), (500, 0, 590)):
        other.num_timesteps, other.learning_starts = learned, 100
        later.learning_starts = 100
        restore_replay(other, later, tmp_path / "model_1.zip")
        assert (other.learning_starts, other.resume_learning_at) == (starts, learning_at)

    with pytest.raises(ValueError, match=r"replay_1.json: .*is of 2 environments, not 3; move it away"):
        restore_replay(build(cfg, DummyVecEnv([Still] * 3), "cpu"), cfg, tmp_path / "model_1.zip")
    canary = tmp_path / "canary"
    for content in (evil_array(canary), pickle.dumps(Evil(canary)), b""):
        (tmp_path / "replay_1.json").write_bytes(content)
        with pytest.raises(ValueError, match=r"replay_1.json: .*move it away"):
            restore_replay(other, cfg, tmp_path / "model_1.zip")
    assert not canary.exists()


def test_a_state_that_is_missing_or_another_is_said(tmp_path: Path) -> None:
    cfg = small("sbx", "SAC")
    model = write(cfg, tmp_path / "m.zip")
    checkpoint = read_checkpoint(cfg, tmp_path / "m.zip")
    del checkpoint.states["qf_state"]
    with pytest.raises(ValueError, match="it has no qf_state"):
        restore(model, checkpoint)
