# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Bounds and policies against Isaac Lab's own action terms, of all kinds and mixed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from isaaclab.envs import mdp
from isaaclab.envs.mdp.actions.joint_actions import JointPositionAction

from isaaclab_offpolicy.action_bounds import ActionBounds, BoundsError, action_bounds, action_joint_names
from isaaclab_offpolicy.action_bounds.environment import action_scale_and_offset, actions_of
from isaaclab_offpolicy.action_bounds.terms import joint_names
from managers import environment

JOINTS = {"hip": 0.1, "knee": -1.5, "wheel": 0.0}


class Own(JointPositionAction):
    pass


Own.__doc__ = None


class Cubed(JointPositionAction):
    """Does something else with an action."""

    def process_actions(self, actions: torch.Tensor) -> None:
        super().process_actions(actions**3)


def position(names: Any = ("hip", "knee"), scale: Any = 0.25, cls: Any = None, **options: Any) -> Any:
    cfg = mdp.JointPositionActionCfg(asset_name="robot", joint_names=list(names), scale=scale, **options)
    if cls is not None:
        cfg.class_type = cls
    return cfg


def velocity(names: Any = ("wheel",), scale: float = 5.0) -> Any:
    return mdp.JointVelocityActionCfg(asset_name="robot", joint_names=list(names), scale=scale)


def bounds_of(env: Any) -> ActionBounds:
    """Bounds as those of a policy that was trained in the environment."""
    return action_bounds(env, 2.0)


@pytest.mark.parametrize("cls", [None, Own, Cubed])
def test_another_scale_is_an_error_for_subclasses_too(cls: Any, capsys: pytest.CaptureFixture[str]) -> None:
    trained = bounds_of(environment(JOINTS, joint_pos=position(cls=cls)))
    assert (trained.action_scale, trained.default_pose) == ((0.25, 0.25), (0.1, -1.5))
    assert ("a way of its own" in capsys.readouterr().err) == (cls is Cubed), "what cannot be checked is told"
    other = environment(JOINTS, joint_pos=position(scale=0.5, cls=cls))
    with pytest.raises(BoundsError, match=r"made for another action scale: 0.25 rad at joint 'hip'.*has 0.5"):
        action_bounds(other, trained)
    with pytest.raises(BoundsError, match="policy was made for another action scale"):
        trained.of_policy_for(bounds_of(other))
    assert trained.of_policy_for(bounds_of(environment(JOINTS, joint_pos=position(cls=cls)))) == trained


def test_a_term_without_a_docstring_has_names() -> None:
    assert action_joint_names(environment(JOINTS, joint_pos=position(cls=Own))) == ["hip", "knee"]


def test_mixtures_are_checked_term_by_term(tmp_path: Path) -> None:
    env = environment(JOINTS, joint_pos=position(), joint_vel=velocity())
    trained = bounds_of(env)
    assert trained.joint_names == ("hip", "knee", "wheel")
    assert trained.action_scale == (0.25, 0.25, 5.0) and trained.default_pose == (0.1, -1.5, 0.0)
    assert trained.commands == ("position", "position", "velocity")
    assert trained.targets() is None, "not all are positions"
    trained.to_yaml(tmp_path / "bounds.yaml")
    assert ActionBounds.from_yaml(tmp_path / "bounds.yaml") == trained
    assert action_bounds(env, str(tmp_path / "bounds.yaml")) == trained
    for message, terms in {
        "another action scale: 0.25 rad at joint 'hip'": {"a": position(scale=0.5), "b": velocity()},
        "another action scale: 5 at joint 'wheel', where the task has 10": {"a": position(), "b": velocity(scale=10.0)},
        "another action: velocity at joint 'wheel', where the task has position": {"a": position(tuple(JOINTS))},
        "another default pose: 0.1 rad at joint 'hip'": {"a": position(use_default_offset=False), "b": velocity()},
    }.items():
        with pytest.raises(BoundsError, match=message):
            action_bounds(environment(JOINTS, **terms), trained)
    with pytest.raises(BoundsError, match="joint position actions of known scale are needed"):
        action_bounds(env, "joint-limits")


def test_the_same_numbers_of_another_command_are_an_error() -> None:
    # the default pose is zero, as of many robots: only what is commanded differs
    zero = dict.fromkeys(JOINTS, 0.0)
    trained = bounds_of(environment(zero, a=position(tuple(zero))))
    assert trained.commands is None
    for kind in (mdp.RelativeJointPositionActionCfg, mdp.JointVelocityActionCfg, mdp.JointEffortActionCfg):
        other = environment(zero, a=kind(asset_name="robot", joint_names=[".*"], scale=0.25))
        with pytest.raises(BoundsError, match="another action: position at joint 'hip'"):
            action_bounds(other, trained)


def test_several_terms_on_one_joint_have_prefixed_names() -> None:
    env = environment(JOINTS, joint_pos=position(), joint_vel=velocity(("knee", "wheel")))
    assert action_joint_names(env) == ["hip", "joint_pos.knee", "joint_vel.knee", "wheel"]
    assert bounds_of(env).commands == ("position", "position", "velocity", "velocity")


def test_what_has_no_scale_is_told_and_the_rest_is_checked(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    def gripper(name: str = "wheel") -> Any:
        return mdp.BinaryJointPositionActionCfg(
            asset_name="robot", joint_names=[name], open_command_expr={name: 1.0}, close_command_expr={name: 0.0}
        )

    def limits(**options: Any) -> Any:
        return mdp.EMAJointPositionToLimitsActionCfg(asset_name="robot", joint_names=["wheel"], alpha=0.5, **options)

    for term, kind in ((gripper(), "BinaryJointPositionAction"), (limits(), "EMAJointPositionToLimitsAction")):
        trained = bounds_of(environment(JOINTS, joint_pos=position(), last=term))
        error = capsys.readouterr().err
        assert f"of action term 'last' ({kind}) cannot be read" in error and error.count("[WARNING]") == 1
        assert trained.action_scale == (0.25, 0.25, None) and trained.commands == ("position", "position", kind)
        trained.to_yaml(tmp_path / "bounds.yaml")
        assert ActionBounds.from_yaml(tmp_path / "bounds.yaml") == trained
        with pytest.raises(BoundsError, match="another action scale"):
            action_bounds(environment(JOINTS, joint_pos=position(scale=0.5), last=term), trained)
    with pytest.raises(BoundsError, match="another action: EMAJointPositionToLimitsAction at joint 'wheel'"):
        action_bounds(environment(JOINTS, joint_pos=position(), last=gripper()), trained)
    both = mdp.BinaryJointPositionActionCfg(
        asset_name="robot", joint_names=[".*"], open_command_expr={".*": 1.0}, close_command_expr={".*": 0.0}
    )
    assert action_joint_names(environment(JOINTS, grip=both)) == ["grip[0]"], "one action for three joints"


def test_scales_offsets_and_orders_of_all_forms() -> None:
    by_regex = environment(JOINTS, joint_pos=position(scale={"h.*": 0.5, "knee": 0.1}, clip={"hip": (-0.2, 0.2)}))
    assert actions_of(by_regex).scale == (0.5, 0.1)
    offset = position(use_default_offset=False, offset={"knee": 0.7})
    assert action_scale_and_offset(environment(JOINTS, joint_pos=offset)) == ([0.25, 0.25], [0.0, 0.7])
    turned = environment(
        JOINTS, joint_pos=position(("knee", "hip"), scale={"hip": 0.5, "knee": 0.1}, preserve_order=True)
    )
    actions = actions_of(turned)
    assert actions.names == ("knee", "hip") and actions.scale == (0.1, 0.5) and actions.offset == (-1.5, 0.1)
    relative = mdp.RelativeJointPositionActionCfg(asset_name="robot", joint_names=["hip"], scale=0.1)
    assert actions_of(environment(JOINTS, a=relative)).commands == ("relative position",)
    partly = environment(JOINTS, joint_pos=position(scale={"hip": 0.5}))
    assert actions_of(partly).scale == (0.5, 1.0), "Isaac Lab's, where the dictionary names no joint"


def test_an_offset_that_differs_between_environments_is_not_compared(capsys: pytest.CaptureFixture[str]) -> None:
    env = environment(JOINTS, joint_pos=position())
    trained = bounds_of(env)
    term = env.action_manager.get_term("joint_pos")
    term._offset[:, 0] += torch.tensor([-0.02, 0.01, 0.03])  # as events that randomise the calibration do
    fitted = action_bounds(env, trained)
    assert "is not one for all environments" in capsys.readouterr().err
    assert fitted.default_pose == (0.1, -1.5), "what is known of the policy stays"
    with pytest.raises(BoundsError, match="known scale"):
        action_bounds(env, "joint-limits")
    term._scale = 0.5
    with pytest.raises(BoundsError, match="another action scale"):
        action_bounds(env, trained)


def test_what_else_an_action_term_may_do(capsys: pytest.CaptureFixture[str]) -> None:
    bounds_of(environment(JOINTS, joint_pos=position(clip={"hip": (-0.2, 0.2)})))
    assert "clips its commands: whether bounds or a policy were made for it is not checked" in capsys.readouterr().err
    with pytest.raises(BoundsError, match=r"^joint 'hip': action_scale -0.25 is not positive"):
        bounds_of(environment(JOINTS, joint_pos=position(scale={"hip": -0.25, "knee": 0.25})))


class DifferentialInverseKinematicsAction:
    """As Isaac Lab's: a pose of seven numbers for seven joints."""

    action_dim = 7
    _joint_names = tuple("abcdefg")


def test_joints_that_are_not_what_the_actions_command() -> None:
    env = environment(JOINTS, joint_pos=position())
    term = env.action_manager.get_term("joint_pos")
    assert joint_names(term) == ["hip", "knee"]
    assert joint_names(DifferentialInverseKinematicsAction()) is None


def test_a_file_may_leave_out_what_is_not_known() -> None:
    data = {"joints": {"a": [-1, 1], "b": [-1, 1]}, "action_scale": {"a": 0.25, "b": None}}
    bounds = ActionBounds.from_dict(data)
    assert bounds.action_scale == (0.25, None)
    assert ActionBounds.from_dict(bounds.to_dict()) == bounds
    with pytest.raises(BoundsError, match="'commands' of joint 'a': 3 is not a short text"):
        ActionBounds.from_dict({**data, "commands": {"a": 3, "b": None}})
    wheels = replace(bounds, commands=("velocity", None))
    with pytest.raises(BoundsError, match="another action: velocity at joint 'a'"):
        wheels.fitted((0.25, 0.5), (0.0, 0.0))
    assert wheels.fitted((None, 0.5), (None, 0.0)).commands == ("velocity", "position")
