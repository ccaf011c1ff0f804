"""Query and Selection: which runs, before and after the store was asked."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal

from qualia_lab.errors import UnknownExperiment
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

View = Literal["active", "deleted", "all"]


@dataclass(frozen=True)
class Query:
    """What to ask a store for; every condition that is given must hold.

    experiment_ids: () means every experiment of the view.  run_ids: () means no condition.
    filter and order_by: the language of `qualia_lab.query`; without order_by the newest run is first.
    limit: None means all of them, always.
    """

    experiment_ids: tuple[str, ...] = ()
    run_ids: tuple[str, ...] = ()
    filter: str = ""
    order_by: tuple[str, ...] = ()
    limit: int | None = None
    view: View = "active"


@dataclass(frozen=True)
class Selection:
    """Which runs, as plain data: where they are, how they were chosen, and the run ids that gave.

    tracking_uri holds no secret. experiments are names, as they were in the store. picked: whether the runs were named
    one by one, so that no condition gives them again.
    engine: what aggregates them where they are, None when they are read.
    greater_is_better is None where no direction is known.  seeds: the params that only repeat a configuration, None for
    those that look like it.  baseline: the id or name of a run of it, or params that it alone has.  notes: sentences
    that say where these are from.  findings: thresholds of rules that the project has settled.
    """

    tracking_uri: str
    run_ids: tuple[str, ...]
    experiments: tuple[str, ...] = ()
    filter: str = ""
    order_by: tuple[str, ...] = ()
    limit: int | None = None
    picked: bool = False
    primary_metric: str | None = None
    greater_is_better: bool | None = None
    engine: str | None = None
    seeds: tuple[str, ...] | None = None
    baseline: str | Mapping[str, str] | None = None
    notes: tuple[str, ...] = ()
    findings: Mapping[str, Any] = field(default_factory=dict)


def match_experiments(asked: Sequence[str], known: pa.Table) -> list[dict[str, Any]]:
    """The experiments that names, ids and globs mean. Raises UnknownExperiment with what might have been meant."""
    rows = known.to_pylist()
    if not asked:
        return [] if len(rows) != 1 else rows
    chosen: dict[str, dict[str, Any]] = {}
    for word in asked:
        found = [row for row in rows if word in (row["name"], row["experiment_id"])] or [
            row for row in rows if fnmatch.fnmatchcase(row["name"] or "", word)
        ]
        if not found:
            names = [row["name"] or "" for row in rows]
            lower = {name.lower(): name for name in names}
            near = get_close_matches(word.lower(), lower, n=3)
            listed = [one_line(lower[name], 60) for name in near] or [one_line(name, 60) for name in names[:5]]
            said = "Did you mean" if near else "There are" if len(names) <= 5 else f"There are {len(names)}, such as"
            raise UnknownExperiment(
                f"No experiment is called {one_line(word, 100)}.", f"{said} {', '.join(listed)}{'?' if near else '.'}"
            )
        chosen |= {row["experiment_id"]: row for row in found}
    return list(chosen.values())
