"""Differences of Python and libraries between the runs."""

from __future__ import annotations

from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown

_HEADING = """\
## Python and libraries

Versions that are not the same in all runs, as MLflow logged them beside each model."""

# The tag that MLflow 1 and 2 leave where a model was logged; MLflow 3 lists logged models by themselves.
_MODEL_TAG = "mlflow.log-model.history"


def _why_not(brief: Brief) -> str | None:
    if brief.inventory.run_count < 2:
        return "a comparison needs two runs"
    if brief.inventory.logged_models or _MODEL_TAG in brief.inventory.tags:
        return None
    return "no run has logged a model, with which MLflow notes the libraries"


def _cells(_: Brief) -> tuple[PlannedCell, ...]:
    return (markdown("environments:heading", _HEADING), code("environments", "runs.origins.environments_that_differ()"))


SECTION = Section("environments", "Python and libraries", _cells, _why_not)
