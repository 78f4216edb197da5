# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""A measurement in a process of its own: ``python -m isaaclab_offpolicy.benchmarks.worker JOB``, as JSON."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Sequence

from isaaclab_offpolicy.agents.registry import find_agent, load_tasks
from isaaclab_offpolicy.runners.simulation import collect_garbage_rarely, running_task

from .harness import MARK
from .recording import measure_recording
from .simulation import measure_simulation


def measure_collection(task: str, engine: str, num_envs: int, device: str, seconds: float) -> dict[str, float]:
    """Measure what an env step costs outside of simulation and policy, over ten steps for each of the seconds.

    Returns:
        What :func:`isaaclab_offpolicy.benchmarks.sbx.measure_collection` gives.
    """
    import gymnasium as gym

    from isaaclab.app import launch_simulation
    from isaaclab_tasks.utils import load_cfg_from_registry, parse_env_cfg

    from . import sbx

    load_tasks()
    cfg = parse_env_cfg(task, device=device, num_envs=num_envs, overrides=[f"physics={engine}"])
    cfg.seed = 1
    agent_cfg = load_cfg_from_registry(task, "sbx_sac_cfg_entry_point")
    with launch_simulation(cfg, {"device": device}):
        env = gym.make(task, cfg=cfg)
        result = sbx.measure_collection(env, agent_cfg, round(10 * seconds))  # type: ignore[arg-type]
        env.close()
    return result


def measure_training(
    task: str, engine: str, num_envs: int, device: str, seconds: float, agent: str, overrides: Sequence[str]
) -> dict[str, float]:
    """Measure the training of an agent, with a replay buffer that holds the last thousand env steps.

    Returns:
        What :func:`isaaclab_offpolicy.benchmarks.rsl_rl_training.measure_training` gives, or for an agent of SBX or
        Stable-Baselines3 :func:`isaaclab_offpolicy.benchmarks.sbx.measure_training`.
    """
    from isaaclab_offpolicy.runners.rsl_rl import create_runner

    from . import rsl_rl_training

    spec = find_agent(task, agent, device)
    with running_task(task, spec.entry_point, num_envs, device, 1, [f"physics={engine}", *overrides]) as (
        env,
        agent_cfg,
    ):
        if spec.is_sb3:
            from . import sbx

            if hasattr(agent_cfg, "buffer_size"):
                given = {item.partition("=")[0] for item in overrides}
                buffer_size = min(agent_cfg.buffer_size, 1000 * num_envs)
                for name, value in {"learning_starts": 4 * num_envs, "buffer_size": buffer_size}.items():
                    if f"agent.{name}" not in given:
                        setattr(agent_cfg, name, value)
            return sbx.measure_training(env.env, agent_cfg, seconds)
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
    """Measure one of :data:`.command.LEARNERS` with a preset's hyperparameters, without a simulation.

    Args:
        learner: The learner.
        preset: ``sac-gpu`` or ``sac-cpu``.
        num_envs: Number of environments; for this package's learner only, whose replay has rows of that length.
        batch_size: Batch size; 0 takes the preset's.
        width: Factor on the widths of the networks.
        obs_dim: Number of observations.
        num_actions: Number of joints.
        rows: Env steps in the replay buffer.
        device: Device of the learner.
        seconds: About the time of the measurement [s].

    Returns:
        What :func:`isaaclab_offpolicy.benchmarks.learner.measure_learner` gives; of the other libraries
        ``update_ms`` and ``updates_per_second``.
    """
    from isaaclab.utils import to_dict
    from isaaclab_rl.rsl_rl import check_rsl_rl_version, handle_deprecated_rsl_rl_cfg

    from isaaclab_offpolicy.agents.presets import sac_cpu
    from isaaclab_offpolicy.algorithms.rsl_rl_cfg import SacRunnerCfg

    from . import learner as native

    cfg = SacRunnerCfg(experiment_name="benchmark", device=device)
    if preset == "sac-cpu":
        sac_cpu(cfg)
    for model in (cfg.actor, cfg.critic):
        model.hidden_dims = [max(1, round(width * dim)) for dim in model.hidden_dims]
    cfg.algorithm.batch_size = batch_size or cfg.algorithm.batch_size
    if learner in ("sbx", "sb3"):
        from isaaclab_offpolicy.runners.sbx.cfg import Sb3OffPolicyCfg

        from .sbx import measure_update

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
"""What is measured, by name."""

if __name__ == "__main__":
    collect_garbage_rarely()
    job = json.loads(sys.argv[1])
    print(MARK + json.dumps(MEASUREMENTS[job.pop("what")](**job)), flush=True)
