"""When, or with which version, traces began to fail more often than chance explains."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.fisher import log_fisher

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.analysis.span_columns import Flags, Rows

_MOST_SPLITS = 50  # times at which errors may have begun that are tried


@dataclass(frozen=True)
class ErrorOnset:
    """Traces that fail more often than the others.

    Attributes:
        since: the time in ms since 1970 from which on they are meant; None for those of a version.
        version: the attribute and the value of the version; None for those from a time on.
        failed, traces: how many of them failed, of how many.
        failed_others, others: the same of the other traces.
        rows: their indices among the given traces.
        corrected: the p value, corrected over all times and versions that were tried.
    """

    since: int | None
    version: tuple[str, str] | None
    failed: int
    traces: int
    failed_others: int
    others: int
    rows: tuple[int, ...]
    corrected: float


def error_onset(times: Sequence[int], failed: Flags, versions: Mapping[str, Sequence[str]]) -> ErrorOnset | None:
    """The time or the version from which on traces failed more often than the others, with the smallest p value.

    One-sided exact tests (Fisher 1935) of the traces from a time on against those before it, for up to 50 times at
    which a trace failed, and of the traces of each version against all others. The p value is corrected for all of them
    (Bonferroni), although neighbouring times test almost the same.

    Args:
        times: the request times in ms since 1970, ascending.
        failed: whether each trace failed.
        versions: attributes that tell versions apart, each with a value for every trace, "" for none.

    Returns:
        The onset, however large its p value; None where nothing can be tested.
    """
    total = len(failed)
    at = np.asarray(times, np.int64)
    members: list[tuple[int | None, tuple[str, str] | None, Rows]] = []
    starts = np.unique(at[failed])
    tried = np.unique(np.linspace(0, max(0, len(starts) - 1), min(len(starts), _MOST_SPLITS)).astype(np.int64))
    members += [(since, None, np.flatnonzero(at >= since)) for since in starts[tried].tolist()]
    for name, values in versions.items():
        of_value: dict[str, list[int]] = {}
        for row, value in enumerate(values):
            if value:
                of_value.setdefault(value, []).append(row)
        members += [(None, (name, value), np.array(rows)) for value, rows in sorted(of_value.items())]
    members = [one for one in members if 0 < len(one[2]) < total]
    if not members or not failed.any():
        return None
    counts = np.array([int(failed[rows].sum()) for *_, rows in members])
    sizes = np.array([len(rows) for *_, rows in members])
    logs = log_fisher(counts, sizes, failed)
    # Of equal ones a version says more than a time: it is the cause, or nearer to it.
    best = min(range(len(members)), key=lambda place: (logs[place], members[place][1] is None))
    since, version, rows = members[best]
    return ErrorOnset(
        since,
        version,
        int(counts[best]),
        int(sizes[best]),
        int(failed.sum() - counts[best]),
        int(total - sizes[best]),
        tuple(rows.tolist()),
        min(1.0, math.exp(logs[best]) * len(members)),
    )
