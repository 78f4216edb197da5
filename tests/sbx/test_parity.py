# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Our SAC against SBX's: the same weights, batch and noise must give the same update.

What is the same is not always what paper or documentation say. SBX's temperature has the loss of log α, not of α as
in the paper; its layer normalisation adds 1e-6 to the variance, and AdamW decays weights by 1e-4, as Flax and optax do
where torch takes 1e-5 and 1e-2; its "gSDE" (``use_sde``) is noise that is held, and depends on no features; and a
schedule of the learning rate does not reach the temperature.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

jax = pytest.importorskip("jax", reason="needs SBX: install isaaclab_offpolicy[sbx]")

import flax.linen as nn
import jax.numpy as jnp
import optax
import tensorflow_probability.substrates.jax as tfp
from rsl_rl.env import VecEnv
from sbx.common.type_aliases import ReplayBufferSamplesNp
from stable_baselines3.common.buffers import NStepReplayBuffer
from stable_baselines3.common.logger import configure
from tensordict import TensorDict

from isaaclab_offpolicy.algorithms import SAC, losses
from isaaclab_offpolicy.algorithms.batch import CriticBatch
from isaaclab_offpolicy.algorithms.update import ACTOR_METRICS, CRITIC_METRICS
from isaaclab_offpolicy.replay import ReplayBatch, ReplayBuffer, SampleIndices
from sbx import SAC as SBXSAC

OBS, ACT, BATCH, STEPS = 7, 3, 64, 4
HIDDEN = [64, 32]
LR, GAMMA, TAU, ALPHA = 4e-4, 0.98, 0.05, 0.2


class Spaces(gym.Env):
    """Only its spaces are of interest."""

    observation_space = gym.spaces.Box(-10.0, 10.0, (OBS,))
    action_space = gym.spaces.Box(-1.0, 1.0, (ACT,))

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        return np.zeros(OBS, dtype=np.float32), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        return np.zeros(OBS, dtype=np.float32), 0.0, False, False, {}


class Silent(VecEnv):
    """The same for rsl_rl."""

    def __init__(self) -> None:
        self.num_envs, self.num_actions, self.device = 4, ACT, "cpu"
        self.max_episode_length, self.cfg = 10, SimpleNamespace()
        self.episode_length_buf = torch.zeros(4, dtype=torch.long)

    def get_observations(self) -> TensorDict:
        return TensorDict({"policy": torch.zeros(4, OBS)}, batch_size=[4])

    def step(self, actions: torch.Tensor) -> Any:
        raise NotImplementedError


def sbx_sac(policy_delay: int) -> SBXSAC:
    model = SBXSAC(
        "MlpPolicy", Spaces(), learning_rate=LR, gamma=GAMMA, tau=TAU, policy_delay=policy_delay,
        ent_coef=f"auto_{ALPHA}", buffer_size=1000, seed=0,
        policy_kwargs={
            "net_arch": HIDDEN, "layer_norm": True, "activation_fn": nn.elu, "optimizer_class": optax.adamw,
        },
    )  # fmt: skip
    # targets that differ from the critics, or an error in them would not show
    state = model.policy.qf_state
    model.policy.qf_state = state.replace(target_params=jax.tree.map(lambda x: 0.9 * x + 0.01, state.target_params))
    return model


def tensor(x: Any) -> torch.Tensor:
    return torch.tensor(np.asarray(x))


def our_critic_state(params: Any) -> dict[str, torch.Tensor]:
    """Flax's parameters of both critics under the names of ours."""
    (net,) = params["params"].values()
    state = {}
    for i in range(len(HIDDEN) + 1):
        state[f"weights.{i}"] = tensor(net[f"Dense_{i}"]["kernel"])
        state[f"biases.{i}"] = tensor(net[f"Dense_{i}"]["bias"]).unsqueeze(1)
    for i in range(len(HIDDEN)):
        state[f"norm_weights.{i}"] = tensor(net[f"LayerNorm_{i}"]["scale"]).unsqueeze(1)
        state[f"norm_biases.{i}"] = tensor(net[f"LayerNorm_{i}"]["bias"]).unsqueeze(1)
    return state


def our_actor_state(params: Any) -> dict[str, torch.Tensor]:
    """Flax's parameters of the actor under the names of ours: one last layer for mean and standard deviation."""
    net, n = params["params"], len(HIDDEN)
    state = {}
    for i in range(n):
        state[f"{2 * i}.weight"] = tensor(net[f"Dense_{i}"]["kernel"]).T
        state[f"{2 * i}.bias"] = tensor(net[f"Dense_{i}"]["bias"])
    heads = [net[f"Dense_{n}"], net[f"Dense_{n + 1}"]]
    state[f"{2 * n}.weight"] = torch.cat([tensor(head["kernel"]).T for head in heads])
    state[f"{2 * n}.bias"] = torch.cat([tensor(head["bias"]) for head in heads])
    return state


def our_sac(train_cfg, model: SBXSAC, policy_delay: int, backend: str = "eager") -> SAC:
    """Ours with SBX's weights."""
    cfg = train_cfg(
        action_bounds=1.0, batch_size=BATCH, policy_delay=policy_delay, gamma=GAMMA, tau=TAU, learning_rate=LR,
        ent_coef=f"auto_{ALPHA}", backend=backend,
    )  # fmt: skip
    for name in ("actor", "critic"):
        cfg[name] |= {"hidden_dims": HIDDEN, "obs_normalization": False}
    env = Silent()
    sac = SAC.construct_algorithm(env.get_observations(), env, cfg, "cpu")
    sac.actor.mlp.load_state_dict(our_actor_state(model.policy.actor_state.params))
    sac.critic.load_state_dict(our_critic_state(model.policy.qf_state.params))
    sac.updater.critic_target.load_state_dict(our_critic_state(model.policy.qf_state.target_params))
    return sac


def transitions(seed: int = 0, n_steps: int = 1) -> ReplayBufferSamplesNp:
    """A batch for all gradient steps, some of whose transitions end in a fall."""
    rng = np.random.default_rng(seed)
    n = BATCH * STEPS
    return ReplayBufferSamplesNp(
        rng.normal(size=(n, OBS)).astype(np.float32),
        rng.uniform(-1.0, 1.0, (n, ACT)).astype(np.float32),
        rng.normal(size=(n, OBS)).astype(np.float32),
        (rng.random(n) < 0.1).astype(np.float32),
        rng.normal(size=n).astype(np.float32),
        (GAMMA ** rng.integers(1, n_steps + 1, n)).astype(np.float32),
    )


def our_batch(data: ReplayBufferSamplesNp) -> ReplayBatch:
    shape = (STEPS, BATCH)
    return ReplayBatch(
        obs={"policy": tensor(data.observations).view(*shape, OBS)},
        action=tensor(data.actions).view(*shape, ACT),
        reward=tensor(data.rewards).view(shape),
        next_obs={"policy": tensor(data.next_observations).view(*shape, OBS)},
        discount=tensor(data.discounts * (1.0 - data.dones)).view(shape),
        weight=torch.ones(shape),
    )


def sbx_noise(key: Any, policy_delay: int, offset: int) -> list[torch.Tensor]:
    """The standard normal noise that SBX draws from a key, in order of use."""
    standard = tfp.distributions.MultivariateNormalDiag(loc=jnp.zeros((BATCH, ACT)), scale_diag=jnp.ones((BATCH, ACT)))
    noise = []
    for i in range(STEPS):
        key, noise_key, _, _ = jax.random.split(key, 4)
        noise.append(tensor(standard.sample(seed=noise_key)))
        if (offset + i) % policy_delay == 0:
            key, _, noise_key = jax.random.split(key, 3)
            noise.append(tensor(standard.sample(seed=noise_key)))
    return noise


@pytest.mark.parametrize(
    ("policy_delay", "n_steps", "backend"),
    [(1, 1, "eager"), (2, 1, "eager"), (4, 1, "eager"), (1, 3, "eager"), (2, 5, "eager"), (2, 3, "cpu")],
)
def test_an_update_equals_that_of_sbx(
    train_cfg, monkeypatch: pytest.MonkeyPatch, policy_delay: int, n_steps: int, backend: str
) -> None:
    model = sbx_sac(policy_delay)
    sac = our_sac(train_cfg, model, policy_delay, backend)
    data = transitions(n_steps=n_steps)
    offset = 1 % policy_delay
    noise = iter(sbx_noise(model.key, policy_delay, offset))
    reported: dict[str, float] = {}

    def with_their_noise(step: Any, metrics: tuple[str, ...]) -> Any:
        def run(batch: Any, _: Any = None) -> torch.Tensor:
            values = step(batch._replace(noise=next(noise)))
            reported.update(zip(metrics, values.tolist(), strict=True))
            return values

        return run

    for name, metrics in (("critic_step", CRITIC_METRICS), ("actor_step", ACTOR_METRICS)):
        monkeypatch.setattr(sac.updater, name, with_their_noise(getattr(sac.updater, name), metrics))
    monkeypatch.setattr(sac.storage, "sample", lambda *_: our_batch(data))

    qf_state, actor_state, ent_coef_state, _, (actor_loss, qf_loss, ent_coef_loss, _) = model._train(
        TAU, np.float32(-ACT), STEPS, data, policy_delay, offset,
        model.policy.qf_state, model.policy.actor_state, model.ent_coef_state, model.key,
    )  # fmt: skip
    sac.learn(STEPS)

    assert next(noise, None) is None, "all of the noise was used"
    assert sac.num_updates == STEPS
    close = {"rtol": 1e-5, "atol": 1e-5}
    # the losses of the last gradient step
    np.testing.assert_allclose(reported["critic_loss"], qf_loss, **close)
    np.testing.assert_allclose(reported["actor_loss"], actor_loss, **close)
    np.testing.assert_allclose(reported["temperature_loss"], ent_coef_loss, **close)
    before = our_critic_state(model.policy.qf_state.params)
    expected = {
        "critic": (sac.critic, our_critic_state(qf_state.params), before),
        "target": (
            sac.updater.critic_target, our_critic_state(qf_state.target_params),
            our_critic_state(model.policy.qf_state.target_params),
        ),
        "actor": (sac.actor.mlp, our_actor_state(actor_state.params), our_actor_state(model.policy.actor_state.params)),
    }  # fmt: skip
    for name, (ours, theirs, start) in expected.items():
        for key, value in ours.state_dict().items():
            torch.testing.assert_close(value, theirs[key], **close, msg=lambda m, n=name, k=key: f"{n} {k}: {m}")
        moved = max(float((theirs[key] - start[key]).abs().max()) for key in theirs)
        assert moved > 1e-4, f"{name} has moved by more than the tolerance"
    alpha = np.exp(ent_coef_state.params["log_ent_coef"])
    np.testing.assert_allclose(sac.entropy_coef().item(), alpha, **close)
    assert abs(float(alpha) - ALPHA) > 2e-5


@pytest.mark.parametrize("n_steps", [1, 5])
def test_q_targets_equal_those_of_sbx(train_cfg, monkeypatch: pytest.MonkeyPatch, n_steps: int) -> None:
    model = sbx_sac(1)
    sac = our_sac(train_cfg, model, 1)
    data, noise = transitions(n_steps=n_steps), sbx_noise(model.key, 1, 0)[0]
    row = [value[:BATCH] for value in data]
    obs, action, next_obs, dones, rewards, discounts = row
    weight, ours = torch.ones(BATCH), [tensor(value) for value in (obs, action, next_obs, rewards)]
    factor = tensor(discounts * (1.0 - dones))
    batch = CriticBatch(ours[0], ours[1], ours[3], factor, weight, ours[2], ours[2], noise)
    targets = []
    monkeypatch.setattr(losses, "critic_loss", lambda q, target, weight: targets.append(target) or q.sum())
    sac.updater.critic_loss(batch, *sac.updater.next_actions(ours[2], noise))
    (target,) = targets
    # as in sbx.SAC.update_critic, with its own networks
    dist = model.policy.actor_state.apply_fn(model.policy.actor_state.params, next_obs)
    after = dist.sample(seed=jax.random.split(model.key, 4)[1])
    q = model.policy.qf_state.apply_fn(model.policy.qf_state.target_params, next_obs, after).min(axis=0)[:, 0]
    expected = rewards + (1.0 - dones) * discounts * (q - ALPHA * dist.log_prob(after))
    np.testing.assert_allclose(target.numpy(), expected, rtol=1e-5, atol=1e-5)
    assert np.abs(expected - rewards).max() > 0.1


def test_a_schedule_of_sbx_does_not_reach_the_temperature() -> None:
    model = SBXSAC(
        "MlpPolicy", Spaces(), learning_rate=lambda left: 1e-3 * left, ent_coef=f"auto_{ALPHA}", buffer_size=100,
        policy_kwargs={"net_arch": HIDDEN, "optimizer_class": optax.adamw},
    )  # fmt: skip
    model.set_logger(configure(None, []))
    model.replay_buffer.full = True  # of zeros
    model._current_progress_remaining = 0.25
    model.train(1, 32)
    for state in (model.policy.actor_state, model.policy.qf_state):
        assert float(state.opt_state.hyperparams["learning_rate"]) == pytest.approx(2.5e-4)
    # the first step of Adam is as long as its learning rate
    log_alpha = float(model.ent_coef_state.params["log_ent_coef"])
    assert abs(log_alpha - np.log(ALPHA)) == pytest.approx(1e-3, rel=1e-2)


def test_networks_equal_those_of_sbx(train_cfg) -> None:
    model = sbx_sac(1)
    sac = our_sac(train_cfg, model, 1)
    data = transitions()
    noise = sbx_noise(model.key, 1, 0)[0]
    obs, action = data.observations[:BATCH], data.actions[:BATCH]
    with torch.no_grad():
        output = sac.actor.mlp(tensor(obs))
        ours, log_prob = sac.distribution.rsample_normalized(output, noise)
        q = sac.critic(tensor(obs), tensor(action))
    dist = model.policy.actor_state.apply_fn(model.policy.actor_state.params, obs)
    theirs = dist.sample(seed=jax.random.split(model.key, 4)[1])
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=0, atol=1e-5)
    np.testing.assert_allclose(log_prob.numpy(), dist.log_prob(theirs), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(sac.distribution.deterministic_output(output).numpy(), dist.mode(), rtol=0, atol=1e-5)
    expected = model.policy.qf_state.apply_fn(model.policy.qf_state.params, obs, action)
    np.testing.assert_allclose(q.numpy(), np.asarray(expected)[..., 0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("n_steps", [1, 3, 5])
def test_n_step_targets_equal_those_of_stable_baselines(n_steps: int) -> None:
    """The same steps in both replay buffers, with falls and timeouts: rewards, discounts and next observations."""
    rng = np.random.default_rng(3)
    num_envs, steps = 4, 60
    ours = ReplayBuffer(steps * num_envs, num_envs, {"policy": OBS}, ACT, n_steps, GAMMA)
    theirs = NStepReplayBuffer(
        steps * num_envs, Spaces.observation_space, Spaces.action_space, n_envs=num_envs, n_steps=n_steps, gamma=GAMMA
    )
    obs = rng.normal(size=(num_envs, OBS)).astype(np.float32)
    ours.reset({"policy": tensor(obs)})
    for _ in range(steps):
        action = rng.uniform(-1, 1, (num_envs, ACT)).astype(np.float32)
        reward = rng.normal(size=num_envs).astype(np.float32)
        fall, timeout = rng.random(num_envs) < 0.08, rng.random(num_envs) < 0.08
        timeout &= ~fall
        after = rng.normal(size=(num_envs, OBS)).astype(np.float32)  # before any reset
        first = np.where((fall | timeout)[:, None], rng.normal(size=(num_envs, OBS)), after).astype(np.float32)
        infos = [{"TimeLimit.truncated": bool(t)} for t in timeout]
        theirs.add(obs, after, action, reward, fall | timeout, infos)
        ours.add(
            tensor(action), tensor(reward), tensor(fall), tensor(timeout), {"policy": tensor(first)},
            {"policy": tensor(after)},
        )  # fmt: skip
        obs = first
    rows = np.repeat(np.arange(steps), num_envs)
    envs = np.tile(np.arange(num_envs), steps)
    randint = np.random.randint
    try:
        np.random.randint = lambda *_, **__: envs
        reference = theirs._get_samples(rows)
    finally:
        np.random.randint = randint
    batch = ours.gather(SampleIndices(tensor(steps - 1 - rows)[None], tensor(envs)[None], ours._row))
    valid = batch.weight[0] > 0.0
    # all but those that would begin with the last observation before a timeout's reset, which ours does not store twice
    starts_after_timeout = np.concatenate([np.zeros((1, num_envs), bool), theirs.timeouts[:-1] > 0]).ravel()
    assert valid.tolist() == (~starts_after_timeout).tolist() and 0 < int((~valid).sum()) < 40
    np.testing.assert_allclose(batch.obs["policy"][0][valid], reference.observations[valid], rtol=0, atol=0)
    np.testing.assert_allclose(batch.reward[0][valid], reference.rewards[valid, 0], rtol=1e-5, atol=1e-5)
    discount = (reference.discounts * (1.0 - reference.dones))[valid, 0]
    np.testing.assert_allclose(batch.discount[0][valid], discount, rtol=1e-5, atol=1e-6)
    bootstrapped = valid & (batch.discount[0] > 0.0)
    np.testing.assert_allclose(
        batch.next_obs["policy"][0][bootstrapped], reference.next_observations[bootstrapped], rtol=0, atol=0
    )
