"""What a masked store reads of models, traces, spans and evaluation datasets: no secret, and everything else as it is."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from qualia_lab import schema
from qualia_lab.genai_tables import TraceQuery, evaluation_tables, model_tables, trace_tables
from qualia_lab.masking.json_text import mask_json
from qualia_lab.masking.keys import DEFAULT_RULES, MaskRules
from qualia_lab.masking.tables import Masker
from qualia_lab.stores.masked import MaskedStore
from qualia_lab.stores.masked_genai import MaskedGenAIStore, mask_store
from qualia_lab.stores.open import open_store
from qualia_lab.stores.protocol import ReadsGenAI

SECRET, OTHER = "hunter2hunter2hunter2", "sk-proj-abcdefghijklmnop1234"
# Columns that hold ids, keys and words of MLflow, none of which a user chooses.
FIXED = {
    *("trace_id", "experiment_id", "run_id", "model_id", "assessment_id", "span_id", "parent_id", "overrides"),
    *("dataset_id", "record_id", "key", "status", "state", "kind", "source_type", "stage", "digest", "dataset_digest"),
}
IN_JSON = json.dumps(
    {
        "messages": [{"role": "user", "content": f"my password: {SECRET}\n{OTHER}\nis it safe? 🐙"}],
        "password": SECRET,
        "api_key": 987654,
        "nested": json.dumps({"url": f"postgresql://ana:{SECRET}@db/x"}),
        "temperature": 0.5,
    }
)
PLANTED = {
    schema.STRING: [
        f"login with password={SECRET} please",
        IN_JSON,
        json.dumps(IN_JSON)[:250],
        f'{{"text": "first line\\n{OTHER}\\nlast',
        f"https://ana:{SECRET}@example.org/?q=1",
        "nothing to hide, Ωμέγα 🐙",
        None,
    ],
    schema.INT: [1, 2, 3, 4, 5, 6, None],
    schema.FLOAT: [0.5, 1.5, 2.5, 3.5, 4.5, 5.5, None],
    pa.bool_(): [True, False, True, True, True, False, None],
}


def planted(columns: pa.Schema) -> pa.Table:
    """A table with secrets in every column of text that may hold one."""
    values = [
        [f"{field.name}-{row}" for row in range(7)] if field.name in FIXED else PLANTED[field.type] for field in columns
    ]
    return pa.Table.from_arrays([pa.array(v, f.type) for v, f in zip(values, columns, strict=True)], schema=columns)


class Planted:
    """A store that holds planted tables only."""

    uri = "planted:"

    def read_models(self, *, experiment_ids=(), run_ids=()):
        return model_tables(**{name: planted(columns) for name, columns in schema.MODEL_TABLES.items()})

    def read_traces(self, query, parts=None):
        return trace_tables(**{name: planted(columns) for name, columns in schema.TRACE_TABLES.items()})

    def read_spans(self, trace_ids, *, content=True):
        yield from planted(schema.SPANS).to_batches(max_chunksize=3)

    def count_traces(self, experiment_ids=()):
        return {"1": 7}

    def read_evaluation_datasets(self, experiment_ids=()):
        return evaluation_tables(**{name: planted(columns) for name, columns in schema.EVALUATION_TABLES.items()})


def tables_of(store) -> dict[str, pa.Table]:
    bundles = {
        "models": store.read_models(),
        "traces": store.read_traces(TraceQuery()),
        "evaluation": store.read_evaluation_datasets(),
    }
    tables = {f"{kind}.{name}": table for kind, bundle in bundles.items() for name, table in vars(bundle).items()}
    return tables | {"spans": pa.Table.from_batches(store.read_spans(()))}


@pytest.mark.parametrize("name", tables_of(Planted()))
def test_no_planted_secret_is_read(name):
    stored, shown = tables_of(Planted())[name], tables_of(mask_store(Planted(), Masker()))[name]
    assert shown.schema == stored.schema
    for column in shown.column_names:
        before, after = stored.column(column).to_pylist(), shown.column(column).to_pylist()
        texts = "\n".join(str(value) for value in after)
        assert SECRET not in texts and OTHER not in texts and "987654" not in texts
        assert after[-2:] == before[-2:], "what holds no secret is read as it is"
        if column not in FIXED and stored.schema.field(column).type == schema.STRING:
            assert all("‹masked" in text for text in after[:5]), column
        else:
            assert after == before


def test_json_stays_json_and_equal_secrets_stay_equal():
    tables = tables_of(mask_store(Planted(), Masker()))
    inputs = json.loads(tables["spans"].column("inputs").to_pylist()[1])
    assert inputs["temperature"] == 0.5
    assert inputs["messages"][0]["content"].endswith("\nis it safe? 🐙")
    assert inputs["password"] in inputs["messages"][0]["content"]
    assert (
        inputs["password"] in json.loads(tables["traces.traces"].column("request_preview").to_pylist()[1])["password"]
    )
    assert inputs["password"] in json.loads(inputs["nested"])["url"]


@pytest.mark.parametrize(
    "text", ['{"password": null, "token": true}', '{"max_tokens": 5, "key": [1]}', '"secret"', "[]", "NaN", '{"a": 1']
)
def test_text_without_a_secret_is_returned_as_it_is(text):
    assert mask_json(text, lambda _: "‹masked›", DEFAULT_RULES) == text


def test_rules_of_the_project_hold_in_json():
    rules = MaskRules(also=("pin",), never=("password",))
    text = '{"pin": "1234", "password": "open", "note": "token key"}'
    assert (
        mask_json(text, lambda _: "‹masked›", rules) == '{"pin": "‹masked›", "password": "open", "note": "token key"}'
    )


def test_half_a_surrogate_pair_in_json_stays_an_escape():
    shown = mask_json('{"password": "a", "b": "\\ud83d"}', lambda _: "‹masked›", DEFAULT_RULES)
    assert shown == '{"password": "‹masked›", "b": "\\ud83d"}'


def test_deeply_nested_json_is_masked():
    deep = "[" * 100_000 + f'"password={SECRET}"'
    assert SECRET not in mask_json(deep, lambda _: "‹masked›", DEFAULT_RULES)


def test_a_masked_store_reads_traces_only_if_the_store_does(sqlite_sample):
    class OnlyRuns:
        uri = "runs:"

    masked = mask_store(OnlyRuns(), Masker())
    assert type(masked) is MaskedStore and not isinstance(masked, ReadsGenAI)
    assert isinstance(mask_store(Planted(), Masker()), ReadsGenAI)
    with (
        open_store(f"sqlite:///{sqlite_sample}") as store,
        open_store(f"sqlite:///{sqlite_sample}", show_secrets=True) as stored,
    ):
        assert isinstance(store, MaskedGenAIStore) == isinstance(stored, ReadsGenAI)


def test_tables_that_were_written_masked_are_returned_as_they_are():
    shown = tables_of(mask_store(Planted(), Masker(), tables=False))
    assert all(table == tables_of(Planted())[name] for name, table in shown.items())
