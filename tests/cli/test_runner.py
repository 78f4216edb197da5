# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import contextlib
import csv
import ctypes
import os
import resource
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.image import imread
from rsl_rl.runners import OnPolicyRunner
from rsl_rl.utils.logger import Logger

from environments import CountSynchronisations, FlawedEnv, LinearQuadraticEnv, ppo_cfg
from isaaclab_offpolicy.action_bounds import ActionBounds
from isaaclab_offpolicy.errors import UserError
from isaaclab_offpolicy.evaluation import evaluate, plot_progress, read_progress
from isaaclab_offpolicy.runners.logger import ProgressLogger
from isaaclab_offpolicy.runners.rsl_rl import Runner
from isaaclab_offpolicy.training.runs import find_replay
from isaaclab_offpolicy.training.signals import Interruption


@pytest.fixture
def runner(train_cfg, tmp_path: Path):
    def build(max_time: float | None = None, env: LinearQuadraticEnv | None = None, **algorithm) -> Runner:
        cfg = train_cfg(learning_starts=64, replay_ratio=1 / 32, **algorithm)
        cfg["save_interval"] = 5
        return Runner(
            env or LinearQuadraticEnv(32), cfg, log_dir=str(tmp_path / "run"), device="cpu", max_time=max_time
        )

    return build


def checkpoints(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.pt*"))


@contextlib.contextmanager
def limited_file_size(limit: int) -> Iterator[None]:
    """Let no file become larger than this [bytes]: writes fail as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, previous)


def test_episodes_are_counted_as_rsl_rl_does(tmp_path: Path) -> None:
    cfg = {"num_steps_per_env": 24, "logger": "tensorboard", "algorithm": {"rnd_cfg": None}}
    options = {"is_distributed": False, "gpu_world_size": 1, "gpu_global_rank": 0, "device": "cpu"}
    loggers = [
        kind(str(tmp_path / kind.__name__), cfg, None, 8, **options)  # type: ignore[arg-type]
        for kind in (ProgressLogger, Logger)
    ]
    generator = torch.Generator().manual_seed(0)
    for logger in loggers:
        logger.writer = "not read"
    for step in range(60):
        rewards, dones = torch.rand(8, generator=generator), torch.rand(8, generator=generator) < 0.1
        counts = []
        for logger in loggers:
            with CountSynchronisations() as counter:
                logger.process_env_step(rewards, dones, {"log": {"step": step}})
            counts.append(counter.count)
        assert counts[0] == 0 < counts[1], "nothing waits for the device"
        if step % 7 == 0:
            loggers[0].read_episodes()
    ours, theirs = loggers
    assert len(ours.rewbuffer) < len(theirs.rewbuffer), "read when they are wanted"
    ours.read_episodes()
    assert list(ours.rewbuffer) == pytest.approx(list(theirs.rewbuffer)) and len(ours.rewbuffer) > 30
    assert list(ours.lenbuffer) == list(theirs.lenbuffer)
    assert ours.ep_extras == theirs.ep_extras


def test_a_run_records_bounds_versions_command_and_progress(runner, tmp_path: Path) -> None:
    runner().learn(12)
    folder = tmp_path / "run"
    assert ActionBounds.from_yaml(folder / "bounds.yaml").joint_names == ("cart",)
    assert "torch" in (folder / "versions.json").read_text()
    assert (folder / "command.txt").read_text() == shlex.join(sys.orig_argv) + "\n"
    assert checkpoints(folder) == ["best.pt", "model_0.pt", "model_10.pt", "model_11.pt", "model_5.pt"]
    progress = read_progress(folder)
    assert len(progress["iteration"]) == 12 and progress["env_steps"][-1] == 12 * 10 * 32
    assert (progress["wall_time_s"][1:] > progress["wall_time_s"][:-1]).all()
    for name in ("critic_loss", "actor_loss", "alpha", "entropy", "q_mean", "action_saturation", "replay_ratio"):
        assert torch.tensor(progress[name][1:]).isfinite().all(), name
    plot_progress({"one": [folder], "two seeds": [folder, folder]}, tmp_path / "curve.png", "title")
    assert (tmp_path / "curve.png").stat().st_size > 10_000
    plot_progress({"one": [folder]}, tmp_path / "by_steps.png", wall_clock=False)
    wide, narrow = (imread(tmp_path / name).shape[1] for name in ("curve.png", "by_steps.png"))
    assert narrow == wide // 2


def test_the_time_limit_ends_with_a_checkpoint(runner, tmp_path: Path) -> None:
    run = runner(max_time=1.5)
    run.learn(100_000)
    with (tmp_path / "run" / "progress.csv").open() as file:
        *_, before, last = csv.DictReader(file)
    # Both are rounded to a millisecond: the one before may read as 1.5 too.
    assert float(before["wall_time_s"]) <= 1.5 <= float(last["wall_time_s"]), "it ends with the first one after it"
    assert f"model_{last['iteration']}.pt" in checkpoints(tmp_path / "run")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_with_a_checkpoint(runner, tmp_path: Path, number: int) -> None:
    class Killed(LinearQuadraticEnv):
        def step(self, actions):
            if self.episode_length_buf[0] == 25:
                # Python drops an exception that is raised where C called it, as Warp's callbacks are
                ctypes.CFUNCTYPE(None)(lambda: os.kill(os.getpid(), number))()
            return super().step(actions)

    # the tests themselves may have been started in the background, where it is ignored
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        runner(env=Killed(32)).learn(100)
        assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, previous)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert "model_2.pt" in checkpoints(tmp_path / "run") or "model_1.pt" in checkpoints(tmp_path / "run")


def test_a_training_in_the_background_of_a_script_ignores_what_the_script_does() -> None:
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    interruption = Interruption()
    try:
        interruption.listen()
        os.kill(os.getpid(), signal.SIGINT)
        assert not interruption.requested
    finally:
        interruption.close()
        assert signal.signal(signal.SIGINT, previous) == signal.SIG_IGN


def test_a_second_signal_interrupts_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    interruption = Interruption()
    interruption.listen()
    try:
        for _ in range(2):
            # the launcher's, beside the terminal's
            os.kill(os.getpid(), signal.SIGTERM)
            assert interruption.requested
        monkeypatch.setattr(Interruption, "GRACE", 0.0)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1.0)
    finally:
        interruption.close()


@pytest.mark.parametrize("what", ["reward", "observation"])
def test_a_number_that_is_not_finite_stops_with_a_checkpoint_from_before(runner, tmp_path: Path, what: str) -> None:
    class Breaks(LinearQuadraticEnv):
        steps = 0

        def step(self, actions):
            self.steps += 1
            self.broken = what if self.steps == 75 else None
            return super().step(actions)

    with pytest.raises(UserError, match=rf"{what}.*is not finite.*checkpoint from before it: .*model_6.pt"):
        runner(env=Breaks(32), max_nonfinite=0.0).learn(100)
    saved = torch.load(tmp_path / "run" / "model_6.pt", weights_only=True)
    assert saved["num_timesteps"] == 74 * 32
    assert all(value.isfinite().all() for value in saved["actor_state_dict"].values())


def test_an_environment_that_gives_nothing_else_stops_within_100_steps(runner, tmp_path: Path) -> None:
    env = FlawedEnv(1.0, start=60, num_envs=32)
    with pytest.raises(UserError, match=r"max_nonfinite allows 5 %; checkpoint from before it: .*model_5.pt"):
        runner(env=env).learn(100)
    assert 60 < env.steps <= 160


def test_a_flaw_now_and_then_leaves_the_log_as_it_is(runner, tmp_path: Path) -> None:
    runner(env=FlawedEnv(0.01, num_envs=32)).learn(20)
    progress = read_progress(tmp_path / "run")
    returns = torch.tensor(progress["mean_return"])
    assert returns[10:].isfinite().all() and torch.tensor(progress["left_out"]).nansum() > 20
    assert (tmp_path / "run" / "best.pt").is_file()


@pytest.mark.parametrize("limit", [0, -1.0, float("nan"), "60s", True])
def test_a_limit_that_is_none_is_refused(train_cfg, tmp_path: Path, limit: Any) -> None:
    with pytest.raises(ValueError, match="step_limit is a time above zero"):
        Runner(LinearQuadraticEnv(4), {**train_cfg(), "step_limit": limit}, str(tmp_path), "cpu")


def test_transitions_are_counted_on_after_a_resume(runner, tmp_path: Path) -> None:
    runner().learn(3)
    run = runner()
    run.load(str(tmp_path / "run" / "model_2.pt"))
    run.learn(1)
    assert read_progress(tmp_path / "run")["env_steps"].tolist() == [4 * 10 * 32]


def test_a_line_per_iteration(runner, capsys: pytest.CaptureFixture[str]) -> None:
    runner(max_time=600.0).learn(3)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("[train]")]
    assert [line.split()[1] for line in lines] == ["0", "1", "2"]
    assert "steps/s" in lines[0] and lines[-1].split("  ")[3] == "0:00 left", "fewer iterations than time"
    run = runner()
    run.logger.verbose = True
    run.learn(1)
    output = capsys.readouterr().out
    assert "Learning iteration 0/1" in output and "[train]" not in output


def test_a_number_that_rsl_rl_refuses_stops_ppo_as_well(tmp_path: Path) -> None:
    class Breaks(LinearQuadraticEnv):
        steps = 0

        def step(self, actions):
            obs, reward, dones, extras = super().step(actions)
            self.steps += 1
            return obs, reward * (float("nan") if self.steps == 30 else 1.0), dones, extras

    env = Breaks(8)
    env.cfg.compute_final_obs = True
    run = Runner(env, ppo_cfg(), str(tmp_path / "run"), "cpu")
    with pytest.raises(UserError, match=r"training stopped: The rewards.*NaN.*checkpoint from before it: .*model_0.pt"):
        run.learn(5)


def test_broken_weights_leave_the_last_good_checkpoint(runner, tmp_path: Path) -> None:
    run = runner()
    update = run.alg.update

    def breaking() -> dict[str, float]:
        if run.current_learning_iteration == 7:
            with torch.no_grad():
                run.alg.actor.mlp[0].weight.fill_(float("nan"))
        return update()

    run.alg.update = breaking
    with pytest.raises(UserError, match=r"not finite.*checkpoint from before it: .*model_5.pt"):
        run.learn(100)
    assert checkpoints(tmp_path / "run") == ["model_0.pt", "model_5.pt"]


def test_broken_weights_of_ppo_leave_the_last_good_checkpoint(tmp_path: Path) -> None:
    env = LinearQuadraticEnv(8)
    env.cfg.compute_final_obs = True
    run = Runner(env, {**ppo_cfg(), "save_interval": 2}, str(tmp_path / "run"), "cpu")
    update = run.alg.update

    def breaking() -> dict[str, float]:
        result = update()
        if run.current_learning_iteration == 3:  # before the checkpoint of the next one
            with torch.no_grad():
                run.alg.actor.mlp[0].bias[-1] = float("inf")
        return result

    run.alg.update = breaking
    with pytest.raises(UserError, match=r"mlp.0.bias.* is not finite; checkpoint from before it: .*model_2.pt"):
        run.learn(100)
    assert checkpoints(tmp_path / "run") == ["model_0.pt", "model_2.pt"]


def test_a_full_disk_spares_the_earlier_checkpoint(runner, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    run = runner()
    run.learn(2)
    path = tmp_path / "run" / "model_1.pt"
    before = path.read_bytes()
    with limited_file_size(len(before) // 2):
        run.save(str(path))
        with pytest.raises(UserError, match="could not be written"):
            run.current_learning_iteration = 9
            run._save_last()
    assert "could not be written" in capsys.readouterr().err
    assert path.read_bytes() == before
    assert not list((tmp_path / "run").glob("*.tmp"))


def test_the_newest_checkpoints_and_the_best_one_are_kept(train_cfg, tmp_path: Path) -> None:
    def run(folder: str, keep: int | None) -> list[str]:
        cfg = train_cfg(learning_starts=10**6)
        cfg["save_interval"], cfg["keep_checkpoints"] = 2, keep
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "model_1.pt").write_bytes(b"of another training")
        Runner(LinearQuadraticEnv(32), cfg, log_dir=str(tmp_path / folder)).learn(12)
        return checkpoints(tmp_path / folder)

    assert run("two", 2) == ["best.pt", "model_1.pt", "model_10.pt", "model_11.pt"]
    assert run("all", None) == ["best.pt", *sorted(f"model_{n}.pt" for n in (0, 1, 2, 4, 6, 8, 10, 11))]


def test_checkpoints_go_to_and_from_rsl_rls_own_runner(tmp_path: Path) -> None:
    def make(kind: type[OnPolicyRunner]) -> OnPolicyRunner:
        env = LinearQuadraticEnv(8)
        env.cfg.compute_final_obs = True
        return kind(env, ppo_cfg(), None, "cpu")

    ours, theirs = tmp_path / "ours.pt", tmp_path / "theirs.pt"
    for first, second, path in ((Runner, OnPolicyRunner, ours), (OnPolicyRunner, Runner, theirs)):
        one, other = make(first), make(second)
        one.current_learning_iteration = 7
        one.save(str(path))
        other.load(str(path))
        assert other.current_learning_iteration == 7
        torch.testing.assert_close(other.alg.save(), one.alg.save(), rtol=0, atol=0)
    assert "sha256" in torch.load(ours, weights_only=True) and "sha256" not in torch.load(theirs, weights_only=True)


@pytest.fixture
def keeper(train_cfg, tmp_path: Path):
    """Builds runners that keep their replay buffer."""

    def build(folder: str | None, num_envs: int = 32, save_replay_buffer: bool = True) -> Runner:
        cfg = train_cfg(learning_starts=64, save_replay_buffer=save_replay_buffer)
        cfg["save_interval"] = 5
        log_dir = None if folder is None else str(tmp_path / folder)
        return Runner(LinearQuadraticEnv(num_envs), cfg, log_dir=log_dir, device="cpu")

    return build


def test_a_training_goes_on_with_its_replay_buffer(keeper, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "first"
    first = keeper("first")
    first.learn(8)
    checkpoint = str(folder / "model_7.pt")
    assert [path.name for path in folder.glob("replay_*")] == ["replay_7.json"], "the newest only"
    second = keeper("second")
    second.load(checkpoint)
    assert "replay_7.json, " in capsys.readouterr().out
    stored, updates = len(second.alg.storage), second.alg.num_updates
    assert stored == len(first.alg.storage) + 32, "all, and the cut"
    second.learn(1)
    # from the first step on, without collecting anew
    assert second.alg.num_updates == updates + 10 and len(second.alg.storage) == stored + 10 * 32
    # nothing but the cut and what is new is another
    old, new = first.alg.storage, second.alg.storage
    for name in ("action", "reward"):
        assert torch.equal(getattr(new, name)[:80], getattr(old, name)[:80])
    assert bool(new.done[79:81].all()) and not bool(new.is_start[80].any()) and bool(new.is_start[81].all())
    assert torch.equal(new.obs["policy"][80], old.obs["policy"][80]), "the last observation of what was truncated"

    # also where the optimizers begin anew
    third = keeper("third")
    third.load(checkpoint, {"actor": True, "critic": True, "optimizer": False, "iteration": True})
    assert len(third.alg.storage) == stored

    # playback has no use for it, and a training that does not keep its own leaves it alone
    capsys.readouterr()
    keeper(None).load(checkpoint)
    other = keeper("other", save_replay_buffer=False)
    other.load(checkpoint)
    output = capsys.readouterr().out
    assert "Replay buffer" not in output and output.count("is left alone") == 1
    other.learn(1)
    assert other.alg.num_updates == updates and len(other.alg.storage) == 10 * 32

    # a runner that has learned already begins anew, too
    first.load(checkpoint)
    first.learn(1)
    assert bool(first.alg.storage.obs["policy"][81].any())


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return os.system, (f"touch '{self.canary}'",)


def test_replay_buffers_that_cannot_be_used(keeper, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keeper("first").learn(2)
    folder = tmp_path / "first"
    checkpoint, replay = str(folder / "model_1.pt"), folder / "replay_1.json"
    with pytest.raises(UserError, match=r"replay_1.json: .*32 environments, not 16; move it away"):
        keeper("second", 16).load(checkpoint)
    for contents in (b"cut short", b""):
        replay.write_bytes(contents)
        with pytest.raises(UserError, match=r"replay_1.json: .*move it away"):
            keeper("second").load(checkpoint)
    replay.unlink()
    replay = folder / "replay_1.pt"  # as of version 0.1
    canary = tmp_path / "canary"
    torch.save({"num_envs": Evil(canary)}, replay)
    with pytest.raises(UserError, match=r"replay_1.pt: .*it would call posix.system.*move it away"):
        keeper("second").load(checkpoint)
    assert not canary.exists()
    torch.save({name: 1 for name in ("num_envs", "storage", "obs_dims", "columns", "obs")}, replay)
    with pytest.raises(UserError, match=r"replay_1.pt: .*move it away"):
        keeper("second").load(checkpoint)
    replay.unlink()
    run = keeper("second")
    run.load(checkpoint)
    assert "No replay buffer lies beside" in capsys.readouterr().out
    updates = run.alg.num_updates
    run.learn(1)
    assert run.alg.num_updates == updates, "it collects first"


def test_a_full_disk_costs_the_newest_replay_buffer_only(
    keeper, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, folder = keeper("first"), tmp_path / "first"
    run.learn(2)
    small = (folder / "model_1.pt").stat().st_size
    kept = folder / "replay_by_hand.pt"
    kept.write_bytes(b"")
    rows = {path.name for path in (folder / "replay").iterdir()}
    before = checkpoints(folder)
    (replay,) = folder.glob("replay_*.json")
    row = sum(tensor[0].nbytes for tensor in run.alg.storage.columns().values())
    for _ in range(int(2 * small / row)):  # what is new becomes larger than a checkpoint
        run.alg.storage.cut()
    run.current_learning_iteration = 99
    with limited_file_size(int(1.2 * small)):
        run.save(str(folder / "model_99.pt"))
    assert "replay_99.json could not be written" in capsys.readouterr().err
    assert {path.name for path in (folder / "replay").iterdir()} == rows, "no half file stays"
    assert checkpoints(folder) == sorted([*before, "model_99.pt"]) and kept.is_file()
    assert find_replay(str(folder / "model_99.pt")) == replay
    assert find_replay(str(folder / "model_0.pt")) is None is find_replay(str(folder / "best.pt"))


def test_evaluation_counts_each_environments_first_episodes() -> None:
    class Counting(LinearQuadraticEnv):
        def reset(self):
            self.episode_length_buf = torch.zeros(self.num_envs, dtype=torch.long)
            self.limit = torch.tensor([2, 5, 10])
            return self.get_observations(), {}

        def step(self, actions):
            obs, _, _, _ = super().step(actions)
            done = self.episode_length_buf >= self.limit
            self.episode_length_buf = torch.where(done, 0, self.episode_length_buf)
            fall = torch.tensor([True, False, False])
            return obs, torch.ones(3), done.long(), {"time_outs": done & ~fall}

    env = Counting(3, max_episode_length=100)
    env.cfg.compute_final_obs = True
    result = evaluate(env, lambda obs: torch.zeros(3, 1), episodes=6)
    assert sorted(result.returns.tolist()) == [2.0, 2.0, 5.0, 5.0, 10.0, 10.0]
    summary = result.summary()
    assert summary["survival_rate"] == pytest.approx(2 / 3)
    assert summary["return_mean"] == pytest.approx(17 / 3) and summary["length_mean"] == pytest.approx(17 / 3)
    partial = evaluate(env, lambda obs: torch.zeros(3, 1), episodes=5)
    assert partial.returns.tolist() == [2.0, 5.0, 10.0, 2.0, 5.0], "not whichever ended first"
    # what else is measured is the mean over the episode: of 0, 1, …, n - 1 the half of n - 1
    measured = evaluate(env, lambda obs: torch.zeros(3, 1), 6, lambda: {"age": env.episode_length_buf.float()})
    assert measured.measured["age"].tolist() == [0.5, 2.0, 4.5, 0.5, 2.0, 4.5]
    assert measured.summary()["age"] == pytest.approx(7 / 3)
