# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""PPO of rsl_rl, as Isaac Lab configures it; only the default device follows the machine."""

from isaaclab.utils import configclass
from isaaclab_tasks.contrib.velocity.config.go1.agents import rsl_rl_ppo_cfg as isaaclab_cfg

from isaaclab_offpolicy.engine import default_device


@configclass
class UnitreeGo1FlatPPORunnerCfg(isaaclab_cfg.UnitreeGo1FlatPPORunnerCfg):
    device: str = default_device()


@configclass
class UnitreeGo1RoughPPORunnerCfg(isaaclab_cfg.UnitreeGo1RoughPPORunnerCfg):
    device: str = default_device()
