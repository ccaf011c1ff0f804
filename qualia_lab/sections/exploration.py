"""A place for a person's own cells, and what is loaded under which name."""

from __future__ import annotations

from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown

_HEADING = """\
## Free exploration

| name | what it is |
|---|---|
| `runs.params`, `runs.metrics`, `runs.tags` | DataFrames, a row per run, numbers as numbers |
| `runs.history(METRICS)` | DataFrame of every logged point: run_id, key, step, timestamp, value |
| `runs.plot.`, `runs.relations.`, `runs.failures.`, `runs.origins.` | charts and tables: press Tab |
| `runs.artifacts.list(RUN_IDS[0])` | DataFrame of a run's files with sizes |
| `runs.with_settings(seeds=[], statuses=["FINISHED"])` | the same runs, looked at otherwise |
| `runs.study`, `runs.tables` | what these runs are about, and the tidy Arrow tables behind all of it |
| `client` | MLflow's own client |"""


def _cells(_: Brief) -> tuple[PlannedCell, ...]:
    return (markdown("exploration:heading", _HEADING), code("exploration", ""))


SECTION = Section("exploration", "Free exploration", _cells)
