# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""``isaaclab-offpolicy benchmark``: how fast this machine simulates, learns, and collects experience."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from isaaclab_offpolicy.errors import ConfigError, one_of
from isaaclab_offpolicy.options import Parser, positive_float, positive_int

LEARNERS = (
    "eager", "eager:bfloat16", "cpu", "compiled", "compiled:bfloat16", "cuda-graph", "cuda-graph:tf32",
    "cuda-graph:bfloat16", "sbx", "sb3",
)  # fmt: skip
"""Learners that can be measured: this package's gradient steps, and the SAC of the two libraries."""


OF_ALL = {
    "env.scene.num_envs": "--num_envs", "env.sim.device": "--device", "physics": "--engines",
    "env.sim.physics": "--engines",
}  # fmt: skip
"""Overrides that would change what is measured of all agents, and the flags for it."""

EXAMPLES = """examples:
  isaaclab-offpolicy benchmark simulation --num_envs 64 256 1024
  isaaclab-offpolicy benchmark learner --learners eager cpu sbx --rounds 3
  isaaclab-offpolicy benchmark training --agents sac-cpu ppo --beside 1 --rounds 3 --out training.json"""


def parser() -> argparse.ArgumentParser:
    """The command line's parser."""
    result = Parser(
        prog="isaaclab-offpolicy benchmark",
        description="Measure this machine. Each measurement runs in a process of its own, one after the other.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = result.add_subparsers(dest="what", required=True, metavar="WHAT")
    common = Parser(add_help=False)
    common.add_argument("--device", help="cpu or cuda:N; found when not given.")
    common.add_argument("--seconds", type=positive_float, default=8.0, help="Time of a measurement [s]; default 8.")
    common.add_argument(
        "--rounds", type=positive_int, default=1,
        help="Repetitions of all measurements, interleaved, of which medians are reported, so that all meet the same"
        " drift of the machine's speed; default 1.",
    )  # fmt: skip
    common.add_argument("--out", type=Path, help="JSON file with all numbers, versions and the machine.")
    beside = Parser(add_help=False)
    beside.add_argument(
        "--beside", type=positive_int, metavar="N",
        help="Measure each time twice, alone and beside N processes that keep a core busy each, and say what is left.",
    )  # fmt: skip
    simulated = Parser(add_help=False)
    simulated.add_argument("--task", nargs="+", default=["Isaac-Velocity-Flat-Unitree-A1-v0"], help="Tasks.")
    simulated.add_argument("--engines", nargs="+", help="Engines; default the device's own.")
    simulated.add_argument("--num_envs", nargs="+", type=positive_int, default=[256], help="Numbers of environments.")
    plotted = Parser(add_help=False)
    plotted.add_argument("--plot", type=Path, help="PNG of the rate or the cost against what has several values.")

    commands.add_parser(
        "simulation", parents=[common, beside, simulated, plotted],
        help="Steps per second with random actions and without learning, and where the time goes.",
    )  # fmt: skip
    training = commands.add_parser(
        "training", parents=[common, beside, simulated, plotted],
        help="Steps per second without and with learning, where the time goes, and memory.",
    )  # fmt: skip
    training.add_argument(
        "--agents", nargs="+", default=["sac"], metavar="AGENT[:OVERRIDES]",
        help="Agents, such as sac:agent.algorithm.overlap=true,agent.seed=2; default sac.",
    )  # fmt: skip
    training.add_argument("--override", nargs="+", default=[], help="Overrides for all agents.")
    commands.add_parser(
        "collection", parents=[common, simulated],
        help="What Stable-Baselines3's collection of experience costs beside simulation and policy, stock and here.",
    )  # fmt: skip
    recording = commands.add_parser(
        "recording", parents=[common, beside],
        help="What recording actions for bounds takes, and how far the percentiles are from numpy's.",
    )  # fmt: skip
    recording.add_argument("--actions", nargs="+", type=positive_int, default=[10_000_000], help="Default ten million.")
    recording.add_argument("--num_actions", type=positive_int, default=12, help="Number of joints; default 12.")
    learner = commands.add_parser(
        "learner", parents=[common, beside, plotted],
        help="Gradient steps beside those of SBX and Stable-Baselines3, and the fraction that is GEMMs.",
    )  # fmt: skip
    _add_learner_options(learner)
    return result


def _add_learner_options(learner: argparse.ArgumentParser) -> None:
    learner.add_argument(
        "--learners", nargs="+", help=f"Of {', '.join(LEARNERS)}; default cpu sbx, on a GPU cuda-graph sbx."
    )
    learner.add_argument("--preset", choices=["sac-gpu", "sac-cpu"], default="sac-gpu", help="Default sac-gpu.")
    learner.add_argument("--num_envs", nargs="+", type=positive_int, default=[256], help="Numbers of environments.")
    learner.add_argument("--batch_size", nargs="+", type=positive_int, help="Batch sizes; default the preset's.")
    learner.add_argument(
        "--width", nargs="+", type=positive_float, default=[1.0], help="Factors on the networks' widths."
    )
    learner.add_argument("--obs_dim", nargs="+", type=positive_int, default=[48], help="Numbers of observations.")
    learner.add_argument("--num_actions", type=positive_int, default=12, help="Number of joints; default 12.")
    learner.add_argument("--rows", type=positive_int, default=100, help="Env steps in the replay; default 100.")
    learner.add_argument("--reference", type=Path, help="JSON of an earlier run; fail where ratios got worse.")
    learner.add_argument(
        "--tolerance", type=positive_float, default=0.15, help="What may be lost against it; default 0.15."
    )


def main(argv: Sequence[str]) -> None:
    """Measure as the command line says and print a table.

    Raises:
        ConfigError: If an option cannot be used, or ratios are worse than those of the reference.
        UserError: If a measurement fails.
    """
    args = parser().parse_args(argv)
    from isaaclab_offpolicy.engine import check_device

    from .harness import compare_beside, in_process, line, medians, write_report

    device = check_device(args.device)
    make = {"learner": _learner_jobs, "recording": _recording_jobs}.get(args.what, _simulation_jobs)
    jobs, columns = make(args, device)
    beside, picture = getattr(args, "beside", None), getattr(args, "plot", None)
    reference_file = getattr(args, "reference", None)
    if beside:
        if picture or reference_file:
            raise ConfigError("--beside does not go with --plot and --reference")
        jobs = [{**job, "beside": busy} for job in jobs for busy in (0, beside)]
    reference = None
    if picture:
        from .plot import swept

        swept(jobs)
    if reference_file:
        from .reference import read_reference

        reference = read_reference(reference_file)
    names = {"learner": ["learner"], "recording": ["actions"]}.get(args.what, ["engine", "num_envs"])
    names += [name for name in jobs[0] if name not in names and len({str(job[name]) for job in jobs}) > 1]
    widths = {name: max(len(name), *(len(str(job[name])) for job in jobs)) + 2 for name in names}
    print("".join(f"{name:<{widths[name]}}" for name in names) + "".join(f"{column:>17}" for column in columns))
    rows: list[dict[str, Any]] = []
    rounds: list[list[dict[str, float]]] = [[] for _ in jobs]
    if args.out:
        write_report(args.out, argv, rows)
    for _ in range(args.rounds):
        for job, results in zip(jobs, rounds, strict=True):
            results.append(in_process(job))
            if len(results) == args.rounds:
                print(line(job, names, widths, results, columns), flush=True)
            rows = [
                {**job, **medians(results), **({"rounds": results} if args.rounds > 1 else {})}
                for job, results in zip(jobs, rounds, strict=True)
                if results
            ]
            if args.out:
                write_report(args.out, argv, rows)  # each time: a later measurement may fail
    if beside:
        compare_beside(jobs, rounds, next(iter(columns.values())))
    if picture:
        from .plot import plot

        plot(rows, picture)
    if reference is not None:
        from .reference import compare_with_reference

        compare_with_reference(rows, reference, args.tolerance)


def _simulation_jobs(args: argparse.Namespace, device: str) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Measurements with a simulation, and the columns of their table."""
    from isaaclab_offpolicy.agents.configuration import resolve
    from isaaclab_offpolicy.agents.overrides import check_form, engine_overrides, separate_overrides
    from isaaclab_offpolicy.agents.registry import check_library, find_agent
    from isaaclab_offpolicy.agents.table import AGENTS
    from isaaclab_offpolicy.engine import default_engine

    from .simulation import PARTS

    engines = args.engines or [default_engine(device)]
    # a name, and what is overridden for it
    agents = [
        (name, [*getattr(args, "override", []), *separate_overrides(own)])
        for name, _, own in (text.partition(":") for text in getattr(args, "agents", ["ppo"]))
    ]
    for task in args.task:
        for agent, overrides in agents:
            check_form(overrides)
            for key in {item.partition("=")[0] for item in overrides} & set(OF_ALL):
                raise ConfigError(f"{key} cannot be one agent's: benchmark has {OF_ALL[key]}")
            resolve(task, find_agent(task, agent, device).entry_point, device, overrides)
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
        check_library(AGENTS["sbx-sac"])
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
    from isaaclab_offpolicy.agents.registry import check_library
    from isaaclab_offpolicy.agents.table import AGENTS

    cuda = device != "cpu"
    learners = args.learners or ["cuda-graph" if cuda else "cpu", "sbx"]
    for name in learners:
        one_of("learner", name, LEARNERS)
        if name in ("sbx", "sb3"):
            check_library(AGENTS["sbx-sac"])
        elif name.startswith("cpu" if cuda else "cuda-graph"):
            raise ConfigError(f"learner '{name}' is for {'the CPU' if cuda else 'a GPU'}, and not for {device}")
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
        "GEMM fraction": "gemm_fraction", "GFLOP/s": "gflops", "sample [ms]": "sample_ms", "critic [ms]": "critic_ms",
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
