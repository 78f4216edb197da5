# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""rsl_rl's logger with a table of the progress, a time limit and an end on a signal."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, cast

import torch
from rsl_rl.utils.log_writer import LogWriter
from rsl_rl.utils.logger import Logger

from isaaclab_offpolicy.training.progress import ProgressTable, Unfailing, end_line, progress_line, show_line
from isaaclab_offpolicy.training.signals import Interruption
from isaaclab_offpolicy.training.watchdog import PULSE


class TimeLimitReached(Exception):  # noqa: N818 - an event, not an error
    """The training's time is over."""


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
        self.verbose = True
        """Whether to print rsl_rl's own block of every iteration in place of a line."""
        self.warn: Callable[[int, float | None], str | None] | None = None
        """Given transitions and mean episode length [steps]: a warning, if there is one to give."""
        self._table: ProgressTable | None = None
        self._goes_on = False
        self._ended: list[torch.Tensor] = []

    def init_logging_writer(self) -> None:
        """As rsl_rl's; a disk that is full costs TensorBoard's file, and not the training."""
        try:
            super().init_logging_writer()
        except OSError as error:
            print(f"[WARNING] {self.log_dir}: {error.strerror or error}", file=sys.stderr)
        if self.log_dir is not None and not self.disable_logs and not isinstance(self.writer, LogWriter):
            self.writer = cast(LogWriter, Unfailing(self.writer, "TensorBoard's file"))

    def process_env_step(
        self, rewards: torch.Tensor, dones: torch.Tensor, extras: dict, intrinsic_rewards: torch.Tensor | None = None
    ) -> None:
        """Add an env step's rewards and the episodes that it ended, which stay on the device until they are read.

        Args:
            rewards: Rewards, shape [N].
            dones: Whether the episode ended, shape [N].
            extras: Isaac Lab's extras.
            intrinsic_rewards: Of random network distillation, shape [N].

        Raises:
            KeyboardInterrupt: If a signal came, and this process learns alone.
        """
        PULSE.beat()
        if self.interruption.requested and not self.is_distributed:
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
        """Read returns and lengths of the episodes that have ended: one host–device sync for all steps since then."""
        if self._ended:
            ended, returns, lengths = torch.stack(self._ended, dim=1).cpu()
            self.rewbuffer.extend(returns[ended > 0].tolist())
            self.lenbuffer.extend(lengths[ended > 0].tolist())
            self._ended.clear()

    def state_dict(self) -> dict[str, Any]:
        """Time so far [s], returns and lengths [steps] of the last episodes, and of those under way, shape [N]."""
        this: Any = self
        return {
            "time_s": float(self.tot_time), "returns": list(self.rewbuffer), "lengths": list(self.lenbuffer),
            "return_so_far": this.cur_reward_sum.cpu(), "length_so_far": this.cur_episode_length.cpu(),
        }  # fmt: skip

    def load_state_dict(self, state: Mapping[str, Any], episodes_go_on: bool) -> None:
        """Go on with what :meth:`state_dict` gave; with the episodes under way only if the environment does."""
        self.tot_time, self._goes_on = state["time_s"], True
        self.rewbuffer.extend(state["returns"])
        self.lenbuffer.extend(state["lengths"])
        if episodes_go_on:
            this: Any = self
            this.cur_reward_sum.copy_(state["return_so_far"])
            this.cur_episode_length.copy_(state["length_so_far"])

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
            KeyboardInterrupt: After logging, if a signal came to any process.
        """
        self.read_episodes()
        named = {"terrain": self._mean_of("terrain_levels"), "velocity error": self._mean_of("error_vel_xy")}
        with nullcontext() if self.verbose else redirect_stdout(StringIO()):
            # rsl_rl's estimate of the time left divides the whole time by the iterations since the start
            start_it = 0 if self._goes_on else start_it
            super().log(it, start_it, total_it, collect_time, learn_time, loss_dict, **kwargs)
        now = time.perf_counter()
        if self.writer is not None:
            self._tell(it, total_it, now, collect_time + learn_time, named)
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
        if self.anywhere(self.interruption.requested):
            raise KeyboardInterrupt
        if self.time_is_over(now):
            raise TimeLimitReached

    def _tell(self, it: int, total_it: int, now: float, seconds: float, named: Mapping[str, float | None]) -> None:
        """Print a line of progress, and a warning where the robot does something else than to walk."""
        length = statistics.mean(self.lenbuffer) if self.lenbuffer else None
        if not self.verbose:
            mean_return = statistics.mean(self.rewbuffer) if self.rewbuffer else None
            left = (total_it - it - 1) * seconds
            if self.deadline is not None:
                left = min(left, self.deadline - now)
            rate = self.cfg["num_steps_per_env"] * self.num_envs * self.gpu_world_size / max(seconds, 1e-9)
            numbers = {"return": mean_return, "length": length, **named}
            show_line(progress_line(it, self.tot_timesteps, rate, left, numbers))
        warning = self.warn(self.tot_timesteps, length) if self.warn is not None else None
        if warning is not None:
            end_line()
            print(f"[WARNING] {warning}", flush=True)

    def _mean_of(self, name: str) -> float | None:
        """Mean of what Isaac Lab logs under a name at the ends of episodes; None if it logged nothing."""
        values = [
            float(value)
            for extras in self.ep_extras
            for key, value in extras.items()
            if key.endswith(f"/{name}") and (not isinstance(value, torch.Tensor) or value.numel() == 1)
        ]
        return statistics.mean(values) if values else None

    def anywhere(self, flag: bool) -> bool:
        """Whether a flag is set in any process: one that stopped alone would leave the others waiting for it."""
        if not self.is_distributed:
            return flag
        anywhere = torch.tensor(float(flag), device=self.device)
        torch.distributed.all_reduce(anywhere, torch.distributed.ReduceOp.MAX)
        return bool(anywhere)

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
