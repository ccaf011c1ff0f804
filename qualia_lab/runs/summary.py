"""The text shown when `runs` is displayed: what was loaded, and which runs are missing or damaged, with reasons."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from qualia_lab.counts import counted
from qualia_lab.escaping import for_html, one_line

if TYPE_CHECKING:
    import pyarrow as pa

    from qualia_lab.runs.loaded import Loaded

_EXPERIMENTS_NAMED = 5
_PROBLEMS_SHOWN = 20


def summary_lines(loaded: Loaded) -> list[str]:
    """The lines of the summary; the first says how many runs of which experiments."""
    tables = loaded.tables
    named = ", ".join(islice(loaded.experiments.values(), _EXPERIMENTS_NAMED))
    lines = [f"{counted(len(loaded), 'run')} of {counted(tables.experiments.num_rows, 'experiment')}: {named}"]
    lines.append(
        f"{counted(_distinct(tables.params), 'param')}, {counted(_distinct(tables.metrics), 'metric')}, "
        f"{counted(_distinct(tables.tags), 'tag')}, {counted(tables.datasets.num_rows, 'dataset')}, "
        f"{counted(tables.logged_models.num_rows, 'logged model')}"
    )
    lines += [f"Missing: run {row['run_id']}: {row['reason']}" for row in tables.missing.to_pylist()]
    if loaded.passed_over:
        lines.append(f"Passed over, because none of these runs has it: {', '.join(loaded.passed_over)}")
    problems = tables.problems.to_pylist()
    lines += [
        f"Not readable: {row['subject']} of run {loaded.labels.get(row['run_id'], row['run_id'])}: {row['reason']}"
        for row in problems[:_PROBLEMS_SHOWN]
    ]
    if len(problems) > _PROBLEMS_SHOWN:
        lines.append(f"… showing {_PROBLEMS_SHOWN} of {len(problems):,} such notes; all are in runs.tables.problems")
    return [one_line(line, 300) for line in lines]


def summary_html(loaded: Loaded) -> str:
    """The summary as HTML."""
    first, *rest = summary_lines(loaded)
    items = "".join(f"<li>{for_html(line)}</li>" for line in rest)
    return f"<p><b>{for_html(first)}</b></p><ul>{items}</ul>"


def _distinct(tidy: pa.Table) -> int:
    return len(pc.unique(tidy.column("key")))
