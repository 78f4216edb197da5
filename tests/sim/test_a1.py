# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import pytest

FLAT, ROUGH = "Isaac-Velocity-Flat-Unitree-A1-v0", "Isaac-Velocity-Rough-Unitree-A1-v0"
LEGS = ("FL", "FR", "RL", "RR")
PHYSX_ORDER = [f"{leg}_{part}_joint" for part in ("hip", "thigh", "calf") for leg in LEGS]
ENGINES = ("ovphysx", "newton_mjwarp")


@pytest.mark.parametrize("engine", ENGINES)
def test_a1_stands_for_five_seconds_under_zero_action(probe, engine: str) -> None:
    result = probe(engine, FLAT, 8, 250)
    assert result["falls"] == 0 and result["finite"]
    assert result["speed"] < 0.05
    # straight legs of the default pose give 0.31 m; the springs of 25 N·m/rad give way by a few centimetres
    assert 0.25 < result["height"] < 0.30
    feet = [result["sensed"][f"{leg}_foot"] for leg in LEGS]
    assert sum(feet) == pytest.approx(13.741 * 9.81, rel=0.02), "the feet carry the robot"
    assert result["sensed"]["trunk"] == 0.0


def test_engines_agree_on_order_mass_and_height(probe) -> None:
    ovphysx, newton = (probe(engine, FLAT, 8, 250) for engine in ENGINES)
    for result in (ovphysx, newton):
        assert result["joints"] == result["action_joints"] == PHYSX_ORDER
        assert result["mass"] == pytest.approx(13.741, abs=1e-3)
        assert len(result["sensed"]) == 17, "the contact sensor sees every body"
        assert result["obs_shape"] == [8, 48]
    assert ovphysx["bodies"] == newton["bodies"]
    # MuJoCo's soft friction creeps until the feet push no longer sideways, which lets the robot sink 1.4 cm deeper
    assert ovphysx["height"] == pytest.approx(newton["height"], abs=0.02)


def test_rough_terrain_with_its_height_scanner(probe) -> None:
    result = probe("ovphysx", ROUGH, 8, 20)
    assert result["finite"] and result["obs_shape"] == [8, 235]
    assert result["joints"] == PHYSX_ORDER
