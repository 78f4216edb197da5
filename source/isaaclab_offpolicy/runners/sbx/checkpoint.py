# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Checkpoints of SBX's and Stable-Baselines3's agents: tensors and plain values, nothing that could run.

A checkpoint is a zip file. ``agent.json`` says whose it is and how far it came, ``bounds.yaml`` and ``normalizer.npz``
what is around the networks; the networks and optimisers are Flax's msgpack (``states.msgpack``) or torch's state
dictionaries (``*.pth``). Stable-Baselines3's own ``save`` pickles whole objects, and its ``load`` runs whatever such a
file says. Checkpoints of version 0.1 were written by it; :mod:`.legacy` reads them without running them.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import gymnasium as gym
import numpy as np
import torch
import yaml
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from isaaclab.utils import replace

from isaaclab_offpolicy.action_bounds import ActionBounds
from isaaclab_offpolicy.training.safe_load import check_archive, check_contents, load_tensors

from .cfg import Sb3AgentCfg, Sb3OffPolicyCfg
from .collection import base_env
from .legacy import read_legacy
from .models import build
from .vec_env import AffineNormalizer, NormalizedVecEnv

AGENT, BOUNDS, NORMALIZER, TRAINING, STATES = (
    "agent.json", "bounds.yaml", "normalizer.npz", "training.pt", "states.msgpack",
)  # fmt: skip
"""Members of a checkpoint; those of Stable-Baselines3's agents are ``*.pth`` in place of the last one."""

FORMAT = 3
"""Format of a checkpoint, with a checksum from 3 on; version 0.1 of this package wrote neither."""

NETWORK_OPTIONS = (
    "net_arch", "activation", "optimizer", "layer_norm", "n_critics", "top_quantiles_to_drop_per_net", "use_sde",
)  # fmt: skip
"""Options that the networks were built with; a policy is played with those of its checkpoint."""

CHANGEABLE = ("use_sde",)
"""Those that may change when a training goes on."""

COUNTERS = ("num_timesteps", "_n_updates", "_episode_num")
"""Stable-Baselines3's counters that go on."""

LARGEST = {".json": 2**20, ".yaml": 2**20}
"""Largest members that are read, by their ending [B]; others may have :data:`LARGEST_STATES`."""

LARGEST_STATES = 2**29
"""Largest checkpoint that is read [B]: a hundred times the published ones."""


class Checkpoint(NamedTuple):
    """What a checkpoint holds."""

    bounds: ActionBounds
    """Bounds of the policy, in the order of its joints."""

    normalizer: dict[str, np.ndarray] | None
    """Statistics of the normaliser, as of :meth:`NormalizedVecEnv.state`; None if there is none."""

    options: dict[str, Any]
    """Options of the agent's configuration that the networks were built with, and ``ent_coef``."""

    counters: dict[str, int]
    """Stable-Baselines3's counters."""

    training: dict[str, Any] | None
    """What the training had beside its agent, as of :meth:`.TrainingState.state`; None in those of version 0.1."""

    states: Any
    """Of SBX nested dictionaries of arrays by the name of a train state, of Stable-Baselines3 state dictionaries."""


def checkpoint_bytes(model: BaseAlgorithm, cfg: Sb3AgentCfg, training: dict[str, Any] | None = None) -> memoryview:
    """An agent's checkpoint, as the contents of a file.

    Args:
        model: The agent.
        cfg: Its configuration.
        training: What the training has beside its agent.
    """
    env, buffer = model.get_env(), io.BytesIO()
    assert env is not None
    normalizer = env.state() if isinstance(env, NormalizedVecEnv) else None
    with zipfile.ZipFile(buffer, "w") as archive:
        write_checkpoint(archive, model, cfg, base_env(env).bounds, normalizer, training)
    return buffer.getbuffer()


def write_checkpoint(
    archive: zipfile.ZipFile,
    model: BaseAlgorithm,
    cfg: Sb3AgentCfg,
    bounds: ActionBounds,
    normalizer: dict[str, np.ndarray] | None,
    training: dict[str, Any] | None = None,
) -> None:
    """Write the members of a checkpoint.

    Args:
        archive: The open zip file.
        model: The agent.
        cfg: Its configuration.
        bounds: Bounds of the policy.
        normalizer: Statistics of the observations, as of :meth:`NormalizedVecEnv.state`.
        training: What the training has beside its agent.
    """
    options = {name: getattr(cfg, name) for name in NETWORK_OPTIONS if hasattr(cfg, name)}
    # a training that goes on has the one that it began with, whatever the configuration says
    options["ent_coef"] = getattr(model, "ent_coef_init", None) or model.ent_coef  # type: ignore[attr-defined]
    counters = {name: int(getattr(model, name)) for name in COUNTERS}
    agent = {
        "format": FORMAT,
        "library": cfg.library,
        "algorithm": cfg.algorithm,
        "options": options,
        "counters": counters,
    }
    members = {BOUNDS: yaml.safe_dump(bounds.to_dict(), sort_keys=False).encode()}
    if normalizer is not None:
        buffer = io.BytesIO()
        np.savez(buffer, **normalizer)  # type: ignore[arg-type]
        members[NORMALIZER] = buffer.getvalue()
    if training is not None:
        buffer = io.BytesIO()
        torch.save(training, buffer)
        members[TRAINING] = buffer.getvalue()
    if cfg.library == "sbx":
        from flax import serialization

        states = {name: getattr(owner, name) for owner, name in _train_states(model)}
        keys = {name: getattr(owner, key) for name, (owner, key) in _random_keys(model).items()}
        members[STATES] = serialization.to_bytes({**states, **keys})
    else:
        variables = {name: getattr(model, name).detach() for name in _torch_variables(model)}
        for name, value in {**model.get_parameters(), "pytorch_variables": variables}.items():
            buffer = io.BytesIO()
            torch.save(value, buffer)
            members[f"{name}.pth"] = buffer.getvalue()
    archive.writestr(AGENT, json.dumps({**agent, "sha256": _digest(agent, members)}))
    for name, data in members.items():
        archive.writestr(name, data)


def _digest(agent: Mapping[str, Any], members: Mapping[str, bytes]) -> str:
    """Checksum of all that a checkpoint holds, under which name."""
    sha256 = hashlib.sha256(json.dumps(agent, sort_keys=True).encode())
    for name in sorted(members):
        sha256.update(f"{name}: {len(members[name])}\n".encode())
        sha256.update(members[name])
    return sha256.hexdigest()


def read_checkpoint(cfg: Sb3AgentCfg, path: str | Path) -> Checkpoint:
    """Read a checkpoint. Nothing of it is run.

    Args:
        cfg: The agent's configuration.
        path: The file.

    Raises:
        ValueError: If the file is no checkpoint of this agent.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _read(cfg, archive)
    except WrongAgentError:
        raise
    except Exception as error:  # a broken file raises nearly anything
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ValueError(f"not a checkpoint of SBX or Stable-Baselines3: {reason}") from None


def read_best_return(path: Path) -> float:
    """Mean return of the best checkpoint, as it says itself."""
    with zipfile.ZipFile(path) as archive:
        return load_tensors(io.BytesIO(_member(archive, TRAINING)))["best_return"]


def _read(cfg: Sb3AgentCfg, archive: zipfile.ZipFile) -> Checkpoint:
    check_archive(archive)
    names, sbx = archive.namelist(), cfg.library == "sbx"
    if sum(info.file_size for info in archive.infolist()) > LARGEST_STATES:
        raise ValueError("it is larger than any checkpoint")
    agent = json.loads(_member(archive, AGENT))
    if (agent["library"], agent["algorithm"]) != (cfg.library, cfg.algorithm):
        raise WrongAgentError(
            f"a checkpoint of {agent['library']}'s {agent['algorithm']}, not of {cfg.library}'s {cfg.algorithm}"
        )
    bounds = ActionBounds.from_dict(yaml.safe_load(_member(archive, BOUNDS)))
    normalizer = None
    if NORMALIZER in names:
        statistics = io.BytesIO(_member(archive, NORMALIZER))
        with zipfile.ZipFile(statistics) as inner:
            check_archive(inner)
        statistics.seek(0)
        normalizer = dict(np.load(statistics, allow_pickle=False))
        AffineNormalizer(normalizer)  # raises where something is missing
    if type(version := agent.get("format", 1)) is not int or not isinstance(agent.get("options", {}), dict):
        raise ValueError("its agent.json says something else")
    if version > FORMAT:
        raise ValueError(f"its format {version} is newer than this package's")
    if "format" in agent:
        options, counters = agent["options"], agent["counters"]
        states = _read_msgpack(_member(archive, STATES)) if sbx else None
    else:
        options, counters, states = read_legacy(_member(archive, "data"), sbx)
    if not sbx:
        states = {
            name.removesuffix(".pth"): load_tensors(io.BytesIO(_member(archive, name)))
            for name in names
            if name.endswith(".pth")
        }
    unknown = set(options) - {*NETWORK_OPTIONS, "ent_coef"}
    if unknown or not isinstance(states, dict) or not all(isinstance(counters.get(name, 0), int) for name in COUNTERS):
        raise ValueError(f"its contents are others: {', '.join(sorted(unknown)) or 'states or counters'}")
    size = sum(info.file_size for info in archive.infolist())
    check_contents({"state_dict": _tensors([states, normalizer], {})}, size)
    digest = agent.pop("sha256", None)
    if version >= 3 or digest is not None:
        members = {name: _member(archive, name) for name in names if name != AGENT}
        if digest != _digest(agent, members):
            raise ValueError("its checksum is not that of its contents: it was changed or damaged")
    training = load_tensors(io.BytesIO(_member(archive, TRAINING))) if TRAINING in names else None
    return Checkpoint(bounds, normalizer, options, counters, training, states)


def _tensors(value: Any, seen: dict[int, Any]) -> Any:
    """Nested arrays as tensors, without a copy; tuples of version 0.1 may share their entries."""
    if id(value) not in seen:
        seen[id(value)] = value  # what contains itself stays as it is
        if isinstance(value, Mapping):
            seen[id(value)] = {key: _tensors(item, seen) for key, item in value.items()}
        elif isinstance(value, (list, tuple)):
            seen[id(value)] = [_tensors(item, seen) for item in value]
        elif isinstance(value, (np.ndarray, np.generic)):
            seen[id(value)] = torch.from_numpy(np.atleast_1d(value).copy())
    return seen[id(value)]


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    """A member of a zip file.

    Raises:
        ValueError: If it is larger than any checkpoint's.
    """
    info, largest = archive.getinfo(name), LARGEST.get(Path(name).suffix, LARGEST_STATES)
    if info.file_size > largest:
        raise ValueError(f"its {name} has {info.file_size} bytes, more than {largest}")
    return archive.read(info)


class WrongAgentError(ValueError):
    """A checkpoint of another algorithm."""


def _read_msgpack(data: bytes) -> dict[str, Any]:
    from flax import serialization

    return cast(dict, serialization.msgpack_restore(data))


def _train_states(model: Any) -> Iterator[tuple[Any, str]]:
    """SBX's train states, each as the object that has it and its name there."""
    from flax.training.train_state import TrainState

    for owner in (model.policy, model):
        for name, value in vars(owner).items():
            if isinstance(value, TrainState):
                yield owner, name


def _torch_variables(model: Any) -> list[str]:
    """Stable-Baselines3's tensors that are in no state dictionary, such as the logarithm of the temperature."""
    return [name for name in model._get_torch_save_params()[1] if getattr(model, name, None) is not None]


def _random_keys(model: Any) -> dict[str, tuple[Any, str]]:
    """SBX's random states by their names in a checkpoint, each as the object that has it and its name there."""
    found = {"key": (model, "key")}
    found |= {f"policy_{key}": (model.policy, key) for key in ("key", "noise_key")}
    return {name: (owner, key) for name, (owner, key) in found.items() if getattr(owner, key, None) is not None}


def restore(model: Any, checkpoint: Checkpoint, to_learn: bool = True) -> None:
    """Put what a checkpoint holds into an agent that was built with its options.

    Args:
        model: The agent.
        checkpoint: The checkpoint.
        to_learn: Whether all is needed that learning needs, and not only what acts.

    Raises:
        ValueError: If networks or observations are of another size.
    """
    try:
        for name in COUNTERS:
            setattr(model, name, int(checkpoint.counters.get(name, 0)))
        fill = _restore_sbx if hasattr(model, "key") else _restore_sb3
        fill(model, checkpoint.states, to_learn)
    except Exception as error:  # states of another make raise nearly anything
        raise ValueError((str(error).strip().splitlines() or [type(error).__name__])[-1].strip()) from None


def _restore_sbx(model: Any, states: dict[str, Any], to_learn: bool) -> None:
    import jax.numpy as jnp

    if not to_learn:
        actor = model.policy.actor_state
        params = _filled(actor.params, states["actor_state"]["params"], "actor_state.params")
        model.policy.actor_state = actor.replace(params=params)
        return
    for owner, name in _train_states(model):
        if name not in states:
            raise ValueError(f"it has no {name}")
        setattr(owner, name, _filled(getattr(owner, name), states[name], name))
    for name, (owner, key) in _random_keys(model).items():
        if name in states:
            setattr(owner, key, jnp.asarray(states[name]))


def _restore_sb3(model: Any, states: dict[str, Any], to_learn: bool) -> None:
    if not to_learn:
        model.policy.load_state_dict(states["policy"])
        return
    parameters = {name: state for name, state in states.items() if name != "pytorch_variables"}
    model.set_parameters(parameters, exact_match=True, device=model.device)
    for name in _torch_variables(model):
        getattr(model, name).data.copy_(states["pytorch_variables"][name])


def _filled(target: Any, saved: Any, name: str) -> Any:
    """A tree of arrays, such as a train state, with those of a saved one.

    Raises:
        ValueError: If the arrays are others.
    """
    import jax.numpy as jnp
    from flax import serialization

    def fill(mine: Any, theirs: Any, where: str) -> Any:
        if isinstance(mine, dict):
            # version 0.1 has tuples, whose entries are in the order of the fields
            values = dict(zip(mine, theirs, strict=False)) if isinstance(theirs, tuple) else theirs
            if not isinstance(values, dict) or set(values) != set(mine) or len(values) != len(theirs):
                raise ValueError(f"{where} is another network, or of another optimiser")
            return {key: fill(value, values[key], f"{where}.{key}") for key, value in mine.items()}
        if mine is None and theirs is None:
            return None
        array = np.asarray(theirs)
        if array.shape != np.shape(mine) or array.dtype.kind not in "fiu":
            raise ValueError(f"{where} has shape {array.shape}, where {np.shape(mine)} is needed")
        return jnp.asarray(array, dtype=jnp.asarray(mine).dtype)

    return serialization.from_state_dict(target, fill(serialization.to_state_dict(target), saved, name))


class _Spaces(gym.Env):
    """An environment of which only the spaces are used."""

    def __init__(self, observations: int, bounds: ActionBounds) -> None:
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (observations,), np.float32)
        low, high = (np.array(x, np.float32) for x in (bounds.low, bounds.high))
        self.action_space = gym.spaces.Box(low, high)


def load_for_playback(cfg: Sb3AgentCfg, checkpoint: Checkpoint, observations: int, device: str) -> BaseAlgorithm:
    """The agent of a checkpoint, with its own networks.

    Args:
        cfg: The agent's configuration.
        checkpoint: The checkpoint.
        observations: Number of observations D.
        device: Device of Stable-Baselines3's networks.

    Raises:
        ValueError: If it cannot be loaded.
    """
    from stable_baselines3.common.vec_env import DummyVecEnv

    cfg = _with_options(cfg, checkpoint)
    if isinstance(cfg, Sb3OffPolicyCfg):
        # nothing is stored or learned
        cfg = replace(cfg, buffer_size=1, replay_ratio=None, gradient_steps=cfg.policy_delay)
    else:
        cfg = replace(cfg, n_minibatches=1)
    env = DummyVecEnv([lambda: _Spaces(observations, checkpoint.bounds)])
    model = build(cfg, env, device)
    restore(model, checkpoint, to_learn=False)
    return model


def load_for_training(
    cfg: Sb3AgentCfg, checkpoint: Checkpoint, env: VecEnv, device: str, tensorboard_log: str | None = None
) -> BaseAlgorithm:
    """The agent of a checkpoint, to go on training with the options of the configuration.

    What was learned goes on as it is: networks, temperature, PPO's noise, normaliser.

    Args:
        cfg: The configuration; its networks and optimiser must be those of the checkpoint.
        checkpoint: The checkpoint.
        env: The environment, whose normaliser takes over the checkpoint's statistics.
        device: Device of Stable-Baselines3's networks.
        tensorboard_log: Folder of TensorBoard's files.

    Raises:
        ValueError: If checkpoint and configuration do not fit each other.
    """
    normalizer = checkpoint.normalizer
    if (normalizer is not None) != isinstance(env, NormalizedVecEnv):
        have = "has a" if normalizer is not None else "has no"
        raise ValueError(f"the checkpoint {have} normaliser, other than the configuration; set agent.normalize")
    for name in NETWORK_OPTIONS:
        saved, value = checkpoint.options.get(name), getattr(cfg, name, None)
        value = list(value) if isinstance(value, tuple) else value  # as JSON has it
        if name in checkpoint.options and name not in CHANGEABLE and saved != value:
            raise ValueError(f"its {name} is not {value}; a training goes on with the one it began with, {saved}")
    if isinstance(env, NormalizedVecEnv):
        assert normalizer is not None
        env.load_state(normalizer)
    if "ent_coef" in checkpoint.options:
        began = checkpoint.options["ent_coef"]
        if began != getattr(cfg, "ent_coef", began):
            print(f"[INFO] ent_coef stays {began}, with which the training began, and not {cfg.ent_coef}")  # type: ignore[attr-defined]
        cfg = replace(cfg, ent_coef=began)
    model = build(cfg, env, device, tensorboard_log)
    restore(model, checkpoint)
    return model


def _with_options(cfg: Sb3AgentCfg, checkpoint: Checkpoint) -> Any:
    """The configuration with the options that the networks were built with."""
    return replace(cfg, **{name: value for name, value in checkpoint.options.items() if hasattr(cfg, name)})
