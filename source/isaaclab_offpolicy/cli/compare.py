# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""``scripts/compare.py``: agents against each other on this machine, for a time or a number of iterations."""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import shlex
import shutil
import signal
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from queue import SimpleQueue
from threading import Event
from typing import Any, NamedTuple

from isaaclab_offpolicy.agents.overrides import separate_overrides
from isaaclab_offpolicy.agents.registry import find_agent
from isaaclab_offpolicy.errors import ConfigError, UserError
from isaaclab_offpolicy.options import duration, positive_int, seed_number
from isaaclab_offpolicy.training.provenance import machine

from .arguments import command_parser
from .processes import run_logged
from .train import prepare

COLUMNS = ("env_steps", "wall_time_s", "mean_return", "mean_episode_length")
"""Columns of ``progress.csv`` that are kept."""

DEFAULT_TIME = 18 * 60.0
"""Time of each training when nobody says [s]."""


class Entry(NamedTuple):
    """One agent of the comparison."""

    agent: str
    num_envs: int
    overrides: tuple[str, ...]
    name: str = ""

    @property
    def label(self) -> str:
        """Name in the plot and of the files."""
        if self.name:
            return self.name
        return "_".join([self.agent, str(self.num_envs), *(item.replace("=", "-") for item in self.overrides)])


class Length(NamedTuple):
    """How long each training is."""

    seconds: float = DEFAULT_TIME
    iterations: int | None = None
    """In place of the time, where it is given."""


def entry(text: str) -> Entry:
    """Parse ``[NAME=]AGENT:NUM_ENVS[:override,override]``."""
    agent, *parts = text.split(":", 2)
    name, named, agent = agent.rpartition("=")
    if not parts or not parts[0].isdigit() or int(parts[0]) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not AGENT:NUM_ENVS, such as sac-cpu:256")
    if named and not re.fullmatch(r"[\w.±-]+", name):
        raise argparse.ArgumentTypeError(f"'{name}' cannot be the name of a file")
    return Entry(agent, int(parts[0]), tuple(separate_overrides(parts[1])) if len(parts) == 2 else (), name)


def parser() -> argparse.ArgumentParser:
    """The command line's parser."""
    result = command_parser(
        "compare",
        "Train agents, one after the other or side by side, evaluate them, and write CSV, summary and plot."
        " Seeds are the outer loop, so that a drift of the machine's speed meets all agents."
        " A training whose CSV is already there is not repeated.",
        """
        sac-cpu:256 ppo:512 --seeds 1 2 --max_time 10m --out results
        base=sac:256 slow=sac:256:agent.algorithm.tau=0.005 --max_iterations 100 --jobs 2 --out results
        """,
    )
    result.add_argument(
        "entries",
        nargs="+",
        type=entry,
        metavar="[NAME=]AGENT:NUM_ENVS[:OVERRIDES]",
        help="Agents, such as sac-cpu:256 or name=sac-cpu:256:agent.algorithm.tau=0.02,agent.algorithm.n_steps=3.",
    )
    result.add_argument(
        "--task",
        nargs="+",
        default=["Isaac-Velocity-Flat-Unitree-A1-v0"],
        help="Task. With several, each gets a folder of its own, and table.csv tells them all.",
    )
    result.add_argument("--seeds", nargs="+", type=seed_number, default=[1, 2, 3], help="Seeds; default 1 2 3.")
    length = result.add_mutually_exclusive_group()
    length.add_argument("--max_time", type=duration, help="Time of each training; default 18m.")
    length.add_argument(
        "--max_iterations",
        type=positive_int,
        help="Iterations of each training in place of a time: the machine's speed then has no say in what it learns.",
    )
    result.add_argument(
        "--jobs",
        type=positive_int,
        default=1,
        help="Runs side by side, each on a part of the cores; more than one needs --max_iterations. Default 1.",
    )
    result.add_argument("--episodes", type=positive_int, default=256, help="Episodes of each evaluation.")
    result.add_argument("--out", type=Path, required=True, help="Folder of the results.")
    result.add_argument("--checkpoints", type=Path, help="Folder that takes the checkpoint of every training.")
    return result


def main(argv: Sequence[str] | None = None) -> None:
    """Run the comparison.

    Raises:
        ConfigError: If a training or an evaluation fails, two agents have one name, runs side by side would be
            ended by the clock, a result that is there was made with another command, or a signal came.
    """
    args = parser().parse_args(argv)
    if args.jobs > 1 and args.max_iterations is None:
        raise ConfigError("--jobs needs --max_iterations: runs side by side slow each other down")
    length = Length(args.max_time or DEFAULT_TIME, args.max_iterations)
    for task in args.task:
        for item in args.entries:
            prepare(train_command(task, item, args.seeds[0], length))  # says what is wrong before anything begins
    labels = [item.label for item in args.entries]
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice is not None:
        raise ConfigError(f"two agents would be called '{twice}'; name them, as in NAME={twice}")
    folders = {task: args.out.resolve() / (task if len(args.task) > 1 else "") for task in args.task}
    for out in folders.values():
        out.mkdir(parents=True, exist_ok=True)
    wanted = [
        (task, item, seed, out / f"{item.label}_seed{seed}.csv")
        for seed in args.seeds
        for task, out in folders.items()
        for item in args.entries
    ]
    for task, item, seed, target in wanted:
        if target.is_file():
            check_command(target, train_command(task, item, seed, length))
            print(f"[compare] {target.name} is there")

    failed, interrupted = Event(), Event()

    def make(task: str, item: Entry, seed: int, target: Path) -> None:
        if failed.is_set() or interrupted.is_set():
            return
        # in one write: lines of two threads do not mix
        print(f"[compare] {task}, {item.label}, seed {seed}\n", end="", flush=True)
        try:
            with tempfile.TemporaryDirectory(prefix="compare_") as folder:
                checkpoint = _train(task, item, seed, length, args.episodes, Path(folder), target, interrupted)
                if args.checkpoints is not None:
                    args.checkpoints.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(checkpoint, args.checkpoints / f"{task}_{target.stem}{checkpoint.suffix}")
        except BaseException:
            failed.set()
            raise

    with workers(args.jobs) as pool:
        try:
            if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
                signal.signal(signal.SIGTERM, signal.default_int_handler)  # no training is left behind
            runs = [pool.submit(make, *each) for each in wanted if not each[-1].is_file()]
            wait(runs)  # after one that failed none begins
            for training in runs:
                training.result()
        except KeyboardInterrupt:
            interrupted.set()  # which ends the runs under way
            raise UserError("interrupted; results that are there stay, the same command goes on from them") from None
    (args.out / "command.txt").write_text(shlex.join(["scripts/compare.py", *(argv or ())]) + "\n")
    for task, out in folders.items():
        summarize(out, length, task)
    if len(folders) > 1:
        write_table(folders, args.out / "table.csv")


def workers(jobs: int) -> ThreadPoolExecutor:
    """Threads whose child processes run each on cores of their own, where the system can say so (Linux).

    Args:
        jobs: Number of threads; beyond the number of cores, they share all of them.
    """
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if jobs == 1 or len(cores) < jobs:
        return ThreadPoolExecutor(jobs)
    shares: SimpleQueue[list[int]] = SimpleQueue()
    for first in range(jobs):
        shares.put(cores[first::jobs])
    # 0 is the calling thread: a process that it starts inherits its cores
    return ThreadPoolExecutor(jobs, initializer=lambda: os.sched_setaffinity(0, shares.get()))


def write_table(folders: Mapping[str, Path], path: Path) -> None:
    """Write the evaluations of several tasks as one table: a row for each task and agent, means over the seeds.

    Args:
        folders: Folder of each task's results.
        path: CSV file to write.
    """
    import numpy as np

    from isaaclab_offpolicy.evaluation.curves import read_progress

    columns = ("return_mean", "return_std", "survival_rate", "velocity_error", "commanded_speed", "yaw_rate_error",
               "speed", "base_height")  # fmt: skip
    rows = []
    for task, folder in folders.items():
        for label, paths in _curves(folder).items():
            results = [_read_evaluation(path) for path in paths]
            steps = np.mean([read_progress(path)["env_steps"][-1] for path in paths])
            row = {"task": task, "agent": label, "seeds": len(paths), "million_steps": f"{steps / 1e6:.2f}"}
            for name in columns:
                values = [result[name] for result in results if name in result]
                row[name] = f"{np.mean(values):.3f}" if values else ""
            rows.append(row)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    print(path.read_text(), end="")


def _read_evaluation(curve: Path) -> dict[str, Any]:
    """The evaluation beside a curve; version 0.1 had another name for the survival rate."""
    result = json.loads(curve.with_suffix(".json").read_text())
    if "share_without_fall" in result:
        result["survival_rate"] = result.pop("share_without_fall")
    return result


def _curves(folder: Path) -> dict[str, list[Path]]:
    """Curves of a folder by agent."""
    groups: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*_seed*.csv")):
        groups.setdefault(path.stem.rpartition("_seed")[0], []).append(path)
    return groups


def train_command(task: str, item: Entry, seed: int, length: Length) -> list[str]:
    """Arguments of ``scripts/train.py`` for one training."""
    # the agent itself: what sac stands for depends on the machine
    which = ["--task", task, "--agent", find_agent(task, item.agent).name, "--num_envs", str(item.num_envs)]
    given = ["--seed", str(seed), *item.overrides]
    if length.iterations is not None:
        return [*which, *given, "--max_iterations", str(length.iterations)]
    command = [*which, "--max_time", f"{length.seconds:g}s", *given]
    if not find_agent(task, item.agent).is_sb3:
        # PPO's own number of iterations would end it early
        return [*command, "--max_iterations", "1000000"]
    return [*command, "agent.total_timesteps=1000000000"] if item.agent.endswith("ppo") else command


def check_command(target: Path, command: Sequence[str]) -> None:
    """Check that a result that is there is the one that is wanted.

    Raises:
        ConfigError: If it was made with another command.
    """
    evaluation = target.with_suffix(".json")
    made = json.loads(evaluation.read_text())["training_command"] if evaluation.is_file() else "no evaluation"
    if made != shlex.join(["scripts/train.py", *command]):
        raise ConfigError(
            f"{target} was made with another command ({made}); give the agent another name, or move it away"
        )


def _train(
    task: str,
    item: Entry,
    seed: int,
    length: Length,
    episodes: int,
    folder: Path,
    target: Path,
    interrupted: Event,
) -> Path:
    """Train in a folder that goes away, and keep curve, evaluation and versions; gives the checkpoint in it."""
    which = ["--task", task, "--agent", find_agent(task, item.agent).name]
    command = train_command(task, item, seed, length)
    run_logged("train", [absolute(item) for item in command], folder / "train.log", folder, interrupted)
    if interrupted.is_set():
        # a training ends well when it is interrupted, and would pass for one of the full length
        raise ConfigError("interrupted")
    (progress,) = folder.glob("logs/*/*/*/progress.csv")
    evaluation = target.with_suffix(".json")
    evaluate = [*which, "--episodes", str(episodes), "--out", str(evaluation), "--seed", "1", *item.overrides]
    run_logged("evaluate", [absolute(item) for item in evaluate], folder / "evaluate.log", folder, interrupted)
    result = json.loads(evaluation.read_text())
    checkpoint = Path(result["checkpoint"])
    result["checkpoint"] = checkpoint.name
    result["training_command"] = shlex.join(["scripts/train.py", *command])
    result["versions"] = json.loads((progress.parent / "versions.json").read_text())
    result["machine"] = machine()
    evaluation.write_text(json.dumps(result, indent=2) + "\n")
    with progress.open(newline="") as source, target.open("w", newline="") as file:
        writer: csv.DictWriter[str] = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(list(csv.DictReader(source)))
    return checkpoint


def absolute(override: str) -> str:
    """An override whose value is a file here, such as one with bounds, for a process that runs in another folder."""
    name, given, value = override.partition("=")
    return f"{name}={os.path.abspath(value)}" if given and os.path.isfile(value) else override


def summarize(out: Path, length: Length, title: str) -> None:
    """Write ``summary.csv`` and ``curves.png`` of the curves in a folder, and print the summary.

    Args:
        out: Folder with ``LABEL_seedN.csv`` and ``LABEL_seedN.json``.
        length: When the returns are compared: at that time, or at the end of the iterations.
        title: Title of the plot.
    """
    import numpy as np

    from isaaclab_offpolicy.evaluation.curves import plot_progress, read_progress

    groups = _curves(out)
    thresholds = (5.0, 10.0, 15.0, 20.0)
    # where runs went side by side, steps count and times do not
    by_time = length.iterations is None
    column, name, unit = ("wall_time_s", "minutes", 60.0) if by_time else ("env_steps", "million_steps", 1e6)
    rows = []
    for label, paths in groups.items():
        curves = [read_progress(path) for path in paths]
        evaluations = [_read_evaluation(path) for path in paths]
        row = {
            "agent": label,
            "seeds": len(paths),
            "million_steps": np.mean([curve["env_steps"][-1] for curve in curves]) / 1e6,
        }
        if by_time:
            returns = [_at(curve, length.seconds) for curve in curves]
            row[f"return_at_{length.seconds / 60:g}_min"] = np.mean(returns)
        else:
            row["return_at_the_end"] = np.mean([curve["mean_return"][-1] for curve in curves])
        for threshold in thresholds:
            reached = [_first(curve, column, threshold) / unit for curve in curves]
            row[f"{name}_to_{threshold:g}"] = np.mean(reached)
        row["evaluation_mean"] = np.mean([result["return_mean"] for result in evaluations])
        row["evaluation_worst_seed"] = min(result["return_mean"] for result in evaluations)
        row["survival_rate"] = np.mean([result["survival_rate"] for result in evaluations])
        rows.append({key: value if isinstance(value, (str, int)) else f"{value:.3f}" for key, value in row.items()})
    with (out / "summary.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    plot_progress(groups, out / "curves.png", title, wall_clock=by_time)
    print((out / "summary.csv").read_text(), end="")
    print(f"[compare] {out / 'curves.png'}")


def _at(curve: dict[str, Any], seconds: float) -> float:
    """Return at a time; NaN if the training was shorter."""
    import numpy as np

    if curve["wall_time_s"][-1] < 0.99 * seconds:
        return float("nan")
    return float(np.interp(seconds, curve["wall_time_s"], curve["mean_return"]))


def _first(curve: dict[str, Any], column: str, threshold: float) -> float:
    """A column's value where the return first reaches a threshold; NaN if it never does."""
    import numpy as np

    reached = np.flatnonzero(curve["mean_return"] >= threshold)
    return float(curve[column][reached[0]]) if len(reached) else float("nan")
