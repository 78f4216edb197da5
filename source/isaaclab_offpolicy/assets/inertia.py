# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Principal axes of an inertia tensor, the same on every machine."""

from __future__ import annotations

import itertools

import numpy as np

EQUAL_MOMENTS = 1.0e-6
"""Principal moments that differ by less than this fraction of the largest one are equal."""


def principal_axes(inertia: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Principal moments and axes of an inertia, the same on every machine.

    An eigendecomposition leaves order and signs of the axes open and, where moments are equal, the axes themselves:
    what it returns depends on the machine's LAPACK. Here the axes are those nearest to the body's own.

    Args:
        inertia: Inertia tensor along the body's axes [kg·m²], shape (3, 3), symmetric.

    Returns:
        Moments [kg·m²], shape (3,), and a rotation whose columns are their axes, shape (3, 3).
    """
    moments, axes = np.linalg.eigh(inertia)  # ascending
    close = np.diff(moments) <= EQUAL_MOMENTS * moments[-1]
    if close.all():
        return np.full(3, moments.mean()), np.eye(3)
    if close.any():
        single = 2 if close[0] else 0
        pair = [i for i in range(3) if i != single]
        moments[pair] = moments[pair].mean()
        axis = axes[:, single]
        # in the plane of the equal moments: the projection of the body's axis that lies closest to it
        first = np.eye(3)[_first_largest(-np.abs(axis))]
        first = first - axis * (axis @ first)
        axes[:, pair[0]] = first / np.linalg.norm(first)
        axes[:, pair[1]] = np.cross(axis, axes[:, pair[0]])
    for column in axes.T:
        column *= np.sign(column[_first_largest(np.abs(column))])
    turned = [
        (list(order), axes[:, list(order)] * signs)
        for order in itertools.permutations(range(3))
        for signs in itertools.product((1.0, -1.0), repeat=3)
    ]
    right_handed = [(order, rotation) for order, rotation in turned if np.linalg.det(rotation) > 0.0]
    order, rotation = right_handed[_first_largest(np.array([np.trace(rotation) for _, rotation in right_handed]))]
    return moments[order], rotation


def _first_largest(values: np.ndarray) -> int:
    """Index of the first value that is the largest but for rounding."""
    return int(np.argmax(values >= values.max() - 1.0e-6))
