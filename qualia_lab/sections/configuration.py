"""The one cell that holds values: tagged `parameters`, so that papermill can set it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.analysis.findings.settings import chosen_thresholds
from qualia_lab.sections.literal import assignment
from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown

if TYPE_CHECKING:
    from qualia_lab.sections.literal import Literal

_HEADING = """\
## Configuration

What the cells below work on: change it and run them again. `METRICS`, `CURVES` and `PARAMS` are those that are drawn.
The other lines say how to look at the runs; `None` and `[]` leave it to what the runs themselves say, see
*What these runs are about*:

- `PRIMARY_METRIC` leads, `GREATER_IS_BETTER` says which way, also of several metrics: `{"val_loss": False}`
- `SEEDS` are params that only repeat a configuration, `FACTORS` set configurations apart, `LABELS` only name runs
- `STATUSES` are those whose runs count, `BASELINE` is what the others are compared with: the id of a run, or
  `{"param": "value"}`
- `POOL = True` takes the experiments for one task, so that they are compared with each other"""

_CLIENT = """\
# MLflow's own client, made on first use, and only where that changes nothing in the store.
client = mlflow_client(TRACKING_URI)
client"""


def _cells(brief: Brief) -> tuple[PlannedCell, ...]:
    source = "\n".join(assignment(name, value) for name, value in parameters(brief).items())
    return (
        markdown("configuration:heading", _HEADING),
        code("parameters", source, "parameters"),
        code("client", _CLIENT),
    )


def parameters(brief: Brief) -> dict[str, Literal]:
    """The assignments of the `parameters` cell."""
    settings = brief.study.settings
    baseline = settings.baseline
    return {
        "TRACKING_URI": brief.selection.tracking_uri,
        "CHOSEN_BY": brief.selection.conditions.as_data(),
        "RUN_IDS": list(brief.selection.run_ids),
        "PRIMARY_METRIC": brief.objective.key if brief.objective else None,
        "GREATER_IS_BETTER": said_direction(brief),
        "SEEDS": None if settings.seeds is None else list(settings.seeds),
        "STATUSES": None if settings.statuses is None else list(settings.statuses),
        "BASELINE": baseline if baseline is None or isinstance(baseline, str) else dict(baseline),
        "FACTORS": list(settings.factors),
        "LABELS": list(settings.labels),
        "POOL": settings.pool,
        "METRICS": list(brief.drawn_metrics),
        "CURVES": list(brief.drawn_curves),
        "PARAMS": list(brief.drawn_params),
        **seldom_said(brief),
    }


def said_direction(brief: Brief) -> Literal:
    """Which way is better as somebody said it: of the primary metric alone, of several, or None where nobody did."""
    said: dict[str, Literal] = {key: better == "higher" for key, better in brief.study.settings.better.items()}
    if not said:
        return None
    if brief.objective is not None and list(said) == [brief.objective.key]:
        return said[brief.objective.key]
    return said


def seldom_said(brief: Brief) -> dict[str, Literal]:
    """What has a line only where it was said: by their names what `load_runs` takes in small letters."""
    settings = brief.study.settings
    said: dict[str, Literal] = {}
    if settings.metric_roles:
        said["METRIC_ROLES"] = dict(settings.metric_roles)
    if settings.smallest_difference is not None:
        said["SMALLEST_DIFFERENCE"] = settings.smallest_difference
    if settings.findings:
        chosen_thresholds(settings.findings)  # of a wrong name it is said now, not when the cell is run
        rules = sorted(settings.findings.items())
        said["FINDINGS"] = {rule: one if isinstance(one, bool) else dict(one) for rule, one in rules}
    return said


SECTION = Section("configuration", "Configuration", _cells)
