"""The same content gives the same tables and the same notebook, whatever kind of store it is in.

The sample is written by MLflow's client into each kind. What the kinds themselves give differently is evened out
first, and only that: ids, moments of creation, places of artifacts, and infinity, which SQL stores cannot keep.
"""

from __future__ import annotations

import math
import re

import pytest

from qualia_lab import NotebookGenerator, Query, open_store, schema
from qualia_lab.notebook.build import build_notebook

pytestmark = pytest.mark.usefixtures("quick_kernels")

KINDS = {
    "postgresql": "postgresql_sample",
    "system_postgresql": "system_postgresql_sample",
    "mariadb": "mariadb_sample",
    "mlruns": "mlruns_sample",
    "server": "mlflow_server",
    "snapshot": "snapshot_sample",
}
LARGEST = 1.7976931348623157e308
GIVEN_BY_THE_STORE = {
    "artifact_location", "artifact_uri", "creation_time", "last_update_time", "last_updated_time",
    "experiment_id", "run_id", "parent_run_id", "model_id",
}  # fmt: skip


def uri_of(kind, request) -> str:
    return str(request.getfixturevalue(KINDS[kind]))


@pytest.fixture(scope="module")
def sqlite(sqlite_sample):
    return f"sqlite:///{sqlite_sample}"


def same_number(value):
    """A metric's value with the precision of all stores."""
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else max(-LARGEST, min(LARGEST, value)) + 0.0
    return value


def content_of(uri: str) -> dict[str, list[tuple]]:
    """All tables and the metric history, with names instead of ids, in a fixed order."""
    store = open_store(uri)
    try:
        runs = store.read_runs(Query(view="all"))
        run_ids = runs.column("run_id").to_pylist()
        tables = store.read(run_ids)
        history = [row for batch in store.read_metric_history(run_ids) for row in batch.to_pylist()]
        listed = store.read_experiments("all").to_pylist()
    finally:
        store.close()
    runs_by_id = dict(zip(run_ids, runs.column("run_name").to_pylist(), strict=True))
    ids = runs_by_id | {row["experiment_id"]: row["name"] for row in listed}
    found = {name: getattr(tables, name).to_pylist() for name in schema.TABLES} | {"history": history, "listed": listed}
    return {
        name: sorted(
            (
                tuple(
                    (key, ids.get(value) if key in GIVEN_BY_THE_STORE else runs_by_id.get(value, same_number(value)))
                    for key, value in row.items()
                )
                for row in rows
            ),
            key=repr,
        )
        for name, rows in found.items()
    }


@pytest.mark.parametrize("kind", KINDS)
def test_tables_are_equal_on_every_store(kind, request, sqlite):
    ours, theirs = content_of(sqlite), content_of(uri_of(kind, request))
    assert sum(len(rows) for rows in ours.values()) > 350
    for name, rows in ours.items():
        assert theirs[name] == rows, name


def notebook_of(uri: str) -> list[tuple[str, str]]:
    """Kind and source of each cell, with names instead of run ids and without the URI."""
    generator = NotebookGenerator(uri)
    selection = generator.select(experiments=["churn"], order_by=["run_name ASC"])
    cells = build_notebook(generator.plan(selection))["cells"]
    runs = generator.store.read_runs(Query(run_ids=selection.run_ids))
    text = [(cell["cell_type"], "".join(cell["source"])) for cell in cells]
    for run_id, name in zip(runs.column("run_id").to_pylist(), runs.column("run_name").to_pylist(), strict=True):
        text = [(kind, source.replace(run_id, repr(name))) for kind, source in text]
    without = []
    for kind, source in text:
        lines = re.sub(r"(?m)^TRACKING_URI = .*$", "TRACKING_URI", source)
        without.append((kind, re.sub(r" from `` .*? ``|--tracking-uri ('[^']*'|\S+)", "", lines)))
    return without


@pytest.mark.parametrize("kind", KINDS)
def test_notebooks_are_equal_on_every_store_except_for_the_uri(kind, request, sqlite):
    ours = notebook_of(sqlite)
    assert len(ours) > 25
    assert notebook_of(uri_of(kind, request)) == ours


@pytest.mark.parametrize("kind", KINDS)
def test_notebooks_of_every_store_run(kind, request, tmp_path):
    from .test_notebooks import executed

    uri = uri_of(kind, request)
    generator = NotebookGenerator(uri)
    path = generator.create(experiments=["churn"], output=tmp_path / "notebook.ipynb", execute=True)
    shown = [cell for cell in executed(path).cells if cell.source.startswith("runs.show(")]
    notes = [c for c in shown if "hello there.txt" in str(c.outputs)]
    assert len(notes) == 1, "the run with a text artifact shows it"
    assert "hello" in str(notes[0].outputs)
