"""Promise 4: one odd artifact or one odd run costs itself alone: it is named, and the others are there as they are."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import pickle
import re
import socket
import sqlite3
import struct
import zipfile
import zlib
from contextlib import closing
from html import unescape

import pytest

from qualia_lab.runs import Runs
from qualia_lab.selection import Query
from qualia_lab.stores.open import open_store
from tests.stores.empty import copy_empty_store

from .small_store import run_id_of, value_of, write_small_store

# Artifacts


def png(wide: int, tall: int, data: bytes | None = None) -> bytes:
    """A picture whose header says this size."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", wide, tall, 8, 0, 0, 0, 0))
    body = zlib.compress(b"\0" * 1000) if data is None else data
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def parquet(*, cut: int = 0) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    written = io.BytesIO()
    pq.write_table(pa.table({"a": list(range(1000))}), written)
    data = written.getvalue()
    return data[: len(data) - cut]


def bomb() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", b"\0" * 20_000_000)
    return packed.getvalue()


BYTES = {
    "empty.txt": b"", "empty.png": b"", "empty.json": b"", "empty.csv": b"", "empty.parquet": b"", "blank.yaml": b" \n\n",
    "broken.png": b"\x89PNG\r\n\x1a\n" + b"\xff" * 50, "cut.png": png(10, 10)[:20], "nothing.png": png(0, 0),
    "huge.png": png(60_000, 60_000), "negative.png": png(2**32 - 1, 2**32 - 1), "noise.png": png(5, 5, b"noise"),
    "page.png": b"<html><script>alert(1)</script></html>", "pickle.png": pickle.dumps({"a": 1}), "text.png": b"just words",
    "cut.jpg": b"\xff\xd8\xff\xe0\0\x10JFIF", "cut.gif": b"GIF89a", "cut.webp": b"RIFF\xff\xff\xff\xffWEBPVP8X",
    "cut.parquet": parquet(cut=20), "headless.parquet": parquet()[4:], "PAR1.parquet": b"PAR1PAR1",
    "length.parquet": b"PAR1" + b"\xff\xff\xff\x7f" + b"PAR1",
    "wild.csv": b'a,b\n"1,2\n3,4,5,6\n\0\n', "wide.csv": b",".join(b"c" for _ in range(50_000)) + b"\n1\n",
    "long.csv": b"a,b\n" + b"x" * 900_000 + b",1\n", "latin.csv": "größe;ähnlich\n1;2\n".encode("cp1252"),
    "pickle.csv": pickle.dumps([1, 2]), "nul.csv": b"a,b\n1,\0\n", "quotes.csv": b'"""""""\n""",,"\n',
    "deep.json": b"[" * 100_000 + b"]" * 100_000, "cut.json": b'{"a": [1, 2', "nan.json": b'{"a": NaN, "b": Infinity}',
    "big.json": b'{"a": 1' + b"0" * 5000 + b"}", "twice.json": b'{"a": 1, "a": 2}', "lone.json": rb'{"a": "\ud800"}',
    "list.json": json.dumps({"columns": ["a"], "data": [[1], [1, 2], 3]}).encode(),
    "figure.json": b'{"data": [{"type": "scatter", "x": "no", "y": {}}], "layout": []}',
    "bomb.yaml": b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n".encode() for n in range(9)
    ),
    "object.yaml": b"a: !!python/object/apply:os.system ['true']\n", "cut.yaml": b"a: [1, 2\nb: {", "tab.yaml": b"a:\n\t- b\n",
    "deep.yaml": b"[" * 5000, "self.yaml": b"a: &a\n  - *a\n", "MLmodel": b"flavors: [1, {2: 3}]\nsignature: 7\n",
    "bomb.zip": bomb(), "bomb.json": gzip.compress(b"\0" * 20_000_000), "cut.gz": gzip.compress(b"abc" * 1000)[:20],
    "utf16.txt": b"\xff\xfe\0", "bytes.txt": bytes(range(256)) * 20, "nul.txt": b"\0" * 5000, "line.txt": b"x" * 3_000_000,
    "model.pkl": pickle.dumps(object), "weights.npy": b"\x93NUMPY\x01\0\xff\xff{", "model.h5": b"\x89HDF\r\n\x1a\n",
    "tags.md": b"<" * 50_000, "links.md": b"[" * 50_000, "stars.md": b"*_" * 30_000, "table.md": b"|" * 30_000,
    "tags.html": b"<div>" * 30_000, "attributes.html": b"<a " + b"x=y " * 50_000, "drawing.svg": b"<svg><script>1</script>",
    "cut.mp4": b"\0\0\0\x18ftypmp42", "cut.wav": b"RIFF\0\0\0\0WAVE", "noname": b"\x7fELF\x02", "cut.pdf": b"%PDF-1.7",
}  # fmt: skip


def fifo(path):
    os.mkfifo(path)


def unix_socket(path):
    # The name of a socket is short, wherever the tests are.
    with closing(socket.socket(socket.AF_UNIX)) as one, contextlib.chdir(path.parent):
        one.bind(path.name)


def sparse(path):
    with path.open("wb") as file:
        file.truncate(50 << 30)


def deep(path):
    folder = path
    for _ in range(40):
        folder /= "d"
    folder.mkdir(parents=True)
    (folder / "bottom.txt").write_text("deep")


def endless_name(path):
    path.with_name("n" * 250).write_text("long")


FILES = {
    "pipe.txt": fifo,
    "socket.log": unix_socket,
    "sparse.csv": sparse,
    "sparse.json": sparse,
    "sparse.bin": sparse,
    "loop": lambda path: path.symlink_to(path.name),
    "up": lambda path: path.symlink_to(".."),
    "out.txt": lambda path: path.symlink_to("/etc/passwd"),
    "nowhere.txt": lambda path: path.symlink_to("/nosuch/file"),
    "device": lambda path: path.symlink_to("/dev/zero"),
    "here": lambda path: path.symlink_to("."),
    "deep": deep,
    "folder.png": lambda path: path.mkdir(),
    "many": lambda path: [(path / str(n)).mkdir(parents=True) for n in range(300)],
    "long": endless_name,
    "[red]x[b].txt": lambda path: path.write_text("x"),
    "a\nb\x1b[31m.txt": lambda path: path.write_text("x"),
    "\u202ecod.exe": lambda path: path.write_text("x"),
}
# Message of what is no file that is opened; an empty folder, and what is deeper than is listed, have no line of their own.
UNNAMED = {"folder.png": "", "many": "", "deep": "levels of folders", "long": "nnnn"}
ODD_BYTES = b"bad\xff\xfename.txt"


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """What is shown of each run whose folder has one odd artifact, by the artifact's name."""
    root = tmp_path_factory.mktemp("artifacts") / "mlruns"
    names = [*BYTES, *FILES]
    run_ids = write_small_store(root, len(names) + 1)
    for run_id, name in zip(run_ids, names, strict=False):
        path = root / "1" / run_id / "artifacts" / name
        if name in BYTES:
            path.write_bytes(BYTES[name])
        else:
            FILES[name](path)
    (root / "1" / run_ids[-1] / "artifacts" / os.fsdecode(ODD_BYTES)).write_bytes(b"x")
    store = open_store(root)
    runs = Runs(store, store.read(run_ids))
    found = {name: unescape(runs.show(run)._repr_html_()) for name, run in zip([*names, "bytes"], run_ids, strict=True)}
    return run_ids, runs, found


def is_named(name: str, text: str) -> bool:
    if name in UNNAMED:
        return UNNAMED[name] in text
    plain = name.partition("\n")[0].lstrip("\u202e")
    return ("bad" if name == "bytes" else plain) in text


def test_an_odd_artifact_is_named_and_costs_itself(shown, record_counts):
    run_ids, _, found = shown
    wrong = []
    for number, (name, text) in enumerate(found.items(), 1):
        if not is_named(name, text):
            wrong.append((name, "is not named"))
        if re.search(rf"notes of run {number}\b", text) is None:
            wrong.append((name, "the text beside it is not shown"))
        if f"{value_of(number):g}"[:5] not in text:
            wrong.append((name, "the metric of the run is not shown"))
    record_counts(promise=4, kind="odd artifacts", tried=len(found), failed=len(wrong))
    assert len(run_ids) >= 80
    assert not wrong, wrong


def test_every_run_has_its_own_numbers_beside_odd_artifacts(shown):
    run_ids, runs, _ = shown
    metrics = runs.metrics["val_auc"]
    assert len(metrics) == len(run_ids)
    assert sorted(metrics) == [value_of(number) for number in range(1, len(run_ids) + 1)]
    assert repr(runs.artifacts.that_differ())
    for path in runs.artifacts.comparable():
        assert repr(runs.artifacts.compare(path))


# Runs of a database

LARGEST = 2**63 - 1
ROWS = {
    "start_time": [None, LARGEST, -LARGEST, -1, 0, 1.5, "soon", b"\xff", ""],
    "end_time": [None, LARGEST, -1, "x", 10**15],
    "status": [None, "", "DONE", 7, b"\xff\xfe", "finished"],
    "lifecycle_stage": [None, "", "gone"],
    "name": [None, "", "n" * 100_000, b"\xff\xfe", "a\0b", "\x1b[31m", "\u202ex"],
    "artifact_uri": [None, "", "file:///etc", b"\xff", "x" * 100_000, "\0"],
    "user_id": [None, b"\xff", 7],
    "experiment_id": [None, 99, "x", -1],
}
# Of odd cells that are what no run can have: the run is named with the reason, or it is said to be missing.
CELLS = {
    "params": [("lr", b"\xff\xfe"), ("lr", None), ("lr", 7), ("", "x"), (b"\xff", "x"), (None, "x"), ("k" * 9000, "x")],
    "metrics": [
        ("val_auc", "abc"),
        ("val_auc", b"\xff"),
        ("val_auc", None),
        ("", 1.0),
        (b"\xff", 1.0),
        ("x" * 9000, 1.0),
    ],
    "tags": [("t", b"\xff"), ("t", None), ("mlflow.parentRunId", "x"), ("mlflow.parentRunId", None), (b"\xff", "x")],
}


def relaxed(database) -> None:
    """The tables of runs without the constraints by which MLflow keeps out odd values, as other servers have them."""
    for table in ("runs", "params", "tags", "metrics", "latest_metrics"):
        names = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
        database.execute(f"CREATE TABLE plain AS SELECT * FROM {table}")
        database.execute(f"DROP TABLE {table}")
        database.execute(f"CREATE TABLE {table} ({', '.join(names)})")
        database.execute("DROP TABLE plain")


def add_run(database, number: int, name: str) -> str:
    run_id, start = run_id_of(number), 1_760_000_000_000 + number
    database.execute(
        "INSERT INTO runs (run_uuid, name, status, start_time, end_time, lifecycle_stage, artifact_uri, user_id, "
        "experiment_id) VALUES (?, ?, 'FINISHED', ?, ?, 'active', '', 'ada', 1)",
        (run_id, name, start, start + 1000),
    )
    database.execute("INSERT INTO params (key, value, run_uuid) VALUES ('lr', ?, ?)", (f"0.{number:04}", run_id))
    for table in ("metrics", "latest_metrics"):
        database.execute(
            f"INSERT INTO {table} (key, value, timestamp, step, is_nan, run_uuid) VALUES ('val_auc', ?, ?, 0, 0, ?)",
            (value_of(number), start, run_id),
        )
    return run_id


@pytest.fixture(scope="module")
def odd_rows(tmp_path_factory):
    """A database of one run for each odd value, and ten without any."""
    path = tmp_path_factory.mktemp("rows") / "mlflow.db"
    copy_empty_store(path)
    odd, numbers = {}, iter(range(1, 1000))
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA foreign_keys = OFF")
        relaxed(database)
        database.execute(
            "INSERT INTO experiments (experiment_id, name, lifecycle_stage, artifact_location) "
            "VALUES (1, 'odd', 'active', '')"
        )
        for column, values in ROWS.items():
            for value in values:
                run_id = add_run(database, next(numbers), "odd")
                database.execute(f"UPDATE runs SET {column} = ? WHERE run_uuid = ?", (value, run_id))
                odd[run_id] = (column, value)
        for table, cells in CELLS.items():
            for key, value in cells:
                run_id = add_run(database, next(numbers), "odd")
                tables = ("metrics", "latest_metrics") if table == "metrics" else (table,)
                for one in tables:
                    database.execute(f"DELETE FROM {one} WHERE run_uuid = ?", (run_id,))
                    more = (", timestamp, step, is_nan", ", 1, 0, 0") if table == "metrics" else ("", "")
                    database.execute(
                        f"INSERT INTO {one} (key, value, run_uuid{more[0]}) VALUES (?, ?, ?{more[1]})",
                        (key, value, run_id),
                    )
                odd[run_id] = (table, key, value)
        controls = {}
        for _ in range(10):
            number = next(numbers)
            controls[add_run(database, number, f"control {number}")] = number
    return path, odd, controls


# What no run can have: these values must be named, with the run.
IMPOSSIBLE = [
    *(("start_time", value) for value in (LARGEST, -LARGEST, 1.5, "soon", b"\xff")),
    *(("end_time", value) for value in (LARGEST, "x")),
    *(("status", value) for value in (b"\xff\xfe",)), ("name", b"\xff\xfe"), ("artifact_uri", b"\xff"), ("user_id", b"\xff"),
    *(("experiment_id", value) for value in (None, 99, "x", -1)),
    ("params", "lr", b"\xff\xfe"), ("metrics", "val_auc", "abc"), ("metrics", "val_auc", b"\xff"), ("tags", "t", b"\xff"),
]  # fmt: skip


def test_an_odd_row_is_named_and_costs_itself(odd_rows, record_counts):
    path, odd, controls = odd_rows
    wrong = []
    with closing(open_store(f"sqlite:///{path}")) as store:
        listed = store.read_runs(Query(view="all")).column("run_id").to_pylist()
        tables = store.read([*odd, *controls])
        missing = {row["run_id"] for row in tables.missing.to_pylist()}
        named = missing | {row["run_id"] for row in tables.problems.to_pylist()}
        history = [row for batch in store.read_metric_history([*odd, *controls]) for row in batch.to_pylist()]
        every = Runs(store, tables)
        frame = every.metrics["val_auc"]
    for run_id, cell in odd.items():
        if run_id not in listed and run_id not in missing:
            wrong.append((cell, "is lost"))
        if run_id not in tables.run_ids and run_id not in missing:
            wrong.append((cell, "is not read, and not said to be missing"))
        if cell in IMPOSSIBLE and run_id not in named:
            wrong.append((cell, "is not named"))
    values = dict(
        zip(
            *(tables.metrics.filter(_of(tables, controls)).column(n).to_pylist() for n in ("run_id", "value")),
            strict=True,
        )
    )
    for run_id, number in controls.items():
        points = [row["value"] for row in history if row["run_id"] == run_id]
        if (values.get(run_id), points) != (value_of(number), [value_of(number)]) or run_id in named:
            wrong.append((number, "a run beside them is not as it is"))
    assert set(map(value_of, controls.values())) <= set(frame)
    record_counts(promise=4, kind="odd rows of runs", tried=len(odd), failed=len(wrong))
    assert len(odd) >= 50
    assert not wrong, wrong


def _of(tables, run_ids):
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.is_in(tables.metrics.column("run_id"), value_set=pa.array(run_ids))


# Runs of a folder

METAS = {
    "empty": b"", "nul": b"\0" * 100, "no yaml": b"a: [", "a list": b"- 1\n", "a number": b"7\n", "bytes": b"\xff\xfe\xff",
    "start": b"start_time: soon\n", "late": b"start_time: 9223372036854775807\n", "half": b"run_id: 1\nstart_ti",
    "status": b"status: [1]\n", "object": b"a: !!python/object/apply:os.system ['true']\n", "deep": b"[" * 3000,
    "large": b"x" * 2_000_000, "tabs": b"\tstatus: 3\n",
}  # fmt: skip
FOUND = {
    "metric of words": ("metrics/val_auc", b"one two three\n"), "metric of commas": ("metrics/val_auc", b"1 0,5 0\n"),
    "metric of bytes": ("metrics/val_auc", b"\xff\xfe\n"), "empty metric": ("metrics/val_auc", b""),
    "half a metric": ("metrics/val_auc", b"1700 0.9 1\n1700 0."), "metric of NUL": ("metrics/val_auc", b"\0" * 500),
    "step of 1.5": ("metrics/val_auc", b"1700 0.9 1.5\n"), "param of bytes": ("params/lr", b"\xff\xfe"),
    "huge param": ("params/lr", b"x" * 3_000_000), "tag of bytes": ("tags/t", b"\xff\xfe"),
}  # fmt: skip


def test_an_odd_folder_of_a_run_costs_itself(tmp_path, record_counts):
    root = tmp_path / "mlruns"
    odd = {**METAS, **FOUND}
    run_ids = write_small_store(root, len(odd) + 5)
    for run_id, (name, what) in zip(run_ids, odd.items(), strict=False):
        place, data = ("meta.yaml", what) if name in METAS else what
        (root / "1" / run_id / place).parent.mkdir(exist_ok=True)
        (root / "1" / run_id / place).write_bytes(data)
    store = open_store(root)
    listed = set(store.read_runs(Query(view="all")).column("run_id").to_pylist())
    tables = store.read(run_ids)
    named = {row["run_id"] for table in (tables.problems, tables.missing) for row in table.to_pylist()}
    # Read as they are: a status by another word, a field that nobody has asked for.
    quiet = {"empty metric", "huge param", "status", "object"}
    wrong = [
        (name, "is not named")
        for run_id, name in zip(run_ids, odd, strict=False)
        if name not in quiet and run_id not in named
    ]
    wrong += [(name, "is lost") for run_id, name in zip(run_ids, odd, strict=False) if run_id not in listed]
    values = {row["run_id"]: row["value"] for row in tables.metrics.to_pylist()}
    controls = run_ids[len(odd) :]
    wrong += [
        (run_id, "a run beside them is not as it is")
        for run_id in controls
        if values[run_id] != value_of(int(run_id, 16)) or run_id in named
    ]
    record_counts(promise=4, kind="odd folders of runs", tried=len(odd), failed=len(wrong))
    assert not wrong, wrong
