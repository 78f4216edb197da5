# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""rsl_rl's runner with what a long training needs: a time limit, checkpoints that survive, a log of its progress."""

from __future__ import annotations

import contextlib
import os
import statistics
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rsl_rl.runners import OnPolicyRunner
from rsl_rl.utils import check_nan

from isaaclab_offpolicy.action_bounds import BoundsError
from isaaclab_offpolicy.algorithms import SAC, NonFiniteError
from isaaclab_offpolicy.environments.episodes import adopt_time_limit
from isaaclab_offpolicy.environments.final_observations import request_final_observations
from isaaclab_offpolicy.errors import ConfigError, TrainingError
from isaaclab_offpolicy.evaluation.posture import posture_warnings
from isaaclab_offpolicy.training.atomic import write_atomically
from isaaclab_offpolicy.training.progress import end_line, unfailing_output
from isaaclab_offpolicy.training.provenance import reproduction, write_provenance
from isaaclab_offpolicy.training.replay_files import ReplayFiles, load_replay
from isaaclab_offpolicy.training.runs import CHECKPOINTS_OF, MIN_EPISODES, Retention, find_replay, replay_path
from isaaclab_offpolicy.training.safe_load import checkpoint_bytes, read_checkpoint_tensors
from isaaclab_offpolicy.training.watchdog import PULSE, STEP_LIMIT, check_limit

from .logger import ProgressLogger, TimeLimitReached
from .training_state import TrainingState

BEST = CHECKPOINTS_OF["rsl_rl"].best

COUNTERS = ("env_steps", "num_timesteps", "num_updates")
"""Counters of a checkpoint beside rsl_rl's own, ``iter``."""


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
        verbose: Whether to print rsl_rl's block of every iteration in place of a line.
        step_limit: Time that an env step may take before the process is ended [s], in place of the configuration's
            ``step_limit``; see :mod:`~isaaclab_offpolicy.training.watchdog`.
    """

    def __init__(
        self,
        env: Any,
        train_cfg: dict,
        log_dir: str | None = None,
        device: str = "cpu",
        max_time: float | None = None,
        verbose: bool = False,
        step_limit: float | None = None,
    ) -> None:
        adopt_time_limit(env)
        if getattr(env.cfg, "compute_final_obs", False):
            request_final_observations(env)  # whoever asked for them: so that they disturb nothing
        super().__init__(env, train_cfg, log_dir, device)
        self.max_time = max_time
        self.step_limit = check_limit(self.cfg.get("step_limit", STEP_LIMIT) if step_limit is None else step_limit)
        self._last_iteration = 0
        self.last_checkpoint: str | None = None
        self._retention = Retention(self.cfg.get("keep_checkpoints"))
        self._replay: ReplayFiles | None = None
        if log_dir is not None and isinstance(self.alg, SAC) and self.alg.cfg.save_replay_buffer:
            if self.is_distributed:
                if self.gpu_global_rank == 0:
                    print("[INFO] The replay buffer is not saved: each rank has one of its own")
            else:
                limit = self.alg.cfg.max_replay_file_gb
                self._replay = ReplayFiles(Path(log_dir), limit, "agent.algorithm.max_replay_file_gb")
        self.training = TrainingState(env, not self.is_distributed)
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
        self.logger.verbose = verbose
        self.logger.warn = posture_warnings(env) if log_dir is not None else None

    def learn(self, num_learning_iterations: int, init_at_random_ep_len: bool = False) -> None:
        """Train, as rsl_rl's runner does, until the iterations or the time are over.

        Raises:
            ConfigError: If there are no bounds.
            TrainingError: If a number was not finite, or the last checkpoint could not be written.
        """
        error = getattr(self.alg, "bounds_error", None)
        if error is not None:
            raise ConfigError(f"action bounds: {error}")
        if self.logger.log_dir is not None:
            # not before: a checkpoint that is resumed from brings its own bounds
            write_provenance(Path(self.logger.log_dir), getattr(self.alg, "bounds", None))
        now = time.perf_counter()
        self.logger.start = now - self.training.wall_time_before
        self.logger.deadline = None if self.max_time is None else now + self.max_time
        self._last_iteration = self.current_learning_iteration + num_learning_iterations - 1
        self.logger.interruption.listen()
        PULSE.watch(self.step_limit, self.logger.deadline, **reproduction(self.env, self.cfg.get("seed")))
        with unfailing_output():
            self._learn(num_learning_iterations, init_at_random_ep_len)

    def _learn(self, num_learning_iterations: int, init_at_random_ep_len: bool) -> None:
        try:
            super().learn(num_learning_iterations, init_at_random_ep_len and not self.training.episodes_go_on)
            self._check_last()
        except TimeLimitReached:
            end_line()
            print(f"[INFO] {self.max_time:g} s are over after {self.logger.tot_timesteps} steps.")
            self._save_last()
        except KeyboardInterrupt:
            end_line()
            print("[INFO] Interrupted; writing a checkpoint.")
            self._save_last()
        except ValueError as error:
            if not isinstance(error, NonFiniteError) and not _is_of(error, check_nan):
                raise
            # where the weights are broken, too, the last checkpoint on disk is from before
            with contextlib.suppress(TrainingError, NonFiniteError):
                self._save_last()
            where = (
                f"checkpoint from before it: {self.last_checkpoint}" if self.last_checkpoint else "no checkpoint yet"
            )
            raise TrainingError(f"training stopped: {error}; {where}") from None
        finally:
            end_line()
            PULSE.end()
            self.logger.interruption.close()
            self.logger.stop_logging_writer()
            if hasattr(self.logger.writer, "flush"):
                self.logger.writer.flush()  # type: ignore[union-attr]
        if self.last_checkpoint is not None:
            print(f"[INFO] Checkpoint: {self.last_checkpoint}")

    def load(
        self, path: str, load_cfg: dict | None = None, strict: bool = True, map_location: str | None = None
    ) -> dict:
        """Load a checkpoint; a training goes on with the state that it had, and with its replay buffer if it keeps one.

        Raises:
            ConfigError: If the file is not a checkpoint of this agent and task, or the replay buffer does not fit.
        """
        saved = load_checkpoint(self._load, path, load_cfg, strict, map_location or self.device)
        if self.logger.log_dir is not None:
            self._go_on(saved, path)
            alg: Any = self.alg
            if (load_cfg or {"critic": True}).get("critic") and isinstance(alg, SAC) and self.training.same_task:
                self._load_replay(alg, path)
        PULSE.tell(checkpoint=path, transitions=self.logger.tot_timesteps)
        return saved.get("infos")  # type: ignore[return-value]

    def _load(self, path: str, load_cfg: dict | None, strict: bool, map_location: str) -> dict:
        """As rsl_rl's, which would run what a file says: here a checkpoint is tensors and plain values."""
        saved = read_checkpoint_tensors(path, map_location)
        counters = [saved.get("iter"), *(saved[name] for name in COUNTERS if name in saved)]
        if not all(type(counter) is int and counter >= 0 for counter in counters):
            raise ConfigError(f"{path} is not a checkpoint: it does not say how far it came")
        if self.alg.load(saved, load_cfg, strict):
            # a training goes on with the next one
            self.current_learning_iteration = saved["iter"] + (self.logger.log_dir is not None)
            self.logger.tot_timesteps = saved.get("env_steps", 0) or getattr(self.alg, "num_timesteps", 0)
        return saved

    def _go_on(self, saved: dict, path: str) -> None:
        """Go on with what the training had beside its agent, and say what is another now."""
        env: Any = self.env
        lines = self.training.restore(saved.get("training"), lambda: env.reset())
        if self.training.same_task and "episodes" in saved:
            self.logger.load_state_dict(saved["episodes"], self.training.episodes_go_on)
        for line in [*getattr(self.alg, "differences", ()), *lines]:
            print(f"[INFO] {path}: {line}")
        if self.logger.disable_logs:
            return  # another rank writes
        self.training.keep_best(
            Path(path).with_name(BEST),
            Path(str(self.logger.log_dir), BEST),
            lambda best: read_checkpoint_tensors(str(best)).get("training", {}).get("best_return"),
        )

    def _load_replay(self, sac: SAC, checkpoint: str) -> None:
        """Go on with the replay buffer of a checkpoint, or of the last one before it that has one."""
        replay = find_replay(checkpoint)
        if self._replay is None:
            if replay is not None:
                print(f"[INFO] {replay} is left alone; agent.algorithm.save_replay_buffer=true goes on with it")
            return
        if replay is None:
            print(f"[INFO] No replay buffer lies beside {checkpoint}; transitions are collected before learning.")
            return
        try:
            load_replay(replay, sac.storage)
        except ValueError as error:
            raise ConfigError(f"{replay}: {error}; move it away, or agent.algorithm.save_replay_buffer=false") from None
        self._replay.forget()
        # that of an earlier checkpoint does not end where the episodes go on
        sac.go_on_with_replay(self.training.episodes_go_on and replay == replay_path(Path(checkpoint)))
        print(f"[INFO] Replay buffer: {replay}, {len(sac.storage)} transitions")

    def save(self, path: str, infos: dict | None = None) -> None:
        """Write a checkpoint; a failure, such as a full disk, is reported and leaves the earlier ones as they are.

        Raises:
            NonFiniteError: If a weight is not finite; nothing is written then.
        """
        PULSE.slow()
        saved = {**self.alg.save(), "iter": self.current_learning_iteration, "infos": infos}
        self.logger.read_episodes()
        returns, before = self.logger.rewbuffer, self.training.best_return
        is_best = len(returns) >= MIN_EPISODES and statistics.mean(returns) > before
        if is_best:
            self.training.best_return = statistics.mean(returns)
        # what was seen, also since the last row of the log
        saved["env_steps"] = getattr(self.alg, "num_timesteps", 0) * self.gpu_world_size or self.logger.tot_timesteps
        saved["training"] = self.training.state(time.perf_counter() - self.logger.start)
        saved["episodes"] = self.logger.state_dict()
        try:
            data = checkpoint_bytes(saved)
        except ValueError as error:
            raise NonFiniteError(f"a checkpoint could not be made: {error}") from None
        if write_atomically(data, path, self.last_checkpoint):
            self.last_checkpoint = path
            left = self._last_iteration - self.current_learning_iteration
            PULSE.tell(checkpoint=path, transitions=self.logger.tot_timesteps, left=left)
            self._retention.wrote(Path(path))
            self.logger.save_model(path, self.current_learning_iteration)
        if is_best and not write_atomically(data, os.path.join(os.path.dirname(path), BEST), self.last_checkpoint):
            self.training.best_return = before
        # after what is small and matters most; without it, the one of an earlier checkpoint stays
        if self._replay is not None and self.last_checkpoint == path:
            alg: Any = self.alg
            self._replay.save(alg.storage, Path(path))

    def _save_last(self) -> None:
        """Write the checkpoint of an early end.

        Raises:
            TrainingError: If it cannot be written.
        """
        if self.logger.writer is None or self.logger.log_dir is None:
            return
        self.save(os.path.join(self.logger.log_dir, f"model_{self.current_learning_iteration}.pt"))
        self._check_last()

    def _check_last(self) -> None:
        """Say that the checkpoint of the training's end is missing.

        Raises:
            TrainingError: If it could not be written.
        """
        if self.logger.writer is None or self.logger.log_dir is None:
            return
        path = os.path.join(self.logger.log_dir, f"model_{self.current_learning_iteration}.pt")
        if self.last_checkpoint != path:
            raise TrainingError(
                f"the last checkpoint could not be written; the one before it is {self.last_checkpoint}"
            )


def load_checkpoint(load: Callable[..., dict], path: str, *args: Any) -> dict:
    """Call a runner's ``load``, and say in one line what is wrong with a checkpoint that does not fit.

    Raises:
        ConfigError: If the file is not a checkpoint of the agent and task.
    """
    try:
        return load(path, *args)
    except BoundsError as error:
        raise ConfigError(f"{path}: {error}") from None
    except Exception as error:  # a broken file raises nearly anything
        reason = str(error).splitlines()[-1].strip() if str(error) else type(error).__name__
        raise ConfigError(f"{path} is not a checkpoint of this agent and task: {reason}") from None


def create_runner(env: Any, agent_cfg: Any, log_dir: str | None = None, **options: Any) -> Runner:
    """Stands in for Isaac Lab's function of the same purpose.

    Args:
        env: The wrapped environment.
        agent_cfg: The agent's resolved configuration.
        log_dir: The run's folder; None for playback.
        **options: Further ones of :class:`Runner`.

    Raises:
        ConfigError: If the configuration cannot be used.
    """
    from isaaclab.utils import to_dict

    try:
        return Runner(env, to_dict(agent_cfg), log_dir, agent_cfg.device, **options)
    except BoundsError as error:
        raise ConfigError(f"action bounds: {error}") from None
    except (TypeError, ValueError) as error:
        raise ConfigError(f"the agent's configuration: {error}") from None


def _is_of(error: Exception, function: Callable[..., Any]) -> bool:
    """Whether a function has raised an error."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return bool(frames) and frames[-1].f_code is function.__code__
