# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Success by kind and level of terrain."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from isaaclab.terrains.config.rough import ROUGH_TERRAINS_CFG

from isaaclab_offpolicy.errors import ConfigError
from isaaclab_offpolicy.evaluation import Evaluation, confidence_interval
from isaaclab_offpolicy.evaluation.terrain import Tiles, columns, heat_map, only, success_by_terrain, table_of

TILES = Tiles(["stairs", "boxes"], 2, torch.tensor([0, 1, 0, 1]), torch.tensor([0, 0, 1, 1]), 4.0)


def env_cfg(generator: Any = ROUGH_TERRAINS_CFG, kind: str = "generator") -> Any:
    terrain = SimpleNamespace(terrain_generator=generator, terrain_type=kind)
    return SimpleNamespace(scene=SimpleNamespace(terrain=terrain))


def episodes(environment: list[int], left: list[float], commanded: list[float]) -> Evaluation:
    count = len(environment)
    measured = {
        "beyond": torch.tensor(left, dtype=torch.float64),
        "commanded_speed": torch.tensor(commanded, dtype=torch.float64),
        "velocity_error": torch.arange(count).double(),
    }
    timeouts = torch.ones(count, dtype=torch.float64)
    return Evaluation(torch.zeros(count), torch.ones(count), timeouts, torch.tensor(environment), measured)


def test_success_is_counted_by_kind_and_level() -> None:
    # the last one is commanded to go less than 4 m in half of its 20 s
    result = episodes([0, 0, 1, 2, 3, 3], [0.3, 0.0, 0.1, 0.0, 0.2, 0.9], [0.5, 0.5, 0.4, 1.0, 0.5, 0.39])
    found = success_by_terrain(result, TILES, 20.0)
    assert found["success"] == [[0.5, 0.0], [1.0, 1.0]]
    assert found["episodes"] == [[2, 1], [1, 1]]
    assert found["success_of_kind"] == [pytest.approx(1 / 3), 1.0]
    assert found["velocity_error_of_kind"] == [pytest.approx((0 + 1 + 3) / 3), pytest.approx((2 + 4 + 5) / 3)]


def test_what_nobody_walked_on_is_not_counted(tmp_path: Path) -> None:
    found = success_by_terrain(episodes([0, 3], [0.3, 0.0], [1.0, 0.1]), TILES, 20.0)
    assert found["success"] == [[1.0, None], [None, None]] and found["success_of_kind"] == [1.0, None]
    lines = table_of(found).splitlines()
    assert lines[1].split() == ["stairs", "100", "%", "|", "100", "%", "-"]
    assert lines[2].split() == ["boxes", "-", "|", "-", "-"]
    heat_map(found, tmp_path / "map.png")
    assert (tmp_path / "map.png").stat().st_size > 5000


def test_columns_are_divided_as_the_generator_does() -> None:
    names = columns(ROUGH_TERRAINS_CFG)
    assert [names.count(name) for name in ROUGH_TERRAINS_CFG.sub_terrains] == [4, 4, 4, 4, 2, 2]
    assert list(dict.fromkeys(names)) == list(ROUGH_TERRAINS_CFG.sub_terrains)


def test_a_terrain_of_some_kinds() -> None:
    where = "env.scene.terrain.terrain_generator.sub_terrains"
    assert only(env_cfg(), ["pyramid_stairs_inv", "boxes"]) == [
        f"{where}.{kind}.proportion=0.0"
        for kind in ("pyramid_stairs", "random_rough", "hf_pyramid_slope", "hf_pyramid_slope_inv")
    ]
    with pytest.raises(ConfigError, match="pyramid_stairs_inv"):
        only(env_cfg(), ["pyramid_stairs_ivn"])
    for cfg in (env_cfg(None, "plane"), env_cfg(kind="plane")):
        with pytest.raises(ConfigError, match="flat"):
            only(cfg, ["boxes"])


def test_the_interval_of_a_mean() -> None:
    values = torch.randn(400) + 3.0
    low, high = confidence_interval(values)
    half = 1.96 * values.std().item() / 20
    assert low == pytest.approx(values.mean().item() - half, abs=0.02)
    assert high == pytest.approx(values.mean().item() + half, abs=0.02)
    assert confidence_interval(values) == [low, high], "the same at every call"
    assert confidence_interval(torch.ones(5)) == [1.0, 1.0]
