"""Inventory, study and masked names of what is selected: the input for planning a notebook."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from qualia_lab.genai_tables import model_tables
from qualia_lab.inventory import count_genai, take_inventory
from qualia_lab.masking.tables import masked_columns, masked_keys
from qualia_lab.schema import EXPERIMENT_TAGS
from qualia_lab.settings import read_settings, settings_from_arguments
from qualia_lab.stores.uri import with_credentials
from qualia_lab.study.baseline import fit_baseline
from qualia_lab.study.counts_only import describe_counts
from qualia_lab.study.describe import describe_study
from qualia_lab.study.settings import StudySettings, merge_settings
from qualia_lab.tables import run_tables, table_of

if TYPE_CHECKING:
    import pyarrow as pa

    from qualia_lab.genai_tables import TraceQuery
    from qualia_lab.inventory import Inventory
    from qualia_lab.read_data import ReadData
    from qualia_lab.selection import Selection
    from qualia_lab.study.study import Study


class Described(NamedTuple):
    """What is known of a selection before its notebook is planned."""

    inventory: Inventory
    study: Study
    masked: tuple[str, ...]


def describe_runs(data: ReadData, selection: Selection, settings: StudySettings | None) -> Described:
    """Read the selected runs, with their models and traces, and describe them."""
    masked = masked_keys(data.runs(selection).tables)
    inventory = take_inventory(data.runs(selection).tables)
    inventory = replace(inventory, genai=count_genai(*data.genai(selection)))
    return Described(inventory, study_of(data, selection, settings, inventory), masked)


def describe_traces(data: ReadData, query: TraceQuery) -> Described:
    """Read traces and count them, without their runs."""
    tables = data.traces(query)
    inventory = replace(take_inventory(run_tables()), genai=count_genai(model_tables(), tables))
    study = describe_counts(inventory, table_of(EXPERIMENT_TAGS, ()), StudySettings())
    return Described(inventory, study, masked_columns({"traces": tables.traces}))


def describe_by_engine(data: ReadData, selection: Selection, engine: str, settings: StudySettings | None) -> Described:
    """Count the selected runs of a snapshot with an engine, without reading them."""
    inventory, experiment_tags = _count_by_engine(data, selection, engine)
    merged = replace(_merged(selection, settings), baseline=None)
    return Described(inventory, describe_counts(inventory, experiment_tags, merged), ())


def study_of(
    data: ReadData, selection: Selection, settings: StudySettings | None, inventory: Inventory | None = None
) -> Study:
    """The study of the selected runs, see `NotebookGenerator.describe`."""
    tables = data.runs(selection).tables
    inventory = inventory or take_inventory(tables)
    return fit_baseline(describe_study(tables, inventory, _merged(selection, settings)), tables)


def _count_by_engine(data: ReadData, selection: Selection, engine: str) -> tuple[Inventory, pa.Table]:
    """The inventory, and the tags of the experiments."""
    from qualia_lab.engines.open import check_engine, open_engine

    check_engine(engine, data.store.uri)
    with open_engine(
        with_credentials(selection.tracking_uri).full,
        engine,
        experiments=selection.experiments,
        filter=selection.query.filter,
        run_ids=selection.run_ids if selection.needs_ids else None,
    ) as opened:
        inventory = opened.take_inventory(selection.run_ids)
        return inventory, data.store.read(opened.run_of_each_experiment()).experiment_tags


def _merged(selection: Selection, settings: StudySettings | None) -> StudySettings:
    """Merge all settings; the metric that the runs are ranked by is primary, unless another one is given."""
    given, ranked = settings or StudySettings(), settings_from_arguments(metric=selection.conditions.by)
    given = replace(
        given,
        metric=given.metric or ranked.metric,
        better={**ranked.better, **given.better},
        chosen_by=selection.conditions.as_data(),
    )
    return merge_settings(given, read_settings().study)
