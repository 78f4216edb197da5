# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""What the learners need of Isaac Lab's environments of both kinds: spaces, ends of episodes, final observations."""
