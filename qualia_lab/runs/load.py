"""load_runs: from a tracking URI and run ids to `runs`, as the cells of a notebook use them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qualia_lab.errors import SelectionError
from qualia_lab.escaping import one_line
from qualia_lab.inventory import take_inventory
from qualia_lab.runs.runs import Runs
from qualia_lab.runs.study_settings import study_settings
from qualia_lab.settings import find_settings
from qualia_lab.stores.snapshot.hand_over import read_runs
from qualia_lab.study import describe_study
from qualia_lab.tables import rows_with

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
    skip_unknown: bool = False,
) -> Runs:
    """Read runs, all at once; those that are missing or damaged are named in the result, and the rest is there.

    Everything but the URI and the ids says how to look at them, once for all methods; what is left out is inferred,
    and `runs.about()` says what came of it.

    Args:
        tracking_uri: as in MLflow, or a path. Where it lacks a password, the one of MLFLOW_TRACKING_URI is used if that
            is the same URI otherwise.
        run_ids: the runs, in the order in which tables have them.
        primary_metric: the metric that leads.
        greater_is_better: whether more of it is better; None: by its name. Of several metrics, {metric: True or False}.
        seeds: params that only repeat a configuration; [] says that none does.
        statuses: whose runs count, such as ["FINISHED", "RUNNING"]; None: those that finished, or all where none did.
        baseline: the id or name of a run of it, or the params that it alone has.
        factors: params and tags that set configurations apart, whatever they look like.
        labels: params and tags that only name runs.
        pool: the experiments are one task, not different ones.
        smallest_difference: the smallest difference of the primary metric that matters.
        findings: thresholds of rules, by the rule's name.
        metric_roles: what metrics are whatever their names say, such as {"score_time": "cost"}.
        chosen_by: the conditions by which these runs were chosen out of more: where a metric decided, it is said.
        skip_unknown: a primary metric that no run has is passed over, and the result says so: in a notebook, it was
            that of other runs where somebody has set RUN_IDS.

    Raises:
        SelectionError: `run_ids` is no list of texts.
        StoreError: the store itself cannot be read.
        UnknownKey: no run has the primary metric.
    """
    store, tables = read_runs(tracking_uri, _checked(run_ids), find_settings().masking)
    unknown = []
    if skip_unknown and primary_metric is not None and not rows_with(tables.metrics, "key", [primary_metric]):
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
    """The run ids. Raises SelectionError when they are one text, as `papermill -p RUN_IDS …` writes it, or no texts."""
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
