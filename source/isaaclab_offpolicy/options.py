# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Types of command-line arguments."""

from __future__ import annotations

import argparse
import math
import re


def duration(text: str) -> float:
    """Seconds of a duration such as ``90s``, ``10m`` or ``1.5h``; the unit is needed."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh])", text.strip())
    if not match or float(match[1]) <= 0.0:
        raise argparse.ArgumentTypeError(f"'{text}' is not a duration; write 90s, 10m or 1.5h")
    return float(match[1]) * {"s": 1.0, "m": 60.0, "h": 3600.0}[match[2]]


def positive_int(text: str) -> int:
    """A whole number above zero."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number above zero")
    return int(text)


def duration_or_off(text: str) -> float:
    """As :func:`duration`; infinite for ``off``."""
    return math.inf if text.strip() == "off" else duration(text)


def count(text: str) -> int:
    """A whole number from zero on."""
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from zero on")
    return int(text)
