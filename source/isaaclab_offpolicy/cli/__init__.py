# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""The commands. Importing this package sets what their processes need before torch is loaded."""

import os

# Threads of torch and of the kernels that wait for one another shall sleep soon. As OpenMP is left to itself they spin
# for milliseconds, and beside another process the one that is waited for does not get a core: docs, "Benchmarks".
# OpenMP reads this once, when it is loaded.
if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & set(os.environ):
    os.environ["GOMP_SPINCOUNT"] = "300"
# rsl_rl's logger stores the repository's state; without a git program it shall leave that out, and not fail
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
