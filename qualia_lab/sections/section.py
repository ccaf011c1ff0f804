"""Section: a part of a notebook, planned from names and counts only."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from qualia_lab.masking.privacy import EVERYTHING_SHOWN
from qualia_lab.study.ranking import rank_metrics

if TYPE_CHECKING:
    from collections.abc import Callable

    from qualia_lab.inventory import Inventory, MetricCount
    from qualia_lab.masking.privacy import Privacy
    from qualia_lab.selection import Selection
    from qualia_lab.study.study import Configuration, Objective, Study

# Runs with a cell of their own; any other run can be shown by its id.
RUNS_SHOWN = 25

# Further metrics and params are in the tables, but not drawn unless the user adds them.
METRICS_DRAWN = 6
PARAMS_DRAWN = 6
_TRAINING_DRAWN = 2  # metrics of training data that are always drawn

CellKind = Literal["code", "markdown", "raw"]
DataSource = Literal["runs", "engine", "both", "traces", "runs or traces", "all"]

_DRAWN = ("factor", "seed")  # roles, in this order; a tied param would be drawn as the one that it is tied to

# Only run ids of this form are written into cells, so that an id cannot contain code.
PLAIN_RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True)
class PlannedCell:
    """A cell to be built. `key` identifies it permanently, whatever its source and position."""

    key: str
    kind: CellKind
    source: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class SectionContext:
    """The input of a section: the runs, their counts, and their interpretation.

    Attributes:
        title: the title of the notebook.
        written: the ISO date in the title.
        command: the command line that recreates the notebook.
        selection: the selected runs.
        inventory: names and counts of what the runs have.
        study: the interpretation of the runs.
        privacy: what of people's words is left out.
    """

    title: str
    written: str
    command: str
    selection: Selection
    inventory: Inventory
    study: Study
    privacy: Privacy = EVERYTHING_SHOWN

    @property
    def data_source(self) -> Literal["runs", "engine", "traces"]:
        """What the notebook is about: runs that are read, aggregates of an engine, or traces."""
        if self.selection.traces is not None:
            return "traces"
        return "runs" if self.selection.engine is None else "engine"

    @property
    def objective(self) -> Objective | None:
        """The primary metric if it is the same in all experiments, else None."""
        return self.study.objective

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """The primary metrics of all experiments, each once."""
        return tuple(dict.fromkeys(task.objective for task in self.study.tasks if task.objective))

    @property
    def directions_known(self) -> bool:
        """Whether the directions of all primary metrics are known."""
        return bool(self.objectives) and all(one.better is not None for one in self.objectives)

    @cached_property
    def drawn_metrics(self) -> tuple[str, ...]:
        """The metrics that are compared: objectives, then the same on training data, then costs."""
        return self._drawn([metric.key for metric in self._ranked_metrics])

    @cached_property
    def drawn_curves(self) -> tuple[str, ...]:
        """The metrics whose history is drawn, in the same order: those logged at more than one step.

        Counters such as `epoch` and schedules such as `lr` are left out, unless there is nothing else.
        """
        stepped = [metric.key for metric in self._ranked_metrics if metric.stepped]
        return self._drawn([key for key in stepped if self.study.metric[key].role != "count"] or stepped)

    def _drawn(self, ranked: list[str]) -> tuple[str, ...]:
        """Return the first of these metrics; two places are reserved for training data if there are many objectives."""
        metrics = self.study.metric
        objectives = [key for key in ranked if metrics[key].role == "objective"]
        training = [
            key for key in ranked if metrics[key].role == "training" and metrics[key].twin in objectives[:METRICS_DRAWN]
        ]
        leading = [*objectives[: METRICS_DRAWN - min(len(training), _TRAINING_DRAWN)], *training]
        return tuple(dict.fromkeys([*leading, *ranked]))[:METRICS_DRAWN]

    @cached_property
    def _ranked_metrics(self) -> list[MetricCount]:
        return rank_metrics(self.study, self.inventory.model_metrics)

    @cached_property
    def drawn_params(self) -> tuple[str, ...]:
        """The params and tags with several values that are drawn: factors, then seeds; no labels."""
        ranked = sorted(
            (one for one in (*self.study.params, *self.study.tags) if one.role in _DRAWN and one.values > 1),
            key=lambda one: (_DRAWN.index(one.role), -one.runs, one.values, one.name),
        )
        return tuple(one.name for one in ranked[:PARAMS_DRAWN])

    def counted_runs(self, configuration: Configuration) -> int:
        """Return how many runs of a configuration take part in comparisons."""
        return sum(run_id not in self.study.left_out for run_id in configuration.run_ids)

    @cached_property
    def max_configurations(self) -> int:
        """The number of configurations with a run that counts, in the experiment that has the most of them."""
        counts = Counter(one.experiment_id for one in self.study.configurations if self.counted_runs(one))
        return max(counts.values(), default=0)

    @cached_property
    def repeated_configurations(self) -> int:
        """The number of configurations with two or more runs that count."""
        return sum(self.counted_runs(one) > 1 for one in self.study.configurations)

    @property
    def shown_runs(self) -> tuple[str, ...]:
        """The runs that get a cell of their own, in the order of the selection."""
        plain = [run_id for run_id in self.inventory.run_ids if PLAIN_RUN_ID.fullmatch(run_id)]
        return tuple(plain[:RUNS_SHOWN])


@dataclass(frozen=True)
class Section:
    """A part of a notebook.

    Attributes:
        name: the name in templates.
        title: the heading.
        cells: plans the cells; called only if there is no reason to leave out the section.
        skip_reason: returns the reason to leave out the section, or None.
        data_source: the data that the section needs: runs that are read, aggregates of an engine, either of them,
            traces without runs, runs or traces, or any of these.
    """

    name: str
    title: str
    cells: Callable[[SectionContext], tuple[PlannedCell, ...]]
    skip_reason: Callable[[SectionContext], str | None] = lambda _: None
    data_source: DataSource = "runs"


def markdown(key: str, source: str) -> PlannedCell:
    """Return a Markdown cell; strings of a store in it have to be escaped already."""
    return PlannedCell(key, "markdown", source)


def code(key: str, source: str, *tags: str) -> PlannedCell:
    """Return a code cell; it must not contain strings of a store."""
    return PlannedCell(key, "code", source, tags)


def fixed_section(
    name: str,
    title: str,
    text: str,
    cells: dict[str, str],
    skip_reason: Callable[[SectionContext], str | None] = lambda _: None,
    *,
    data_source: DataSource = "runs",
) -> Section:
    """Return a section that is the same in every notebook: a heading, a text, and code cells.

    Args:
        name: the name in templates, and the prefix of the keys of its cells.
        title: the heading.
        text: Markdown below the heading, or "".
        cells: {suffix: source} of the code cells, with keys `name:suffix`, or `name` for the suffix "".
        skip_reason: returns the reason to leave out the section, or None.
        data_source: the data that the section needs, see `Section`.
    """
    planned_cells = (
        markdown(f"{name}:heading", f"## {title}\n\n{text}" if text else f"## {title}"),
        *(code(f"{name}:{suffix}" if suffix else name, source) for suffix, source in cells.items()),
    )
    return Section(name, title, lambda _: planned_cells, skip_reason, data_source)
