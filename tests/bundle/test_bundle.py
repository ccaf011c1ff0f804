"""Bundles: made from a store, moved to a folder without it, run again, verified, and damaged in many ways."""

from __future__ import annotations

import io
import json
import random
import shutil
import stat
import struct
import tempfile
import zipfile
from contextlib import chdir, contextmanager
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qualia_lab import NotebookGenerator, schema
from qualia_lab.bundle.manifest import DATA, MANIFEST, is_safe_name, manifest_from_json
from qualia_lab.bundle.notebook import notebook_for_bundle, with_data_uri
from qualia_lab.bundle.outputs import different_cells
from qualia_lab.bundle.place import put_bundle
from qualia_lab.bundle.verify import verify_bundle
from qualia_lab.bundle.write import manifest_of_files
from qualia_lab.errors import BundleUnreadable, NotebookError, OutputNotWritable
from qualia_lab.masking.keys import DEFAULT_RULES
from qualia_lab.notebook.generated import digest, read_generated
from qualia_lab.notebook.read import read_notebook
from qualia_lab.stores.open import open_store
from qualia_lab.stores.snapshot.location import open_location
from qualia_lab.stores.snapshot.manifest import read_manifest
from tests.cli.command import QUALIA, run_here, tree
from tests.promises.small_store import run_id_of, write_small_store
from tests.stores.mlruns import write, write_run

pytestmark = pytest.mark.usefixtures("quick_kernels")

SECRET = "hunter2-is-in-the-store"
RUN_IDS = [run_id_of(number) for number in (1, 2, 4)]
PARAMETERS = f"""\
# an own comment, and a store: sqlite:///mlflow.db
TRACKING_URI = (
    "../mlruns"  # ü
)
RUN_IDS = {RUN_IDS}; CHOSEN_BY = {{"experiments": ["small"]}}"""
SOURCES = (
    PARAMETERS,
    "from qualia_lab import load_runs\nruns = load_runs(TRACKING_URI, RUN_IDS)\nruns.metrics",
    "display(runs.history('val_auc'))\nruns.failures.troubled()",
    "runs.artifacts.compare('notes.txt')",
    "object()  # shows an address in memory",
    "import socket\ntry:\n    socket.create_connection(('127.0.0.1', 9))\nexcept PermissionError as error:\n    print(error)",
    "'skipped'",
)


def notebook_json(sources, **metadata):
    """A notebook of these code cells; the first one is tagged parameters, and the last one is skipped."""
    cells = [{"cell_type": "markdown", "id": "title", "metadata": {}, "source": "# Mine: `sqlite:///mlflow.db`"}]
    for number, source in enumerate(sources):
        tags = ["parameters"] if number == 0 else ["skip-execution"] if number == len(sources) - 1 else []
        outputs = [{"output_type": "stream", "name": "stdout", "text": "from elsewhere"}] if number else []
        cells.append(
            {"cell_type": "code", "id": f"c{number}", "metadata": {"tags": tags}, "source": source, "outputs": outputs,
             "execution_count": None}
        )  # fmt: skip
    return json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


def write_store(root):
    """Runs 1 to 3, and a running one; with secrets, and an artifact that the notebook does not read."""
    write_small_store(root)
    experiment = root / "1"
    write_run(
        experiment,
        run_id_of(4),
        params={"password": SECRET, "lr": "7"},
        metrics={"val_auc": [(1_760_000_300_000, "nan", 0)]},
        run_name="run 4",
        status=1,
        start_time=1_760_000_200_000,
        end_time=None,
        artifact_uri=str(experiment / run_id_of(4) / "artifacts"),
    )
    write(experiment / run_id_of(4) / "artifacts" / "notes.txt", f"notes of run 4\npassword: {SECRET}\n")
    write(experiment / run_id_of(4) / "artifacts" / "weights.bin", b"\0" * 100_000)


def read_all(uri):
    """The tables and points of the runs as DataFrames."""
    with open_store(uri) as store:
        tables = store.read(RUN_IDS)
        found = {name: getattr(tables, name).to_pandas() for name in schema.TABLES}
        points = pd.concat(batch.to_pandas() for batch in store.read_metric_history(RUN_IDS))
    return found | {"points": points.sort_values(["run_id", "key", "step"], ignore_index=True)}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A bundle in an otherwise empty folder, what was said, and what was in the store, which is deleted."""
    home, away = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("away")
    write_store(home / "mlruns")
    notebook = write(home / "notebooks" / "my runs.ipynb", notebook_json(SOURCES, papermill={"token": SECRET}))
    before = tree(home)
    done = run_here(QUALIA, "bundle", notebook, "--output", away / "moved.zip", cwd=home)
    assert done.returncode == 0, done.stderr
    assert tree(home) == before  # neither the store nor the notebook is changed
    tables = read_all(home / "mlruns")
    shutil.rmtree(home)
    with zipfile.ZipFile(away / "moved.zip") as archive:
        archive.extractall(away)
    return away / "moved.zip", away / "my-runs", done, tables


@pytest.fixture
def copy(made, tmp_path):
    """A copy of the folder that may be changed."""
    return Path(shutil.copytree(made[1], tmp_path / "copy"))


def outputs_of(folder):
    cells = json.loads((folder / "my-runs.ipynb").read_text(encoding="utf-8"))["cells"]
    return {cell["id"]: json.dumps(cell.get("outputs")) for cell in cells}


def sources_of(folder):
    cells = json.loads((folder / "my-runs.ipynb").read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells]


def seal(folder):
    """Write the hashes of the changed files into the manifests, as a forger would."""
    manifest = manifest_from_json((folder / MANIFEST).read_bytes())
    data = read_manifest(open_location(folder / DATA))
    (folder / MANIFEST).write_bytes(manifest_of_files(folder, manifest, data).to_json())


def test_tables_are_those_of_the_store_which_is_gone(made):
    _, folder, _, tables = made
    with chdir(folder):
        moved = read_all(f"snapshot:{DATA}")
    for name, table in tables.items():
        pd.testing.assert_frame_equal(moved[name], table)
    assert len(tables["points"]) == 11


def test_the_last_line_says_how_to_verify(made):
    path, _, done, _ = made
    assert done.stdout == f"{path}\n"
    lines = done.stderr.splitlines()
    assert lines[-1] == f"next: qualia verify {path}"
    assert any(line.startswith("3 runs, 11 metric points, 3 artifacts: ") for line in lines)
    assert "Other outputs than in" in done.stderr
    assert "in 6 cells: 3, 4, 5, 6, 7, 8" in done.stderr
    assert "param password" in done.stderr


def test_only_the_tracking_uri_of_the_cells_is_changed(made):
    changed = ["# Mine: `sqlite:///mlflow.db`", *SOURCES]
    changed[1] = changed[1].replace('"../mlruns"', "'snapshot:data'")
    assert sources_of(made[1]) == changed


def test_a_bundle_holds_what_the_cells_read_and_no_secret(made):
    _, folder, _, _ = made
    files = [path for path in folder.rglob("*") if path.is_file()]
    text = "".join(path.read_bytes().decode("utf-8", "replace") for path in files)
    text += "".join(str(pq.read_table(path).to_pylist()) for path in files if path.suffix == ".parquet")
    assert SECRET not in text
    assert "‹masked" in text
    assert str(folder.parent.parent) not in outputs_of(folder)["c1"]
    assert not any(path.stat().st_size == 100_000 for path in files)  # the weights, which no cell reads
    with open_store(f"snapshot:{folder / DATA}") as store:
        place = store.artifact_place(RUN_IDS[2], "")
        assert {file.path: file.size for file in place.list_files()}["weights.bin"] == 100_000
    assert {path.name for path in folder.iterdir()} == {MANIFEST, "README.txt", DATA, "my-runs.ipynb", "my-runs.html"}


def test_cells_run_without_network_and_without_outputs_from_elsewhere(made):
    outputs = outputs_of(made[1])
    assert "no connection to 127.0.0.1 was made" in outputs["c5"]
    assert "run 4" in outputs["c3"]
    assert outputs["c6"] == "[]"


def test_each_file_with_one_changed_byte_is_named(copy):
    files = [path for path in sorted(copy.rglob("*")) if path.is_file()]
    chosen = random.Random(0)
    assert len(files) > 10
    for path in files:
        data = path.read_bytes()
        for place in {0, len(data) - 1, *chosen.choices(range(len(data)), k=3)}:
            path.write_bytes(data[:place] + bytes([data[place] ^ 1 << chosen.randrange(8)]) + data[place + 1 :])
            found = verify_bundle(copy, execute=False)
            name = path.relative_to(copy).as_posix()
            named = [(one.file, one.state) for one in found.files]
            assert named[0] == (name, "differs"), (name, place)
            assert len(named) == 1 or name == MANIFEST  # with a changed hash in it, the file differs too
            if path.suffix == ".parquet":
                assert found.files[0].what.startswith("the table "), name
        path.write_bytes(data)
    assert verify_bundle(copy, execute=False).holds


def test_missing_and_extra_files_and_links_are_named(copy):
    (copy / "README.txt").unlink()
    (copy / "data" / "own.txt").write_text("x")
    (copy / "link").symlink_to("/etc/passwd")
    done = run_here(QUALIA, "verify", copy, "--no-execute", cwd=copy)
    assert done.returncode == 1
    assert done.stdout.splitlines() == ["README.txt: missing", "data/own.txt: extra", "link: extra"]
    assert "is not as recorded: 3 files differ." in done.stderr


@given(st.data())
@settings(max_examples=20)
def test_no_byte_of_a_zip_file_can_be_changed(made, data):
    content = bytearray(made[0].read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    assert not holds(bytes(content))


def test_no_byte_of_a_zip_files_headers_can_be_changed(made):
    """What is around the files: the first header, and the end of the list of files."""
    content = made[0].read_bytes()
    assert holds(content)
    for place in (*range(0, 50, 3), *range(len(content) - 90, len(content), 4)):
        assert not holds(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]), place


def holds(content):
    """Whether a zip file can be read and its files are as recorded."""
    with in_file(content) as path:
        try:
            return verify_bundle(path, execute=False).holds
        except BundleUnreadable:
            return False


@contextmanager
def in_file(content):
    with tempfile.TemporaryDirectory() as folder:
        yield write(Path(folder) / "bundle.zip", content)


def test_a_changed_figure_with_corrected_hashes_is_found_by_execution(copy):
    path = copy / "my-runs.ipynb"
    text = path.read_text(encoding="utf-8")
    assert text.count("0.514") > 1  # the last val_auc of run 1
    path.write_text(text.replace("0.514", "0.914"), encoding="utf-8")
    seal(copy)
    assert verify_bundle(copy, execute=False).holds
    before = tree(copy)
    done = run_here(QUALIA, "verify", copy, "--json", cwd=copy)
    assert done.returncode == 1
    assert tree(copy) == before
    found = json.loads(done.stdout)
    assert (found["holds"], found["executed"], found["failure"], found["versions"]) == (False, True, None, {})
    assert [(one["file"], one["what"]) for one in found["files"]] == [
        ("my-runs.html", "it is not the page of my-runs.ipynb")
    ]
    assert [cell["number"] for cell in found["cells"]] == [3, 4]
    assert all("0.914" in cell["recorded"] and "0.514" in cell["here"] for cell in found["cells"])


def test_the_same_notebook_and_data_give_the_same_bytes(made, tmp_path):
    path, folder, _, _ = made
    put_bundle(folder, tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", ["place", "place.zip"])
def test_a_bundle_is_put_in_its_place_whole_or_not_at_all(made, name, tmp_path, monkeypatch):
    place = tmp_path / name
    put_bundle(made[1], place)
    before = tree(tmp_path)
    real, moves = {"rename": Path.rename, "replace": Path.replace}, []

    def refused(kind):
        def move(path, target):
            if path.name == "new":
                moves.append(target)
                raise OSError(28, "No space left on device")
            return real[kind](path, target)

        return move

    for kind in real:
        monkeypatch.setattr(Path, kind, refused(kind))
    with pytest.raises(OutputNotWritable, match="No space left"):
        put_bundle(made[1], place)
    assert moves == [place]
    assert tree(tmp_path) == before


def test_only_a_bundle_is_replaced_and_only_when_asked(made, tmp_path):
    notebook = write(tmp_path / "n.ipynb", notebook_json(SOURCES))
    mine = write(tmp_path / "mine" / "thesis.txt", "years of work")
    for words, code in ((["--output", mine.parent, "--force"], 31), (["--output", made[1]], 31)):
        done = run_here(QUALIA, "bundle", notebook, *words, cwd=tmp_path)
        assert done.returncode == code, done.stderr
    assert mine.read_text() == "years of work"


@pytest.mark.parametrize(
    ("sources", "words"),
    [
        (["TRACKING_URI = 'mlruns'", ""], "no RUN_IDS"),
        (["TRACKING_URI = 'mlruns'\nRUN_IDS = ['a']\nENGINE = 'duckdb'", ""], "with an engine"),
        (["TRACKING_URI = 'mlruns'\nRUN_IDS = ['a']", "password = 'hunter2'", ""], "Cell 3"),
    ],
)
def test_what_cannot_be_a_bundle_is_said(sources, words, tmp_path):
    write_small_store(tmp_path / "mlruns")
    done = run_here(QUALIA, "bundle", write(tmp_path / "n.ipynb", notebook_json(sources)), cwd=tmp_path)
    assert done.returncode == NotebookError.exit_code
    assert words in done.stderr
    assert not (tmp_path / "n.zip").exists()


def test_a_generated_notebook_of_masked_runs_holds_no_secret_until_one_is_typed(tmp_path):
    write_store(tmp_path / "mlruns")
    path = NotebookGenerator(tmp_path / "mlruns").create(output=tmp_path / "n.ipynb")
    before, bundled = read_notebook(path), notebook_for_bundle(path, DEFAULT_RULES)
    assert any("look like secrets: param password" in cell["source"] for cell in bundled["cells"])
    changed = [cell for cell, old in zip(bundled["cells"], before["cells"], strict=True) if cell != old]
    assert [cell["source"].partition("\n")[0] for cell in changed] == ["TRACKING_URI = 'snapshot:data'"]
    own = [cell["metadata"]["qualia_lab"] for cell in bundled["cells"]]
    assert {one["key"]: one["digest"] for one in own} == {  # still known as generated
        key: digest(source) for key, source in read_generated(bundled).base.items()
    }
    before["cells"][-1]["source"] += "\napi_key = 'hunter2'"
    path.write_text(json.dumps(before), encoding="utf-8")
    with pytest.raises(NotebookError, match=f"Cell {len(own)} of"):
        notebook_for_bundle(path, DEFAULT_RULES)


def hostile(fill, **options):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **options) as archive:
        archive.writestr("b/manifest.json", "{}")
        fill(archive)
    return file.getvalue()


def entry(name, mode=stat.S_IFREG | 0o644):
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


def lying(content):
    """The end of the file says 60,000 entries."""
    return content[:-14] + struct.pack("<HH", 60_000, 60_000) + content[-10:]


ONE = hostile(lambda archive: archive.writestr("b/x", "x"))
HOSTILE = {
    "a name above the folder": hostile(lambda archive: archive.writestr("b/../../x", "x")),
    "an absolute name": hostile(lambda archive: archive.writestr("/x", "x")),
    "a name of Windows": hostile(lambda archive: archive.writestr("b/..\\x", "x")),
    "a drive": hostile(lambda archive: archive.writestr("b/C:x", "x")),
    "a second folder": hostile(lambda archive: archive.writestr("c/x", "x")),
    "a folder as a file": hostile(lambda archive: archive.mkdir("b/x")),
    "a link": hostile(lambda archive: archive.writestr(entry("b/x", stat.S_IFLNK | 0o777), "/etc/passwd")),
    "a pipe": hostile(lambda archive: archive.writestr(entry("b/x", stat.S_IFIFO | 0o644), "")),
    "a bomb": hostile(lambda archive: archive.writestr("b/x", b"\0" * 10_000_000), compression=zipfile.ZIP_DEFLATED),
    "names that differ in case": hostile(lambda archive: archive.writestr("b/Manifest.json", "x")),
    "a control character": hostile(lambda archive: archive.writestr("b/\x1b[2J", "x")),
    "a comment": hostile(lambda archive: setattr(archive, "comment", b"PK\x05\x06" + b"\0" * 18)),
    "too many entries": lying(ONE),
    "no end": ONE[:-5],
    "something before it": b"#!/bin/sh\n" + ONE,
    "no manifest": ONE.replace(b"manifest.json", b"manifest.jsox"),
    "nothing in it": b"PK\x05\x06" + b"\0" * 18,
    "no zip file": b"x" * 100,
    "empty": b"",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_zip_files_are_refused(name, tmp_path):
    path = write(tmp_path / "in" / "bundle.zip", HOSTILE[name])
    done = run_here(QUALIA, "verify", path, "--no-execute", cwd=tmp_path)
    assert done.returncode == BundleUnreadable.exit_code, (done.stdout, done.stderr)
    assert "\x1b" not in done.stderr
    assert [one.name for one in tmp_path.iterdir()] == ["in"]


def test_overlapping_files_are_refused(tmp_path):
    """Each entry of the list is the same megabyte: 100 MB of files in a file of one."""
    content = hostile(lambda archive: archive.writestr("b/x00", b"\0" * 1_000_000))
    place = content.index(b"PK\x01\x02")
    entries = content[place:-22]
    last = entries[entries.index(b"PK\x01\x02", 4) :]
    more = b"".join(last.replace(b"b/x00", f"b/x{number:02}".encode()) for number in range(1, 100))
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 101, 101, len(entries + more), place, 0)
    path = write(tmp_path / "bundle.zip", content[:place] + entries + more + end)
    with pytest.raises(BundleUnreadable, match="overlap"):
        verify_bundle(path, execute=False)


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=4,
), st.data())  # fmt: skip
@settings(max_examples=50)
def test_a_manifest_with_any_value_is_refused_or_found_changed(made, value, data):
    content = (made[1] / MANIFEST).read_bytes()
    fields = json.loads(content)
    place = fields
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = value
    changed = json.dumps(fields, indent=1).encode() + b"\n"
    if changed == content:
        return
    try:
        manifest = manifest_from_json(changed)
    except BundleUnreadable:
        return
    assert manifest.to_json() != changed
    assert all(is_safe_name(file.file) for file in manifest.files)


@given(st.text() | st.text(alphabet="ab/.\\: \n"))
@example("../x")
@example("/x")
def test_a_safe_name_stays_in_its_folder(name):
    if is_safe_name(name):
        assert Path("/bundle") in (Path("/bundle") / name).resolve().parents
        assert not {"\\", ":"} & set(name)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("TRACKING_URI = 'a'", "TRACKING_URI = 'snapshot:data'"),
        ("x = 'ü'; TRACKING_URI: str = 'a'  # b", "x = 'ü'; TRACKING_URI: str = 'snapshot:data'  # b"),
        ("A = TRACKING_URI = 'a' 'b'\r\nB = 1", "A = TRACKING_URI = 'snapshot:data'\r\nB = 1"),
        (
            'TRACKING_URI = """a\nb"""\nTRACKING_URI = "c"',
            "TRACKING_URI = 'snapshot:data'\nTRACKING_URI = 'snapshot:data'",
        ),
        ("TRACKING_URI: str\nuri = 'a'", "TRACKING_URI: str\nuri = 'a'"),
        ("%time TRACKING_URI = 'a'", "%time TRACKING_URI = 'a'"),
    ],
)
def test_tracking_uris_are_replaced_in_place(source, expected):
    assert with_data_uri(source) == expected


def notebook_with(*outputs):
    return {"cells": [{"cell_type": "code", "source": "x", "metadata": {}, "outputs": list(outputs)}]}


def shown(text, mime="text/plain"):
    return {"output_type": "execute_result", "data": {mime: text}, "metadata": {}}


def printed(text, name="stdout"):
    return {"output_type": "stream", "name": name, "text": text}


@pytest.mark.parametrize(
    ("recorded", "here"),
    [
        ([shown("<a at 0x7f00aa>")], [shown("<a at 0x7f00bb>")]),
        ([printed("CPU times: 1 s\nWall time: 2 ms\n0.8")], [printed("CPU times: 9 s\nWall time: 7 ms\n0.8")]),
        (
            [printed("12.3 ms ± 1 µs per loop (mean ± std. dev. of 7 runs, 1 loop each)")],
            [printed("9 ns ± 2 s per loop (mean ± std. dev. of 7 runs, 9 loops each)")],
        ),
        ([printed("/tmp/ipykernel_12/345.py:1: UserWarning: x")], [printed("/var/ipykernel_9/8.py:1: UserWarning: x")]),
        ([printed('File "/a/b/c.py", line 3')], [printed('File "/d/c.py", line 3')]),
        ([printed("a"), printed("c", "stderr"), printed("b")], [printed("ab"), printed("c", "stderr")]),
        ([shown({"b": 1, "a": 2}, "application/json")], [shown({"a": 2, "b": 1}, "application/json")]),
    ],
)
def test_what_may_differ_in_every_execution_is_not_compared(recorded, here):
    assert different_cells(notebook_with(*recorded), notebook_with(*here)) == []


@pytest.mark.parametrize(
    ("recorded", "here"),
    [
        ("0.812 ± 0.01", "0.812 ± 0.02"),
        ("val_auc 0.8", "val_auc 0.9"),
        ("/data/a.py", "/data2/a.py"),
        ("0.5 s", "0.6 s"),
        ("0xff", "0xfe"),
        ("plots/a.py:1", "plot/a.py:1"),
        ("x", "x "),
    ],
)
def test_every_other_difference_is_found(recorded, here):
    [found] = different_cells(notebook_with(shown(recorded)), notebook_with(shown(here)))
    assert (found.number, found.what, found.source) == (1, "text/plain of output 1", "x")
    assert found.recorded != found.here or recorded.strip() == here.strip()
