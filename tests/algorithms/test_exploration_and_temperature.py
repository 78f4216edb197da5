# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import pytest
import torch

from isaaclab_offpolicy.algorithms import EntropyCoef, HeldNoise


def test_noise_is_held_and_renewed_in_turns() -> None:
    noise = HeldNoise(8, 3, hold=4)
    draws = torch.stack([noise.sample().clone() for _ in range(41)])
    changed = (draws[1:] != draws[:-1]).all(-1)  # [40, 8]
    assert changed.sum(0).tolist() == [10] * 8
    gaps = changed[:, 0].nonzero().flatten().diff()
    assert (gaps == 4).all()
    assert len({int(changed[:, i].nonzero()[0]) for i in range(8)}) == 4  # not all at once


def test_noise_is_renewed_when_an_episode_ends() -> None:
    noise = HeldNoise(2, 3, hold=1000)
    noise.sample()
    before = noise.sample().clone()
    noise.reset(torch.tensor([1, 0]))
    after = noise.sample()
    assert (after[0] != before[0]).all() and (after[1] == before[1]).all()


def test_white_noise_is_standard_normal() -> None:
    noise = HeldNoise(2000, 4)
    draws = torch.cat([noise.sample() for _ in range(20)])
    assert draws.mean().abs() < 0.02 and abs(draws.std().item() - 1.0) < 0.02
    with pytest.raises(ValueError, match="at least one step"):
        HeldNoise(1, 1, hold=0)


@pytest.mark.parametrize("hold", [1, 5])
def test_some_environments_explore_more_than_others(hold: int) -> None:
    noise = HeldNoise(3, 4000, hold=hold, scale=(0.5, 2.5))
    stds = torch.stack([noise.sample() for _ in range(20)]).std(dim=(0, 2))
    assert stds.tolist() == pytest.approx([0.5, 1.5, 2.5], rel=0.05)
    with pytest.raises(ValueError, match="noise_scale is a pair"):
        HeldNoise(3, 4, scale=(-1.0, 1.0))


def test_entropy_coefficient() -> None:
    assert EntropyCoef("auto_0.01")().item() == pytest.approx(0.01)
    assert EntropyCoef("auto")().item() == 1.0
    fixed = EntropyCoef(0.2)
    assert fixed().item() == pytest.approx(0.2) and not list(fixed.parameters())


@pytest.mark.parametrize("spec", ["auto_", "auto_0", "auto_-1", "automatic", "x", -0.1, float("nan")])
def test_bad_entropy_coefficients_are_refused(spec: str | float) -> None:
    with pytest.raises(ValueError, match="ent_coef"):
        EntropyCoef(spec)
