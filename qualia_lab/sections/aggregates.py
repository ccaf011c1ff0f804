"""Sections of a notebook on aggregates, which an engine computes for more runs than can be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.sections.literal import assignment
from qualia_lab.sections.reasons import no_metric, no_objective, no_steps
from qualia_lab.sections.section import PlannedCell, Section, SectionContext, code, fixed_section, markdown

if TYPE_CHECKING:
    from qualia_lab.sections.literal import Literal

_SETUP = """\
import pandas as pd
from qualia_lab import load_aggregates, show_missing_as_dashes

pd.set_option("display.max_columns", 60, "display.max_rows", 60, "display.min_rows", 30, "display.precision", 4)
pd.set_option("display.max_colwidth", 80, "display.html.use_mathjax", False)
show_missing_as_dashes()  # in tables: a dash is a missing value, NaN is a logged NaN"""

_CONFIGURATION = """\
## Configuration

The input of the cells below: change it and run them again. `ENGINE` computes the aggregates: `duckdb` here, or `spark`,
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
| `aggregates.metrics()`, `.params()`, `.experiments()`, `.statuses()` | DataFrames with a row per item |
| `aggregates.top_runs(metric, 50, statistic="lowest")` | the best runs by a statistic of their history |
| `aggregates.plot_band(metric, by=param)`, `.plot_param(param, metric)` | charts of aggregates |
| `aggregates.engine` | the same as Arrow tables, and `metric_statistics(metric)`, `param_ranges(metric, param)` |
| `load_runs(TRACKING_URI, run_ids)` | all data of a few runs, from `qualia_lab` |"""


def parameters(context: SectionContext) -> dict[str, Literal]:
    """Return the values of the `parameters` cell by name."""
    selection, objective = context.selection, context.objective
    return {
        "TRACKING_URI": selection.tracking_uri,
        "ENGINE": selection.engine,
        "EXPERIMENTS": list(selection.experiments),
        "FILTER": selection.query.filter,
        "RUN_IDS": list(selection.run_ids) if selection.needs_ids else None,
        "PRIMARY_METRIC": objective.key if objective else None,
        "GREATER_IS_BETTER": objective.greater_is_better if objective else None,
        "METRICS": list(context.drawn_metrics),
        "CURVES": list(context.drawn_curves),
        "PARAMS": [*_drawn_params(context)],
    }


def _configuration(context: SectionContext) -> tuple[PlannedCell, ...]:
    source = "\n".join(assignment(name, value) for name, value in parameters(context).items())
    return (markdown("aggregate_configuration:heading", _CONFIGURATION), code("parameters", source, "parameters"))


def _no_direction(context: SectionContext) -> str | None:
    if context.objectives and not context.directions_known:
        return "the direction of the primary metric is not known from its name; set it with --by METRIC:max"
    return no_objective(context)


def _no_params(context: SectionContext) -> str | None:
    return no_objective(context) or (None if _drawn_params(context) else "no param has two values to compare")


def _drawn_params(context: SectionContext) -> list[str]:
    """Return the params that are drawn, without those that only repeat configurations."""
    return [name for name in context.drawn_params if name not in context.study.seeds]


SECTIONS = (
    fixed_section("aggregate_setup", "Setup", "", {"": _SETUP}, data_source="engine"),
    Section("aggregate_configuration", "Configuration", _configuration, data_source="engine"),
    fixed_section(
        "aggregate_loading",
        "Opening",
        "Nothing is read yet: each cell below queries the engine for a small table.",
        {"": _LOADING},
        data_source="engine",
    ),
    fixed_section(
        "aggregate_overview",
        "Overview",
        "",
        {"": "aggregates.experiments()", "1": "aggregates.statuses()"},
        data_source="engine",
    ),
    fixed_section(
        "aggregate_metrics",
        "Metrics",
        "The distribution of the latest values. `runs` have the metric, `n` of them with a finite latest value; "
        "`points` were logged, `not finite` of them NaN or infinite.",
        {"": "aggregates.metrics(METRICS)"},
        no_metric,
        data_source="engine",
    ),
    fixed_section(
        "aggregate_top",
        "Best runs",
        "",
        {"": "aggregates.top_runs(PRIMARY_METRIC, 20, params=PARAMS)"},
        _no_direction,
        data_source="engine",
    ),
    fixed_section(
        "aggregate_progress",
        "Best so far",
        "The runs that were better than every one that started before them.",
        {"": "aggregates.best_so_far(PRIMARY_METRIC)"},
        _no_direction,
        data_source="engine",
    ),
    fixed_section(
        "aggregate_curves",
        "Metrics over steps",
        "",
        {"": "for metric in CURVES:\n    display(aggregates.plot_band(metric))"},
        no_steps,
        data_source="engine",
    ),
    fixed_section(
        "aggregate_curves_by",
        "Metrics over steps, by a param",
        "The first of `CURVES`, for the most frequent values of each param.",
        {"": "for param in PARAMS[:3]:\n    display(aggregates.plot_band(CURVES[0], by=param))"},
        lambda context: no_steps(context) or _no_params(context),
        data_source="engine",
    ),
    fixed_section(
        "aggregate_params",
        "Params and the primary metric",
        "",
        {"": "for param in PARAMS:\n    display(aggregates.plot_param(param, PRIMARY_METRIC))"},
        _no_params,
        data_source="engine",
    ),
    fixed_section("aggregate_exploration", "Free exploration", _EXPLORATION, {"": ""}, data_source="engine"),
)
