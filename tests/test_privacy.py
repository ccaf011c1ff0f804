"""What is redacted and what is left out: in texts, in JSON, in every table of a store, and nothing else."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qualia_lab.analysis.model_files import read_model_file
from qualia_lab.errors import SettingsError
from qualia_lab.genai_tables import TraceQuery
from qualia_lab.masking.personal import replace_personal
from qualia_lab.masking.privacy import Privacy
from qualia_lab.masking.private_files import private_bytes
from qualia_lab.masking.redactor import CUT_MARK, Redactor, is_cut
from qualia_lab.runs import load_runs
from qualia_lab.selection import Query
from qualia_lab.settings import read_settings
from qualia_lab.stores.masked import left_out_of
from qualia_lab.stores.open import open_store

EMAILS = ("jane.doe@example.com", "o'brien+x@mail.example.co.uk", "müller@bücher.example", "_a-b@x-y.org")
PHONES = (
    *("+49 151 23456789", "+4915123456789", "+1 (555) 123-4567", "+1-555-123-4567", "+33 1 23 45 67 89"),
    *("+49 (0)30 1234567", "0049 151 2345678", "(555) 123-4567", "555-123-4567", "555.123.4567", "(030) 1234567"),
    *("030 1234567", "0151/23456789", "020 7946 0958", "01 23 45 67 89", "+44 20 7946 0958"),
)
NEITHER = (
    *("2026-11-29 17:40:09", "2026-11-29T17:40:09+01:00", "09-11-2026 12:30", "01-02-2026 1530", "01.12.2026"),
    *("01/12/2026 10:11:12", "20261129-174009", "v2026.11.29", "1.2.3", "3.17.0", "0.123456789", "1e+12345678"),
    *("1234567890", "1732900809000", "0123456789", "12,345,678,901", "tr-0123456789abcdef0123456789abcdef"),
    *("550e8400-e29b-41d4-a716-446655440000", "978-3-16-148410-0", "1234-5678-9012-3456", "192.168.100.200"),
    *("10.0.0.1:5432", "100 200 3000", "80 000 000", "0.1 0.2 0.3", "-0.00012345 +0.1234567", "5 + 123456789"),
    *("x+123456789", "00 11 22 33 44", "epoch 01-02-03", "50-100-2000", "12:00:00.000000 0.5", "git@github.com:a/b"),
    *("models:/name@champion", "pkg@1.2.3", "user@host", "@pytest.mark.parametrize", "postgresql://bob@db:5432/x"),
)
# In all of these the words of people stand in the sample of `tests/genai_stores.py`.
WORDS = ("What is", "because of", "very good", "the judge was wrong", "two of six", "from a trace", "How does the very")
PLANT = "Jane <jane.plant@example.org>, +49 151 23456789: "


def marked(text):
    return replace_personal(text, lambda kind, _: f"<{kind}>")


@pytest.mark.parametrize(("texts", "kind"), [(EMAILS, "email"), (PHONES, "phone")])
def test_addresses_and_numbers_are_found_within_text(texts, kind):
    for text in texts:
        for before, after in (("", ""), ("call ", "."), ("(", ")"), ("<", ">"), ("say: ", ", please"), ("-", "\n")):
            if kind == "phone" and before == "-":  # that would be the rest of an id
                continue
            assert marked(f"{before}{text}{after}") == f"{before}<{kind}>{after}"


@pytest.mark.parametrize("text", NEITHER)
def test_ids_dates_versions_and_numbers_stay(text):
    assert marked(text) == text and marked(f"a {text}, b") == f"a {text}, b"


@given(st.text(st.characters(exclude_categories=["Nd", "Cs"], exclude_characters="@")))
def test_a_text_without_digits_and_at_signs_stays(text):
    assert marked(text) == text
    assert Redactor(Privacy(redact=True)).json(text) == text


PIECES = st.sampled_from([*EMAILS, *PHONES, *NEITHER, " ", "\n", ", ", '"', "\\", "‹", "›", "a", "1", "C-123456"])


@given(st.lists(PIECES | st.text(max_size=3), max_size=8).map("".join))
def test_redacting_twice_changes_nothing_more_and_json_stays_json(text):
    redactor = Redactor(Privacy(redact=True, patterns=(r"C-\d{6}", r"\d")))
    once = redactor.text(text)
    assert redactor.text(once) == once
    value = {"messages": [{"content": text, "n": 4915123456789}]}
    shown = json.loads(redactor.json(json.dumps(value)))
    assert shown["messages"][0]["n"] == 4915123456789
    assert redactor.text(shown["messages"][0]["content"]) == shown["messages"][0]["content"]
    nested = json.loads(json.loads(redactor.json(json.dumps(json.dumps(value)))))
    assert nested == shown


@given(st.lists(st.text() | st.sampled_from(EMAILS), max_size=12))
def test_equal_texts_get_equal_numbers_and_others_do_not(texts):
    redactor = Redactor(Privacy(content=False))
    hidden = [redactor.hidden(json.dumps({"q": text})) for text in texts]
    assert len(set(hidden)) == len(set(texts))
    assert [redactor.hidden(json.dumps({"q": text}, indent=1)) for text in texts] == hidden
    assert [redactor.hidden(text) for text in hidden] == hidden
    assert all(re.fullmatch(r"‹not shown \d+›", text) for text in hidden)


def test_what_is_no_words_stays_and_the_rest_is_hidden():
    redactor = Redactor(Privacy(content=False))
    for text in ("true", "3.5", '"yes"', '"partially_correct"', "[1, 2.5, null]", '{"tone": 3}', "null", ""):
        assert redactor.plain_json(text) == text
    assert json.loads(redactor.plain_json('{"tone": 3, "note": "two words", "my words": 1}')) == {
        "tone": 3,
        "note": "‹not shown 1›",
        "‹not shown 2›": 1,
    }
    assert json.loads(redactor.numbers('{"answer": "Paris", "n": 2}')) == {"answer": "‹not shown 3›", "n": 2}
    assert redactor.error("KeyError: 'my delivery'") == "KeyError: ‹not shown 4›"
    assert redactor.error("my delivery is late") == "‹not shown 5›"


def test_a_placeholder_that_a_store_holds_stands_for_no_other_text():
    redactor = Redactor(Privacy(content=False))
    redactor.reserve('"‹not shown 7›"')
    assert redactor.hidden("a question") == "‹not shown 8›"


@pytest.mark.parametrize("privacy", [Privacy(redact=True), Privacy(content=False)])
def test_a_preview_that_was_cut_still_counts_as_cut(privacy):
    redactor = Redactor(privacy)
    cut = ("jane@example.org " * 100)[:997] + "..."
    change = redactor.preview if privacy.redact else redactor.hidden
    assert is_cut(cut) and change(cut).endswith(CUT_MARK) and is_cut(change(cut))
    assert change(change(cut)) == change(cut)
    assert not is_cut(change("jane@example.org"))


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("patterns = ['C-(']", "no regular expression"),
        ("patterns = ['x*']", "matches the empty text"),
        ("patterns = 'C-1'", "privacy.patterns is not a list of texts"),
        ("redact = 1", "redact is neither true nor false"),
        ("contents = false", "has no key contents"),
    ],
)
def test_settings_that_cannot_be_used_are_an_error(tmp_path, table, said):
    (tmp_path / "pyproject.toml").write_text(f"[tool.qualia.privacy]\n{table}\n")
    with pytest.raises(SettingsError, match=re.escape(said)) as raised:
        read_settings(tmp_path)
    assert raised.value.hint


def test_settings_are_read_and_a_choice_goes_before_them(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.qualia.privacy]\nredact = true\npatterns = ['C-\\d{6}']\n")
    privacy = read_settings(tmp_path).privacy
    assert privacy == Privacy(redact=True, patterns=(r"C-\d{6}",))
    assert privacy.with_choice(redact=False, content=False) == Privacy(content=False, patterns=(r"C-\d{6}",))


@pytest.fixture(scope="module")
def planted(genai_sample, tmp_path_factory):
    """The sample with an address and a number before the words in every column that holds them."""
    path = tmp_path_factory.mktemp("planted") / "mlflow.db"
    shutil.copyfile(genai_sample / "mlflow.db", path)
    plant(path)
    return f"sqlite:///{path}"


def plant(path):
    with closing(sqlite3.connect(path)) as database, database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for _, column, kind, *_ in database.execute(f"PRAGMA table_info({name})").fetchall():
                if "CHAR" in kind.upper() or "TEXT" in kind.upper() or kind.upper() == "JSON":
                    for word in WORDS:
                        database.execute(
                            f'UPDATE "{name}" SET "{column}" = replace("{column}", ?, ?)', (word, PLANT + word)
                        )


def read_all(uri, privacy):
    """Every table of a store by name."""
    with open_store(uri, privacy=privacy) as store:
        runs = store.read(store.read_runs(Query()).column("run_id").to_pylist())
        bundles = {
            "runs": runs,
            "models": store.read_models(),
            "traces": store.read_traces(TraceQuery()),
            "datasets": store.read_evaluation_datasets(),
        }
        tables = {
            f"{name}.{part}": table
            for name, bundle in bundles.items()
            for part, table in vars(bundle).items()
            if hasattr(table, "num_rows")
        }
        ids = bundles["traces"].traces.column("trace_id").to_pylist()
        rows = [row for batch in store.read_spans(ids) for row in batch.to_pylist()]
        found = {name: table.to_pylist() for name, table in tables.items()}
        return found | {"spans": rows}, left_out_of(store)


def test_no_table_holds_what_was_planted_and_everything_else_is_the_same(planted):
    stored, nothing = read_all(planted, Privacy())
    held = json.dumps(stored, ensure_ascii=False)
    assert nothing == () and "jane.plant@example.org" in held and all(word in held for word in WORDS)
    redacted, said = read_all(planted, Privacy(redact=True))
    text = json.dumps(redacted, ensure_ascii=False)
    assert "jane.plant" not in text and "23456789" not in text and "ada@example.org" not in text
    assert said == (
        "redacted in what was read: 2 e-mail addresses, 1 phone number; equal numbers stand for equal ones",
    )
    mark = {"jane.plant@example.org": 0, "ada@example.org": 0, "+49 151 23456789": 0}
    for name, rows in stored.items():
        for row, shown in zip(rows, redacted[name], strict=True):
            for key, value in row.items():
                if isinstance(value, str) and any(one in value for one in mark):
                    assert re.search(r"‹(email|phone) \d›", shown[key])
                else:
                    assert shown[key] == value or value != value, (name, key)


def test_no_table_holds_words_and_numbers_stay(planted):
    stored, _ = read_all(planted, Privacy())
    shown, said = read_all(planted, Privacy(content=False))
    text = json.dumps(shown, ensure_ascii=False)
    for word in (
        *WORDS,
        "jane.plant",
        "text of a document",
        "too many requests",
        "ada@example.org",
        '"eve"',
        "checkpoint 10",
    ):
        assert word in json.dumps(stored, ensure_ascii=False) and word not in text, word
    assert said == (
        "what people and models wrote is not shown, in what was read: 2 model versions, 20 traces, 6 dataset records",
    )
    for name, rows in stored.items():
        for row, without in zip(rows, shown[name], strict=True):
            for key, value in row.items():
                if not isinstance(value, str):
                    assert without[key] == value or value != value
                elif name.startswith("runs."):
                    assert without[key] == value
    values = {(row["name"], row["value"]) for row in shown["traces.assessments"]}
    assert {("safety", '"yes"'), ("correctness", "true"), ("relevance", "0.2")} <= values
    requests = {row["request_preview"] for row in shown["traces.traces"]}
    inputs = {json.loads(row["inputs"]) for row in shown["datasets.records"]}
    assert len(requests & inputs) == 4, "a request and a record with the same inputs have the same number"


@pytest.mark.parametrize("shown", [{"redact": True}, {"content": False}])
def test_evaluations_are_compared_as_before(planted, genai_sample, shown):
    run_ids = [json.loads((genai_sample / "ids.json").read_text())["runs"][f"evaluate v{n}"] for n in (1, 2)]
    stored, private = (load_runs(planted, run_ids, **more) for more in ({}, shown))
    assert stored.evaluations.compare().equals(private.evaluations.compare())
    rows, hidden = (one.evaluations.changed_rows(scorer="correctness") for one in (stored, private))
    assert len(rows) == len(hidden) > 0
    assert "jane.plant" in str(rows.to_dict()) and "jane.plant" not in str(hidden.to_dict())


def test_a_model_file_without_content_says_what_mlflow_says_of_the_model():
    written = (
        "artifact_path: model\nflavors:\n  openai:\n    openai_version: 2.1.0\n    prompt: a prompt of somebody\n"
        "  python_function:\n    python_version: 3.11.7\n    config:\n      system: a prompt of somebody\n"
        "metadata:\n  note: a prompt of somebody\nmlflow_version: 3.17.2\nprompts:\n- a prompt of somebody\nsignature:\n"
        '  inputs: \'[{"name": "question",\n    "type": "string"}]\'\n  outputs: null\n'
        '  params: \'[{"name": "system", "default":\n    "a prompt of somebody\'\'s", "type": "string", "shape": null},'
        ' {"name": "k",\n    "default": 5, "type": "long"}]\'\nutc_time_created: \'2026-11-30 01:00:00.000000\'\n'
    )
    redactor = Redactor(Privacy(content=False))
    change = lambda data, of: of(data.decode()).encode()  # noqa: E731
    shown = private_bytes("model/MLmodel", written.encode(), redactor, is_whole=True, change=change).decode()
    assert "somebody" not in shown
    file = read_model_file(shown)
    assert file.flavours == (("openai", "2.1.0"), ("python_function", ""))
    assert (file.python_version, file.mlflow_version, file.created[:10]) == ("3.11.7", "3.17.2", "2026-11-30")
    assert [str(one) for one in file.signature.inputs.columns] == ["question: string"]
    assert [(one.name, one.default) for one in file.signature.params.columns] == [
        ("system", "‹not shown›"),
        ("k", "5"),
    ]
    for part in ("params", "inputs"):
        odd = written.replace(f"  {part}: '", f"  {part}: |\n    a prompt of somebody ")
        assert b"somebody" not in private_bytes("MLmodel", odd.encode(), redactor, is_whole=True, change=change)
