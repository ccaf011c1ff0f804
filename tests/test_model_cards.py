"""`runs.models.table` and `cards`: what MLmodel files say, with MLflow's own reading of them as the reference."""

from __future__ import annotations

import shutil
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.models import Model, ModelSignature
from mlflow.types.schema import Array, ColSpec, Map, Object, ParamSchema, ParamSpec, Property, Schema, TensorSpec

from qualia_lab import NotebookGenerator, load_runs
from qualia_lab.analysis.model_files import ModelFile, read_model_file
from qualia_lab.handing_over import hand_over
from qualia_lab.runs.listed_models import listed_models
from qualia_lab.runs.model_files import model_files
from qualia_lab.stores.snapshot.hand_over import NAMED_VARIABLE, SNAPSHOT_VARIABLE
from qualia_lab.stores.snapshot.store import SnapshotStore
from tests import servers
from tests.cli.command import QUALIA, run_here
from tests.conftest import running
from tests.stores.empty import copy_empty_store

SIGNATURES = {
    "columns": ModelSignature(
        Schema([ColSpec("double", "sepal length"), ColSpec("long", "petals", required=False)]),
        Schema([ColSpec("long")]),
    ),
    "tensors": ModelSignature(
        Schema([TensorSpec(np.dtype("float32"), (-1, 3))]),
        Schema([TensorSpec(np.dtype("int64"), (-1,))]),
        ParamSchema([ParamSpec("temperature", "double", 0.5), ParamSpec("stop", "string", ["a"], (-1,))]),
    ),
    "chat": ModelSignature(
        Schema([ColSpec(Array(Object([Property("role", "string"), Property("n", "long", False)])), "messages")]),
        Schema([ColSpec(Map("string"), "said")]),
    ),
    "unsigned": None,
}


class Echo(mlflow.pyfunc.PythonModel):
    """Answers with its input."""

    def predict(self, context, model_input, params=None):
        return model_input


def log_models(uri: str) -> str:
    """Log a model of each signature in one run, of which the first is registered and measured; returns the run's id."""
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment("cards")
    with mlflow.start_run(run_name="trained", tags={"mlflow.source.git.commit": "c0ffee"}) as run:
        data = mlflow.data.from_pandas(pd.DataFrame({"a": [1]}), name="iris")
        mlflow.log_input(data, "training")
        for name, signature in SIGNATURES.items():
            registered = "flowers" if name == "columns" else None
            info = mlflow.pyfunc.log_model(
                python_model=Echo(),
                name=name,
                signature=signature,
                pip_requirements=["mlflow"],
                registered_model_name=registered,
            )
            if registered:
                mlflow.log_metric("accuracy", 0.75, model_id=info.model_id, dataset=data)
    mlflow.MlflowClient().set_registered_model_alias("flowers", "champion", 1)
    return run.info.run_id


@pytest.fixture(scope="module")
def logged(made_once) -> Path:
    """A folder with `mlflow.db` and `artifacts/`, written through a server."""

    def fill(folder):
        copy_empty_store(folder / "mlflow.db")
        with running(servers.mlflow_server(f"sqlite:///{folder / 'mlflow.db'}", folder)) as uri:
            (folder / "run").write_text(log_models(uri))

    return made_once("model cards", fill)


@pytest.fixture(scope="module")
def files_store(made_once):
    """The same in a folder of files."""

    def fill(folder):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
            (folder / "run").write_text(log_models(str(folder / "mlruns")))

    return made_once("model cards in files", fill)


@pytest.fixture(scope="module")
def server(logged, tmp_path_factory):
    with running(servers.mlflow_server(f"sqlite:///{logged / 'mlflow.db'}", logged)) as uri:
        yield uri


def loaded_from(uri, folder):
    return load_runs(uri, [(folder / "run").read_text()])


@pytest.mark.parametrize("kind", ["sqlite", "files", "server"])
def test_model_files_say_what_mlflow_reads_in_them(kind, logged, files_store, request):
    folder = files_store if kind == "files" else logged
    uri = {"sqlite": f"sqlite:///{logged / 'mlflow.db'}", "files": str(files_store / "mlruns")}.get(kind)
    loaded = loaded_from(uri or request.getfixturevalue("server"), folder)._loaded
    known = listed_models(loaded).models
    assert [model.name for model in known] == list(SIGNATURES)
    read = model_files(loaded, known)
    for model in known:
        [path] = folder.rglob(f"{model.model_id}/artifacts/MLmodel")
        agrees(read[model.key], Model.load(path))


def agrees(file: ModelFile, expected: Model) -> None:
    """Compare with what MLflow reads."""
    assert {name for name, _ in file.flavours} == set(expected.flavors)
    assert file.python_version == expected.flavors["python_function"]["python_version"]
    assert (file.size, file.mlflow_version) == (expected.model_size_bytes, expected.mlflow_version)
    assert (file.run_id, file.created) == (expected.run_id, expected.utc_time_created)
    for name in ("inputs", "outputs", "params"):
        part, schema = getattr(file.signature, name), getattr(expected.signature, name, None)
        assert (part is None) == (schema is None), name
        given = schema.to_dict() if schema is not None else []
        for column, one in zip(part.columns if part else (), given, strict=True):
            assert column.name == one.get("name", "")
            assert column.is_required == one.get("required", True)
            assert one["type"] in column.type
            for word in mentioned(one):
                assert str(word) in column.type


def mentioned(given):
    """The types and names within a type."""
    for key, value in given.items():
        if key == "properties":
            for name, inner in value.items():
                yield name
                yield from mentioned(inner)
        elif isinstance(value, dict):
            yield from mentioned(value)
        elif key in ("type", "dtype", "shape") and value is not None and value != "tensor":
            yield list(value) if isinstance(value, tuple) else value


def test_the_table_and_the_cards_say_where_a_model_is_from_and_what_it_takes(logged):
    models = loaded_from(f"sqlite:///{logged / 'mlflow.db'}", logged).models
    table = models.table()
    assert table.loc["columns", "signature"] == "2 columns (sepal length: double, …) → long"
    assert table.loc["tensors", "signature"] == "tensor float32 [-1, 3] → tensor int64 [-1]; 2 params"
    assert table.loc["chat", "signature"] == "messages: array(object(n: long, role: string)) → said: map(string)"
    assert table["flavours"].tolist() == ["python_function"] * 4
    assert (table["bytes"] > 100).all()
    assert "MLmodel" not in table, "all files were read"
    said = repr(models.cards())
    assert said.startswith("columns · trained · python_function · "), "the registered one comes first"
    assert "flowers v1 @champion" in said.splitlines()[0]
    for line in (
        f"  run  trained ({(logged / 'run').read_text()})",
        "  git commit  c0ffee",
        "  registered as  flowers v1 @champion",
        "  registered as  no version in this store",
        "  petals  long  no",
        '  stop  string [-1]  ["a"]',
    ):
        assert line in said.splitlines(), line
    assert "  run's data (training)  iris @ " in said
    assert "  measured on  iris @ " in said
    assert "0.75" in said
    assert "No signature was logged." in said


def test_cards_that_are_not_shown_are_counted_and_can_be_named(logged):
    models = loaded_from(f"sqlite:///{logged / 'mlflow.db'}", logged).models
    two = models.cards(limit=2)
    assert len(two.cards) == 2
    assert repr(two).endswith("showing 2 of 4 models: runs.models.cards(NAME) shows another one.")
    [card] = models.cards("tensors").cards
    assert card.name == "tensors"
    assert "showing" not in repr(models.cards("tensors"))
    with pytest.raises(Exception, match="tensor"):
        models.cards("tensor")


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + level)}: &{chr(98 + level)} [{', '.join([f'*{chr(97 + level)}'] * 9)}]\n" for level in range(12)
)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "no such file"),
        (b"", "lists no flavours"),
        (b"flavors:\n  python_function: {env: [", "no valid YAML"),
        (BOMB.encode(), "refers to itself"),
        (b"flavors: !!python/object/apply:os.system ['touch pwned']\n", "lists no flavours"),
        (b"flavors: {a: " + b"[" * 5_000, "nested too deeply"),
        (b"flavors: {a: b}\n" + b"#" * 1_000_000, "larger than 1 MB"),
        (b"\x80\x04\x95pickle", "no text"),
    ],
)
def test_a_model_file_that_cannot_be_read_costs_its_card_one_line(content, reason, logged, tmp_path):
    damaged = tmp_path / "store"
    shutil.copytree(logged, damaged)
    run_id = (logged / "run").read_text()
    loaded = load_runs(f"sqlite:///{damaged / 'mlflow.db'}", [run_id])._loaded
    first = listed_models(loaded).models[0]
    [path] = damaged.rglob(f"{first.model_id}/artifacts/MLmodel")
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    models = load_runs(f"sqlite:///{damaged / 'mlflow.db'}", [run_id]).models
    table = models.table()
    assert reason in table.loc["columns", "MLmodel"]
    assert table["flavours"].notna().sum() == 3, "the others are read"
    [card] = models.cards("columns").cards
    assert reason in card.notes[0]
    assert card.origin[0][1].startswith("trained"), "what the store knows is there"


def test_a_model_file_outside_of_its_folder_is_not_read(logged, tmp_path):
    store, elsewhere = tmp_path / "store", tmp_path / "elsewhere"
    shutil.copytree(logged, store)
    first = listed_models(loaded_from(f"sqlite:///{store / 'mlflow.db'}", logged)._loaded).models[0]
    [path] = store.rglob(f"{first.model_id}/artifacts/MLmodel")
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    table = loaded_from(f"sqlite:///{store / 'mlflow.db'}", logged).models.table()
    assert "it leads out of the model's own folder" in table.loc["columns", "MLmodel"]


def test_strings_of_a_model_file_are_escaped():
    hostile = "<script>alert(1)</script>"
    file = read_model_file(
        f"flavors:\n  '{hostile}': {{version: '{hostile}'}}\nmlflow_version: '{hostile}'\n"
        f'signature:\n  inputs: \'[{{"name": "{hostile}", "type": "{hostile}"}}]\'\n  outputs: \'{hostile}\'\n'
    )
    from qualia_lab.charts.model_cards import ModelCard, ModelCards

    card = ModelCard(
        hostile, file.flavours_in_short(), [("run", hostile)], [], file.signature, [(hostile,) * 3], [hostile]
    )
    page = ModelCards([card], 2, hostile, [hostile])._repr_html_()
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 9


def test_a_notebook_of_a_server_has_the_cards_without_the_server(server, logged, tmp_path):
    """The kernel has no store: the files go to it with the runs."""
    with NotebookGenerator(server) as generator, pytest.MonkeyPatch.context() as patch:
        selection = generator.select()
        with hand_over(generator._data, selection, server) as (variables, _):
            for name in (SNAPSHOT_VARIABLE, NAMED_VARIABLE):
                patch.setenv(name, variables[name])
            models = load_runs(server, selection.run_ids).models
            assert isinstance(models._loaded.store.stored.stored, SnapshotStore)
            assert models.table()["signature"].notna().sum() == 3
            assert "MLmodel" not in models.table()


def test_a_snapshot_with_artifacts_has_the_cards_without_the_server(server, logged, tmp_path):
    for flags, read in (((), 0), (("--artifacts",), 3)):
        place = tmp_path / f"copy {read}"
        done = run_here(QUALIA, "snapshot", server, place, *flags, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        models = loaded_from(f"snapshot:{place}", logged).models
        assert models.table().get("signature", pd.Series(dtype=str)).notna().sum() == read
        if not read:
            assert "qualia snapshot --artifacts keeps them" in models.table()["MLmodel"].iloc[0]


def test_models_are_read_once_for_the_plan_and_the_kernel(logged):
    with NotebookGenerator(f"sqlite:///{logged / 'mlflow.db'}") as generator, pytest.MonkeyPatch.context() as patch:
        reads = []
        read_models = type(generator.store).read_models
        patch.setattr(
            type(generator.store),
            "read_models",
            lambda *args, **given: reads.append(given) or read_models(*args, **given),
        )
        plan = generator.plan(generator.select())
        with hand_over(generator._data, plan.selection, plan.selection.tracking_uri):
            assert len(reads) == 1


def test_a_type_that_a_signature_does_not_give_is_said_to_be_missing():
    inputs = '[{"name": "a"}, {"name": "t", "type": "tensor", "tensor-spec": {}}, {"type": "array", "items": {}}]'
    file = read_model_file(f"flavors: {{}}\nsignature:\n  inputs: '{inputs}'\n")
    assert list(map(str, file.signature.inputs.columns)) == [
        "a: type not given",
        "t: tensor type not given",
        "array(type not given)",
    ]


def test_defaults_that_people_wrote_are_left_out_without_content(logged):
    run_id = (logged / "run").read_text()
    models = load_runs(f"sqlite:///{logged / 'mlflow.db'}", [run_id], content=False).models
    lines = repr(models.cards("tensors")).splitlines()
    assert "  stop  string [-1]  ‹not shown›" in lines
    assert "  temperature  double  0.5" in lines


def test_the_files_of_a_model_are_listed_by_the_server(server, logged):
    loaded = loaded_from(server, logged)._loaded
    model = listed_models(loaded).models[0]
    files = list(loaded.store.artifact_place(model.model_id, model.location).list_files())
    [folder] = logged.rglob(f"{model.model_id}/artifacts")
    expected = {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    assert {file.path: file.size for file in files} == expected
