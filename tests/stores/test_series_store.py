"""Metrics of several models or datasets in one run are several series, in histories and latest values."""

from __future__ import annotations

import math
import os
import shutil
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.entities import LoggedModelOutput, Metric

from qualia_lab import NotebookGenerator, load_runs, schema
from qualia_lab.errors import StoreError, UnknownKey
from qualia_lab.genai_tables import ModelTables, TraceQuery, model_tables
from qualia_lab.masking.keys import DEFAULT_RULES
from qualia_lab.selection import Query
from qualia_lab.stores.metric_series import find_series
from qualia_lab.stores.open import open_store
from qualia_lab.stores.protocol import ReadsGenAI
from qualia_lab.stores.series_store import UNREAD_SERIES, SeriesStore, in_series
from qualia_lab.stores.snapshot.ended_histories import keep_ended_histories
from qualia_lab.stores.snapshot.genai import GenAIChoice
from qualia_lab.stores.snapshot.hand_over import hand_over_runs, read_runs
from qualia_lab.study.settings import StudySettings
from qualia_lab.tables import run_tables, table_of
from tests.genai_stores import START

from .empty import new_client

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

SAME_TIME = START + 77


@dataclass(frozen=True)
class Known:
    """A store of which is known what it holds: the sample, and runs with models of different names."""

    uri: str
    runs: dict[str, str]
    models: dict[str, str]


@pytest.fixture(scope="module")
def known(genai_sample, tmp_path_factory):
    folder = tmp_path_factory.mktemp("series")
    shutil.copy(genai_sample / "mlflow.db", folder / "mlflow.db")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    client = new_client(uri)
    experiment = client.create_experiment("two models", artifact_location=(folder / "artifacts").as_uri())
    runs, models = {}, {}

    def run(name, *names):
        runs[name] = client.create_run(experiment, start_time=START, run_name=name).info.run_id
        outputs = []
        for model in names:
            made = client.create_logged_model(experiment, model, source_run_id=runs[name])
            models[f"{name} {model}"] = made.model_id
            outputs.append(LoggedModelOutput(made.model_id, step=0))
        if outputs:
            client.log_outputs(runs[name], outputs)

    def log(name, *points):
        """Points are (key, value, step, model, dataset); models have the same times, as in a batch."""
        client.log_batch(
            runs[name],
            metrics=[
                Metric(
                    key,
                    value,
                    SAME_TIME + step + (500 if dataset == "test" else 0),  # a model has one point of a key at a time
                    step,
                    model_id=models.get(f"{name} {model}"),
                    dataset_name=dataset,
                    dataset_digest=dataset and "aaaa",
                    run_id=runs[name],
                )
                for key, value, step, model, dataset in points
            ],
        )
        client.set_terminated(runs[name], end_time=START + 1000)

    run("pair", "net", "tree")
    both = [("score", 0.5 + step / 10, step, "net", None) for step in range(5)]
    both += [("score", 0.4 if step else 0.5, step, "tree", None) for step in range(5)]  # equal at step 0
    run("pair again", "net")
    run("datasets", "net")
    run("classic")
    odd = [
        ("error", math.nan, 1, "net", "valid"),
        ("error", 0.25, 1, "net", "test"),
        ("error", math.inf, 2, "net", "valid"),
        ("error", -math.inf, 2, "net", "test"),
    ]
    log("pair", *both, ("score", 0.9, 7, None, None), ("alone", 1.0, 3, "tree", None))
    log("pair again", ("score", 0.3, 0, "net", None))
    log("datasets", *odd)
    log("classic", ("score", 0.1, 0, None, None), ("score", 0.2, 1, None, None))
    return Known(uri, runs, models)


@pytest.fixture(scope="module")
def opened(known):
    with open_store(known.uri) as store:
        run_ids = store.read_runs(Query(view="all")).column("run_id").to_pylist()
        stored = store.read(run_ids)
        yield store, stored, *in_series(store, stored)


def rows_of(store, run_ids, keys=None):
    return [row for batch in store.read_metric_history(run_ids, keys) for row in batch.to_pylist()]


def test_every_series_is_one_line(opened):
    _, stored, store, tables = opened
    steps = {}
    for row in rows_of(store, stored.run_ids):
        steps.setdefault((row["run_id"], row["key"]), []).append(row["step"])
    assert all(line == sorted(set(line)) for line in steps.values())
    assert len(steps) == tables.metrics.num_rows > stored.metrics.num_rows


def test_series_hold_what_was_logged_for_a_model(known, opened):
    _, _, store, _ = opened
    client = new_client(known.uri)
    run_id = known.runs["pair"]
    for name in ("net", "tree"):
        logged = client.get_logged_model(known.models[f"pair {name}"]).metrics
        expected = sorted((one.step, one.timestamp, one.value) for one in logged if one.key == "score")
        rows = rows_of(store, [run_id], [f"score (model {name})"])
        assert [(row["step"], row["timestamp"], row["value"]) for row in rows] == expected
        assert len(rows) == 5
    assert [(row["step"], row["value"]) for row in rows_of(store, [run_id], ["score"])] == [(7, 0.9)]


def test_nan_and_inf_stay_with_their_dataset(known, opened):
    store = opened[2]
    run_id = known.runs["datasets"]
    rows = rows_of(store, [run_id])
    of = {(row["key"], row["step"]): row["value"] for row in rows}
    largest = 1.7976931348623157e308  # in a database
    assert math.isnan(of.pop(("error (valid)", 1)))
    assert of == {("error (valid)", 2): largest, ("error (test)", 1): 0.25, ("error (test)", 2): -largest}


def test_the_latest_values_are_those_of_each_series(opened):
    _, stored, store, tables = opened
    latest = {}
    for row in rows_of(store, stored.run_ids):  # by step, time and value
        latest[row["run_id"], row["key"]] = {**row, "value": repr(row["value"])}
    rows = [{**row, "value": repr(row["value"])} for row in tables.metrics.to_pylist()]
    assert {(row["run_id"], row["key"]): row for row in rows} == latest
    places = [(tables.run_ids.index(row["run_id"]), row["key"]) for row in rows]
    assert places == sorted(places)


def test_no_point_is_lost(known, opened):
    _, stored, split, _ = opened
    client = new_client(known.uri)
    for run_id in stored.run_ids:
        before = client.get_run(run_id).data.metrics
        expected = {(key, *point_of(one)) for key in before for one in client.get_metric_history(run_id, key)}
        rows = rows_of(split, [run_id])
        assert {(split.series.stored_keys.get(row["key"], row["key"]), *point_of(row)) for row in rows} == expected


def point_of(point):
    step, timestamp, value = (
        (point[name] for name in ("step", "timestamp", "value"))
        if isinstance(point, dict)
        else (point.step, point.timestamp, point.value)
    )
    return step, timestamp, repr(float(value))


def test_only_the_keys_that_are_asked_for_are_read(opened):
    _, stored, store, _ = opened
    everything = rows_of(store, stored.run_ids)
    keys = sorted({row["key"] for row in everything})
    assert {"score", "score (model net)", "error (test)", "alone"} <= set(keys)
    for wanted in (*([key] for key in keys), ["score (model net)", "alone"], ["score (model tree)", "score"]):
        rows = rows_of(store, stored.run_ids, wanted)
        assert sorted(map(repr, rows)) == sorted(repr(row) for row in everything if row["key"] in wanted)


def test_the_same_model_has_the_same_key_in_every_run(known, opened):
    *_, tables = opened
    rows = [row for row in tables.metrics.to_pylist() if row["key"].startswith("score")]
    names = {run_id: name for name, run_id in known.runs.items()}
    assert {(names[row["run_id"]], row["key"]) for row in rows} == {
        ("pair", "score"),
        ("pair", "score (model net)"),
        ("pair", "score (model tree)"),
        ("pair again", "score (model net)"),
        ("classic", "score"),
    }


@pytest.mark.parametrize("names", [["classic"], ["pair again"], ["pair again", "classic"]])
def test_runs_without_several_are_the_same_objects(known, opened, names):
    store, *_ = opened
    tables = store.read([known.runs[name] for name in names])
    assert in_series(store, tables) == (store, tables)
    assert in_series(store, tables)[1] is tables


def test_the_kernel_of_a_notebook_splits_as_the_command_does(known):
    with NotebookGenerator(known.uri) as generator:
        selection = generator.select(experiments=["two models"], by="error:min", top=4)
        tables = generator.read(selection)
        stored = generator._data.runs(selection).stored
        genai = GenAIChoice(run_ids=selection.run_ids, traces=TraceQuery(run_ids=selection.run_ids))
        with (
            hand_over_runs(generator.store, stored, named=known.uri, artifacts_of=(), genai=genai) as variables,
            mock.patch.dict(os.environ, variables),
        ):
            store, handed_over = read_runs(known.uri, selection.run_ids, DEFAULT_RULES)
            for field in fields(tables):
                assert repr(getattr(handed_over, field.name).to_pylist()) == repr(
                    getattr(tables, field.name).to_pylist()
                )
            theirs = rows_of(generator.store_of(selection), selection.run_ids)
            assert sorted(map(repr, rows_of(store, selection.run_ids))) == sorted(map(repr, theirs))


def test_a_metric_is_named_by_the_key_of_mlflow_or_of_a_series(known):
    with NotebookGenerator(known.uri) as generator:
        selection = generator.select(experiments=["training*"], by="accuracy:max", top=2)
        study = generator.describe(selection)
        assert (study.objective.key, study.objective.better) == ("accuracy (valid)", "higher")
        assert study.chosen_by == "accuracy"
        for metric in ("accuracy (test)", "loss"):
            assert generator.describe(selection, StudySettings(metric=metric)).objective.key == metric
        lower = generator.describe(selection, StudySettings(better={"accuracy": "lower"}))
        assert {one.better for one in lower.metrics if one.family == "accuracy"} == {"lower"}
        with pytest.raises(UnknownKey):
            generator.describe(selection, StudySettings(metric="accurate"))
    runs = load_runs(
        known.uri, selection.run_ids, primary_metric="accuracy", skip_unknown=True
    )  # as in older notebooks
    assert runs.study.objective.key == "accuracy (valid)"
    assert "accuracy" not in repr(runs._loaded.passed_over)


def test_a_watch_reads_models_too(known):
    with open_store(known.uri) as store, keep_ended_histories() as histories:
        watched = histories.of(store)
        assert isinstance(watched, ReadsGenAI)
        _, tables = in_series(watched, watched.read([known.runs["pair"]]))
        assert "score (model tree)" in tables.metrics.column("key").to_pylist()


# What is named how, from tables that are made here


class Held:
    """A store that holds these tables and histories, in small batches."""

    uri = "held"

    def __init__(self, models: ModelTables, points: Sequence[dict[str, object]] = ()) -> None:
        self.models = models
        self.table = table_of(schema.METRIC_HISTORY, points)

    def read_models(self, *, experiment_ids=(), run_ids=()) -> ModelTables:
        if not self.models.models.num_rows:
            raise StoreError("The models cannot be read.")
        return self.models

    def read_metric_history(self, run_ids, keys=None) -> Iterator[pa.RecordBatch]:
        for batch in self.table.to_batches(max_chunksize=3):
            rows = [row for row in batch.to_pylist() if row["run_id"] in run_ids and (not keys or row["key"] in keys)]
            yield table_of(schema.METRIC_HISTORY, rows).combine_chunks().to_batches()[0] if rows else batch.slice(0, 0)

    def read_traces(self, query, parts=None): ...
    def read_spans(self, trace_ids, *, content=True): ...
    def count_traces(self, experiment_ids=()): ...
    def read_evaluation_datasets(self, experiment_ids=()): ...


def models_of(*points, steps=()):
    """ModelTables from (run, model id, step, dataset, digest) of the key `m`; the name is in front of the `:`."""
    ids = sorted({point[1] for point in points})
    return model_tables(
        models=table_of(schema.MODELS, [{"model_id": one, "name": one.partition(":")[0]} for one in ids]),
        outputs=table_of(
            schema.MODEL_OUTPUTS, [dict(zip(("run_id", "model_id", "step"), one, strict=True)) for one in steps]
        ),
        metrics=table_of(
            schema.MODEL_METRICS,
            [
                {
                    "run_id": run_id,
                    "model_id": model_id,
                    "key": "m",
                    "step": step,
                    "timestamp": number,
                    "value": 1.0,
                    "dataset_name": dataset,
                    "dataset_digest": digest,
                }
                for number, (run_id, model_id, step, dataset, digest) in enumerate(points)
            ],
        ),
    )


CHECKPOINTS = [("a", f"net:{step}", step, "valid", "v") for step in (10, 20, 30)]


@pytest.mark.parametrize(
    ("points", "names"),
    [
        pytest.param(CHECKPOINTS, set(), id="checkpoints of one training are one series"),
        pytest.param(
            [*CHECKPOINTS, ("a", "net:10", 10, "test", "t")],
            {"m (valid)", "m (test)"},
            id="only datasets differ",
        ),
        pytest.param(
            [*CHECKPOINTS, ("a", "net:10", 10, None, None)],
            {"m (valid)"},
            id="what is of no dataset keeps the key",
        ),
        pytest.param(
            [("a", "net:1", step, "valid", "v") for step in (1, 3)] + [("a", "net:2", 2, "valid", "v")],
            {"m (model net 1)", "m (model net 2)"},
            id="models of one name whose steps overlap are numbered",
        ),
        pytest.param(
            [("a", "net", 0, None, None), ("a", "tree", 0, None, None)],
            {"m (model net)", "m (model tree)"},
            id="only models differ",
        ),
        pytest.param(
            [("a", name, 0, data, data) for name in ("net", "tree") for data in ("valid", "test")],
            {f"m ({data}, model {name})" for name in ("net", "tree") for data in ("valid", "test")},
            id="both differ",
        ),
        pytest.param(
            [("a", "net", 0, "valid", "old"), ("a", "net", 0, "valid", "new")],
            {"m (valid old)", "m (valid new)"},
            id="one name with two digests in a run",
        ),
        pytest.param(
            [(run_id, "net", 0, "valid", run_id) for run_id in "ab"]
            + [(run_id, "net", 0, "test", run_id) for run_id in "ab"],
            {"m (valid)", "m (test)"},
            id="digests that differ between runs are not named",
        ),
        pytest.param([(run_id, run_id, 0, "valid", "v") for run_id in "abc"], set(), id="one model in each run"),
    ],
)
def test_names(points, names):
    series = find_series(models_of(*points), {"a", "b", "c"}, ["m"])
    assert set(series.stored_keys) == names
    assert set(series.stored_keys.values()) <= {"m"}
    assert {name for found in series.points.values() for those in found.values() for name in those} == names


def test_models_of_one_name_are_told_by_the_step_at_which_they_were_saved():
    points = [("a", f"net:{number}", 0, None, None) for number in (1, 2)]
    series = find_series(models_of(*points, steps=[("a", "net:1", 5), ("a", "net:2", 9)]), {"a"}, ["m"])
    assert set(series.stored_keys) == {"m (model net step 5)", "m (model net step 9)"}


def test_a_run_with_another_model_only_keeps_the_key():
    points = [("a", "net", 0, None, None), ("a", "tree", 0, None, None), ("b", "own", 0, None, None)]
    series = find_series(models_of(*points), {"a", "b"}, ["m"])
    assert {run_id for run_id, _ in series.points} == {"a"}


def test_no_series_gets_a_key_that_is_there():
    points = [("a", "net", 0, "valid", "v"), ("a", "net", 0, "test", "t")]
    series = find_series(models_of(*points), {"a"}, ["m", "m (valid)"])
    assert set(series.stored_keys) == {"m (valid) 2", "m (test)"}


def test_what_cannot_be_read_is_said_and_nothing_is_split():
    models = table_of(schema.LOGGED_MODELS, [{"run_id": "a", "model_id": "net"}])
    tables = run_tables(runs=table_of(schema.RUNS, [{"run_id": "a"}]), logged_models=models)
    store = Held(model_tables())
    same, read = in_series(store, tables)
    assert same is store
    assert read.problems.to_pylist() == [
        {"run_id": "a", "subject": UNREAD_SERIES, "reason": "The models cannot be read."}
    ]
    assert read.metrics is tables.metrics


POINT = st.tuples(
    st.sampled_from("ab"),  # run
    st.sampled_from(["m", "n"]),
    st.integers(0, 3),  # step
    st.integers(0, 1),  # time
    st.sampled_from([0.0, 1.0, math.nan, math.inf]),
    st.sampled_from([None, "net:1", "net:2", "tree"]),
    st.sampled_from([None, "valid", "test"]),
)


@given(st.lists(POINT, max_size=20))
def test_splitting_and_merging_gives_back_the_points(points):
    history = sorted({(*one[:4], repr(one[4])) for one in points})
    rows = [
        dict(zip(("run_id", "key", "step", "timestamp", "value"), (*one[:4], float(one[4])), strict=True))
        for one in history
    ]
    logged = [one for one in points if one[5]]
    names = {one[5] for one in logged}
    models = model_tables(
        models=table_of(schema.MODELS, [{"model_id": one, "name": one.partition(":")[0]} for one in sorted(names)]),
        metrics=table_of(
            schema.MODEL_METRICS,
            [
                {
                    "run_id": run_id,
                    "key": key,
                    "step": step,
                    "timestamp": timestamp,
                    "value": value,
                    "model_id": model_id,
                    "dataset_name": dataset,
                    "dataset_digest": dataset,
                }
                for run_id, key, step, timestamp, value, model_id, dataset in logged
            ],
        ),
    )
    store = Held(models, rows)
    series = find_series(models, {"a", "b"}, ["m", "n"])
    split = rows_of(SeriesStore(store, series), ["a", "b"])
    merged = {
        (
            row["run_id"],
            series.stored_keys.get(row["key"], row["key"]),
            row["step"],
            row["timestamp"],
            repr(row["value"]),
        )
        for row in split
    }
    assert sorted(merged) == history
    seen = [(row["run_id"], row["key"]) for row in split]
    assert len(set(seen)) == sum(one != other for one, other in zip(seen, [None, *seen], strict=False))  # consecutive
    for of in set(seen):
        line = [(row["step"], row["timestamp"]) for row in split if (row["run_id"], row["key"]) == of]
        assert line == sorted(line)
    for (run_id, key), found in series.points.items():  # a point is in the series of every model it was logged for
        for (step, timestamp, value), those in found.items():
            same = {
                row["key"]
                for row in split
                if (row["run_id"], row["step"], row["timestamp"]) == (run_id, step, timestamp)
                and series.stored_keys.get(row["key"]) == key
                and (math.isnan(row["value"]) if value is None else row["value"] == value)
            }
            assert same == set(those)
