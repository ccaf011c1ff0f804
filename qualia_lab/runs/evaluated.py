"""What the loaded runs have of MLflow 3: models, traces and evaluations, and the tables of `mlflow.evaluate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.analysis.cut_requests import inputs_of_cut_requests
from qualia_lab.analysis.evaluation_artifact import evaluation_of_table
from qualia_lab.analysis.evaluations import Evaluation, evaluations_of, scorers_of
from qualia_lab.analysis.logged_tables import read_logged_table
from qualia_lab.errors import QualiaLabError
from qualia_lab.genai_tables import trace_tables, traces_query
from qualia_lab.inventory import EVALUATION_TABLE, runs_with_evaluation_table
from qualia_lab.runs.artifact_files import READ_BYTES
from qualia_lab.stores.protocol import ReadsGenAI, read_models_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qualia_lab.analysis.scorers import Scorer
    from qualia_lab.genai_tables import ModelTables, TraceTables
    from qualia_lab.runs.loaded import Loaded


def traces_of_runs(loaded: Loaded) -> TraceTables:
    """The traces of the loaded runs with everything but their spans; empty if the store has none."""
    return loaded.read_once("traces", lambda: _read_traces(loaded))


def models_of_runs(loaded: Loaded) -> ModelTables:
    """The models that the loaded runs created or list, with what was registered; empty if the store has none."""
    return loaded.read_once("models", lambda: read_models_of(loaded.store, loaded.tables))


def evaluations_in(loaded: Loaded) -> tuple[Evaluation, ...]:
    """The evaluations of the loaded runs, in the order of the runs."""
    return loaded.read_once("evaluations", lambda: _evaluations(loaded))


def scorers_in(loaded: Loaded) -> Mapping[str, Scorer]:
    """The scorers of all evaluations, described by all their values; directions that the user set count."""
    better = loaded.study.settings.greater_is_better
    return loaded.once("scorers", lambda: scorers_of(evaluations_in(loaded), better))


def _read_traces(loaded: Loaded) -> TraceTables:
    if not isinstance(loaded.store, ReadsGenAI) or not len(loaded):
        return trace_tables()
    return loaded.store.read_traces(traces_query(loaded.tables))


def _evaluations(loaded: Loaded) -> tuple[Evaluation, ...]:
    traces, store = traces_of_runs(loaded), loaded.store
    found: dict[str, Evaluation] = {}
    if isinstance(store, ReadsGenAI) and traces.assessments.num_rows:
        experiments = loaded.tables.experiments.column("experiment_id").to_pylist()
        datasets = store.read_evaluation_datasets(experiments)
        inputs = inputs_of_cut_requests(traces, store.read_spans)
        found = {one.run_id: one for one in evaluations_of(traces, inputs, datasets)}
    for run_id in runs_with_evaluation_table(loaded.tables.tags):
        if run_id not in found and (evaluation := _evaluation_in_artifact(loaded, run_id)) is not None:
            found[run_id] = evaluation
    return tuple(found[run_id] for run_id in loaded.tables.run_ids if run_id in found)


def _evaluation_in_artifact(loaded: Loaded, run_id: str) -> Evaluation | None:
    """The evaluation in the table that a run logged; None if it cannot be read whole."""
    try:
        data = loaded.files.place(run_id).read_bytes(EVALUATION_TABLE, READ_BYTES)
    except (OSError, QualiaLabError):
        return None
    table = read_logged_table(data.decode("utf-8", "replace"))
    return evaluation_of_table(run_id, table) if table is not None and table.is_complete else None
