# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""What recording actions for bounds costs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path


def measure_recording(actions: int, num_actions: int, device: str) -> dict[str, float]:
    """Measure the recorder of actions with heavy-tailed actions whose middle wanders, 4096 at a time.

    Args:
        actions: Number of actions.
        num_actions: Number of joints.
        device: Device of the actions and of the histogram.

    Returns:
        ``actions_per_second``; ``memory_mib``, how much more memory the process (on a GPU: the device) had while it
        recorded, at most, than before [MiB]; ``error_percent``, the largest difference of the 2.5 and 97.5 percentiles
        from numpy's on the same actions, in percent of the joint's range.
    """
    import numpy as np
    import torch

    from isaaclab_offpolicy.action_bounds.recording import ActionRecorder

    def batches() -> Iterator[torch.Tensor]:
        generator = torch.Generator(device).manual_seed(1)
        spread = torch.logspace(-1.0, 1.0, num_actions, device=device)
        for start in range(0, actions, 4096):
            shape = (min(4096, actions - start), num_actions)
            normal = torch.randn(shape, generator=generator, device=device)
            # a normal over the root of an exponential has Student's tails: seldom, a joint is thrown far
            tail = torch.rand((shape[0], 1), generator=generator, device=device).clamp(min=1e-6).log().neg().sqrt()
            yield spread * (normal / tail.clamp(min=0.3) + np.sin(6.0 * start / actions))

    cuda = torch.device(device).type == "cuda"

    def memory() -> float:
        if cuda:
            torch.cuda.synchronize()
            return torch.cuda.max_memory_allocated() / 2**20
        resident = Path("/proc/self/statm").read_text().split()[1]
        return int(resident) * os.sysconf("SC_PAGE_SIZE") / 2**20

    recorder = ActionRecorder([f"joint_{i}" for i in range(num_actions)], device=device)
    first = next(batches())
    for _ in range(3):
        ActionRecorder(recorder.joint_names, device=device).add(first)  # what the libraries take once and for all
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    before, most, elapsed = memory(), 0.0, 0.0
    for batch in batches():
        start = time.perf_counter()
        recorder.add(batch)
        most = max(most, memory())  # waits for the device
        elapsed += time.perf_counter() - start
    low, high = recorder.histogram.percentiles((2.5, 97.5)).cpu().numpy()
    error, end = 0.0, 0
    data = np.empty((num_actions, actions), np.float32)
    for batch in batches():
        data[:, end : end + len(batch)] = batch.T.cpu().numpy()
        end += len(batch)
    for joint, ours in zip(data, np.stack((low, high), axis=1), strict=True):
        expected = np.percentile(joint, (2.5, 97.5))
        error = max(error, float(np.abs(ours - expected).max() / (joint.max() - joint.min())))
    return {"actions_per_second": actions / elapsed, "memory_mib": most - before, "error_percent": 100.0 * error}
