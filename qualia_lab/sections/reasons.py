"""Why a section is left out: each function gives the reason, from names and counts, or None where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.analysis.origins import ORIGIN_TAGS
from qualia_lab.inventory import SYSTEM_METRICS
from qualia_lab.study.statuses import FAILED

if TYPE_CHECKING:
    from qualia_lab.sections.section import Brief

# The tag that MLflow 1 and 2 leave where a model was logged; MLflow 3 lists logged models by themselves.
_MODEL_TAG = "mlflow.log-model.history"


def no_run(brief: Brief) -> str | None:
    """For what needs a run."""
    return None if brief.inventory.run_count else "no run was read"


def no_second_run(brief: Brief) -> str | None:
    """For what compares runs."""
    return "a comparison needs two runs" if brief.inventory.run_count < 2 else None


def no_metric(brief: Brief) -> str | None:
    """For what needs a metric of the model."""
    return None if brief.inventory.model_metrics else "no run has a metric"


def no_objective(brief: Brief) -> str | None:
    """For what needs a metric that leads."""
    if brief.objectives:
        return None
    return "no metric says how good a run is" if brief.inventory.model_metrics else "no run has a metric"


def no_groups(brief: Brief) -> str | None:
    """For what averages over the runs of a configuration."""
    alone = None if brief.repeated else "no two runs that count are alike in every factor"
    return no_second_run(brief) or no_objective(brief) or alone


def no_baseline(brief: Brief) -> str | None:
    """For what compares configurations with one of them."""
    one = "there is only one configuration with a run that counts" if brief.most_configurations < 2 else None
    return no_groups(brief) or one


def no_steps(brief: Brief) -> str | None:
    """For what draws a metric over its steps."""
    return None if brief.drawn_curves else "no metric was logged past its first step"


def no_system_metrics(brief: Brief) -> str | None:
    """For what shows how busy the machine was."""
    machine = any(metric.key.startswith(SYSTEM_METRICS) for metric in brief.inventory.metrics)
    return None if machine else "no run has system metrics"


def no_origins(brief: Brief) -> str | None:
    """For what compares the code and the data of runs."""
    said = brief.inventory.datasets or set(ORIGIN_TAGS) & set(brief.inventory.tags)
    return no_second_run(brief) or (None if said else "no run says which code or data it was made with")


def no_environments(brief: Brief) -> str | None:
    """For what compares the libraries of runs."""
    logged = brief.inventory.logged_models or _MODEL_TAG in brief.inventory.tags
    return no_second_run(brief) or (
        None if logged else "no run has logged a model, with which MLflow notes the libraries"
    )


def none_to_set_apart(brief: Brief) -> str | None:
    """For what compares failed runs with the others."""
    counts = dict(brief.inventory.statuses)
    failed = sum(counts.get(status, 0) for status in FAILED)
    if brief.inventory.run_count < 3:
        return "it needs three runs"
    if failed == 1:
        return "only one run failed, and what one run has tells nothing"
    if not failed and not brief.inventory.model_metrics:
        return "no run failed, and none has a metric that could have gone bad"
    return None
