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
import shlex
import signal
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch
from rsl_rl.runners import OnPolicyRunner
from rsl_rl.utils.logger import Logger

from isaaclab_offpolicy.action_bounds import ActionBounds
from isaaclab_offpolicy.algorithms import NonFiniteError

from .arguments import BEST_CHECKPOINT, CliError

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
)
"""Packages whose versions a run records."""

MIN_EPISODES = 50
"""Episodes whose mean return is needed before a checkpoint may be called the best."""


class TimeLimitReached(Exception):  # noqa: N818 - an event, not an error
    """The training's time is over."""


class ProgressLogger(Logger):
    """rsl_rl's logger, which also writes ``progress.csv`` and keeps the time limit."""

    deadline: float | None = None
    """Time of :func:`time.perf_counter` at which the training ends."""

    start: float = 0.0
    """Time at which it began."""

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
        """
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
            self._write(row)
        if self.deadline is not None and now >= self.deadline:
            raise TimeLimitReached

    def _write(self, row: dict[str, Any]) -> None:
        path = Path(str(self.log_dir)) / "progress.csv"
        try:
            columns = path.read_text().partition("\n")[0].split(",") if path.exists() else list(row)
            missing = [name for name in row if name not in columns]
            if missing and path.exists():
                # losses appear once learning starts: widen the header
                with path.open(newline="") as file:
                    rows = list(csv.DictReader(file))
                columns += missing
                self._rewrite(path, columns, rows)
            new = not path.exists()
            with path.open("a", newline="") as file:
                writer = csv.DictWriter(file, columns, restval="")
                if new:
                    writer.writeheader()
                writer.writerow(row)
        except OSError as error:
            print(f"[WARNING] {path}: {error.strerror}", file=sys.stderr)

    @staticmethod
    def _rewrite(path: Path, columns: list[str], rows: list[dict[str, Any]]) -> None:
        temporary = path.with_suffix(".tmp")
        with temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(rows)
        os.replace(temporary, path)


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
        if log_dir is not None:
            write_provenance(Path(log_dir), getattr(self.alg, "bounds", None))

    def learn(self, num_learning_iterations: int, init_at_random_ep_len: bool = False) -> None:
        """Train, as rsl_rl's runner does, until the iterations or the time are over.

        Raises:
            CliError: If a number was not finite, or the last checkpoint could not be written.
        """
        self.logger.start = time.perf_counter()
        self.logger.deadline = None if self.max_time is None else self.logger.start + self.max_time
        previous = signal.signal(signal.SIGTERM, _interrupt)
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
            signal.signal(signal.SIGTERM, previous)
        if self.last_checkpoint is not None:
            print(f"[INFO] Checkpoint: {self.last_checkpoint}")

    def save(self, path: str, infos: dict | None = None) -> None:
        """Write a checkpoint; a failure, such as a full disk, is reported and leaves the earlier ones as they are."""
        saved = {**self.alg.save(), "iter": self.current_learning_iteration, "infos": infos}
        if self._write_checkpoint(saved, path):
            self.last_checkpoint = path
            self.logger.save_model(path, self.current_learning_iteration)
        returns = self.logger.rewbuffer
        if len(returns) >= MIN_EPISODES and statistics.mean(returns) > self._best_return:
            self._best_return = statistics.mean(returns)
            self._write_checkpoint(saved, os.path.join(os.path.dirname(path), BEST_CHECKPOINT))

    def _write_checkpoint(self, saved: dict, path: str) -> bool:
        temporary = f"{path}.tmp"
        try:
            with open(temporary, "wb") as file:
                torch.save(saved, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except (OSError, RuntimeError) as error:
            # torch reports a full disk as a RuntimeError of its writer
            Path(temporary).unlink(missing_ok=True)
            print(
                f"[WARNING] checkpoint {path} could not be written: {str(error).splitlines()[0]};"
                f" the last one is {self.last_checkpoint}",
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


def write_provenance(run_dir: Path, bounds: ActionBounds | None) -> None:
    """Record what made a run: ``bounds.yaml``, ``versions.json`` and ``command.txt``."""
    run_dir.mkdir(parents=True, exist_ok=True)
    if bounds is not None:
        bounds.to_yaml(run_dir / "bounds.yaml")
    versions: dict[str, Any] = {"python": platform.python_version(), "platform": platform.platform()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    versions["cpu_count"] = os.cpu_count()
    versions["torch_threads"] = torch.get_num_threads()
    versions["gpu"] = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    (run_dir / "versions.json").write_text(json.dumps(versions, indent=2) + "\n", encoding="utf-8")
    command = os.environ.get("ISAACLAB_OFFPOLICY_COMMAND") or shlex.join(sys.orig_argv)
    (run_dir / "command.txt").write_text(command + "\n", encoding="utf-8")


def _interrupt(signum: int, frame: Any) -> None:
    raise KeyboardInterrupt
