"""Secrets in tracking URIs are separated from what may be shown, and found in other messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qualia_lab.errors import StoreNotFound
from qualia_lab.stores.open import find_tracking_uri, open_store
from qualia_lab.stores.uri import split_uri, with_credentials


@pytest.mark.parametrize(
    ("uri", "safe"),
    [
        ("sqlite:///mlflow.db", "sqlite:///mlflow.db"),
        ("sqlite:////home/me@work/mlflow.db", "sqlite:////home/me@work/mlflow.db"),
        ("postgresql://bob:p@ss/w@db:5432/mlflow", "postgresql://bob@db:5432/mlflow"),
        ("postgresql://db/mlflow?user=bob&password=hidden&sslmode=require", "postgresql://db/mlflow?user=bob&sslmode=require"),
        ("mysql+pymysql://root@127.0.0.1/x", "mysql+pymysql://root@127.0.0.1/x"),
        ("https://bob:hidden@host:5000/path", "https://host:5000/path"),
        ("https://token-as-user@host", "https://host"),
        ("https://host/?token=hidden", "https://host/"),
        ("mlruns", "mlruns"),
        ("file:///a/b%20c", "file:///a/b%20c"),
    ],
)  # fmt: skip
def test_the_safe_uri_has_no_secret(uri, safe):
    assert split_uri(uri).safe == safe
    assert split_uri(uri).full == uri
    assert "hidden" not in repr(split_uri(uri))


@given(st.text("abcXYZ019@/:%!-", min_size=4, max_size=20))
def test_no_password_is_in_the_safe_uri_or_a_message(password):
    uri = split_uri(f"postgresql://bob:{password}@db.example/mlflow")
    assert uri.safe == "postgresql://bob@db.example/mlflow"
    assert password not in uri.redact(f"connection to {uri.full} failed: wrong password {password!s}.")


def test_a_secret_of_one_letter_does_not_mask_words():
    uri = split_uri("postgresql://u:p@host/db")
    assert uri.redact("postgresql: check host and port of postgresql://u:p@host/db") == (
        "postgresql: check host and port of postgresql://u@host/db"
    )


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("no route to https://t0ken@proxy:8080/x", "no route to https://***@proxy:8080/x"),
        ("see mysql://ada:pa/ss@db/x and http://bob:w0rd@h", "see mysql://ada:***@db/x and http://***@h"),
        ("GET http://proxy:8080/files/a@2x.png failed", "GET http://proxy:8080/files/a@2x.png failed"),
    ],
)
def test_logins_in_an_answer_are_masked_and_other_addresses_are_not(message, shown):
    assert split_uri("http://server").redact_answer(message) == shown


def test_a_notebook_reads_the_password_from_the_environment(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://bob:hidden@db/mlflow")
    assert with_credentials("postgresql://bob@db/mlflow").full == "postgresql://bob:hidden@db/mlflow"
    assert with_credentials("postgresql://bob@other/mlflow").full == "postgresql://bob@other/mlflow"


def test_the_tracking_uri_is_an_argument_then_the_environment_then_local(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(StoreNotFound, match=r"no mlflow\.db and no mlruns"):
        find_tracking_uri()
    (tmp_path / "mlruns").mkdir()
    assert find_tracking_uri() == ("mlruns", "found in this folder")
    (tmp_path / "mlflow.db").touch()
    assert find_tracking_uri() == ("sqlite:///mlflow.db", "found in this folder")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://host")
    assert find_tracking_uri() == ("http://host", "from MLFLOW_TRACKING_URI")
    assert find_tracking_uri("mine") == ("mine", "given")


@pytest.mark.parametrize("uri", ["ftp://host/x", "nosuchfolder", "sqlite:///nosuch.db", "snapshot:nosuch", "file:///nosuch"])  # fmt: skip
def test_a_missing_store_is_reported_and_not_created(uri, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreNotFound):
        open_store(uri).read_experiments()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "page",
    ["#/experiments/1", "/#/experiments/1", "/#/experiments/1/runs/abc?x=1", "/#", "#/compare-runs?runs=[%22a@b%22]"],
)
@pytest.mark.parametrize("server", ["http://host:5000", "https://host/mlflow", "http://bob:hidden@host:5000"])
def test_the_browser_address_is_that_of_the_server(server, page):
    assert split_uri(server + page) == split_uri(server)
    assert open_store(server + page).uri == open_store(server).uri


@pytest.mark.parametrize("uri", ["sqlite:/mlflow.db", "sqlite:mlflow.db"])
def test_missing_slashes_are_reported(uri):
    with pytest.raises(StoreNotFound, match="three slashes") as error:
        open_store(uri)
    assert "sqlite:///mlflow.db" in error.value.hint
    assert "memory" not in str(error.value)
