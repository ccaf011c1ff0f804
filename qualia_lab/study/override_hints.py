"""How to override what is inferred: by the flags of a command, or in a cell of a notebook."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class OverrideHints:
    """Hints that are shown with the sentences about a study; `{key}` is replaced by the key of a metric.

    Attributes:
        pool: how to make all experiments one task.
        name: how to name an objective if no metric can be one.
        choose: how to choose this metric as the objective.
        unknown: how to give the direction of a metric.
    """

    pool: str
    name: str
    choose: str
    unknown: str


FLAGS = OverrideHints(
    pool="--pool makes them one.",
    name="Name one with --metric METRIC:max or METRIC:min.",
    choose="To choose one: --metric '{key}'",
    unknown='Set it in [tool.qualia.metrics] of pyproject.toml: "{key}" = "higher"',
)
CELL = OverrideHints(
    pool="POOL = True makes them one.",
    name='Name one: PRIMARY_METRIC = "METRIC" and GREATER_IS_BETTER = True or False.',
    choose='To choose one: PRIMARY_METRIC = "{key}"',
    unknown='Set it: GREATER_IS_BETTER = {{"{key}": True}}',
)
