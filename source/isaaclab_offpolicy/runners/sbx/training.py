# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Training with SBX and Stable-Baselines3."""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.utils import configure_logger

from isaaclab_offpolicy.action_bounds import BoundsError
from isaaclab_offpolicy.action_bounds.saturation import SaturationMonitor
from isaaclab_offpolicy.algorithms.checkpoint import RESUME_ENV_STEPS
from isaaclab_offpolicy.errors import ConfigError, TrainingError
from isaaclab_offpolicy.runners.training_state import TrainingState
from isaaclab_offpolicy.training.atomic import succeeds, write_atomically
from isaaclab_offpolicy.training.finite import FiniteGuard, NonFiniteError, expire_episodes
from isaaclab_offpolicy.training.progress import ProgressTable, unfailing_output
from isaaclab_offpolicy.training.provenance import reproduction, write_provenance
from isaaclab_offpolicy.training.replay_files import ReplayFiles, load_replay
from isaaclab_offpolicy.training.runs import CHECKPOINTS_OF, MIN_EPISODES, Retention, find_replay
from isaaclab_offpolicy.training.signals import Interruption
from isaaclab_offpolicy.training.watchdog import PULSE, check_limit

from ..preconditions import check_configs
from .cfg import Sb3AgentCfg, Sb3OffPolicyCfg
from .checkpoint import checkpoint_bytes, load_for_training, read_best_return, read_checkpoint
from .collection import StepReplayBuffer, base_env
from .environment import make_vec_env
from .evaluation import begin_episodes, evaluate_deterministic
from .models import build, constructor_options

COMPILED_AFTER = 3
"""Update phases after which JAX has compiled all that there is."""

COUNT_EVERY = 16
"""Env steps of which one stands for all when saturated actions are counted: more of them tell nothing new."""


TENSORBOARD = "TensorBoard's file"


class TrainingCallback(BaseCallback):
    """What a long training needs: a time limit, checkpoints that survive, a log of its progress.

    Args:
        cfg: The agent's configuration.
        run_dir: The run's folder.
        max_time: Wall-clock limit [s].
        training: What the training has beside its agent.
        step_limit: Time that an env step may take [s], in place of the configuration's.
        round_size: Transitions of a round of collection and learning, where their number was given.
    """

    def __init__(
        self,
        cfg: Sb3AgentCfg,
        run_dir: Path,
        max_time: float | None,
        training: TrainingState,
        step_limit: float | None = None,
        round_size: int | None = None,
    ) -> None:
        super().__init__()
        self.cfg, self.run_dir, self.max_time = cfg, run_dir, max_time
        self.training, self.round_size = training, round_size
        self.step_limit = check_limit(cfg.step_limit if step_limit is None else step_limit)
        self.last_checkpoint: Path | None = None
        self._table = ProgressTable(run_dir / "progress.csv")
        self._interruption = Interruption()
        self._retention = Retention(cfg.keep_checkpoints)
        self._replay: ReplayFiles | None = None
        if isinstance(cfg, Sb3OffPolicyCfg) and cfg.save_replay_buffer:
            self._replay = ReplayFiles(run_dir, cfg.max_replay_file_gb, "agent.max_replay_file_gb")
        self._saturation: SaturationMonitor | None = None
        self._acted = self._phases = 0

    def _on_training_start(self) -> None:
        now, steps = time.perf_counter(), self.num_timesteps
        self._start, self._last_time = now - self.training.wall_time_before, now
        self._deadline = float("inf") if self.max_time is None else now + self.max_time
        self._last_log = self._last_save = self._last_eval = self._last_steps = steps
        self._interruption.listen()
        deadline = None if self.max_time is None else self._deadline
        PULSE.watch(self.step_limit, deadline, **reproduction(base_env(self.training_env), self.cfg.seed))

    def _iterations_left(self) -> int | None:
        """Rounds that are still to come; None where ``total_timesteps`` tells when the training ends."""
        if self.round_size is None:
            return None
        return max(0, -(-(self.model._total_timesteps - self.num_timesteps) // self.round_size))

    def _is_over(self) -> bool:
        return self._interruption.requested or time.perf_counter() >= self._deadline

    def _on_step(self) -> bool:
        PULSE.beat()
        steps, now = self.num_timesteps, time.perf_counter()
        rewards = self.locals["rewards"]
        if not np.isfinite(rewards).all() or not np.isfinite(self.locals["new_obs"]).all():
            raise TrainingError(
                f"training stopped: an observation or reward is not finite after {steps} transitions;"
                f" checkpoint from before it: {self.last_checkpoint or 'none yet'}"
            )
        self._count_saturated()
        over = now >= self._deadline
        if over or self._interruption.requested or steps - self._last_log >= self.cfg.log_interval:
            self._log(steps, now)
            self._last_log = steps
        if steps - self._last_save >= self.cfg.save_interval:
            self.save()
            self._last_save = steps
        if over:
            print(f"[INFO] {self.max_time:g} s are over after {steps} steps.")
        elif self._interruption.requested:
            print("[INFO] Interrupted; writing a checkpoint.")
        return not (over or self._interruption.requested)

    def _count_saturated(self) -> None:
        """Count the policy's actions that are at a bound; PPO's are clipped to it."""
        if self.locals.get("uniform"):
            return
        space: Any = self.model.action_space
        if self._saturation is None:
            self._saturation = SaturationMonitor(space.shape[0])
        if self._acted % COUNT_EVERY == 0:
            actions = self.locals.get("clipped_actions", self.locals["actions"])
            unit = 2.0 * (actions - space.low) / (space.high - space.low) - 1.0
            self._saturation.add(torch.from_numpy(unit), COUNT_EVERY)
        self._acted += 1

    def _on_rollout_end(self) -> None:
        model: Any = self.model  # PPO learns from the first rollout on
        if self.num_timesteps < max(getattr(model, "learning_starts", 0), getattr(model, "resume_learning_at", 0)):
            return
        self._phases += 1
        if self._phases <= COMPILED_AFTER:
            PULSE.slow()

    def _on_rollout_start(self) -> None:
        if self.cfg.eval_interval and self.num_timesteps - self._last_eval >= self.cfg.eval_interval:
            self._last_eval = self.num_timesteps
            value = evaluate_deterministic(self.model, self.cfg.eval_episodes, self._is_over)
            if value is not None:
                self._keep_if_best(value, "evaluation")

    def _on_training_end(self) -> None:
        self.save()

    def close(self) -> None:
        """Give the signals back, once everything is written."""
        PULSE.end()
        self._interruption.close()

    def save(self) -> None:
        """Write a checkpoint; a failure, such as a full disk, is reported and leaves the earlier ones as they are."""
        PULSE.slow()
        # before the checkpoint, which says how good the best one is
        episodes = self.model.ep_info_buffer
        if not self.cfg.eval_interval and episodes is not None and len(episodes) >= MIN_EPISODES:
            self._keep_if_best(statistics.mean(info["r"] for info in episodes), "training")
        path = self.run_dir / f"model_{self.num_timesteps}.zip"
        if self._write(path):
            self.last_checkpoint = path
            PULSE.tell(checkpoint=str(path), transitions=self.num_timesteps, left=self._iterations_left())
            self._retention.wrote(path)
            # after what is small and matters most; without it, the one of an earlier checkpoint stays
            if self._replay is not None:
                self._replay.save(cast(StepReplayBuffer, self.model.replay_buffer), path)  # type: ignore[attr-defined]

    def _keep_if_best(self, value: float, where: str) -> None:
        before = self.training.best_return
        if value <= before:
            return
        self.training.best_return = value
        if not self._write(self.run_dir / CHECKPOINTS_OF["sbx"].best):
            self.training.best_return = before
        else:
            print(f"[INFO] best so far, in {where}: {value:.2f} after {self.num_timesteps} transitions")

    def _write(self, path: Path) -> bool:
        state = self.training.state(time.perf_counter() - self._start)
        state["episodes"] = list(self.model.ep_info_buffer or [])
        return write_atomically(checkpoint_bytes(self.model, self.cfg, state), path, self.last_checkpoint)

    def _log(self, steps: int, now: float) -> None:
        episodes = self.model.ep_info_buffer or []
        saturation, warnings = {}, []
        if self._saturation is not None:
            saturation, warnings = self._saturation.pop(base_env(self.training_env).bounds)
            self._acted = 0  # so that each row has some
        for line in warnings:
            print(f"[WARNING] {line}", file=sys.stderr)
        recorded = {key: value for key, value in self.logger.name_to_value.items() if key.startswith("train/")}
        rate = (steps - self._last_steps) / max(now - self._last_time, 1e-9)
        self._last_steps, self._last_time = steps, now
        row = {
            "env_steps": steps,
            "wall_time_s": round(now - self._start, 3),
            "mean_return": round(statistics.mean(e["r"] for e in episodes), 5) if episodes else "",
            "mean_episode_length": round(statistics.mean(e["l"] for e in episodes), 2) if episodes else "",
            "env_steps_per_second": round(rate, 1),
            **{key.removeprefix("train/"): f"{float(value):.6g}" for key, value in recorded.items()},
            **{key: f"{value:.6g}" for key, value in saturation.items()},
        }
        if episodes:
            self.logger.record("rollout/ep_rew_mean", row["mean_return"])
            self.logger.record("rollout/ep_len_mean", row["mean_episode_length"])
        self.logger.record("time/env_steps_per_second", row["env_steps_per_second"])
        for key, value in saturation.items():
            self.logger.record(f"rollout/{key}", value)
        for key, value in base_env(self.training_env).log.items():
            self.logger.record(key, float(value))
        succeeds(lambda: self.logger.dump(step=steps), TENSORBOARD)
        print("  ".join(f"{key} {value}" for key, value in row.items() if "/" not in key), flush=True)
        self._table.append(row)


def go_on(
    model: BaseAlgorithm, training: TrainingState, state: Mapping[str, Any] | None, path: Path, own: Path
) -> None:
    """Go on with what a training had beside its agent, and say what is another now.

    Args:
        model: The agent.
        training: The state of this training.
        state: That of the checkpoint, if it has one.
        path: The checkpoint.
        own: The folder of this run.
    """
    for line in training.restore(state, lambda: begin_episodes(model)):
        print(f"[INFO] {path}: {line}")
    if state is None or not training.same_task:
        return
    this: Any = model
    this.ep_info_buffer = deque(state["episodes"], maxlen=this._stats_window_size)
    this.ep_success_buffer = deque(maxlen=this._stats_window_size)
    best = CHECKPOINTS_OF["sbx"].best
    training.keep_best(path.with_name(best), own / best, read_best_return)


def run(command: Sequence[str], max_time: float | None = None, step_limit: float | None = None) -> None:
    """Train as Isaac Lab's ``train`` does for its libraries.

    Args:
        command: Isaac Lab's arguments, such as ``--task``, ``--agent``, ``--num_envs``, ``--device``, ``--checkpoint``
            and overrides.
        max_time: Wall-clock limit of the training [s].
        step_limit: Time that an env step may take [s], in place of the configuration's.

    Raises:
        ConfigError: With one line that says what is wrong.
    """
    from isaaclab.app import add_launcher_args, launch_simulation
    from isaaclab_rl.entrypoints.common import (
        add_common_train_args,
        apply_env_overrides,
        apply_video_recording,
        close_env,
        create_isaaclab_env,
        dump_train_configs,
        enable_cameras_for_video,
        pre_launch_video_config,
        resolve_seed,
        write_run_manifest,
    )
    from isaaclab_tasks.utils import resolve_task_config, setup_preset_cli

    parser = argparse.ArgumentParser(prog="isaaclab-offpolicy train")
    add_common_train_args(parser, agent_default=None, agent_help="Agent.", include_distributed=False)
    parser.add_argument("--checkpoint", help="Checkpoint to go on from.")
    parser.add_argument("--run_name", default="", help="Appended to the name of the run's folder.")
    parser.add_argument("--experiment_name", help="Folder of the runs, below logs/sbx.")
    parser.add_argument("--run_timestamp", help="Time in the name of the run's folder.")
    add_launcher_args(parser)
    args, overrides = setup_preset_cli(parser, list(command))
    enable_cameras_for_video(args)
    configs: tuple[Any, Any] = resolve_task_config(args.task, args.agent, overrides=overrides)  # type: ignore[assignment]
    env_cfg, cfg = configs
    check_configs(env_cfg, cfg)
    cfg.experiment_name = args.experiment_name or cfg.experiment_name
    try:
        # before the simulation takes its time to start
        constructor_options(cfg, args.num_envs or env_cfg.scene.num_envs, "cpu")
        check_limit(cfg.step_limit)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"the configuration of the agent: {error}") from None
    pre_launch_video_config(env_cfg, args)
    with launch_simulation(env_cfg, args):
        apply_env_overrides(args, env_cfg)
        seed = resolve_seed(args.seed)
        cfg.seed = cfg.seed if seed is None else seed
        env_cfg.seed = cfg.seed
        stamp = args.run_timestamp or datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
        run_name = f"{stamp}_{args.run_name}" if args.run_name else stamp
        run_dir = Path("logs", "sbx", cfg.experiment_name, run_name).absolute()
        env_cfg.log_dir = str(run_dir)
        write_run_manifest(str(run_dir), library="sbx", task=args.task, metadata={"agent": args.agent})
        dump_train_configs(str(run_dir), env_cfg, cfg)
        apply_video_recording(env_cfg, str(run_dir), args)
        env = create_isaaclab_env(args.task, env_cfg, args, convert_marl_to_single_agent=False)
        try:
            train(cfg, env, run_dir, args.checkpoint, max_time, args.max_iterations, step_limit)
        finally:
            close_env(env)


def train(
    cfg: Sb3AgentCfg,
    env: Any,
    run_dir: Path,
    checkpoint: str | None = None,
    max_time: float | None = None,
    max_iterations: int | None = None,
    step_limit: float | None = None,
) -> BaseAlgorithm:
    """Train an agent.

    Args:
        cfg: The agent's configuration.
        env: Isaac Lab's environment.
        run_dir: The run's folder.
        checkpoint: Checkpoint to go on from.
        max_time: Wall-clock limit [s].
        max_iterations: Rounds of collection and learning, in place of ``total_timesteps``.
        step_limit: Time that an env step may take [s], in place of the configuration's.

    Returns:
        The trained agent.

    Raises:
        ConfigError: With one line that says what is wrong.
    """
    device, training = str(env.unwrapped.device), TrainingState(env)
    off_policy = cfg if isinstance(cfg, Sb3OffPolicyCfg) else None
    try:
        if checkpoint:
            contents = read_checkpoint(cfg, checkpoint)
            vec_env = make_vec_env(env, cfg, contents.bounds)
            model = load_for_training(cfg, contents, vec_env, device, str(run_dir))
            go_on(model, training, contents.training, Path(checkpoint), run_dir)
            if off_policy is not None:
                restore_replay(model, off_policy, Path(checkpoint), training.same_task)
            PULSE.tell(checkpoint=checkpoint, transitions=model.num_timesteps)
        else:
            vec_env = make_vec_env(env, cfg)
            model = build(cfg, vec_env, device, str(run_dir))
        base = base_env(vec_env)
        if off_policy is not None:
            base.guard = FiniteGuard(vec_env.num_envs, off_policy.max_nonfinite, expire_episodes(base.unwrapped))
    except BoundsError as error:
        raise ConfigError(f"action bounds: {error}") from None
    except (ValueError, TypeError, AssertionError) as error:
        raise ConfigError(f"{checkpoint or 'the configuration of the agent'}: {error}") from None
    total, round_size = cfg.total_timesteps - model.num_timesteps, None
    if max_iterations is not None:
        steps = off_policy.train_freq if off_policy is not None else cfg.n_steps  # type: ignore[attr-defined]
        round_size = steps * vec_env.num_envs
        total = max_iterations * round_size
    if total <= 0:
        raise ConfigError(
            f"{checkpoint} has {model.num_timesteps} transitions already; agent.total_timesteps={cfg.total_timesteps}"
        )
    write_provenance(run_dir, base.bounds)
    callback, begins = TrainingCallback(cfg, run_dir, max_time, training, step_limit, round_size), checkpoint is None
    if not succeeds(
        lambda: model.set_logger(configure_logger(model.verbose, str(run_dir), cfg.algorithm, begins)), TENSORBOARD
    ):
        model.set_logger(Logger(None, []))
    try:
        with unfailing_output():
            model.learn(
                total,
                callback=callback,
                log_interval=None,  # type: ignore[arg-type]
                reset_num_timesteps=begins,
                progress_bar=sys.stdout.isatty(),
            )
    except NonFiniteError as error:
        raise TrainingError(
            f"training stopped: {error}; checkpoint from before it: {callback.last_checkpoint or 'none yet'}"
        ) from None
    except KeyboardInterrupt:
        # the second one, amid a step or an update
        if not hasattr(callback, "model"):
            raise  # it has not begun
        print("[INFO] Interrupted; writing a checkpoint.")
        callback.save()
    finally:
        callback.close()
    if callback.last_checkpoint != run_dir / f"model_{model.num_timesteps}.zip":
        raise TrainingError(
            f"the last checkpoint could not be written; the one before it is {callback.last_checkpoint}"
        )
    print(f"[INFO] Checkpoint: {callback.last_checkpoint}")
    return model


def restore_replay(model: Any, cfg: Sb3OffPolicyCfg, checkpoint: Path, same_task: bool = True) -> None:
    """Go on with the replay buffer of a checkpoint, or fill a new one before learning.

    Raises:
        ValueError: If there is one on disk, and it cannot be used.
    """
    path = find_replay(checkpoint) if cfg.save_replay_buffer and same_task else None
    num_envs = model.get_env().num_envs
    if model.num_timesteps >= cfg.learning_starts:
        model.learning_starts = 0  # the policy acts from the first step on
    if path is None:
        refill = max(cfg.learning_starts, RESUME_ENV_STEPS * num_envs)
        model.resume_learning_at = model.num_timesteps + refill
        if any(checkpoint.parent.glob("replay_*.pkl")):
            print("[INFO] replay_*.pkl are pickles, as version 0.1 wrote them; they are not read")
        where = f"no replay buffer beside {checkpoint.name}" if same_task else "no replay buffer of this task"
        print(f"[INFO] {where}: {refill} transitions are collected before learning")
        return
    buffer: StepReplayBuffer = model.replay_buffer
    try:
        load_replay(path, buffer)
    except ValueError as error:
        raise ValueError(f"{path}: {error}; move it away to go on without it") from None
    stored = min(buffer.written, buffer.buffer_size) * num_envs
    model.resume_learning_at = model.num_timesteps + max(0, cfg.learning_starts - stored)
    buffer.cut()
    print(f"[INFO] replay buffer: {path}")
