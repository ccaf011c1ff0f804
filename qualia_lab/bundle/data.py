"""The data of a bundle: a snapshot of the runs or traces of a notebook, and what the manifest says of them."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qualia_lab.bundle.manifest import DATA, BundleManifest, versions_here
from qualia_lab.choosing_traces import raise_no_traces
from qualia_lab.errors import NotebookError, SelectionError, UnknownRun
from qualia_lab.genai_tables import TraceQuery, traces_query
from qualia_lab.masking.tables import masked_columns, masked_keys
from qualia_lab.notebook.artifact_runs import genai_of_runs, runs_with_artifacts
from qualia_lab.notebook.export_paths import page_paths
from qualia_lab.notebook.parameters import read_parameters, run_ids_of
from qualia_lab.stores.ended import ENDED
from qualia_lab.stores.protocol import ReadsGenAI, read_models_of
from qualia_lab.stores.snapshot.genai import GenAIChoice
from qualia_lab.stores.snapshot.store import write_snapshot
from qualia_lab.stores.trace_names import beside_traces
from qualia_lab.stores.uri import split_uri
from qualia_lab.times import is_possible

if TYPE_CHECKING:
    import pyarrow as pa

    from qualia_lab.stores.protocol import TrackingStore
    from qualia_lab.tables import RunTables


def write_data(folder: Path, notebook: Path, content: dict[str, Any], store: TrackingStore) -> BundleManifest:
    """Write the snapshot of a bundle: the runs of the notebook, their histories, and artifacts that it may show.

    For a notebook of traces, the traces with all of their spans.

    Args:
        folder: the folder of the bundle, with the name that the notebook will have in it.
        notebook: the file of the notebook that the bundle is made from.
        content: the notebook as it will be in the bundle.
        store: the store of the runs or traces.

    Returns:
        The manifest of the bundle, without rows and files.

    Raises:
        NotebookError: the notebook has no run ids, or uses an engine.
        UnknownRun: the store has none of the runs.
        NoTraceMatches: the store has none of the traces.
        SelectionError: `TRACES` in the parameters cell is invalid, or the store cannot hold traces.
        StoreError: the store cannot be read.
    """
    parameters = read_parameters(notebook)
    if isinstance(parameters.get("TRACES"), dict):
        return _write_traces(folder, parameters, store)
    run_ids = _run_ids(notebook, parameters)
    tables = store.read(run_ids)
    if not tables.run_ids:
        raise UnknownRun(f"{store.uri} has none of the runs of {notebook}.", "Say where they are with --tracking-uri.")
    named = split_uri(str(parameters.get("TRACKING_URI", store.uri))).safe
    as_of = _as_of(notebook, store, tables)
    write_snapshot(
        folder / DATA,
        store,
        tables,
        source_uri=named,
        artifacts_of=[*runs_with_artifacts(tables), *_named_runs(content, tables)],
        genai=_genai_of(store, tables),
        standalone=True,
        as_of=as_of,
    )
    return _manifest(
        folder,
        parameters,
        named,
        run_ids=run_ids,
        latest_time=_latest(tables.runs, "start_time", "end_time"),
        as_of=as_of,
        masked=tuple(masked_keys(tables)),
    )


def _genai_of(store: TrackingStore, tables: RunTables) -> GenAIChoice | None:
    """The models and traces of the runs; where these were judged, also the evaluation datasets of their experiments."""
    if not isinstance(store, ReadsGenAI):
        return None
    traces, models = store.read_traces(traces_query(tables)), read_models_of(store, tables)
    return replace(genai_of_runs(tables, models, traces), standalone=True)


def _write_traces(folder: Path, parameters: dict[str, Any], store: TrackingStore) -> BundleManifest:
    """The same for a notebook of traces. Its cells find the same traces in the snapshot, whatever their query is."""
    query = TraceQuery.of(parameters["TRACES"])
    if not isinstance(store, ReadsGenAI):
        raise SelectionError(f"{store.uri} holds no traces.", "Say where they are with --tracking-uri.")
    tables = store.read_traces(query)
    if not tables.traces.num_rows:
        raise_no_traces(store, query)
    named = split_uri(str(parameters.get("TRACKING_URI", store.uri))).safe
    runs, models = beside_traces(store, tables)
    choice = GenAIChoice(traces=query, trace_tables=tables, model_tables=models, only_traces=True, standalone=True)
    write_snapshot(folder / DATA, store, runs, source_uri=named, genai=choice, standalone=True)
    return _manifest(
        folder,
        parameters,
        named,
        run_ids=(),
        latest_time=_latest(tables.traces, "request_time"),
        as_of=None,
        masked=masked_columns({name: table for name, table in vars(tables).items() if name != "problems"}),
    )


def _manifest(folder: Path, parameters: dict[str, Any], named: str, **facts: Any) -> BundleManifest:
    """The manifest of a bundle. `facts`: what it says of the data."""
    name = f"{folder.name}.ipynb"
    return BundleManifest(
        notebook=name,
        page=page_paths(Path(name), ["html"])["html"].name,
        tracking_uri=named,
        chosen_by=_plain(parameters.get("CHOSEN_BY")),
        rows={},
        versions=versions_here(),
        files=(),
        **facts,
    )


def _run_ids(notebook: Path, parameters: dict[str, Any]) -> tuple[str, ...]:
    """The runs of the notebook. Raises NotebookError if there are none, or if it reads aggregates."""
    if parameters.get("ENGINE") is not None:
        raise NotebookError(
            f"{notebook} aggregates a snapshot with an engine, and a bundle holds the runs that a notebook reads.",
            "Give away the notebook together with its snapshot, which is what it reads.",
        )
    run_ids = run_ids_of(notebook, parameters)
    if not run_ids:
        raise NotebookError(
            f"{notebook} has no RUN_IDS in a cell tagged parameters, so its data are not known.",
            "Make a notebook with: qualia new",
        )
    return run_ids


def _named_runs(notebook: dict[str, Any], tables: RunTables) -> list[str]:
    """The runs whose ids are in the cells, besides the cell of RUN_IDS: these cells may show artifacts of them."""
    sources = [cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    words = {word for source in sources if "RUN_IDS =" not in source for word in re.findall(r"[\w-]+", source)}
    return [run_id for run_id in tables.run_ids if run_id in words]


def _as_of(notebook: Path, store: TrackingStore, tables: RunTables) -> int | None:
    """The time up to which unfinished runs last: when the notebook was saved, or that of the latest value if later.

    Not the present time, so that the same notebook and store give the same bytes. None if all runs have ended.
    """
    if set(tables.runs.column("status").to_pylist()) <= set(ENDED):
        return None
    copied: int | None = getattr(store, "as_of", None)
    latest = (_latest(tables.runs, "start_time", "end_time"), _latest(tables.metrics, "timestamp"))
    now = time.time() * 1000  # a time after it is wrong
    return copied or max(notebook.stat().st_mtime_ns // 1_000_000, *(one for one in latest if one and one <= now))


def _latest(table: pa.Table, *names: str) -> int | None:
    """The latest time in these columns."""
    times = (one for name in names for one in table.column(name).to_pylist() if is_possible(one))
    return max(times, default=None)


def _plain(conditions: object) -> dict[str, Any]:
    """The conditions in the notebook as JSON; {} if it has none."""
    try:
        plain: dict[str, Any] = json.loads(json.dumps(conditions, allow_nan=False))
    except (TypeError, ValueError):
        return {}
    return plain if isinstance(plain, dict) else {}
