# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import math
import statistics
import threading
import time

import pytest
import torch
from tensordict import TensorDict

from environments import CountSynchronisations, FlawedEnv, LinearQuadraticEnv
from isaaclab_offpolicy.action_bounds import BoundsError
from isaaclab_offpolicy.algorithms import SAC, NonFiniteError
from isaaclab_offpolicy.algorithms.batch import ActorBatch
from isaaclab_offpolicy.replay import SampleIndices
from isaaclab_offpolicy.training.health import ROWS


def run(sac, env: LinearQuadraticEnv, steps: int) -> None:
    """Step like rsl_rl's runner."""
    with torch.inference_mode():
        obs = env.get_observations()
        for _ in range(steps):
            obs, rewards, dones, extras = env.step(sac.act(obs))
            sac.process_env_step(obs, rewards, dones, extras)


def linear_sac(make_sac, train_cfg, **algorithm):
    """SAC whose actor and critics are one linear unit each, with weights set by hand."""
    cfg = train_cfg(gamma=0.9, ent_coef=0.1, tau=0.25, batch_size=1, policy_delay=1, learning_rate=1e-3, **algorithm)
    for model in ("actor", "critic"):
        cfg[model] |= {"hidden_dims": [1], "activation": "identity", "obs_normalization": False}
    cfg["critic"]["layer_norm"] = False

    class OneObservation(LinearQuadraticEnv):
        def get_observations(self) -> TensorDict:
            return TensorDict({"policy": self.state[:, :1].clone()}, batch_size=[self.num_envs])

    env = OneObservation(num_envs=1)
    sac = make_sac(env, cfg)
    with torch.no_grad():
        # critic c: Q = w2 * (ws * s + wa * a + b1) + b2
        for c, (ws, wa, b1, w2, b2) in enumerate(CRITICS):
            for network, shift in ((sac.critic, 0.0), (sac.updater.critic_target, 0.5)):
                network.weights[0][c] = torch.tensor([[ws], [wa]])
                network.biases[0][c] = b1
                network.weights[1][c] = w2
                network.biases[1][c] = b2 + shift
        # actor: hidden = s, mean = 0.3 * hidden + 0.1, log std = -0.5
        sac.actor.mlp[0].weight.fill_(1.0)
        sac.actor.mlp[0].bias.fill_(0.0)
        sac.actor.mlp[2].weight.copy_(torch.tensor([[0.3], [0.0]]))
        sac.actor.mlp[2].bias.copy_(torch.tensor([0.1, -0.5]))
    return sac


CRITICS = [(0.5, 1.0, 0.2, 2.0, -0.3), (-0.4, 0.8, 0.0, 1.5, 0.7)]


def q_value(c: int, s: float, a: float, shift: float = 0.0) -> float:
    ws, wa, b1, w2, b2 = CRITICS[c]
    return w2 * (ws * s + wa * a + b1) + b2 + shift


def policy(s: float, noise: float) -> tuple[float, float]:
    """Unit action and its log-probability, in plain arithmetic."""
    std = math.exp(-0.5)
    u = 0.3 * s + 0.1 + std * noise
    log_normal = -0.5 * noise**2 - math.log(std) - 0.5 * math.log(2 * math.pi)
    return math.tanh(u), log_normal - math.log(1 - math.tanh(u) ** 2)


@pytest.mark.parametrize(
    ("end", "q_aggregation"), [("none", "min"), ("fall", "min"), ("timeout", "min"), ("none", "mean")]
)
def test_losses_against_a_case_computed_by_hand(make_sac, train_cfg, end: str, q_aggregation: str) -> None:
    sac = linear_sac(make_sac, train_cfg, q_aggregation=q_aggregation)
    aggregate = {"min": min, "mean": statistics.mean}[q_aggregation]
    s, a, r, after, reset = 0.4, -0.6, 1.5, 0.9, -0.2
    true, false = torch.tensor([True]), torch.tensor([False])

    def obs(x: float) -> dict[str, torch.Tensor]:
        return {"policy": torch.tensor([[x]])}

    ends = end != "none"
    sac.storage.reset(obs(s))
    sac.storage.add(
        torch.tensor([[a]]),
        torch.tensor([r]),
        true if end == "fall" else false,
        true if end == "timeout" else false,
        obs(reset if ends else after),
        obs(after),
    )
    before = [p.clone() for p in sac.updater.critic_target.parameters()]
    torch.manual_seed(5)
    sac.storage.sample(1, 1)  # the draws that learning will make first
    noise_next, noise = torch.randn(1, 1).item(), torch.randn(1, 1).item()
    torch.manual_seed(5)
    sac.learn(1)
    metrics = sac._metrics.pop()

    next_action, next_log_prob = policy(after, noise_next)
    next_q = aggregate([q_value(c, after, next_action, shift=0.5) for c in range(2)])
    next_value = next_q - 0.1 * next_log_prob
    target = r + (0.0 if end == "fall" else 0.9) * next_value
    errors = [q_value(c, s, a) - target for c in range(2)]
    assert metrics["critic_loss"] == pytest.approx(0.5 * (errors[0] ** 2 + errors[1] ** 2), rel=1e-5)
    assert metrics["q_mean"] == pytest.approx(statistics.mean(q_value(c, s, a) for c in range(2)), rel=1e-5)
    # the actor's loss is taken with the critics after their step of 1e-3
    action, log_prob = policy(s, noise)
    q = aggregate([q_value(c, s, action) for c in range(2)])
    assert metrics["actor_loss"] == pytest.approx(0.1 * log_prob - q, abs=5e-2)
    assert metrics["entropy"] == pytest.approx(-log_prob, rel=1e-5)
    # the targets move by tau towards the critics, and stay out of autograd
    assert all(p.is_leaf and not p.requires_grad for p in sac.updater.critic_target.parameters())
    for old, new, online in zip(before, sac.updater.critic_target.parameters(), sac.critic.parameters(), strict=True):
        torch.testing.assert_close(new, old + 0.25 * (online - old))


def test_critic_gradient_by_hand(make_sac, train_cfg) -> None:
    sac = linear_sac(make_sac, train_cfg)
    sac.storage.reset({"policy": torch.tensor([[0.4]])})
    false = torch.tensor([False])
    sac.storage.add(torch.tensor([[-0.6]]), torch.tensor([1.5]), ~false, false, {"policy": torch.zeros(1, 1)})
    sac.learn(1)
    for c in range(2):
        # a fall: the target is the reward; dL/db2 = Q - r, dL/dw2 = (Q - r) * hidden
        ws, wa, b1, *_ = CRITICS[c]
        error = q_value(c, 0.4, -0.6) - 1.5
        assert sac.critic.biases[1].grad[c].item() == pytest.approx(error, rel=1e-5)
        assert sac.critic.weights[1].grad[c].item() == pytest.approx(error * (ws * 0.4 - wa * 0.6 + b1), rel=1e-5)


def test_actor_gradient_against_finite_differences(make_sac, train_cfg) -> None:
    sac = linear_sac(make_sac, train_cfg)
    s = torch.tensor([[0.4]])
    noise = 0.7
    sac.updater.actor_step(ActorBatch(s, s, torch.tensor([[noise]])))
    gradient = sac.actor.mlp[2].bias.grad[0].item()

    def loss(shift: float) -> float:
        std = math.exp(-0.5)
        u = 0.3 * 0.4 + 0.1 + shift + std * noise
        log_prob = -0.5 * noise**2 - math.log(std) - 0.5 * math.log(2 * math.pi) - math.log(1 - math.tanh(u) ** 2)
        return 0.1 * log_prob - min(q_value(c, 0.4, math.tanh(u)) for c in range(2))

    assert gradient == pytest.approx((loss(1e-5) - loss(-1e-5)) / 2e-5, rel=1e-4)
    assert all(p.grad is None for p in sac.critic.parameters()), "the actor's step leaves the critics alone"


@pytest.mark.parametrize(("num_envs", "train_freq"), [(16, 1), (16, 5), (48, 3)])
def test_learning_follows_train_freq_and_replay_ratio(make_sac, num_envs: int, train_freq: int) -> None:
    env = LinearQuadraticEnv(num_envs)
    sac = make_sac(env, learning_starts=num_envs * 5, train_freq=train_freq, replay_ratio=1 / 10, policy_delay=4)
    calls = []
    learn = sac.learn
    sac.learn = lambda steps: (calls.append((sac._env_steps, steps)), learn(steps))
    run(sac, env, 60)
    assert all(step % train_freq == 0 and step >= 5 for step, _ in calls)
    rounds = sum(step % train_freq == 0 for step in range(5, 61))
    # what is owed is carried over, so that fractions are not lost
    assert sac.num_updates == pytest.approx(rounds * train_freq * num_envs / 10, abs=1)
    assert int(sac.updater.actor_optimizer.state[next(sac.actor.mlp.parameters())]["step"]) == sac.num_updates // 4
    metrics = sac.update()
    assert metrics["replay_ratio"] == pytest.approx(sac.num_updates / (60 * num_envs))


def test_fixed_gradient_steps(make_sac) -> None:
    env = LinearQuadraticEnv(8)
    sac = make_sac(env, learning_starts=0, train_freq=4, replay_ratio=None, gradient_steps=3)
    run(sac, env, 20)
    assert sac.num_updates == 15


def test_exploration_is_uniform_in_the_bounds_first(make_sac) -> None:
    env = LinearQuadraticEnv(512)
    sac = make_sac(env, learning_starts=512 * 4, replay_ratio=1e-9)
    with torch.inference_mode():
        obs, actions = env.get_observations(), []
        for _ in range(6):
            actions.append(sac.act(obs))
            sac.process_env_step(*env.step(actions[-1]))
    uniform = torch.cat(actions[:4])
    assert uniform.abs().max() <= 2.0 and abs(uniform.mean().item()) < 0.1
    assert uniform.std().item() == pytest.approx(2.0 / math.sqrt(3.0), rel=0.05)
    assert torch.cat(actions[4:]).std().item() != pytest.approx(2.0 / math.sqrt(3.0), rel=0.02)


def test_what_is_stored_is_what_happened(make_sac) -> None:
    env = LinearQuadraticEnv(8, max_episode_length=5)
    sac = make_sac(env, learning_starts=10**6)
    with torch.inference_mode():
        first = env.get_observations()
        action = sac.act(first)
        result = env.step(action)
        sac.process_env_step(*result)
    storage = sac.storage
    torch.testing.assert_close(storage.obs["policy"][0], first["policy"].clone())
    torch.testing.assert_close(sac.distribution.to_action(storage.action[0]), action.clone())
    timeouts = result[3]["time_outs"]
    assert timeouts.any() and not timeouts.all()
    after = torch.where(timeouts.unsqueeze(-1), result[3]["final_obs"]["policy"], result[0]["policy"])
    torch.testing.assert_close(storage.obs["policy"][1], after.clone())
    assert not storage.terminated[0].any(), "a timeout is no fall"
    assert env.cfg.compute_final_obs


def test_normaliser_sees_each_observation_once_and_is_frozen_at_play(make_sac) -> None:
    env = LinearQuadraticEnv(16)
    sac = make_sac(env, learning_starts=0, replay_ratio=1 / 4)
    sac.train_mode()
    run(sac, env, 20)
    normalizer = sac.actor.obs_normalizer
    assert sac.critic_obs_normalizer is normalizer
    assert int(normalizer.count) == 16 * 21  # the first observations, and one per step
    mean = normalizer.mean
    sac.eval_mode()
    run(sac, env, 5)
    torch.testing.assert_close(normalizer.mean, mean, rtol=0, atol=0)


def test_actor_and_critic_may_see_different_observations(make_sac, train_cfg) -> None:
    class Privileged(LinearQuadraticEnv):
        def get_observations(self) -> TensorDict:
            obs = {"policy": self.state[:, :1].clone(), "critic": self.state.clone()}
            return TensorDict(obs, batch_size=[self.num_envs])

        def step(self, actions):
            _, reward, dones, extras = super().step(actions)
            if "final_obs" in extras:
                state = extras["final_obs"]["policy"]
                extras["final_obs"] = {"policy": state[:, :1], "critic": state}
            return self.get_observations(), reward, dones, extras

    env = Privileged(8)
    cfg = train_cfg(learning_starts=0, replay_ratio=1 / 4)
    cfg["obs_groups"] = {"actor": ["policy"], "critic": ["critic"]}
    sac = make_sac(env, cfg)
    run(sac, env, 50)
    assert sac.num_updates == 100
    assert sac.critic_obs_normalizer.mean.shape == (2,) and sac.actor.obs_normalizer.mean.shape == (1,)
    assert int(sac.critic_obs_normalizer.count) == 8 * 51


def test_linear_schedule(make_sac) -> None:
    env = LinearQuadraticEnv(10)
    sac = make_sac(
        env,
        learning_starts=0,
        replay_ratio=1 / 10,
        learning_rate=1e-3,
        learning_rate_end=1e-4,
        schedule="linear",
        schedule_steps=1000,
    )
    run(sac, env, 50)
    assert sac.learning_rate == pytest.approx(1e-3 + 0.5 * (1e-4 - 1e-3))
    assert sac.updater.critic_optimizer.param_groups[0]["lr"] == sac.learning_rate
    run(sac, env, 100)
    assert sac.learning_rate == pytest.approx(1e-4)


def test_the_actor_may_have_a_learning_rate_of_its_own(make_sac) -> None:
    env = LinearQuadraticEnv(10)
    schedule = {"learning_rate": 1e-3, "learning_rate_end": 1e-4, "schedule": "linear", "schedule_steps": 1000}
    sac = make_sac(env, learning_starts=0, replay_ratio=1 / 10, actor_learning_rate=2e-4, **schedule)
    assert sac.updater.actor_optimizer.param_groups[0]["lr"] == pytest.approx(2e-4)
    assert sac.updater.critic_optimizer.param_groups[0]["lr"] == pytest.approx(1e-3)
    run(sac, env, 150)
    assert sac.updater.actor_optimizer.param_groups[0]["lr"] == pytest.approx(2e-5)
    assert sac.updater.critic_optimizer.param_groups[0]["lr"] == pytest.approx(1e-4)
    assert sac.updater.entropy_optimizer.param_groups[0]["lr"] == pytest.approx(1e-4)


def test_an_actor_may_stand_still(make_sac) -> None:
    env = LinearQuadraticEnv(10)
    sac = make_sac(env, learning_starts=0, replay_ratio=1 / 10, actor_learning_rate=0.0, policy_delay=1)
    before = [p.detach().clone() for p in sac.actor.parameters()]
    run(sac, env, 10)
    assert sac.num_updates > 5
    torch.testing.assert_close(before, [p.detach() for p in sac.actor.parameters()], rtol=0, atol=0)


def test_what_terminates_in_the_step_of_a_timeout_terminates(make_sac) -> None:
    """Isaac Lab says which episodes terminated; rsl_rl's interface only which timed out."""

    class Falls(LinearQuadraticEnv):
        reset_terminated = torch.zeros(8, dtype=torch.bool)

        def step(self, actions):
            result = super().step(actions)
            self.reset_terminated = torch.tensor([True] * 4 + [False] * 4) & result[3]["time_outs"]
            return result

    env = Falls(8, max_episode_length=1)  # every step is the last one
    sac = make_sac(env, learning_starts=10**6)
    run(sac, env, 1)
    assert sac.storage.terminated[0].tolist() == [True] * 4 + [False] * 4
    assert sac.storage.done[0].all()


def test_the_actor_may_start_later_than_the_critics(make_sac) -> None:
    env = LinearQuadraticEnv(10)
    sac = make_sac(env, learning_starts=0, actor_learning_starts=200, replay_ratio=1 / 10, policy_delay=1)
    actor, critic, coef = (
        [p.detach().clone() for p in m.parameters()] for m in (sac.actor, sac.critic, sac.entropy_coef)
    )

    def moved(before: list[torch.Tensor], module: torch.nn.Module) -> bool:
        return any(not torch.equal(p, q) for p, q in zip(before, module.parameters(), strict=True))

    run(sac, env, 19)
    assert moved(critic, sac.critic) and not moved(actor, sac.actor) and not moved(coef, sac.entropy_coef)
    run(sac, env, 2)
    assert moved(actor, sac.actor) and moved(coef, sac.entropy_coef)


def test_gradients_are_clipped(make_sac) -> None:
    env = LinearQuadraticEnv(10)
    sac = make_sac(env, learning_starts=0, max_grad_norm=1e-3, replay_ratio=1 / 10)
    run(sac, env, 10)
    norm = torch.stack([p.grad.norm() for p in sac.critic.parameters()]).norm()
    assert norm.item() == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize("what", ["reward", "observation"])
def test_numbers_that_are_not_finite_stop_the_training(make_sac, what: str) -> None:
    env = LinearQuadraticEnv(8)
    sac = make_sac(env, learning_starts=0, replay_ratio=1 / 8, max_nonfinite=0.0)
    run(sac, env, 3)
    stored, updates = len(sac.storage), sac.num_updates
    env.broken = what
    with pytest.raises(
        NonFiniteError, match=f"{what}.* is not finite: inf in environment {3 if what == 'reward' else 2}"
    ):
        run(sac, env, 1)
    assert (len(sac.storage), sac.num_updates) == (stored, updates), "nothing of the broken step is used"
    sac.save()


@pytest.mark.parametrize("storage", ["float32", "uint8"])
def test_what_is_not_finite_is_left_out_and_ends_the_episode(make_sac, storage: str, capsys) -> None:
    env = FlawedEnv(0.02, num_envs=16)
    sac = make_sac(env, learning_starts=0, replay_ratio=1 / 8, n_steps=3, gamma=0.9, replay_storage=storage)
    sac.train_mode()
    run(sac, env, 200)
    flawed = torch.stack(env.flawed)
    assert sac.num_updates > 300 and sac.guard.left_out == int(flawed.sum()) > 50
    assert sac.update()["left_out"] == sac.guard.left_out and "left_out" not in sac.update()
    assert all(value.isfinite().all() for value in sac.save()["actor_state_dict"].values())
    # all there is to sample, rows oldest first
    age, index = torch.meshgrid(torch.arange(199, -1, -1), torch.arange(16), indexing="ij")
    batch = sac.storage.gather(SampleIndices(age, index, sac.storage._row))
    assert all(value.isfinite().all() for value in (*batch.obs.values(), *batch.next_obs.values(), batch.reward))
    steps = (batch.discount.log() / math.log(0.9)).round().long()
    sampled = batch.weight > 0.0
    for step in range(3):
        later = flawed.roll(-step, 0) if step else flawed
        assert not (sampled & (steps > step) & later).any(), "a return goes through a flaw"
    assert not batch.weight[flawed].any() and sampled.float().mean() > 0.85
    assert (steps[sampled] == 3).float().mean() > 0.8
    # a state that is broken is not so for long
    assert not (flawed[2:] & flawed[1:-1] & flawed[:-2]).any()
    # the normaliser has seen neither them nor zeros in their place
    assert int(sac.actor.obs_normalizer.count) < 16 * 201 and bool(sac.actor.obs_normalizer.mean.isfinite().all())
    lines = [line for line in capsys.readouterr().err.splitlines() if "left out" in line]
    assert 0 < len(lines) < 10 and "is not finite: " in lines[0] and "left out, and these episodes end" in lines[0]


def test_an_environment_that_cannot_be_reset_is_masked(make_sac) -> None:
    class Stays(LinearQuadraticEnv):
        def step(self, actions):
            obs, reward, dones, extras = super().step(actions)
            obs["policy"][5] = float("nan")
            reward[5] = float("nan")
            return obs, reward, dones, extras

    env = Stays(64)
    sac = make_sac(env, learning_starts=0, replay_ratio=1 / 64)
    sac.guard._expire = None
    run(sac, env, 150)
    assert sac.guard.left_out == 150 and not sac.storage.is_start[1:150, 5].any()
    assert sac.num_updates > 100 and int(sac.actor.obs_normalizer.count) == 64 + 150 * 63


def test_first_observations_may_be_flawed(make_sac) -> None:
    env = LinearQuadraticEnv(32)
    env.state[4, 0] = float("nan")
    sac = make_sac(env, learning_starts=0)
    run(sac, env, 3)
    assert sac.storage.is_start[0].tolist() == [i != 4 for i in range(32)]
    assert int(sac.actor.obs_normalizer.count) < 32 * 4


def test_too_much_that_is_not_finite_ends_the_training(make_sac) -> None:
    env = FlawedEnv(1.0, start=20, num_envs=8)
    sac = make_sac(env, learning_starts=0, replay_ratio=1 / 8, max_nonfinite=0.1)
    with pytest.raises(NonFiniteError, match=r"environment 0 1 2.*11 % of the transitions.*max_nonfinite allows 10 %"):
        run(sac, env, 200)
    assert env.steps == 31
    sac.save()


def test_critics_that_diverge_are_told_once(make_sac, capsys: pytest.CaptureFixture[str]) -> None:
    env = LinearQuadraticEnv(16)
    sac = make_sac(env, learning_starts=0, replay_ratio=1 / 16, gamma=0.9, learning_rate=1e-12, actor_learning_rate=0.0)
    run(sac, env, 3)
    with torch.no_grad():
        sac.critic.biases[-1].fill_(1e4)
    for _ in range(ROWS + 3):
        run(sac, env, 2)
        sac.update()
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "diverge" in line]
    assert "1e+04" in line and "agent.algorithm.learning_rate" in line


def test_broken_weights_are_named_and_not_saved(make_sac) -> None:
    env = LinearQuadraticEnv(8)
    sac = make_sac(env, learning_starts=0, replay_ratio=1 / 8)
    run(sac, env, 3)
    with torch.no_grad():
        sac.actor.mlp[0].weight.fill_(float("nan"))
    with pytest.raises(NonFiniteError, match="action is not finite"):
        run(sac, env, 1)
    with pytest.raises(NonFiniteError, match="no checkpoint"):
        sac.save()


def test_checkpoints_restore_everything_but_the_replay(make_sac, tmp_path) -> None:
    env = LinearQuadraticEnv(16)
    sac = make_sac(env, learning_starts=0, replay_ratio=1 / 8)
    run(sac, env, 30)
    torch.save(sac.save(), tmp_path / "model.pt")
    # plain data: it can be read without executing anything
    saved = torch.load(tmp_path / "model.pt", weights_only=True)
    other_env = LinearQuadraticEnv(16)
    other = make_sac(other_env, learning_starts=64, replay_ratio=1 / 8, action_bounds=0.5)
    assert other.load(saved, None, strict=True)
    assert other.bounds == sac.bounds, "the checkpoint's bounds win"
    obs = env.get_observations()
    sac.eval_mode(), other.eval_mode()
    torch.testing.assert_close(other.get_policy()(obs), sac.get_policy()(obs), rtol=0, atol=0)
    restored, original = other.save(), sac.save()
    assert restored.pop("action_bounds") == original.pop("action_bounds")
    assert restored["progress"].pop("schedule") == original["progress"].pop("schedule")
    torch.testing.assert_close(restored, original, rtol=0, atol=0)
    assert (other.num_timesteps, other.num_updates) == (480, sac.num_updates)
    run(other, other_env, 99)
    assert other.num_updates == sac.num_updates, "the replay is filled again before learning"
    run(other, other_env, 10)
    assert other.num_updates > sac.num_updates


def test_a_checkpoint_needs_no_bounds_in_the_configuration(make_sac) -> None:
    env = LinearQuadraticEnv(4)
    saved = make_sac(env, action_bounds=0.5).save()
    without = make_sac(env, action_bounds="percentile")
    with pytest.raises(BoundsError, match="no percentiles are recorded for this task"):
        without.train_mode()
    without.load(saved, None, strict=True)
    without.train_mode()
    assert without.bounds.high == (0.5,) * len(without.bounds.joint_names)
    run(without, env, 3)
    assert without.num_timesteps == 12


def test_a_checkpoint_of_another_robot_is_refused(make_sac) -> None:
    env = LinearQuadraticEnv(4)
    sac = make_sac(env)
    saved = sac.save()
    other = LinearQuadraticEnv(4)
    other.action_joint_names = ["pole"]
    with pytest.raises(BoundsError, match=r"'pole'.*has no bounds.*'cart' is not a joint"):
        make_sac(other).load(saved, None, strict=True)
    del saved["action_bounds"]
    with pytest.raises(ValueError, match="not a checkpoint of SAC"):
        sac.load(saved, None, strict=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gradient_steps": 4}, "exactly one"),
        ({"replay_ratio": None}, "exactly one"),
        ({"schedule": "cosine"}, "schedule"),
        ({"target_entropy": "automatic"}, "target_entropy"),
        ({"train_freq": 0}, "train_freq"),
        ({"q_aggregation": "max"}, "q_aggregation"),
        ({"n_steps": 0}, "n_steps"),
        ({"backend": "fast"}, "backend is one of"),
        ({"backend": "cpu", "precision": "bfloat16"}, "computes in float32"),
        ({"gamma": 1.5}, "algorithm.gamma is a number from 0 to 1, not 1.5"),
        ({"tau": 2}, "algorithm.tau is a number above zero, up to 1, not 2"),
        ({"batch_size": -1}, "algorithm.batch_size is a whole number above zero, not -1"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"backend": "cuda-graph"}, "needs a CUDA device"),
        ({"precision": "int8"}, "precision is one of"),
        ({"rnd_cfg": {"weight": 1.0}}, "rnd"),
    ],
)
def test_bad_options_are_refused(make_sac, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_sac(LinearQuadraticEnv(4), **options)


def train_linear(make_sac, steps: int, env: LinearQuadraticEnv | None = None, **algorithm):
    torch.manual_seed(11)
    env = env or LinearQuadraticEnv(16)
    sac = make_sac(env, learning_starts=64, train_freq=2, replay_ratio=1 / 8, policy_delay=2, **algorithm)
    run(sac, env, steps)
    return sac


@pytest.mark.parametrize(
    "algorithm",
    [
        {}, {"overlap": True}, {"overlap": True, "backend": "cpu"}, {"overlap": True, "learner_threads": 1},
        {"replay_device": "cpu", "overlap": True}, {"deterministic": True, "backend": "cpu"},
    ],
)  # fmt: skip
def test_two_runs_with_one_seed_are_the_same_to_the_bit(make_sac, algorithm: dict) -> None:
    assert not torch.are_deterministic_algorithms_enabled()
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        left, right = (train_linear(make_sac, 60, **algorithm).save() for _ in range(2))
        assert torch.are_deterministic_algorithms_enabled() == algorithm.get("deterministic", False)
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(False)
    assert left["num_updates"] > 100
    assert left.pop("action_bounds") == right.pop("action_bounds")
    assert left["progress"].pop("schedule") == right["progress"].pop("schedule")
    torch.testing.assert_close(left, right, rtol=0, atol=0)


def test_learning_beside_the_environment(make_sac) -> None:
    class Env(LinearQuadraticEnv):
        steps = 0

        def step(self, actions):
            self.steps += 1
            return super().step(actions)

    env = Env(16)
    sac = make_sac(
        env, learning_starts=64, train_freq=2, replay_ratio=1 / 8, policy_delay=2, overlap=True, learner_threads=1
    )
    threads, acting = [], []
    critic_step = sac.updater.critic_step

    def wait_for_the_environment(*batch):
        # a round has four gradient steps, and the first one begins after step 4; were they done before the
        # environment steps on, this would never come
        deadline = time.monotonic() + 20.0
        while env.steps < 5 + 2 * (sac.num_updates // 4):
            assert time.monotonic() < deadline
            time.sleep(0.001)
        threads.append((threading.current_thread().name, torch.get_num_threads()))
        return critic_step(*batch)

    sac.updater.critic_step = wait_for_the_environment
    run(sac, env, 3)
    first = [p.clone() for p in sac.actor.mlp.parameters()]
    for _ in range(20):
        obs = env.get_observations()
        with torch.inference_mode():
            sac.process_env_step(*env.step(sac.act(obs)))
        acting.append(all(torch.equal(p, q) for p, q in zip(first, sac._acting.parameters(), strict=True)))
    env.steps += 1
    metrics = sac.update()
    assert set(threads) == {("learner_0", 1)} and sac._async._future is None and metrics["critic_loss"] > 0.0
    # the first round begins after step 4, its policy acts when the next one begins, after step 6
    assert acting[:2] == [True, True] and not any(acting[2:])
    for left, right in zip(sac._acting.parameters(), sac.actor.mlp.parameters(), strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=0)
    # an error of the learner reaches the training, once: a checkpoint can still be written
    sac.updater.critic_step = lambda *batch: 1 / 0
    with pytest.raises(ZeroDivisionError):
        run(sac, env, 4)
    assert sac.save()["num_updates"] == sac.num_updates


def test_the_policy_that_acts_beside_the_learner_follows_it(make_sac) -> None:
    """Also where the kernels multiply with a copy of its weights."""
    env = LinearQuadraticEnv(16)
    sac = make_sac(env, learning_starts=64, replay_ratio=1 / 8, policy_delay=1, overlap=True, backend="cpu")
    obs = torch.randn(5, 2)
    before = sac._policy(obs).clone()
    for _ in range(2):
        run(sac, env, 20)
        sac.update()
        assert not torch.allclose(sac._policy(obs), before)
        with torch.no_grad():
            torch.testing.assert_close(sac._policy(obs), sac.actor.mlp(obs))
        before = sac._policy(obs).clone()


def looks_at_the_device(sac: SAC, env: LinearQuadraticEnv) -> list[tuple[int, int]]:
    """How often acting, and storing with learning, sync host and device, in each of 30 env steps."""
    counts = []
    with torch.inference_mode():
        obs = env.get_observations()
        for _ in range(30):
            with CountSynchronisations() as acting:
                actions = sac.act(obs)
            with CountSynchronisations():  # on a device without numbers it answers what the environment asks
                obs, rewards, dones, extras = env.step(actions)
            with CountSynchronisations() as learning:
                sac.process_env_step(obs, rewards, dones, extras)
            counts.append((acting.count, learning.count))
    return counts


@pytest.mark.parametrize("backend", ["eager", "compiled"])
def test_one_look_at_the_device_per_vector_step(make_sac, monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    # the same calls from the host, without the minute that compiling takes
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    env = LinearQuadraticEnv(16, max_episode_length=7)
    sac = make_sac(env, learning_starts=64, replay_ratio=1 / 8, policy_delay=2, noise_hold=3, backend=backend)
    counts = looks_at_the_device(sac, env)
    assert sac.num_updates > 40
    assert counts[1:] == [(0, 1)] * 29, "acting none; storing and learning one"
    with CountSynchronisations() as counter:
        sac.update()
    assert counter.count == 3, "once per row of the log: losses, saturation and temperature"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n_steps": 3, "replay_storage": "uint8", "max_grad_norm": 1.0, "schedule": "linear", "noise_scale": (0.5, 2)},
        {"replay_storage": "float16", "ent_coef": 0.1, "actor_learning_starts": 200, "q_aggregation": "mean"},
    ],
)
def test_nothing_else_travels_between_host_and_device(train_cfg, monkeypatch, options: dict) -> None:
    """With tensors on a device of their own, though one without numbers: what goes there or comes from it shows."""
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)

    def descend(optimizer: torch.optim.Optimizer) -> None:
        # torch's fused optimizers, which keep their state on a GPU, are not for this device
        parameters = optimizer.param_groups[0]["params"]
        torch._foreach_sub_([p.data for p in parameters], [p.grad for p in parameters])

    monkeypatch.setattr(torch.optim.AdamW, "step", descend)
    monkeypatch.setattr(torch.optim.Adam, "step", descend)
    env = LinearQuadraticEnv(16, max_episode_length=7, device="meta")
    cfg = train_cfg(learning_starts=64, replay_ratio=1 / 8, policy_delay=2, noise_hold=3, backend="compiled", **options)
    sac = SAC.construct_algorithm(env.get_observations(), env, cfg, "meta")
    counts = looks_at_the_device(sac, env)
    assert sac.num_updates > 40 and all(p.is_meta for p in sac.critic.parameters())
    assert counts[1:] == [(0, 1)] * 29, "acting none; storing and learning one"


def test_a_timeout_without_its_last_observation_is_an_error(make_sac) -> None:
    env = LinearQuadraticEnv(4)
    sac = make_sac(env)
    obs = env.get_observations()
    sac.act(obs)
    ones = torch.ones(4)
    with pytest.raises(ValueError, match="last observation is missing"):
        sac.process_env_step(obs, ones, ones, {"time_outs": ones})
    assert len(sac.storage) == 0


def test_the_replay_ratio_goes_linearly_to_its_end(make_sac) -> None:
    env = LinearQuadraticEnv(8)
    sac = make_sac(
        env,
        replay_ratio=1 / 2,
        replay_ratio_end=1 / 8,
        schedule_steps=800,
        batch_size=8,
        learning_starts=0,
        train_freq=1,
    )
    counts = []
    for _ in range(200):
        run(sac, env, 1)
        counts.append(sac.num_updates)
    expected = [8 * (1 / 2 + min(1.0, (8 * (i + 1)) / 800) * (1 / 8 - 1 / 2)) for i in range(200)]
    assert counts == pytest.approx([sum(expected[: i + 1]) for i in range(200)], abs=1.001)
    assert counts[-1] - counts[-101] == 100, "an eighth of 8 transitions a step at the end"
