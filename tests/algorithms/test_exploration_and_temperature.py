# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import pytest
import torch

from isaaclab_offpolicy.algorithms import EntropyCoef
from isaaclab_offpolicy.exploration import HeldNoise, Noise, PinkNoise, StateNoise, ZetaNoise, make_noise


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
    noise = make_noise("white", 2000, 4, 7, (1.0, 1.0), "cpu")
    draws = torch.cat([noise.sample() for _ in range(20)])
    assert draws.mean().abs() < 0.02 and abs(draws.std().item() - 1.0) < 0.02
    assert (draws[1:2000] != draws[2001:4000]).all(), "new at each step"
    with pytest.raises(ValueError, match="at least one step"):
        HeldNoise(1, 1, hold=0)


def test_zeta_noise_lasts_a_step_mostly_and_long_at_times() -> None:
    torch.manual_seed(1)
    noise = ZetaNoise(400, 2, hold=4)
    draws = torch.stack([noise.sample().clone() for _ in range(600)])[50:]
    assert draws.mean().abs() < 0.02 and abs(draws.std().item() - 1.0) < 0.02
    changed = (draws[1:] != draws[:-1]).all(-1)
    gaps = torch.cat([changed[:, i].nonzero().flatten().diff() for i in range(400)])
    shares = torch.bincount(gaps, minlength=5)[1:] / len(gaps)
    weights = torch.tensor([1.0, 1 / 4, 1 / 9, 1 / 16])
    torch.testing.assert_close(shares, weights / weights.sum(), atol=0.01, rtol=0.0)
    assert gaps.max() == 4


def test_the_power_of_pink_noise_is_one_over_its_frequency() -> None:
    torch.manual_seed(1)
    noise = PinkNoise(300, 2, steps=500)
    draws = torch.stack([noise.sample().clone() for _ in range(500)])
    assert draws.mean().abs() < 0.05 and abs(draws.std().item() - 1.0) < 0.05
    power = torch.fft.rfft(draws, dim=0).abs().square().mean(dim=(1, 2))
    low, high = power[4:8].mean(), power[64:128].mean()
    assert low / high == pytest.approx(16.0, rel=0.2)
    # a joint knows nothing of the next one, and an environment begins elsewhere when its episode ends
    assert torch.corrcoef(draws[100].T)[0, 1].abs() < 0.2
    before = noise.at.clone(), noise.row.clone()
    noise.reset(torch.tensor([1] + [0] * 299))
    assert (noise.at[0] != before[0][0]).any() and (noise.at[1:] == before[0][1:]).all()
    assert (noise.row[1:] == before[1][1:]).all()


def test_gsde_is_a_function_of_the_state() -> None:
    torch.manual_seed(1)
    noise = make_noise("gsde", 500, 3, 4, features=16)
    features = torch.rand(500, 16) * 9.0
    draws = torch.stack([noise.sample(lambda: features) for _ in range(40)])
    assert draws.mean().abs() < 0.02 and abs(draws.std().item() - 1.0) < 0.02, "standard normal for each state"
    changed = (draws[1:] != draws[:-1]).all(-1)
    assert (changed[:, 0].nonzero().flatten().diff() == 4).all()
    # as long as it is held: the same for the same state, near for one nearby, and its size is not the features'
    noise.left.fill_(9)
    here, again, far, near = (noise.sample(lambda z=z: z) for z in (
        features, features, 3.0 * features, features + 0.05 * torch.randn(500, 16)
    ))  # fmt: skip
    assert torch.equal(here, again)
    torch.testing.assert_close(far, here)
    assert 0.0 < (near - here).abs().mean() < 0.05
    assert abs(torch.corrcoef(here.T)[0, 1].item()) < 0.15


@pytest.mark.parametrize("kind", ["white", "held", "zeta", "pink", "gsde"])
def test_noise_goes_on_from_its_state(kind: str) -> None:
    first, second, other = (make_noise(kind, 5, 3, 6, (0.5, 1.0), "cpu") for _ in range(3))
    features = torch.rand(5, 128)
    for _ in range(9):
        first.sample(lambda: features)
    assert second.restore(first.kind, [tensor.clone() for tensor in first.state()])
    torch.manual_seed(2)
    expected = [first.sample(lambda: features).clone() for _ in range(12)]
    torch.manual_seed(2)
    for row in expected:
        torch.testing.assert_close(second.sample(lambda: features), row)
    assert not other.restore("held:1000", first.state())
    assert (
        type(first)
        is {"white": Noise, "held": HeldNoise, "zeta": ZetaNoise, "pink": PinkNoise, "gsde": StateNoise}[kind]
    )


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
