"""Select runs: conditions to a query, and its result to a selection; used by all commands and classes."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from qualia_lab.counts import none_of
from qualia_lab.errors import FilterError, NoRunMatches, SelectionError, UnknownExperiment
from qualia_lab.escaping import one_line
from qualia_lab.inventory import take_inventory
from qualia_lab.no_runs import describe_unknown_keys, existing_runs, raise_if_empty, raise_no_runs, shown_filter
from qualia_lab.query import keyed_fields, parse_order_by
from qualia_lab.query.secret_values import masked_conditions
from qualia_lab.query.sugar import join_filters, parse_where, resolve_field, since_filter, status_filter, where_filter
from qualia_lab.selection import Conditions, Query, Selection, match_experiments, split_metric
from qualia_lab.stores.dotted_keys import quote_dotted_keys
from qualia_lab.stores.keys import RUNS_SAMPLED, read_keys
from qualia_lab.stores.masked import MaskedStore
from qualia_lab.stores.protocol import find_experiments
from qualia_lab.stores.uri import absolute_uri
from qualia_lab.study.metrics import describe_metrics, direction_of
from qualia_lab.study.settings import StudySettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from qualia_lab.selection import View
    from qualia_lab.stores.protocol import TrackingStore
    from qualia_lab.study.settings import Better

__all__ = [
    "Conditions",
    "check_order",
    "choose_runs",
    "experiments_of",
    "metrics_of_order",
    "query_of",
    "ranked_metric",
    "read_matching",
    "view_of",
]


def query_of(
    store: TrackingStore,
    conditions: Conditions,
    settings: StudySettings | None = None,
    *,
    experiments: pa.Table | None = None,
) -> Query:
    """Translate conditions to a query.

    `since`, `status` and `where` become part of the filter; the metric to rank by becomes the order. The store is read
    for its experiments, and for keys and tags if the conditions need them.

    Args:
        store: the store of the runs.
        conditions: the conditions that select the runs.
        settings: settings with the direction of metrics, for the metric to rank by.
        experiments: the experiments of the view of the conditions, if they were already read.

    Returns:
        The query.

    Raises:
        UnknownExperiment: no experiment matches a name.
        FilterError: a condition is invalid, or the direction of the metric to rank by is unknown.
        SelectionError: `top` is given without a metric or an order.
        EmptyStore: a condition names a key, and there are no runs.
    """
    view = view_of(conditions)
    view_experiments = find_experiments(store, experiments_of(view)) if experiments is None else experiments
    base_query = Query(
        experiment_ids=_matching_ids(store, conditions.experiments, view_experiments, view),
        run_ids=conditions.run_ids,
        view=view,
    )
    if conditions.where:
        raise_if_empty(store, view_experiments)
    filters = [status_filter(conditions.status), since_filter(conditions.since)]
    filters += _where_filters(store, conditions.where, replace(base_query, run_ids=()))
    query = replace(
        base_query,
        filter=join_filters(filters, conditions.filter),
        order_by=_order(store, conditions, settings or StudySettings(), base_query),
        limit=conditions.at_most,
    )
    return quote_dotted_keys(store, query)


def choose_runs(
    store: TrackingStore, conditions: Conditions, query: Query, *, experiments: pa.Table | None = None
) -> Selection:
    """Execute a query and return the selected runs, in the order of the query. Only the list of runs is read.

    Requested run ids that the store does not have are appended to the selection; those that another condition excludes
    are counted.

    Args:
        store: the store of the runs.
        conditions: the conditions as they were given.
        query: the result of `query_of` for the conditions.
        experiments: the experiments of the view of the conditions, if they were already read.

    Returns:
        The selection.

    Raises:
        NoRunMatches: no run matches, or none has the metric to rank by.
        UnknownRun: the store has none of the requested run ids.
        EmptyStore: the store has no runs.
    """
    runs = read_matching(store, query)
    found_ids: list[str] = runs.column("run_id").to_pylist()
    metric = ranked_metric(conditions)
    if metric is not None:
        _check_metric(store, metric, found_ids)
    else:
        check_order(store, query, found_ids)
    missing: tuple[str, ...] = ()
    if query.run_ids:
        existing = existing_runs(store, query, found_ids)
        missing = tuple(run_id for run_id in query.run_ids if run_id not in existing)
        if not query.order_by:  # keep the order of the requested run ids
            positions = {run_id: index for index, run_id in enumerate(query.run_ids)}
            found_ids.sort(key=positions.__getitem__)
    view_experiments = find_experiments(store, experiments_of(query.view)) if experiments is None else experiments
    names = dict(zip(*(view_experiments.column(name).to_pylist() for name in ("experiment_id", "name")), strict=True))
    shown = masked_conditions(conditions, store.masker.rules) if isinstance(store, MaskedStore) else conditions
    return Selection(
        tracking_uri=absolute_uri(store.uri),
        run_ids=(*found_ids, *missing),
        conditions=shown,
        query=replace(query, filter=shown_filter(store, query)),
        experiments=tuple(
            names.get(experiment_id) or experiment_id
            for experiment_id in dict.fromkeys(runs.column("experiment_id").to_pylist())
            if experiment_id is not None  # such a run is reported as missing when it is read
        ),
        excluded=len(query.run_ids) - len(found_ids) - len(missing) if query.run_ids else 0,
        missing=len(missing),
        masked=shown != conditions,
    )


def read_matching(store: TrackingStore, query: Query) -> pa.Table:
    """The runs of a query (schema.RUNS), at least one; otherwise raises NoRunMatches, UnknownRun or EmptyStore."""
    runs = store.read_runs(query)
    if not runs.num_rows:
        raise_no_runs(store, query)
    return runs


def check_order(store: TrackingStore, query: Query, run_ids: Sequence[str]) -> None:
    """Raise NoRunMatches if no run has a key to order by; the newest run would otherwise appear to be the best.

    run_ids: the runs that match, in order. Runs without the key are last, so usually only the first run is read.
    """
    fields = keyed_fields(None, parse_order_by(query.order_by))
    if fields and run_ids:
        tables = store.read(run_ids[:1])
        fields = tuple(
            field for field in fields if field.key not in getattr(tables, field.table).column("key").to_pylist()
        )
        if message := describe_unknown_keys(store, query, fields):
            raise NoRunMatches(f"The runs cannot be ordered: {message}", "Order them by a key that they have.")


def ranked_metric(conditions: Conditions) -> str | None:
    """The key of the metric that runs are ranked by, or None."""
    return None if conditions.by is None else split_metric(conditions.by)[0]


def metrics_of_order(query: Query) -> tuple[str, ...]:
    """The keys of the metrics whose latest value is a sort key of a query."""
    fields = [order.field for order in parse_order_by(query.order_by)]
    return tuple(dict.fromkeys(field.key for field in fields if field.kind == "metric" and not field.statistic))


def view_of(conditions: Conditions) -> View:
    """The view of the runs to search; requested run ids may be of deleted runs."""
    return conditions.view or ("all" if conditions.run_ids else "active")


def experiments_of(view: View) -> View:
    """The view of the experiments to search; a deleted run may be in an active experiment."""
    return "active" if view == "active" else "all"


def _matching_ids(store: TrackingStore, requested: Sequence[str], experiments: pa.Table, view: View) -> tuple[str, ...]:
    """The ids of the requested experiments. Raises UnknownExperiment, also for a deleted experiment."""
    try:
        return tuple(row["experiment_id"] for row in match_experiments(requested, experiments))
    except UnknownExperiment:
        if view == "active":
            _raise_if_deleted(requested, experiments, find_experiments(store, "deleted"))
        raise


def _raise_if_deleted(requested: Sequence[str], experiments: pa.Table, deleted: pa.Table) -> None:
    """Raise UnknownExperiment with an explanation if a requested experiment is deleted."""
    for word in requested:
        try:
            match_experiments([word], experiments)
        except UnknownExperiment:
            matches = []
            with suppress(UnknownExperiment):
                matches = match_experiments([word], deleted)
            if matches:
                raise UnknownExperiment(
                    f"The experiment {one_line(matches[0]['name'] or word, 100)} is deleted.",
                    "Its runs are listed with --deleted.",
                ) from None


def _where_filters(store: TrackingStore, texts: Sequence[str], runs: Query) -> list[str]:
    """Translate `--where` to filters; keys without a kind are resolved among these runs."""
    comparisons = [parse_where(text) for text in texts]
    keys_without_kind = [where.key for where in comparisons if where.field is None]
    keys = read_keys(store, runs, keys_without_kind) if keys_without_kind else {}
    return [where_filter(where, where.field or resolve_field(where, keys)) for where in comparisons]


def _order(store: TrackingStore, conditions: Conditions, settings: StudySettings, base_query: Query) -> tuple[str, ...]:
    """The sort keys of the query: the metric to rank by, the best run first, or the requested order."""
    if conditions.by is None:
        if conditions.top is not None and not conditions.order_by:
            raise SelectionError(
                "The best runs were requested without a metric to rank by.", "Name the metric with by."
            )
        return conditions.order_by
    if conditions.order_by:
        raise FilterError(
            "An order and a metric to rank by were both given.", "Use one of order_by and by.", text=conditions.by
        )
    metric, better = split_metric(conditions.by)
    better = better or _direction(store, metric, settings, base_query)
    if better is None:
        raise FilterError(
            f"Whether more of {one_line(metric, 100)} is better cannot be told from its name.",
            f"Use --by '{one_line(metric, 100)}:max' or --by '{one_line(metric, 100)}:min'.",
            text=metric,
        )
    return (f"metrics.{_quoted(metric)} {'DESC' if better == 'higher' else 'ASC'}",)


def _direction(store: TrackingStore, metric: str, settings: StudySettings, base_query: Query) -> Better | None:
    """The better direction of a metric, by the same rules as the study: settings, then tags, then the name.

    The tags are those of the newest runs and of their experiments.
    """
    if metric in settings.better:
        return settings.better[metric]
    runs = store.read_runs(replace(base_query, run_ids=(), filter="", order_by=(), limit=RUNS_SAMPLED))
    run_of_experiment = dict(zip(*(runs.column(name).to_pylist() for name in ("experiment_id", "run_id")), strict=True))
    tables = store.read(list(run_of_experiment.values()))
    described = describe_metrics(take_inventory(tables).metrics, settings, tables.experiment_tags, tables.tags)
    directions = {item.key: item.better for item in described}
    return directions[metric] if metric in directions else direction_of(metric, settings)[0]


def _check_metric(store: TrackingStore, metric: str, run_ids: Sequence[str]) -> None:
    """Raise NoRunMatches, with suggestions, if no run has the metric to rank by."""
    first = run_ids[:1]  # runs without the metric are last
    if metric in store.read(first).metrics.column("key").to_pylist():
        return
    keys = [count.key for count in take_inventory(store.read(run_ids)).model_metrics]
    suggestions = get_close_matches(metric, keys, n=3) or keys[:5]
    raise NoRunMatches(
        f"{none_of(len(run_ids), 'run')} has a metric {one_line(metric, 100)}.",
        f"There {'is' if len(suggestions) == 1 else 'are'} {', '.join(one_line(key, 60) for key in suggestions)}."
        if suggestions
        else "The runs have no metrics.",
    )


def _quoted(key: str) -> str:
    """The key of a metric as in a filter, in backticks if needed."""
    return key if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key) else f"`{key}`"
