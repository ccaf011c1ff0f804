"""Runs that did not finish, drawn as rings: their values are not those of finished runs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.charts.marks import Points

RING_LABEL = "not finished"


def mark_unfinished(points: Points, unfinished: Mapping[str, str]) -> list[Points]:
    """Return points of single runs, with those of unfinished runs as rings that say the status.

    Args:
        points: the points, with a text and a run each.
        unfinished: the status of each run that did not finish, by run id.
    """
    rings = [place for place, run_id in enumerate(points.runs) if run_id in unfinished]
    if not rings:
        return [points]
    others = [place for place, run_id in enumerate(points.runs) if run_id not in unfinished]
    texts = tuple(f"{points.texts[place]} ({unfinished[points.runs[place]].lower()})" for place in rings)
    marked = replace(_chosen(points, rings), texts=texts, symbol="ring", label=RING_LABEL)
    return [_chosen(points, others), marked] if others else [marked]


def _chosen(points: Points, places: Sequence[int]) -> Points:
    """Return some of the points."""
    return replace(
        points,
        x=points.x[places],
        y=points.y[places],
        colours=tuple(points.colours[place] for place in places) if len(points.colours) > 1 else points.colours,
        texts=tuple(points.texts[place] for place in places),
        runs=tuple(points.runs[place] for place in places),
    )
