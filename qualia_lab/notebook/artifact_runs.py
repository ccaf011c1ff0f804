"""The runs and logged models of a notebook whose artifacts its generated cells show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.analysis.endings import endings
from qualia_lab.analysis.models import MODELS_SHOWN, known_models, shown_first
from qualia_lab.genai_tables import traces_query
from qualia_lab.schema import TAGS
from qualia_lab.sections.section import RUNS_SHOWN
from qualia_lab.stores.snapshot.genai import GenAIChoice
from qualia_lab.study.statuses import FAILED
from qualia_lab.tables import table_of

if TYPE_CHECKING:
    from qualia_lab.genai_tables import ModelTables, TraceTables
    from qualia_lab.tables import RunTables

# The artifacts of this many failed runs are always included, because their logs show the cause.
_FAILED_RUNS = 10


def runs_with_artifacts(tables: RunTables) -> list[str]:
    """Return the ids of the first runs, the first failed runs and the last run, each once.

    Args:
        tables: the tables of the runs, in the order of the notebook.
    """
    failed = [run_id for ending in endings(tables) if ending.status in FAILED for run_id in ending.run_ids]
    return list(dict.fromkeys((*tables.run_ids[:RUNS_SHOWN], *failed[:_FAILED_RUNS], *tables.run_ids[-1:])))


def genai_of_runs(tables: RunTables, models: ModelTables, traces: TraceTables) -> GenAIChoice:
    """Return what a snapshot for the notebook holds of MLflow 3, with all spans of the traces.

    Args:
        tables: the tables of the runs.
        models: the models of these runs.
        traces: the traces of these runs. If they were judged, the evaluation datasets of their experiments are saved,
            whose records are recognised in them.
    """
    query = traces_query(tables)
    return GenAIChoice(
        experiment_ids=query.experiment_ids if traces.assessments.num_rows else (),
        run_ids=tables.run_ids,
        traces=query,
        trace_tables=traces,
        model_tables=models,
        files_of=_models_with_files(models),
    )


def _models_with_files(models: ModelTables) -> tuple[str, ...]:
    """Return the ids of the logged models that are shown first, of which the notebook reads the MLmodel file.

    Args:
        models: the models of the runs of the notebook.
    """
    shown = shown_first(models, known_models(models, table_of(TAGS, ())), MODELS_SHOWN)
    return tuple(model.model_id for model in shown)
