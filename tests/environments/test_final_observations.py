# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Isaac Lab's own observation manager, its filters, histories, delays and noise, on a signal in place of a robot."""

from __future__ import annotations

from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from isaaclab.envs.direct_rl_env import DirectRLEnv
from isaaclab.managers import ManagerTermBase, ObservationGroupCfg, ObservationManager, ObservationTermCfg
from isaaclab.utils.modifiers import DigitalFilterCfg, IntegratorCfg
from isaaclab.utils.noise import GaussianNoiseCfg, NoiseModelWithAdditiveBiasCfg, UniformNoiseCfg

from isaaclab_offpolicy.environments.final_observations import request_final_observations
from managers import TermsCfg

NUM_ENVS = 4
ENDS = {3: [1], 4: [0, 1], 7: [2], 8: [0, 1, 2, 3], 11: [3]}
"""Which episodes end in which step."""


def signal(env: Any) -> torch.Tensor:
    return env.signal


def hidden(env: Any) -> torch.Tensor:
    """Keeps a state where nobody finds it."""
    env.calls = getattr(env, "calls", 0) + 1
    return env.signal + env.calls


class Change(ManagerTermBase):
    """Change of the signal since the last step, and mean of the last three."""

    def __init__(self, cfg: Any, env: Any) -> None:
        super().__init__(cfg, env)
        self.previous = torch.zeros(NUM_ENVS, 2)
        self.last: deque[torch.Tensor] = deque(maxlen=3)

    def __call__(self, env: Any) -> torch.Tensor:
        change = env.signal - self.previous
        self.previous[:] = env.signal
        self.last.append(env.signal)
        return torch.cat((change, torch.stack(list(self.last)).mean(0)), dim=-1)

    def reset(self, env_ids: Any = None) -> None:
        self.previous[slice(None) if env_ids is None else env_ids] = 0.0


class Signals:
    """The part of Isaac Lab's step that resets and observes."""

    def __init__(self, **terms: Any) -> None:
        self.num_envs, self.device, self.scene = NUM_ENVS, "cpu", {}
        self.sim = SimpleNamespace(is_playing=lambda: True)
        self.cfg = SimpleNamespace(compute_final_obs=False)
        self.generator = torch.Generator().manual_seed(1)
        self.signal = torch.randn(NUM_ENVS, 2, generator=self.generator)
        group = ObservationGroupCfg(concatenate_terms=False, enable_corruption=True)
        for name, term in terms.items():
            setattr(group, name, term)
        torch.manual_seed(2)
        self.observation_manager = ObservationManager(TermsCfg(policy=group), self)  # type: ignore[arg-type]
        self.observation_manager.reset()
        self.obs: Any = self.observation_manager.compute(update_history=True)["policy"]

    def run(self) -> list[dict[str, dict[str, torch.Tensor]]]:
        """All steps: observations before and after, the signal before a reset, and final observations."""
        rows = []
        torch.manual_seed(3)
        for step in range(13):
            before, ended = self.obs, torch.tensor(ENDS.get(step, []), dtype=torch.int)
            self.signal = torch.randn(NUM_ENVS, 2, generator=self.generator)
            row = {"before": before, "signal": self.signal}
            if len(ended):
                if self.cfg.compute_final_obs:
                    row["final"] = self.observation_manager.compute()["policy"]
                self.signal = torch.where(torch.isin(torch.arange(NUM_ENVS), ended)[:, None], 0.0, self.signal)
                self.observation_manager.reset(ended)  # type: ignore[arg-type]
            self.obs = row["after"] = self.observation_manager.compute(update_history=True)["policy"]
            rows.append(row)
        return rows


def term(func: Any = signal, **options: Any) -> ObservationTermCfg:
    return ObservationTermCfg(func=func, **options)


def average() -> DigitalFilterCfg:
    return DigitalFilterCfg(A=[0.0], B=[0.5, 0.5])


STATEFUL = {
    "history": lambda: term(history_length=3),
    "frames": lambda: term(history_length=2, flatten_history_dim=False),
    "filter": lambda: term(modifiers=[average()]),
    "recursive": lambda: term(modifiers=[DigitalFilterCfg(A=[-0.8], B=[0.2])]),
    "integral": lambda: term(modifiers=[IntegratorCfg(dt=0.1)]),
    "delay": lambda: term(delay_min_lag=1, delay_max_lag=1),
    "random_delay": lambda: term(delay_max_lag=3, delay_hold_prob=0.5),
    "noise": lambda: term(noise=UniformNoiseCfg(n_min=-0.1, n_max=0.1)),
    "bias": lambda: term(
        noise=NoiseModelWithAdditiveBiasCfg(
            noise_cfg=GaussianNoiseCfg(mean=0.0, std=0.1), bias_noise_cfg=GaussianNoiseCfg(mean=0.0, std=1.0)
        )
    ),
    "class": lambda: term(Change),
    "class_history": lambda: term(Change, history_length=2, modifiers=[average()]),
}


def everything() -> Signals:
    return Signals(**{name: make() for name, make in STATEFUL.items()})


def test_all_other_observations_are_as_without_final_ones(capsys: pytest.CaptureFixture[str]) -> None:
    without, env = everything(), everything()
    request_final_observations(env)
    request_final_observations(SimpleNamespace(unwrapped=env))
    assert env.cfg.compute_final_obs
    alone, random = without.run(), torch.rand(3)
    both = env.run()
    assert torch.equal(torch.rand(3), random), "what else is random goes on in the same way"
    assert sum("final" in row for row in both) == len(ENDS)
    for one, other in zip(alone, both, strict=True):
        for name in STATEFUL:
            assert torch.equal(one["after"][name], other["after"][name]), name
    assert "WARNING" not in capsys.readouterr().err


def test_a_final_observation_has_the_last_step_in_it() -> None:
    env = everything()
    request_final_observations(env)
    previous: Any = None
    for step, row in enumerate(env.run()):
        if "final" in row:
            final, now = row["final"], row["signal"]
            going = [i for i in ENDS[step] if i not in ENDS.get(step - 1, [])]
            assert going or step == 4
            for i in going:
                torch.testing.assert_close(final["history"][i], torch.cat((row["before"]["history"][i, 2:], now[i])))
                torch.testing.assert_close(final["frames"][i, 1], now[i])
                torch.testing.assert_close(final["filter"][i], (now[i] + previous[i]) / 2)
                expected = 0.8 * row["before"]["recursive"][i] + 0.2 * now[i]
                torch.testing.assert_close(final["recursive"][i], expected)
                torch.testing.assert_close(final["delay"][i], previous[i])
                torch.testing.assert_close(final["class"][i, :2], now[i] - previous[i])
        previous = row["signal"]


def test_a_state_that_cannot_be_copied_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    env = Signals(plain=term(), hidden=term(hidden))
    request_final_observations(env)
    env.run()
    error = capsys.readouterr().err
    assert error.count("observations policy change when they are computed twice in one step") == 1


class Direct:
    """A direct environment that gives the same tensor at each step, as some do, with Isaac Lab's own functions."""

    _compute_observations = DirectRLEnv._compute_observations
    _reset_envs_from_buffer = DirectRLEnv._reset_envs_from_buffer

    def __init__(self, noise: Any = None, counts: bool = False) -> None:
        self.device, self.counts = "cpu", counts
        self.cfg = SimpleNamespace(compute_final_obs=False, observation_noise_model=noise)
        self.position, self.buffer, self.extras = torch.zeros(3, 1), torch.zeros(3, 1), {}
        self.reset_buf = torch.zeros(3, dtype=torch.bool)
        self.moves = 0

    def _get_observations(self) -> dict[str, torch.Tensor]:
        self.moves += self.counts
        self.buffer[:] = self.position + self.moves
        return {"policy": self.buffer}

    def _reset_idx(self, env_ids: torch.Tensor) -> None:
        self.position[env_ids.long()] = -1.0

    def step(self, ended: list[int]) -> torch.Tensor:
        self.position = self.position + 1.0
        self.reset_buf = torch.tensor([i in ended for i in range(3)])
        self._reset_envs_from_buffer()  # type: ignore[arg-type]
        return self._compute_observations()["policy"].clone()  # type: ignore[arg-type]


def test_a_direct_environments_final_observation_outlives_the_reset(capsys: pytest.CaptureFixture[str]) -> None:
    env = Direct()
    request_final_observations(env)
    for _ in range(3):
        env.step([])
    obs = env.step([1])
    assert obs[:, 0].tolist() == [4.0, -1.0, 4.0]
    assert env.extras["final_obs"]["policy"][:, 0].tolist() == [4.0, 4.0, 4.0]
    assert "WARNING" not in capsys.readouterr().err
    counting = Direct(counts=True)
    request_final_observations(counting)
    counting.step([0])
    assert "change when they are computed twice" in capsys.readouterr().err


def test_noise_of_a_direct_environment_is_as_without() -> None:
    def noisy(env: Direct) -> list[torch.Tensor]:
        torch.manual_seed(0)
        model = NoiseModelWithAdditiveBiasCfg(
            noise_cfg=GaussianNoiseCfg(mean=0.0, std=0.1), bias_noise_cfg=GaussianNoiseCfg(mean=0.0, std=1.0)
        )
        env.cfg.observation_noise_model = model
        env._observation_noise_model = model.class_type(model, num_envs=3, device="cpu")  # type: ignore[attr-defined]
        return [env.step([1] if step == 2 else []) for step in range(5)]

    alone, env = noisy(Direct()), Direct()
    request_final_observations(env)
    for one, other in zip(alone, noisy(env), strict=True):
        assert torch.equal(one, other)
    assert "final_obs" in env.extras
