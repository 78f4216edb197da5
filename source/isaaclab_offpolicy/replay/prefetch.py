# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""A replay buffer in host memory, for a learner on a device that is too small for it."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, cast

import torch

from .buffer import ReplayBatch, ReplayBuffer, SampleIndices


class PrefetchingReplayBuffer(ReplayBuffer):
    """Gathers the next update phase's transitions in a thread of its own, and copies them to the learner's device.

    A phase then learns from transitions that were there when the phase before it began.

    Args:
        *args: As for :class:`ReplayBuffer`.
        learner_device: The learner's device.
        **kwargs: As for :class:`ReplayBuffer`.
    """

    def __init__(self, *args: Any, learner_device: torch.device, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._learner_device = learner_device
        self._thread = ThreadPoolExecutor(1, "replay")
        self._next: tuple[tuple[int, int], Future[ReplayBatch]] | None = None
        self._stream = torch.cuda.Stream(learner_device) if learner_device.type == "cuda" else None

    def sample(self, gradient_steps: int, batch_size: int, following: int = 0, env_steps: int = 0) -> ReplayBatch:
        """As :meth:`ReplayBuffer.sample`, on the learner's device, and a start on the batches of the next phase."""
        ahead, self._next = self._next, None
        if ahead is not None and ahead[0] == (gradient_steps, batch_size):
            batch = ahead[1].result()
        else:
            batch = self._fetch(self.sample_indices(gradient_steps, batch_size))
        if self._stream is not None:
            # memory that the copying stream owns is not given out again before this stream is done with it
            for tensor in (*batch.obs.values(), *batch.next_obs.values(), *batch[1:3], *batch[4:]):
                cast(torch.Tensor, tensor).record_stream(torch.cuda.current_stream(self._learner_device))
        # the rows that will be overwritten meanwhile are not read
        if following and self.rows > env_steps + 1:
            indices = self.sample_indices(following, batch_size, spare=env_steps)
            self._next = ((following, batch_size), self._thread.submit(self._fetch, indices))
        return batch

    def drop_prefetched(self) -> None:
        """As :meth:`ReplayBuffer.drop_prefetched`."""
        if self._next is not None:
            self._next[1].result()
            self._next = None

    def _fetch(self, indices: SampleIndices) -> ReplayBatch:
        with torch.no_grad():
            batch = self.gather(indices)
            if self._stream is None:
                return batch

            def move(tensor: torch.Tensor) -> torch.Tensor:
                tensor = tensor.pin_memory() if tensor.device.type == "cpu" else tensor
                return tensor.to(self._learner_device, non_blocking=True)

            with torch.cuda.device(self._learner_device), torch.cuda.stream(self._stream):
                obs, next_obs = (
                    {group: move(tensor) for group, tensor in groups.items()} for groups in (batch.obs, batch.next_obs)
                )
                rest = {name: move(getattr(batch, name)) for name in ("action", "reward", "discount", "weight")}
            done = torch.cuda.Event()
            done.record(self._stream)
            done.synchronize()  # in this thread; nobody else waits
            return ReplayBatch(obs=obs, next_obs=next_obs, **rest)
