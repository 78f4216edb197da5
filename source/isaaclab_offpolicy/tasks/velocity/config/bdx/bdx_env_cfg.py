# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

# Isaac Lab switches terms off by None, which its annotations do not tell
# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false

from isaaclab.managers import RewardTermCfg as RewTerm
from isaaclab.managers import SceneEntityCfg
from isaaclab.utils import configclass
from isaaclab_tasks.core.velocity import mdp
from isaaclab_tasks.core.velocity.velocity_env_cfg import LocomotionVelocityRoughEnvCfg, RewardsCfg

from isaaclab_offpolicy.robots.bdx import BDX_NAMES, HEAD_JOINTS

FEET = list(BDX_NAMES.feet)


@configclass
class BDXRewards(RewardsCfg):
    """Rewards of the public BD-X task (L. Le Lay, disney_bdx_rl_isaaclab), in Isaac Lab's terms."""

    termination_penalty = RewTerm(func=mdp.is_terminated, weight=-200.0)
    feet_air_time = RewTerm(
        func=mdp.feet_air_time_positive_biped,
        weight=5.0,
        params={
            "command_name": "base_velocity",
            "sensor_cfg": SceneEntityCfg("contact_forces", body_names=FEET),
            "threshold": 0.3,
        },
    )
    dof_pos_limits = RewTerm(
        func=mdp.joint_pos_limits, weight=-1.0, params={"asset_cfg": SceneEntityCfg("robot", joint_names=".*_ankle")}
    )
    joint_deviation_hip = RewTerm(
        func=mdp.joint_deviation_l1,
        weight=-0.2,
        params={"asset_cfg": SceneEntityCfg("robot", joint_names=[".*_hip_yaw", ".*_hip_roll"])},
    )
    joint_deviation_head = RewTerm(
        func=mdp.joint_deviation_l1,
        weight=-0.3,
        params={"asset_cfg": SceneEntityCfg("robot", joint_names=HEAD_JOINTS)},
    )


@configclass
class BDXEnvCfg(LocomotionVelocityRoughEnvCfg):
    """What is the biped's on any ground."""

    rewards: BDXRewards = BDXRewards()

    def __post_init__(self):
        super().__post_init__()

        base = BDX_NAMES.base
        # scene
        self.scene.height_scanner.prim_path = f"{{ENV_REGEX_NS}}/Robot/{base}"
        # the terrains of Isaac Lab's small quadrupeds: the legs are 0.33 m long
        terrains = self.scene.terrain.terrain_generator.sub_terrains
        terrains["boxes"].grid_height_range = (0.025, 0.1)
        terrains["random_rough"].noise_range = (0.01, 0.06)
        terrains["random_rough"].noise_step = 0.01
        # actions
        self.actions.joint_pos.scale = 0.5
        # commands
        self.commands.base_velocity.ranges.lin_vel_x = (0.5, 1.0)
        self.commands.base_velocity.ranges.lin_vel_y = (0.0, 0.0)
        self.commands.base_velocity.ranges.ang_vel_z = (-1.0, 1.0)
        # rewards
        self.rewards.undesired_contacts = None
        self.rewards.track_lin_vel_xy_exp.weight = 2.0
        self.rewards.track_ang_vel_z_exp.weight = 1.0
        self.rewards.dof_torques_l2.weight = -5.0e-6
        self.rewards.action_rate_l2.weight *= 1.5
        self.rewards.dof_acc_l2.weight *= 1.5
        # terminations: whatever touches the ground besides the feet
        others = f"(?!({'|'.join(FEET)})$).*"
        self.terminations.base_contact.params["sensor_cfg"].body_names = others
        # events
        for event in (self.events.add_base_mass, self.events.base_com, self.events.base_external_force_torque):
            event.params["asset_cfg"].body_names = base
        self.events.push_robot = None
        self.events.reset_base.params["velocity_range"] = {}
        self.events.reset_robot_joints.params["position_range"] = (1.0, 1.0)
