"""Params and tags that set no configurations apart, but say with which commit, data or library a run was made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from qualia_lab.columns import texts_of
from qualia_lab.study.factor_names import made_with
from qualia_lab.tables import rows_with

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qualia_lab.study import Study
    from qualia_lab.study.study import Factor
    from qualia_lab.tables import RunTables

_CUT_COMMIT = 6  # digits of a commit, from which on it may be the beginning of another one


@dataclass(frozen=True)
class DifferingLabel:
    """A label that is not the same on both sides."""

    what: Literal["param", "tag", "commit", "data", "library"]
    key: str
    a: tuple[str, ...]
    b: tuple[str, ...]


def differing_labels(
    tables: RunTables, study: Study, a: Sequence[str], b: Sequence[str], also: str | None = None
) -> Iterator[DifferingLabel]:
    """The labels that say what runs were made with, where each side has one value and another than the other.

    And one param or tag, whatever it is, that is asked for. Of the place of data its last part counts: folders differ
    by machine.

    Args:
        tables: of the runs.
        study: of the same runs.
        a: the runs of one side.
        b: those of the other.
        also: the param or tag that is asked for.
    """
    for one in (*study.params, *study.tags):
        asked = also is not None and is_called(one, also)
        what = made_with(one.key) if one.role == "label" else ""
        if one.role in ("factor", "tied") or not (what or asked):
            continue
        rows = rows_with(tables.params if one.kind == "param" else tables.tags, "key", [one.key])
        texts = dict(zip(texts_of(rows.column("run_id")), texts_of(rows.column("value")), strict=True))
        of_a, of_b = (tuple(dict.fromkeys(texts[run] or "" for run in side if run in texts)) for side in (a, b))
        if asked:
            if set(of_a) != set(of_b):
                yield DifferingLabel(one.kind, one.name, of_a, of_b)
        elif what and len(of_a) == len(of_b) == 1 and not _is_same(what, of_a[0], of_b[0]):
            yield DifferingLabel("data" if what == "place of data" else what, one.name, of_a, of_b)


def is_called(one: Factor, name: str) -> bool:
    """Whether a person may mean it: by its name, its key, or `params.KEY` and `tags.KEY`."""
    return name in (one.name, one.key, f"{one.kind}s.{one.key}")


def _is_same(what: str, a: str, b: str) -> bool:
    """Whether two values say the same: a commit that is cut, a file in another folder."""
    if what == "place of data":
        a, b = (one.replace("\\", "/").rstrip("/").rpartition("/")[2] for one in (a, b))
    return a == b or (what == "commit" and min(len(a), len(b)) >= _CUT_COMMIT and (a.startswith(b) or b.startswith(a)))
