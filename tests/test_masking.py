"""Masking of secrets by name and by form; ordinary names are never masked, and equal secrets stay equal."""

from __future__ import annotations

import os
import pty
import subprocess
import time

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qualia_lab import schema
from qualia_lab.generator import NotebookGenerator
from qualia_lab.masking.candidates import candidate_rows
from qualia_lab.masking.keys import MaskRules, is_secret_key
from qualia_lab.masking.tables import Masker, mask_tables, masked_keys
from qualia_lab.masking.text import MARKERS, masked, may_hold_secret
from qualia_lab.runs import Runs, load_runs
from qualia_lab.selection import Query
from qualia_lab.settings import find_settings
from qualia_lab.stores.artifact_places import artifact_place
from qualia_lab.stores.masked import MaskedPlace, mask_bytes
from qualia_lab.stores.open import open_store
from qualia_lab.tables import run_tables, table_of

from .cli.command import QUALIA, environment, run
from .promises.planted_secrets import NAMES
from .stores.mlruns import write_experiment, write_run
from .stores.test_snapshot import snapshot

ORDINARY = """
max_tokens min_tokens num_tokens n_tokens total_tokens prompt_tokens completion_tokens input_tokens output_tokens tokens
tokens_per_second tokens_seen train_tokens max_new_tokens min_new_tokens pad_token eos_token bos_token unk_token mask_token
sep_token cls_token pad_token_id eos_token_id bos_token_id unk_token_id mask_token_id image_token audio_token video_token
image_token_id stop_token stop_tokens start_token end_token special_tokens additional_special_tokens class_token
distillation_token prefix_tokens virtual_tokens num_virtual_tokens token_dropout token_type token_type_ids
token_type_vocab_size token_level token_length token_embedding token_shift token_dim token_mixing_mlp token_count per_token
loss_per_token token_text token_value token_hash token_test token_base next_token first_token last_token user_token system_token assistant_token tokenizer tokenizer_name
tokenizer_path tokenizer.model_max_length tokenize tokenized tokenization use_fast_tokenizer add_prefix_token
key keys key_dim key_size key_length key_value_heads num_key_value_heads num_kv_heads kv_cache key_padding_mask
attn_key_bias query_key_value qk_norm query_key_norm use_key_bias primary_key foreign_key partition_key sort_key
cache_key join_key group_key hash_key index_key public_key row_key label_key image_key target_key feature_key input_key
output_key metric_key monitor_key date_key monkey keyboard keypoints num_keypoints keyframe keyword keywords hotkey turkey
key_frames keep_keys dict_keys state_dict_key column_key sampling_key random_key prng_key rng_key jax_key
author authors authority author_email authorship co_author coauthors authentic authenticity_score authoring
pass passes n_passes num_passes pass_rate pass_at_1 pass@1 passed forward_pass backward_pass single_pass first_pass
passing passthrough passages passage_length n_passages bypass bypass_cache compass multi_pass high_pass low_pass band_pass
passive passenger passengers passenger_count surpass bandpass password_length password_policy password_reset_count
secretary secretary_problem secretion secret_sauce_weight n_secrets_found secret_santa_id secret_name_count
credential_count creditability credit credit_score credits credit_limit cred_interval credible_interval
cookies_enabled cookie_count cookiecutter cookiecutter_version
auth_type auth_method author_id auth_enabled auth_mode
session session_id session_length sessions n_sessions session_name
signature signature_version model_signature code code_version code_path encode encoder decoder decode encoding
hash hashes git_commit commit commit_sha sha sha256 digest md5 checksum data_hash config_hash fingerprint
user username user_name user_id host hostname port database db db_name db_host database_name table schema url uri
api_version api_base api_url api_type base_url endpoint endpoint_url region bucket bucket_name webhook_enabled
connection connections n_connections skip_connection residual_connections connection_rate reconnect connectivity
path paths patience pat_id patch patch_size patches pattern patterns patient patient_id spatial_dropout compatible dispatch
license licence license_type access access_level access_pattern accessible account account_type private is_private
public visibility service service_name client client_id n_clients clients_per_round bot robot bottleneck git_branch
dsn_type jwt_enabled bearer beard pwd_dir salt salt_and_pepper pepper nonce seed random_seed entropy cert certainty
lr learning_rate batch_size epochs dropout weight_decay momentum optimizer hidden_size n_layers num_heads vocab_size
mlflow.user mlflow.source.name mlflow.source.type mlflow.source.git.commit mlflow.runName mlflow.parentRunId
""".split()  # noqa: SIM905


def test_ordinary_names_are_never_masked():
    assert len(set(ORDINARY)) >= 300
    assert [name for name in ORDINARY if is_secret_key(name)] == []
    spelled = [name.upper() for name in ORDINARY] + [f"config.{name}" for name in ORDINARY]
    spelled += ["".join(part.title() for part in name.split("_")) for name in ORDINARY]
    assert [name for name in spelled if is_secret_key(name)] == []


def test_values_of_ordinary_names_are_unchanged():
    values = (
        "512",
        "<pad>",
        "id",
        "None",
        "0.1",
        "bert-base-uncased",
        "hf_transformers",
        "sk-learn-pipeline-v2",
        "a@b.example",
    )
    for name in ORDINARY:
        for value in values:
            assert Masker().value("param", name, value) == value
            assert masked(f"{name}={value}") == f"{name}={value}"
            assert masked(f'{{"{name}": "{value}"}}') == f'{{"{name}": "{value}"}}'


def test_secret_names_are_recognised_in_every_spelling():
    assert [name for name in NAMES if not is_secret_key(name)] == []


@pytest.mark.parametrize(
    "value", ["", "None", "null", "true", "False", "***", "<API_KEY>", "${DB_PASSWORD}", "$DB_PASSWORD", "[REDACTED]"]
)
def test_harmless_values_under_secret_names_are_unchanged(value):
    assert Masker().value("param", "password", value) == value


@pytest.mark.parametrize(
    "text",
    [
        "git@github.com:team/repo.git",
        "ssh://git@github.com/team/repo",
        "https://github.com/team/repo.git#subdirectory=x",
        "http://host:5000/path?email=a@b.example",
        "s3://bucket/key",
        "https://[::1]:5000/a@b",
        "https://medium.com/@ada/x?source=y",
        "file:///home/ada@work/x",
        "postgresql://ada@db/x",
        "the token is masked, the key: value pair is not",
        "api_key = os.environ['API_KEY']",
        "password=None, seed=3",
        "password: str = Field(...)",
    ],
)
def test_values_that_only_resemble_secrets_are_unchanged(text):
    assert masked(text) == text


def test_every_secret_parameter_of_an_address_is_masked():
    names = """
    password passwd pwd secret token api_key api-key apikey access_key credential signature sslkey ssl_key passfile auth
    authorization bearer code jwt key pass pat sig policy Key-Pair-Id X-Amz-Signature sign.signature2 oauth.code
    """.split()  # noqa: SIM905
    addresses = [f"https://h.example.org/x?{name}=abcdefgh" for name in names]
    assert [masked(address) for address in addresses] == [f"https://h.example.org/x?{name}=‹masked›" for name in names]
    tables = mask_tables(params(*addresses * 20, key="link"), Masker())
    assert all("‹masked 1›" in value for value in shown(tables))


@given(st.text())
def test_masking_is_idempotent(text):
    once = masked(text)
    assert masked(once) == once


@given(
    st.text("abcXYZ019:/@%=?&\"' \n{}-_.", max_size=60),
    st.sampled_from(["{}", "password={}", "https://{}@h/x", '{{"token": "{}"}}']),
)
def test_masking_never_fails_and_keeps_lines(text, form):
    shown = masked(form.format(text))
    assert shown.count("\n") == form.format(text).count("\n")


def test_masking_time_is_linear_in_the_text_length():
    for piece in (
        "token:",
        "http://a:",
        "'token':",
        "eyJ",
        "--token ",
        "://",
        '"',
        "a" * 50,
        "key=\\",
        "-----BEGIN PRIVATE KEY-----",
    ):
        seconds = []
        for size in (40_000, 160_000):
            text = piece * (size // len(piece))
            started = time.process_time()
            masked(text)
            seconds.append(time.process_time() - started)
        assert seconds[1] < 12 * seconds[0] + 0.2, piece


def params(*values: str, key: str = "password"):
    rows = [{"run_id": str(place), "key": key, "value": value} for place, value in enumerate(values)]
    return run_tables(params=table_of(schema.PARAMS, rows))


def shown(tables) -> list[str]:
    return tables.params.column("value").to_pylist()


def test_equal_secrets_share_a_number_and_different_ones_do_not():
    tables = mask_tables(params("b", "a", "b", "‹masked 1›"), Masker())
    keys = masked_keys(tables)
    assert shown(tables) == ["‹masked 2›", "‹masked 3›", "‹masked 2›", "‹masked 1›"]
    assert keys == masked_keys(tables) == ("param password",)
    addresses = mask_tables(params("mysql://a:x@h/1", "mysql://a:y@h/1", "mysql://a:x@h/2", key="db_url"), Masker())
    assert shown(addresses) == ["mysql://a:‹masked 1›@h/1", "mysql://a:‹masked 2›@h/1", "mysql://a:‹masked 1›@h/2"]


def test_tables_read_separately_have_the_same_numbers():
    masker = Masker()
    assert shown(mask_tables(params("a", "b"), masker)) == ["‹masked 1›", "‹masked 2›"]
    assert shown(mask_tables(params("c", "b"), masker)) == ["‹masked 3›", "‹masked 2›"]


def test_tables_without_secrets_are_returned_unchanged():
    tables = params("0.1", "0.2", key="lr")
    found = mask_tables(tables, Masker())
    keys = masked_keys(found)
    assert found.params is tables.params
    assert keys == ()


@pytest.mark.parametrize("rows", [5, 3_000], ids=["few rows", "many rows"])
@pytest.mark.parametrize("distinct", [3, 20, 3_000], ids=["few values", "some values", "distinct values"])
def test_a_table_is_masked_as_its_values_one_by_one(rows, distinct):
    texts = [None, "--token abcdefgh", "see mysql://a:hunter2@host/db", *(f"{'layer ' * 100}{n}" for n in range(3_000))]
    values = [texts[row % distinct] for row in range(rows)]
    masker = Masker()
    expected = [value and masker.value("param", "note", value) for value in values]
    assert expected != values
    masked_tables = mask_tables(params(*values, key="note"), Masker())
    assert masked_tables.params.column("value").to_pylist() == expected


# What becomes an ASCII character in lower case: the capitals, the sign of kelvin, and the capital i with a dot.
SPELLINGS = {
    low: [char for char in map(chr, range(0x110000)) if low in char.lower()] for low in map(chr, range(ord("a"), 123))
}


@pytest.mark.parametrize("others", [0, 100], ids=["few texts", "many texts"])
def test_each_text_with_a_marker_of_a_secret_is_a_candidate_in_every_spelling(others):
    spelled = {
        marker[:place] + char + marker[place + 1 :]
        for marker in MARKERS
        for place, low in enumerate(marker)
        for char in (low, *SPELLINGS.get(low, ()))
    }
    texts = [f"a{text}b" for text in sorted(spelled)] + [f"x{marker.upper()}" for marker in MARKERS]
    texts = [text for text in [*texts, "://a@b", "http://é/@"] if may_hold_secret(text)]
    columns = [pa.chunked_array([[None, "", *["é run"] * others, text, "lr"]]) for text in texts]
    for text, values in zip(texts, columns, strict=True):
        [rows] = candidate_rows([values])
        assert rows.tolist() == [2 + others], text
    assert [rows.tolist() for rows in candidate_rows(columns)] == [[2 + others]] * len(texts)


@pytest.mark.parametrize("shift", range(4))
def test_a_marker_is_found_at_every_place_of_long_texts(shift):
    texts = ["." * (2**16 - shift) + "token", "." * (2**16 - 5) + "@token", "run", *["."] * 2**17, "key"]
    columns = [pa.chunked_array([texts]), pa.chunked_array([["run"] * 60 + ["key"]])]
    assert [rows.tolist() for rows in candidate_rows(columns)] == [[0, 1, len(texts) - 1], [60]]


@given(st.lists(st.lists(st.none() | st.text("ab0/:@.é‹", max_size=3) | st.sampled_from(MARKERS), max_size=8)))
def test_texts_that_are_no_candidates_hold_no_secret(columns):
    many = ["run"] * 60
    chunked = [pa.chunked_array([texts[:5], many, texts[5:]], pa.string()).slice(1) for texts in columns]
    for values, rows in zip(chunked, candidate_rows(chunked), strict=True):
        others = set(range(len(values))) - set(rows.tolist())
        assert not any(may_hold_secret(values[row].as_py() or "") for row in others)


def test_a_project_can_add_and_remove_secret_names(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text('[tool.qualia]\nmask = ["license_*"]\nnever_mask = ["token", "db_url"]\n')
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")  # the working directory of a notebook
    rules = find_settings().masking
    assert rules == MaskRules(("license_*",), ("token", "db_url"))
    masker = Masker(rules)
    assert masker.value("param", "LICENSE_no", "A-1") == "‹masked 1›"
    assert masker.value("param", "token", "word") == "word"
    assert masker.value("param", "db_url", "mysql://a:b@h") == "mysql://a:b@h"
    assert masker.value("param", "password", "x") == "‹masked 1›"


# Stores

RUN, OTHER = "a" * 32, "b" * 32


def add_run(root, run_id, **params):
    experiment = write_experiment(root)
    artifacts = str(experiment / run_id / "artifacts")
    return write_run(experiment, run_id, params=params, run_name=run_id[:3], artifact_uri=artifacts)


@pytest.fixture
def root(tmp_path):
    for run_id, word in ((RUN, "hunter2"), (OTHER, "correct horse")):
        add_run(tmp_path / "mlruns", run_id, password=word, lr="0.1")
    return tmp_path / "mlruns"


def test_filters_are_evaluated_on_the_stored_values(root):
    store = open_store(root)
    found = store.read_runs(Query(filter="params.password = 'hunter2'")).column("run_id").to_pylist()
    assert found == [RUN]
    assert "hunter2" not in repr(store.read(found).params.to_pylist())


def test_an_updated_snapshot_continues_its_numbers(root, tmp_path):
    out = tmp_path / "out"
    snapshot(str(root), out)

    def passwords():
        table = (
            open_store(f"snapshot:{out}", show_secrets=True).read([RUN, OTHER, "c" * 32, "d" * 32]).params.to_pylist()
        )
        return {row["run_id"][0]: row["value"] for row in table if row["key"] == "password"}

    before = passwords()
    assert sorted(before.values()) == ["‹masked 1›", "‹masked 2›"]
    add_run(root, "c" * 32, password="correct horse")
    add_run(root, "d" * 32, password="another")
    snapshot(str(root), out)
    assert passwords() == {**before, "c": before["b"], "d": "‹masked 3›"}


def test_artifacts_at_a_masked_address_are_found(tmp_path):
    root = tmp_path / "password=hunter2" / "mlruns"
    folder = add_run(root, RUN)
    (folder / "artifacts").mkdir()
    (folder / "artifacts" / "a.txt").write_text("token: abcdef\n")
    store = open_store(root)
    tables = store.read([RUN])
    address = tables.runs.column("artifact_uri")[0].as_py()
    assert "hunter2" not in address
    place = store.artifact_place(RUN, address)
    assert [file.path for file in place.list_files()] == ["a.txt"]
    assert place.read_bytes("a.txt", 100).decode() == "token: ‹masked 1›\n"


def test_a_truncated_file_stays_truncated_and_other_files_are_unchanged(tmp_path):
    folder = tmp_path / RUN / "artifacts"
    folder.mkdir(parents=True)
    (folder / "a.txt").write_text("password: " + "x" * 500 + "\n" + "y" * 500)
    place = MaskedPlace(artifact_place(RUN, str(folder)), Masker())
    assert len(place.read_bytes("a.txt", 600)) == 600
    assert b"xx" not in place.read_bytes("a.txt", 600)
    binary = b"\x89PNG\r\n\x1a\n\0\0 password=abc"
    assert mask_bytes(binary, "a", Masker()) is binary
    assert mask_bytes(b"caf\xe9 password=abc", "a", Masker()) == b"caf\xe9 password=" + "‹masked 1›".encode()
    wide = mask_bytes(b"\xff\xfe" + "password=abc".encode("utf-16-le"), "a", Masker())
    assert wide.decode("utf-16") == "password=‹masked 1›"


@pytest.mark.parametrize(
    ("show_secrets", "rules", "hidden"),
    [
        (False, MaskRules(), ["hunter2"]),
        (False, MaskRules(also=("licence",), never=("password",)), ["A-17"]),
        (True, MaskRules(), []),
    ],
)
def test_tables_in_artifacts_are_masked_by_the_rules_of_the_store(show_secrets, rules, hidden, tmp_path):
    for run_id, number in ((RUN, "1"), (OTHER, "2")):
        folder = add_run(tmp_path / "mlruns", run_id) / "artifacts"
        folder.mkdir()
        (folder / "t.csv").write_text(f"password,licence\nhunter2 {number},A-17 {number}\n")
    generator = NotebookGenerator(store=open_store(tmp_path / "mlruns", show_secrets=show_secrets, rules=rules))
    selection = generator.select()
    runs = Runs(generator.store, generator.read(selection), generator.describe(selection))
    for shown in (runs.show(RUN)._repr_html_(), repr(runs.artifacts.compare("t.csv"))):
        assert [secret for secret in ("hunter2", "A-17") if secret not in shown] == hidden


def test_load_runs_masks_in_any_notebook(root):
    runs = load_runs(str(root), [RUN, OTHER])
    assert "hunter2" not in repr(runs.tables.params.to_pylist())
    assert masked_keys(runs.tables) == ("param password",)


def test_the_last_cell_lists_what_is_masked(root):
    generator = NotebookGenerator(root)
    last = generator.plan(generator.select()).cells[-1].source
    assert "Masked, because they look like secrets: param password." in last
    assert "--show-secrets" in last
    assert "hunter2" not in repr(generator.plan(generator.select()))


def test_show_secrets_works_on_a_terminal_only(root, tmp_path):
    words = ("runs", "--tracking-uri", root, "--params", "password", "--show-secrets")
    elsewhere = run(QUALIA, *words, cwd=tmp_path)
    assert elsewhere.returncode == 2
    assert "on a terminal only" in elsewhere.stderr
    assert "hunter2" not in elsewhere.stdout + elsewhere.stderr
    main, side = pty.openpty()
    process = subprocess.Popen(
        [*QUALIA, *map(str, words)],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=side,
        stderr=subprocess.PIPE,
    )
    os.close(side)
    text = b""
    try:
        while piece := os.read(main, 4096):
            text += piece
    except OSError:  # on Linux: the other end of the terminal is closed
        pass
    _, talk = process.communicate(timeout=60)
    os.close(main)
    assert process.returncode == 0, talk
    assert b"hunter2" in text
    assert b"masked" not in talk
    shown = run(QUALIA, *words[:-1], cwd=tmp_path)
    assert "‹masked 1›" in shown.stdout
    assert "masked, as they look like secrets: param password;" in shown.stderr
