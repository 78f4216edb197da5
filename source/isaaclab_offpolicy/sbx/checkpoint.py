# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Checkpoints of SBX's and Stable-Baselines3's agents: tensors and plain values, nothing that could run.

A checkpoint is a zip file. ``agent.json`` says whose it is and how far it came, ``bounds.yaml`` and ``normalizer.npz``
what is around the networks; the networks and optimisers are Flax's msgpack (``states.msgpack``) or torch's state
dictionaries (``*.pth``). Stable-Baselines3's own ``save`` pickles whole objects, and its ``load`` runs whatever such a
file says. Checkpoints of version 0.1 were written by it; :mod:`.legacy` reads them without running them.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch
import yaml
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from isaaclab.utils import replace

from isaaclab_offpolicy.action_bounds import ActionBounds

from .cfg import Sb3AgentCfg, Sb3OffPolicyCfg
from .collection import base_env
from .legacy import read_legacy
from .models import build
from .vec_env import NormalizedVecEnv

AGENT, BOUNDS, NORMALIZER, STATES = "agent.json", "bounds.yaml", "normalizer.npz", "states.msgpack"
"""Members of a checkpoint; those of Stable-Baselines3's agents are ``*.pth`` in place of the last one."""

FORMAT = 2
"""Format of a checkpoint; version 0.1 of this package wrote none."""

NETWORK_OPTIONS = (
    "net_arch", "activation", "optimizer", "layer_norm", "n_critics", "top_quantiles_to_drop_per_net", "use_sde",
)  # fmt: skip
"""Options that the networks were built with; a policy is played with those of its checkpoint."""

CHANGEABLE = ("use_sde",)
"""Those that may change when a training goes on."""

COUNTERS = ("num_timesteps", "_n_updates", "_episode_num")
"""Stable-Baselines3's counters that go on."""

_UNREADABLE = (
    ValueError, TypeError, KeyError, AttributeError, IndexError, OSError, EOFError, RuntimeError, NotImplementedError,
    pickle.UnpicklingError, zipfile.BadZipFile, zlib.error, yaml.YAMLError,
)  # fmt: skip
"""What reading a broken file may raise."""


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

    states: Any
    """Of SBX nested dictionaries of arrays by the name of a train state, of Stable-Baselines3 state dictionaries."""


def save_checkpoint(model: BaseAlgorithm, cfg: Sb3AgentCfg, path: str | Path) -> None:
    """Write a checkpoint.

    It is written beside its final name and renamed, so that an earlier one survives whatever happens.

    Raises:
        OSError: If it cannot be written.
    """
    path, env = Path(path), model.get_env()
    assert env is not None
    normalizer = env.state() if isinstance(env, NormalizedVecEnv) else None
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        with zipfile.ZipFile(temporary, "w") as archive:
            write_checkpoint(archive, model, cfg, base_env(env).bounds, normalizer)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_checkpoint(
    archive: zipfile.ZipFile,
    model: BaseAlgorithm,
    cfg: Sb3AgentCfg,
    bounds: ActionBounds,
    normalizer: dict[str, np.ndarray] | None,
) -> None:
    """Write the members of a checkpoint.

    Args:
        archive: The open zip file.
        model: The agent.
        cfg: Its configuration.
        bounds: Bounds of the policy.
        normalizer: Statistics of the observations, as of :meth:`NormalizedVecEnv.state`.
    """
    options = {name: getattr(cfg, name) for name in (*NETWORK_OPTIONS, "ent_coef") if hasattr(cfg, name)}
    counters = {name: int(getattr(model, name)) for name in COUNTERS}
    agent = {"format": FORMAT, "library": cfg.library, "algorithm": cfg.algorithm}
    archive.writestr(AGENT, json.dumps({**agent, "options": options, "counters": counters}))
    archive.writestr(BOUNDS, yaml.safe_dump(bounds.to_dict(), sort_keys=False))
    if normalizer is not None:
        buffer = io.BytesIO()
        np.savez(buffer, **normalizer)  # type: ignore[arg-type]
        archive.writestr(NORMALIZER, buffer.getvalue())
    if cfg.library == "sbx":
        from flax import serialization

        states = {name: getattr(owner, name) for owner, name in _train_states(model)}
        archive.writestr(STATES, serialization.to_bytes({**states, "key": model.key}))  # type: ignore[attr-defined]
        return
    variables = {name: getattr(model, name).detach() for name in _torch_variables(model)}
    for name, value in {**model.get_parameters(), "pytorch_variables": variables}.items():
        with archive.open(f"{name}.pth", "w", force_zip64=True) as file:
            torch.save(value, file)


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
            names = archive.namelist()
            agent = json.loads(archive.read(AGENT))
            if (agent["library"], agent["algorithm"]) != (cfg.library, cfg.algorithm):
                raise WrongAgentError(
                    f"a checkpoint of {agent['library']}'s {agent['algorithm']}, not of {cfg.library}'s {cfg.algorithm}"
                )
            bounds = ActionBounds.from_dict(yaml.safe_load(archive.read(BOUNDS)))
            normalizer = None
            if NORMALIZER in names:
                normalizer = dict(np.load(io.BytesIO(archive.read(NORMALIZER)), allow_pickle=False))
            if agent.get("format", 1) > FORMAT:
                raise ValueError(f"its format {agent['format']} is newer than this package's")
            if "format" in agent:
                options, counters = agent["options"], agent["counters"]
                states = _read_msgpack(archive.read(STATES)) if cfg.library == "sbx" else None
            else:
                options, counters, states = read_legacy(archive.read("data"), cfg.library == "sbx")
            if cfg.library == "sb3":
                states = {
                    name.removesuffix(".pth"): torch.load(
                        io.BytesIO(archive.read(name)), map_location="cpu", weights_only=True
                    )
                    for name in names
                    if name.endswith(".pth")
                }
            return Checkpoint(bounds, normalizer, options, counters, states)
    except WrongAgentError:
        raise
    except _UNREADABLE as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ValueError(f"not a checkpoint of SBX or Stable-Baselines3: {reason}") from None


class WrongAgentError(ValueError):
    """A checkpoint of another algorithm."""


def _read_msgpack(data: bytes) -> dict[str, Any]:
    from flax import serialization

    return serialization.msgpack_restore(data)


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


def restore(model: Any, checkpoint: Checkpoint) -> None:
    """Put what a checkpoint holds into an agent that was built with its options.

    Raises:
        ValueError: If networks or observations are of another size.
    """
    for name in COUNTERS:
        setattr(model, name, int(checkpoint.counters.get(name, 0)))
    states = checkpoint.states
    if hasattr(model, "key"):
        import jax.numpy as jnp

        for owner, name in _train_states(model):
            setattr(owner, name, _filled(getattr(owner, name), states.get(name), name))
        if "key" in states:
            model.key = jnp.asarray(states["key"])
        return
    variables = states.pop("pytorch_variables", None) or {}
    try:
        model.set_parameters(states, exact_match=True, device=model.device)
        for name in _torch_variables(model):
            getattr(model, name).data.copy_(variables[name])
    except (RuntimeError, ValueError, KeyError) as error:
        raise ValueError(str(error).strip().splitlines()[-1].strip()) from None


def _filled(target: Any, saved: Any, name: str) -> Any:
    """A train state with the arrays of a saved one.

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

    if saved is None:
        raise ValueError(f"it has no {name}")
    return serialization.from_state_dict(target, fill(serialization.to_state_dict(target), saved, name))


class _Spaces(gym.Env):
    """An environment of which only the spaces are used."""

    def __init__(self, observations: int, bounds: ActionBounds) -> None:
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (observations,), np.float32)
        self.action_space = gym.spaces.Box(*(np.array(x, np.float32) for x in (bounds.low, bounds.high)))


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
    env = DummyVecEnv([lambda: _Spaces(observations, checkpoint.bounds)])
    options = {} if isinstance(cfg, Sb3OffPolicyCfg) else {"n_minibatches": 1}
    model = build(replace(cfg, **options), env, device)
    restore(model, checkpoint)
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
        if name in checkpoint.options and name not in CHANGEABLE and saved != value:
            raise ValueError(f"its {name} is not {value}; a training goes on with the one it began with, {saved}")
    if isinstance(env, NormalizedVecEnv):
        assert normalizer is not None
        env.load_state(normalizer)
    if "ent_coef" in checkpoint.options:
        cfg = replace(cfg, ent_coef=checkpoint.options["ent_coef"])
    model = build(cfg, env, device, tensorboard_log)
    restore(model, checkpoint)
    return model


def _with_options(cfg: Sb3AgentCfg, checkpoint: Checkpoint) -> Any:
    """The configuration with the options that the networks were built with."""
    known = {name: value for name, value in checkpoint.options.items() if hasattr(cfg, name)}
    return replace(cfg, **known)
