"""Section: the cell with all values, tagged `parameters` so that papermill can set them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.sections.literal import assignment
from qualia_lab.sections.section import PlannedCell, Section, SectionContext, code, markdown

if TYPE_CHECKING:
    from qualia_lab.sections.literal import Literal

# Folded, so that the answer is near the top of the notebook.
_HEADING = """\
## Configuration

<details><summary>The input of the cells below: change it and run them again.</summary>

`METRICS`, `CURVES` and `PARAMS` are those that are drawn. The other lines say how to interpret the runs; with `None`
and `[]` it is inferred from the runs, see *What these runs are about*:

- `PRIMARY_METRIC` ranks the runs, `GREATER_IS_BETTER` is its direction, or that of several metrics:
  `{"val_loss": False}`
- `SEEDS` are params that only repeat a configuration, `FACTORS` distinguish configurations, `LABELS` only name runs
- `STATUSES` are those of the runs that count, `BASELINE` is what the others are compared with: the id of a run, or
  `{"param": "value"}`
- `POOL = True` treats all experiments as one task, so that their runs are compared with each other

</details>"""

_CLIENT = """\
# MLflow's client, created on first use, and only if that changes nothing in the store.
client = mlflow_client(TRACKING_URI)
client"""


def _cells(context: SectionContext) -> tuple[PlannedCell, ...]:
    source = "\n".join(assignment(name, value) for name, value in parameters(context).items())
    return (
        markdown("configuration:heading", _HEADING),
        code("parameters", source, "parameters"),
        code("client", _CLIENT),
    )


def parameters(context: SectionContext) -> dict[str, Literal]:
    """Return the values of the `parameters` cell by name."""
    settings = context.study.settings
    baseline = settings.baseline
    return {
        "TRACKING_URI": context.selection.tracking_uri,
        "CHOSEN_BY": context.selection.conditions.as_data(),
        "RUN_IDS": list(context.selection.run_ids),
        "PRIMARY_METRIC": context.objective.key if context.objective else None,
        "GREATER_IS_BETTER": stated_directions(context),
        "SEEDS": None if settings.seeds is None else list(settings.seeds),
        "STATUSES": None if settings.statuses is None else list(settings.statuses),
        "BASELINE": baseline if baseline is None or isinstance(baseline, str) else dict(baseline),
        "FACTORS": list(settings.factors),
        "LABELS": list(settings.labels),
        "POOL": settings.pool,
        "METRICS": list(context.drawn_metrics),
        "CURVES": list(context.drawn_curves),
        "PARAMS": list(context.drawn_params),
        **optional_parameters(context),
    }


def stated_directions(context: SectionContext) -> Literal:
    """Return the directions that were set: of the primary metric alone, of several metrics by name, or None."""
    directions: dict[str, Literal] = {**context.study.settings.greater_is_better}
    if not directions:
        return None
    if context.objective is not None and list(directions) == [context.objective.key]:
        return directions[context.objective.key]
    return directions


def privacy_parameters(context: SectionContext) -> dict[str, Literal]:
    """Return what is left out of people's words, as arguments of `load_runs` and `load_traces` in upper case."""
    chosen: dict[str, Literal] = {}
    if context.privacy.redact:
        chosen["REDACT"] = True
    if not context.privacy.content:
        chosen["CONTENT"] = False
    return chosen


def optional_parameters(context: SectionContext) -> dict[str, Literal]:
    """Return the settings that have a line only if they are set, named like arguments of `load_runs` in upper case."""
    settings = context.study.settings
    optional = privacy_parameters(context)
    if settings.metric_roles:
        optional["METRIC_ROLES"] = dict(settings.metric_roles)
    if settings.smallest_difference is not None:
        optional["SMALLEST_DIFFERENCE"] = settings.smallest_difference
    if settings.findings:
        from qualia_lab.analysis.findings.settings import chosen_thresholds  # imports all rules

        chosen_thresholds(settings.findings)  # a wrong name raises now, not when the cell is run
        rules = sorted(settings.findings.items())
        optional["FINDINGS"] = {rule: one if isinstance(one, bool) else dict(one) for rule, one in rules}
    return optional


SECTION = Section("configuration", "Configuration", _cells)
