# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""``scripts/benchmark.py``: how fast this machine simulates, learns, and collects experience."""

from __future__ import annotations

import argparse
import itertools
import json
import math
import operator
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from isaaclab_offpolicy.engine import default_engine

from .arguments import (
    CliError,
    check_agent_overrides,
    check_device,
    check_task_and_agent,
    engine_overrides,
    is_sb3,
    one_of,
    positive_int,
    separate_overrides,
)
from .runner import machine, package_versions
from .simulation import collect_garbage_rarely

MARK = "BENCHMARK "
"""Begins the line with which a measuring process reports."""

LEARNERS = (
    "eager", "eager:bfloat16", "cpu", "compiled", "compiled:bfloat16", "cuda-graph", "cuda-graph:tf32",
    "cuda-graph:bfloat16", "sbx", "sb3",
)  # fmt: skip
"""Learners that can be measured: this package's gradient steps, and the SAC of the two libraries."""

RATES = {"simulation": "steps_per_second", "training": "training_per_second"}
"""What is plotted against the number of environments, by what is measured."""

PARTS = {
    "actuators": ("action_manager.apply_action", "scene.write_data_to_sim"),
    "physics": ("sim.step",),
    "sensors": ("scene.update",),
    "observations": ("observation_manager.compute",),
    "rewards": ("reward_manager.compute", "termination_manager.compute"),
    "resets": ("_reset_idx",),
}
"""Parts of a step of the environment, by what Isaac Lab calls in it."""

SWEEPS = {"num_envs": "environments", "batch_size": "batch size", "width": "network width", "obs_dim": "observations"}
"""What a learner's cost may be plotted against."""


def parser() -> argparse.ArgumentParser:
    """The command line's parser."""
    result = argparse.ArgumentParser(
        prog="benchmark.py",
        description="Measure this machine: the simulation with random actions and without learning, or the learner"
        " without a simulation, or what collecting experience or recording actions costs. Each measurement runs in a"
        " process of its own, one after the other.",
    )
    what = result.add_mutually_exclusive_group()
    what.add_argument("--simulation", dest="what", action="store_const", const="simulation", help="The default.")
    what.add_argument(
        "--learner",
        dest="what",
        action="store_const",
        const="learner",
        help="Gradient steps beside those of SBX and Stable-Baselines3, and the share that is matrix products.",
    )
    what.add_argument(
        "--collection",
        dest="what",
        action="store_const",
        const="collection",
        help="What Stable-Baselines3's collection of experience costs beside simulation and policy, stock and in this"
        " package.",
    )
    what.add_argument(
        "--training",
        dest="what",
        action="store_const",
        const="training",
        help="A training: environment steps per second without and with learning, where the time goes, and memory.",
    )
    what.add_argument(
        "--recording",
        dest="what",
        action="store_const",
        const="recording",
        help="Time and memory that recording actions for bounds takes, and how far the percentiles are from numpy's.",
    )
    result.set_defaults(what="simulation")
    result.add_argument("--task", nargs="+", default=["Isaac-Velocity-Flat-Unitree-A1-v0"], help="Tasks to simulate.")
    result.add_argument("--engines", nargs="+", help="Engines; default the device's own.")
    result.add_argument("--num_envs", nargs="+", type=positive_int, default=[256], help="Numbers of environments.")
    result.add_argument("--device", help="cpu or cuda:N; found when not given.")
    result.add_argument("--seconds", type=float, default=8.0, help="Time of a measurement; default 8.")
    result.add_argument(
        "--rounds", type=positive_int, default=1,
        help="Repetitions of all measurements, one after the other, of which medians are reported, so that all meet"
        " the same drift of the machine's speed; default 1.",
    )  # fmt: skip
    result.add_argument(
        "--beside", type=positive_int, metavar="N",
        help="Measure each time twice, alone and beside N processes that keep a core busy each, and say what is left.",
    )  # fmt: skip
    result.add_argument(
        "--agents", nargs="+", default=["sac"], metavar="AGENT[:OVERRIDES]",
        help="With --training: agents, such as sac:agent.algorithm.overlap=true,agent.seed=2; default sac.",
    )  # fmt: skip
    result.add_argument("--override", nargs="+", default=[], help="With --training: overrides for all agents.")
    result.add_argument(
        "--actions", nargs="+", type=positive_int, default=[10_000_000], help="With --recording; default ten million."
    )
    learner = result.add_argument_group("with --learner")
    learner.add_argument(
        "--learners", nargs="+",
        help=f"Of {', '.join(LEARNERS)}; default cpu sbx, on a GPU cuda-graph sbx.",
    )  # fmt: skip
    learner.add_argument("--preset", choices=["sac", "sac-cpu"], default="sac", help="Hyperparameters; default sac.")
    learner.add_argument("--batch_size", nargs="+", type=positive_int, help="Batch sizes; default the preset's.")
    learner.add_argument("--width", nargs="+", type=float, default=[1.0], help="Factors on the networks' widths.")
    learner.add_argument("--obs_dim", nargs="+", type=positive_int, default=[48], help="Numbers of observations.")
    learner.add_argument(
        "--num_actions", type=positive_int, default=12, help="Number of joints, with --recording as well; default 12."
    )
    learner.add_argument("--rows", type=positive_int, default=100, help="Vector steps in the replay; default 100.")
    learner.add_argument("--reference", type=Path, help="JSON of an earlier run; fail where ratios got worse.")
    learner.add_argument("--tolerance", type=float, default=0.15, help="What may be lost against it; default 0.15.")
    result.add_argument(
        "--plot", type=Path,
        help="PNG: of learners the cost against what has several values, of simulation and training the steps per"
        " second against --num_envs.",
    )  # fmt: skip
    result.add_argument("--out", type=Path, help="JSON file with all numbers, versions and the machine.")
    result.add_argument("--in_process", help=argparse.SUPPRESS)
    return result


def main(argv: Sequence[str] | None = None) -> None:
    """Measure as the command line says and print a table.

    Raises:
        CliError: If a measurement fails, or ratios are worse than those of the reference.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    args = parser().parse_args(arguments)
    if args.in_process:
        collect_garbage_rarely()
        job = json.loads(args.in_process)
        print(MARK + json.dumps(MEASUREMENTS[job.pop("what")](**job)), flush=True)
        return
    device = check_device(args.device)
    make = {"learner": _learner_jobs, "recording": _recording_jobs}.get(args.what, _simulation_jobs)
    jobs, columns = make(args, device)
    if args.beside:
        if args.plot or args.reference or args.what == "collection":
            raise CliError("--beside does not go with --plot, --reference and --collection")
        jobs = [{**job, "beside": busy} for job in jobs for busy in (0, args.beside)]
    if args.what != "learner" and args.reference:
        raise CliError("--reference is for --learner")
    if args.plot and args.what != "learner" and args.what not in RATES:
        raise CliError(f"--plot is for --learner and --{', --'.join(RATES)}")
    if args.plot:
        _swept(jobs)
    reference = _read_reference(args.reference) if args.reference else None
    names = {"learner": ["learner"], "recording": ["actions"]}.get(args.what, ["engine", "num_envs"])
    names += [name for name in jobs[0] if name not in names and len({str(job[name]) for job in jobs}) > 1]
    widths = {name: max(len(name), *(len(str(job[name])) for job in jobs)) + 2 for name in names}
    print("".join(f"{name:<{widths[name]}}" for name in names) + "".join(f"{column:>17}" for column in columns))
    rows: list[dict[str, Any]] = []
    rounds: list[list[dict[str, float]]] = [[] for _ in jobs]
    if args.out:
        _write_report(args.out, arguments, rows)
    for _ in range(args.rounds):
        for job, results in zip(jobs, rounds, strict=True):
            results.append(_in_process(job))
            if len(results) == args.rounds:
                print(_line(job, names, widths, results, columns), flush=True)
            rows = [
                {**job, **_medians(results), **({"rounds": results} if args.rounds > 1 else {})}
                for job, results in zip(jobs, rounds, strict=True)
                if results
            ]
            if args.out:
                _write_report(args.out, arguments, rows)  # each time: a later measurement may fail
    if args.beside:
        _compare_beside(jobs, rounds, next(iter(columns.values())))
    if args.plot:
        plot(rows, args.plot)
    if reference is not None:
        compare_with_reference(rows, reference, args.tolerance)


def _write_report(path: Path, arguments: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write what was measured so far.

    Raises:
        CliError: If it cannot be written.
    """
    report = {
        "command": shlex.join(["scripts/benchmark.py", *arguments]),
        "machine": machine(),
        "versions": package_versions(),
        "rows": list(rows),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise CliError(f"{path} could not be written: {error.strerror}") from None


def _medians(results: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The median of each number over several results."""
    return {key: statistics.median(result[key] for result in results) for key in results[0]}


def _line(
    job: Mapping[str, Any],
    names: Sequence[str],
    widths: Mapping[str, int],
    results: Sequence[Mapping[str, float]],
    columns: Mapping[str, str],
) -> str:
    """A line of the table."""
    row = _medians(results)
    cells = [
        f"{row[key]:>17.{0 if 'second' in key else 2}f}" if key in row else f"{'-':>17}" for key in columns.values()
    ]
    return "".join([*(f"{job[name]!s:<{widths[name]}}" for name in names), *cells])


def _simulation_jobs(args: argparse.Namespace, device: str) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Measurements with a simulation, and the columns of their table."""
    engines = args.engines or [default_engine(device)]
    # a name, and what is overridden for it
    agents = [
        (name, [*args.override, *separate_overrides(own)])
        for name, _, own in (text.partition(":") for text in (args.agents if args.what == "training" else ["ppo"]))
    ]
    for task in args.task:
        for agent, overrides in agents:
            key = check_task_and_agent(task, agent)
            is_sb3(key)  # says what is missing
            check_agent_overrides(task, key, overrides)
        for engine in engines:
            engine_overrides(task, device, [f"physics={engine}"])
    jobs = [
        {"what": args.what, "task": task, "engine": engine, "num_envs": num_envs, "device": device,
         "seconds": args.seconds}
        for task, engine, num_envs in itertools.product(args.task, engines, args.num_envs)
    ]  # fmt: skip
    if args.what == "training":
        columns = {
            "steps/s": "training_per_second", "simulation only": "simulation_per_second", "ratio": "throughput_ratio",
            "simulate": "simulate", "act": "act", "store": "store", "learn": "learn", "updates/s": "updates_per_second",
            "memory [GiB]": "memory_gib",
        }  # fmt: skip
        jobs = [{**job, "agent": agent, "overrides": overrides} for job in jobs for agent, overrides in agents]
    elif args.what == "collection":
        is_sb3("sbx_sac_cfg_entry_point")  # says what is missing
        columns = {
            "stock [ms]": "stock_ms", "ours [ms]": "ours_ms", "stock filling": "stock_filling_ms",
            "ours filling": "ours_filling_ms", "simulation [ms]": "simulation_ms",
        }  # fmt: skip
    else:
        columns = {"steps/s": "steps_per_second", "cores": "cores", "scene [s]": "scene_s"}
        columns |= {name: name for name in (*PARTS, "rest")}
    return jobs, columns


def _learner_jobs(args: argparse.Namespace, device: str) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Measurements of learners, and the columns of their table."""
    cuda = device != "cpu"
    learners = args.learners or ["cuda-graph" if cuda else "cpu", "sbx"]
    for name in learners:
        one_of("learner", name, LEARNERS)
        if name in ("sbx", "sb3"):
            is_sb3("sbx_sac_cfg_entry_point")  # says what is missing
        elif name.startswith("cpu" if cuda else "cuda-graph"):
            raise CliError(f"learner '{name}' is for {'the CPU' if cuda else 'a GPU'}, and not for {device}")
    jobs = [
        {"what": "learner", "learner": name, "preset": args.preset, "num_envs": num_envs, "batch_size": batch_size,
         "width": width, "obs_dim": obs_dim, "num_actions": args.num_actions, "rows": args.rows, "device": device,
         "seconds": args.seconds}
        for num_envs, batch_size, width, obs_dim, name in itertools.product(
            args.num_envs, args.batch_size or [0], args.width, args.obs_dim, learners
        )
    ]  # fmt: skip
    columns = {
        "updates/s": "updates_per_second", "update [ms]": "update_ms", "products [ms]": "products_ms",
        "share": "share", "GFLOP/s": "gflops", "sample [ms]": "sample_ms", "critic [ms]": "critic_ms",
        "actor [ms]": "actor_ms", "act [ms]": "act_ms", "insert [GB/s]": "insert_gb_s", "gather [GB/s]": "gather_gb_s",
        "copy [GB/s]": "copy_gb_s", "B/transition": "bytes_per_transition", "memory [GiB]": "memory_gib",
    }  # fmt: skip
    return jobs, columns


def _recording_jobs(args: argparse.Namespace, device: str) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Measurements of the recorder of actions, and the columns of their table."""
    jobs = [
        {"what": "recording", "actions": count, "num_actions": args.num_actions, "device": device}
        for count in args.actions
    ]
    return jobs, {"actions/s": "actions_per_second", "memory [MiB]": "memory_mib", "error [%]": "error_percent"}


def _compare_beside(
    jobs: Sequence[Mapping[str, Any]], rounds: Sequence[Sequence[Mapping[str, float]]], rate: str
) -> None:
    """Print what is left of a rate beside busy processes; jobs alternate between alone and beside them."""
    for alone, beside, job in zip(rounds[::2], rounds[1::2], jobs[1::2], strict=True):
        kept = [100.0 * there[rate] / here[rate] for here, there in zip(alone, beside, strict=True)]
        spread = f" ({min(kept):.0f} to {max(kept):.0f} in {len(kept)} rounds)" if len(kept) > 1 else ""
        which = str(job.get("task", job.get("learner", job["what"])))
        print(f"{which} beside {job['beside']}: {statistics.median(kept):.0f} % of {rate} alone{spread}", flush=True)


@contextmanager
def _busy_processes(count: int) -> Iterator[list[subprocess.Popen]]:
    """So many processes that each keep a core busy."""
    program = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: pass  # not longer than this process"
    processes: list[subprocess.Popen] = []
    try:
        for _ in range(count):
            processes.append(subprocess.Popen([sys.executable, "-S", "-c", program], stdin=subprocess.DEVNULL))  # noqa: PERF401
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _in_process(job: Mapping[str, Any]) -> dict[str, float]:
    """Measure in a process of its own, beside as many busy ones as the job says."""
    job = dict(job)
    with _busy_processes(job.pop("beside", 0)):
        result = subprocess.run(
            [sys.executable, "-m", "isaaclab_offpolicy.cli.benchmark", "--in_process", json.dumps(job)],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
    line = next((line for line in result.stdout.splitlines() if line.startswith(MARK)), None)
    if line is None:
        which = ", ".join(f"{key} {value}" for key, value in job.items())
        raise CliError(f"a measurement failed ({which}): {result.stderr[-400:]}")
    return json.loads(line.removeprefix(MARK))


def measure_simulation(task: str, engine: str, num_envs: int, device: str, seconds: float) -> dict[str, float]:
    """Build a task and step it with uniform random actions in [-1, 1].

    Returns:
        ``steps_per_second`` over all environments, processor ``cores`` in use, and the time ``scene_s`` [s] that
        building the scene took; of a second measurement, in which each of :data:`PARTS` is waited for, their shares of
        the time, and the ``rest``.
    """
    import gymnasium as gym
    import torch

    from isaaclab.app import launch_simulation
    from isaaclab_tasks.utils import parse_env_cfg

    from isaaclab_offpolicy.benchmarks.timing import Stopwatch

    check_task_and_agent(task, "ppo")
    cfg = parse_env_cfg(task, device=device, num_envs=num_envs, overrides=[f"physics={engine}"])
    cfg.seed = 1
    with launch_simulation(cfg, {"device": device}):
        start = time.perf_counter()
        env = gym.make(task, cfg=cfg)
        env.reset()
        scene = time.perf_counter() - start
        shape = env.action_space.shape
        assert shape is not None

        def step() -> None:
            env.step(torch.rand(shape, device=device) * 2.0 - 1.0)

        for _ in range(20):
            step()
        steps, processor, start = 0, time.process_time(), time.perf_counter()
        while time.perf_counter() - start < seconds:
            step()
            steps += 1
        if device != "cpu":
            torch.cuda.synchronize()
        elapsed = time.perf_counter() - start
        result = {
            "steps_per_second": steps * num_envs / elapsed,
            "cores": (time.process_time() - processor) / elapsed,
            "scene_s": scene,
        }
        parts = {name: Stopwatch() for name in PARTS}
        for name, functions in PARTS.items():
            for function in functions:
                path, _, attribute = function.rpartition(".")
                owner = operator.attrgetter(path)(env.unwrapped) if path else env.unwrapped
                setattr(owner, attribute, parts[name].around(getattr(owner, attribute)))
        start = time.perf_counter()
        while time.perf_counter() - start < seconds / 2:
            step()
        elapsed = time.perf_counter() - start
        result |= {name: part.seconds / elapsed for name, part in parts.items()}
        result["rest"] = 1.0 - sum(result[name] for name in PARTS)
        env.close()
    return result


def measure_collection(task: str, engine: str, num_envs: int, device: str, seconds: float) -> dict[str, float]:
    """Measure what a vector step costs outside of simulation and policy, over ten steps for each of the seconds.

    Returns:
        What :func:`isaaclab_offpolicy.sbx.benchmark.measure_collection` gives.
    """
    import gymnasium as gym

    from isaaclab.app import launch_simulation
    from isaaclab_tasks.utils import load_cfg_from_registry, parse_env_cfg

    from isaaclab_offpolicy.sbx import benchmark

    check_task_and_agent(task, "sbx-sac")
    cfg = parse_env_cfg(task, device=device, num_envs=num_envs, overrides=[f"physics={engine}"])
    cfg.seed = 1
    agent_cfg = load_cfg_from_registry(task, "sbx_sac_cfg_entry_point")
    with launch_simulation(cfg, {"device": device}):
        env = gym.make(task, cfg=cfg)
        result = benchmark.measure_collection(env, agent_cfg, round(10 * seconds))  # type: ignore[arg-type]
        env.close()
    return result


def measure_training(
    task: str, engine: str, num_envs: int, device: str, seconds: float, agent: str, overrides: Sequence[str]
) -> dict[str, float]:
    """Measure the training of an agent, with a replay buffer that holds the last thousand vector steps.

    Returns:
        What :func:`isaaclab_offpolicy.benchmarks.rsl_rl_training.measure_training` gives, or for an agent of SBX or
        Stable-Baselines3 :func:`isaaclab_offpolicy.sbx.benchmark.measure_training`.
    """
    from isaaclab_offpolicy.benchmarks import rsl_rl_training

    from .runner import create_runner
    from .simulation import running_task

    key = check_task_and_agent(task, agent)
    with running_task(task, key, num_envs, device, 1, [f"physics={engine}", *overrides]) as (env, agent_cfg):
        if is_sb3(key):
            from isaaclab_offpolicy.sbx import benchmark as sbx_benchmark

            if hasattr(agent_cfg, "buffer_size"):
                given = {item.partition("=")[0] for item in overrides}
                buffer_size = min(agent_cfg.buffer_size, 1000 * num_envs)
                for name, value in {"learning_starts": 4 * num_envs, "buffer_size": buffer_size}.items():
                    if f"agent.{name}" not in given:
                        setattr(agent_cfg, name, value)
            return sbx_benchmark.measure_training(env.env, agent_cfg, seconds)
        algorithm = agent_cfg.algorithm
        if hasattr(algorithm, "learning_starts"):
            given = {item.partition("=")[0] for item in overrides}
            for name, value in {
                "learning_starts": 4 * num_envs,
                "actor_learning_starts": 0,
                "buffer_size": min(algorithm.buffer_size, 1000 * num_envs),
            }.items():
                if f"agent.algorithm.{name}" not in given:
                    setattr(algorithm, name, value)
        with tempfile.TemporaryDirectory() as folder:
            runner = create_runner(env, agent_cfg, folder)
            runner.logger.init_logging_writer()
            result = rsl_rl_training.measure_training(runner, seconds)
            runner.logger.stop_logging_writer()
        return result


def measure_recording(actions: int, num_actions: int, device: str) -> dict[str, float]:
    """Measure the recorder of actions with heavy-tailed actions whose middle wanders, 4096 at a time.

    Args:
        actions: Number of actions.
        num_actions: Number of joints.
        device: Device of the actions and of the histogram.

    Returns:
        ``actions_per_second``; ``memory_mib``, how much more memory the process (on a GPU: the device) had while it
        recorded, at most, than before [MiB]; ``error_percent``, the largest difference of the 2.5 and 97.5 percentiles
        from numpy's on the same actions, in percent of the joint's range.
    """
    import numpy as np
    import torch

    from isaaclab_offpolicy.action_bounds.recording import ActionRecorder

    def batches() -> Iterator[torch.Tensor]:
        generator = torch.Generator(device).manual_seed(1)
        spread = torch.logspace(-1.0, 1.0, num_actions, device=device)
        for start in range(0, actions, 4096):
            shape = (min(4096, actions - start), num_actions)
            normal = torch.randn(shape, generator=generator, device=device)
            # a normal over the root of an exponential has Student's tails: seldom, a joint is thrown far
            tail = torch.rand((shape[0], 1), generator=generator, device=device).clamp(min=1e-6).log().neg().sqrt()
            yield spread * (normal / tail.clamp(min=0.3) + np.sin(6.0 * start / actions))

    cuda = torch.device(device).type == "cuda"

    def memory() -> float:
        if cuda:
            torch.cuda.synchronize()
            return torch.cuda.max_memory_allocated() / 2**20
        resident = Path("/proc/self/statm").read_text().split()[1]
        return int(resident) * os.sysconf("SC_PAGE_SIZE") / 2**20

    recorder = ActionRecorder([f"joint_{i}" for i in range(num_actions)], device=device)
    first = next(batches())
    for _ in range(3):
        ActionRecorder(recorder.joint_names, device=device).add(first)  # what the libraries take once and for all
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    before, most, elapsed = memory(), 0.0, 0.0
    for batch in batches():
        start = time.perf_counter()
        recorder.add(batch)
        most = max(most, memory())  # waits for the device
        elapsed += time.perf_counter() - start
    low, high = recorder.histogram.percentiles((2.5, 97.5)).cpu().numpy()
    error, end = 0.0, 0
    data = np.empty((num_actions, actions), np.float32)
    for batch in batches():
        data[:, end : end + len(batch)] = batch.T.cpu().numpy()
        end += len(batch)
    for joint, ours in zip(data, np.stack((low, high), axis=1), strict=True):
        expected = np.percentile(joint, (2.5, 97.5))
        error = max(error, float(np.abs(ours - expected).max() / (joint.max() - joint.min())))
    return {"actions_per_second": actions / elapsed, "memory_mib": most - before, "error_percent": 100.0 * error}


def measure_learner(
    learner: str,
    preset: str,
    num_envs: int,
    batch_size: int,
    width: float,
    obs_dim: int,
    num_actions: int,
    rows: int,
    device: str,
    seconds: float,
) -> dict[str, float]:
    """Measure the gradient steps of one of :data:`LEARNERS` with a preset's hyperparameters, without a simulation.

    Args:
        learner: The learner.
        preset: ``sac`` or ``sac-cpu``.
        num_envs: Number of environments; for this package's learner only, whose replay has rows of that length.
        batch_size: Batch size; 0 takes the preset's.
        width: Factor on the widths of the networks.
        obs_dim: Number of observations.
        num_actions: Number of joints.
        rows: Vector steps in the replay buffer.
        device: Device of the learner.
        seconds: About the time of the measurement [s].

    Returns:
        What :func:`isaaclab_offpolicy.benchmarks.learner.measure_learner` gives; of the other libraries
        ``update_ms`` and ``updates_per_second``.
    """
    from isaaclab.utils import to_dict
    from isaaclab_rl.rsl_rl import check_rsl_rl_version, handle_deprecated_rsl_rl_cfg

    from isaaclab_offpolicy.algorithms.rsl_rl_cfg import SacRunnerCfg
    from isaaclab_offpolicy.benchmarks import learner as native
    from isaaclab_offpolicy.tasks.velocity.rsl_rl_sac_cfg import fit_to_cpu

    cfg = SacRunnerCfg(experiment_name="benchmark", device=device)
    if preset == "sac-cpu":
        fit_to_cpu(cfg, num_actions)
    for model in (cfg.actor, cfg.critic):
        model.hidden_dims = [max(1, round(width * dim)) for dim in model.hidden_dims]
    cfg.algorithm.batch_size = batch_size or cfg.algorithm.batch_size
    if learner in ("sbx", "sb3"):
        from isaaclab_offpolicy.sbx.benchmark import measure_update
        from isaaclab_offpolicy.sbx.cfg import Sb3OffPolicyCfg

        sb3_cfg = Sb3OffPolicyCfg(experiment_name="benchmark", library=learner)  # type: ignore[arg-type]
        sb3_cfg.batch_size, sb3_cfg.policy_delay = cfg.algorithm.batch_size, cfg.algorithm.policy_delay
        net_arch = {"pi": list(cfg.actor.hidden_dims), "qf": list(cfg.critic.hidden_dims)}
        return measure_update(sb3_cfg, net_arch, obs_dim, num_actions, device, seconds)
    backend, _, precision = learner.partition(":")
    cfg.algorithm.backend, cfg.algorithm.precision = backend, precision or "float32"  # type: ignore[assignment]
    train_cfg = to_dict(handle_deprecated_rsl_rl_cfg(cfg, check_rsl_rl_version()))  # type: ignore[arg-type]
    train_cfg["multi_gpu"] = None
    return native.measure_learner(train_cfg, num_envs, obs_dim, num_actions, device, rows, seconds)


MEASUREMENTS: dict[str, Callable[..., dict[str, float]]] = {
    "simulation": measure_simulation,
    "collection": measure_collection,
    "training": measure_training,
    "recording": measure_recording,
    "learner": measure_learner,
}
"""What a process of its own measures, by name."""


def _swept(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What takes several values, and can be the axis of a plot.

    Raises:
        CliError: If nothing does.
    """
    sweeps = [name for name in SWEEPS if rows[0]["what"] == "learner" or name == "num_envs"]
    swept = [name for name in sweeps if len({row.get(name) for row in rows}) > 1]
    if not swept:
        raise CliError(f"--plot needs several values of {'one of ' * (len(sweeps) > 1)}{', '.join(sweeps)}")
    return swept


def plot(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Plot each learner's time per gradient step, or the steps per second of simulations and trainings.

    Learners are plotted against what takes several values among the rows, the others against the environments.

    Raises:
        CliError: If nothing takes several values, or the file cannot be written.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogFormatter

    what = rows[0]["what"]
    axis, *others = _swept(rows)
    figure = Figure(figsize=(6.0, 4.0), layout="constrained")
    axes = figure.subplots()
    lines: dict[str, list[Mapping[str, Any]]] = {}
    if what == "learner":
        value, floor, labels = "update_ms", "products_ms", ["learner"]
        axes.set_ylabel("time per gradient step [ms]")
    else:
        value, floor = RATES[what], "simulation_per_second"
        labels = [
            name for name in ("task", "engine", "agent", "overrides") if len({str(row.get(name)) for row in rows}) > 1
        ]
        axes.set_ylabel("environment steps per second")
    for row in rows:
        label = ", ".join([*(str(row[name]) for name in labels), *(f"{name} {row[name]}" for name in others)])
        lines.setdefault(label or what, []).append(row)
    for label, line in lines.items():
        axes.loglog(*zip(*sorted((row[axis], row[value]) for row in line), strict=True), marker="o", label=label)
        beside = sorted((row[axis], row[floor]) for row in line if floor in row)
        if beside:
            name = "matrix products" if what == "learner" else "simulation only"
            axes.loglog(*zip(*beside, strict=True), linestyle=":", color="gray", label=f"{label}: {name}")
    values = sorted({row[axis] for row in rows})
    axes.set_xlabel(SWEEPS[axis])
    axes.set_xticks(values, [f"{value:g}" for value in values])
    axes.set_xticks([], minor=True)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1.2, 0.5)))
    low, high = axes.get_ylim()
    if high < 10.0 * low:  # a decade, lest the machine's drift fill the picture
        middle = math.sqrt(low * high)
        axes.set_ylim(middle / math.sqrt(10.0), middle * math.sqrt(10.0))
    axes.grid(which="both", alpha=0.3)
    axes.legend()
    try:
        figure.savefig(path, dpi=120)
    except OSError as error:
        raise CliError(f"{path} could not be written: {error.strerror}") from None


def _read_reference(path: Path) -> list[dict[str, Any]]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
        return [row for row in rows if row["what"] == "learner"]
    except OSError as error:
        raise CliError(f"reference {path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise CliError(f"reference {path} is not what --out writes") from None


def compare_with_reference(
    rows: Sequence[Mapping[str, Any]], reference: Sequence[Mapping[str, Any]], tolerance: float
) -> None:
    """Compare ratios, which carry over between machines of a kind, with those of an earlier run.

    Ratios are the share of the matrix products' rate, and the rate relative to SBX's with the same sizes.

    Raises:
        CliError: If one is worse by more than the tolerance, or nothing can be compared.
    """
    now, then = ratios(rows), ratios(reference)
    common = [key for key in now if key in then]
    if not common:
        raise CliError("the reference has no measurement in common with this run")
    for key in common:
        print(f"{key}: {now[key]:.2f}, reference {then[key]:.2f}")
    for key in then:
        if key not in now:
            print(f"{key}: not measured, reference {then[key]:.2f}")
    worse = [key for key in common if now[key] < (1.0 - tolerance) * then[key]]
    if worse:
        raise CliError(f"slower than the reference: {'; '.join(worse)}")


def ratios(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Ratios of the measured times, by a description of what was measured."""
    result: dict[str, float] = {}
    sizes = ("preset", "num_envs", "rows", "batch_size", "width", "obs_dim", "num_actions", "device")
    for row in rows:
        where = ", ".join(f"{name} {row[name]}" for name in sizes)
        if "share" in row:
            result[f"{row['learner']}, share of the matrix products' rate ({where})"] = row["share"]
        for other in rows:
            if other["learner"] == "sbx" and row["learner"] != "sbx" and all(row[n] == other[n] for n in sizes):
                result[f"{row['learner']}, relative to SBX ({where})"] = other["update_ms"] / row["update_ms"]
    return result


if __name__ == "__main__":
    main()
