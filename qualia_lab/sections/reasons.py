"""Reasons to leave out a section: each function returns the reason, from names and counts, or None."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.analysis.origins import ORIGIN_TAGS
from qualia_lab.inventory import SYSTEM_METRICS
from qualia_lab.study.statuses import FAILED

if TYPE_CHECKING:
    from qualia_lab.sections.section import SectionContext

# The tag that MLflow 1 and 2 set when a model is logged; MLflow 3 lists logged models separately.
_MODEL_TAG = "mlflow.log-model.history"


def no_run(context: SectionContext) -> str | None:
    """For sections that need a run."""
    return None if context.inventory.run_count else "no run was read"


def no_second_run(context: SectionContext) -> str | None:
    """For sections that compare runs."""
    return "a comparison needs two runs" if context.inventory.run_count < 2 else None


def no_metric(context: SectionContext) -> str | None:
    """For sections that need a model metric."""
    return None if context.inventory.model_metrics else "no run has a metric"


def no_objective(context: SectionContext) -> str | None:
    """For sections that need a primary metric."""
    if context.objectives:
        return None
    return "no metric measures how good a run is" if context.inventory.model_metrics else "no run has a metric"


def no_groups(context: SectionContext) -> str | None:
    """For sections that average over the runs of a configuration."""
    no_repeats = None if context.repeated_configurations else "no two runs that count have equal factors"
    return no_second_run(context) or no_objective(context) or no_repeats


def no_baseline(context: SectionContext) -> str | None:
    """For sections that compare configurations with a baseline."""
    single = "there is only one configuration with a run that counts" if context.max_configurations < 2 else None
    return no_groups(context) or single


def no_steps(context: SectionContext) -> str | None:
    """For sections that draw a metric over its steps."""
    return None if context.drawn_curves else "no metric was logged past its first step"


def no_system_metrics(context: SectionContext) -> str | None:
    """For sections on system metrics."""
    has_system_metrics = any(metric.key.startswith(SYSTEM_METRICS) for metric in context.inventory.metrics)
    return None if has_system_metrics else "no run has system metrics"


def no_origins(context: SectionContext) -> str | None:
    """For sections that compare code and data of runs."""
    recorded = context.inventory.datasets or set(ORIGIN_TAGS) & set(context.inventory.tags)
    return no_second_run(context) or (None if recorded else "no run has recorded its code or data")


def no_environments(context: SectionContext) -> str | None:
    """For sections that compare library versions of runs."""
    logged = context.inventory.logged_models or _MODEL_TAG in context.inventory.tags
    return no_second_run(context) or (
        None if logged else "no run has logged a model, with which MLflow records the libraries"
    )


def no_failures_to_compare(context: SectionContext) -> str | None:
    """For sections that compare failed runs with the others."""
    counts = dict(context.inventory.statuses)
    failed = sum(counts.get(status, 0) for status in FAILED)
    if context.inventory.run_count < 3:
        return "it needs three runs"
    if failed == 1:
        return "only one run failed, which is not enough to compare"
    if not failed and not context.inventory.model_metrics:
        return "no run failed, and none has a metric that could have gone bad"
    return None


def no_evaluation(context: SectionContext) -> str | None:
    """For sections on evaluations."""
    evaluated = context.inventory.genai.evaluated_runs or context.inventory.evaluation_tables
    return None if evaluated else "no run was evaluated: none has traces with feedback, or a table of mlflow.evaluate"


def no_second_evaluation(context: SectionContext) -> str | None:
    """For sections that compare evaluated versions."""
    evaluated = context.inventory.genai.evaluated_runs + context.inventory.evaluation_tables
    return no_evaluation(context) or ("only one run was evaluated" if evaluated < 2 else None)


def no_model(context: SectionContext) -> str | None:
    """For sections that say what each model is."""
    logged = context.inventory.genai.models or _MODEL_TAG in context.inventory.tags
    return None if logged else "no run logged a model"


def no_models(context: SectionContext) -> str | None:
    """For sections that compare logged models or say where registered ones point."""
    genai = context.inventory.genai
    if genai.scored_models or genai.checkpoints or genai.versions:
        return None
    if genai.models:
        return "no logged model has metrics of its own or was saved at a step, and none is registered"
    return "no run has a logged model of MLflow 3 or a registered version"
