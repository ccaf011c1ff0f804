"""Conditions, Query and Selection: which runs, as a person says it, as a store is asked, and what it answered."""

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

View = Literal["active", "deleted", "all"]


@dataclass(frozen=True)
class Query:
    """What to ask a store for; every condition that is given must hold.

    experiment_ids: () means every experiment of the view.  run_ids: () means no condition.
    filter and order_by: the language of `qualia_lab.query`; without order_by the newest run is first.
    limit: None means all of them, always.
    notes: sentences on how it was read, where it could have been read otherwise.
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
    """Which runs, in the words they are asked for with: flags, answers to questions, arguments. All must hold.

    experiments: names, ids or globs such as `churn*`, `name:7` and `id:7` to tell them apart; () means every one.
    run_ids: only these, and without another order in this order.
    filter and order_by: the language of `qualia_lab.query`.
    where: comparisons such as `lr=0.1`, with a param, metric, tag or attribute by its name.
    since: a date, `2026-11-01`, or an age, `7d`; runs that started then or later.  status: any of these.
    by: the metric to rank by, the best run first: `METRIC`, `METRIC:max` or `METRIC:min`.
    top, limit: the first so many in that order; of both the smaller number.
    view: None means all where run ids are given, else active ones.
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
        """What is said, as JSON has it: `Conditions.of(**conditions.as_data())` is the same again."""
        said = {one.name: getattr(self, one.name) for one in fields(self)}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in said.items()
            if value not in ((), "", None)
        }

    @classmethod
    def of(cls, **words: Any) -> Conditions:
        """Conditions of lists and tuples alike, each run id and status once; what is None is not said.

        One text in place of several is that one alone. Raises SelectionError for a number of runs below 1.
        """
        several = {one.name for one in fields(cls) if one.default == ()}
        said = {name: value for name, value in words.items() if value is not None}
        for name in said.keys() & several:
            said[name] = (said[name],) if isinstance(said[name], str) else tuple(said[name])
        for name in said.keys() & {"top", "limit"}:
            if said[name] < 1:
                raise SelectionError(f"{name} is {said[name]}, and no run is taken.", "Take at least 1.")
        for name in said.keys() & {"run_ids", "status"}:
            said[name] = tuple(dict.fromkeys(said[name]))
        return cls(**said)

    @property
    def chooses(self) -> bool:
        """Whether they leave runs out, and do not only say in which order they come."""
        return replace(self, by=None, order_by=()) != Conditions()

    @property
    def at_most(self) -> int | None:
        """How many runs at most; None for all."""
        return min((number for number in (self.top, self.limit) if number is not None), default=None)


@dataclass(frozen=True)
class Selection:
    """Which runs, as plain data: where they are, how they were chosen, and the run ids that gave.

    tracking_uri holds no secret.  conditions: as they were said; query: as the store was asked.
    run_ids: those found in the query's order, then those that were named and that the store does not have.
    experiments: names, as they are in the store.
    engine: what aggregates the runs where they are, None when they are read.
    excluded: how many of the runs that were named another condition excludes.  missing: how many the store lacks.
    """

    tracking_uri: str
    run_ids: tuple[str, ...]
    conditions: Conditions = Conditions()
    query: Query = Query()
    experiments: tuple[str, ...] = ()
    engine: str | None = None
    excluded: int = 0
    missing: int = 0

    @property
    def picked(self) -> bool:
        """Whether runs were named one by one, so that no later run can be among them."""
        return bool(self.conditions.run_ids)

    @property
    def needs_ids(self) -> bool:
        """Whether experiments and filter alone would give other runs too."""
        return self.picked or self.query.limit is not None


def cut_metric(text: str) -> tuple[str, Literal["higher", "lower"] | None]:
    """`val_auc:max` as a metric and which way is better, None where no word says it."""
    metric, colon, word = text.rpartition(":")
    if not (metric and colon and word in ("max", "min")):
        return text, None
    return metric, "higher" if word == "max" else "lower"


def _called(word: str, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The experiments of this name, or the one of this id."""
    named = [row for row in rows if row["name"] == word]
    numbered = [row for row in rows if row["experiment_id"] == word]
    if any(row not in numbered for row in named) and numbered and numbered != named:
        raise SelectionError(
            f"{one_line(word, 100)} is the name of one experiment and the id of another.",
            f"Write name:{one_line(word, 100)} or id:{one_line(word, 100)}.",
        )
    kind, colon, rest = word.partition(":")
    if colon and kind in ("name", "id") and not named:
        return [row for row in rows if row["name" if kind == "name" else "experiment_id"] == rest]
    return named or numbered


def match_experiments(asked: Sequence[str], known: pa.Table) -> list[dict[str, Any]]:
    """The experiments that names, ids and globs mean; `name:7` and `id:7` say which of the two 7 is.

    Raises UnknownExperiment with what might have been meant, and SelectionError for what is the name of one experiment
    and the id of another.
    """
    rows = known.to_pylist()
    if not asked:
        return [] if len(rows) != 1 else rows
    chosen: dict[str, dict[str, Any]] = {}
    for word in asked:
        found = _called(word, rows) or [row for row in rows if fnmatch.fnmatchcase(row["name"] or "", word)]
        if not found:
            names = [row["name"] or "" for row in rows]
            lower = {name.lower(): name for name in names}
            near = get_close_matches(word.lower(), lower, n=3)
            listed = [one_line(lower[name], 60) for name in near] or [one_line(name, 60) for name in names[:5]]
            there = f"There {'is' if len(names) == 1 else 'are'} {', '.join(listed)}."
            if len(names) > len(listed):
                there = f"There are {len(names):,}, such as {', '.join(listed)}."
            if not names:
                there = "There is no experiment at all."
            raise UnknownExperiment(
                f"No experiment is called {one_line(word, 100)}.",
                f"Did you mean {', '.join(listed)}?" if near else there,
            )
        chosen |= {row["experiment_id"]: row for row in found}
    return list(chosen.values())
