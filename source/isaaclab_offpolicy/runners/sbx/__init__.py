# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""SBX integration: the published recipe with SBX and Stable-Baselines3. Needs the extra ``sbx`` of this package."""
