"""`qualia traces` and `qualia models`: what MLflow's client returns, and nothing a terminal would act on."""

from __future__ import annotations

import csv
import io
import json
import math
import shlex
import shutil
import sqlite3
import unicodedata
from contextlib import closing

import pyarrow as pa
import pytest
from mlflow import MlflowClient

from qualia_lab import schema
from qualia_lab.cli import model_rows, trace_rows
from qualia_lab.cli.trace_tree import show_trace
from qualia_lab.errors import FilterError
from qualia_lab.genai_tables import model_tables, trace_tables
from qualia_lab.stores import open as opening
from tests.cli.command import QUALIA, run_here
from tests.stores.empty import copy_empty_store

HOSTILE = "\x1b[31mred\x1b[0m\x07 \u202eevil\u202c \x9b2J =1+1\r\nsecond"
_BAD = {"Cc", "Cf", "Co", "Cs"}


@pytest.fixture(scope="module")
def store(genai_sample, tmp_path_factory):
    folder = tmp_path_factory.mktemp("genai")
    shutil.copyfile(genai_sample / "mlflow.db", folder / "mlflow.db")
    return folder


@pytest.fixture(scope="module")
def client(store):
    copy = store / "oracle.db"
    shutil.copyfile(store / "mlflow.db", copy)
    return MlflowClient(f"sqlite:///{copy}")


@pytest.fixture(scope="module")
def ids(genai_sample):
    return json.loads((genai_sample / "ids.json").read_text())


def qualia(*args, cwd, **env):
    return run_here(QUALIA, *args, cwd=cwd, **env)


def of_client(client, filter_string=""):
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    found = client.search_traces(
        locations=experiments, filter_string=filter_string, max_results=500, include_spans=False
    )
    return [trace.info for trace in found]


@pytest.mark.parametrize("text", ["", "status = 'ERROR'", "tags.slice = 'odd' AND feedback.correctness = 'true'"])
def test_traces_equal_those_of_the_mlflow_client(store, client, text):
    done = qualia("traces", "--json", "--filter", text, cwd=store)
    rows, expected = json.loads(done.stdout), of_client(client, text)
    assert done.returncode == 0
    for row, info in zip(rows, expected, strict=True):
        assert row["trace_id"] == info.trace_id
        assert (row["state"], row["request_time"], row["duration"]) == (
            info.state.value,
            info.request_time,
            info.execution_duration,
        )
        assert row["tags"].items() <= info.tags.items() or row["tags"].items() >= info.tags.items()
        assert {each["name"] for each in row["assessments"]} == {each.name for each in info.assessments}
        values = {each.assessment_id: each for each in info.assessments}
        for each in row["assessments"]:
            known = values[each["assessment_id"]]
            if each["kind"] != "issue":
                assert each["value"] == (known.feedback or known.expectation).value


def test_a_table_counts_and_says_how_to_see_one_whole(store, ids):
    done = qualia("traces", "--limit", 3, "--order-by", "execution_time DESC", cwd=store)
    assert len(done.stdout.splitlines()) == 4
    assert "showing 3 of 20 traces in sqlite:///mlflow.db, 1 of them with an error; one with" in done.stderr
    failed = qualia("traces", "--filter", "status = 'ERROR'", cwd=store)
    assert "showing 1 of 1 trace in sqlite:///mlflow.db, 1 of them with an error" in failed.stderr
    assert f"--trace {ids['traces']['v2 5']}" in failed.stderr
    assert "What is 5 + 5?" in failed.stdout and "correctness" in failed.stdout
    more = qualia("traces", "--run", ids["runs"]["judge again"], "--limit", 2, cwd=store)
    assert "showing 2 of more than 2 traces" in more.stderr


def test_a_trace_is_shown_as_a_tree(store, ids):
    lines = qualia("traces", "--trace", ids["traces"]["v2 5"], cwd=store).stdout.splitlines()
    [root] = [line for line in lines if line.startswith("  AGENT · answer · 900 ms · ERROR")]
    [tool] = [line for line in lines if line.startswith("    TOOL · look up · 90 ms · ERROR")]
    below = lines[lines.index(tool) + 1 :]
    assert lines.index(root) < lines.index(tool)
    assert below[0] == '      inputs: {"key": "price", "n": 1}'
    assert below[1].startswith('      error: no such key: it\'s "quoted"')
    assert "  feedback correctness = true · LLM_JUDGE openai:/judge-1" in below
    deep = qualia("traces", "--trace", ids["traces"]["nested"], cwd=store).stdout.splitlines()
    assert f"{'  ' * 10}TOOL · search · 0 ms" in deep, "eight levels below the root"
    waiting = qualia("traces", "--trace", ids["traces"]["in progress"], cwd=store)
    assert "Its spans are not in the store, or it has none yet." in waiting.stdout


def test_a_trace_as_json_has_its_spans(store, ids, client):
    [trace] = json.loads(qualia("traces", "--json", "--trace", ids["traces"]["v1 0"], cwd=store).stdout)
    spans = client.get_trace(ids["traces"]["v1 0"]).data.spans
    assert {span["name"]: json.loads(span["inputs"]) for span in trace["spans"]} == {s.name: s.inputs for s in spans}


@pytest.mark.parametrize("flags", [(), ("--json",), ("--csv",), ("--trace",), ("--trace", "--json")])
def test_no_content_leaves_out_what_people_and_models_wrote(store, ids, flags):
    trace = [*flags[:1], ids["traces"]["v1 0"], *flags[1:]] if "--trace" in flags else flags
    written = qualia("traces", *trace, cwd=store).stdout
    done = qualia("traces", "--no-content", *trace, cwd=store)
    assert "What is 0 + 0?" in written
    for words in ("What is", "because of", "0 + 0 = 0", "of a document", "very good"):
        assert words not in done.stdout
    assert ids["traces"]["v1 0"] in done.stdout and "what people and models wrote is not shown" in done.stderr


def test_csv_has_every_trace_once(store, client):
    rows = list(csv.DictReader(io.StringIO(qualia("traces", "--csv", cwd=store).stdout)))
    assert [row["trace_id"] for row in rows] == [info.trace_id for info in of_client(client)]
    by_id = {row["trace_id"]: row for row in rows}
    assert sum(1 for row in by_id.values() if row["feedback.correctness"]) == 11
    assert {row["feedback.correctness"] for row in rows} >= {"true", "false", "false | true"}


@pytest.mark.parametrize("flag", ["--csv", "--json"])
def test_output_does_not_depend_on_how_many_traces_are_rows_at_a_time(store, flag, monkeypatch):
    whole = qualia("traces", flag, cwd=store)
    monkeypatch.setattr(trace_rows, "_AT_ONCE", 3)
    in_steps = qualia("traces", flag, cwd=store)
    assert whole.stdout.count("\n") > 12
    assert in_steps.stdout == whole.stdout


def test_a_trace_has_its_own_rows_in_whatever_order_a_store_gives_them(monkeypatch):
    monkeypatch.setattr(trace_rows, "_AT_ONCE", 2)
    ids = ["a", "b", "c", "d", "e"]
    tags = [{"trace_id": one, "key": key, "value": f"{key} of {one}"} for key in "xy" for one in reversed(ids)]
    links = [{"trace_id": one, "run_id": f"run of {one}"} for one in ("e", "a", "e")]
    tables = trace_tables(
        traces=pa.Table.from_pylist([{"trace_id": one} for one in ids], schema=schema.TRACES),
        tags=pa.Table.from_pylist(tags, schema=schema.TRACE_TAGS),
        links=pa.Table.from_pylist(links, schema=schema.TRACE_LINKS),
    )
    rows = list(trace_rows.nested_rows(tables, {}))
    assert [row["tags"] for row in rows] == [{"x": f"x of {one}", "y": f"y of {one}"} for one in ids]
    assert [len(row["linked_runs"]) for row in rows] == [1, 0, 0, 0, 2]
    columns, flat = trace_rows.flat_rows(tables, {})
    assert columns[-3:] == ["linked_runs", "tags.x", "tags.y"]
    assert [row["tags.x"] for row in flat] == [f"x of {one}" for one in ids]


def test_models_equal_those_of_the_mlflow_client(store, client, ids):
    rows = json.loads(qualia("models", "--json", cwd=store).stdout)
    by_id = {row["model_id"]: row for row in rows if row["model_id"]}
    experiments = list(ids["experiments"].values())
    models = {model.model_id: model for model in client.search_logged_models(experiments)}
    assert by_id.keys() == models.keys()
    for model_id, model in models.items():
        row = by_id[model_id]
        assert (row["name"], row["model_type"], row["run_id"]) == (model.name, model.model_type, model.source_run_id)
        assert row["params"] == model.params
    versions = {(each["name"], each["version"]): each for row in rows for each in row["versions"]}
    known = {(version.name, int(version.version)): version for version in client.search_model_versions()}
    assert versions.keys() == known.keys()
    assert versions["classifier", 1]["aliases"] == ["champion"]
    [step_20] = [row for row in rows if row["model_id"] == ids["models"]["step 20"]]
    assert {"run_id": ids["runs"]["train"], "step": 20} in step_20["outputs"]


def test_models_are_filtered_on_what_is_stored_also_where_it_is_not_shown(store, ids):
    for flags in ((), ("--no-content",)):
        done = qualia("models", "--filter", "params.note ILIKE '%' AND params.lr = 0.1", "--json", *flags, cwd=store)
        found = {row["model_id"]: row["params"]["note"] for row in json.loads(done.stdout)}
        assert found.keys() == {ids["models"][f"step {step}"] for step in (10, 20, 30)}
        assert all("not shown" in note for note in found.values()) == bool(flags)
    none = qualia("models", "--filter", "name = 'nobody'", cwd=store)
    assert none.returncode == 18
    assert "None of the models matches name = 'nobody'." in none.stderr
    wrong = qualia("models", "--filter", "metrics.accuracy >", cwd=store)
    assert wrong.returncode != 0 and "A value is missing here" in wrong.stderr


def test_models_are_ranked_by_a_metric_on_one_dataset(store, ids):
    def order(by):
        rows = json.loads(qualia("models", "--by", by, "--json", cwd=store).stdout)
        assert len(rows) == 8, "models without the metric come last"
        return [row["model_id"] for row in rows[:3]]

    steps = [ids["models"][f"step {step}"] for step in (10, 20, 30)]
    assert order("accuracy (valid)") == steps[::-1]
    assert order("accuracy (test):max") == steps
    assert order("loss") == steps[::-1]
    table = qualia("models", "--by", "accuracy (test)", "--limit", 1, cwd=store)
    head, row = table.stdout.splitlines()[:2]
    assert head.split("registered as")[1].strip().startswith("accuracy (test)")
    assert "0.69" in row
    for by, said in (
        ("accuracy", "accuracy was measured on 3 datasets"),
        ("calibration", "cannot be told from its name"),
        ("acuracy (test)", "Did you mean accuracy (test)?"),
    ):
        refused = qualia("models", "--by", by, cwd=store)
        assert refused.returncode != 0 and said in refused.stderr, by


def test_a_metric_in_a_command_that_is_advised_is_one_word_of_a_shell():
    title = "it's; touch $(echo x)"
    points = [{"key": title, "dataset_name": name, "dataset_digest": None, "value": 0.5} for name in ("a b", "c")]
    for metrics in (points, points[:1]):
        with pytest.raises(FilterError) as refused:
            model_rows.ranked([{"metrics": metrics}], title)
        advised = shlex.split(refused.value.hint.partition("Use ")[2] or refused.value.hint.partition(": ")[2])
        assert advised[:2] == ["--by", f"{title} (a b)" + (":max" if len(metrics) == 1 else "")]


def test_the_table_of_models_has_a_column_per_metric_and_dataset(store, ids):
    done = qualia("models", "--metrics", "accuracy", cwd=store)
    heading, *lines = done.stdout.splitlines()
    places = [heading.index(f"accuracy ({dataset})") for dataset in ("test", "valid", "other")]
    assert places == sorted(places)
    [champion] = [line for line in lines if "@champion" in line]
    assert "classifier v1 @champion" in champion and " 10 " in champion and champion.rstrip().endswith("0.7")
    assert "showing 8 of 8: 6 models, 4 versions of registered models (2 without a logged model)" in done.stderr
    of_run = qualia("models", "--run", ids["runs"]["train"], "--csv", cwd=store)
    assert [row["step"] for row in csv.DictReader(io.StringIO(of_run.stdout))] == ["30", "20", "10"]


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("traces", "--filter", "statsu = 'OK'"), 15, "Did you mean status?"),
        (("traces", "--order-by", "feedback.a"), 15, "may have several"),
        (("traces", "--filter", "name = 'nobody'"), 18, "None of the 20 traces matches name = 'nobody'."),
        (("traces", "--trace", "tr-1"), 18, "No trace has the id tr-1"),
        (("traces", "--experiment", "Default"), 18, "no traces"),
        (("traces", "--experiment", "nope"), 12, "nope"),
        (("models", "--experiment", "Default"), 18, "no models"),
        (("traces", "--limit", "0"), 2, "--limit"),
    ],
)
def test_invalid_input_gives_one_sentence_and_an_exit_code(store, args, code, words):
    done = qualia(*args, cwd=store)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr and "Traceback" not in done.stderr


def test_a_store_without_runs_says_what_else_it_holds(store, tmp_path):
    shutil.copyfile(store / "mlflow.db", tmp_path / "mlflow.db")
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database, database:
        database.execute("UPDATE runs SET lifecycle_stage = 'deleted' WHERE experiment_id = 1")
    named = qualia("runs", "--experiment", "qa", cwd=tmp_path)
    assert named.returncode == 14
    assert "That experiment has no runs, but 19 traces and 1 model." in named.stderr
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database, database:
        database.execute("UPDATE runs SET lifecycle_stage = 'deleted'")
    done = qualia("runs", cwd=tmp_path)
    assert done.returncode == 11
    assert "There are no runs in sqlite:///mlflow.db, but 20 traces and 6 models." in done.stderr
    assert "qualia traces and qualia models" in done.stderr
    copy_empty_store(tmp_path / "empty.db")
    for command, words in (("traces", "no traces"), ("models", "no models"), ("runs", "try create-demo-runs")):
        empty = qualia(command, "--tracking-uri", "sqlite:///empty.db", cwd=tmp_path)
        assert empty.returncode == 11 and words in empty.stderr


class OnlyRuns:
    """A store of another package, from before there were models and traces."""

    def __init__(self, store) -> None:
        self.store = store

    def __getattr__(self, name):
        if name in ("read_traces", "read_models"):
            raise AttributeError(name)
        return getattr(self.store, name)


@pytest.mark.parametrize("command", ["traces", "models"])
def test_a_store_that_reads_runs_only_says_so(store, command, monkeypatch):
    known = opening._open
    monkeypatch.setattr(opening, "_open", lambda uri: OnlyRuns(known(uri)))
    done = qualia(command, cwd=store)
    assert done.returncode == 3
    assert "error: Models and traces cannot be read from sqlite:///mlflow.db yet." in done.stderr
    assert qualia("runs", cwd=store).returncode == 0


def test_hostile_strings_reach_no_terminal(store, ids, tmp_path):
    shutil.copyfile(store / "mlflow.db", tmp_path / "mlflow.db")
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database, database:
        database.execute("UPDATE trace_info SET request_preview = ?, response_preview = ?", (HOSTILE, HOSTILE))
        for table, columns in {
            "trace_tags": ("value",),
            "trace_request_metadata": ("value",),
            "assessments": ("rationale", "source_id"),
            "spans": ("type",),
            "logged_models": ("name", "model_type", "status_message"),
            "experiments": ("name",),
        }.items():
            for column in columns:
                database.execute(f"UPDATE {table} SET {column} = ? || rowid", (HOSTILE,))
        database.execute("UPDATE assessments SET value = ?", (json.dumps(HOSTILE),))
        database.execute("UPDATE assessments SET name = ? WHERE name = 'grade'", (HOSTILE,))
        database.execute("UPDATE spans SET content = replace(content, 'What is', ?)", (json.dumps(HOSTILE)[1:-1],))
    shown = ""
    for args in (("traces",), ("traces", "--trace", ids["traces"]["v1 0"]), ("models",), ("models", "--limit", 1)):
        done = qualia(*args, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        for line in [*done.stdout.split("\n"), *done.stderr.split("\n")]:
            assert not [char for char in line if unicodedata.category(char) in _BAD], line
        shown += done.stdout
    assert shown.count("red") > 30 and "evil" in shown
    for command in ("traces", "models"):
        cells = [cell for row in csv.reader(io.StringIO(qualia(command, "--csv", cwd=tmp_path).stdout)) for cell in row]
        assert not [cell for cell in cells if cell.startswith(("=", "+", "@"))]


def test_odd_rows_of_a_store_are_shown(capsys):
    """Spans in a circle, without ids and times, an endless time, rows of traces and models that are not there."""
    empty = dict.fromkeys(schema.SPANS.names)
    ids = (("a", "b"), ("b", "a"), (None, None), ("a", "a"), ("c", "a"))
    spans = [empty | {"span_id": own, "parent_id": parent, "inputs": "{"} for own, parent in ids]
    traces = [{"trace_id": "t"}, {"trace_id": "u", "request_time": 2**62, "duration": -5, "total_cost": math.nan}]
    judged = [{"trace_id": "t", "kind": "feedback", "value": "[1"}, {"trace_id": "gone", "kind": "feedback"}]
    tables = trace_tables(
        traces=pa.Table.from_pylist(traces, schema=schema.TRACES),
        tags=pa.Table.from_pylist([{"trace_id": "gone", "key": "a"}], schema=schema.TRACE_TAGS),
        links=pa.Table.from_pylist([{"trace_id": "gone", "run_id": "a"}], schema=schema.TRACE_LINKS),
        assessments=pa.Table.from_pylist(judged, schema=schema.ASSESSMENTS),
    )
    rows = list(trace_rows.nested_rows(tables, {}))
    assert (
        [row["trace_id"] for row in rows]
        == ["t", "u"]
        == [row["trace_id"] for row in trace_rows.flat_rows(tables, {})[1]]
    )
    assert len(trace_rows.table_of(tables, {})[1]) == 2
    for row in rows:
        show_trace(row, spans)
    shown = capsys.readouterr().out
    assert shown.count("not ended") == 10 and f"{2**62} ms since 1970" in shown
    models = model_tables(
        models=pa.Table.from_pylist([{"model_id": "m"}], schema=schema.MODELS),
        params=pa.Table.from_pylist([{"model_id": "gone", "key": "a"}], schema=schema.MODEL_PARAMS),
        metrics=pa.Table.from_pylist([{"model_id": "gone", "key": "a"}], schema=schema.MODEL_METRICS),
    )
    [model] = model_rows.nested_rows(models, {})
    assert model["params"] == {} and model["metrics"] == []
