"""The chapters of a notebook on aggregates: what an engine computes of more runs than are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.sections.literal import assignment
from qualia_lab.sections.reasons import no_metric, no_objective, no_steps
from qualia_lab.sections.section import Brief, PlannedCell, Section, code, fixed_section, markdown

if TYPE_CHECKING:
    from qualia_lab.sections.literal import Literal

_SETUP = """\
import pandas as pd
from qualia_lab import load_aggregates

pd.set_option("display.max_columns", 60, "display.max_rows", 60, "display.min_rows", 30, "display.precision", 4)
pd.set_option("display.max_colwidth", 80, "display.html.use_mathjax", False)"""

_CONFIGURATION = """\
## Configuration

What the cells below work on: change it and run them again. `ENGINE` computes: `duckdb` here, or `spark`,
`spark://HOST:PORT`, `sc://HOST:PORT`. `METRICS`, `CURVES` and `PARAMS` are those that are shown."""

_LOADING = """\
aggregates = load_aggregates(
    TRACKING_URI, ENGINE, experiments=EXPERIMENTS, filter=FILTER, run_ids=RUN_IDS,
    primary_metric=PRIMARY_METRIC, greater_is_better=GREATER_IS_BETTER,
)
aggregates"""

_EXPLORATION = """\
| name | what it is |
|---|---|
| `aggregates.metrics()`, `.params()`, `.experiments()`, `.statuses()` | DataFrames, a row per thing |
| `aggregates.top_runs(metric, 50, statistic="lowest")` | the best runs by a statistic of their history |
| `aggregates.plot_band(metric, by=param)`, `.plot_param(param, metric)` | charts of aggregates |
| `aggregates.engine` | the same as Arrow tables, and `metric_statistics(metric)`, `param_ranges(metric, param)` |
| `load_runs(TRACKING_URI, run_ids)` | of a few runs everything, from `qualia_lab` |"""


def parameters(brief: Brief) -> dict[str, Literal]:
    """The assignments of the `parameters` cell."""
    selection, objective = brief.selection, brief.objective
    return {
        "TRACKING_URI": selection.tracking_uri,
        "ENGINE": selection.engine,
        "EXPERIMENTS": list(selection.experiments),
        "FILTER": selection.query.filter,
        "RUN_IDS": list(selection.run_ids) if selection.needs_ids else None,
        "PRIMARY_METRIC": objective.key if objective else None,
        "GREATER_IS_BETTER": objective.greater_is_better if objective else None,
        "METRICS": list(brief.drawn_metrics),
        "CURVES": list(brief.drawn_curves),
        "PARAMS": list(brief.drawn_params),
    }


def _configuration(brief: Brief) -> tuple[PlannedCell, ...]:
    source = "\n".join(assignment(name, value) for name, value in parameters(brief).items())
    return (markdown("aggregate_configuration:heading", _CONFIGURATION), code("parameters", source, "parameters"))


def _no_direction(brief: Brief) -> str | None:
    if brief.objectives and not brief.directed:
        return "whether more of the primary metric is better cannot be told from its name; say --by METRIC:max"
    return no_objective(brief)


def _no_params(brief: Brief) -> str | None:
    return no_objective(brief) or (None if brief.drawn_params else "no param has two values")


SECTIONS = (
    fixed_section("aggregate_setup", "Setup", "", {"": _SETUP}, over="engine"),
    Section("aggregate_configuration", "Configuration", _configuration, over="engine"),
    fixed_section(
        "aggregate_loading",
        "Opening",
        "Nothing is read yet: every cell below asks the engine for a small table.",
        {"": _LOADING},
        over="engine",
    ),
    fixed_section(
        "aggregate_overview",
        "Overview",
        "",
        {"": "aggregates.experiments()", "1": "aggregates.statuses()"},
        over="engine",
    ),
    fixed_section(
        "aggregate_metrics",
        "Metrics",
        "How the latest values of the runs spread. Of `runs` that have a metric, `n` have a finite latest value; "
        "`points` were logged, `not_finite` of them NaN or infinite.",
        {"": "aggregates.metrics(METRICS)"},
        no_metric,
        over="engine",
    ),
    fixed_section(
        "aggregate_top",
        "Best runs",
        "",
        {"": "aggregates.top_runs(PRIMARY_METRIC, 20, params=PARAMS)"},
        _no_direction,
        over="engine",
    ),
    fixed_section(
        "aggregate_progress",
        "Best so far",
        "The runs that were better than every one that started before them.",
        {"": "aggregates.best_so_far(PRIMARY_METRIC)"},
        _no_direction,
        over="engine",
    ),
    fixed_section(
        "aggregate_curves",
        "Metrics over steps",
        "",
        {"": "for metric in CURVES:\n    display(aggregates.plot_band(metric))"},
        no_steps,
        over="engine",
    ),
    fixed_section(
        "aggregate_curves_by",
        "Metrics over steps, by a param",
        "The first of `CURVES`, for the most frequent values of each param.",
        {"": "for param in PARAMS[:3]:\n    display(aggregates.plot_band(CURVES[0], by=param))"},
        lambda brief: no_steps(brief) or _no_params(brief),
        over="engine",
    ),
    fixed_section(
        "aggregate_params",
        "Params and the primary metric",
        "",
        {"": "for param in PARAMS:\n    display(aggregates.plot_param(param, PRIMARY_METRIC))"},
        _no_params,
        over="engine",
    ),
    fixed_section("aggregate_exploration", "Free exploration", _EXPLORATION, {"": ""}, over="engine"),
)
