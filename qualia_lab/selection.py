"""Conditions (the user's input), Query (what a store executes) and Selection (the result): which runs to use."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal

from qualia_lab.errors import SelectionError, UnknownExperiment
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from qualia_lab.genai_tables import TraceQuery

View = Literal["active", "deleted", "all"]


@dataclass(frozen=True)
class Query:
    """A search for runs in a store; all given conditions must hold.

    Attributes:
        experiment_ids: the experiments to search; () for every experiment of the view.
        run_ids: the runs to search; () for no condition.
        filter: a filter of the query language, an extension of that of `mlflow.search_runs`; "" for no condition.
        order_by: sort keys such as `metrics.val_auc DESC`; () for the newest run first.
        limit: the maximum number of runs; None for all of them.
        view: "active", "deleted" or "all" runs.
        notes: sentences on how an ambiguous filter was interpreted.

    Example:
        >>> from qualia_lab import Query, open_store
        >>> with open_store("sqlite:///mlflow.db") as store:
        ...     runs = store.read_runs(Query(filter="metrics.val_auc > 0.8", order_by=("metrics.val_auc DESC",)))
        >>> runs.column("run_id").to_pylist()
    """

    experiment_ids: tuple[str, ...] = ()
    run_ids: tuple[str, ...] = ()
    filter: str = ""
    order_by: tuple[str, ...] = ()
    limit: int | None = None
    view: View = "active"
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Conditions:
    """Which runs to use, as given by flags, arguments or answers to questions. All conditions must hold.

    Attributes:
        experiments: names, ids or globs such as `churn*`; `name:7` and `id:7` resolve ambiguities; () for all.
        run_ids: only these runs; without another order, in this order.
        filter: a filter of the query language.
        where: comparisons such as `lr=0.1`, with a param, metric, tag or attribute by its name.
        since: a date (`2026-11-01`) or an age (`7d`); only runs that started at that time or later.
        status: only runs with one of these statuses.
        order_by: sort keys of the query language.
        by: the metric to rank by, the best run first: `METRIC`, `METRIC:max` or `METRIC:min`.
        top: the maximum number of runs, in order.
        limit: the same as `top`; the smaller of the two applies.
        view: "active", "deleted" or "all"; None for "all" if run ids are given, otherwise for "active".
    """

    experiments: tuple[str, ...] = ()
    run_ids: tuple[str, ...] = ()
    filter: str = ""
    where: tuple[str, ...] = ()
    since: str | None = None
    status: tuple[str, ...] = ()
    order_by: tuple[str, ...] = ()
    by: str | None = None
    top: int | None = None
    limit: int | None = None
    view: View | None = None

    def as_data(self) -> dict[str, Any]:
        """The conditions as a JSON-compatible dict without defaults; `Conditions.of(**data)` restores them."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
            if value not in ((), "", None)
        }

    @classmethod
    def of(cls, **words: Any) -> Conditions:
        """Create conditions from keyword arguments.

        Lists become tuples, a single text becomes a tuple of one, duplicate run ids and statuses are removed, and None
        means the default. Raises SelectionError if `top` or `limit` is less than 1.
        """
        sequences = {field.name for field in fields(cls) if field.default == ()}
        given = {name: value for name, value in words.items() if value is not None}
        for name in given.keys() & sequences:
            given[name] = (given[name],) if isinstance(given[name], str) else tuple(given[name])
        for name in given.keys() & {"top", "limit"}:
            if given[name] < 1:
                raise SelectionError(f"{name} is {given[name]}, which selects no run.", "Use at least 1.")
        for name in given.keys() & {"run_ids", "status"}:
            given[name] = tuple(dict.fromkeys(given[name]))
        return cls(**given)

    @property
    def restricts(self) -> bool:
        """Whether the conditions exclude runs and do not only order them."""
        return replace(self, by=None, order_by=()) != Conditions()

    @property
    def at_most(self) -> int | None:
        """The maximum number of runs; None for all."""
        return min((number for number in (self.top, self.limit) if number is not None), default=None)


@dataclass(frozen=True)
class Selection:
    """Selected runs as plain data: the store, the conditions, and the resulting run ids.

    Attributes:
        tracking_uri: the tracking URI of the store, without secrets.
        run_ids: the runs that were found, in the order of the query, then requested runs that the store does not have.
        conditions: the conditions as they were given, with secrets masked.
        query: the query that the store executed, with secrets masked.
        experiments: the names of the experiments of the runs.
        engine: the engine that aggregates the runs; None if the runs are read.
        excluded: the number of requested runs that other conditions exclude.
        missing: the number of requested runs that the store does not have.
        traces: which traces are shown instead of runs; None for runs.
        masked: whether the conditions compare with a secret that is masked here, so that they cannot be executed again.

    Example:
        >>> from qualia_lab import NotebookGenerator
        >>> with NotebookGenerator("sqlite:///mlflow.db") as generator:
        ...     selection = generator.select(experiments=["churn"], by="val_auc:max", top=5)
        >>> selection.run_ids
    """

    tracking_uri: str
    run_ids: tuple[str, ...]
    conditions: Conditions = Conditions()
    query: Query = Query()
    experiments: tuple[str, ...] = ()
    engine: str | None = None
    excluded: int = 0
    missing: int = 0
    masked: bool = False
    traces: TraceQuery | None = None

    @property
    def picked(self) -> bool:
        """Whether the runs were selected by id, so that later runs cannot be among them."""
        return bool(self.conditions.run_ids)

    @property
    def needs_ids(self) -> bool:
        """Whether the run ids are needed, because experiments and filter alone would select more runs."""
        return self.picked or self.masked or self.query.limit is not None


def split_metric(text: str) -> tuple[str, Literal["higher", "lower"] | None]:
    """Split `val_auc:max` into the metric and the better direction; None without `:max` or `:min`."""
    metric, colon, word = text.rpartition(":")
    if not (metric and colon and word in ("max", "min")):
        return text, None
    return metric, "higher" if word == "max" else "lower"


def _by_name_or_id(word: str, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The experiments with this name, or the one with this id."""
    by_name = [row for row in rows if row["name"] == word]
    by_id = [row for row in rows if row["experiment_id"] == word]
    if any(row not in by_id for row in by_name) and by_id and by_id != by_name:
        raise SelectionError(
            f"{one_line(word, 100)} is the name of one experiment and the id of another.",
            f"Write name:{one_line(word, 100)} or id:{one_line(word, 100)}.",
        )
    kind, colon, rest = word.partition(":")
    if colon and kind in ("name", "id") and not by_name:
        return [row for row in rows if row["name" if kind == "name" else "experiment_id"] == rest]
    return by_name or by_id


def match_experiments(requested: Sequence[str], experiments: pa.Table) -> list[dict[str, Any]]:
    """Find experiments by name, id or glob; `name:7` and `id:7` state which of the two `7` is.

    Args:
        requested: names, ids and globs. Empty: the only experiment if there is just one, otherwise none.
        experiments: the experiments to search (schema.EXPERIMENTS).

    Returns:
        The matching experiments as dicts, each once.

    Raises:
        UnknownExperiment: nothing matches a text; the hint has suggestions.
        SelectionError: a text is the name of one experiment and the id of another.
    """
    rows = experiments.to_pylist()
    if not requested:
        return [] if len(rows) != 1 else rows
    chosen: dict[str, dict[str, Any]] = {}
    for word in requested:
        matches = _by_name_or_id(word, rows) or [row for row in rows if fnmatch.fnmatchcase(row["name"] or "", word)]
        if not matches:
            names = [row["name"] or "" for row in rows]
            lower = {name.lower(): name for name in names}
            close_names = get_close_matches(word.lower(), lower, n=3)
            suggestions = [one_line(lower[name], 60) for name in close_names] or [
                one_line(name, 60) for name in names[:5]
            ]
            hint = f"There {'is' if len(names) == 1 else 'are'} {', '.join(suggestions)}."
            if len(names) > len(suggestions):
                hint = f"There are {len(names):,}, such as {', '.join(suggestions)}."
            if not names:
                hint = "There are no experiments."
            raise UnknownExperiment(
                f"No experiment is called {one_line(word, 100)}.",
                f"Did you mean {', '.join(suggestions)}?" if close_names else hint,
            )
        chosen |= {row["experiment_id"]: row for row in matches}
    return list(chosen.values())
