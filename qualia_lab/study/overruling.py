"""The lines that overrule what is inferred, as a command takes them and as a notebook's cell has them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Lines:
    """Each with `{key}` where a metric's name stands.

    pool: makes experiments one task.  name: names a metric that leads, where none can.  choose: makes this one lead.
    unknown: says which way is better of a metric.
    """

    pool: str
    name: str
    choose: str
    unknown: str


FLAGS = Lines(
    pool="--pool makes them one.",
    name="Name one with --metric METRIC:max or METRIC:min.",
    choose="To choose one: --metric '{key}'",
    unknown='Say it in [tool.qualia.metrics] of pyproject.toml: "{key}" = "higher"',
)
CELL = Lines(
    pool="POOL = True makes them one.",
    name='Name one: PRIMARY_METRIC = "METRIC" and GREATER_IS_BETTER = True or False.',
    choose='To choose one: PRIMARY_METRIC = "{key}"',
    unknown='Say it: GREATER_IS_BETTER = {{"{key}": True}}',
)
