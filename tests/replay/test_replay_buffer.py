# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import math
import threading
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isaaclab_offpolicy.replay import PrefetchingReplayBuffer, ReplayBuffer, SampleIndices
from isaaclab_offpolicy.training.replay_files import ReplayFiles, load_replay


class Recorder:
    """Keeps every step as plain Python, and computes n-step targets the slow way."""

    def __init__(self, num_envs: int) -> None:
        self.num_envs = num_envs
        self.obs: list[list[float]] = []  # observation before step t, by environment
        self.steps: list[dict] = []

    def transitions(self, env: int, start: int, n_steps: int, gamma: float) -> tuple[float, float, float]:
        """Return, factor on the bootstrapped value, and the observation to bootstrap from."""
        total, k, t = 0.0, 0, start
        while True:
            step = self.steps[t]
            total += gamma**k * step["reward"][env]
            k += 1
            if step["terminated"][env]:
                return total, 0.0, math.nan
            if step["truncated"][env]:
                return total, gamma**k, step["final_obs"][env]
            if k == n_steps or t + 1 == len(self.steps):
                return total, gamma**k, step["next_obs"][env]
            t += 1


@st.composite
def histories(draw: st.DrawFn) -> dict:
    num_envs = draw(st.integers(1, 3))
    steps = draw(st.integers(1, 25))
    event = st.sampled_from(["go", "go", "go", "fall", "timeout", "both"])
    return {
        "num_envs": num_envs,
        "rows": draw(st.integers(1, 9)),
        "n_steps": draw(st.integers(1, 4)),
        "gamma": draw(st.sampled_from([0.5, 0.9, 0.99])),
        "events": draw(st.lists(st.lists(event, min_size=num_envs, max_size=num_envs), min_size=steps, max_size=steps)),
        # after these steps the buffer is written, and read by one that may be smaller or larger
        "saved": draw(st.dictionaries(st.integers(0, 24), st.integers(1, 9), max_size=2)),
    }


@settings(max_examples=300, deadline=None)
@given(histories())
def test_targets_against_brute_force_with_random_ends_and_over_the_seam(history: dict) -> None:
    num_envs, n_steps, gamma = history["num_envs"], history["n_steps"], history["gamma"]
    buffer = ReplayBuffer(history["rows"] * num_envs, num_envs, {"policy": 1}, 1, n_steps, gamma)
    recorder = Recorder(num_envs)
    value = iter(range(10**6))  # every observation and reward is a number of its own

    def fresh() -> torch.Tensor:
        return torch.tensor([float(next(value)) for _ in range(num_envs)])

    obs = fresh()
    buffer.reset({"policy": obs.unsqueeze(-1)})
    rows = max(history["rows"], n_steps)
    expected = 0
    for step, events in enumerate(history["events"]):
        action, reward, final = fresh() / 1e4, fresh(), fresh()
        terminated = torch.tensor([e in ("fall", "both") for e in events])
        truncated = torch.tensor([e in ("timeout", "both") for e in events])
        next_obs = torch.where(terminated | truncated, fresh(), final)
        buffer.add(
            action.unsqueeze(-1), reward, terminated, truncated,
            {"policy": next_obs.unsqueeze(-1)}, {"policy": final.unsqueeze(-1)},
        )  # fmt: skip
        recorder.obs.append(obs.tolist())
        recorder.steps.append(
            {
                "action": action.tolist(), "reward": reward.tolist(), "terminated": terminated.tolist(),
                "truncated": (truncated & ~terminated).tolist(), "final_obs": final.tolist(),
                "next_obs": next_obs.tolist(),
            }
        )  # fmt: skip
        obs, expected = next_obs, min(expected + 1, rows)
        if step in history["saved"]:
            rows = max(history["saved"][step], n_steps)
            restored = ReplayBuffer(rows * num_envs, num_envs, {"policy": 1}, 1, n_steps, gamma)
            with TemporaryDirectory() as folder:
                assert ReplayFiles(Path(folder), 1.0, "").save(buffer, Path(folder, "model_0.pt"))
                load_replay(Path(folder, "replay_0.json"), restored)
            restored.cut()
            buffer, last = restored, recorder.steps[-1]
            cut = [not last["terminated"][env] and not last["truncated"][env] for env in range(num_envs)]
            last["truncated"] = [a or b for a, b in zip(cut, last["truncated"], strict=True)]
            pairs = zip(cut, last["next_obs"], last["final_obs"], strict=True)
            last["final_obs"] = [after if was_cut else final for was_cut, after, final in pairs]
            recorder.obs.append([])
            recorder.steps.append({"gap": True, "truncated": [False] * num_envs})
            obs, expected = fresh(), min(min(expected, rows) + 1, rows)
            buffer.reset({"policy": obs.unsqueeze(-1)})
    stored = len(buffer) // num_envs
    assert stored == expected
    for age in range(stored):
        start = len(recorder.steps) - 1 - age
        for env in range(num_envs):
            batch = buffer.gather(SampleIndices(torch.tensor([[age]]), torch.tensor([[env]]), buffer._row))
            after_timeout = start > 0 and recorder.steps[start - 1]["truncated"][env]
            is_none = after_timeout or "gap" in recorder.steps[start]
            assert batch.weight.item() == (0.0 if is_none else 1.0)
            if is_none:
                continue
            total, discount, bootstrap = recorder.transitions(env, start, n_steps, gamma)
            assert batch.obs["policy"].item() == recorder.obs[start][env]
            assert batch.action.item() == pytest.approx(recorder.steps[start]["action"][env])
            assert batch.reward.item() == pytest.approx(total, rel=1e-5)
            assert batch.discount.item() == pytest.approx(discount, rel=1e-5)
            if discount > 0.0:
                assert batch.next_obs["policy"].item() == bootstrap


def filled(steps: int = 50, num_envs: int = 4, ends: float = 0.0, **kwargs) -> ReplayBuffer:
    buffer = ReplayBuffer(1000, num_envs, {"policy": 3, "critic": 2}, 2, **kwargs)
    obs = {"policy": torch.randn(num_envs, 3), "critic": torch.randn(num_envs, 2)}
    buffer.reset(obs)
    for _ in range(steps):
        obs = {"policy": torch.randn(num_envs, 3), "critic": torch.randn(num_envs, 2)}
        fall, timeout = torch.rand(2, num_envs) < ends
        buffer.add(torch.randn(num_envs, 2), torch.randn(num_envs), fall, timeout, obs, obs)
    return buffer


def test_shapes_of_a_sample() -> None:
    batch = filled(n_steps=3).sample(5, 16)
    assert batch.obs["policy"].shape == batch.next_obs["policy"].shape == (5, 16, 3)
    assert batch.obs["critic"].shape == (5, 16, 2)
    assert batch.action.shape == (5, 16, 2)
    assert batch.reward.shape == batch.discount.shape == batch.weight.shape == (5, 16)


def test_sampling_is_uniform_over_what_is_stored() -> None:
    buffer = filled(steps=20, num_envs=4)
    buffer.reward[:] = torch.arange(buffer.rows).unsqueeze(-1) * 4.0 + torch.arange(4)
    torch.manual_seed(1)
    batch = buffer.sample(40, 1000)
    counts = torch.bincount(batch.reward.flatten().long(), minlength=80)
    assert counts.shape == (80,)  # twenty rows of four environments, and nothing else
    # chi-squared of 80 cells: mean 79, standard deviation 12.6
    assert ((counts - 500.0) ** 2 / 500.0).sum() < 79 + 5 * 12.6


def test_what_is_left_out_is_sampled_no_more_and_ends_returns() -> None:
    buffer = ReplayBuffer(60, 3, {"policy": 1}, 1, n_steps=3, gamma=0.5)
    never = torch.zeros(3, dtype=torch.bool)
    obs = {"policy": torch.zeros(3, 1)}
    buffer.reset(obs)
    for step in range(6):
        buffer.add(torch.zeros(3, 1), torch.full((3,), 10.0**step), never, never, obs)
        if step == 3:
            # of the first environment the last transition, of the second the observation after it
            buffer.leave_out(torch.tensor([True, False, False]), torch.tensor([False, True, False]))
    age = torch.arange(6).flip(0).expand(3, 6)
    batch = buffer.gather(SampleIndices(age, torch.arange(3).unsqueeze(-1).expand(3, 6), buffer._row))
    assert batch.weight.tolist() == [[1, 1, 1, 0, 1, 1], [1, 1, 1, 1, 0, 1], [1] * 6]
    returns = [1 + 5 + 25, 10 + 50 + 250, 100 + 500 + 2500, 1000 + 5000 + 25000, 10000 + 50000, 100000]
    assert batch.reward[2].tolist() == returns
    # no return goes on into a transition that is left out; one that goes over the lost observation does not need it
    ended = batch.weight * batch.reward
    assert ended[0].tolist() == [31, 10 + 50, 100, 0, *returns[4:]]
    assert batch.discount[0].tolist()[:3] == [0.125, 0.25, 0.5]
    assert ended[1].tolist() == [*returns[:4], 0, returns[5]]


def test_observations_are_stored_once() -> None:
    buffer = ReplayBuffer(100_000, 100, {"policy": 48}, 12)
    floats = buffer.nbytes / 4 / 100_000
    # 48 observations, 12 actions, a reward and three flags of a byte; twice the observations would be 109
    assert floats < 62.5


def test_a_timeout_without_its_last_observation_is_an_error() -> None:
    buffer = filled()
    obs = {"policy": torch.zeros(4, 3), "critic": torch.zeros(4, 2)}
    none = torch.zeros(4, dtype=torch.bool)
    with pytest.raises(ValueError, match="last observation"):
        buffer.add(torch.zeros(4, 2), torch.zeros(4), none, ~none, obs)
    with pytest.raises(ValueError, match="empty"):
        ReplayBuffer(10, 1, {"policy": 1}, 1).sample(1, 1)


@pytest.mark.parametrize(("storage", "error", "smaller"), [("float16", 5e-4, 1.6), ("uint8", 0.5 / 255, 2.2)])
def test_smaller_formats_stay_within_their_error(storage: str, error: float, smaller: float) -> None:
    num_envs, dim, rows = 64, 48, 200
    generator = torch.Generator().manual_seed(2)
    full, small = (
        ReplayBuffer(rows * num_envs, num_envs, {"policy": dim}, 12, 3, storage=s) for s in ("float32", storage)
    )
    # features of very different size and offset, one of which is constant
    scale = torch.logspace(-3, 3, dim)
    scale[7] = 0.0

    def draw() -> torch.Tensor:
        return torch.randn(num_envs, dim, generator=generator) * scale + 2.0 * scale

    none = torch.zeros(num_envs, dtype=torch.bool)
    obs = [draw() for _ in range(rows + 1)]
    for buffer in (full, small):
        buffer.reset({"policy": obs[0]})
        for after in obs[1:]:
            buffer.add(torch.zeros(num_envs, 12), torch.zeros(num_envs), none, none, {"policy": after})
    age, env = (torch.randint(n, (4, 256), generator=generator) for n in (rows, num_envs))
    exact, rounded = (buffer.gather(SampleIndices(age, env, buffer._row)) for buffer in (full, small))
    for left, right in ((exact.obs, rounded.obs), (exact.next_obs, rounded.next_obs)):
        assert right["policy"].dtype == torch.float32
        difference = (left["policy"] - right["policy"]).abs()
        if storage == "float16":
            limit = error * left["policy"].abs() + 6e-8
        else:
            spread = torch.stack([o.max(0).values - o.min(0).values for o in obs]).max(0).values
            limit = error * spread * 1.01 + 1e-6 * scale
        assert (difference <= limit).all()
    assert full.nbytes / small.nbytes > smaller


def test_half_precision_keeps_its_largest_number_in_place_of_infinity() -> None:
    buffer = ReplayBuffer(4, 2, {"policy": 1}, 1, storage="float16")
    buffer.reset({"policy": torch.tensor([[1.0e6], [-1.0e6]])})
    assert buffer.obs["policy"][0].tolist() == [[65504.0], [-65504.0]]


def test_ten_million_transitions_on_rough_terrain_fit_in_twelve_gigabytes() -> None:
    def size(storage: str) -> float:
        small = ReplayBuffer(20 * 4096, 4096, {"policy": 235}, 12, 3, storage=storage)
        small._allocate()
        return small.nbytes / (small.rows * 4096) * 1e7

    assert size("float32") < 12e9 and size("float16") < 6e9 and size("uint8") < 3.5e9
    with pytest.raises(ValueError, match="storage is one of"):
        ReplayBuffer(10, 1, {"policy": 1}, 1, storage="int4")


@pytest.mark.parametrize("n_steps", [1, 3])
def test_what_is_fetched_ahead_is_not_disturbed_by_what_is_stored_meanwhile(n_steps: int) -> None:
    num_envs, rows, between = 4, 12, 3
    buffer = PrefetchingReplayBuffer(
        rows * num_envs, num_envs, {"policy": 3}, 2, n_steps, learner_device=torch.device("cpu")
    )
    generator = torch.Generator().manual_seed(1)

    def add() -> None:
        done = torch.rand(num_envs, generator=generator) < 0.2
        obs = {"policy": torch.randn(num_envs, 3, generator=generator)}
        buffer.add(
            torch.randn(num_envs, 2, generator=generator), torch.randn(num_envs, generator=generator),
            done, torch.zeros_like(done), obs,
        )  # fmt: skip

    buffer.reset({"policy": torch.randn(num_envs, 3, generator=generator)})
    gather, expected, may_go = buffer.gather, [], threading.Event()

    def late(indices: SampleIndices):
        if threading.current_thread() is not threading.main_thread():
            assert may_go.wait(10.0)
        return gather(indices)

    sample_indices = buffer.sample_indices

    def noted(*args, **kwargs) -> SampleIndices:
        result = sample_indices(*args, **kwargs)
        expected.append(gather(result))
        return result

    buffer.gather, buffer.sample_indices = late, noted
    rounds = 0
    for step in range(60):
        add()
        if step % between == between - 1 and len(buffer) >= 4 * num_envs:
            may_go.set()  # all that is stored between two rounds is there before the thread begins
            batch = buffer.sample(2, 64, 2, between)
            may_go.clear()
            torch.testing.assert_close(batch, expected[rounds], rtol=0, atol=0)
            rounds += 1
    assert rounds > 15 and len(buffer) == rows * num_envs
    may_go.set()
    # an update phase of another size is sampled anew
    assert buffer.sample(1, 8, 0, between).reward.shape == (1, 8)


def with_rows(steps: int, capacity: int = 400, **options: float) -> ReplayBuffer:
    """A buffer of four environments after so many steps."""
    buffer = ReplayBuffer(capacity, 4, {"policy": 1}, 1, n_steps=2, **options)
    buffer.reset({"policy": torch.zeros(4, 1)})
    no = torch.zeros(4, dtype=torch.bool)
    for _ in range(steps):
        buffer.add(torch.zeros(4, 1), torch.zeros(4), no, no, {"policy": torch.zeros(4, 1)})
    return buffer


@pytest.mark.parametrize("recency", [0.5, 1.0, 2.0, 3.0])
def test_recency_is_an_exponent_of_the_age(recency: float) -> None:
    age = with_rows(300, recency=recency).sample_indices(100, 512).age.flatten().sort().values
    assert age[0] == 0 and age[-1] == 99
    for share in (0.1, 0.25, 0.5, 0.9):
        # the share of the samples that is younger than u**recency of the oldest is u
        assert age[int(share * len(age))].item() == pytest.approx(100 * share**recency, abs=1.5)


@pytest.mark.parametrize(("steps", "newest", "rows"), [(60, 1.0, 60), (60, 0.5, 30), (400, 0.5, 100), (3, 0.1, 2)])
def test_the_newest_share_grows_with_the_training(steps: int, newest: float, rows: int) -> None:
    age = with_rows(steps, newest=newest).sample_indices(20, 512).age
    assert (int(age.min()), int(age.max())) == (0, rows - 1)


@pytest.mark.parametrize("options", [{"recency": 0.0}, {"newest": 0.0}, {"newest": 1.5}, {"recency": math.nan}])
def test_shares_that_cannot_be_sampled(options: dict) -> None:
    with pytest.raises(ValueError, match="recency is above 0 and newest a share up to 1"):
        with_rows(0, **options)
