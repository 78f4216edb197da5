# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""rsl_rl's runner with what a long training needs: a time limit, checkpoints that survive, a log of its progress."""

from __future__ import annotations

import contextlib
import csv
import importlib.metadata
import json
import os
import platform
import re
import shlex
import signal
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rsl_rl.runners import OnPolicyRunner
from rsl_rl.utils.logger import Logger

from isaaclab_offpolicy.action_bounds import ActionBounds, BoundsError
from isaaclab_offpolicy.algorithms import SAC, NonFiniteError, ReplayBuffer
from isaaclab_offpolicy.training.safe_load import load_tensors

from .arguments import BEST_CHECKPOINT, CliError
from .checkpoints import read_tensors

PACKAGES = (
    "isaaclab_offpolicy",
    "isaaclab",
    "rsl-rl-lib",
    "torch",
    "warp-lang",
    "newton",
    "mujoco-warp",
    "ovphysx",
    "isaacsim",
    "sbx-rl",
    "stable-baselines3",
    "jax",
    "flax",
    "optax",
    "tfp-nightly",
)
"""Packages whose versions a run records."""

CHECKPOINT, REPLAY = re.compile(r"model_(\d+)\.pt"), re.compile(r"replay_(\d+)\.pt")
"""Names of a run's checkpoints and replay buffers."""

MIN_EPISODES = 50
"""Episodes whose mean return is needed before a checkpoint may be called the best."""


class TimeLimitReached(Exception):  # noqa: N818 - an event, not an error
    """The training's time is over."""


class Interruption:
    """Ctrl+C and a termination signal, which wait until a training can end.

    An exception that a signal's handler raises gets lost where C calls back into Python, as Warp does for every array
    that it hands over; and elsewhere it may leave weights half updated. So the signal is only noted. Who has had enough
    sends another one, which interrupts at once; those that follow within :attr:`GRACE` count as the first, as terminal
    and launcher may both send one.
    """

    GRACE = 2.0
    """Time after the first signal in which others are ignored [s]."""

    def __init__(self) -> None:
        self.requested = False
        self._first = 0.0
        self._previous: dict[int, Any] = {}

    def listen(self) -> None:
        """Take the signals, but for those that the process was started to ignore; only the main thread may."""
        self.requested = False
        self._previous = {
            number: signal.signal(number, self._note)
            for number in (signal.SIGINT, signal.SIGTERM)
            if signal.getsignal(number) != signal.SIG_IGN
        }

    def close(self) -> None:
        """Give the signals back to whom they belonged."""
        for number, handler in self._previous.items():
            if handler is not None:  # one that is not Python's cannot be set from here
                signal.signal(number, handler)
        self._previous = {}

    def _note(self, signum: int, frame: Any) -> None:
        now = time.perf_counter()
        if not self.requested:
            self.requested, self._first = True, now
        elif now - self._first > self.GRACE:
            raise KeyboardInterrupt


class ProgressTable:
    """A CSV file that grows by a row at a time, and by columns, such as losses, when they come.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._columns: list[str] = []
        self._rows: list[dict[str, Any]] = []

    def append(self, row: dict[str, Any]) -> None:
        """Append a row; the file is written anew when it has columns that were not there before."""
        self._rows.append(row)
        grown = [name for name in row if name not in self._columns]
        self._columns += grown
        try:
            with self.path.open("w" if grown else "a", newline="") as file:
                writer = csv.DictWriter(file, self._columns, restval="")
                if grown:
                    writer.writeheader()
                writer.writerows(self._rows if grown else [row])
        except OSError as error:
            print(f"[WARNING] {self.path}: {error.strerror}", file=sys.stderr)


class ProgressLogger(Logger):
    """rsl_rl's logger, which also writes ``progress.csv``, keeps the time limit and ends an interrupted training.

    Args:
        log_dir: The run's folder; without one nothing is logged.
        cfg: rsl_rl's configuration.
        env_cfg: The environment's.
        num_envs: Number of environments of this process.
        is_distributed: Whether several processes learn together.
        gpu_world_size: Their number.
        gpu_global_rank: Which of them this is.
        device: Device of the learner.
    """

    deadline: float | None = None
    """Time of :func:`time.perf_counter` at which the training ends."""

    start: float = 0.0
    """Time at which it began."""

    def __init__(
        self,
        log_dir: str | None,
        cfg: dict,
        env_cfg: Any,
        num_envs: int,
        is_distributed: bool,
        gpu_world_size: int,
        gpu_global_rank: int,
        device: str,
    ) -> None:
        super().__init__(log_dir, cfg, env_cfg, num_envs, is_distributed, gpu_world_size, gpu_global_rank, device)
        self.is_distributed = is_distributed
        self.interruption = Interruption()
        self._table: ProgressTable | None = None
        self._ended: list[torch.Tensor] = []

    def process_env_step(
        self, rewards: torch.Tensor, dones: torch.Tensor, extras: dict, intrinsic_rewards: torch.Tensor | None = None
    ) -> None:
        """Add a vector step's rewards and the episodes that it ended, which stay on the device until they are read.

        Args:
            rewards: Rewards, shape [N].
            dones: Whether the episode ended, shape [N].
            extras: Isaac Lab's extras.
            intrinsic_rewards: Of random network distillation, shape [N].

        Raises:
            KeyboardInterrupt: If a signal came.
        """
        if self.interruption.requested:
            raise KeyboardInterrupt
        if self.writer is None or intrinsic_rewards is not None:
            super().process_env_step(rewards, dones, extras, intrinsic_rewards)
            return
        log = extras.get("episode", extras.get("log"))
        if log is not None:
            self.ep_extras.append(log)
        self.cur_reward_sum += rewards
        self.cur_episode_length += 1
        ended = dones > 0
        self._ended.append(torch.stack((ended.float(), self.cur_reward_sum, self.cur_episode_length.float())))
        self.cur_reward_sum.masked_fill_(ended, 0.0)
        self.cur_episode_length.masked_fill_(ended, 0.0)

    def read_episodes(self) -> None:
        """Read returns and lengths of the episodes that have ended: one look at the device for all steps since then."""
        if self._ended:
            ended, returns, lengths = torch.stack(self._ended, dim=1).cpu()
            self.rewbuffer.extend(returns[ended > 0].tolist())
            self.lenbuffer.extend(lengths[ended > 0].tolist())
            self._ended.clear()

    def log(
        self,
        it: int,
        start_it: int,
        total_it: int,
        collect_time: float,
        learn_time: float,
        loss_dict: dict,
        **kwargs: Any,
    ) -> None:  # type: ignore[override]
        """Log one iteration.

        Raises:
            TimeLimitReached: After logging, when the time is over.
            KeyboardInterrupt: After logging, if a signal came.
        """
        self.read_episodes()
        super().log(it, start_it, total_it, collect_time, learn_time, loss_dict, **kwargs)
        now = time.perf_counter()
        if self.writer is not None:
            row = {
                "iteration": it,
                "env_steps": self.tot_timesteps,
                "wall_time_s": round(now - self.start, 3),
                "collection_time_s": round(collect_time, 4),
                "learning_time_s": round(learn_time, 4),
                "mean_return": round(statistics.mean(self.rewbuffer), 5) if self.rewbuffer else "",
                "mean_episode_length": round(statistics.mean(self.lenbuffer), 2) if self.lenbuffer else "",
                **{key: f"{value:.6g}" for key, value in loss_dict.items()},
            }
            if self._table is None:
                self._table = ProgressTable(Path(str(self.log_dir)) / "progress.csv")
            self._table.append(row)
        if self.interruption.requested:
            raise KeyboardInterrupt
        if self.time_is_over(now):
            raise TimeLimitReached

    def time_is_over(self, now: float) -> bool:
        """Whether the deadline has passed at ``now`` [s of :func:`time.perf_counter`].

        Where several processes learn together the first one's clock counts for all: one that stopped alone would leave
        the others waiting for its gradients.
        """
        over = self.deadline is not None and now >= self.deadline
        if not self.is_distributed:
            return over
        flag = torch.tensor(float(over), device=self.device)
        torch.distributed.broadcast(flag, src=0)
        return bool(flag)


class Runner(OnPolicyRunner):
    """rsl_rl's runner, made to lose nothing.

    Checkpoints are written beside their final name and renamed, so that an earlier one survives whatever happens. A
    time limit, Ctrl+C and a termination signal end the training with a checkpoint; so does a number that is not
    finite, with what was wrong. The run's folder records bounds, versions and command.

    Args:
        env: The wrapped environment.
        train_cfg: rsl_rl's configuration.
        log_dir: The run's folder.
        device: Device of the learner.
        max_time: Wall-clock limit of the training [s].
    """

    def __init__(
        self, env: Any, train_cfg: dict, log_dir: str | None = None, device: str = "cpu", max_time: float | None = None
    ) -> None:
        super().__init__(env, train_cfg, log_dir, device)
        self.max_time = max_time
        self.last_checkpoint: str | None = None
        self._best_return = -float("inf")
        self.logger = ProgressLogger(
            log_dir=log_dir,
            cfg=self.cfg,
            env_cfg=self.env.cfg,
            num_envs=self.env.num_envs,
            is_distributed=self.is_distributed,
            gpu_world_size=self.gpu_world_size,
            gpu_global_rank=self.gpu_global_rank,
            device=self.device,
        )

    def learn(self, num_learning_iterations: int, init_at_random_ep_len: bool = False) -> None:
        """Train, as rsl_rl's runner does, until the iterations or the time are over.

        Raises:
            CliError: If there are no bounds, a number was not finite, or the last checkpoint could not be written.
        """
        error = getattr(self.alg, "bounds_error", None)
        if error is not None:
            raise CliError(f"action bounds: {error}")
        if self.logger.log_dir is not None:
            # not before: a checkpoint that is resumed from brings its own bounds
            write_provenance(Path(self.logger.log_dir), getattr(self.alg, "bounds", None))
        self.logger.start = time.perf_counter()
        self.logger.deadline = None if self.max_time is None else self.logger.start + self.max_time
        self.logger.interruption.listen()
        try:
            super().learn(num_learning_iterations, init_at_random_ep_len)
        except TimeLimitReached:
            print(f"[INFO] {self.max_time:g} s are over after {self.logger.tot_timesteps} steps.")
            self._save_last()
        except KeyboardInterrupt:
            print("[INFO] Interrupted; writing a checkpoint.")
            self._save_last()
        except ValueError as error:
            if not isinstance(error, NonFiniteError) and "NaN" not in str(error):
                raise
            # where the weights are broken, too, the last checkpoint on disk is from before
            with contextlib.suppress(CliError, NonFiniteError):
                self._save_last()
            where = (
                f"checkpoint from before it: {self.last_checkpoint}" if self.last_checkpoint else "no checkpoint yet"
            )
            raise CliError(f"training stopped: {error}; {where}") from None
        finally:
            self.logger.interruption.close()
            self.logger.stop_logging_writer()
            if hasattr(self.logger.writer, "flush"):
                self.logger.writer.flush()  # type: ignore[union-attr]
        if self.last_checkpoint is not None:
            print(f"[INFO] Checkpoint: {self.last_checkpoint}")

    def load(
        self, path: str, load_cfg: dict | None = None, strict: bool = True, map_location: str | None = None
    ) -> dict:
        """Load a checkpoint; a training that keeps its replay buffer goes on with the one that lies beside it.

        Raises:
            CliError: If the file is not a checkpoint of this agent and task, or the replay buffer does not fit.
        """
        infos = load_checkpoint(self._load, path, load_cfg, strict, map_location or self.device)
        alg: Any = self.alg
        if self.logger.log_dir is not None and load_cfg is None and isinstance(alg, SAC):
            self._load_replay(alg, path)
        return infos

    def _load(self, path: str, load_cfg: dict | None, strict: bool, map_location: str) -> dict:
        """As rsl_rl's, which would run what a file says: here a checkpoint is tensors and plain values."""
        saved = read_tensors(path, map_location)
        if self.alg.load(saved, load_cfg, strict):
            self.current_learning_iteration = saved["iter"]
        return saved["infos"]

    def _load_replay(self, sac: SAC, checkpoint: str) -> None:
        """Go on with the replay buffer of a checkpoint, or of the last one before it that has one."""
        replay = find_replay(checkpoint)
        if not sac.save_replay_buffer:
            if replay is not None:
                print(f"[INFO] {replay} is left alone; agent.algorithm.save_replay_buffer=true goes on with it")
            return
        if replay is None:
            print(f"[INFO] No replay buffer lies beside {checkpoint}; transitions are collected before learning.")
            return
        try:
            sac.load_replay_buffer(load_tensors(replay, mmap=True))
        except Exception as error:  # a broken file raises nearly anything
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise CliError(f"{replay}: {reason}; move it away to go on without it") from None
        print(f"[INFO] Replay buffer: {replay}, {len(sac.storage)} transitions")

    def save(self, path: str, infos: dict | None = None) -> None:
        """Write a checkpoint; a failure, such as a full disk, is reported and leaves the earlier ones as they are."""
        saved = {**self.alg.save(), "iter": self.current_learning_iteration, "infos": infos}
        if self._write_file(lambda: saved, path):
            self.last_checkpoint = path
            self.logger.save_model(path, self.current_learning_iteration)
        self.logger.read_episodes()
        returns = self.logger.rewbuffer
        if len(returns) >= MIN_EPISODES and statistics.mean(returns) > self._best_return:
            best = os.path.join(os.path.dirname(path), BEST_CHECKPOINT)
            if self._write_file(lambda: saved, best):
                self._best_return = statistics.mean(returns)
        # after what is small and matters most; without it, the one of an earlier checkpoint stays
        alg: Any = self.alg
        if isinstance(alg, SAC) and alg.save_replay_buffer and self.last_checkpoint == path:
            self._save_replay(alg.storage, path)

    def _save_replay(self, storage: ReplayBuffer, checkpoint: str) -> None:
        """Write the replay buffer beside a checkpoint, and remove those of earlier ones."""
        path = replay_path(checkpoint)
        if path is None or not len(storage) or not self._write_file(storage.state_dict, str(path)):
            return
        for old in path.parent.glob("replay_*.pt"):
            if REPLAY.fullmatch(old.name) and old != path:
                with contextlib.suppress(OSError):
                    old.unlink()

    def _write_file(self, contents: Callable[[], dict], path: str) -> bool:
        """Write a file beside its final name and rename it; returns whether that went well."""
        temporary = f"{path}.tmp"
        try:
            with open(temporary, "wb") as file:
                torch.save(contents(), file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except (OSError, RuntimeError) as error:
            # torch reports a full disk as a RuntimeError of its writer
            Path(temporary).unlink(missing_ok=True)
            print(
                f"[WARNING] {path} could not be written: {str(error).splitlines()[0]};"
                f" the last checkpoint is {self.last_checkpoint}",
                file=sys.stderr,
            )
            return False
        return True

    def _save_last(self) -> None:
        """Write the checkpoint of an early end.

        Raises:
            CliError: If it cannot be written.
        """
        if self.logger.writer is None or self.logger.log_dir is None:
            return
        path = os.path.join(self.logger.log_dir, f"model_{self.current_learning_iteration}.pt")
        self.save(path)
        if self.last_checkpoint != path:
            raise CliError(f"the last checkpoint could not be written; the one before it is {self.last_checkpoint}")


def replay_path(checkpoint: str) -> Path | None:
    """Where the replay buffer of a checkpoint lies: ``replay_N.pt`` beside ``model_N.pt``; ``best.pt`` has none."""
    path = Path(checkpoint)
    match = CHECKPOINT.fullmatch(path.name)
    return path.with_name(f"replay_{match[1]}.pt") if match else None


def find_replay(checkpoint: str) -> Path | None:
    """The replay buffer of a checkpoint, or the newest of an earlier one: a full disk may have cost its own."""
    match = CHECKPOINT.fullmatch(Path(checkpoint).name)
    if match is None:
        return None
    names = (REPLAY.fullmatch(path.name) for path in Path(checkpoint).parent.iterdir())
    numbers = [int(name[1]) for name in names if name and int(name[1]) <= int(match[1])]
    return Path(checkpoint).with_name(f"replay_{max(numbers)}.pt") if numbers else None


def load_checkpoint(load: Callable[..., dict], path: str, *args: Any) -> dict:
    """Call a runner's ``load``, and say in one line what is wrong with a checkpoint that does not fit.

    Raises:
        CliError: If the file is not a checkpoint of the agent and task.
    """
    try:
        return load(path, *args)
    except BoundsError as error:
        raise CliError(f"{path}: {error}") from None
    except Exception as error:  # a broken file raises nearly anything
        reason = str(error).splitlines()[-1].strip() if str(error) else type(error).__name__
        raise CliError(f"{path} is not a checkpoint of this agent and task: {reason}") from None


def package_versions() -> dict[str, str | None]:
    """Versions of Python, the platform and the packages that matter; None for what is not installed."""
    versions: dict[str, str | None] = {"python": platform.python_version(), "platform": platform.platform()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    return versions


def cpu_name() -> str:
    """The processor's name, as Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def machine() -> dict[str, Any]:
    """What a measurement was made on."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {"cpu": cpu_name(), "cores": os.cpu_count(), "gpu": gpu}


def write_provenance(run_dir: Path, bounds: ActionBounds | None) -> None:
    """Record what made a run: ``bounds.yaml``, ``versions.json`` and ``command.txt``."""
    run_dir.mkdir(parents=True, exist_ok=True)
    if bounds is not None:
        bounds.to_yaml(run_dir / "bounds.yaml")
    versions: dict[str, Any] = package_versions()
    versions["cpu_count"] = os.cpu_count()
    versions["torch_threads"] = torch.get_num_threads()
    versions["gpu"] = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    (run_dir / "versions.json").write_text(json.dumps(versions, indent=2) + "\n", encoding="utf-8")
    (run_dir / "command.txt").write_text(shlex.join(sys.orig_argv) + "\n", encoding="utf-8")


def create_runner(env: Any, agent_cfg: Any, log_dir: str | None = None, max_time: float | None = None) -> Runner:
    """Stands in for Isaac Lab's function of the same purpose.

    Args:
        env: The wrapped environment.
        agent_cfg: The agent's resolved configuration.
        log_dir: The run's folder; None for playback.
        max_time: Wall-clock limit of the training [s].

    Raises:
        CliError: If the configuration cannot be used.
    """
    from isaaclab.utils import to_dict

    from isaaclab_offpolicy.tasks.velocity.offpolicy import DIFFERENCES

    if type(env.unwrapped.cfg).__module__.startswith("isaaclab_offpolicy."):
        print("Differences from Isaac Lab's own task:", *DIFFERENCES, sep="\n  - ")
    try:
        return Runner(env, to_dict(agent_cfg), log_dir=log_dir, device=agent_cfg.device, max_time=max_time)
    except BoundsError as error:
        raise CliError(f"action bounds: {error}") from None
    except (TypeError, ValueError) as error:
        raise CliError(f"the agent's configuration: {error}") from None
