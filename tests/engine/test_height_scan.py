# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import numpy as np
import pytest
import warp as wp

from isaaclab.terrains import TerrainGenerator
from isaaclab.terrains.config.rough import ROUGH_TERRAINS_CFG
from isaaclab.utils import replace
from isaaclab.utils.warp import convert_to_warp_mesh
from isaaclab.utils.warp.kernels import raycast_mesh_masked_kernel

from isaaclab_offpolicy.engine.height_scan import TriangleGrid

pytestmark = pytest.mark.unit


def cast_through_hierarchy(mesh: wp.Mesh, starts: np.ndarray) -> np.ndarray:
    """Heights that Isaac Lab's own kernel finds, shape [N, R]."""
    shape = starts.shape[:2]
    down = np.broadcast_to(np.array([0.0, 0.0, -1.0], dtype=np.float32), starts.shape)
    hits = wp.full(shape, wp.vec3f(wp.inf, wp.inf, wp.inf), dtype=wp.vec3f, device="cpu")
    inputs = [mesh.id, everyone(shape[0]), vectors(starts), vectors(down), 1.0e6, 0, 0, hits]
    unused = [wp.empty((1, 1), dtype=wp.float32, device="cpu"), wp.empty((1, 1), dtype=wp.vec3f, device="cpu")]
    wp.launch(raycast_mesh_masked_kernel, dim=shape, inputs=[*inputs, *unused], device="cpu")
    return hits.numpy()[..., 2]


def cast_through_grid(grid: TriangleGrid, starts: np.ndarray, max_distance: float = 1.0e6) -> np.ndarray:
    hits = wp.empty(starts.shape[:2], dtype=wp.vec3f, device="cpu")
    grid.cast(vectors(starts), everyone(len(starts)), max_distance, hits)
    found = hits.numpy()
    finite = np.isfinite(found[..., 2])
    np.testing.assert_allclose(found[finite][:, :2], starts[finite][:, :2], rtol=1.0e-6)
    return found[..., 2]


def vectors(values: np.ndarray) -> wp.array:
    return wp.array(np.ascontiguousarray(values, dtype=np.float32), dtype=wp.vec3f, device="cpu")


def everyone(count: int) -> wp.array:
    return wp.array(np.ones(count, dtype=bool), dtype=wp.bool, device="cpu")


@pytest.mark.parametrize("kind", sorted(ROUGH_TERRAINS_CFG.sub_terrains))
def test_heights_are_those_of_the_ray_caster_except_at_edges(kind: str) -> None:
    cfg = replace(ROUGH_TERRAINS_CFG, num_rows=3, num_cols=2, border_width=3.0, seed=1)
    cfg.sub_terrains = {kind: replace(cfg.sub_terrains[kind], proportion=1.0)}
    terrain = TerrainGenerator(cfg, device="cpu").terrain_mesh
    mesh = convert_to_warp_mesh(terrain.vertices, terrain.faces, device="cpu")
    grid = TriangleGrid(mesh.points.numpy(), mesh.indices.numpy().reshape(-1, 3))
    rng = np.random.default_rng(1)
    starts = np.full((50, 400, 3), 20.0, dtype=np.float32)
    starts[..., :2] = rng.uniform(terrain.bounds[0, :2] - 0.5, terrain.bounds[1, :2] + 0.5, (50, 400, 2))
    starts[:10, :, :2] = starts[:10, :, :2].round(1)  # on the corners of height fields
    expected, found = cast_through_hierarchy(mesh, starts), cast_through_grid(grid, starts)
    # a step to any side a hundredth of a millimetre long shows what lies at an edge
    around = [expected]
    for step in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)):
        moved = starts.copy()
        moved[..., :2] += 4.0e-5 * np.array(step, dtype=np.float32)
        around.append(cast_through_hierarchy(mesh, moved))
    around = np.nan_to_num(np.stack(around), posinf=1.0e3)
    found = np.nan_to_num(found, posinf=1.0e3)
    assert ((found <= around.max(axis=0) + 1.0e-3) & (found >= around.min(axis=0) - 1.0e-3)).all()
    inside = np.abs(found - around[0]) < 1.0e-3
    assert inside[10:].mean() > 0.999 and np.isinf(expected).any()


def test_the_highest_floor_below_the_start_is_hit() -> None:
    square = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 4.0]])
    floors = [np.column_stack([square, np.full(4, height)]) for height in (0.0, 1.0, 2.5)]
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    grid = TriangleGrid(np.concatenate(floors), np.concatenate([faces + 4 * i for i in range(3)]))
    starts = np.array([[[1.0, 3.0, z] for z in (20.0, 2.4, 1.0, 0.5, -0.1)]])
    np.testing.assert_allclose(cast_through_grid(grid, starts)[0], [2.5, 1.0, 1.0, 0.0, np.inf])
    np.testing.assert_allclose(
        cast_through_grid(grid, starts, max_distance=0.45)[0], [np.inf, np.inf, 1.0, np.inf, np.inf]
    )
    outside = np.array([[[-0.1, 1.0, 9.0], [1.0, 4.1, 9.0], [900.0, -900.0, 9.0]]])
    assert np.isinf(cast_through_grid(grid, outside)).all()


def test_environments_that_are_left_out_keep_their_heights() -> None:
    corners = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    grid = TriangleGrid(corners, np.array([[0, 1, 2]]))
    hits = wp.full((2, 1), wp.vec3f(7.0, 7.0, 7.0), dtype=wp.vec3f, device="cpu")
    mask = wp.array(np.array([True, False]), dtype=wp.bool, device="cpu")
    grid.cast(vectors(np.full((2, 1, 3), 0.25) + np.array([0.0, 0.0, 5.0])), mask, 100.0, hits)
    np.testing.assert_allclose(hits.numpy()[:, 0], [[0.25, 0.25, 1.0], [7.0, 7.0, 7.0]])


def test_wide_ground_has_wide_cells() -> None:
    square = np.array([[-1.0e6, -1.0e6, 0.0], [1.0e6, -1.0e6, 0.0], [1.0e6, 1.0e6, 0.0], [-1.0e6, 1.0e6, 0.0]])
    grid = TriangleGrid(square, np.array([[0, 1, 2], [0, 2, 3]]))
    assert np.prod(grid.shape) < 2**25
    np.testing.assert_allclose(cast_through_grid(grid, np.array([[[123.4, -5.6, 20.0]]])), 0.0, atol=1.0e-6)
