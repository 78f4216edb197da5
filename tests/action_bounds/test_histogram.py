# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isaaclab_offpolicy.action_bounds.histogram import StreamingHistogram

PERCENT = (0.0, 0.5, 2.5, 50.0, 97.5, 99.5, 100.0)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    spread=st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=4),
    batches=st.lists(st.integers(1, 300), min_size=1, max_size=6),
    growth=st.floats(0.5, 5.0),
)
def test_percentiles_are_numpys_to_the_width_of_a_bin(
    seed: int, spread: list[float], batches: list[int], growth: float
) -> None:
    rng = np.random.default_rng(seed)
    histogram, rows = StreamingHistogram(len(spread), bins=1024), []
    for i, n in enumerate(batches):
        # heavy tails, and a range that moves and grows from batch to batch
        batch = growth**i * (rng.standard_t(2, size=(n, len(spread))) + i) * spread
        rows.append(batch)
        histogram.add(torch.tensor(batch))
    data = np.concatenate(rows)
    assert histogram.samples == len(data) and int(histogram.counts.sum()) == data.size
    np.testing.assert_array_equal(histogram.minimum.numpy(), data.min(0))
    np.testing.assert_array_equal(histogram.maximum.numpy(), data.max(0))
    result = histogram.percentiles(PERCENT).numpy()
    # a joint that does not move has a tiny range of its own
    tiny = 1e-9 * (1.0 + np.abs(data).max(0))
    assert np.all(histogram.width.numpy() <= 4.0 / 1024 * (data.max(0) - data.min(0)) + tiny)
    for p, row in zip(PERCENT, result, strict=True):
        # between the order statistics on both sides of the rank, and a bin further
        rank = p / 100 * len(data)
        order = np.sort(data, axis=0)
        low = order[max(int(np.ceil(rank)) - 1, 0)] - histogram.width.numpy()
        high = order[min(int(np.floor(rank)), len(data) - 1)] + histogram.width.numpy()
        assert np.all(row >= low - tiny) and np.all(row <= high + tiny)


def test_a_long_recording_takes_little_memory_and_is_close_to_numpy() -> None:
    torch.manual_seed(0)
    spread, middle = torch.tensor([1.0, 0.1, 4.0]), torch.tensor([0.0, 2.0, -1.0])
    batches = [torch.randn(20_000, 3) * spread + middle for _ in range(50)]
    histogram = StreamingHistogram(3)
    for batch in batches:
        histogram.add(batch)
    data = torch.cat(batches).numpy()
    expected = np.percentile(data, [2.5, 97.5], axis=0)
    span = data.max(0) - data.min(0)
    assert np.all(np.abs(histogram.percentiles([2.5, 97.5]).numpy() - expected) < 0.005 * span)
    assert sum(t.numel() * t.element_size() for t in (histogram.counts, histogram.low, histogram.width)) < 200_000


def test_share_outside_and_joints_that_do_not_move() -> None:
    histogram = StreamingHistogram(2)
    values = torch.stack((torch.linspace(0.0, 1.0, 10_001), torch.full((10_001,), 0.7)), dim=-1)
    histogram.add(values[:1])
    histogram.add(values)
    share = histogram.share_outside(torch.tensor([0.1, 0.0]), torch.tensor([0.8, 1.0]))
    assert share[0].item() == pytest.approx(0.3, abs=2e-3) and share[1] == 0.0
    assert histogram.percentiles([2.5, 97.5])[:, 1].tolist() == pytest.approx([0.7, 0.7])


def test_bad_values_are_refused() -> None:
    histogram = StreamingHistogram(2)
    with pytest.raises(ValueError, match="no values"):
        histogram.percentiles([50.0])
    histogram.add(torch.zeros(3, 2))
    with pytest.raises(ValueError, match="not finite"):
        histogram.add(torch.tensor([[0.0, float("nan")]]))
    assert histogram.samples == 3
    with pytest.raises(ValueError, match="from 0 to 100, not 101"):
        histogram.percentiles([101.0])
    with pytest.raises(ValueError, match="bins must be even"):
        StreamingHistogram(2, bins=3)
