# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Training with SBX and Stable-Baselines3."""

from __future__ import annotations

import argparse
import csv
import os
import signal
import statistics
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

from isaaclab_offpolicy.action_bounds import BoundsError
from isaaclab_offpolicy.cli.arguments import BEST_SB3_CHECKPOINT, CliError
from isaaclab_offpolicy.cli.runner import MIN_EPISODES, write_provenance

from .cfg import Sb3AgentCfg, Sb3OffPolicyCfg
from .collection import base_env
from .environment import make_vec_env
from .models import build, load_checkpoint, read_bounds, save_checkpoint


class TrainingCallback(BaseCallback):
    """What a long training needs: a time limit, checkpoints that survive, a log of its progress.

    Args:
        cfg: The agent's configuration.
        run_dir: The run's folder.
        max_time: Wall-clock limit [s].
    """

    def __init__(self, cfg: Sb3AgentCfg, run_dir: Path, max_time: float | None) -> None:
        super().__init__()
        self.cfg, self.run_dir, self.max_time = cfg, run_dir, max_time
        self.last_checkpoint: Path | None = None
        self._best = -float("inf")
        self._columns: list[str] = []
        self._rows: list[dict[str, Any]] = []
        self._interrupted = False

    def _on_training_start(self) -> None:
        now, steps = time.perf_counter(), self.num_timesteps
        self._start = self._last_time = now
        self._last_log = self._last_save = self._last_eval = self._last_steps = steps
        self._handlers = {number: signal.signal(number, self._interrupt) for number in (signal.SIGINT, signal.SIGTERM)}

    def _interrupt(self, signum: int, frame: Any) -> None:
        self._interrupted = True

    def _on_step(self) -> bool:
        steps, now = self.num_timesteps, time.perf_counter()
        rewards = self.locals["rewards"]
        if not np.isfinite(rewards).all() or not np.isfinite(self.locals["new_obs"]).all():
            raise CliError(
                f"training stopped: an observation or reward is not finite after {steps} transitions;"
                f" checkpoint from before it: {self.last_checkpoint or 'none yet'}"
            )
        over = self.max_time is not None and now - self._start >= self.max_time
        if over or self._interrupted or steps - self._last_log >= self.cfg.log_interval:
            self._log(steps, now)
            self._last_log = steps
        if steps - self._last_save >= self.cfg.save_interval:
            self.save()
            self._last_save = steps
        if over:
            print(f"[INFO] {self.max_time:g} s are over after {steps} steps.")
        elif self._interrupted:
            print("[INFO] Interrupted; writing a checkpoint.")
        return not (over or self._interrupted)

    def _on_rollout_start(self) -> None:
        if self.cfg.eval_interval and self.num_timesteps - self._last_eval >= self.cfg.eval_interval:
            self._last_eval = self.num_timesteps
            self._keep_if_best(evaluate_deterministic(self.model, self.cfg.eval_episodes), "evaluation")

    def _on_training_end(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self.save()

    def save(self) -> None:
        """Write a checkpoint; a failure, such as a full disk, is reported and leaves the earlier ones as they are."""
        path = self.run_dir / f"model_{self.num_timesteps}.zip"
        if self._write(path):
            self.last_checkpoint = path
        episodes = self.model.ep_info_buffer
        if not self.cfg.eval_interval and episodes is not None and len(episodes) >= MIN_EPISODES:
            self._keep_if_best(statistics.mean(info["r"] for info in episodes), "training")

    def _keep_if_best(self, value: float, where: str) -> None:
        if value > self._best and self._write(self.run_dir / BEST_SB3_CHECKPOINT):
            self._best = value
            print(f"[INFO] best so far, in {where}: {value:.2f} after {self.num_timesteps} transitions")

    def _write(self, path: Path) -> bool:
        try:
            save_checkpoint(self.model, path)
        except OSError as error:
            print(
                f"[WARNING] checkpoint {path} could not be written: {error.strerror}; the last one is"
                f" {self.last_checkpoint}",
                file=sys.stderr,
            )
            return False
        return True

    def _log(self, steps: int, now: float) -> None:
        episodes = self.model.ep_info_buffer or []
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
        }
        if episodes:
            self.logger.record("rollout/ep_rew_mean", row["mean_return"])
            self.logger.record("rollout/ep_len_mean", row["mean_episode_length"])
        self.logger.record("time/env_steps_per_second", row["env_steps_per_second"])
        for key, value in base_env(self.training_env).log.items():
            self.logger.record(key, float(value))
        self.logger.dump(step=steps)
        print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
        self._append(row)

    def _append(self, row: dict[str, Any]) -> None:
        """Append to ``progress.csv``, written anew when there are columns that were not there before."""
        self._rows.append(row)
        grown = [name for name in row if name not in self._columns]
        self._columns += grown
        try:
            with (self.run_dir / "progress.csv").open("w" if grown else "a", newline="") as file:
                writer = csv.DictWriter(file, self._columns, restval="")
                if grown:
                    writer.writeheader()
                writer.writerows(self._rows if grown else [row])
        except OSError as error:
            print(f"[WARNING] {self.run_dir / 'progress.csv'}: {error.strerror}", file=sys.stderr)


def evaluate_deterministic(model: BaseAlgorithm, episodes: int) -> float:
    """Mean return of deterministic actions in the training's own environments, whose episodes begin anew after it.

    Args:
        model: The agent.
        episodes: Number of episodes; every environment contributes its first ones.
    """
    env: Any = model.get_env()
    rounds = -(-episodes // env.num_envs)
    training = getattr(env, "training", None)
    if training is not None:
        env.training = False
    done = np.zeros(env.num_envs, dtype=np.int64)
    returns: list[float] = []
    obs = env.reset()
    while (done < rounds).any():
        actions, _ = model.predict(obs, deterministic=True)
        obs, _, dones, infos = env.step(actions)
        returns += [infos[i]["episode"]["r"] for i in dones.nonzero()[0] if done[i] < rounds]
        done += dones
    if training is not None:
        env.training = training
    this: Any = model
    this._last_obs = env.reset()
    this._last_original_obs = env.get_original_obs() if training is not None else this._last_obs
    buffer = getattr(model, "replay_buffer", None)
    if buffer is not None and (buffer.pos or buffer.full):
        # returns must not run on from before the evaluation into what comes after it
        buffer.timeouts[buffer.pos - 1] = ~buffer.dones[buffer.pos - 1].astype(bool)
        buffer.dones[buffer.pos - 1] = 1.0
    return statistics.mean(returns)


def run(command: Sequence[str], max_time: float | None = None) -> None:
    """Train as Isaac Lab's ``train`` does for its libraries.

    Args:
        command: Isaac Lab's arguments, such as ``--task``, ``--agent``, ``--num_envs``, ``--device``, ``--checkpoint``
            and overrides.
        max_time: Wall-clock limit of the training [s].

    Raises:
        CliError: With one line that says what is wrong.
    """
    from isaaclab.app import add_launcher_args, launch_simulation
    from isaaclab_rl.entrypoints.common import (
        add_common_train_args,
        apply_env_overrides,
        close_env,
        create_isaaclab_env,
        dump_train_configs,
        pre_launch_video_config,
        resolve_seed,
        write_run_manifest,
    )
    from isaaclab_tasks.utils import resolve_task_config, setup_preset_cli

    parser = argparse.ArgumentParser(prog="train.py")
    add_common_train_args(parser, agent_default=None, agent_help="Agent.", include_distributed=False)
    parser.add_argument("--checkpoint", help="Checkpoint to go on from.")
    parser.add_argument("--run_name", default="", help="Appended to the name of the run's folder.")
    add_launcher_args(parser)
    args, overrides = setup_preset_cli(parser, list(command))
    configs: tuple[Any, Any] = resolve_task_config(args.task, args.agent, overrides=overrides)  # type: ignore[assignment]
    env_cfg, cfg = configs
    pre_launch_video_config(env_cfg, args)
    with launch_simulation(env_cfg, args):
        apply_env_overrides(args, env_cfg)
        seed = resolve_seed(args.seed)
        cfg.seed = cfg.seed if seed is None else seed
        env_cfg.seed = cfg.seed
        stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S") + (f"_{args.run_name}" if args.run_name else "")
        run_dir = Path("logs", "sbx", cfg.experiment_name, stamp).absolute()
        env_cfg.log_dir = str(run_dir)
        write_run_manifest(str(run_dir), library="sbx", task=args.task, metadata={"agent": args.agent})
        dump_train_configs(str(run_dir), env_cfg, cfg)
        env = create_isaaclab_env(args.task, env_cfg, args, convert_marl_to_single_agent=False)
        try:
            train(cfg, env, run_dir, args.checkpoint, max_time, args.max_iterations)
        finally:
            close_env(env)


def train(
    cfg: Sb3AgentCfg,
    env: Any,
    run_dir: Path,
    checkpoint: str | None = None,
    max_time: float | None = None,
    max_iterations: int | None = None,
) -> BaseAlgorithm:
    """Train an agent.

    Args:
        cfg: The agent's configuration.
        env: Isaac Lab's environment.
        run_dir: The run's folder.
        checkpoint: Checkpoint to go on from.
        max_time: Wall-clock limit [s].
        max_iterations: Rounds of collection and learning, in place of ``total_timesteps``.

    Returns:
        The trained agent.

    Raises:
        CliError: With one line that says what is wrong.
    """
    device = str(env.unwrapped.device)
    try:
        bounds = read_bounds(checkpoint) if checkpoint else None
        vec_env = make_vec_env(env, cfg, bounds)
        if checkpoint:
            model = load_checkpoint(cfg, checkpoint, vec_env, device)
            model.tensorboard_log = str(run_dir)
        else:
            model = build(cfg, vec_env, device, str(run_dir))
    except BoundsError as error:
        raise CliError(f"action bounds: {error}") from None
    except (ValueError, TypeError, AssertionError) as error:
        what = checkpoint or "the agent's configuration"
        raise CliError(f"{what}: {error}") from None
    write_provenance(run_dir, base_env(vec_env).bounds)
    total = cfg.total_timesteps
    off_policy = isinstance(cfg, Sb3OffPolicyCfg)
    if max_iterations is not None:
        steps = cfg.train_freq if isinstance(cfg, Sb3OffPolicyCfg) else cfg.n_steps  # type: ignore[attr-defined]
        total = max_iterations * steps * vec_env.num_envs
    this: Any = model
    if checkpoint and off_policy:
        replay = Path(checkpoint).with_name("replay_buffer.pkl")
        if replay.is_file():
            this.load_replay_buffer(replay)
            print(f"[INFO] replay buffer: {replay}")
        else:
            # an empty buffer: collect with the policy before learning from it
            this.learning_starts = this.num_timesteps
            this.resume_learning_at = this.num_timesteps + cfg.learning_starts  # type: ignore[attr-defined]
    callback = TrainingCallback(cfg, run_dir, max_time)
    model.learn(total, callback=callback, log_interval=None, reset_num_timesteps=checkpoint is None, progress_bar=False)  # type: ignore[call-arg]
    if off_policy and cfg.save_replay_buffer:  # type: ignore[attr-defined]
        temporary = run_dir / "replay_buffer.pkl.tmp"
        this.save_replay_buffer(temporary)
        os.replace(temporary, run_dir / "replay_buffer.pkl")
    print(f"[INFO] Checkpoint: {callback.last_checkpoint}")
    if callback.last_checkpoint is None:
        raise CliError("no checkpoint could be written")
    return model
