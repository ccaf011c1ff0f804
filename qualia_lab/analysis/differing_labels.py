"""Params and tags that are no factors but say which commit, data or library version a run used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.analysis.differs import Differs
from qualia_lab.columns import texts_of
from qualia_lab.study.factor_names import made_with
from qualia_lab.tables import rows_with

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qualia_lab.study import Study
    from qualia_lab.study.study import Factor
    from qualia_lab.tables import RunTables

_CUT_COMMIT = 6  # digits from which a commit may be an abbreviation of another


def differing_labels(
    tables: RunTables, study: Study, a: Sequence[str], b: Sequence[str], also: str | None = None
) -> Iterator[Differs]:
    """Yield the labels for commit, data or library where each side has a single value and the values differ.

    A param or tag given as `also` is compared whatever it is. For the path of data only the last part is compared,
    because folders differ between machines.

    Args:
        tables: the tables of the runs.
        study: the study of the same runs.
        a: the run ids of one side.
        b: the run ids of the other side.
        also: a further param or tag to compare.

    Yields:
        The differing labels.
    """
    for candidate in (*study.params, *study.tags):
        is_requested = also is not None and is_called(candidate, also)
        what = made_with(candidate.key) if candidate.role == "label" else ""
        if candidate.role in ("factor", "tied") or not (what or is_requested):
            continue
        rows = rows_with(tables.params if candidate.kind == "param" else tables.tags, "key", [candidate.key])
        texts = dict(zip(texts_of(rows.column("run_id")), texts_of(rows.column("value")), strict=True))
        values_a, values_b = (tuple(dict.fromkeys(texts[run] or "" for run in side if run in texts)) for side in (a, b))
        if is_requested:
            if set(values_a) != set(values_b):
                yield Differs(candidate.kind, candidate.name, values_a, values_b)
        elif what and len(values_a) == len(values_b) == 1 and not _is_same(what, values_a[0], values_b[0]):
            yield Differs("data" if what == "place of data" else what, candidate.name, values_a, values_b)


def is_called(factor: Factor, name: str) -> bool:
    """Whether a name given by a user refers to a param or tag: its name, its key, or `params.KEY` and `tags.KEY`."""
    return name in (factor.name, factor.key, f"{factor.kind}s.{factor.key}")


def _is_same(what: str, a: str, b: str) -> bool:
    """Whether two values are equivalent: an abbreviated commit, or the same file in another folder."""
    if what == "place of data":
        a, b = (one.replace("\\", "/").rstrip("/").rpartition("/")[2] for one in (a, b))
    return a == b or (what == "commit" and min(len(a), len(b)) >= _CUT_COMMIT and (a.startswith(b) or b.startswith(a)))
