# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Everything in which the project's velocity tasks differ from Isaac Lab's own, in one place."""

from __future__ import annotations

from typing import Any

from isaaclab.assets import ArticulationCfg
from isaaclab.utils import replace
from isaaclab.visualizers import VisualizerCfg
from isaaclab_tasks.core.velocity.velocity_env_cfg import LocomotionVelocityRoughEnvCfg
from isaaclab_tasks.utils import preset as _preset

from ...engine import configure_physics
from ...robots import GROUND_PLANE_USD

DIFFERENCES = (
    "the engine defaults to ovphysx without a GPU and to newton_mjwarp with one (physics=NAME takes another)",
    "joints and bodies are in PhysX's order on every engine",
    "robot and ground come from files of the package; no sky, terrain texture or command arrows"
    " (presets=nucleus takes all of them from NVIDIA's asset server)",
    "ANYmal and Go1 have DC motors in place of actuator networks; they and Go2 have the inertia of their rotors",
    "on a CPU the height scanner looks triangles up in a grid (the same heights, see engine/height_scan.py)",
    "a viewer's camera starts closer to the robots",
)
"""What :func:`adapt` changes, for people. Rewards, observations, commands, terrains and curriculum are Isaac Lab's."""


def adapt(
    cfg: LocomotionVelocityRoughEnvCfg, robot: ArticulationCfg, nucleus_robot: ArticulationCfg | None = None
) -> None:
    """Make one of Isaac Lab's velocity tasks fit for off-policy learning and for a machine without Isaac Sim.

    Call it last in ``__post_init__``.

    Args:
        cfg: The task's configuration, changed in place.
        robot: The robot from the package's own USD.
        nucleus_robot: The same robot from NVIDIA's asset server, if it has it.
    """
    # physics
    configure_physics(cfg.sim.physics)
    # scene
    prim_path = "{ENV_REGEX_NS}/Robot"
    cfg.scene.robot = _alternatives(
        default=replace(robot, prim_path=prim_path), nucleus=replace(nucleus_robot or robot, prim_path=prim_path)
    )
    terrain = cfg.scene.terrain
    if terrain.terrain_type == "plane":
        # Isaac Lab's plane is a file of the asset server
        offline_terrain = replace(terrain, terrain_type="usd", usd_path=GROUND_PLANE_USD, visual_material=None)
    else:
        offline_terrain = replace(terrain, visual_material=None)
    cfg.scene.terrain = _alternatives(default=offline_terrain, nucleus=terrain)
    cfg.scene.sky_light = _alternatives(default=None, nucleus=cfg.scene.sky_light)
    # camera: near enough to see the legs
    cfg.sim.default_visualizer_cfg = VisualizerCfg(eye=(2.6, -2.6, 1.5), lookat=(0.0, 0.0, 0.2))
    # sensors
    if cfg.scene.height_scanner is not None:
        cfg.scene.height_scanner.class_type = "isaaclab_offpolicy.engine.height_scan:height_scanner"
    # commands
    arrows = cfg.commands.base_velocity
    cfg.commands.base_velocity = _alternatives(default=replace(arrows, debug_vis=False), nucleus=arrows)


def _alternatives(default: Any, nucleus: Any) -> Any:
    """A preset of two; typed as Any, since it stands for a configuration until Isaac Lab has resolved it."""
    return _preset(default=default, nucleus=nucleus)
