"""Promise 4: one fault does not affect the rest, and endless responses are given up. Tries all of tests.lying_server."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest

from qualia_lab.errors import StoreError, StoreUnreadable
from qualia_lab.generator import NotebookGenerator
from qualia_lab.runs import Runs
from qualia_lab.selection import Conditions, Query
from qualia_lab.stores.artifact_places import MAX_FILES
from qualia_lab.stores.open import open_store
from tests import lying_server
from tests.lying_server import LIES, RUN_IDS, STRAY, lie, run, server_that, true_answer

pytestmark = pytest.mark.usefixtures("quick_kernels")

SECONDS = 10.0  # for one request; all these servers respond at once
LONGEST = 2 * SECONDS


@pytest.fixture(autouse=True)
def _small_limits(monkeypatch):
    """The default limits are far above any store, and would only take longer to reach."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", str(SECONDS))
    monkeypatch.setenv("QUALIA_LAB_CACHE", "off")
    monkeypatch.setenv("QUALIA_LAB_MOST_ENTRIES", "5_000")
    monkeypatch.setenv("QUALIA_LAB_MOST_PAGES", "100")
    monkeypatch.setenv("QUALIA_LAB_MOST_FOLDERS", "100")


@dataclass
class Seen:
    """What a command gets from a server: the runs, missing runs and problems, findings and artifacts."""

    run_ids: list[str]
    reported: str
    findings: str
    artifacts: str
    files: int
    seconds: float


def look(answer) -> Seen:
    """Choose, read and examine all runs, and list the artifacts of one."""
    since = time.monotonic()
    with server_that(answer) as (_, uri):
        generator = NotebookGenerator(uri)
        selection = generator.choose(Conditions())
        tables = generator.read(selection)
        found = Runs(generator.store, tables, generator.describe(selection)).find({})
        place = generator.store.artifact_place(RUN_IDS[0], "")
        try:
            files, note = len(list(place.list_files())), place.note
        except StoreError as error:
            files, note = 0, error.message
    reported = [row["run_id"] + ": " + row["reason"] for row in tables.missing.to_pylist()]
    reported += [row["subject"] + ": " + row["reason"] for row in tables.problems.to_pylist()]
    sentences = " ".join(one.sentence for one in found)
    return Seen(list(tables.run_ids), " ".join(reported), sentences, note, files, time.monotonic() - since)


def begins(*starts: str) -> list[str]:
    return [name for name in LIES if name.startswith(starts)]


ENDLESS = [name for name in LIES if "page" in name.partition(": ")[2] and "login page" not in name]


def test_a_correct_server_is_read_completely():
    seen = look(true_answer)
    assert sorted(seen.run_ids) == RUN_IDS
    assert (seen.reported, seen.artifacts, seen.files) == ("", "", 1)
    assert "Not examined: the metric histories" not in seen.findings


@pytest.mark.parametrize("name", [one for one in ENDLESS if one.startswith(("experiments", "runs"))])
def test_an_endless_list_raises_an_error(name, record_counts):
    since = time.monotonic()
    with pytest.raises(StoreUnreadable, match=r"stopped after [\d,]+ (pages|entries)") as error:
        look(LIES[name])
    assert error.value.hint
    failed = time.monotonic() - since > LONGEST
    record_counts(promise=7, kind="endless answers", tried=1, failed=int(failed))
    assert not failed


@pytest.mark.parametrize("name", [one for one in ENDLESS if one.startswith("models")])
def test_endless_models_are_reported_and_runs_are_read(name, record_counts):
    seen = look(LIES[name])
    failed = sorted(seen.run_ids) != RUN_IDS or "logged models: " not in seen.reported or seen.seconds > LONGEST
    record_counts(promise=7, kind="endless answers", tried=1, failed=int(failed))
    assert not failed, seen
    assert "stopped after" in seen.reported


@pytest.mark.parametrize("name", [one for one in ENDLESS if one.startswith("histories")])
def test_endless_histories_are_reported_and_runs_are_read(name, record_counts):
    seen = look(LIES[name])
    failed = sorted(seen.run_ids) != RUN_IDS or seen.seconds > LONGEST
    record_counts(promise=7, kind="endless answers", tried=1, failed=int(failed))
    assert not failed, seen
    assert "Not examined: the metric histories, which could not be read" in seen.findings
    assert "stopped after" in seen.findings


@pytest.mark.parametrize(
    "name", [*(one for one in ENDLESS if one.startswith("artifacts")), *begins("artifacts: folder")]
)
def test_endless_artifacts_are_truncated_with_a_note(name, record_counts):
    seen = look(LIES[name])
    failed = sorted(seen.run_ids) != RUN_IDS or seen.files > MAX_FILES or seen.seconds > LONGEST
    record_counts(promise=7, kind="endless answers", tried=1, failed=int(failed))
    assert not failed, seen
    assert "stopped after" in seen.artifacts or "only the first" in seen.artifacts


def test_a_folder_that_contains_itself_is_listed_once():
    assert look(LIES["artifacts: a folder in itself"]).files == 0


@pytest.mark.parametrize(
    ("name", "reported"),
    [
        ("runs: one is null", ""),
        ("runs: one has no info", "the list of runs: 1 run came without an id"),
        ("runs: one says no experiment", f"{STRAY}: the store does not say which experiment it belongs to"),
        ("runs: one is of an experiment that is not there", f"{STRAY}: the store has no experiment 99"),
        ("experiments: one has no id", ""),
    ],
)
def test_one_invalid_run_is_reported_and_the_others_are_read(name, reported, record_counts):
    seen = look(LIES[name])
    failed = sorted(seen.run_ids) != RUN_IDS or reported not in seen.reported
    record_counts(promise=4, kind="one wrong run", tried=1, failed=int(failed))
    assert not failed, seen
    assert "best_configuration" not in seen.reported
    assert "Not examined: the metric histories" not in seen.findings


def test_a_run_without_an_id_is_counted_once_also_after_another_search():
    with server_that(LIES["runs: one has no info"]) as (_, uri):
        generator = NotebookGenerator(uri)
        selection = generator.choose(Conditions())
        generator.store.explain(selection.query)
        reasons = generator.read(selection).problems.column("reason").to_pylist()
    assert reasons == ["1 run came without an id and cannot be shown"]


@pytest.mark.parametrize("name", ["models: no rights", "models: a login page", "models: cut off", "models: a redirect"])
def test_unreadable_models_are_reported_and_runs_are_read(name, record_counts):
    seen = look(LIES[name])
    failed = sorted(seen.run_ids) != RUN_IDS or "logged models: http" not in seen.reported
    record_counts(promise=4, kind="one endpoint fails", tried=1, failed=int(failed))
    assert not failed, seen
    assert seen.files == 1


@pytest.mark.parametrize("name", ["histories: no rights", "histories: a login page", "histories: cut off"])
def test_unreadable_histories_are_reported_and_runs_are_read(name, record_counts):
    seen = look(LIES[name])
    failed = sorted(seen.run_ids) != RUN_IDS or "the metric histories, which could not be read" not in seen.findings
    record_counts(promise=4, kind="one endpoint fails", tried=1, failed=int(failed))
    assert not failed, seen
    assert "val_auc" in seen.findings  # from the latest values


@pytest.mark.parametrize("name", ["artifacts: no rights", "artifacts: a login page"])
def test_artifacts_that_cannot_be_listed_are_reported(name, record_counts):
    seen = look(LIES[name])
    failed = sorted(seen.run_ids) != RUN_IDS or not seen.artifacts
    record_counts(promise=4, kind="one endpoint fails", tried=1, failed=int(failed))
    assert not failed, seen
    assert seen.reported == ""


def test_a_notebook_executes_without_histories_and_models(tmp_path):
    def answer(it):
        LIES["histories: cut off" if it.endpoint == "metrics/get-history" else "models: no rights"](it)

    with server_that(answer) as (_, uri):
        path = NotebookGenerator(uri).create(output=tmp_path / "runs.ipynb", execute=True, force=True)
    text = path.read_text(encoding="utf-8")
    assert "the metric histories, which could not be read" in text
    assert "run-1" in text


def test_a_response_with_another_run_is_rejected():
    def answer(it):
        if it.endpoint == "runs/search" and " IN (" in it.asked.get("filter", ""):
            it.say({"runs": [run(STRAY)]})
        elif it.endpoint == "runs/get":
            it.say({"run": run(STRAY)})
        else:
            true_answer(it)

    with server_that(answer) as (_, uri):
        tables = open_store(uri).read(RUN_IDS[:2])
    assert tables.run_ids == ()
    assert [row["reason"] for row in tables.missing.to_pylist()] == [f"the server gave another run, {STRAY}"] * 2


def test_a_large_correct_store_is_read_completely(monkeypatch):
    """The default limits allow for a store a hundred times as large."""
    for name in ("ENTRIES", "PAGES", "FOLDERS"):
        monkeypatch.delenv(f"QUALIA_LAB_MOST_{name}")
    pages = 12

    def answer(it):
        page = int(it.asked.get("page_token") or 0)
        more = {"next_page_token": str(page + 1)} if page + 1 < pages else {}
        it.say({"runs": [run(f"{page * 1000 + one:032x}") for one in range(1000)]} | more)

    with server_that(lie("runs/search", answer)) as (_, uri):
        assert open_store(uri).read_runs(Query()).num_rows == pages * 1000


@pytest.mark.parametrize(
    ("path", "ask"),
    [
        ("artifacts/list", lambda place: list(place.list_files())),
        ("get-artifact", lambda place: place.read_bytes("notes.txt", 10)),
    ],
)
def test_credentials_do_not_follow_a_redirect_of_artifacts(path, ask):
    with server_that(lambda it: it.reply(b"{}")) as (thief, elsewhere):

        def answer(it):
            if it.endpoint.endswith(path):
                it.reply(b"", 302, Location=f"{elsewhere}/stolen")
            else:
                true_answer(it)

        with server_that(answer) as (_, uri):
            store = open_store(uri.replace("//", "//ada:hunter2@"))
            with pytest.raises(StoreError, match="sends us to"):
                ask(store.artifact_place(RUN_IDS[0], f"{elsewhere}/{RUN_IDS[0]}"))
        assert thief.questions == []


def test_server_errors_are_quoted_without_secrets():
    said = b"cannot reach postgresql://root:pa55word@db/mlflow for ada:hunter2 (Basic YWRhOmh1bnRlcjI=)"
    body = b'{"error_code": "INTERNAL_ERROR", "message": "' + said + b'"}'
    with server_that(lambda it: it.reply(body, 500)) as (_, uri), pytest.raises(StoreError) as error:
        open_store(uri.replace("//", "//ada:hunter2@")).read_experiments()
    assert "cannot reach postgresql://root:***@db/mlflow" in error.value.message
    for secret in ("pa55word", "hunter2", "YWRhOmh1bnRlcjI"):
        assert secret not in str(error.value)


def test_the_retry_after_of_a_busy_server_is_shown():
    with server_that(lying_server.FAULTS["too_many"]) as (_, uri), pytest.raises(StoreError) as error:
        open_store(uri).read_experiments()
    assert "asks to wait 120 s (Retry-After)" in error.value.message
    assert "120 s" in error.value.hint
