"""Expressions over `runs` that recompute what a sentence says. No text of a store is in them but plain names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

    from qualia_lab.analysis.findings.evidence import Evidence

# Names that can be nothing but themselves between quotes.
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,79}")


def metric(evidence: Evidence, key: str) -> str:
    """The metric as a literal, or as a place among the columns of `runs.metrics`."""
    return _named(key, "metrics", evidence.tables.metrics)


def param(evidence: Evidence, key: str) -> str:
    """The param as a literal, or as a place among the columns of `runs.params`."""
    return _named(key, "params", evidence.tables.params)


def run_id(evidence: Evidence, wanted: str) -> str:
    """One run id: as a literal, or as a place among the runs."""
    return f'"{wanted}"' if _PLAIN.fullmatch(wanted) else f"list(runs)[{evidence.places[wanted]}]"


def run_ids(evidence: Evidence, wanted: Iterable[str]) -> str:
    """A list of run ids: as literals, or as places among the runs."""
    return f"[{', '.join(run_id(evidence, one) for one in wanted)}]"


def places(evidence: Evidence, wanted: Iterable[str]) -> str:
    """A list of the runs' places in `runs`, which are those of their rows in its DataFrames."""
    return repr([evidence.places[run_id] for run_id in wanted])


def history_summary(evidence: Evidence, key: str, wanted: Iterable[str]) -> str:
    """The rows of some runs in the summary of a metric's histories."""
    return f"runs.history_summary({metric(evidence, key)}).loc[{run_ids(evidence, wanted)}]"


def history(evidence: Evidence, key: str, wanted: Iterable[str]) -> str:
    """Every point of a metric of some runs."""
    points = f'runs.history({metric(evidence, key)}).set_index("run_id")[["step", "timestamp", "value"]]'
    return f"{points}.loc[{run_ids(evidence, wanted)}]"


def _named(key: str, frame: str, table: pa.Table) -> str:
    if _PLAIN.fullmatch(key):
        return f'"{key}"'
    return f"runs.{frame}.columns[{sorted(pc.unique(table.column('key')).to_pylist()).index(key)}]"
