# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""A directive that compares the presets of SAC, as the code has them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


def flat(cfg: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Options of nested configurations, by their names on the command line."""
    for field in dataclasses.fields(cfg):
        value = getattr(cfg, field.name)
        if isinstance(value, type(dataclasses.MISSING)):
            continue  # what rsl_rl no longer has
        if dataclasses.is_dataclass(value):
            yield from flat(value, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", value


class Presets(SphinxDirective):
    """``.. presets:: ROBOT``: the options in which the presets of a robot differ."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        from isaaclab_offpolicy.agents.presets import sac, sac_cpu
        from isaaclab_offpolicy.agents.robots import ROBOTS

        self.env.note_reread()  # the code may have changed
        robot = ROBOTS[self.arguments[0]]
        columns = {
            "``sac-gpu``, flat": sac(robot, rough=False),
            "``sac-gpu``, rough": sac(robot, rough=True),
            "``sac-cpu``": sac_cpu(sac(robot, rough=False), robot),
        }
        options = [dict(flat(cfg)) for cfg in columns.values()]
        names = [name for name in options[0] if len({repr(values[name]) for values in options}) > 1]
        lines = [".. list-table::", "   :header-rows: 1", "", "   * - option"]
        lines += [f"     - {column}" for column in columns]
        for name in names:
            if name not in ("experiment_name", "algorithm.percentile_bounds"):
                lines.append(f"   * - ``{name}``")
                lines += [f"     - {_shown(values[name])}" for values in options]
        return self.parse_text_to_nodes("\n".join(lines))


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("presets", Presets)
    return {"parallel_read_safe": True}
