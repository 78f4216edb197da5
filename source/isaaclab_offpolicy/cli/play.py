# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""``scripts/play.py``: Isaac Lab's own playback and export, with defaults that follow the machine."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from .arguments import add_policy_arguments, check_isaaclab_flags, command_parser, parse


def parser() -> argparse.ArgumentParser:
    """The command line's parser; what it does not know goes on to Isaac Lab's ``play``."""
    result = command_parser(
        "play",
        "Play a trained policy and export it. Other arguments go on to Isaac Lab's play.",
        """
        --task Isaac-Velocity-Flat-Unitree-A1-v0 --video --video_length 400
        --task Isaac-Velocity-Flat-Unitree-A1-v0 --checkpoint best --viz newton_gl
        """,
    )
    add_policy_arguments(result, num_envs=16, own_seed=None)
    result.add_argument("--video", action="store_true", help="Record a video headlessly.")
    result.add_argument("--viz", "--visualizer", help="Viewer: newton_gl, rerun, viser or kit.")
    return result


def main(argv: Sequence[str] | None = None) -> None:
    """Play as the command line says.

    Raises:
        ConfigError: With one line that says what is wrong.
    """
    args, rest, overrides = parse(parser(), argv)
    from isaaclab_offpolicy.runners.simulation import collect_garbage_rarely

    from .checkpoints import check_policy_run

    collect_garbage_rarely()
    task, agent, device, checkpoint, overrides = check_policy_run(args, overrides)
    check_isaaclab_flags(rest, parser(), "play", agent.is_sb3)
    command = ["--task", task, "--agent", agent.entry_point, "--device", device, "--num_envs", str(args.num_envs)]
    command += ["--checkpoint", checkpoint]
    if args.seed is not None:
        command += ["--seed", str(args.seed)]
    # Isaac Lab records through Isaac Sim unless a viewer is named
    viewer = args.viz or ("newton_gl" if args.video else None)
    if viewer is not None:
        command += ["--viz", viewer]
    if args.video:
        command.append("--video")
    if agent.is_sb3:
        from isaaclab_offpolicy.runners.sbx import playback

        playback.run([*command, *rest, *overrides])
        return
    if not any(item.startswith("agent.device=") for item in overrides):
        overrides.append(f"agent.device={device}")
    run([*command, *rest, *overrides])


def run(command: Sequence[str]) -> None:
    """Run Isaac Lab's rsl_rl playback.

    Args:
        command: Arguments of ``isaaclab play --rl_library rsl_rl``.
    """
    from isaaclab_rl.entrypoints.backends import play_rsl_rl
    from isaaclab_rl.entrypoints.common import preserve_attribute

    from .differences import checked_configs, create_runner

    print(f"[INFO] isaaclab play --rl_library rsl_rl {' '.join(command)}")
    with preserve_attribute(play_rsl_rl, "create_rsl_rl_runner"), checked_configs(play_rsl_rl):
        play_rsl_rl.create_rsl_rl_runner = create_runner  # type: ignore[assignment]
        play_rsl_rl.run(list(command))
