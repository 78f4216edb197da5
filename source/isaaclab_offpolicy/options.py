# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Types and ranges of options, on the command line and in configurations."""

from __future__ import annotations

import argparse
import dataclasses
import math
import re
import sys
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, NoReturn, Union, get_args, get_origin

from isaaclab_offpolicy.errors import ConfigError


class Parser(argparse.ArgumentParser):
    """A parser that knows no abbreviations, and says in one line what is wrong."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **options})

    def error(self, message: str) -> NoReturn:
        """Raise a :class:`~.errors.ConfigError`."""
        raise ConfigError(f"{message.removeprefix('argument ')} ({self.prog} --help tells the options)")


def duration(text: str) -> float:
    """Seconds of a duration such as ``90s``, ``10m`` or ``1.5h``; the unit is needed."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh])", text.strip())
    if not match or float(match[1]) <= 0.0:
        raise argparse.ArgumentTypeError(f"'{text}' is not a duration; write 90s, 10m or 1.5h")
    return float(match[1]) * {"s": 1.0, "m": 60.0, "h": 3600.0}[match[2]]


class Range(NamedTuple):
    """What a number may be; it is finite in any case."""

    low: float = -math.inf
    """Smallest value."""

    high: float = math.inf
    """Largest value."""

    above: bool = False
    """Whether it is larger than ``low``."""

    def has(self, value: float) -> bool:
        """Whether a number is within."""
        return math.isfinite(value) and self.low <= value <= self.high and not (self.above and value == self.low)

    def describe(self, whole: bool = False) -> str:
        """In words, such as ``a number from 0 to 1``."""
        kind = "a whole number" if whole else "a number"
        if math.isinf(self.low):
            return kind
        if (self.low == 0 and self.above) or (self.low == 1 and whole and math.isinf(self.high)):
            return f"{kind} above zero" + ("" if math.isinf(self.high) else f", up to {self.high:g}")
        limit = "on" if math.isinf(self.high) else f"to {self.high:.12g}"
        return f"{kind} from {self.low:g} {limit}"


ANY, WHOLE, POSITIVE, NOT_NEGATIVE, FRACTION = Range(), Range(1), Range(0, above=True), Range(0), Range(0, 1)

SEED = Range(-1, 2**32 - 1)
"""Of numpy; -1 draws one."""

RANGES: dict[str, Range] = {
    **dict.fromkeys(
        ("buffer_size", "batch_size", "train_freq", "policy_delay", "n_steps", "noise_hold", "learner_threads",
         "n_critics", "hidden_dims", "net_arch", "num_steps_per_env", "max_iterations", "total_timesteps",
         "save_interval", "log_interval", "keep_checkpoints", "num_learning_epochs", "num_mini_batches",
         "eval_episodes", "atoms", "n_epochs", "n_minibatches", "rnn_hidden_dim", "rnn_num_layers",
         "algorithm.gradient_steps"), WHOLE,
    ),
    **dict.fromkeys(
        ("learning_rate", "replay_ratio", "replay_ratio_end", "replay_recency", "max_grad_norm", "init_std",
         "init_noise_std", "action_bounds",
         "action_bounds_scale", "percentile_bounds_scale", "clip_obs", "clip_actions", "clip_param", "clip_range",
         "desired_kl", "target_kl", "std_range", "step_limit"), POSITIVE,
    ),
    **dict.fromkeys(
        ("learning_starts", "actor_learning_starts", "schedule_steps", "eval_interval", "actor_learning_rate",
         "learning_rate_end", "weight_decay", "ent_coef", "entropy_coef", "value_loss_coef", "init_output_scale",
         "noise_scale", "max_replay_file_gb", "top_quantiles_to_drop_per_net", "critic.drop"), NOT_NEGATIVE,
    ),
    **dict.fromkeys(("gamma", "lam", "gae_lambda", "max_nonfinite"), FRACTION),
    "tau": Range(0, 1, above=True), "replay_newest": Range(0, 1, above=True),
    "learning_rate_end_fraction": Range(0, 1, above=True),
    "gradient_steps": Range(-1), "sde_sample_freq": Range(-1), "seed": SEED,
}  # fmt: skip
"""Ranges of the agents' numbers, of the elements where there are several, by the end of the option's path."""

ENV_RANGES: dict[str, Range] = {
    **dict.fromkeys(
        ("decimation", "scene.num_envs", "sim.render_interval", "num_substeps", "num_rows", "num_cols"), WHOLE
    ),
    **dict.fromkeys(("episode_length_s", "sim.dt", "horizontal_scale", "vertical_scale"), POSITIVE),
    **dict.fromkeys(("env_spacing", "history_length", "max_init_terrain_level"), NOT_NEGATIVE),
    **dict.fromkeys(("rel_standing_envs", "rel_heading_envs"), FRACTION),
    "seed": SEED,
}
"""Ranges of what people change in environments, as of :data:`RANGES`."""


def range_of(path: str, ranges: Mapping[str, Range] = RANGES) -> Range:
    """The range of an option: that of the longest end of its path which has one."""
    parts = path.split(".")
    ends = (".".join(parts[first:]) for first in range(len(parts)))
    return next((ranges[end] for end in ends if end in ranges), ANY)


def wanted(value: Any, hint: Any, limits: Range = ANY) -> str | None:
    """What a value should be, in words; None if it is, or nothing is known of it.

    Args:
        value: The value.
        hint: Its type, as an annotation says it; None if nobody does.
        limits: Its range, or that of its elements.
    """
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        found = [wanted(value, part, limits) for part in args]
        return None if None in found else " or ".join(dict.fromkeys(text for text in found if text))
    if origin is Literal:
        # Isaac Lab reads none as None
        return None if value in args or (value is None and "none" in args) else f"one of {', '.join(map(str, args))}"
    if origin in (list, tuple):
        return _wanted_sequence(value, args, origin is tuple and Ellipsis not in args, limits)
    if hint in (int, float):
        kinds = int if hint is int else (int, float)
        good = isinstance(value, kinds) and not isinstance(value, bool) and limits.has(value)
        return None if good else limits.describe(hint is int)
    if hint is NoneType:
        return None if value is None else "none"
    names = {bool: "true or false", str: "text"}
    return names[hint] if hint in names and not isinstance(value, hint) else None


def _wanted_sequence(value: Any, args: tuple[Any, ...], fixed: bool, limits: Range) -> str | None:
    """As :func:`wanted`, for lists and tuples."""
    element = wanted(object(), args[0], limits) if args else None
    elements = (
        element.replace("a whole number", "whole numbers").replace("a number", "numbers") if element else "values"
    )
    text = f"a list of {len(args)} {elements}" if fixed else f"a list of {elements}"
    if not isinstance(value, (list, tuple)) or (fixed and len(value) != len(args)):
        return text
    hints = args if fixed else args[:1] * len(value)
    return text if any(wanted(item, hint, limits) for item, hint in zip(value, hints, strict=True)) else None


def hint_of(node: Any, name: str) -> Any:
    """The type of a field as its class says it; None where that cannot be told."""
    for base in type(node).__mro__:
        hint = vars(base).get("__annotations__", {}).get(name)
        if not isinstance(hint, str):
            if hint is not None:
                return hint
            continue
        try:
            return eval(hint, {**vars(sys.modules[base.__module__]), **vars(base)})
        except (NameError, AttributeError, TypeError):
            continue  # a name that only type checkers see, or that a base class' module has
    return None


def check_config(node: Any, path: str = "", ranges: Mapping[str, Range] = RANGES) -> None:
    """Check types and ranges of a configuration, with all that is in it.

    Args:
        node: A configuration class' instance.
        path: Where it is, such as ``agent``.
        ranges: Ranges by the end of the path.

    Raises:
        ValueError: With the option's path, what it is, and what it should be.
    """
    for field in dataclasses.fields(node):
        value, where = getattr(node, field.name), f"{path}.{field.name}".lstrip(".")
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            check_config(value, where, ranges)
        elif not isinstance(value, type(dataclasses.MISSING)):  # of which a copy is another one
            check_value(value, hint_of(node, field.name), where, ranges)


def check_value(value: Any, hint: Any, path: str, ranges: Mapping[str, Range] = RANGES) -> None:
    """Check an option's type and range.

    Raises:
        ValueError: With the option's path, what it is, and what it should be.
    """
    text = wanted(value, hint, range_of(path, ranges))
    if text is not None:
        whole = isinstance(value, float) and value.is_integer() and "whole" in text
        raise ValueError(f"{path} is {text}, not {value!r}" + (f"; write {int(value)}" if whole else ""))
    pair = isinstance(value, (list, tuple)) and len(value) == 2 and not wanted(value, tuple[float, float])
    if pair and re.search(r"ranges?(\.\w+)?$", path) and value[0] > value[1]:
        raise ValueError(f"{path} is a smallest and a largest value, not {value!r}")


def _number(text: str, limits: Range, whole: bool) -> Any:
    """A number of the command line."""
    try:
        value = int(text) if whole else float(text)
    except ValueError:
        value = math.nan
    if not limits.has(value):
        raise argparse.ArgumentTypeError(f"'{text}' is not {limits.describe(whole)}")
    return value


def positive_int(text: str) -> int:
    """A whole number above zero."""
    return _number(text, WHOLE, True)


def positive_float(text: str) -> float:
    """A number above zero."""
    return _number(text, POSITIVE, False)


def share(text: str) -> float:
    """A number from 0 to 1."""
    return _number(text, FRACTION, False)


def seed_number(text: str) -> int:
    """A seed; -1 draws one."""
    return _number(text, SEED, True)


def duration_or_off(text: str) -> float:
    """As :func:`duration`; infinite for ``off``."""
    return math.inf if text.strip() == "off" else duration(text)


def count(text: str) -> int:
    """A whole number from zero on."""
    return _number(text, NOT_NEGATIVE, True)
