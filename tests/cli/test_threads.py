# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""How the threads of a command wait for one another."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = "import sys, isaaclab_offpolicy.cli; assert 'torch' not in sys.modules; import torch; torch.zeros(1)"


@pytest.mark.parametrize(
    ("given", "spins"),
    [({}, "300"), ({"GOMP_SPINCOUNT": "77"}, "77"), ({"OMP_WAIT_POLICY": "PASSIVE"}, "0")],
)
def test_threads_sleep_soon_unless_the_user_says_otherwise(given: dict[str, str], spins: str) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "GOMP_"))}
    # what the library has understood, as it says itself
    environment |= {"OMP_DISPLAY_ENV": "VERBOSE", **given}
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=200
    )
    assert result.returncode == 0, result.stderr
    if "GOMP_SPINCOUNT" not in result.stderr:
        pytest.skip("torch is built with another OpenMP than GNU's here")
    assert f"GOMP_SPINCOUNT = '{spins}'" in result.stderr
