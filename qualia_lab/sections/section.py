"""Section: one chapter of a notebook, decided from names and counts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from qualia_lab.analysis.direction import rank_metrics
from qualia_lab.analysis.groups import is_seed_like

if TYPE_CHECKING:
    from collections.abc import Callable

    from qualia_lab.inventory import Inventory, MetricCount
    from qualia_lab.selection import Selection

# A run past this place has no cell of its own; any run can be shown by its id.
RUNS_SHOWN = 25

# Metrics and params past these places are in the tables, and not drawn unless a person adds them.
METRICS_DRAWN = 6
PARAMS_DRAWN = 6

# What a run id has to look like to stand in a cell: then it can be nothing but itself there.
PLAIN_RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True)
class PlannedCell:
    """A cell to be built. `key` names it for ever, whatever its source and place become."""

    key: str
    kind: Literal["code", "markdown"]
    source: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Brief:
    """All that a section may know: the title, the ISO date of writing, which runs, and what is counted in them."""

    title: str
    written: str
    selection: Selection
    inventory: Inventory

    @property
    def drawn_metrics(self) -> tuple[str, ...]:
        """The metrics that are compared: the primary one, then those that most runs have."""
        return tuple(metric.key for metric in self._ranked_metrics()[:METRICS_DRAWN])

    @property
    def drawn_curves(self) -> tuple[str, ...]:
        """The metrics whose history is drawn, in the same order: those that were logged past their first step."""
        return tuple(metric.key for metric in self._ranked_metrics() if metric.stepped)[:METRICS_DRAWN]

    def _ranked_metrics(self) -> list[MetricCount]:
        return rank_metrics(self.inventory, self.selection.primary_metric)

    @property
    def seeds(self) -> tuple[str, ...]:
        """The params that only repeat a configuration: those that were said, else those that look like it."""
        if self.selection.seeds is not None:
            return self.selection.seeds
        return tuple(param.key for param in self.inventory.params if is_seed_like(param.key))

    @property
    def drawn_params(self) -> tuple[str, ...]:
        """The params with several values that are drawn: seed-like ones last, then those that most runs have first."""
        ranked = sorted(
            (param for param in self.inventory.params if param.values > 1),
            key=lambda param: (param.key in self.seeds, -param.runs, param.values, param.key),
        )
        return tuple(param.key for param in ranked[:PARAMS_DRAWN])

    @property
    def shown_runs(self) -> tuple[str, ...]:
        """The runs that get a cell of their own, in the selection's order."""
        plain = [run_id for run_id in self.inventory.run_ids if PLAIN_RUN_ID.fullmatch(run_id)]
        return tuple(plain[:RUNS_SHOWN])


@dataclass(frozen=True)
class Section:
    """A chapter. `why_not` gives the reason to leave it out, or None; `cells` are only asked for when there is none.

    over: what it is about, runs that were read or aggregates of an engine.
    """

    name: str
    title: str
    cells: Callable[[Brief], tuple[PlannedCell, ...]]
    why_not: Callable[[Brief], str | None] = lambda _: None
    over: Literal["runs", "engine", "both"] = "runs"


def markdown(key: str, source: str) -> PlannedCell:
    """A Markdown cell; text of a store in it has to be escaped already."""
    return PlannedCell(key, "markdown", source)


def code(key: str, source: str, *tags: str) -> PlannedCell:
    """A code cell; no text of a store may be in it."""
    return PlannedCell(key, "code", source, tags)
