# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""How a policy does on each kind of rough terrain, at each level of its curriculum."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from isaaclab_offpolicy.errors import ConfigError, one_of

from .rollout import Evaluation, velocity_tracking


class Tiles(NamedTuple):
    """Where each environment's robot is."""

    kinds: list[str]
    """Kinds of terrain, in the order of the curriculum's columns, each once."""

    levels: int
    """Levels of difficulty L; 0 is the easiest."""

    kind: torch.Tensor
    """Index of the kind, shape [N]."""

    level: torch.Tensor
    """Level, shape [N]."""

    reach: float
    """Distance from the middle of a tile to its edge [m]."""


def generator_of(env_cfg: Any) -> Any:
    """The configuration of a task's rough terrain.

    Raises:
        ConfigError: If its terrain is not rough.
    """
    terrain = getattr(env_cfg.scene, "terrain", None)
    generator = getattr(terrain, "terrain_generator", None)
    if terrain is None or generator is None or terrain.terrain_type != "generator":
        raise ConfigError("the task's terrain is flat; kinds of terrain are of the rough tasks")
    return generator


def only(env_cfg: Any, kinds: Sequence[str]) -> list[str]:
    """Overrides that leave these kinds of terrain, with their curriculum.

    Raises:
        ConfigError: If a kind is not known, or the terrain is not rough.
    """
    known = generator_of(env_cfg).sub_terrains
    chosen = {one_of("terrain", kind, list(known)) for kind in kinds}
    where = "env.scene.terrain.terrain_generator.sub_terrains"
    return [f"{where}.{kind}.proportion=0.0" for kind in known if kind not in chosen]


def columns(generator: Any) -> list[str]:
    """The kind of terrain of each of the curriculum's columns, as Isaac Lab's generator divides them."""
    share = np.array([kind.proportion for kind in generator.sub_terrains.values()], dtype=float)
    limits = np.cumsum(share / share.sum())
    names = list(generator.sub_terrains)
    return [names[int(np.argmax(i / generator.num_cols + 0.001 < limits))] for i in range(generator.num_cols)]


def freeze_curriculum(env_cfg: Any) -> None:
    """Let robots stay on their tiles.

    Raises:
        ConfigError: If the terrain is not rough, or has no levels.
    """
    if not generator_of(env_cfg).curriculum:
        raise ConfigError("the terrain has no levels: env.scene.terrain.terrain_generator.curriculum is off")
    if getattr(env_cfg.curriculum, "terrain_levels", None) is not None:
        env_cfg.curriculum.terrain_levels = None


def spread(env: Any, difficulty: float | None = None) -> Tiles:
    """Put robots on the tiles, evenly over kinds and levels; it holds from the next reset on.

    Args:
        env: Isaac Lab's environment, unwrapped, made with :func:`freeze_curriculum`.
        difficulty: From 0, the easiest level, to 1, the hardest; None takes all levels.
    """
    terrain = env.scene.terrain
    generator, origins = terrain.cfg.terrain_generator, terrain.terrain_origins
    of_column = columns(generator)
    kinds = list(dict.fromkeys(of_column))
    levels = origins.shape[0]
    index = torch.arange(env.num_envs, device=env.device)
    # kind by kind, and within a kind level by level, so that few robots are spread as evenly as many
    kind, turn = index % len(kinds), index // len(kinds)
    level = turn % levels if difficulty is None else torch.full_like(turn, round(difficulty * (levels - 1)))
    places = [[i for i, name in enumerate(of_column) if name == kind_] for kind_ in kinds]
    column = torch.tensor(
        [places[k][t % len(places[k])] for k, t in zip(kind.tolist(), (turn // levels).tolist(), strict=True)],
        device=env.device,
    )
    terrain.terrain_levels[:], terrain.terrain_types[:] = level, column
    terrain.env_origins[:] = origins[level, column]
    return Tiles(kinds, levels, kind.cpu(), level.cpu(), 0.5 * min(generator.size))


def leaving(env: Any, tiles: Tiles) -> Callable[[], dict[str, torch.Tensor]]:
    """What :func:`.rollout.evaluate` is to measure.

    Args:
        env: Isaac Lab's environment, unwrapped.
        tiles: Where its robots are.

    Returns:
        What :func:`.rollout.velocity_tracking` measures, and whether the robot is beyond its tile's edge, ``beyond``.

    Raises:
        ConfigError: If it is no velocity task.
    """
    tracking = velocity_tracking(env)
    if tracking is None:
        raise ConfigError("success on terrain is that of a velocity task")
    robot = env.scene[env.command_manager.get_term("base_velocity").cfg.asset_name]

    def measure() -> dict[str, torch.Tensor]:
        away = (robot.data.root_pos_w.torch[:, :2] - env.scene.env_origins[:, :2]).norm(dim=-1)
        return {**tracking(), "beyond": (away > tiles.reach).float()}

    return measure


def success_by_terrain(result: Evaluation, tiles: Tiles, seconds: float) -> dict[str, Any]:
    """Success for each kind of terrain and level.

    An episode is a success where the robot has left its tile, as Isaac Lab's curriculum counts it. Episodes whose
    command does not lead that far in half of the time count for nothing.

    Args:
        result: Episodes, measured with :func:`leaving`.
        tiles: Where the environments are.
        seconds: Length of an episode [s].

    Returns:
        ``kinds``, and for each of them by level ``success`` (None where no episode counts) and ``episodes``; and over
        all levels ``success_of_kind``, ``velocity_error_of_kind`` [m/s] and ``survival_of_kind``.
    """
    measured = result.measured
    asked = measured["commanded_speed"] * seconds * 0.5 >= tiles.reach
    left = measured["beyond"] > 0.0
    kind, level = tiles.kind[result.environments], tiles.level[result.environments]

    def share(values: torch.Tensor, chosen: torch.Tensor) -> float | None:
        return values[chosen].double().mean().item() if bool(chosen.any()) else None

    of_kind = [kind == i for i in range(len(tiles.kinds))]
    of_tile = [[(kind == i) & (level == j) & asked for j in range(tiles.levels)] for i in range(len(tiles.kinds))]
    return {
        "kinds": tiles.kinds,
        "success": [[share(left, tile) for tile in row] for row in of_tile],
        "episodes": [[int(tile.sum()) for tile in row] for row in of_tile],
        "success_of_kind": [share(left, chosen & asked) for chosen in of_kind],
        "velocity_error_of_kind": [share(measured["velocity_error"], chosen) for chosen in of_kind],
        "survival_of_kind": [share(result.timeouts, chosen) for chosen in of_kind],
    }


def table_of(by_terrain: dict[str, Any]) -> str:
    """Success by kind and level as lines of text."""

    def percent(value: float | None) -> str:
        return "    -" if value is None else f"{100 * value:4.0f} %"[:6].rjust(6)

    width = max(len(kind) for kind in by_terrain["kinds"])
    levels = len(by_terrain["success"][0])
    lines = [f"{'success at level':<{width}}   all  |" + "".join(f"{level:6d}" for level in range(levels))]
    for kind, total, row in zip(by_terrain["kinds"], by_terrain["success_of_kind"], by_terrain["success"], strict=True):
        lines.append(f"{kind:<{width}} {percent(total)} |" + "".join(percent(value) for value in row))
    return "\n".join(lines)


def heat_map(by_terrain: dict[str, Any], path: Path) -> None:
    """Draw success by kind and level."""
    from matplotlib.figure import Figure

    values = np.array([[np.nan if v is None else 100.0 * v for v in row] for row in by_terrain["success"]])
    figure = Figure(figsize=(1.5 + 0.55 * values.shape[1], 1.2 + 0.45 * values.shape[0]), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(values, vmin=0.0, vmax=100.0, cmap="viridis", aspect="auto")
    axes.set_yticks(range(len(by_terrain["kinds"])), [kind.replace("_", " ") for kind in by_terrain["kinds"]])
    axes.set_xticks(range(values.shape[1]))
    axes.set_xlabel("level")
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            axes.text(j, i, f"{value:.0f}", ha="center", va="center", color="white" if value < 60.0 else "black")
    figure.colorbar(image, label="success [%]")
    figure.savefig(path, dpi=120)
