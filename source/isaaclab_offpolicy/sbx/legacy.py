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

    def __new__(cls, *args: Any, **kwargs: Any) -> Record:
        """Keep the arguments."""
        self = super().__new__(cls)
        self.args, self.state, self.items = args, None, {}
        return self

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __call__(self, *args: Any) -> Record:
        """What a made function or class would give is a record as well."""
        return Record(*args)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.items[key] = value

    def append(self, value: Any) -> None:
        """Entries of a list that a pickle fills are not needed."""

    def extend(self, values: Any) -> None:
        """As :meth:`append`."""

    def add(self, value: Any) -> None:
        """As :meth:`append`."""

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


def read_pickle(data: bytes) -> Any:
    """Contents of a pickle: plain values, containers, arrays, and tuples in place of named tuples and other objects.

    Raises:
        pickle.UnpicklingError: If it names something that no checkpoint of version 0.1 names.
    """
    return _plain(_Unpickler(data).load(), {})


def _plain(value: Any, seen: dict[int, Any]) -> Any:
    if id(value) in seen:
        return seen[id(value)]
    seen[id(value)] = value  # what contains itself stays a record
    result = value
    if isinstance(value, dict):
        result = {_key(key): _plain(entry, seen) for key, entry in value.items()}
    elif isinstance(value, (list, tuple)):
        result = type(value)(_plain(entry, seen) for entry in value) if type(value) in (list, tuple) else value
    elif isinstance(value, Record):
        result = _object(value, seen)
    seen[id(value)] = result
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
    return np.frombuffer(data, kind).reshape(shape, order="F" if fortran else "C").copy()


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
    options = {name: kwargs[name] for name in ("layer_norm", "n_critics") if name in kwargs}
    layers = kwargs["net_arch"]
    options["net_arch"] = layers["pi"] if isinstance(layers, dict) else layers
    if "top_quantiles_to_drop_per_net" in saved:
        options["top_quantiles_to_drop_per_net"] = saved["top_quantiles_to_drop_per_net"]
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
