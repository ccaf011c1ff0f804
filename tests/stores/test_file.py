"""FileStore: mlruns folders as MLflow writes them, and damaged or unusual ones."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import math
import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pyarrow as pa
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from qualia_lab import schema
from qualia_lab.errors import StoreNotFound, StoreUnreadable
from qualia_lab.selection import Query
from qualia_lab.stores.file import metric_files
from qualia_lab.stores.file.mlruns import _parsed_yaml, flat_yaml
from qualia_lab.stores.file.points import latest_points, normalized, parse_files, parse_point
from qualia_lab.stores.file.store import FileStore, path_of_uri

from .contract import StoreContract
from .mlruns import write, write_experiment, write_run

THIRD_PARTY_STORES = {  # experiments and runs, counted by hand
    "packt-hyperparameter-tuning/mlruns": (7, 19),
    "pycaret-tutorials/tutorials/mlruns": (2, 20),
    "promptchain-examples/mlruns": (4, 10),
    "stock-quant/mlruns": (3, 10),
}
RUN = "a" * 32
OTHER = "b" * 32


class TestFileStore(StoreContract):
    @pytest.fixture(scope="class")
    def store_uri(self, mlruns_sample):
        return str(mlruns_sample)


@pytest.fixture
def small(tmp_path):
    """A store with one experiment and two simple runs."""
    experiment = write_experiment(tmp_path / "mlruns")
    for run_id, start in ((RUN, 1000), (OTHER, 2000)):
        write_run(
            experiment,
            run_id,
            params={"lr": "0.1"},
            metrics={"loss": [(1000, 0.5, 0), (1001, 0.25, 1)]},
            tags={"mlflow.user": "ada"},
            run_name=f"r{start}",
            start_time=start,
            end_time=None,
        )
    return experiment.parent


def problems(tables) -> dict[str, str]:
    return {f"{row['run_id']}: {row['subject']}": row["reason"] for row in tables.problems.to_pylist()}


def digest(root: Path) -> str:
    lines = [
        f"{path} {path.lstat().st_mtime_ns} {path.lstat().st_mode} {path.lstat().st_size}"
        for path in sorted(root.rglob("*"))
    ]
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


# Third-party stores


@pytest.mark.parametrize("name", THIRD_PARTY_STORES)
def test_a_third_party_store_is_read_completely_and_unchanged(shared_data, name):
    root = shared_data / "stores" / name
    before = digest(root)
    store = FileStore(root)
    experiments = store.read_experiments("all")
    tables = store.read(store.read_runs(Query(view="all")).column("run_id").to_pylist())
    points = sum(batch.num_rows for batch in store.read_metric_history(tables.run_ids))
    runs = [path for path in root.glob("**/meta.yaml") if len(path.parent.name) == 32]
    files = {
        part: [path for run in runs for path in (run.parent / part).rglob("*") if path.is_file()]
        for part in ("params", "metrics", "tags")
    }
    assert (experiments.num_rows, tables.runs.num_rows) == THIRD_PARTY_STORES[name]
    assert tables.runs.num_rows == len(runs)
    for part, found in files.items():
        assert getattr(tables, part).num_rows == len(found), part
    assert points == sum(path.read_bytes().count(b"\n") for path in files["metrics"])
    assert tables.problems.num_rows == 0
    assert digest(root) == before


def test_experiments_in_the_trash_are_deleted(shared_data):
    store = FileStore(shared_data / "stores/packt-hyperparameter-tuning/mlruns")
    assert store.read_experiments().num_rows == 2
    assert (
        store.read_experiments("deleted").column("experiment_id").to_pylist().sort() == ["1", "2", "3", "4", "5"].sort()
    )
    assert set(store.read_runs(Query()).column("lifecycle_stage").to_pylist()) == {"active"}
    assert store.read_runs(Query()).num_rows + store.read_runs(Query(view="deleted")).num_rows == 19


def test_artifacts_of_a_third_party_store_are_found_in_its_folder(shared_data):
    for name in THIRD_PARTY_STORES:
        root = shared_data / "stores" / name
        store = FileStore(root)
        found = 0
        for run in store.read_runs(Query(view="all")).to_pylist():
            place = store.artifact_place(run["run_id"], run["artifact_uri"])
            files = list(place.list_files())
            found += len(files)
            for file in files:
                assert len(place.read_bytes(file.path, 1 << 20)) == min(file.size, 1 << 20)
                assert "found beside the store" in place.note
        assert found == len(
            [path for path in root.glob("**/artifacts/**/*") if path.is_file() and "traces" not in path.parts]
        )


# Damage


def test_a_run_folder_with_only_meta_yaml_is_a_run(small):
    for part in ("params", "metrics", "tags"):
        shutil.rmtree(small / "1" / RUN / part)
    tables = FileStore(small).read([RUN])
    assert tables.runs.column("run_name").to_pylist() == ["r1000"]
    assert tables.params.num_rows == tables.problems.num_rows == 0


def test_folders_without_meta_yaml_are_read_and_reported(small):
    (small / "1" / "meta.yaml").unlink()
    (small / "1" / RUN / "meta.yaml").unlink()
    store = FileStore(small)
    assert store.read_experiments().column("name").to_pylist() == ["1"]
    assert store.read_runs(Query()).column("run_id").to_pylist() == [OTHER, RUN]
    tables = store.read([RUN])
    assert tables.params.num_rows == 1
    assert problems(tables) == {
        "None: experiment 1": "meta.yaml: it is missing",
        f"{RUN}: run": "meta.yaml: it is missing",
    }


@pytest.mark.parametrize(
    "damage",
    [b"", b"status: [", b"\0\0\0", b"- a\n- b\n", b"a: b: c", b"!!python/object/apply:os.system ['true']", b"\xff\xfe", b"x: " + b"[" * 100_000],
)  # fmt: skip
def test_a_damaged_meta_yaml_affects_only_its_own_run(small, damage):
    write(small / "1" / RUN / "meta.yaml", damage)
    write(small / "1" / "meta.yaml", damage)
    store = FileStore(small)
    assert set(store.read_runs(Query()).column("run_id").to_pylist()) == {RUN, OTHER}
    tables = store.read([RUN, OTHER])
    assert tables.runs.column("start_time").to_pylist() == [None, 2000]
    assert tables.metrics.num_rows == 2
    assert tables.problems.num_rows >= 1 or damage.startswith(b"!!")


def test_an_invalid_field_is_reported_and_null(small):
    write(
        small / "1" / RUN / "meta.yaml",
        "run_name: {a: 1}\nstatus: 99\nstart_time: soon\nend_time: 99999999999999999999\n",
    )
    tables = FileStore(small).read([RUN])
    row = tables.runs.to_pylist()[0]
    assert (row["run_name"], row["status"], row["start_time"], row["end_time"]) == (None, "99", None, None)
    assert {f"{RUN}: run_name", f"{RUN}: start_time", f"{RUN}: end_time"} <= set(problems(tables))


def test_yaml_text_is_not_converted_to_other_types(small):
    write(small / "1" / RUN / "meta.yaml", 'run_name: 2026-11-01\nuser_id: yes\nartifact_uri: "\\u0000x"\n')
    row = FileStore(small).read([RUN]).runs.to_pylist()[0]
    assert (row["run_name"], row["user_id"]) == ("2026-11-01", "yes")


@pytest.mark.parametrize(
    ("content", "value", "is_problem"),
    [
        ("1 0.5 0\n2 0.25 1\n", 0.25, False),
        ("1 0.5 0\n2 0.25 1\n3 0.", 0.25, True),  # a truncated number
        ("1 0.5 0\n2 0.25 1", 0.25, False),  # the run has ended, so the line is complete
        ("1 0.5 0\n2 0.25", 0.5, True),  # the step is missing
        ("1 0.5 0\n\n\n2 0.25 1\n", 0.25, False),
        ("1 0.5 0\n2 0.25 1\n2 0.25 1\n", 0.25, False),
        ("1 0.5 0\n2 0,25 1\n", 0.5, True),
        ("1 0.5 0\n2 1_0 1\n", 0.5, True),
        ("1 0.5 0\n2 0.25 1.5\n", 0.5, True),
        ("1 0.5\n", 0.5, False),
        ("1 0.5 7 data digest\n", 0.5, False),
        ("1 0.5 0\r\n2 0.25 1\r\n", 0.25, False),
        (b"1 0.5 0\n" + b"\0" * 10_000 + b"\n2 0.25 1\n", 0.25, True),
        (b"1 0.5 0\n" + b"x" * 3_000_000 + b"\n2 0.25 1\n", 0.25, True),
        (b"1 0.5 0\n\xff\xfe 1 1\n", 0.5, True),
        ("1 inf 0\n", math.inf, False),
        ("", None, True),
    ],
)
def test_valid_and_invalid_lines_of_a_metric_file(small, content, value, is_problem):
    write(small / "1" / RUN / "metrics" / "loss", content)
    tables = FileStore(small).read([RUN, OTHER])
    latest = {row["run_id"]: row["value"] for row in tables.metrics.to_pylist()}
    assert latest.get(RUN) == value
    assert latest[OTHER] == 0.25
    assert (f"{RUN}: metric loss" in problems(tables)) == is_problem


def test_params_and_tags_in_odd_files(small):
    run = small / "1" / RUN
    write(run / "params" / "a" / "b" / "c", "nested")
    write(run / "params" / "bytes", b"caf\xe9")
    write(run / "params" / "empty", b"")
    write(run / "params" / "huge", b"x" * (5 << 20))
    os.mkfifo(run / "params" / "pipe")
    (run / "params" / "secret").symlink_to("/etc/hostname")
    (run / "params" / "loop").symlink_to("loop")
    (run / "params" / "folder").symlink_to("/etc")
    (run / "params" / "same").symlink_to("lr")
    write(run / "tags" / os.fsdecode(b"\xff"), "a name that is no text")
    tables = FileStore(small).read([RUN, OTHER])
    params = {row["key"]: row["value"] for row in tables.params.to_pylist() if row["run_id"] == RUN}
    assert params == {"lr": "0.1", "a/b/c": "nested", "bytes": "caf\\xe9", "empty": "", "same": "0.1"}
    named = {key.partition(": param ")[2] for key in problems(tables)}
    assert {"bytes", "huge", "pipe", "secret", "loop", "folder"} <= named
    assert "link that leads out" in problems(tables)[f"{RUN}: param secret"]


def test_links_out_of_the_store_are_not_followed(small, tmp_path):
    outside = tmp_path / "outside"
    shutil.copytree(small / "1" / RUN, outside)
    shutil.rmtree(small / "1" / RUN / "params")
    (small / "1" / RUN / "params").symlink_to(outside / "params")
    (small / "1" / ("c" * 32)).symlink_to(outside)
    (small / "2").symlink_to(tmp_path)
    tables = FileStore(small).read([RUN, "c" * 32])
    assert tables.params.num_rows == 0
    assert tables.metrics.column("run_id").to_pylist() == [RUN]
    assert {f"{RUN}: params", f"{'c' * 32}: run"} <= set(problems(tables))


def test_a_link_to_a_store_is_followed(small, tmp_path):
    (tmp_path / "link").symlink_to(small)
    assert FileStore(tmp_path / "link").read([RUN]).params.num_rows == 1


def test_numeric_ids_and_ids_of_other_experiments(small):
    write(small / "1" / "meta.yaml", "experiment_id: 1\nname: old\n")
    write(small / "1" / RUN / "meta.yaml", "experiment_id: 1\nname: ''\nstatus: 4\n")
    write(small / "1" / OTHER / "meta.yaml", "experiment_id: '77'\nrun_name: moved\n")
    write(small / "1" / RUN / "tags" / "mlflow.runName", "from the tag")
    tables = FileStore(small).read([RUN, OTHER])
    assert tables.runs.column("run_name").to_pylist() == ["from the tag", "moved"]
    assert tables.runs.column("status").to_pylist() == ["FAILED", None]
    assert list(problems(tables)) == [f"{OTHER}: experiment_id"]


def test_other_folders_are_neither_experiments_nor_runs(small):
    write(small / "models" / "registered" / "meta.yaml", "name: registered\n")
    write(small / "1" / "traces" / "tr-1" / "trace_info.yaml", "x: 1\n")
    write(small / "1" / "plots" / "a.png", "")
    write(small / "notes" / "a.txt", "")
    store = FileStore(small)
    assert store.read_experiments("all").column("run_count").to_pylist() == [2]


def test_a_folder_that_is_not_a_store_raises_an_error(tmp_path, small):
    with pytest.raises(StoreUnreadable, match=r"Point at .*mlruns"):
        FileStore(small.parent).read_experiments()
    with pytest.raises(StoreNotFound):
        FileStore(tmp_path / "nowhere").read_experiments()
    (tmp_path / "empty").mkdir()
    assert FileStore(tmp_path / "empty").read_experiments().num_rows == 0
    assert not (tmp_path / "nowhere").exists()


def test_filters_and_orders(small):
    store = FileStore(small)
    write(small / "1" / OTHER / "params" / "lr", "0.5")
    assert store.read_runs(Query(filter="params.lr = '0.1'")).column("run_id").to_pylist() == [RUN]
    assert store.read_runs(Query(order_by=("start_time ASC",))).column("run_id").to_pylist() == [RUN, OTHER]
    assert store.read_runs(Query(filter="metrics.loss > 1")).num_rows == 0


def test_history_streams_in_batches(small):
    steps = 60_000
    write(small / "1" / RUN / "metrics" / "loss", "".join(f"{n} 1.5 {steps - n}\n" for n in range(steps)))
    batches = list(FileStore(small).read_metric_history([OTHER, RUN]))
    table = pa.Table.from_batches(batches, schema.METRIC_HISTORY)
    assert table.num_rows == steps + 2
    assert table.column("step").to_pylist()[2:] == list(range(1, steps + 1))


def test_a_huge_metric_file_read_in_chunks_gives_the_same_points(small, monkeypatch):
    write(small / "1" / RUN / "metrics" / "loss", "".join(f"{n} 1.5 {n}\n" for n in range(90_000)) + "9 half")
    whole = [list(FileStore(small).read_metric_history([RUN])), FileStore(small).read([RUN])]
    monkeypatch.setattr(metric_files, "_MAX_METRIC_BYTES", 1000)
    pieces = [list(FileStore(small).read_metric_history([RUN])), FileStore(small).read([RUN])]
    assert whole == pieces
    assert list(problems(pieces[1])) == [f"{RUN}: metric loss"]


def test_reading_a_store_takes_at_most_three_times_as_long_as_reading_its_bytes(tmp_path):
    root = tmp_path / "mlruns"
    write(root / "0" / "meta.yaml", "artifact_location: mlflow-artifacts:/0\nexperiment_id: '0'\nname: big\n")
    points = "".join(f"{1_760_000_000_000 + step} {1 / (step + 3)} {step}\n" for step in range(50))
    for number in range(100):
        run = root / "0" / f"{number:032x}"
        write(run / "meta.yaml", "end_time: 9\nexperiment_id: '0'\nrun_name: r\nstart_time: 1\nstatus: 3\ntags: []\n")
        for key in range(20):
            write(run / "params" / f"p{key}", f"{key}")
        for key in range(30):
            write(run / "metrics" / f"m{key}", points)
    run_ids = FileStore(root).read_runs(Query()).column("run_id").to_pylist()

    def seconds(work):
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    def cat():
        subprocess.run(f"find '{root}' -type f -print0 | xargs -0 cat > /dev/null", shell=True, check=True)

    def read():
        assert FileStore(root).read(run_ids).metrics.num_rows == 3000

    def read_history():
        assert sum(batch.num_rows for batch in FileStore(root).read_metric_history(run_ids)) == 150_000

    # Alternating, and the best of each, since other processes cause varying load.
    rounds = [tuple(map(seconds, (cat, read, read_history))) for _ in range(5)]
    plain, tables, history = (min(column) for column in zip(*rounds, strict=True))
    print(f"cat {plain:.3f} s, read {tables / plain:.1f} times that, histories {history / plain:.1f}")
    assert tables < 3 * plain
    assert history < 3 * plain


def test_reading_during_writes_never_returns_a_truncated_number(small):
    path, done = small / "1" / RUN / "metrics" / "loss", threading.Event()

    def grow():
        with path.open("ab", buffering=0) as file:
            for step in range(2, 400):
                for piece in (f"{1000 + step} 0.123", f"456 {step}", "\n"):
                    file.write(piece.encode())
        done.set()

    writer = threading.Thread(target=grow)
    writer.start()
    values = set()
    while not done.is_set():
        for batch in FileStore(small).read_metric_history([RUN]):
            values.update(batch.column("value").to_pylist())
        assert FileStore(small).read([RUN]).metrics.num_rows == 1
    writer.join()
    assert values <= {0.5, 0.25, 0.123456}


def test_a_read_only_store_is_read(small):
    before = digest(small)
    for path in [*small.rglob("*"), small]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    store = FileStore(small)
    assert store.read_runs(Query()).num_rows == 2
    store.read([RUN])
    for path in [small, *small.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    assert digest(small) == before


# Parsers


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("mlruns", "mlruns"),
        ("/a/b c", "/a/b c"),
        ("/a/100%25", "/a/100%25"),
        ("file:///a/b%20c", "/a/b c"),
        ("file:/a/b", "/a/b"),
        ("FILE:///a", "/a"),
        ("file:relative/x", "relative/x"),
        ("file://localhost/a", "/a"),
        ("file:///C:/x/mlruns", "C:/x/mlruns"),
        ("file:C:\\x\\mlruns", "C:\\x\\mlruns"),
        ("C:\\x\\mlruns", "C:\\x\\mlruns"),
    ],
)
def test_path_of_uri(uri, path):
    assert path_of_uri(uri) == Path(path)


@given(
    st.dictionaries(
        st.text(min_size=1),
        st.one_of(st.text(), st.none(), st.dictionaries(st.text(min_size=1), st.text(), max_size=3)),
        min_size=1,
    )
)
def test_flat_yaml_round_trips_values_written_by_yaml(values):
    written = yaml.safe_dump(values)
    assert flat_yaml(written) == values


@given(st.text())
def test_flat_yaml_returns_a_mapping_or_raises_value_error(text):
    with contextlib.suppress(ValueError):
        assert isinstance(flat_yaml(text), dict)


@given(st.integers(0, 2**63 - 1), st.floats(), st.integers(-(2**63), 2**63 - 1))
def test_parse_point_reads_points_written_by_mlflow(timestamp, value, step):
    point = parse_point(f"{timestamp} {value} {step}".encode())
    assert repr(point) == repr((step, timestamp, value))


@given(st.binary())
def test_parse_point_never_raises(line):
    parse_point(line)


WORDS = ["1", "-7", "+2", "007", "0.5", "-1e-3", "1E5", "1.", ".5", "nan", "-inf", "Infinity", "1e999", "", "1_0", "0x1", "e", "١", "9223372036854775808"]  # fmt: skip
LINES = st.one_of(
    st.builds(lambda *words: " ".join(words), *[st.sampled_from(WORDS)] * 3),
    st.builds(lambda time, value, step: f"{time} {value} {step}", st.integers(0, 9), st.floats(), st.integers(0, 3)),
    st.lists(st.sampled_from([*WORDS, " ", "\t", "\r", "set digest", '"', "\0"]), max_size=5).map(" ".join),
)
FILES = st.builds(
    lambda lines, end: ("\n".join(lines) + end).encode(),
    st.lists(LINES, max_size=6),
    st.sampled_from(["\n", "", "\n\n"]),
)


def as_rows(points):
    rows = zip(points.steps.tolist(), points.timestamps.tolist(), points.values.tolist(), strict=True)
    return [[repr(row) for row in itertools.islice(rows, count)] for count in points.counts.tolist()]


@given(st.lists(FILES, max_size=6))
def test_parsing_many_files_at_once_equals_parsing_line_by_line(files):
    points = parse_files(files)
    latest = dict(latest_points(files, points))
    for place, (data, found) in enumerate(zip(files, as_rows(points), strict=True)):
        whole, _, rest = data.rpartition(b"\n")
        lines = whole.split(b"\n") if data else []
        expected = [point for line in lines if (point := parse_point(line)) is not None]
        ordered = sorted(expected, key=lambda point: (*point[:2], math.isnan(point[2]), point[2]))
        assert found == list(map(repr, ordered))
        assert repr(latest.get(place)) == repr(max(expected, default=None))
        bad = bool(rest) + sum(parse_point(line) is None and bool(line.strip()) for line in lines)
        assert points.problems.get(place, "0").split()[0] == str(bad)


@given(FILES)
def test_normalizing_a_file_twice_changes_nothing(data):
    normalized_file, _ = normalized([data])
    assert normalized([normalized_file]) == (normalized_file, "")


@given(
    st.lists(
        st.sampled_from(["a", "b_c", ":", ": ", "'", "''", "[]", " ", "~", "null", "-", "#", " #", "x y", "x - y", "? ", "12:30", "é", "\r", "\x0c", "\u2028", "...", "---", "/", "\n", "\nk: ", "\nk: '"]),
        max_size=12,
    ).map("".join)
)  # fmt: skip
def test_plain_yaml_is_read_as_by_the_full_parser(text):
    def outcome(read):
        try:
            return read(text)
        except ValueError:
            return ValueError

    assert outcome(flat_yaml) == outcome(_parsed_yaml)


def test_a_last_line_without_a_line_break_counts_once_the_run_has_ended(small):
    for run, status in ((RUN, "3"), (OTHER, "1")):
        write(small / "1" / run / "meta.yaml", f"run_id: {run}\nstatus: {status}\nlifecycle_stage: active\n")
        write(small / "1" / run / "metrics" / "group" / "score", "1000 0.5 0\n2000 0.809 1")
    store = FileStore(small)
    tables = store.read([RUN, OTHER])
    latest = {row["run_id"]: row["value"] for row in tables.metrics.to_pylist() if row["key"] == "group/score"}
    assert latest == {RUN: 0.809, OTHER: 0.5}
    assert [name for name in problems(tables) if "score" in name] == [f"{OTHER}: metric group/score"]
    batches = store.read_metric_history([RUN], ["group/score"])
    assert [value for batch in batches for value in batch.column("value").to_pylist()] == [0.5, 0.809]
