"""Section: one chapter of a notebook, decided from names and counts."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from qualia_lab.study.ranking import rank_metrics

if TYPE_CHECKING:
    from collections.abc import Callable

    from qualia_lab.inventory import Inventory, MetricCount
    from qualia_lab.selection import Selection
    from qualia_lab.study.study import Configuration, Objective, Study

# A run past this place has no cell of its own; any run can be shown by its id.
RUNS_SHOWN = 25

# Metrics and params past these places are in the tables, and not drawn unless a person adds them.
METRICS_DRAWN = 6
PARAMS_DRAWN = 6
_TRAINING_DRAWN = 2  # metrics of training data that are drawn in any case

_DRAWN = ("factor", "tied", "seed")  # roles, in this order

# What a run id has to look like to stand in a cell: then it can be nothing but itself there.
PLAIN_RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True)
class PlannedCell:
    """A cell to be built. `key` names it for ever, whatever its source and place become."""

    key: str
    kind: Literal["code", "markdown", "raw"]
    source: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Brief:
    """All that a section may know: which runs, what is counted, and how to look at them.

    written: the ISO date of writing.  command: the command line that makes the notebook again.
    """

    title: str
    written: str
    command: str
    selection: Selection
    inventory: Inventory
    study: Study

    @property
    def objective(self) -> Objective | None:
        """The metric that leads, where it is the same in all experiments."""
        return self.study.objective

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """Those of all experiments, each once."""
        return tuple(dict.fromkeys(task.objective for task in self.study.tasks if task.objective))

    @property
    def directed(self) -> bool:
        """Whether it is known which way is better of every metric that leads."""
        return bool(self.objectives) and all(one.better is not None for one in self.objectives)

    @cached_property
    def drawn_metrics(self) -> tuple[str, ...]:
        """The metrics that are compared: objectives, then the same on training data, then what runs cost."""
        return self._drawn([metric.key for metric in self._ranked_metrics])

    @cached_property
    def drawn_curves(self) -> tuple[str, ...]:
        """The metrics whose history is drawn, in the same order: those that were logged past their first step."""
        return self._drawn([metric.key for metric in self._ranked_metrics if metric.stepped])

    def _drawn(self, ranked: list[str]) -> tuple[str, ...]:
        """The first of these metrics; where there are many objectives, two places are kept for training data."""
        known = self.study.metric
        objectives = [key for key in ranked if known[key].role == "objective"]
        twins = [
            key for key in ranked if known[key].role == "training" and known[key].twin in objectives[:METRICS_DRAWN]
        ]
        first = [*objectives[: METRICS_DRAWN - min(len(twins), _TRAINING_DRAWN)], *twins]
        return tuple(dict.fromkeys([*first, *ranked]))[:METRICS_DRAWN]

    @cached_property
    def _ranked_metrics(self) -> list[MetricCount]:
        return rank_metrics(self.study, self.inventory)

    @cached_property
    def drawn_params(self) -> tuple[str, ...]:
        """The params and tags with several values that are drawn: factors, then what only repeats them; no labels."""
        ranked = sorted(
            (one for one in (*self.study.params, *self.study.tags) if one.role in _DRAWN and one.values > 1),
            key=lambda one: (_DRAWN.index(one.role), -one.runs, one.values, one.name),
        )
        return tuple(one.name for one in ranked[:PARAMS_DRAWN])

    def counted(self, configuration: Configuration) -> int:
        """How many runs of a configuration take part in comparisons."""
        return sum(run_id not in self.study.left_out for run_id in configuration.run_ids)

    @cached_property
    def most_configurations(self) -> int:
        """Of the experiment with the most of them: how many configurations have a run that counts."""
        of_task = Counter(one.experiment_id for one in self.study.configurations if self.counted(one))
        return max(of_task.values(), default=0)

    @cached_property
    def repeated(self) -> int:
        """How many configurations have two runs or more that count."""
        return sum(self.counted(one) > 1 for one in self.study.configurations)

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


def fixed_section(
    name: str,
    title: str,
    text: str,
    cells: dict[str, str],
    why_not: Callable[[Brief], str | None] = lambda _: None,
    *,
    over: Literal["runs", "engine", "both"] = "runs",
) -> Section:
    """A section that is the same in every notebook: its title, a text, and code cells.

    Args:
        name: what a template calls it, and the start of the keys of its cells.
        title: its heading.
        text: Markdown below the heading, or "".
        cells: sources of code by what stands behind `name:` in the cell's key; of the key "" the cell is `name` itself.
        why_not: the reason to leave it out.
        over: runs that were read, aggregates of an engine, or both.
    """
    made = (
        markdown(f"{name}:heading", f"## {title}\n\n{text}" if text else f"## {title}"),
        *(code(f"{name}:{part}" if part else name, source) for part, source in cells.items()),
    )
    return Section(name, title, lambda _: made, why_not, over)
