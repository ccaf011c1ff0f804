"""Locating artifacts, refusing unsafe locations, and detecting file types."""

from __future__ import annotations

import contextlib
import os
import pickle
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qualia_lab import schema
from qualia_lab.artifacts import decoded_text, list_artifacts, preview_kind
from qualia_lab.charts.line_difference import line_difference
from qualia_lab.charts.previews import read_previews
from qualia_lab.errors import StoreError
from qualia_lab.stores.artifact_places import MAX_DEPTH, MAX_FILES, _local_path, artifact_place
from qualia_lab.stores.file.store import FileStore
from qualia_lab.stores.open import open_store
from qualia_lab.tables import table_of

from .stores.mlruns import write_experiment, write_run

RUN = "d" * 32
OTHER = "e" * 32
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20


@pytest.fixture
def folder(tmp_path):
    """The artifact folder of a run, as in a store."""
    folder = tmp_path / "mlruns" / "1" / RUN / "artifacts"
    folder.mkdir(parents=True)
    (folder / "plots").mkdir()
    (folder / "plots" / "a.png").write_bytes(PNG)
    (folder / "notes.txt").write_text("hello")
    return folder


def names(place) -> list[str]:
    return [file.path for file in place.list_files()]


# Found


@pytest.mark.parametrize(
    "recorded",
    [
        "/home/her/mlruns/1/{run}/artifacts",
        "file:///home/her%20self/mlruns/1/{run}/artifacts",
        "file:C:\\Users\\lb\\stock\\mlruns/1/{run}/artifacts",
        "file:///C:/Users/lb/mlruns/1/{run}/artifacts",
        "C:\\Users\\lb\\mlruns\\1\\{run}\\artifacts",
        "./mlruns/1/{run}/artifacts",
        "mlflow-artifacts:/1/{run}/artifacts",
        "mlflow-artifacts://host:5000/1/{run}/artifacts",
    ],
)
@pytest.mark.parametrize("beside", ["mlruns", "."])
def test_a_folder_recorded_on_another_machine_is_found_next_to_the_store(folder, tmp_path, recorded, beside):
    place = artifact_place(RUN, recorded.format(run=RUN), beside=tmp_path / beside)
    assert names(place) == ["notes.txt", "plots/a.png"]
    assert "found beside the store; recorded as" in place.note
    assert place.read_bytes("notes.txt", 3) == b"hel"


def test_a_recorded_folder_that_exists_is_used(folder, tmp_path):
    for recorded in (str(folder), folder.as_uri(), f"file://localhost{folder}"):
        place = artifact_place(RUN, recorded, beside=tmp_path)
        assert names(place) == ["notes.txt", "plots/a.png"]
        assert place.note == ""


def test_the_artifacts_of_a_server_are_found_in_mlartifacts(tmp_path):
    folder = tmp_path / "mlartifacts" / "7" / RUN / "artifacts"
    folder.mkdir(parents=True)
    (folder / "x").write_text("x")
    for beside in (tmp_path, tmp_path / "mlruns"):
        assert names(artifact_place(RUN, f"mlflow-artifacts:/7/{RUN}/artifacts", beside=beside)) == ["x"]


@pytest.mark.parametrize("layout", ["artifacts/7/{run}/artifacts", "artifacts/{run}/artifacts"])
@pytest.mark.parametrize(
    "recorded",
    [
        "mlflow-artifacts:/7/{run}/artifacts",
        "/srv/mlflow/root/7/{run}/artifacts",
        "/home/her/code/../data/7/{run}/artifacts",
        "../elsewhere/7/{run}/artifacts",
        "./artifacts/7/{run}/artifacts",
        "file:../artifacts/7/{run}/artifacts",
    ],
)
def test_the_artifacts_root_of_a_server_is_found_beside_its_database(tmp_path, recorded, layout):
    folder = tmp_path / layout.format(run=RUN)
    folder.mkdir(parents=True)
    (folder / "x").write_text("x")
    for beside in (tmp_path, tmp_path / "mlruns"):
        place = artifact_place(RUN, recorded.format(run=RUN), beside=beside)
        assert names(place) == ["x"]
        assert place.read_bytes("x", 9) == b"x"


def test_a_path_that_was_relative_to_the_folder_of_the_store_is_found(tmp_path):
    folder = tmp_path / "out" / "of" / "training" / "v1" / RUN / "artifacts"
    folder.mkdir(parents=True)
    (folder / "x").write_text("x")
    assert names(artifact_place(RUN, f"./out/of/training/v1/{RUN}/artifacts", beside=tmp_path)) == ["x"]


def test_missing_artifacts_are_reported(tmp_path):
    place = artifact_place(RUN, f"/home/her/mlruns/1/{RUN}/artifacts", beside=tmp_path)
    assert names(place) == []
    assert place.note == f"there is no folder /home/her/mlruns/1/{RUN}/artifacts on this machine"
    with pytest.raises(StoreError, match="there is no folder"):
        place.read_bytes("a", 1)


# Refused


def secret(tmp_path) -> Path:
    (tmp_path / "secret").mkdir(exist_ok=True)
    (tmp_path / "secret" / "passwd").write_text("root")
    return tmp_path / "secret"


def test_a_folder_of_another_run_is_refused(folder, tmp_path):
    outside = secret(tmp_path)
    (tmp_path / RUN).symlink_to(outside)
    shadow = tmp_path / "mlruns" / "1" / OTHER
    shadow.mkdir()
    (shadow / "artifacts").symlink_to(outside)
    for run_id, recorded in [
        (RUN, "file:///etc"),
        (RUN, "/etc"),
        (RUN, "/"),
        (RUN, str(outside)),
        (RUN, f"{folder}/../../../../secret"),
        (RUN, str(tmp_path / RUN)),
        (RUN, folder.as_uri().replace(RUN, OTHER)),
        (OTHER, str(shadow / "artifacts")),
        (OTHER, folder.as_uri()),
        ("", str(outside)),
        ("..", "/etc"),
    ]:
        place = artifact_place(run_id, recorded)
        assert names(place) == [], (run_id, recorded)
        assert "is not this run's own, and is not opened" in place.note
        with pytest.raises(StoreError):
            place.read_bytes("passwd", 10)


@pytest.mark.parametrize("run_id", ["etc", "root", ".ssh", "ada", "passwords"])
@pytest.mark.parametrize("kind", ["database", "folder"])
def test_a_run_id_that_is_a_folder_name_opens_no_folder(tmp_path, run_id, kind):
    home = tmp_path / "home"
    private = home / run_id
    private.mkdir(parents=True)
    (private / "key").write_text("private")
    beside = home if kind == "database" else home / "mlruns"
    for recorded in (private.as_uri(), str(private), f"file:///{run_id}", f"mlflow-artifacts:/{run_id}", f"./{run_id}"):
        place = artifact_place(run_id, recorded, beside=beside)
        assert names(place) == []
        with pytest.raises(StoreError):
            place.read_bytes("key", 10)
    place = artifact_place("etc", "file:///etc", beside=Path("/"))
    assert names(place) == []


def test_a_run_id_in_an_unknown_folder_layout_is_not_trusted_outside_the_store(tmp_path):
    home = tmp_path / RUN / "private"
    home.mkdir(parents=True)
    (home / "key").write_text("private")
    assert names(artifact_place(RUN, str(home), beside=tmp_path / "store")) == []
    own = tmp_path / "store" / "mlruns" / "1" / "my-run" / "artifacts"
    own.mkdir(parents=True)
    (own / "x").write_text("x")
    assert names(artifact_place("my-run", str(own), beside=tmp_path / "store" / "mlruns")) == ["x"]
    assert names(artifact_place("my-run", str(own), beside=tmp_path / "other")) == []


def test_paths_outside_the_artifact_folder_are_refused(folder, tmp_path):
    outside = secret(tmp_path)
    (folder / "link").symlink_to(outside / "passwd")
    (folder / "linked").symlink_to(outside)
    (folder / "loop").symlink_to(folder)
    (folder / "same").symlink_to("notes.txt")
    (folder / "broken").symlink_to("nothing")
    os.mkfifo(folder / "pipe")
    place = artifact_place(RUN, str(folder))
    assert names(place) == ["notes.txt", "plots/a.png", "same"]
    assert "is a link out of the run's own folder and is not followed" in place.note
    for path in (
        "link", "linked/passwd", "../../../../secret/passwd", str(outside / "passwd"), "plots/../../../../../secret/passwd",
        "pipe", "plots", "", ".", "nothing", "a\0b", "\ud800", "x" * 5000,
    ):  # fmt: skip
        with pytest.raises(StoreError):
            place.read_bytes(path, 10)
    assert place.read_bytes("same", 100) == b"hello"


@pytest.mark.parametrize(
    "uri", [f"http://127.0.0.1:9/{RUN}", f"ftp://host/{RUN}", f"runs:/{RUN}/x", "models:/a/1", "gopher:x"]
)
def test_other_servers_are_not_contacted(uri):
    place = artifact_place(RUN, uri)
    assert names(place) == []
    assert "are not opened" in place.note
    with pytest.raises(StoreError):
        place.read_bytes("x", 1)


@pytest.fixture
def asked(monkeypatch):
    """The addresses that MLflow's client is asked to open, with any credentials."""
    from mlflow.store.artifact import artifact_repository_registry as mlflow_registry
    from mlflow.store.artifact.artifact_repo import ArtifactRepository

    from qualia_lab.stores.artifact_addresses import OBJECT_STORES

    found = []

    class Opened(ArtifactRepository):
        def __init__(self, artifact_uri, *args, **kwargs):
            found.append(artifact_uri)
            super().__init__(artifact_uri)

        def list_artifacts(self, path=None):
            return []

        def log_artifact(self, local_file, artifact_path=None):
            raise AssertionError

        def log_artifacts(self, local_dir, artifact_path=None):
            raise AssertionError

        def _download_file(self, remote_file_path, local_path):
            Path(local_path).write_bytes(b"x")

    known = mlflow_registry._artifact_repository_registry._registry
    for scheme in OBJECT_STORES:
        monkeypatch.setitem(known, scheme, Opened)
    monkeypatch.delenv("QUALIA_LAB_ARTIFACT_HOSTS", raising=False)
    return found


@pytest.mark.parametrize(
    "start",
    [
        "s3://team-bucket/mlflow",
        "s3://team.bucket.eu/with space/100%25",
        "gs://team_bucket/1",
        "abfss://files@account1.dfs.core.windows.net/1",
        "wasbs://files@account1.blob.core.chinacloudapi.cn/1",
        "r2://bucket@0a1b2c.r2.cloudflarestorage.com/1",
        "b2://bucket@s3.us-west-004.backblazeb2.com/1",
        "hdfs:///user/ada",
        "viewfs:/user/ada",
        "dbfs:/databricks/mlflow",
    ],
)
def test_a_provider_s_address_or_the_user_s_own_server_is_opened(asked, start):
    place = artifact_place(RUN, f"{start}/{RUN}/artifacts")
    assert place.note == ""
    assert names(place) == []
    assert place.read_bytes("notes.txt", 10) == b"x"
    assert asked


@pytest.mark.parametrize(
    "start",
    [
        "r2://bucket@127.0.0.1:9/1",
        "r2://bucket@evil.example/1",
        "r2://bucket@evil.example@evil.r2.cloudflarestorage.com.evil.example/1",
        "r2://bucket@0a1b2c.r2.cloudflarestorage.com:8443/1",
        "b2://bucket@s3.evil.example/backblazeb2.com/1",
        "R2://bucket@evil.example/1",
        "abfss://files@account.evil.example/1",
        "abfss://files@account.dfs.core.windows.net.evil.example/1",
        "wasbs://files@account.blob.core.windows.net@evil.example/1",
        "wasbs://files@evil.example/1",
        "hdfs://evil.example:8020/1",
        "hdfs://user@evil.example/1",
        "viewfs://evil.example/1",
        "dbfs://profile@databricks/1",
        "s3://key:word@evil.example/1",
        "s3://evil.example:9000/1",
        "s3://bucket@evil.example/1",
        "s3:///1",
        "s3:1",
        "s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/1",
        "gs://[::1]/1",
        "s3://bucket\\@evil.example/1",
        "s3://bucket#@evil.example/1",
        "s3://bucket\n@evil.example/1",
        "s3://bucket/1/../2",
    ],
)
def test_a_recorded_uri_cannot_choose_the_server_that_gets_credentials(asked, start):
    place = artifact_place(RUN, f"{start}/{RUN}/artifacts")
    assert names(place) == []
    with pytest.raises(StoreError, match="was not read"):
        place.read_bytes("notes.txt", 10)
    assert asked == []
    assert "recorded address" in place.note or "the record names the server" in place.note


def test_a_server_allowed_by_the_user_is_contacted(asked, monkeypatch):
    place = artifact_place(RUN, f"hdfs://namenode.team:8020/1/{RUN}/artifacts")
    assert "set QUALIA_LAB_ARTIFACT_HOSTS=namenode.team:8020" in place.note
    for allowed in ("namenode.team", "other.team, NAMENODE.team:8020"):
        monkeypatch.setenv("QUALIA_LAB_ARTIFACT_HOSTS", allowed)
        names(artifact_place(RUN, f"hdfs://namenode.team:8020/1/{RUN}/artifacts"))
        assert len(asked) == 1, allowed
        asked.clear()
    monkeypatch.setenv("QUALIA_LAB_ARTIFACT_HOSTS", "namenode.team:9")
    assert names(artifact_place(RUN, f"hdfs://namenode.team:8020/1/{RUN}/artifacts")) == []
    assert asked == []


def test_a_windows_network_path_is_not_accessed():
    for recorded in (rf"\\evil.example\share\{RUN}\artifacts", f"file:////evil.example/share/{RUN}/artifacts"):
        place = artifact_place(RUN, recorded)
        assert names(place) == []
        assert _local_path(recorded) is None


def test_an_object_store_address_must_name_the_run():
    place = artifact_place(RUN, f"s3://bucket/1/{OTHER}/artifacts")
    with pytest.raises(StoreError, match="does not name the run"):
        names(place)
    with pytest.raises(StoreError, match="does not name the run"):  # the name of a folder is not a run id
        names(artifact_place("private", "s3://bucket/private"))


def test_many_files_and_deep_folders_are_truncated_with_a_note(folder):
    deep = folder
    for level in range(MAX_DEPTH + 3):
        deep = deep / f"{level}"
        deep.mkdir()
        (deep / "file").touch()
    place = artifact_place(RUN, str(folder))
    assert max(path.count("/") for path in names(place)) == MAX_DEPTH - 1
    assert "only the first" in place.note
    many = folder / "many"
    many.mkdir()
    for number in range(MAX_FILES + 5):
        (many / f"{number:06}").touch()
    assert len(names(artifact_place(RUN, str(folder)))) == MAX_FILES


class HalfReadable:
    """A server that does not list some folders; the reason names the folder, or is the same for several."""

    def list_artifacts(self, _run_id, path):
        if path:
            raise StoreError(f"{path} is locked." if path in ("a", "b") else "No rights.", "")
        return iter([{"path": folder, "is_dir": True} for folder in ("a", "b", "c", "d")])


def test_the_note_on_a_servers_artifacts_has_every_reason_once():
    place = artifact_place(RUN, "mlflow-artifacts:/1", http=HalfReadable())
    for _ in range(2):
        assert names(place) == []
        assert place.note == "a is locked.; b is locked.; No rights."


def test_of_many_remarks_on_artifacts_the_last_are_only_counted(folder):
    for number in range(13):
        (folder / f"link {number:02}").symlink_to("/etc")
    place = artifact_place(RUN, str(folder))
    names(place)
    assert place.note.count("not followed") == 10
    assert place.note.endswith("; and 3 more such remarks")


def test_only_the_first_bytes_of_a_large_file_are_read(folder):
    with (folder / "sparse").open("wb") as file:
        file.truncate(2 << 30)
    place = artifact_place(RUN, str(folder))
    assert {file.path: file.size for file in place.list_files()}["sparse"] == 2 << 30
    assert len(place.read_bytes("sparse", 1000)) == 1000


@given(st.text(), st.text())
def test_any_recorded_uri_raises_only_store_errors(run_id, recorded):
    place = artifact_place(run_id, recorded, beside=Path("/nowhere"))
    with contextlib.suppress(StoreError):
        names(place)
        place.read_bytes(recorded, 1)
    place.note.encode()


def test_a_remote_link_shows_no_secret():
    for place in (
        artifact_place(RUN, f"s3://key:hunter2@bucket/{RUN}?sig=hunter2"),
        artifact_place(RUN, f"file://ada:hunter2@host/{RUN}"),
    ):
        try:
            names(place)
        except StoreError as error:
            assert "hunter2" not in str(error)
        assert "hunter2" not in place.note


# Lists


def test_artifacts_of_many_runs_have_notes_where_needed(folder, tmp_path):
    store = FileStore(tmp_path / "mlruns")
    runs = pa.table({"run_id": [RUN, OTHER, "f" * 32], "artifact_uri": [f"/x/1/{RUN}/artifacts", "/etc", None]})
    table, notes = list_artifacts(store, runs)
    assert table.schema.equals(schema.ARTIFACTS)
    assert table.to_pylist() == [
        {"run_id": RUN, "path": "notes.txt", "size": 5},
        {"run_id": RUN, "path": "plots/a.png", "size": len(PNG)},
    ]
    assert "found beside" in notes[RUN]
    assert "not opened" in notes[OTHER]
    assert notes["f" * 32]
    assert list_artifacts(store, table_of(schema.RUNS, []))[0].num_rows == 0


# Kinds


CANARY = Path(tempfile.gettempdir()) / f"canary-{os.getpid()}"


class Boom:
    def __reduce__(self):
        return os.system, (f"touch {CANARY}",)


@pytest.mark.parametrize(
    ("path", "head", "kind"),
    [
        ("a.png", PNG, "image"),
        ("a.csv", PNG, "image"),
        ("a.jpg", b"\xff\xd8\xff\xe0rest", "image"),
        ("a.gif", b"GIF89a...", "image"),
        ("a", b"RIFF\0\0\0\0WEBPVP8 ", "image"),
        ("a.png", b"<html><script>alert(1)</script>", "html"),
        ("a.txt", b"\n <!DOCTYPE html>", "html"),
        ("a.csv", b"<script>1</script>,2", "html"),
        ("a.html", b"plain", "html"),
        ("a.jpg", b"<svg onload=alert(1)>", "text"),
        ("a.svg", b"<?xml version='1.0'?><svg>", "text"),
        ("a.csv", b"a,b\n1,2\n", "table"),
        ("a.tsv", b"a\tb\n", "table"),
        ("a.csv", "\ufeffname;größe\n".encode(), "table"),
        ("a.csv", b"just words\n", "text"),
        pytest.param("a.csv", pickle.dumps(Boom()), "pickle", id="a.csv of a pickle"),
        ("model.pkl", b"anything", "pickle"),
        ("model.PT", b"PK\x03\x04", "pickle"),
        ("a.npy", b"\x93NUMPY\x01\0v\0{'descr': '<f8', 'shape': (3,)}", "numpy"),
        ("a.npy", b"\x93NUMPY\x01\0v\0{'descr': '|O', 'shape': (3,)}", "pickle"),
        ("a.npz", b"PK\x03\x04", "numpy"),
        ("model.h5", b"\x89HDF\r\n\x1a\n\0\0", "hdf5"),
        ("weights.ckpt", b"\x89HDF\r\n\x1a\n\0\0", "hdf5"),
        ("model.hdf5", b"\0user block", "hdf5"),
        ("model.h5", pickle.dumps(1), "pickle"),
        ("model.h5", b"see the bucket", "text"),
        ("model.keras", b"PK\x03\x04", "keras"),
        ("model.safetensors", b'\x10\0\0\0\0\0\0\0{"a":{}}', "safetensors"),
        ("model.onnx", b"\x08\x07\x12\x07pytorch", "onnx"),
        ("pytorch_model.bin", b"PK\x03\x04\0\0archive/data.pklFB\x80\x02", "pickle"),
        ("model.joblib", b"x\x9c", "pickle"),
        ("a.zip", b"PK\x03\x04", "archive"),
        ("a.json", b"\x1f\x8b\x08", "archive"),
        ("a.json", b'{"a": 1}', "json"),
        ("a.json", b" [1, 2", "json"),
        ("a.json", b"not json", "text"),
        ("a.json", b"", "text"),
        ("README.md", b"# hello", "markdown"),
        ("MLmodel", b"flavors:\n", "model"),
        ("a.txt", "größe ".encode()[:-1], "text"),
        ("a.txt", "ab\N{PILE OF POO}".encode()[:-1], "text"),
        ("a.txt", b"a\0b", "other"),
        ("a.txt", b"caf\xe9 und mehr \xe9\xe9\xe9\xe9", "text"),
        ("a.pdf", b"%PDF-1.7\n\xe2\xe3\xcf\xd3\n", "other"),
        ("a.bin", b"\x7fELF\x02\x01\x01\0", "other"),
    ],
)
def test_a_file_type_is_detected_by_its_first_bytes(path, head, kind):
    assert preview_kind(path, head) == kind


@given(st.text(), st.binary())
def test_no_file_content_raises(path, head):
    preview_kind(path, head)


def test_file_heads_are_classified_quickly_and_nothing_is_unpickled():
    for head in (b"<!--" * 20_000, b" " * 60_000 + b"<", b"<!---->" * 9_000, b"[" * 60_000):
        preview_kind("a.json", head)
    assert not CANARY.exists()


LINES = "naïve café – 10 °C\nend of it: “done”\n"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (LINES.encode(), ""),
        (LINES.encode("utf-8-sig"), ""),
        (LINES.encode("utf-16"), "read as UTF-16"),
        (b"\xfe\xff" + LINES.encode("utf-16-be"), "read as UTF-16"),
        (LINES.encode("cp1252"), "read as Windows-1252, since it is not UTF-8"),
    ],
)
def test_text_is_recognised_in_all_common_encodings(data, said):
    assert decoded_text(data) == (LINES, said)
    assert preview_kind("notes.txt", data) == "text"
    assert preview_kind("table.csv", b"a,b\n" * 3 + "é,1\n".encode("cp1252")) == "table"


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_a_truncated_last_character_is_dropped(cut):
    whole = "a 😀".encode()
    assert decoded_text(whole[:-cut]) == ("a ", "")
    assert decoded_text("ab".encode("utf-16")[:-1]) == ("a", "read as UTF-16")


def test_binary_data_is_not_recognised_as_text():
    for data in (
        PNG,
        b"\x00\x01\x02",
        bytes(range(128, 256)) * 4,
        b"\xff\xfe" + b"\x00\xd8" * 40,
        b"ab\x81\x8d\xff" * 9,
    ):
        assert decoded_text(data) is None
    text, said = decoded_text("größer – überall\n".encode() * 20 + b"one odd byte \xff here\n")
    assert "größer – überall" in text
    assert "not all of it is UTF-8" in said


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_texts_in_all_encodings_are_shown_and_compared(folder, encoding):
    (folder / "train.log").write_bytes(LINES.encode(encoding))
    place = artifact_place(RUN, str(folder))
    (shown,) = [one for one in read_previews(place, list(place.list_files())) if one.title == "train.log"]
    assert "naïve café – 10 °C" in shown.html
    assert "\ufffd" not in shown.html
    assert ("Windows-1252" in shown.html) == (encoding == "cp1252")
    found = line_difference("train.log", ("a", LINES.encode(encoding)), ("b", LINES.encode()))
    assert "no difference" in repr(found)


# Other recorded values that lead to a file


def mlruns_with(tmp_path, run_id=RUN, of_experiment=None, **of_run):
    """A store of one run, with these fields in meta.yaml."""
    experiment = write_experiment(tmp_path / "mlruns", **(of_experiment or {}))
    write_run(experiment, run_id, **of_run)
    return experiment.parent


def listed(store, run_id=RUN):
    uri = store.read([run_id]).runs.column("artifact_uri").to_pylist()[0]
    place = store.artifact_place(run_id, uri or "")
    return names(place), place


def leads(tmp_path):
    """Addresses that would reach a private folder."""
    outside = secret(tmp_path)
    return (
        str(outside), outside.as_uri(), f"{tmp_path}/mlruns/1/{RUN}/../../../secret", f"file://{tmp_path}/mlruns/%2e%2e/secret",
        f"file://localhost{outside}", "../secret", "./../../secret", f"mlflow-artifacts:/../../secret/{RUN}", "file:///",
        f"{tmp_path}/secret/.", "~", "$HOME", f"file:{outside}#{RUN}/artifacts", f"{outside}?{RUN}/artifacts", "/proc/self",
    )  # fmt: skip


def test_the_artifact_location_of_an_experiment_cannot_open_other_folders(tmp_path):
    for place, lead in enumerate(leads(tmp_path)):
        root = mlruns_with(tmp_path / f"{place}", of_experiment={"artifact_location": lead})
        found, opened = listed(open_store(root))
        assert found == [], lead
        with pytest.raises(StoreError):
            opened.read_bytes("passwd", 10)


def test_the_artifact_uri_of_a_run_cannot_open_other_folders(tmp_path):
    for place, lead in enumerate(leads(tmp_path)):
        found, _ = listed(open_store(mlruns_with(tmp_path / f"{place}", artifact_uri=lead)))
        assert found == [], lead


def test_a_symlink_instead_of_a_run_s_artifact_folder_is_not_followed(tmp_path):
    root = mlruns_with(tmp_path)
    (root / "1" / RUN / "artifacts").symlink_to(secret(tmp_path))
    assert listed(open_store(root))[0] == []


def test_an_experiment_folder_that_links_outside_the_store_gives_no_files(tmp_path):
    root = mlruns_with(tmp_path)
    other = mlruns_with(tmp_path / "other", run_id=OTHER)
    (other / "1" / OTHER / "params").mkdir()
    (other / "1" / OTHER / "params" / "lr").symlink_to(secret(tmp_path) / "passwd")
    (root / "2").symlink_to(other / "1")
    tables = open_store(root).read([OTHER])
    assert "root" not in repr(tables.params.to_pylist())


@pytest.mark.parametrize(
    "name", ["..", "../..", "passwd", "../secret/passwd", "/etc/passwd", "a/../../secret/passwd", "\0", "x" * 300]
)
def test_a_requested_run_id_is_not_used_as_a_path(tmp_path, name):
    secret(tmp_path)
    tables = open_store(mlruns_with(tmp_path)).read([name])
    assert tables.runs.num_rows == 0
    assert tables.missing.column("run_id").to_pylist() == [name]
    assert "root" not in repr(tables.missing.to_pylist())


def test_the_folder_of_a_logged_model_must_be_its_own(tmp_path):
    outside = secret(tmp_path)
    model = "m-" + "c" * 32
    for lead in (str(outside), f"{tmp_path}/mlruns/models/{model}/../../../secret", "/etc", f"{outside}/{model}/.."):
        assert names(artifact_place(model, lead, beside=tmp_path / "mlruns")) == [], lead


@pytest.mark.parametrize("beside", ["/", "/etc", "~", "../.."])
def test_artifact_uris_in_a_snapshot_open_only_the_run_s_own_folder(tmp_path, beside):
    outside = secret(tmp_path)
    for recorded in (str(outside), "/etc", "etc", "secret", f"{outside}/../secret"):
        place = artifact_place(RUN, recorded, beside=Path(beside))
        assert names(place) == []
        with pytest.raises(StoreError):
            place.read_bytes("passwd", 10)
