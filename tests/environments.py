# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Environments without a simulator, in the form that rsl_rl's runner takes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from rsl_rl.env import VecEnv
from tensordict import TensorDict
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

COMPILER = " " not in torch.__path__[0]
"""Whether torch's compiler works: it hands the path of torch to g++ without quotes."""


class LinearQuadraticEnv(VecEnv):
    """A damped cart on a line, pushed by a bounded force; the best policy is that of a discounted linear regulator.

    State: position and velocity. Reward: -(position² + 0.1 velocity² + 0.05 force²). Episodes are truncated and never
    terminated.
    """

    A = np.array([[0.9, 0.2], [0.0, 0.8]])
    B = np.array([[0.0], [0.3]])
    Q = np.diag([1.0, 0.1])
    R = np.array([[0.05]])

    def __init__(self, num_envs: int = 32, max_episode_length: int = 40, device: str = "cpu") -> None:
        self.num_envs, self.num_actions, self.device = num_envs, 1, device
        self.max_episode_length = max_episode_length
        self.cfg = SimpleNamespace(compute_final_obs=False)
        self.action_joint_names = ["cart"]
        self.episode_length_buf = torch.arange(num_envs, device=device) % max_episode_length
        self._a, self._b, self._q, self._r = (
            torch.tensor(m, dtype=torch.float32, device=device) for m in (self.A, self.B, self.Q, self.R)
        )
        self.state = self.initial_states(num_envs).to(device)
        self.broken: str | None = None

    @staticmethod
    def initial_states(n: int, generator: torch.Generator | None = None) -> torch.Tensor:
        return torch.rand(n, 2, generator=generator) * 2.0 - 1.0

    def reward(self, state: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        return -((state @ self._q * state).sum(-1) + (action @ self._r * action).sum(-1))

    def get_observations(self) -> TensorDict:
        return TensorDict({"policy": self.state.clone()}, batch_size=[self.num_envs])

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
        reward = self.reward(self.state, actions)
        self.state = self.state @ self._a.T + actions @ self._b.T
        self.episode_length_buf = self.episode_length_buf + 1
        time_outs = self.episode_length_buf >= self.max_episode_length
        extras: dict = {"time_outs": time_outs}
        if bool(time_outs.any()):
            assert self.cfg.compute_final_obs, "the learner must ask for final observations"
            extras["final_obs"] = {"policy": self.state.clone()}
        self.state = torch.where(
            time_outs.unsqueeze(-1), self.initial_states(self.num_envs).to(self.device), self.state
        )
        self.episode_length_buf = torch.where(time_outs, 0, self.episode_length_buf)
        obs = self.get_observations()
        if self.broken == "reward":
            reward[3] = float("inf")
        elif self.broken == "observation":
            obs["policy"][2, 1] = float("inf")
        return obs, reward, time_outs.long(), extras


class FlawedEnv(LinearQuadraticEnv):
    """Gives numbers that are not finite, in turns as a reward, an observation, and a state that stays so until a reset.

    Args:
        share: Share of the transitions that are flawed.
        start: Env steps before the first flaw.
        **options: As for :class:`LinearQuadraticEnv`.
    """

    def __init__(self, share: float, start: int = 0, **options: Any) -> None:
        super().__init__(**options)
        self.share, self.start, self.steps = share, start, 0
        self.flawed: list[torch.Tensor] = []
        """Which transitions are flawed, of each step [N]."""
        self._generator = torch.Generator().manual_seed(3)

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
        self.steps += 1
        hit = torch.rand(self.num_envs, generator=self._generator) < self.share * (self.steps > self.start)
        kind, number = self.steps % 3, (float("nan"), float("inf"), -float("inf"))[self.steps // 3 % 3]
        before = self.state.isfinite().all(-1)
        if kind == 0:
            self.state = torch.where(hit.unsqueeze(-1), number, self.state)
        obs, reward, dones, extras = super().step(actions)
        if kind == 1:
            reward = torch.where(hit, number, reward)
        elif kind == 2:
            obs["policy"][hit, 1] = number
        self.flawed.append(hit | ~before | ~obs["policy"].isfinite().all(-1))
        return obs, reward, dones, extras


class GoesOnEnv(LinearQuadraticEnv):
    """One that can give all its state, so that a training goes on amid its episodes."""

    def state_dict(self) -> dict[str, torch.Tensor]:
        return {"state": self.state.clone(), "episode_length_buf": self.episode_length_buf.clone()}

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        self.state, self.episode_length_buf = state["state"].clone(), state["episode_length_buf"].clone()


class CountSynchronisations:
    """Counts reads of numbers from a device and numbers that are copied to one.

    Reads are item(), bool(), nonzero(), indexing with a mask and the like, which dispatch an operator; and cpu(),
    tolist() and numpy(), which on the CPU dispatch none, so that the methods themselves are looked for. Where some
    tensors are on a device of their own (``"meta"``), all that travels between it and the host is counted.
    """

    def __init__(self) -> None:
        self._operators, self._methods = _Operators(), _Methods()

    @property
    def count(self) -> int:
        """How many there were."""
        return self._operators.count + self._methods.count

    def __enter__(self) -> CountSynchronisations:
        self._methods.__enter__()
        self._operators.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._operators.__exit__(*exception)
        self._methods.__exit__(*exception)


class _Operators(TorchDispatchMode):
    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        aten = torch.ops.aten
        operator = func.overloadpacket
        tensors = [value for value in tree_leaves((args, kwargs)) if isinstance(value, torch.Tensor)]
        # in inference mode bool() does not become item()
        if operator in (aten._local_scalar_dense, aten.item, aten.is_nonzero) and tensors[0].is_meta:
            self.count += 1
            return 1  # there are no numbers; all is well
        result = func(*args, **(kwargs or {}))
        masks = operator in (aten.index, aten.index_put, aten.index_put_) and any(
            index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1]
        )
        tensors += [value for value in tree_leaves(result) if isinstance(value, torch.Tensor)]
        travels = len({tensor.device for tensor in tensors}) > 1
        if masks or travels or operator in (
            aten._local_scalar_dense, aten.item, aten.is_nonzero, aten.nonzero, aten.masked_select, aten.lift_fresh,
            aten.equal, aten.allclose, aten._unique2, aten.unique_dim, aten.unique_consecutive, aten.argwhere,
            aten.repeat_interleave,
        ):  # fmt: skip
            self.count += 1
        return result


class _Methods(TorchFunctionMode):
    count = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.Tensor.cpu, torch.Tensor.tolist, torch.Tensor.numpy):
            self.count += 1
        return func(*args, **(kwargs or {}))


def regulator(env: type[LinearQuadraticEnv], gamma: float) -> np.ndarray:
    """Gain K of the best policy u = -K x for the discounted problem, from the discrete Riccati equation."""
    from scipy.linalg import solve_discrete_are

    a, b = np.sqrt(gamma) * env.A, np.sqrt(gamma) * env.B
    p = solve_discrete_are(a, b, env.Q, env.R)
    return np.linalg.solve(env.R + b.T @ p @ b, b.T @ p @ a)


def ppo_cfg() -> dict:
    """Isaac Lab's PPO for A1, with small networks."""
    from isaaclab.utils import to_dict
    from isaaclab_rl.rsl_rl import check_rsl_rl_version, handle_deprecated_rsl_rl_cfg
    from isaaclab_tasks.utils import load_cfg_from_registry

    from isaaclab_offpolicy.agents.registry import load_tasks

    load_tasks()
    cfg: Any = load_cfg_from_registry("Isaac-Velocity-Flat-Unitree-A1-v0", "rsl_rl_cfg_entry_point")
    cfg.device = "cpu"
    result = to_dict(handle_deprecated_rsl_rl_cfg(cfg, check_rsl_rl_version()))
    result["actor"]["hidden_dims"] = result["critic"]["hidden_dims"] = [32]
    result["multi_gpu"] = None
    return result
