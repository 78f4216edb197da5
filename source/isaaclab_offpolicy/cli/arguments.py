# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""What the command lines have in common: names, checks with clear errors, and defaults that follow the machine."""

from __future__ import annotations

import argparse
import importlib.util
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple

import gymnasium as gym

from isaaclab_offpolicy.engine import default_device, default_engine

AGENTS = {
    "sac": "rsl_rl_sac_cfg_entry_point",
    "sac-cpu": "rsl_rl_sac_cpu_cfg_entry_point",
    "ppo": "rsl_rl_cfg_entry_point",
    "sbx-sac": "sbx_sac_cfg_entry_point",
    "sbx-sac-cpu": "sbx_sac_cpu_cfg_entry_point",
    "sbx-tqc": "sbx_tqc_cfg_entry_point",
    "sbx-ppo": "sbx_ppo_cfg_entry_point",
    "sb3-sac": "sb3_sac_cfg_entry_point",
    "sb3-ppo": "sb3_ppo_cfg_entry_point",
}
"""Agents, and the names under which tasks register their configurations."""

CHECKPOINT_PATTERN = r"model_\d+\.pt"
"""Checkpoints of rsl_rl's runner."""

BEST_CHECKPOINT = "best.pt"
"""Checkpoint with the highest mean return in training."""

SB3_CHECKPOINT_PATTERN = r"model_\d+\.zip"
"""Checkpoints of SBX's and Stable-Baselines3's agents."""

BEST_SB3_CHECKPOINT = "best.zip"
"""Their checkpoint with the highest mean return."""


class CliError(SystemExit):
    """Ends the program with one line on standard error and status 1."""

    def __init__(self, message: str) -> None:
        super().__init__(f"error: {' '.join(message.split())}")


def add_task_arguments(parser: argparse.ArgumentParser, agent: str = "sac") -> None:
    """Add ``--task``, ``--agent`` with its default, and ``--device``."""
    parser.add_argument("--task", help="Task, for example Isaac-Velocity-Flat-Unitree-A1-v0.")
    parser.add_argument("--agent", default=agent, help=f"One of {', '.join(AGENTS)}; default {agent}.")
    parser.add_argument("--device", help="cpu or cuda:N; found when not given.")


def add_policy_arguments(parser: argparse.ArgumentParser, agent: str = "sac") -> None:
    """Add ``--task``, ``--agent`` with its default, ``--device`` and ``--checkpoint``."""
    add_task_arguments(parser, agent)
    parser.add_argument("--checkpoint", default="latest", metavar="latest|best|PATH", help="Default latest.")


PATIENCE = 60.0
"""Time that a process has to end after a termination signal [s]."""


def run_logged(
    command: str, arguments: Sequence[str], log: Path, cwd: Path | None = None, stop: Event | None = None
) -> None:
    """Run one of the commands in a process of its own.

    Args:
        command: Name of the module in this package.
        arguments: Its command line.
        log: File that takes its output.
        cwd: Folder to run it in.
        stop: Once it is set, the process gets a termination signal, and is killed if it does not end in
            :data:`PATIENCE`.

    Raises:
        CliError: If it fails, with the error it printed, or else its last line.
        subprocess.TimeoutExpired: If it had to be killed.
    """
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", f"isaaclab_offpolicy.cli.{command}", *arguments],
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
        try:
            while stop is not None and process.poll() is None:
                if stop.wait(0.5):
                    process.terminate()
                    break
            code = process.wait(PATIENCE if stop is not None else None)
        except BaseException:
            process.kill()
            process.wait()
            raise
    if code:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        # other packages may print after the error, or not, on the way out
        reason = next((line for line in reversed(lines) if line.startswith("error: ")), (lines or [""])[-1])
        raise CliError(f"{command} failed with status {code}: {reason.removeprefix('error: ')} (log: {log})")


def separate_overrides(text: str) -> list[str]:
    """Overrides that stand together, ``a=1,b=[2,3]``: they are separated by the commas that a name follows."""
    return re.split(r",(?=[\w.]+=)", text) if text else []


def one_of(kind: str, name: str, choices: Iterable[str]) -> str:
    """Return the name, or raise a :class:`CliError` with the nearest ones."""
    choices = list(choices)
    if name in choices:
        return name
    by_lower = {choice.lower(): choice for choice in choices}
    near = [by_lower[match] for match in get_close_matches(name.lower(), by_lower, n=3, cutoff=0.3)]
    raise CliError(f"unknown {kind} '{name}'; nearest: {', '.join(near or sorted(choices)[:8])}")


def load_tasks() -> None:
    """Register the tasks of Isaac Lab and of the installed packages."""
    import isaaclab_tasks  # noqa: F401
    from isaaclab.cli import load_external_tasks

    load_external_tasks()


def isaaclab_tasks_of(registry: Mapping[str, Any]) -> list[str]:
    """Names of the tasks that have an Isaac Lab configuration."""
    return sorted(name for name, spec in registry.items() if "env_cfg_entry_point" in (spec.kwargs or {}))


def check_task_and_agent(task: str | None, agent: str) -> str:
    """Return the configuration key of an agent of a task.

    Raises:
        CliError: If the task or the agent is not known, or the task has no such agent.
    """
    if task is None:
        raise CliError("--task is missing; for example --task Isaac-Velocity-Flat-Unitree-A1-v0")
    load_tasks()
    kwargs = gym.registry[one_of("task", task, isaaclab_tasks_of(gym.registry))].kwargs
    key = AGENTS.get(agent, agent)
    keys = [name for name in kwargs if name.endswith("_cfg_entry_point") and name != "env_cfg_entry_point"]
    short = [name for name, value in AGENTS.items() if value in keys]
    if key not in keys:
        one_of("agent", agent, AGENTS)
        raise CliError(f"task '{task}' has no agent '{agent}'; it has: {', '.join(short)}")
    return key


def is_sb3(agent_key: str) -> bool:
    """Whether a configuration key is that of an agent of SBX or Stable-Baselines3.

    Raises:
        CliError: If it is, and the libraries are not installed.
    """
    if not agent_key.startswith(("sbx_", "sb3_")):
        return False
    missing = [name for name in ("stable_baselines3", "sbx") if importlib.util.find_spec(name) is None]
    if missing:
        raise CliError(f"agent needs {' and '.join(missing)}; install isaaclab_offpolicy[sbx]")
    return True


def duration(text: str) -> float:
    """Seconds of a duration such as ``90``, ``90s``, ``10m`` or ``1.5h``."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text.strip())
    if not match or float(match[1]) <= 0.0:
        raise argparse.ArgumentTypeError(f"'{text}' is not a duration; write 90s, 10m or 1.5h")
    return float(match[1]) * {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}[match[2]]


def positive_int(text: str) -> int:
    """A whole number above zero."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number above zero")
    return int(text)


def check_device(device: str | None) -> str:
    """Return the device, or the machine's own when none is given.

    Raises:
        CliError: If it is not there.
    """
    from torch.cuda import device_count

    if device is None:
        return default_device()
    if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
        raise CliError(f"unknown device '{device}'; it is cpu, cuda or cuda:N")
    if device != "cpu" and default_device() == "cpu":
        raise CliError(f"device '{device}' needs CUDA, and this machine has none; leave --device out, or say cpu")
    index = int(device.partition(":")[2] or 0)
    if device != "cpu" and index >= device_count():
        raise CliError(f"device '{device}' is not there; this machine has {device_count()} CUDA device(s)")
    return device


def split_overrides(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Separate flags and their values from Hydra overrides such as ``agent.algorithm.n_steps=3``.

    Returns:
        Flags with their values, and overrides, each in their order.
    """
    pattern = r"[~+]*(physics|renderer|presets|env\.[\w.]+|agent\.[\w.]+)="
    overrides = [item for item in arguments if re.match(pattern, item)]
    return [item for item in arguments if item not in overrides], overrides


def option(arguments: Sequence[str], flag: str, override: str) -> str | None:
    """Value of an option that may be given as ``--flag value``, ``--flag=value`` or ``override=value``."""
    for position, item in enumerate(arguments):
        if item == flag and position + 1 < len(arguments):
            return arguments[position + 1]
        for prefix in (f"{flag}=", f"{override}="):
            if item.startswith(prefix):
                return item.removeprefix(prefix)
    return None


def new_run(root: Path, run_name: str = "") -> tuple[Path, str]:
    """Make the folder of a new run, which no other training has.

    Isaac Lab names it by the second, so that trainings that begin together would write into one.

    Args:
        root: Folder of the experiment's runs.
        run_name: What Isaac Lab appends to the name.

    Returns:
        The folder, and the time in its name, for Isaac Lab's ``--run_timestamp``.

    Raises:
        CliError: If it cannot be made.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        while True:
            stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
            folder = root / (f"{stamp}_{run_name}" if run_name else stamp)
            try:
                folder.mkdir()
                return folder, stamp
            except FileExistsError:
                time.sleep(0.1)
    except OSError as error:
        raise CliError(f"{root} could not be written: {error.strerror}") from None


def check_agent_overrides(task: str, agent_key: str, overrides: Sequence[str]) -> None:
    """Refuse overrides of agent options that do not exist; Isaac Lab sets them without a word.

    Raises:
        CliError: With the nearest names.
    """
    from isaaclab_tasks.utils import load_cfg_from_registry

    for item in overrides:
        if not item.startswith("agent."):
            continue
        node: Any = load_cfg_from_registry(task, agent_key)
        for name in item.partition("=")[0].split(".")[1:]:
            children = node if isinstance(node, dict) else getattr(node, "__dict__", None)
            if children is None:
                break
            one_of(f"option in '{item}'", name, children)
            node = children[name]


def engine_overrides(task: str, device: str, overrides: Sequence[str]) -> list[str]:
    """Hydra overrides with the engine filled in for the device.

    Args:
        task: A registered task.
        device: Simulation device.
        overrides: What the user gave, such as ``physics=newton_mjwarp``.

    Raises:
        CliError: If the engine is not known to the task, or not installed.
    """
    from isaaclab_tasks.utils import load_cfg_from_registry

    env_cfg: Any = load_cfg_from_registry(task, "env_cfg_entry_point")
    physics = env_cfg.sim.physics
    if not hasattr(physics, "default"):
        return list(overrides)  # a task with one engine only
    engines = [name for name in vars(physics) if name != "default" and hasattr(getattr(physics, name), "class_type")]
    given = [item.partition("=")[2] for item in overrides if item.partition("=")[0] in ("physics", "env.sim.physics")]
    presets = [p for item in overrides if item.startswith("presets=") for p in item.partition("=")[2].split(",")]
    chosen = given or [preset for preset in presets if preset in engines]
    result = list(overrides)
    if not chosen and default_engine(device) in engines:
        chosen = [default_engine(device)]
        result.append(f"physics={chosen[0]}")
    for name in chosen:
        one_of("engine", name, [*engines, "default"])
        if name == "ovphysx" and importlib.util.find_spec("ovphysx") is None:
            raise CliError("engine 'ovphysx' is not installed; install isaaclab_offpolicy[cpu]")
    return result


def find_checkpoint(spec: str, task: str, agent_key: str, experiment: str | None = None) -> str:
    """Resolve ``latest``, ``best`` or a path.

    Args:
        spec: What the user gave.
        task: The task.
        agent_key: Configuration key of the agent.
        experiment: Name of the experiment's folder, if it is not the agent's own.

    Returns:
        Path of a checkpoint.

    Raises:
        CliError: If there is none; it says where it looked.
    """
    from isaaclab_rl.entrypoints.common import resolve_checkpoint_selector
    from isaaclab_tasks.utils import load_cfg_from_registry

    sb3 = is_sb3(agent_key)
    library, suffix = ("sbx", "zip") if sb3 else ("rsl_rl", "pt")
    pattern, best = (
        (SB3_CHECKPOINT_PATTERN, BEST_SB3_CHECKPOINT) if sb3 else (CHECKPOINT_PATTERN, BEST_CHECKPOINT)
    )  # fmt: skip
    if spec not in ("latest", "best"):
        path = Path(spec).expanduser()
        if path.is_dir():
            found = sorted(path.glob(f"model_*.{suffix}"), key=lambda p: int(p.stem.rpartition("_")[2]))
            if not found:
                raise CliError(f"no checkpoint model_N.{suffix} in '{path}'")
            return str(found[-1].resolve())
        if not path.is_file():
            raise CliError(f"no checkpoint '{spec}'; give 'latest', 'best' or the path of a .{suffix} file")
        return str(path.resolve())
    agent_cfg: Any = load_cfg_from_registry(task, agent_key)
    root = Path("logs", library, experiment or agent_cfg.experiment_name).absolute()

    def find(key: str) -> str:
        return resolve_checkpoint_selector(
            str(root),
            spec,
            library=library,
            task=task,
            checkpoint_pattern=pattern if spec == "latest" else rf"{pattern}|{re.escape(best)}",
            preferred_checkpoint_pattern=re.escape(best),
            metadata={"agent": key},
        )

    def has_run(key: str) -> bool:
        try:
            return bool(find(key))
        except ValueError:
            return False

    try:
        return find(agent_key)
    except ValueError:
        agent = next((short for short, key in AGENTS.items() if key == agent_key), agent_key)
        others = [short for short, key in AGENTS.items() if key != agent_key and has_run(key)]
        hint = f"; there are runs of: {', '.join(f'--agent {other}' for other in others)}" if others else ""
        raise CliError(
            f"no checkpoint '{spec}': no run of task '{task}' with agent '{agent}' in {root}{hint}"
        ) from None


class PolicyRun(NamedTuple):
    """What a command that plays a checkpoint needs, checked."""

    agent_key: str
    """Configuration key of the agent."""

    device: str
    """Device of simulation and policy."""

    checkpoint: str
    """Path of the checkpoint."""

    overrides: list[str]
    """Hydra overrides, with the engine."""


def check_policy_run(args: argparse.Namespace, overrides: Sequence[str], experiment: str | None = None) -> PolicyRun:
    """Check what :func:`add_policy_arguments` added.

    Args:
        args: The parsed command line.
        overrides: Its Hydra overrides.
        experiment: Name of the experiment's folder, if it is not the agent's own.

    Raises:
        CliError: If task, agent, device, checkpoint or an override is not known, or the checkpoint cannot be read.
    """
    from .checkpoints import check_checkpoint

    key = check_task_and_agent(args.task, args.agent)
    device = check_device(args.device)
    checkpoint = find_checkpoint(args.checkpoint, args.task, key, experiment)
    check_agent_overrides(args.task, key, overrides)
    check_checkpoint(checkpoint, args.task, key, overrides)
    return PolicyRun(key, device, checkpoint, engine_overrides(args.task, device, overrides))
