# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Tools that look at a robot in simulation."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import torch
from commands import REPOSITORY, succeed

from isaaclab_offpolicy.action_bounds import ActionBounds

SHORT = "env.episode_length_s=4"


def tool(name: str) -> list[str]:
    return [sys.executable, str(REPOSITORY / "scripts" / "tools" / f"{name}.py")]


def test_survey_finds_the_noise_at_which_a_robot_falls(tmp_path: Path) -> None:
    task = "Isaac-Velocity-Flat-Unitree-A1-v0"
    output = succeed([*tool("survey_noise"), "--task", task, "--std", "0", "3", "--num_envs", "16", SHORT], tmp_path)
    still, thrown = (line.split() for line in output.splitlines()[-2:])
    assert (still[0], thrown[0]) == ("0.00", "3.00")
    assert int(still[-4]) >= 75 and int(thrown[-4]) <= 25, "survival rate [%]"
    assert 0.22 < float(still[-2]) < 0.3 > float(thrown[-2]), "height of the base [m]"
    assert float(still[1]) > float(thrown[1])


class SpringDamper(torch.nn.Module):
    """A Go1 actuator network that is a spring of 20 N·m/rad and a damper of 0.8 N·m·s/rad."""

    def __init__(self) -> None:
        super().__init__()
        # Isaac Lab gives the network minus the position's error and the velocity, each at three steps
        self.register_buffer("weight", torch.tensor([[-20.0], [0.0], [0.0], [-0.8], [0.0], [0.0]]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.weight


def test_actuator_response_of_a_network_that_is_the_motor(ppo: str, tmp_path: Path) -> None:
    torch.jit.script(SpringDamper()).save(str(tmp_path / "network.pt"))
    # A1 with Go1's motors: the joints have the same names
    task = ["--task", "Isaac-Velocity-Flat-Unitree-A1-v0", "--agent", "ppo"]
    output = succeed(
        [*tool("actuator_response"), "go1", "network.pt", *task, "--checkpoint", ppo, "--episodes", "8", SHORT],
        tmp_path,
    )
    gains = re.findall(r"stiffness +([\d.]+) N·m/rad, damping +([\d.]+)", output)
    assert gains == [("20.0", "0.80")] * 2
    assert "largest difference in the step response: 0.000 rad" in output
    network, motor = (float(value) for value in re.findall(r"return (-?[\d.]+) ±", output))
    # the same motor by another name, but for the last bits of its torques, on which a fall may depend
    assert abs(network - motor) < 0.5 + 0.25 * abs(motor)


def test_a_stance_is_found(tmp_path: Path) -> None:
    task = ["--task", "Isaac-Velocity-Flat-Unitree-Go2-v0", "--num_envs", "32", "--generations", "3"]
    output = succeed(
        [*tool("find_stance"), *task, "--seconds", "1", "--radius", "0.2", "--noise", "0.02", "--out", "stance.yaml"],
        tmp_path,
    )
    default, found = (float(value) for value in re.findall(r"pose: reward (-?[\d.]+) per second", output))
    assert found > default, "under its weight Go2 sinks below the height that its task rewards"
    bounds = ActionBounds.from_yaml(tmp_path / "stance.yaml")
    assert bounds.info["noise"] == 0.02
    assert bounds.action_scale is not None and len(bounds.joint_names) == 12
    middle = {}
    for name, low, high, scale in zip(bounds.joint_names, bounds.low, bounds.high, bounds.action_scale, strict=True):
        assert (high - low) * scale == pytest.approx(0.4)
        middle[name] = (low + high) / 2
    for side in "FR":
        assert middle[f"{side}L_hip_joint"] == pytest.approx(-middle[f"{side}R_hip_joint"], abs=1e-3)
        assert middle[f"{side}L_calf_joint"] == pytest.approx(middle[f"{side}R_calf_joint"], abs=1e-3)
