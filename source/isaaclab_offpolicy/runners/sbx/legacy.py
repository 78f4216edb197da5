# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Reads the arrays in checkpoints of version 0.1, which are pickles, without importing or calling what these name.

A pickle is a program whose instructions name functions to call. Here every name becomes a :class:`Record`, which only
keeps what it would have been called with. Arrays are then found by the names of what would have made them.
"""

from __future__ import annotations

import base64
import io
import json
import pickle
import pickletools
from collections import deque
from typing import Any

import numpy as np

PACKAGES = {
    "_functools", "_operator", "cloudpickle", "collections", "flax", "functools", "gymnasium", "inspect",
    "isaaclab_offpolicy", "jax", "jaxlib", "numpy", "operator", "optax", "sbx", "stable_baselines3",
    "tensorflow_probability", "tfp_nightly", "torch", "types", "typing",
}  # fmt: skip
"""Packages that a checkpoint of version 0.1 names."""

BUILTINS = {
    "Ellipsis", "NotImplemented", "NotImplementedType", "bool", "bytes", "complex", "dict", "ellipsis", "float",
    "frozenset", "int", "list", "object", "property", "set", "slice", "str", "tuple", "type",
}  # fmt: skip
"""Built-in names among them."""


class Record:
    """What a pickle would have made: a name, arguments, and a state; never more than data."""

    name = ""
    args: tuple[Any, ...]
    state: Any

    def __new__(cls, *args: Any, **kwargs: Any) -> Record:
        """Keep the arguments."""
        self = super().__new__(cls)
        self.args, self.state = args, None
        return self

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __call__(self, *args: Any) -> Record:
        """What a made function or class would give is a record as well."""
        return Record(*args)

    def __setitem__(self, key: Any, value: Any) -> None:
        """Entries that a pickle fills are not needed."""

    def append(self, value: Any) -> None:
        """As :meth:`__setitem__`."""

    def extend(self, values: Any) -> None:
        """As :meth:`__setitem__`."""

    def add(self, value: Any) -> None:
        """As :meth:`__setitem__`."""

    def __hash__(self) -> int:
        return id(self)


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data))
        self.kinds: dict[str, type[Record]] = {}

    def find_class(self, module: str, name: str) -> type[Record]:
        full, package = f"{module}.{name}", module.partition(".")[0]
        if package not in PACKAGES and not (module == "builtins" and name in BUILTINS):
            raise pickle.UnpicklingError(f"it would call {full}; refused")
        if full not in self.kinds:
            self.kinds[full] = type("Record", (Record,), {"name": full})
        return self.kinds[full]


NESTED = 64
"""Tuples within one another that a checkpoint has by far not; a million of them would overflow the stack."""


def read_pickle(data: bytes) -> Any:
    """Contents of a pickle: plain values, containers, arrays, and tuples in place of named tuples and other objects.

    Raises:
        pickle.UnpicklingError: If it names something that no checkpoint of version 0.1 names, or would take more memory
            than its size explains.
    """
    return _plain(_records(data), {})


def _records(data: bytes) -> Any:
    """Contents of a pickle with a :class:`Record` in place of everything that it names."""
    run = 0
    for opcode, argument, _ in pickletools.genops(data):
        run = run + 1 if opcode.name.startswith("TUPLE") else 0
        # the unpickler makes room up to the largest index
        if run > NESTED or ("PUT" in opcode.name and int(argument or 0) > len(data)):
            raise pickle.UnpicklingError(f"no checkpoint has {opcode.name} like this; refused")
    return _Unpickler(data).load()


def _plain(value: Any, seen: dict[int, tuple[Any, Any]]) -> Any:
    """Records and what contains them as plain values.

    Args:
        value: What a pickle holds.
        seen: By identity, what was seen (which keeps it alive) and what became of it.
    """
    if id(value) in seen:
        return seen[id(value)][1]
    seen[id(value)] = value, value  # what contains itself stays a record
    result = value
    if isinstance(value, dict):
        result = {_key(key): _plain(entry, seen) for key, entry in value.items()}
    elif isinstance(value, (list, tuple)):
        result = type(value)(_plain(entry, seen) for entry in value) if type(value) in (list, tuple) else value
    elif isinstance(value, Record):
        result = _object(value, seen)
    seen[id(value)] = value, result
    return result


def _key(key: Any) -> Any:
    return key.name if isinstance(key, Record) else key


def _object(record: Record, seen: dict[int, Any]) -> Any:
    name, args, state = record.name, record.args, record.state
    if name in ("numpy._core.multiarray._reconstruct", "numpy.core.multiarray._reconstruct"):
        _, shape, dtype, fortran, data = state  # type: ignore[misc]
        return _array(data, dtype, shape, fortran)
    if name in ("numpy._core.multiarray.scalar", "numpy.core.multiarray.scalar"):
        return _array(args[1], args[0], (), False)
    if name == "jax._src.array._reconstruct_array":
        # (function, arguments, state) of numpy's, and JAX's own
        _, shape, dtype, fortran, data = args[2]
        return _array(data, dtype, shape, fortran)
    if name == "flax.core.frozen_dict.FrozenDict":
        contents = args[0] if args and isinstance(args[0], dict) else (state or {}).get("_dict", {})
        return _plain(contents, seen)
    if isinstance(state, dict):
        return _plain(state, seen)
    if isinstance(state, tuple) and len(state) == 2 and all(isinstance(part, dict | None) for part in state):
        # attributes, and those in slots
        return _plain({**(state[0] or {}), **(state[1] or {})}, seen)
    return tuple(_plain(entry, seen) for entry in args)


def _array(data: Any, dtype: Any, shape: Any, fortran: Any) -> np.ndarray:
    """An array of numbers from its bytes.

    Raises:
        ValueError: If they are not numbers, or not as many as the shape says.
    """
    kind = np.dtype(dtype.args[0])
    if kind.kind not in "fiub" or not isinstance(data, bytes):
        raise ValueError("an array that does not hold numbers")
    return np.frombuffer(data, kind).reshape(shape, order="F" if fortran else "C")


ACTIVATIONS = (
    "celu", "elu", "gelu", "hard_tanh", "leaky_relu", "leakyrelu", "mish", "relu", "relu6", "selu", "sigmoid", "silu",
    "softplus", "swish", "tanh",
)  # fmt: skip
OPTIMIZERS = ("adam", "adamw")
"""Names that a network's activation and optimiser may have, in lower case."""

NAMED = (("activation", "activation_fn", ACTIVATIONS), ("optimizer", "optimizer_class", OPTIMIZERS))
"""Options of networks that are functions or classes there, with Stable-Baselines3's names of them."""

KWARGS = ("layer_norm", "n_critics", "top_quantiles_to_drop_per_net")
"""Options of networks that Stable-Baselines3 keeps as plain values."""


def _name_of(value: Any, known: tuple[str, ...]) -> str:
    """Name of the function or class that a record stands for: the nearest one that is known.

    Raises:
        ValueError: If it has none of these names.
    """
    pending, seen = deque([value]), set()
    while pending:
        entry, name = pending.popleft(), None
        if id(entry) in seen:
            continue
        seen.add(id(entry))
        if isinstance(entry, type) and issubclass(entry, Record):
            name = entry.name.rpartition(".")[2]
        elif isinstance(entry, Record):
            pending += [entry.args, entry.state]
        elif isinstance(entry, dict):
            # a function of JAX's, or of Python
            name = entry.get("function_name") or entry.get("__name__")
            pending += entry.values()
        elif isinstance(entry, (list, tuple)):
            pending += entry
        if isinstance(name, str) and name.lower() in known:
            return name.lower()
    raise ValueError(f"a function that is none of {', '.join(known)}")


STATES = ("actor_state", "qf_state", "qf1_state", "qf2_state", "vf_state")
"""SBX's train states in its policies."""

FIELDS = ("step", "params", "opt_state", "target_params", "batch_stats")
"""Their arrays."""


def read_legacy(data: bytes, sbx: bool) -> tuple[dict[str, Any], dict[str, int], dict[str, Any]]:
    """Read what Stable-Baselines3's ``save`` wrote of an agent's objects.

    Args:
        data: The member ``data`` of the zip file.
        sbx: Whether it is an agent of SBX, whose networks are in it.

    Returns:
        Options of the networks, counters, and (of SBX) arrays by the name of a train state, as of
        :class:`~.checkpoint.Checkpoint`.

    Raises:
        ValueError: If a network is missing.
        pickle.UnpicklingError: If it names something that no such checkpoint names.
    """
    saved = json.loads(data)
    pickled = {
        name: read_pickle(base64.b64decode(value[":serialized:"]))
        for name, value in saved.items()
        if isinstance(value, dict) and ":serialized:" in value
    }
    counters = {name: saved[name] for name in ("num_timesteps", "_n_updates", "_episode_num")}
    kwargs = pickled["policy_kwargs"]
    options: dict[str, Any] = {name: kwargs[name] for name in KWARGS if name in kwargs}
    layers = kwargs["net_arch"]
    options["net_arch"] = layers["pi"] if isinstance(layers, dict) else layers
    # functions and classes, of which the names say enough
    named = _records(base64.b64decode(saved["policy_kwargs"][":serialized:"]))
    for option, kwarg, known in NAMED:
        if kwarg in named:
            options[option] = _name_of(named[kwarg], known)
    if "use_sde" in saved:
        options["use_sde"] = saved["use_sde"]
    ent_coef = saved.get("ent_coef_init", saved.get("ent_coef"))
    if isinstance(ent_coef, (str, float)):
        options["ent_coef"] = ent_coef
    if not sbx:
        return options, counters, {}
    owners = {**{name: pickled["policy"].get(name) for name in STATES}, "ent_coef_state": pickled.get("ent_coef_state")}
    states = {
        name: {field: state[field] for field in FIELDS if field in state} for name, state in owners.items() if state
    }
    if "actor_state" not in states:
        raise ValueError("it has no actor")
    if "key" in pickled:
        states["key"] = pickled["key"]
    return options, counters, states
