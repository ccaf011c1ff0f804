"""Filters of logged models: the same models as MLflow's `search_logged_models` finds, and what is added."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient

from qualia_lab.errors import FilterError
from qualia_lab.query.models import parse_model_filter, select_models
from qualia_lab.stores.open import open_store
from tests.genai_stores import START

# {name} is the id of a model or run.
MLFLOW = [
    "name = 'net'",
    "name != 'net'",
    "name LIKE 'n%'",
    "name LIKE 'N%'",
    "name ILIKE 'N%'",
    "attributes.name IN ('agent', 'broken')",
    "name NOT IN ('agent', 'broken')",
    "model_id = '{step 10}'",
    "model_type = 'checkpoint'",
    "model_type != 'checkpoint'",
    "source_run_id = '{train}'",
    f"creation_time > {START}",
    f"creation_timestamp <= {START}",
    "last_updated_timestamp > 0",
    "metrics.accuracy > 0.6",
    "metrics.accuracy <= 0.6",
    "metrics.accuracy != 0.69",
    "metrics.`accuracy` >= 0.69 AND metrics.accuracy < 0.7",
    "metrics.none > 0",
    "params.lr = '0.1'",
    "params.lr != '0.1'",
    "params.prompt LIKE 'v1%'",
    "params.none != 'x'",
    "tags.kind = 'x'",
    "tags.`stage` LIKE '%'",
    "name = 'net' AND metrics.accuracy > 0.6 AND model_type = 'checkpoint'",
    "name like 'n%' and model_type in ('checkpoint')",
]


@pytest.fixture(scope="module")
def store(genai_sample, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    shutil.copy(genai_sample / "mlflow.db", folder)
    return f"sqlite:///{folder / 'mlflow.db'}"


@pytest.fixture(scope="module")
def client(store):
    return MlflowClient(store)


@pytest.fixture(scope="module")
def tables(store):
    with open_store(store) as opened:
        return opened.stored.read_models()


@pytest.fixture(scope="module")
def ids(genai_sample):
    return json.loads((genai_sample / "ids.json").read_text())


def found(text, tables, ids=None):
    for name, value in ({**ids["models"], **ids["runs"]} if ids else {}).items():
        text = text.replace(f"{{{name}}}", value)
    selected = select_models(parse_model_filter(text), tables)
    return text, set(selected.models.column("model_id").to_pylist()), selected


@pytest.mark.parametrize("text", MLFLOW)
def test_a_filter_of_mlflow_finds_the_models_that_mlflow_finds(text, tables, client, ids):
    text, models, _ = found(text, tables, ids)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    expected = {model.model_id for model in client.search_logged_models(experiments, filter_string=text)}
    assert models == expected


def test_the_filters_of_mlflow_find_something_and_not_everything(tables, ids):
    sizes = [len(found(text, tables, ids)[1]) for text in MLFLOW]
    assert sum(0 < size < tables.models.num_rows for size in sizes) > len(MLFLOW) / 2


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("alias = 'champion'", {"step 10"}),
        ("registered_name = 'classifier' AND version = 2", {"step 20"}),
        ("registered_name IS NULL AND model_type = 'checkpoint'", {"step 30"}),
        ("metrics.`accuracy (test)` >= 0.69", {"step 10"}),
        ("NOT (metrics.accuracy IS NOT NULL)", {"pending", "failed", "agent"}),
        ("status = 'failed' OR status = 'PENDING'", {"pending", "failed"}),
        ("params.lr BETWEEN 0.05 AND 0.2", {"step 10", "step 20", "step 30"}),
        ("step = 20", {"step 20"}),
        ("created > 100000 days ago AND name = 'agent'", {"agent"}),
    ],
)
def test_more_can_be_asked_than_of_mlflow(text, names, tables, ids):
    assert found(text, tables)[1] == {ids["models"][name] for name in names}


def test_versions_stay_with_their_models_and_others_match_by_themselves(tables, ids):
    _, models, selected = found("alias = 'champion'", tables)
    assert models == {ids["models"]["step 10"]}
    assert selected.versions.select(["name", "version"]).to_pylist() == [{"name": "classifier", "version": 1}]
    assert selected.aliases.column("alias").to_pylist() == ["champion"]
    assert set(selected.metrics.column("model_id").to_pylist()) == models
    _, models, selected = found("stage = 'Staging'", tables)
    assert models == set()
    assert selected.versions.column("version").to_pylist() == [3], "it was made from a run"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nam = 'x'", "no attribute nam"),
        ("metrics.accuracy > 'high'", "compared with a number"),
        ("metrics.accuracy LIKE '%'", "is a number"),
        ("name > 3", "name is text"),
        ("spans.name = 'x'", "no kind of field called spans"),
        ("metrics. > 3", "a key is missing"),
        ("= 3", "Expected a field"),
        ("", None),
        ("name = 'x' AND", "A field is missing"),
    ],
)
def test_a_wrong_filter_says_what_is_wrong(text, said):
    if said is None:
        assert parse_model_filter(text) is None
    else:
        with pytest.raises(FilterError, match=said):
            parse_model_filter(text)


def test_documented_filters_are_filters():
    page = (Path(__file__).parents[2] / "docs" / "query_language.md").read_text(encoding="utf-8")
    table = page.partition("| filter for models |")[2].partition("\n\n")[0]
    texts = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
    assert len(texts) == 5
    for text in texts:
        assert parse_model_filter(text) is not None
