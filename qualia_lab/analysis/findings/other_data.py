"""Runs of one comparison that used other data."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings.finding import NAMED, Finding, Number, Rule, count, listed
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence


@dataclass(frozen=True)
class Thresholds:
    """fewest: runs on other data than most, from which on they are worth a word."""

    fewest: int = 1


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """One finding per context (training, validation, ...) in which runs logged different names or digests.

    Runs that logged no dataset in a context are not counted: what they used is not known.
    """
    used: dict[str, dict[str, set[tuple[str, str]]]] = defaultdict(lambda: defaultdict(set))
    for row in evidence.tables.datasets.to_pylist():
        used[row["context"] or ""][row["run_id"]].add((row["name"] or "", row["digest"] or ""))
    findings = []
    for context, by_run in sorted(used.items()):
        runs_on: dict[tuple[tuple[str, str], ...], list[str]] = defaultdict(list)
        for run_id in evidence.run_ids:
            if run_id in by_run:
                runs_on[tuple(sorted(by_run[run_id]))].append(run_id)
        ordered = sorted(runs_on.items(), key=lambda item: (-len(item[1]), item[0]))
        others = [run_id for _, run_ids in ordered[1:] for run_id in run_ids]
        if len(ordered) > 1 and len(others) >= thresholds.fewest:
            findings.append(_finding(evidence, context, ordered, tuple(others)))
    return findings


def _finding(
    evidence: Evidence,
    context: str,
    ordered: list[tuple[tuple[tuple[str, str], ...], list[str]]],
    others: tuple[str, ...],
) -> Finding:
    clauses = []
    for place, (datasets, run_ids) in enumerate(ordered[:NAMED]):
        on = listed((f"{name} @ {one_line(digest, 16)}" for name, digest in datasets), 2)
        who = f" ({listed(map(evidence.name, run_ids), 3)})" if place else ""
        clauses.append(f"{count(len(run_ids), 'run')} used {on}{who}")
    more = f"; and {len(ordered) - NAMED:,} others" if len(ordered) > NAMED else ""
    where = f" in the context {one_line(context, 30)}" if context else ""
    return Finding(
        "other_data",
        "warning",
        f"These runs did not all use the same data{where}: {'; '.join(clauses)}{more}.",
        others,
        tuple(sorted({name for datasets, _ in ordered for name, _ in datasets})),
        numbers=tuple(
            Number(f"runs on data {place + 1}", len(run_ids)) for place, (_, run_ids) in enumerate(ordered[:NAMED])
        ),
        section="origins",
        code=(
            'runs.tables.datasets.to_pandas().assign(data=lambda rows: rows["name"] + " @ " + rows["digest"])'
            '.sort_values("data").groupby(["context", "run_id"], dropna=False)["data"].agg(", ".join)'
            '.groupby("context", dropna=False).value_counts()'
        ),
    )


RULE = Rule("other_data", "runs logged datasets of different names or digests in one context", "", Thresholds(), find)
