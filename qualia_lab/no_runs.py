"""Why conditions select no runs, or not all that were named: as errors and as sentences."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from qualia_lab.counts import counted, none_of
from qualia_lab.errors import EmptyStore, NoRunMatches, StoreError, UnknownRun
from qualia_lab.escaping import one_line
from qualia_lab.query import keyed_fields, parse_filter
from qualia_lab.query.secret_values import masked_filter
from qualia_lab.selection import Conditions, Query, Selection
from qualia_lab.stores.keys import read_keys
from qualia_lab.stores.masked import MaskedStore
from qualia_lab.stores.protocol import ReadsGenAI

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from qualia_lab.query import Field
    from qualia_lab.stores.protocol import TrackingStore


def raise_no_runs(store: TrackingStore, query: Query) -> None:
    """Raise an error that explains why no run was found."""
    if query.run_ids:
        existing = len(existing_runs(store, query, ()))
        requested = len(query.run_ids)
        if not existing:
            ids = " or ".join(one_line(run_id, 40) for run_id in query.run_ids[:3])
            raise UnknownRun(f"No run has the id {ids} in {store.uri}.", "List them with: qualia runs")
        selection = Selection(
            "", (), Conditions(run_ids=query.run_ids), excluded=existing, missing=requested - existing
        )
        raise NoRunMatches(describe_named_runs(selection), "Relax them, or name other runs.")
    if query.view == "active":
        experiments = store.read_experiments("active")
        raise_if_empty(store, experiments)
        counts = dict(
            zip(*(experiments.column(name).to_pylist() for name in ("experiment_id", "run_count")), strict=True)
        )
        total = sum(counts[experiment_id] for experiment_id in query.experiment_ids or counts)
    else:
        total = store.read_runs(replace(query, filter="", order_by=(), limit=None)).num_rows
    if not total and query.view == "deleted":
        raise NoRunMatches("There are no deleted runs.", "Omit --deleted to list active runs.")
    if not total:
        these = "That experiment has" if len(query.experiment_ids) == 1 else "Those experiments have"
        there, hint = _beside_runs(store, query.experiment_ids)
        but = f", but {there}" if there else ""
        raise NoRunMatches(f"{these} no runs{but}.", hint or "List experiments with: qualia experiments")
    unknown = describe_unknown_keys(store, query)
    raise NoRunMatches(
        f"{none_of(total, 'run')} matches {one_line(shown_filter(store, query), 200)}."
        + (f" {unknown}" if unknown else ""),
        "Relax the filter, or list the runs with: qualia runs",
    )


def raise_if_empty(store: TrackingStore, experiments: pa.Table) -> None:
    """Raise EmptyStore if the run counts show that there are no runs."""
    counts = experiments.column("run_count").to_pylist()
    if None not in counts and not any(counts):
        raise _no_runs(store)


def describe_unknown_keys(store: TrackingStore, query: Query, fields: Sequence[Field] | None = None) -> str:
    """Describe keys that no run has: `No run has the metric nosuch; there are loss, val_auc.`; "" if all exist.

    fields: the fields to check, by default those of the query's filter; the filter itself is not applied.
    """
    if fields is None:
        fields = keyed_fields(parse_filter(query.filter), ())
    if not fields:
        return ""
    all_runs = replace(query, filter="", order_by=(), limit=None, run_ids=())
    keys_by_kind = read_keys(store, all_runs, [field.key for field in fields])
    sentences = []
    for field in fields:
        keys = keys_by_kind[field.kind]
        if field.key in keys:
            continue
        suggestions = (
            get_close_matches(field.key, keys, n=3) or sorted(key for key in keys if not key.startswith("mlflow."))[:5]
        )
        names = ", ".join(one_line(key, 60) for key in suggestions)
        verb = "is" if len(suggestions) == 1 else "are"
        alternatives = f"there {verb} {names}" if suggestions else f"they have no {field.kind}s"
        sentences.append(f"No run has the {field.kind} {one_line(field.key, 100)}; {alternatives}.")
    return " ".join(sentences)


def describe_named_runs(selection: Selection) -> str:
    """Describe excluded and missing runs: `2 of the 5 runs named are excluded by the other conditions.`; or ""."""
    excluded, missing = selection.excluded, selection.missing
    if not excluded:
        return f"{_share_of_named(missing, len(selection.conditions.run_ids))} not in the store." if missing else ""
    return f"{_share_of_named(excluded, len(selection.conditions.run_ids))} excluded by the other conditions" + (
        f", and the store does not have {missing:,}." if missing else "."
    )


def existing_runs(store: TrackingStore, query: Query, found_ids: Sequence[str]) -> set[str]:
    """The requested run ids that the store has, whether or not other conditions exclude them."""
    only_named = Query(run_ids=query.run_ids, view="all")
    if len(found_ids) == len(query.run_ids) or replace(query, order_by=()) == only_named:
        return set(found_ids)
    return {*found_ids, *store.read_runs(only_named).column("run_id").to_pylist()}


def shown_filter(store: TrackingStore, query: Query) -> str:
    """The filter of the query without secrets, unless the store shows its own."""
    return masked_filter(query.filter, store.masker.rules) if isinstance(store, MaskedStore) else query.filter


def _no_runs(store: TrackingStore) -> EmptyStore:
    """The error for a store without runs."""
    there, hint = _beside_runs(store)
    if not there:
        return EmptyStore(f"There are no runs in {store.uri}.", "Log some with MLflow, or try create-demo-runs.")
    return EmptyStore(f"There are no runs in {store.uri}, but {there}.", hint)


def _beside_runs(store: TrackingStore, experiment_ids: Sequence[str] = ()) -> tuple[str, str]:
    """What these experiments hold beside runs, and which commands list it; "" for nothing."""
    found: dict[str, int] = {}
    if isinstance(store, ReadsGenAI):
        with suppress(StoreError):
            found["trace"] = sum(store.count_traces(experiment_ids).values())
            found["model"] = store.read_models(experiment_ids=experiment_ids).models.num_rows
    found = {word: number for word, number in found.items() if number}
    there = " and ".join(counted(number, word) for word, number in found.items())
    hint = f"List them with: {' and '.join(f'qualia {word}s' for word in found)}" if found else ""
    if "trace" in found:
        hint += "; make a notebook of traces with: qualia new --template traces"
    return there, hint


def _share_of_named(count: int, total: int) -> str:
    if count == total:
        return "The run named is" if total == 1 else f"All {total:,} runs named are"
    return f"{count:,} of the {counted(total, 'run')} named {'is' if count == 1 else 'are'}"
