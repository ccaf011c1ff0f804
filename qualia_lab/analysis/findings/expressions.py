"""Python expressions over `runs` that recompute the numbers of a finding.

Text from a store is quoted only if it is a plain name; otherwise it is referred to by its position.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

    from qualia_lab.analysis.findings.evidence import Evidence

# Names that need no escaping in a string literal.
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,79}")


def metric(evidence: Evidence, key: str) -> str:
    """The metric as a string literal, or by its position in the columns of `runs.metrics`."""
    return _named(key, "metrics", evidence.tables.metrics)


def param(evidence: Evidence, key: str) -> str:
    """The param as a string literal, or by its position in the columns of `runs.params`."""
    return _named(key, "params", evidence.tables.params)


def run_id(evidence: Evidence, run_id: str) -> str:
    """A run id as a string literal, or by its position among the runs."""
    return f'"{run_id}"' if _PLAIN.fullmatch(run_id) else f"list(runs)[{evidence.positions[run_id]}]"


def run_ids(evidence: Evidence, wanted: Iterable[str]) -> str:
    """A list of run ids as string literals, or by their positions among the runs."""
    return f"[{', '.join(run_id(evidence, one) for one in wanted)}]"


def positions(evidence: Evidence, wanted: Iterable[str]) -> str:
    """A list of positions of runs in `runs`, which are also their row numbers in its DataFrames."""
    return repr([evidence.positions[run_id] for run_id in wanted])


def history_summary(evidence: Evidence, key: str, wanted: Iterable[str]) -> str:
    """The rows of these runs in the summary of the histories of a metric."""
    return f"runs.history_summary({metric(evidence, key)}).loc[{run_ids(evidence, wanted)}]"


def history(evidence: Evidence, key: str, wanted: Iterable[str]) -> str:
    """All points of a metric in these runs."""
    points = f'runs.history({metric(evidence, key)}).set_index("run_id")[["step", "timestamp", "value"]]'
    return f"{points}.loc[{run_ids(evidence, wanted)}]"


def _named(key: str, frame: str, table: pa.Table) -> str:
    if _PLAIN.fullmatch(key):
        return f'"{key}"'
    return f"runs.{frame}.columns[{sorted(pc.unique(table.column('key')).to_pylist()).index(key)}]"
