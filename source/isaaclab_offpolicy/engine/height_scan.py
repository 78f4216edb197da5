# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""The height scanner on a CPU: vertical rays look their triangles up in a grid.

Isaac Lab casts the scanner's 187 rays per robot through a bounding-volume hierarchy, which Warp walks on one core of a
CPU: with 256 robots a quarter of the time of a step on rough terrain. The rays are vertical and the terrain does not
move, so the few triangles below a ray are those of its cell in a horizontal grid. Each is intersected as before: the
heights are the same, but for rounding, and for the side on which a ray falls that meets an edge.

The rough tasks name :func:`height_scanner` as the scanner's ``class_type``.
"""

# a Warp kernel is no Python to a type checker
# pyright: reportGeneralTypeIssues=false, reportIndexIssue=false, reportArgumentType=false, reportAssignmentType=false, reportInvalidTypeForm=false

from __future__ import annotations

from typing import Any

import numpy as np
import warp as wp

from isaaclab.sensors import RayCaster, RayCasterCfg
from isaaclab.sensors.ray_caster.base_ray_caster import BaseRayCaster
from isaaclab.sim import SimulationContext

CELL = 0.1
"""Width of a cell [m]: that of Isaac Lab's height fields, so that a cell has a handful of triangles."""

MAX_CELLS = 2**23
"""Cells of the largest grid; wider ground has wider cells."""

EDGE = 2.0e-5
"""How far beyond an edge a triangle still counts [m]: twice the rounding of a coordinate of 100 m, so that no ray falls
between two triangles."""


class TriangleGrid:
    """The triangles of a mesh by the horizontal cells that they reach.

    Args:
        points: Vertices [m], shape [V, 3].
        faces: Indices of vertices, shape [F, 3].
        device: Warp's device.
        cell: Width of a cell [m].
    """

    def __init__(self, points: np.ndarray, faces: np.ndarray, device: str = "cpu", cell: float = CELL) -> None:
        corners = points.astype(np.float64)[faces]
        first, second, third = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        area = second[:, 0] * third[:, 1] - second[:, 1] * third[:, 0]
        longest = np.sqrt(np.maximum((second[:, :2] ** 2).sum(-1), (third[:, :2] ** 2).sum(-1)))
        seen = np.abs(area) > EDGE * longest  # a wall has no width for a vertical ray
        corners, first, second, third, area = (x[seen] for x in (corners, first, second, third, area))
        # barycentric coordinates (u, v) of (x, y): the inverse of the matrix of the two sides
        inverse = np.stack([third[:, 1], -third[:, 0], -second[:, 1], second[:, 0]], axis=-1) / area[:, None]
        margin = EDGE * np.sqrt(np.maximum((inverse[:, :2] ** 2).sum(-1), (inverse[:, 2:] ** 2).sum(-1)))
        rows = np.concatenate([first, inverse, second[:, 2:], third[:, 2:], margin[:, None]], axis=-1)
        low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
        self.cell = max(cell, float(np.sqrt(np.prod(high - low) / MAX_CELLS)))
        low = low - 0.5 * self.cell  # edges of height fields in the middle of cells: each triangle reaches four of them
        self.shape = tuple(int(n) for n in np.ceil((high - low) / self.cell).astype(int) + 1)
        self.origin = wp.vec2f(*low)
        start, triangle = _by_cell(corners[..., :2] - low, self.cell, self.shape)
        self.start = wp.array(start, dtype=wp.int32, device=device)
        self.triangle = wp.array(triangle, dtype=wp.int32, device=device)
        self.rows = wp.array(rows, dtype=wp.float32, device=device)
        self.device = device

    def cast(self, starts: wp.array, mask: wp.array, max_distance: float, hits: wp.array) -> None:
        """Cast rays straight down.

        Args:
            starts: Where they start [m], ``vec3f`` of shape [N, R].
            mask: Which environments to cast, shape [N].
            max_distance: Length of a ray [m].
            hits: Filled with the highest point of the mesh below each start [m], or inf, ``vec3f`` of shape [N, R].
        """
        grid = [self.start, self.triangle, self.rows, self.origin, self.cell, *self.shape]
        wp.launch(
            _cast_down, dim=starts.shape, inputs=[*grid, mask, starts, max_distance], outputs=[hits], device=self.device
        )


def _by_cell(corners: np.ndarray, cell: float, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Triangles in order of the cells that their bounding boxes reach.

    Args:
        corners: Corners from the grid's origin [m], shape [F, 3, 2].
        cell: Width of a cell [m].
        shape: Numbers of cells.

    Returns:
        Where each cell's triangles start, shape [cells + 1], and the triangles' numbers.
    """
    low = np.floor((corners.min(axis=1) - EDGE) / cell).astype(np.int64).clip(0)
    high = np.floor((corners.max(axis=1) + EDGE) / cell).astype(np.int64).clip(None, np.array(shape) - 1)
    width = high - low + 1
    count = width.prod(axis=-1)
    triangle = np.repeat(np.arange(len(corners)), count)
    place = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    column = low[triangle, 0] + place // width[triangle, 1]
    row = low[triangle, 1] + place % width[triangle, 1]
    cells = column * shape[1] + row
    order = np.argsort(cells, kind="stable")
    start = np.zeros(shape[0] * shape[1] + 1, dtype=np.int64)
    start[1:] = np.cumsum(np.bincount(cells, minlength=len(start) - 1))
    return start, triangle[order]


@wp.kernel(enable_backward=False)
def _cast_down(
    start: wp.array(dtype=wp.int32),
    triangle: wp.array(dtype=wp.int32),
    rows: wp.array2d(dtype=wp.float32),
    origin: wp.vec2f,
    cell: float,
    columns: int,
    lines: int,
    mask: wp.array(dtype=wp.bool),
    starts: wp.array2d(dtype=wp.vec3f),
    max_distance: float,
    hits: wp.array2d(dtype=wp.vec3f),
) -> None:
    env, ray = wp.tid()
    if not mask[env]:
        return
    at = starts[env, ray]
    hits[env, ray] = wp.vec3f(wp.inf, wp.inf, wp.inf)
    i = int(wp.floor((at[0] - origin[0]) / cell))
    j = int(wp.floor((at[1] - origin[1]) / cell))
    if i < 0 or j < 0 or i >= columns or j >= lines:
        return
    highest = float(-wp.inf)
    for k in range(start[i * lines + j], start[i * lines + j + 1]):
        t = triangle[k]
        x = at[0] - rows[t, 0]
        y = at[1] - rows[t, 1]
        u = rows[t, 3] * x + rows[t, 4] * y
        v = rows[t, 5] * x + rows[t, 6] * y
        margin = rows[t, 9]
        if u >= -margin and v >= -margin and u + v <= 1.0 + margin:
            z = rows[t, 2] + u * rows[t, 7] + v * rows[t, 8]
            if z <= at[2]:
                highest = wp.max(highest, z)
    if at[2] - highest <= max_distance:
        hits[env, ray] = wp.vec3f(at[0], at[1], highest)


class _CastsDown(BaseRayCaster):
    """Mixed into an engine's ray caster: rays that are vertical go through a :class:`TriangleGrid`."""

    grid: TriangleGrid | None = None

    def _initialize_rays_impl(self) -> None:
        super()._initialize_rays_impl()
        down = np.array([0.0, 0.0, -1.0])
        directions = self.ray_directions.warp.numpy()
        if self.cfg.ray_alignment == "base" or np.abs(directions - down).max() > 1.0e-6:
            return
        mesh = BaseRayCaster.meshes[(self.cfg.mesh_prim_paths[0], self._device)]
        self.grid = TriangleGrid(mesh.points.numpy(), mesh.indices.numpy().reshape(-1, 3), self._device)

    def _update_buffers_impl(self, env_mask: wp.array) -> None:
        if self.grid is None or any(any(range_) for range_ in self.cfg.ray_cast_drift_range.values()):
            super()._update_buffers_impl(env_mask)
            return
        self._update_ray_infos(env_mask)
        self.grid.cast(self._ray_starts_w, env_mask, float(self.cfg.max_distance), self._data._ray_hits_w)


_CLASSES: dict[type, type] = {}


def height_scanner(cfg: RayCasterCfg) -> Any:
    """The engine's own ray caster, which on a CPU casts vertical rays through a grid.

    Args:
        cfg: The sensor's configuration.
    """
    engine_class: Any = RayCaster.resolve_class(cfg)
    simulation = SimulationContext.instance()
    if simulation is None or simulation.device != "cpu" or not _casts_a_mesh(engine_class):
        return engine_class(cfg)
    if engine_class not in _CLASSES:
        _CLASSES[engine_class] = type("HeightScanner", (_CastsDown, engine_class), {})
    return _CLASSES[engine_class](cfg)


def _casts_a_mesh(engine_class: type[BaseRayCaster]) -> bool:
    """Whether an engine's ray caster casts against Isaac Lab's own copy of the terrain."""
    return engine_class._update_buffers_impl is BaseRayCaster._update_buffers_impl
