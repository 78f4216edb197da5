# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import torch
from rsl_rl.modules import EmpiricalNormalization

from isaaclab_offpolicy.algorithms.normalization import as_in_checkpoint, fix_columns, update_statistics


def test_statistics_equal_those_of_rsl_rl() -> None:
    torch.manual_seed(0)
    ours, theirs = EmpiricalNormalization(5), EmpiricalNormalization(5)
    scale, shift = torch.tensor([1.0, 100.0, 1e-3, 5.0, 1.0]), torch.tensor([0.0, 3000.0, 0.0, -7.0, 1.0])
    seen = []
    for rows in (1, 64, 64, 7):
        with torch.inference_mode():  # as the runner's observations come
            obs = torch.randn(rows, 5) * scale + shift
        update_statistics(ours, obs)
        theirs.update(obs.clone())
        seen.append(obs.clone())
        torch.testing.assert_close(ours.state_dict(), theirs.state_dict(), rtol=1e-6, atol=1e-7)
    whole = torch.cat(seen)
    # of all that was seen, but for the zeros of the start, which count for nothing
    torch.testing.assert_close(ours.mean, whole.mean(dim=0), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours.std, whole.std(dim=0, unbiased=False), rtol=1e-3, atol=1e-5)
    # the statistics are no inference tensors, which autograd would refuse
    weight = torch.ones(5, requires_grad=True)
    ours(weight.unsqueeze(0)).sum().backward()
    assert weight.grad is not None
    before = ours.state_dict()["_mean"].clone()
    ours.eval()
    update_statistics(ours, whole + 1e6)
    assert torch.equal(ours.state_dict()["_mean"], before), "frozen"


def test_columns_that_are_left_alone_stay_as_they_are() -> None:
    normalizer, plain = EmpiricalNormalization(4), EmpiricalNormalization(4)
    fixed = torch.tensor([False, True, False, True])
    fix_columns(normalizer, fixed)
    obs = torch.randn(50, 4) * 3.0 + 2.0
    for module in (normalizer, plain):
        update_statistics(module, obs)
    x = torch.randn(7, 4)
    torch.testing.assert_close(normalizer(x)[:, fixed], x[:, fixed])
    torch.testing.assert_close(normalizer(x)[:, ~fixed], plain(x)[:, ~fixed])
    # a normaliser that knows nothing of it reads the same from a checkpoint
    plain.load_state_dict(normalizer.state_dict())
    assert torch.equal(plain(x), normalizer(x))
    # and goes on as it began, whatever was asked for
    assert as_in_checkpoint(plain) and not as_in_checkpoint(plain)
    for module in (normalizer, plain):
        update_statistics(module, obs + 1.0)
    assert torch.equal(plain(x), normalizer(x)) and torch.equal(plain.fixed, fixed[None])
    fresh, other = EmpiricalNormalization(4), EmpiricalNormalization(4)
    assert not as_in_checkpoint(fresh), "nothing was learned yet"
    update_statistics(other, obs)
    fix_columns(fresh, fixed)
    fresh.load_state_dict(other.state_dict())
    assert as_in_checkpoint(fresh) and not fresh.fixed.any()
    scripted = torch.jit.script(normalizer.eval())
    assert torch.equal(scripted(x), normalizer(x))
