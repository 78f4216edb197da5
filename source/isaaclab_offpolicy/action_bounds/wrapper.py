# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Action bounds for libraries that read the environment's action space: Stable-Baselines3, SBX, skrl and others."""

from __future__ import annotations

from typing import Any, Literal

import gymnasium as gym
import numpy as np
import torch

from isaaclab_offpolicy.environments.spaces import action_width

from .bounds import ActionBounds
from .environment import action_bounds, check_declared_space
from .errors import BoundsError


class ActionBoundsWrapper(gym.Wrapper, gym.utils.RecordConstructorArgs):
    """Declares and applies action bounds.

    Isaac Lab's tasks declare an action space without bounds. This wrapper gives them one, on the environment itself as
    well, since libraries' wrappers look there. It takes and gives torch tensors on the environment's device. With
    gymnasium's registry::

        gym.register(..., additional_wrappers=(ActionBoundsWrapper.wrapper_spec(bounds="percentile", ...),))

    Args:
        env: Isaac Lab's environment.
        bounds: The bounds, matched by joint name, or what
            :func:`~isaaclab_offpolicy.action_bounds.action_bounds` takes for ``spec``.
        mode: With ``rescale`` the space is [-1, 1], and its corners are the bounds; with ``clip`` the space is the
            bounds themselves [raw action units]. Either way, actions outside of the space are clipped to it.
        scale: Factor on the bounds.
        percentile_bounds: What ``percentile`` and ``symmetric`` stand for.
        percentile_scale: Factor on these alone.

    Raises:
        BoundsError: If the bounds cannot be found, or do not fit the environment.
        ConfigError: If the environment's actions are no vector of real numbers.
        ValueError: If the mode is not known.
    """

    def __init__(
        self,
        env: gym.Env,
        bounds: ActionBounds | str | float,
        mode: Literal["rescale", "clip"] = "rescale",
        scale: float = 1.0,
        percentile_bounds: str | None = None,
        percentile_scale: float = 1.0,
    ) -> None:
        gym.utils.RecordConstructorArgs.__init__(
            self,
            bounds=bounds,
            mode=mode,
            scale=scale,
            percentile_bounds=percentile_bounds,
            percentile_scale=percentile_scale,
        )
        gym.Wrapper.__init__(self, env)
        if mode not in ("rescale", "clip"):
            raise ValueError(f"mode is 'rescale' or 'clip', not '{mode}'")
        self.mode, width = mode, action_width(env)
        self.bounds = action_bounds(env, bounds, scale, percentile_bounds, percentile_scale)
        """The bounds in the order of the environment's actions."""
        check_declared_space(env, self.bounds)
        if width != len(self.bounds.joint_names):
            raise BoundsError(f"{len(self.bounds.joint_names)} joints are named, where there are {width} actions")
        unwrapped: Any = env.unwrapped
        device = getattr(unwrapped, "device", "cpu")
        self._low, self._high = (torch.tensor(x, device=device) for x in (self.bounds.low, self.bounds.high))
        self._center, self._half = (self._high + self._low) / 2, (self._high - self._low) / 2
        if mode == "clip":
            low, high = (np.array(x, dtype=np.float32) for x in (self.bounds.low, self.bounds.high))
        else:
            high = np.ones(len(self.bounds.joint_names), dtype=np.float32)
            low = -high
        self.single_action_space = gym.spaces.Box(low, high, dtype=np.float32)
        """Action space of one environment."""
        unwrapped.single_action_space = self.single_action_space
        unwrapped.action_space = gym.vector.utils.batch_space(self.single_action_space, unwrapped.num_envs)
        self.action_space = unwrapped.action_space

    def step(self, action: torch.Tensor) -> Any:
        """Step with actions of this wrapper's space, shape [N, A]."""
        return self.env.step(self.to_environment(action))

    def to_environment(self, action: torch.Tensor) -> torch.Tensor:
        """What the environment gets for actions of this wrapper's space: values within the bounds [raw action units].

        Args:
            action: Actions, shape [..., A]; any finite values.
        """
        if self.mode == "rescale":
            action = torch.addcmul(self._center, self._half, action.clamp(-1.0, 1.0))
        # once more in the bounds' own numbers, whatever the rounding
        return action.clamp(self._low, self._high)

    def from_environment(self, action: torch.Tensor) -> torch.Tensor:
        """The inverse of :meth:`to_environment` within the bounds, shape [..., A]."""
        if self.mode == "clip":
            return action.clamp(self._low, self._high)
        return ((action - self._center) / self._half).clamp(-1.0, 1.0)
