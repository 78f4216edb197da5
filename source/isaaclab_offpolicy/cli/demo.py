# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""``make demo``: trains A1, evaluates it, and makes a learning curve and a video."""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from isaaclab_offpolicy.errors import UserError
from isaaclab_offpolicy.options import duration, positive_int

from .arguments import add_task_arguments, command_parser, parse, refuse


def parser() -> argparse.ArgumentParser:
    """The command line's parser."""
    result = command_parser(
        "demo",
        "Train Unitree A1, evaluate it, and record a video headlessly.",
        """
        --max_time 15m
        --task Isaac-Velocity-Flat-Unitree-Go2-v0 --max_time 30m --out outputs/go2
        """,
    )
    add_task_arguments(result, own_seed=1)
    result.set_defaults(task="Isaac-Velocity-Flat-Unitree-A1-v0")
    result.add_argument("--num_envs", type=positive_int, help="Environments of the training; default the agent's.")
    result.add_argument("--max_time", type=duration, default=15 * 60.0, help="Time to train; default 15m.")
    result.add_argument("--episodes", type=positive_int, default=256, help="Episodes of the evaluation; default 256.")
    result.add_argument("--video_length", type=positive_int, default=400, help="Steps of the video; default 400.")
    result.add_argument("--out", type=Path, default=Path("outputs", "demo"), help="Folder of the results.")
    result.add_argument("overrides", nargs="*", help="Overrides such as physics=newton_mjwarp, for all steps.")
    return result


def main(argv: Sequence[str] | None = None) -> None:
    """Run the demo.

    Raises:
        UserError: If one of its steps fails.
    """
    args, rest, overrides = parse(parser(), argv)
    refuse([*args.overrides, *rest], parser())
    from isaaclab_offpolicy.evaluation.curves import plot_progress
    from isaaclab_offpolicy.training.progress import MARK

    from . import evaluate, train
    from .checkpoints import find_policy
    from .processes import run_logged

    which = ["--task", args.task]
    for name in ("device", "experiment_name"):
        which += [] if getattr(args, name) is None else [f"--{name}", getattr(args, name)]
    training = [*which, "--max_time", f"{args.max_time:g}s", "--seed", str(args.seed), *overrides]
    training += [] if args.num_envs is None else ["--num_envs", str(args.num_envs)]
    agent = train.prepare([*training, "--agent", args.agent or "sac"]).agent.name
    which += ["--agent", agent]
    out: Path = args.out
    out.mkdir(parents=True, exist_ok=True)

    print(f"[demo] training {args.task} with {agent} for {args.max_time / 60:g} minutes; log: {out / 'train.log'}")
    run_logged("train", [*training, "--agent", agent], out / "train.log", show=MARK)
    checkpoint = Path(find_policy("latest", args.task, agent, args.device, args.experiment_name)[0])

    print(f"[demo] evaluating {checkpoint.name} on {args.episodes} episodes")
    results = out / "evaluation.json"
    evaluation = [
        *which,
        *overrides,
        "--checkpoint",
        str(checkpoint),
        "--episodes",
        str(args.episodes),
        "--out",
        str(results),
    ]
    run_logged("evaluate", evaluation, out / "evaluate.log", show=evaluate.MARK)
    curve = out / "learning_curve.png"
    plot_progress({agent: [checkpoint.parent]}, curve, f"{args.task}, {agent}, seed {args.seed}")

    print("[demo] recording a video")
    clip = ["--checkpoint", str(checkpoint), "--video", "--video_length", str(args.video_length), "--num_envs", "4"]
    run_logged("play", [*which, *overrides, *clip], out / "play.log")
    clips = sorted((checkpoint.parent / "videos" / "play").glob("*.mp4"), key=lambda path: path.stat().st_mtime)
    if not clips:
        raise UserError(f"no video in {checkpoint.parent / 'videos' / 'play'}; see {out / 'play.log'}")
    shutil.copyfile(clips[-1], out / "clip.mp4")

    result = json.loads(results.read_text())
    print(
        f"[demo] return {result['return_mean']:.2f} ± {result['return_std']:.2f} over {result['episodes']} episodes,"
        f" survival rate {100 * result['survival_rate']:.1f} %"
    )
    for name, path in (
        ("run", checkpoint.parent),
        ("evaluation", results),
        ("learning curve", curve),
        ("video", out / "clip.mp4"),
        ("exported policy", checkpoint.parent / "exported"),
    ):
        print(f"[demo] {name}: {path}")
