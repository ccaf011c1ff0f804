"""The one cell that holds values: tagged `parameters`, so that papermill can set it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.escaping import for_markdown
from qualia_lab.sections.literal import assignment
from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown
from qualia_lab.study.statuses import FINISHED, counted_statuses

if TYPE_CHECKING:
    from qualia_lab.sections.literal import Literal

_HEADING = """\
## Configuration

What the cells below work on: change it and run them again. `METRICS`, `CURVES` and `PARAMS` are
those that are drawn; `SEEDS` are params that only repeat a configuration; `STATUSES` says whose runs
count in a mean over them; `BASELINE`, the id of a run or `{"param": "value"}`, is what the others are compared with."""

_NONE_FINISHED = """\
**No run has finished**, so all of them count in means, with the value that each has come to."""

_CLIENT = """\
# MLflow's own client, made on first use, and only where that changes nothing in the store.
client = mlflow_client(TRACKING_URI)
client"""


def _cells(brief: Brief) -> tuple[PlannedCell, ...]:
    source = "\n".join(assignment(name, value) for name, value in parameters(brief).items())
    notes = [*map(for_markdown, brief.selection.notes)]
    if brief.inventory.run_count and FINISHED not in _statuses(brief):
        notes.append(_NONE_FINISHED)
    return (
        markdown("configuration:heading", "\n\n".join([_HEADING, *notes])),
        code("parameters", source, "parameters"),
        code("client", _CLIENT),
    )


def parameters(brief: Brief) -> dict[str, Literal]:
    """The assignments of the `parameters` cell."""
    selection, baseline = brief.selection, brief.selection.baseline
    findings = sorted(selection.findings.items())  # thresholds that the project has settled
    chosen: dict[str, Literal] = {
        "experiments": list(selection.experiments),
        "filter": selection.filter,
        "order_by": list(selection.order_by),
        "limit": selection.limit,
        "picked": selection.picked,
    }
    return {
        "TRACKING_URI": selection.tracking_uri,
        "CHOSEN_BY": chosen,
        "RUN_IDS": list(selection.run_ids),
        "PRIMARY_METRIC": selection.primary_metric,
        "GREATER_IS_BETTER": selection.greater_is_better,
        "SEEDS": list(brief.seeds),
        "STATUSES": list(_statuses(brief)),
        "BASELINE": baseline if baseline is None or isinstance(baseline, str) else dict(baseline),
        "METRICS": list(brief.drawn_metrics),
        "CURVES": list(brief.drawn_curves),
        "PARAMS": list(brief.drawn_params),
        **(
            {"FINDINGS": {rule: one if isinstance(one, bool) else dict(one) for rule, one in findings}}
            if findings
            else {}
        ),
    }


def _statuses(brief: Brief) -> tuple[str, ...]:
    return counted_statuses(status for status, _ in brief.inventory.statuses)


SECTION = Section("configuration", "Configuration", _cells)
