# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Checkpoints of SAC with options other than those of the training that goes on."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch

from environments import LinearQuadraticEnv
from isaaclab_offpolicy.algorithms import SAC

BEFORE = {"learning_starts": 0, "replay_ratio": 1 / 8, "policy_delay": 2}


def run(sac: SAC, steps: int) -> None:
    """Step like rsl_rl's runner."""
    env = LinearQuadraticEnv(16)
    env.cfg.compute_final_obs = True
    with torch.inference_mode():
        obs = env.get_observations()
        for _ in range(steps):
            obs, rewards, dones, extras = env.step(sac.act(obs))
            sac.process_env_step(obs, rewards, dones, extras)


def saved_by(make_sac, **algorithm: Any) -> dict[str, Any]:
    sac = make_sac(LinearQuadraticEnv(16), **{**BEFORE, **algorithm})
    run(sac, 20)
    assert sac.num_updates > 10
    return sac.save()


def go_on(make_sac, saved: dict[str, Any], what: dict | None = None, **algorithm: Any) -> SAC:
    sac = make_sac(LinearQuadraticEnv(16), **{**BEFORE, **algorithm})
    assert sac.load(saved, what, strict=True)
    return sac


@pytest.mark.parametrize(
    ("before", "after", "value", "line"),
    [
        ("auto_0.2", "auto_0.5", None, None),
        (0.01, 0.01, 0.01, None),
        ("auto_0.2", 0.01, 0.01, "temperature: fixed at 0.01 from here on; it was learned, "),
        (0.01, "auto", 0.01, "temperature: learned, 0.01 from here on; it was fixed at 0.01"),
        (0.0, "auto_0.3", 0.3, "temperature: learned, 0.3 from here on; it was fixed at 0"),
        (0.01, 0.05, 0.05, "temperature: fixed at 0.05 from here on; it was fixed at 0.01"),
    ],
)
def test_the_temperature_may_become_fixed_or_learned(make_sac, before, after, value, line: str | None) -> None:
    saved = saved_by(make_sac, ent_coef=before)
    sac = go_on(make_sac, saved, ent_coef=after)
    if value is None:
        assert torch.equal(sac.entropy_coef.log_value, saved["entropy_coef_state_dict"]["log_value"])
        assert sac.entropy_coef().item() != pytest.approx(0.2, rel=1e-6), "as it was learned"
    else:
        assert sac.entropy_coef().item() == pytest.approx(value)
    lines = [text for text in sac.differences if "temperature" in text]
    assert len(lines) == (line is not None) and (line is None or lines[0].startswith(line))
    alpha, updates = sac.entropy_coef().item(), sac.num_updates
    run(sac, 120)
    assert sac.num_updates > updates
    assert (sac.entropy_coef().item() != alpha) == str(after).startswith("auto")


def test_optimizers_that_are_missing_begin_anew(make_sac) -> None:
    saved = saved_by(make_sac)
    del saved["critic_optimizer_state_dict"], saved["entropy_optimizer_state_dict"]
    sac = go_on(make_sac, saved)
    assert sac.differences == ["it has no optimizer state of critic, entropy: these begin anew"]
    assert not sac.updater.critic_optimizer.state and sac.updater.actor_optimizer.state
    run(sac, 120)
    sac.save()


def test_learning_rates_and_weight_decay_are_those_of_the_configuration(make_sac) -> None:
    saved = saved_by(make_sac, learning_rate=1e-3, weight_decay=0.1)
    sac = go_on(make_sac, saved, learning_rate=2e-4, actor_learning_rate=1e-4, weight_decay=0.01)
    assert sac.differences == ["learning rate: 0.0002 from here on; it was 0.001"]
    for optimizer, rate in ((sac.updater.critic_optimizer, 2e-4), (sac.updater.actor_optimizer, 1e-4)):
        group = optimizer.param_groups[0]
        assert (group["lr"], group["weight_decay"]) == (pytest.approx(rate), 0.01)
    assert sac.learning_rate == 2e-4
    for name in ("critic", "actor"):
        mine = sac.updater.optimizers()[name].state_dict()["state"]
        torch.testing.assert_close(mine, saved[f"{name}_optimizer_state_dict"]["state"], rtol=0, atol=0)


SCHEDULE = {"learning_rate": 1e-3, "learning_rate_end": 1e-4, "schedule": "linear", "schedule_steps": 1000}


def test_a_schedule_goes_on_unless_it_is_another(make_sac) -> None:
    def rate(steps: float) -> float:
        return 1e-3 + steps / 1000 * (1e-4 - 1e-3)

    saved = saved_by(make_sac, **SCHEDULE)
    sac = go_on(make_sac, saved, **SCHEDULE)
    assert sac.differences == [] and sac.learning_rate == pytest.approx(rate(320))
    run(sac, 101)  # the replay buffer is filled with a hundred env steps
    assert sac.learning_rate == pytest.approx(1e-4)
    # a second time
    assert go_on(make_sac, go_on(make_sac, saved, **SCHEDULE).save(), **SCHEDULE).learning_rate == pytest.approx(
        rate(320)
    )
    # another one begins anew, and so it does with new optimizers
    longer = go_on(make_sac, saved, **{**SCHEDULE, "schedule_steps": 4000})
    assert longer.learning_rate == pytest.approx(1e-3)
    assert longer.differences == [
        "learning rate: linear from 0.001 to 0.0001 over 4000 transitions from here on;"
        " it was linear from 0.001 to 0.0001 over 1000 transitions"
    ]
    what = {"actor": True, "critic": True, "optimizer": False, "iteration": True}
    fresh = go_on(make_sac, saved, what, **SCHEDULE)
    assert fresh.learning_rate == pytest.approx(1e-3) and fresh.num_timesteps == 320
    assert not fresh.updater.critic_optimizer.state


def test_counts_and_held_noise_go_on(make_sac) -> None:
    options = {"noise_hold": 5, "train_freq": 3, "replay_ratio": 1 / 100}
    sac = make_sac(LinearQuadraticEnv(16), **{**BEFORE, **options})
    run(sac, 20)
    saved = sac.save()
    other = go_on(make_sac, saved, **options)
    assert (other._env_steps, other._steps_owed) == (20, sac._steps_owed) and sac._steps_owed > 0.0
    assert torch.equal(other.noise.held, sac.noise.held) and torch.equal(other.noise.left, sac.noise.left)
    assert math.isclose(other._steps_owed % 1.0, 18 * 16 / 100 % 1.0, abs_tol=1e-6)
    # as it was stored before there were several kinds
    earlier = copy.deepcopy(saved)
    earlier["progress"]["noise"] = [5, *saved["progress"]["noise"]["held:5"]]
    assert torch.equal(go_on(make_sac, earlier, **options).noise.held, sac.noise.held)
    # noise of another kind, or of other environments, is drawn anew
    assert not torch.equal(go_on(make_sac, saved, **{**options, "noise_hold": 3}).noise.held, sac.noise.held)
    fewer = make_sac(LinearQuadraticEnv(8), **{**BEFORE, **options})
    fewer.load(saved, None, strict=True)
    assert len(fewer.noise.held) == 8
