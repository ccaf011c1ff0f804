"""`load_runs`: read runs by tracking URI and run ids, as the cells of a notebook do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from qualia_lab.errors import SelectionError
from qualia_lab.escaping import one_line
from qualia_lab.inventory import take_inventory
from qualia_lab.runs.runs import Runs
from qualia_lab.runs.study_settings import study_settings
from qualia_lab.settings import find_settings
from qualia_lab.stores.snapshot.hand_over import read_runs
from qualia_lab.study import describe_study
from qualia_lab.study.metric_names import stored_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.study.settings import MetricRole


def load_runs(
    tracking_uri: str,
    run_ids: Sequence[str],
    *,
    primary_metric: str | None = None,
    greater_is_better: bool | Mapping[str, bool] | None = None,
    seeds: Sequence[str] | None = None,
    statuses: Sequence[str] | None = None,
    baseline: str | Mapping[str, str] | None = None,
    factors: Sequence[str] = (),
    labels: Sequence[str] = (),
    pool: bool = False,
    smallest_difference: float | None = None,
    findings: Mapping[str, Any] | None = None,
    metric_roles: Mapping[str, MetricRole] | None = None,
    chosen_by: Mapping[str, Any] | None = None,
    redact: bool | None = None,
    content: bool | None = None,
    skip_unknown: bool = False,
) -> Runs:
    """Read runs from a tracking store.

    Runs that are missing or damaged do not stop the others: `runs` lists them with the reason. The keyword arguments
    set how the runs are interpreted by all methods. What is not given is inferred; `runs.about()` shows the result.

    Args:
        tracking_uri: a tracking URI as in MLflow, or a path. If it has no password, that of MLFLOW_TRACKING_URI is
            used, provided the URIs are otherwise equal.
        run_ids: the ids of the runs, in the order of the rows of tables.
        primary_metric: the key of the metric used as objective.
        greater_is_better: whether higher values of the primary metric are better; None decides by its name. For several
            metrics, a mapping `{metric: True or False}`.
        seeds: params that differ only between repeats of a configuration; [] if there are none, None to infer them.
        statuses: statuses of the runs that count, such as ["FINISHED", "RUNNING"]; None for finished runs, or all runs
            if none finished.
        baseline: the id or name of one of the baseline's runs, or params that only the baseline has.
        factors: params and tags that distinguish configurations, whatever their values look like.
        labels: params and tags that only name runs.
        pool: treat all experiments as one task.
        smallest_difference: the smallest difference of the primary metric that matters.
        findings: thresholds by the name of the rule.
        metric_roles: roles of metrics, overriding what their names suggest, such as {"score_time": "cost"}.
        chosen_by: the conditions that selected these runs among others; if a metric decided, the results say so.
        redact: replace e-mail addresses, phone numbers and matches of the patterns in [tool.qualia.privacy]; None for
            what the project says.
        content: whether what people and models wrote in traces and evaluations is shown; None for what the project
            says.
        skip_unknown: ignore a primary metric that no run has, and list it in the result. Used in notebooks, where the
            metric belongs to the original runs after RUN_IDS was changed.

    Returns:
        The runs, with their tables, comparisons, charts and findings.

    Raises:
        SelectionError: `run_ids` is not a list of strings.
        StoreError: the store itself cannot be read.
        UnknownKey: no run has the primary metric.

    Example:
        >>> runs = load_runs("sqlite:///mlflow.db", run_ids, primary_metric="val_auc", seeds=["seed"])
        >>> runs.answer()
    """
    project = find_settings()
    privacy = project.privacy.with_choice(redact, content)
    store, tables = read_runs(tracking_uri, _checked(run_ids), project.masking, privacy)
    unknown = []
    keys = pc.unique(tables.metrics.column("key")).to_pylist()
    if skip_unknown and primary_metric is not None and primary_metric not in {*keys, *map(stored_key, keys)}:
        unknown, primary_metric = [primary_metric], None
        greater_is_better = None if isinstance(greater_is_better, bool) else greater_is_better
    settings = study_settings(
        {
            "primary_metric": primary_metric,
            "greater_is_better": greater_is_better,
            "seeds": seeds,
            "statuses": statuses,
            "baseline": baseline,
            "factors": factors,
            "labels": labels,
            "pool": pool,
            "smallest_difference": smallest_difference,
            "findings": findings,
            "metric_roles": metric_roles,
            "chosen_by": chosen_by,
        }
    )
    runs = Runs(store, tables, describe_study(tables, take_inventory(tables), settings))
    runs.known_metrics(unknown)
    return runs


def _checked(run_ids: Sequence[str]) -> list[str]:
    """The run ids as a list. Raises SelectionError for one string (`papermill -p RUN_IDS …`) or other types."""
    if isinstance(run_ids, str):
        raise SelectionError(
            f"The run ids are one text, {one_line(run_ids, 60)!r}, and not a list of texts.",
            "Write ['ID', 'ID']; papermill takes a list as: -y \"RUN_IDS: ['ID', 'ID']\"",
        )
    listed = list(run_ids)
    for run_id in listed:
        if not isinstance(run_id, str):
            raise SelectionError(f"{one_line(repr(run_id), 60)} is no run id: a run id is a text.", "Write 'ID'.")
    return listed
