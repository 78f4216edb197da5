# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""``scripts/play.py``: Isaac Lab's own playback and export, with defaults that follow the machine."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from .arguments import add_policy_arguments, check_policy_run, is_sb3, option, positive_int, split_overrides
from .simulation import collect_garbage_rarely


def parser() -> argparse.ArgumentParser:
    """The command line's parser; what it does not know goes on to Isaac Lab's ``play``."""
    result = argparse.ArgumentParser(
        prog="play.py",
        description="Play a trained policy and export it. Other arguments go on to Isaac Lab's play.",
    )
    add_policy_arguments(result)
    result.add_argument("--num_envs", type=positive_int, default=16, help="Number of environments; default 16.")
    result.add_argument("--video", action="store_true", help="Record a clip, without a screen.")
    result.add_argument("--viz", "--visualizer", help="Viewer: newton_gl, rerun, viser or kit.")
    return result


def main(argv: Sequence[str] | None = None) -> None:
    """Play as the command line says.

    Raises:
        CliError: With one line that says what is wrong.
    """
    args, rest = parser().parse_known_args(argv)
    collect_garbage_rarely()
    flags, overrides = split_overrides(rest)
    experiment = option(rest, "--experiment_name", "agent.experiment_name")
    key, device, checkpoint, overrides = check_policy_run(args, overrides, experiment)
    command = ["--task", args.task, "--agent", key, "--device", device, "--num_envs", str(args.num_envs)]
    command += ["--checkpoint", checkpoint]
    # Isaac Lab records through Isaac Sim unless a viewer is named
    viewer = args.viz or ("newton_gl" if args.video else None)
    if viewer is not None:
        command += ["--viz", viewer]
    if args.video:
        command.append("--video")
    if is_sb3(key):
        from isaaclab_offpolicy.sbx import playback

        playback.run([*command, *flags, *overrides])
        return
    if not any(item.startswith("agent.device=") for item in overrides):
        overrides.append(f"agent.device={device}")
    run([*command, *flags, *overrides])


def run(command: Sequence[str]) -> None:
    """Run Isaac Lab's rsl_rl playback.

    Args:
        command: Arguments of ``isaaclab play --rl_library rsl_rl``.
    """
    from isaaclab_rl.entrypoints.backends import play_rsl_rl
    from isaaclab_rl.entrypoints.common import preserve_attribute

    from .runner import create_runner

    print(f"[INFO] isaaclab play --rl_library rsl_rl {' '.join(command)}")
    with preserve_attribute(play_rsl_rl, "create_rsl_rl_runner"):
        play_rsl_rl.create_rsl_rl_runner = create_runner  # type: ignore[assignment]
        play_rsl_rl.run(list(command))


if __name__ == "__main__":
    main()
