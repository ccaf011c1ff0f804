"""Choosing: conditions become a query, and a store's answer to it a selection; every command and class asks here."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from qualia_lab.counts import counted, none_of
from qualia_lab.errors import EmptyStore, FilterError, NoRunMatches, SelectionError, UnknownExperiment, UnknownRun
from qualia_lab.escaping import one_line
from qualia_lab.inventory import take_inventory
from qualia_lab.query import keyed_fields, parse_filter, parse_order_by
from qualia_lab.query.sugar import all_of, cut_where, one_field, since_filter, status_filter, where_filter
from qualia_lab.selection import Conditions, Query, Selection, cut_metric, match_experiments
from qualia_lab.stores.dotted_keys import with_whole_keys
from qualia_lab.stores.keys import LOOKED_AT, read_keys
from qualia_lab.stores.protocol import find_experiments
from qualia_lab.stores.uri import lasting_uri
from qualia_lab.study.metrics import describe_metrics, direction_of
from qualia_lab.study.settings import StudySettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from qualia_lab.query import Field
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
    "said_of_named",
    "said_of_unknown",
    "view_of",
]


def query_of(
    store: TrackingStore,
    conditions: Conditions,
    settings: StudySettings | None = None,
    *,
    experiments: pa.Table | None = None,
) -> Query:
    """What to ask the store for; it is asked for the experiments, and where they are needed for keys and tags.

    What since, status and where say becomes part of the query's filter; the metric to rank by becomes its order.

    Args:
        store: where the runs are.
        conditions: which runs.
        settings: what is said of metrics, for the direction of the one to rank by.
        experiments: those of the conditions' view, where they were read already.

    Raises:
        UnknownExperiment: for a name that means none.
        FilterError: for a condition that cannot be read, or a metric to rank by whose direction nothing tells.
        SelectionError: for the best runs by nothing.
        EmptyStore: where a key of a condition is looked up among no runs.
    """
    view = view_of(conditions)
    known = find_experiments(store, experiments_of(view)) if experiments is None else experiments
    chosen = Query(
        experiment_ids=_matching_ids(store, conditions.experiments, known, view),
        run_ids=conditions.run_ids,
        view=view,
    )
    if conditions.where:
        _check_filled(store, known)
    sugar = [status_filter(conditions.status), since_filter(conditions.since)]
    sugar += _where_filters(store, conditions.where, replace(chosen, run_ids=()))
    asked = replace(
        chosen,
        filter=all_of(sugar, conditions.filter),
        order_by=_order(store, conditions, settings or StudySettings(), chosen),
        limit=conditions.at_most,
    )
    return with_whole_keys(store, asked)


def choose_runs(
    store: TrackingStore, conditions: Conditions, query: Query, *, experiments: pa.Table | None = None
) -> Selection:
    """The runs that meet every condition, by id, in the query's order; only the list of them is read.

    A run that was named and that the store does not have stays in the selection, at its end; one that another condition
    excludes is counted.

    Args:
        store: where the runs are.
        conditions: which runs.
        query: what `query_of` makes of them.
        experiments: those of the conditions' view, where they were read already.

    Raises:
        NoRunMatches: where no run is left, or where none has the metric to rank by.
        UnknownRun: where the store has none of the runs that were named.
        EmptyStore: where it has no run at all.
    """
    runs = read_matching(store, query)
    found: list[str] = runs.column("run_id").to_pylist()
    metric = ranked_metric(conditions)
    if metric is not None:
        _check_metric(store, metric, found)
    else:
        check_order(store, query, found)
    missing: tuple[str, ...] = ()
    if query.run_ids:
        there = _those_there(store, query, found)
        missing = tuple(run_id for run_id in query.run_ids if run_id not in there)
        if not query.order_by:  # a person's own order of runs is kept
            places = {run_id: place for place, run_id in enumerate(query.run_ids)}
            found.sort(key=places.__getitem__)
    known = find_experiments(store, experiments_of(query.view)) if experiments is None else experiments
    names = dict(zip(*(known.column(name).to_pylist() for name in ("experiment_id", "name")), strict=True))
    return Selection(
        tracking_uri=lasting_uri(store.uri),
        run_ids=(*found, *missing),
        conditions=conditions,
        query=query,
        experiments=tuple(
            names.get(one) or one
            for one in dict.fromkeys(runs.column("experiment_id").to_pylist())
            if one is not None  # such a run is missing, with the reason, when it is read
        ),
        excluded=len(query.run_ids) - len(found) - len(missing) if query.run_ids else 0,
        missing=len(missing),
    )


def read_matching(store: TrackingStore, query: Query) -> pa.Table:
    """The runs of a query (schema.RUNS), at least one. Raises NoRunMatches, UnknownRun or EmptyStore for none."""
    runs = store.read_runs(query)
    if not runs.num_rows:
        _explain_nothing(store, query)
    return runs


def check_order(store: TrackingStore, query: Query, run_ids: Sequence[str]) -> None:
    """Raise NoRunMatches for a key to order by that no run has: the newest run would stand as if it were the best.

    run_ids: those that match, in order. Runs without the key stand last, so mostly a look at the first is enough.
    """
    fields = keyed_fields(None, parse_order_by(query.order_by))
    if fields and run_ids:
        tables = store.read(run_ids[:1])
        fields = tuple(one for one in fields if one.key not in getattr(tables, one.table).column("key").to_pylist())
        if said := said_of_unknown(store, query, fields):
            raise NoRunMatches(f"The runs cannot be ordered: {said}", "Order them by what they have.")


def said_of_unknown(store: TrackingStore, query: Query, fields: Sequence[Field] | None = None) -> str:
    """`No run has the metric nosuch; there are loss, val_auc.`; "" where each field is in some run of the query.

    fields: None for those of the query's filter; what the filter asks of them is left out.
    """
    if fields is None:
        fields = keyed_fields(parse_filter(query.filter), ())
    if not fields:
        return ""
    among = replace(query, filter="", order_by=(), limit=None, run_ids=())
    there = read_keys(store, among, [one.key for one in fields])
    said = []
    for one in fields:
        keys = there[one.kind]
        if one.key in keys:
            continue
        near = get_close_matches(one.key, keys, n=3) or sorted(key for key in keys if not key.startswith("mlflow."))[:5]
        listed = ", ".join(one_line(key, 60) for key in near)
        verb = "is" if len(near) == 1 else "are"
        known = f"there {verb} {listed}" if near else f"they have no {one.kind} at all"
        said.append(f"No run has the {one.kind} {one_line(one.key, 100)}; {known}.")
    return " ".join(said)


def ranked_metric(conditions: Conditions) -> str | None:
    """The key of the metric that runs are ranked by; None where they are not."""
    return None if conditions.by is None else cut_metric(conditions.by)[0]


def metrics_of_order(query: Query) -> tuple[str, ...]:
    """The keys of the metrics whose latest value a query orders by."""
    fields = [one.field for one in parse_order_by(query.order_by)]
    return tuple(dict.fromkeys(one.key for one in fields if one.kind == "metric" and not one.statistic))


def view_of(conditions: Conditions) -> View:
    """Which runs there are to choose from: one that is named may be a deleted one."""
    return conditions.view or ("all" if conditions.run_ids else "active")


def experiments_of(view: View) -> View:
    """Which experiments the runs of a view are in: a deleted run may be in an active one."""
    return "active" if view == "active" else "all"


def _matching_ids(store: TrackingStore, asked: Sequence[str], known: pa.Table, view: View) -> tuple[str, ...]:
    """The ids of the experiments that were asked for. Raises UnknownExperiment, also for one that is deleted."""
    try:
        return tuple(row["experiment_id"] for row in match_experiments(asked, known))
    except UnknownExperiment:
        if view == "active":
            _say_deleted(asked, known, find_experiments(store, "deleted"))
        raise


def _say_deleted(asked: Sequence[str], known: pa.Table, deleted: pa.Table) -> None:
    """Raise UnknownExperiment with what is the matter when one that was asked for is deleted."""
    for word in asked:
        try:
            match_experiments([word], known)
        except UnknownExperiment:
            found = []
            with suppress(UnknownExperiment):
                found = match_experiments([word], deleted)
            if found:
                raise UnknownExperiment(
                    f"The experiment {one_line(found[0]['name'] or word, 100)} is deleted.",
                    "Its runs are listed with --deleted.",
                ) from None


def _where_filters(store: TrackingStore, texts: Sequence[str], among: Query) -> list[str]:
    """The filters that `--where` stands for, with keys as these runs have them."""
    asked = [cut_where(text) for text in texts]
    bare = [one.key for one in asked if one.field is None]
    keys = read_keys(store, among, bare) if bare else {}
    return [where_filter(one, one.field or one_field(one, keys)) for one in asked]


def _order(store: TrackingStore, conditions: Conditions, settings: StudySettings, chosen: Query) -> tuple[str, ...]:
    """The order of the query: that of the metric to rank by, the best first, or the one that was asked for."""
    if conditions.by is None:
        if conditions.top is not None and not conditions.order_by:
            raise SelectionError("The best runs were asked for, and not by which metric.", "Name it with by.")
        return conditions.order_by
    if conditions.order_by:
        raise FilterError(
            "An order and a metric to rank by were both given.", "Use one of order_by and by.", text=conditions.by
        )
    metric, better = cut_metric(conditions.by)
    better = better or _direction(store, metric, settings, chosen)
    if better is None:
        raise FilterError(
            f"Whether more of {one_line(metric, 100)} is better cannot be told from its name.",
            f"Say --by '{one_line(metric, 100)}:max' or --by '{one_line(metric, 100)}:min'.",
            text=metric,
        )
    return (f"metrics.{_quoted(metric)} {'DESC' if better == 'higher' else 'ASC'}",)


def _direction(store: TrackingStore, metric: str, settings: StudySettings, chosen: Query) -> Better | None:
    """Which way is better, as the study of these runs will say: what is said, then tags, then the name.

    Tags are those of the newest runs and of their experiments.
    """
    if metric in settings.better:
        return settings.better[metric]
    runs = store.read_runs(replace(chosen, run_ids=(), filter="", order_by=(), limit=LOOKED_AT))
    one_of_each = dict(zip(*(runs.column(name).to_pylist() for name in ("experiment_id", "run_id")), strict=True))
    tables = store.read(list(one_of_each.values()))
    described = describe_metrics(take_inventory(tables).metrics, settings, tables.experiment_tags, tables.tags)
    known = {one.key: one.better for one in described}
    return known[metric] if metric in known else direction_of(metric, settings)[0]


def _those_there(store: TrackingStore, query: Query, found: Sequence[str]) -> set[str]:
    """The runs that were named and that the store has, whatever else is asked of them."""
    only_named = Query(run_ids=query.run_ids, view="all")
    if len(found) == len(query.run_ids) or replace(query, order_by=()) == only_named:
        return set(found)
    return {*found, *store.read_runs(only_named).column("run_id").to_pylist()}


def _check_metric(store: TrackingStore, metric: str, run_ids: Sequence[str]) -> None:
    """Raise NoRunMatches, with what might have been meant, when no run has the metric to rank by."""
    first = run_ids[:1]  # runs without the metric stand last
    if metric in store.read(first).metrics.column("key").to_pylist():
        return
    keys = [count.key for count in take_inventory(store.read(run_ids)).model_metrics]
    near = get_close_matches(metric, keys, n=3) or keys[:5]
    raise NoRunMatches(
        f"{none_of(len(run_ids), 'run')} has a metric {one_line(metric, 100)}.",
        f"There {'is' if len(near) == 1 else 'are'} {', '.join(one_line(key, 60) for key in near)}."
        if near
        else "There is no metric at all.",
    )


def _check_filled(store: TrackingStore, experiments: pa.Table) -> None:
    """Raise EmptyStore when there is certainly no run."""
    counts = experiments.column("run_count").to_pylist()
    if None not in counts and not any(counts):
        raise EmptyStore(f"There are no runs in {store.uri}.", "Log some with MLflow, or try create-demo-runs.")


def _explain_nothing(store: TrackingStore, query: Query) -> None:
    """Raise the error that says why no run was found, and how many there are."""
    if query.run_ids:
        there = len(_those_there(store, query, ()))
        asked = len(query.run_ids)
        if not there:
            names = ", ".join(one_line(run_id, 40) for run_id in query.run_ids[:3])
            raise UnknownRun(f"No run is called {names} in {store.uri}.", "List them with: qualia runs")
        nothing = Selection("", (), Conditions(run_ids=query.run_ids), excluded=there, missing=asked - there)
        raise NoRunMatches(said_of_named(nothing), "Loosen them, or name other runs.")
    if query.view == "active":
        known = store.read_experiments("active")
        _check_filled(store, known)
        counts = dict(zip(*(known.column(name).to_pylist() for name in ("experiment_id", "run_count")), strict=True))
        in_all = sum(counts[experiment_id] for experiment_id in query.experiment_ids or counts)
    else:
        in_all = store.read_runs(replace(query, filter="", order_by=(), limit=None)).num_rows
    if not in_all and query.view == "deleted":
        raise NoRunMatches("There are no deleted runs.", "Without --deleted the others are listed.")
    if not in_all:
        raise NoRunMatches("That experiment has no runs.", "List experiments with: qualia experiments")
    unknown = said_of_unknown(store, query)
    raise NoRunMatches(
        f"{none_of(in_all, 'run')} matches {one_line(query.filter, 200)}." + (f" {unknown}" if unknown else ""),
        "Loosen the filter, or list them with: qualia runs",
    )


def said_of_named(selection: Selection) -> str:
    """`2 of the 5 runs named are excluded by the other conditions, and the store does not have 1.`; "" for neither."""
    excluded, missing = selection.excluded, selection.missing
    if not excluded:
        return f"{_of_named(missing, len(selection.conditions.run_ids))} not in the store." if missing else ""
    return f"{_of_named(excluded, len(selection.conditions.run_ids))} excluded by the other conditions" + (
        f", and the store does not have {missing:,}." if missing else "."
    )


def _of_named(some: int, named: int) -> str:
    if some == named:
        return "The run named is" if named == 1 else f"All {named:,} runs named are"
    return f"{some:,} of the {counted(named, 'run')} named {'is' if some == 1 else 'are'}"


def _quoted(key: str) -> str:
    """A metric's key as the query language takes it."""
    return key if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key) else f"`{key}`"
