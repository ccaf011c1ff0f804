"""What is fuzzed: one function for each parser, which takes bytes and raises where it finds a fault.

What a parser may raise is what its caller catches; anything else is a fault, and so is an answer that contradicts
itself. The seeds of a target are inputs to begin with; those that once showed a fault are added to them.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import re
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bs4 import BeautifulSoup

from qualia_lab import schema
from qualia_lab.analysis.model_files import read_model_file
from qualia_lab.bundle.files import copy_file, open_bundle
from qualia_lab.bundle.manifest import BundledFile, BundleManifest, is_safe_name, manifest_from_json
from qualia_lab.charts.previews import read_previews
from qualia_lab.errors import BundleUnreadable, FilterError, QualiaLabError, StoreUnreadable, TemplateError
from qualia_lab.genai_tables import model_tables
from qualia_lab.masking.keys import DEFAULT_RULES
from qualia_lab.masking.privacy import Privacy
from qualia_lab.masking.private_files import private_bytes
from qualia_lab.masking.redactor import Redactor
from qualia_lab.notebook.template import read_template
from qualia_lab.notebook.template_cells import parse_percent
from qualia_lab.query import parse_filter, parse_order_by, select_runs
from qualia_lab.query.models import parse_model_filter, select_models
from qualia_lab.query.secret_values import masked_filter
from qualia_lab.query.write import filter_text
from qualia_lab.selection import Query
from qualia_lab.stores.file.mlruns import _parsed_yaml, flat_yaml
from qualia_lab.stores.file.points import normalized, parse_files
from qualia_lab.stores.file.store import FileStore
from qualia_lab.stores.http.store import HttpStore
from qualia_lab.stores.protocol import ArtifactFile
from qualia_lab.stores.snapshot.location import open_location
from qualia_lab.stores.snapshot.manifest import SCHEMA_VERSION, read_manifest
from qualia_lab.stores.uri import split_uri
from qualia_lab.study.metric_names import read_name
from qualia_lab.study.metrics import direction_of
from qualia_lab.study.settings import StudySettings
from qualia_lab.tables import run_tables, table_of
from tests.lying_server import EXPERIMENT, RUN_IDS, RUNS, model, points
from tests.stores.mlruns import write, write_experiment, write_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_RUN_ID = "a" * 32
_CONTROL = "b" * 32


@dataclass(frozen=True)
class Target:
    """A function of bytes that raises at a fault, inputs to begin with, and words that its language is made of."""

    run: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    words: tuple[bytes, ...] = ()


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


# The filter language

_TABLES = run_tables(
    runs=table_of(schema.RUNS, [{"run_id": _RUN_ID, "experiment_id": "1", "status": "FINISHED", "start_time": 5}]),
    experiments=table_of(schema.EXPERIMENTS, [{"experiment_id": "1", "name": "one"}]),
    params=table_of(schema.PARAMS, [{"run_id": _RUN_ID, "key": "lr", "value": "0.1"}]),
    metrics=table_of(schema.METRICS, [{"run_id": _RUN_ID, "key": "auc", "value": 0.5, "step": 1, "timestamp": 5}]),
)


def filter_language(data: bytes) -> None:
    """A filter is read or refused with a place in it; what was read is written as a filter that reads the same."""
    text = _text(data)
    with contextlib.suppress(FilterError):
        parse_order_by([text])
    masked_filter(text, DEFAULT_RULES)
    try:
        condition = parse_filter(text)
    except FilterError as error:
        assert 0 <= error.position <= len(error.text)
        return
    select_runs(condition, (), _TABLES, lambda *_: iter(()))
    if condition is not None:
        with contextlib.suppress(FilterError):  # a text that no quotes hold
            assert parse_filter(filter_text(condition)) == condition


# Models

_MODELS = model_tables(
    models=table_of(schema.MODELS, [{"model_id": "m-1", "name": "net", "status": "READY", "creation_time": 5}]),
    params=table_of(schema.MODEL_PARAMS, [{"model_id": "m-1", "key": "lr", "value": "0.1"}]),
    metrics=table_of(schema.MODEL_METRICS, [{"model_id": "m-1", "key": "accuracy", "value": 0.5, "step": 1}]),
    versions=table_of(schema.MODEL_VERSIONS, [{"name": "flowers", "version": 1, "model_id": "m-1"}]),
    aliases=table_of(schema.MODEL_ALIASES, [{"name": "flowers", "alias": "champion", "version": 1}]),
)


def model_filter(data: bytes) -> None:
    """A filter of models is read or refused with a place in it; what was read chooses models."""
    try:
        condition = parse_model_filter(_text(data))
    except FilterError as error:
        assert 0 <= error.position <= len(error.text)
        return
    assert select_models(condition, _MODELS).models.num_rows <= _MODELS.models.num_rows


_NO_CONTENT = Redactor(Privacy(content=False))


def model_file(data: bytes) -> None:
    """An MLmodel file is read or refused; what was read is short, whatever the file says."""
    try:
        file = read_model_file(_text(data))
    except ValueError as error:
        assert str(error)
        return
    assert len(file.flavours_in_short()) < 1_000
    assert len(file.signature.in_short()) < 1_000
    shown = private_bytes("MLmodel", data, _NO_CONTENT, is_whole=True, change=lambda _, of: of(_text(data)).encode())
    try:
        params = read_model_file(_text(shown)).signature.params
    except ValueError:  # nothing of it may be shown
        return
    assert params is None or not any('"' in column.default for column in params.columns)


# Files of mlruns


def meta_yaml(data: bytes) -> None:
    """A meta.yaml is a mapping of texts or no YAML; the quick way and PyYAML's events say the same."""
    text = _text(data)
    try:
        quick = flat_yaml(text)
    except ValueError:
        return
    for value in quick.values():
        inner = value.values() if isinstance(value, dict) else [value]
        assert all(one is None or isinstance(one, str) for one in inner)
    if "\r" not in text:  # which a file of MLflow's has only where Windows wrote it, and then YAML reads it
        assert quick == _parsed_yaml(text)


def metric_lines(data: bytes) -> None:
    """A file of a metric gives its points in order, the same by itself and beside another one, and form keeps them."""
    other = b"1000 0.5 0\n1001 0.6 1\n"
    alone, beside = parse_files([data]), parse_files([other, data])
    assert beside.counts.tolist() == [2, *alone.counts.tolist()]
    assert beside.values[:2].tolist() == [0.5, 0.6]
    assert beside.steps[2:].tolist() == alone.steps.tolist()
    assert list(alone.steps) == sorted(alone.steps)
    formed, _ = normalized([data])
    again, halves = parse_files([formed]), normalized([data[: len(data) // 2], data[len(data) // 2 :]])
    assert again.steps.tolist() == alone.steps.tolist()
    assert repr(again.values.tolist()) == repr(alone.values.tolist())
    assert halves[0] == formed


_META = b"run_id: %s\nexperiment_id: '1'\nrun_name: r\nstatus: 3\nstart_time: 10\nend_time: 20\n"


def mlruns_folder(data: bytes) -> None:
    """One file of a run is anything: the run beside it is read as if it were not there."""
    place, data = (data[0] if data else 0), data[1:]
    name = ("meta.yaml", "metrics/auc", "params/lr", "tags/mlflow.parentRunId", "tags/mlflow.note.content")[place % 5]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        experiment = write_experiment(root)
        for run_id in (_RUN_ID, _CONTROL):
            write_run(experiment, run_id, metrics={"auc": [(1000, 0.5, 0)]})
        write(experiment / _RUN_ID / name, data)
        store = FileStore(root)
        assert _CONTROL in store.read_runs(Query(view="all")).column("run_id").to_pylist()
        tables = store.read([_RUN_ID, _CONTROL])
        metrics = {row["run_id"]: row["value"] for row in tables.metrics.to_pylist()}
        assert metrics[_CONTROL] == 0.5
        list(store.read_metric_history([_RUN_ID, _CONTROL]))


# Answers of a server

_TRUE: dict[str, Any] = {
    "experiments/search": {"experiments": [EXPERIMENT]},
    "runs/search": {"runs": RUNS},
    "runs/get": {"run": RUNS[0]},
    "logged-models/search": {"models": [model("1", RUN_IDS[0])]},
    "metrics/get-history": {"metrics": points("val_auc")},
    "metrics/get-history-bulk-interval": {"metrics": [{**one, "run_id": RUN_IDS[0]} for one in points("val_auc")]},
    "artifacts/list": {"files": [{"path": "notes.txt", "file_size": "5"}, {"path": "f", "is_dir": True}]},
}
_ENDPOINTS = tuple(_TRUE)


def server_answers(data: bytes) -> None:
    """One endpoint answers anything: what is read of the others is read, or the error is one of ours."""
    odd, data = _ENDPOINTS[(data[0] if data else 0) % len(_ENDPOINTS)], data[1:]

    def fetch(method: str, path: str, **_: Any) -> bytes:
        endpoint = "/".join(urlsplit(path).path.strip("/").split("/")[-2:])
        if path == "/version":
            return b"3.17.2"
        return data if endpoint == odd else json.dumps(_TRUE.get(endpoint, {})).encode()

    store = HttpStore(split_uri("http://127.0.0.1:9"))
    store._client.fetch = fetch
    asked: list[Callable[[], object]] = [
        store.find_experiments,
        lambda: store.read_runs(Query()),
        lambda: store.read_runs(Query(filter="params.lr = '0.1'", run_ids=(RUN_IDS[0],))),
        lambda: store.read(RUN_IDS),
        lambda: list(store.read_metric_history(RUN_IDS)),
        lambda: list(itertools.islice(store.artifact_place(RUN_IDS[0], "mlflow-artifacts:/1").list_files(), 50)),
    ]
    for ask in asked:
        with contextlib.suppress(QualiaLabError):
            ask()


# Templates, manifests


def template(data: bytes) -> None:
    """A template in the percent format is cells, or refused."""
    with contextlib.suppress(TemplateError):
        for cell in parse_percent(_text(data)):
            assert cell.section is None or isinstance(cell.section, str)


def notebook_template(data: bytes) -> None:
    """A template that is a notebook is cells, or refused."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.ipynb"
        path.write_bytes(data)
        with contextlib.suppress(TemplateError):
            for cell in read_template(str(path)).cells:
                assert isinstance(cell.source, str)
                assert cell.section is None or isinstance(cell.section, str)
                assert all(isinstance(tag, str) for tag in cell.tags)


_FILE = {"table": "runs", "file": "parts/0a-1.parquet", "rows": 1, "bytes": 5, "sha256": "0", "keys": None}
_PART = {"name": "0a", "experiments": ["1"], "runs": 1, "finished": True, "artifacts": False, "files": [_FILE]}
_MANIFEST = {
    "schema_version": SCHEMA_VERSION,
    "tracking_uri": "sqlite:///x.db",
    "beside": None,
    "choice": {},
    "tables": [_FILE],
    "parts": [_PART],
}


def manifest(data: bytes) -> None:
    """A manifest names files of its own folder, or is refused."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "manifest.json").write_bytes(data)
        with contextlib.suppress(StoreUnreadable):
            for file in read_manifest(open_location(folder)).files():
                assert (Path(folder) / file.file).parent == Path(folder) / "parts"
                assert ".." not in file.file


# Bundles

_BUNDLE = BundleManifest(
    notebook="n.ipynb",
    page="n.html",
    tracking_uri="mlruns",
    chosen_by={"experiments": ["a"]},
    run_ids=(_RUN_ID,),
    latest_time=1,
    as_of=None,
    rows={"runs": 1},
    masked=("param token",),
    versions={"Python": "3"},
    files=(BundledFile("data/parts/a.parquet", 1, "0" * 64, "runs"), BundledFile("n.ipynb", 2, "1" * 64)),
)


def bundle_manifest(data: bytes) -> None:
    """A manifest names files below its own folder and can be written again, or is refused."""
    with contextlib.suppress(BundleUnreadable):
        found = manifest_from_json(data)
        assert all(is_safe_name(name) for name in (found.notebook, found.page, *(file.file for file in found.files)))
        assert manifest_from_json(found.to_json()) == found


def bundle_zip(data: bytes) -> None:
    """A zip file has small files of safe names, each of which can be copied or is found damaged, or is refused."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bundle.zip"
        path.write_bytes(data)
        with contextlib.suppress(BundleUnreadable), open_bundle(path) as files:
            assert sum(files.names.values()) <= len(data)
            for name in files.names:
                assert is_safe_name(name)
                copy_file(files, name, Path(folder) / "copy")


def _zip(*names: str) -> bytes:
    """A zip file with a small file of each name."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return file.getvalue()


# Previews of artifacts

_NAMES = (
    *("a.json", "a.csv", "a.tsv", "a.parquet", "a.yaml", "a.md", "a.html", "a.txt", "MLmodel", "a.png", "a.svg"),
    *("a.plotly.json", "a.vl.json", "a.jpg", "a.gif", "a.webp", "a.table.json"),
)
# What a parser raises of a file that it cannot read.
_READING = {"Error", "ArrowInvalid", "ArrowNotImplementedError", "OSError", "ValueError", "JSONDecodeError"}
_ACTS = re.compile(r"(?i)javascript:|^\s*data:text/html")


class _Place:
    """The artifacts of a run: one file."""

    recorded_uri, note = "file:///nowhere", ""

    def __init__(self, path: str, data: bytes) -> None:
        self.file, self.data = ArtifactFile(path, len(data)), data

    def list_files(self) -> Iterator[ArtifactFile]:
        yield self.file

    def read_bytes(self, path: str, limit: int) -> bytes:
        return self.data[:limit]


def preview(data: bytes) -> None:
    """An artifact is shown or said not to be; whichever, nothing in it acts."""
    name, data = _NAMES[(data[0] if data else 0) % len(_NAMES)], data[1:]
    place = _Place(name, data)
    for shown in read_previews(place, [place.file]):
        failed = re.search(r"cannot be shown: (\w+)", shown.html)
        assert failed is None or failed[1] in _READING, failed[0]
        for element in BeautifulSoup(shown.html, "html.parser").find_all(True):
            assert element.name not in ("script", "object", "embed", "form", "link", "base"), element.name
            for attribute, value in element.attrs.items():
                assert not attribute.lower().startswith("on"), attribute
                assert attribute == "srcdoc" or not _ACTS.search(str(value)), value


def metric_name(data: bytes) -> None:
    """Any key has a meaning, and the same one each time."""
    key = _text(data)
    assert read_name(key) == read_name(key)
    assert direction_of(key, StudySettings())[0] in ("higher", "lower", None)


TARGETS = {
    "filter language": Target(
        filter_language,
        (
            b"metrics.auc > 0.5 AND params.lr = '0.1'",
            b"NOT (tags.`a b` LIKE '%x_' OR status IN ('FAILED', 'KILLED'))",
            b"start_time > 7 days ago AND metrics.loss.min BETWEEN 1 AND 2e3",
            b"created >= '2026-11-01' AND params.password IS NOT NULL",
            b"metrics.`loss`.at(100) < -1e308",
            b"attributes.run_name ILIKE \"it's\" AND dataset.name != 'x'",
        ),
        tuple(b"AND OR NOT IN LIKE ILIKE BETWEEN IS NULL ( ) , ' \" ` . = != <= metrics. params. tags. ago days 1e999"
              b" start_time .at( .min \\ \xff \xe2\x80\xae \x00".split(b" ")),
    ),
    "filters of models": Target(
        model_filter,
        (
            b"metrics.accuracy > 0.9 AND params.lr = '0.1' AND name LIKE 'net%'",
            b"NOT (alias = 'champion' OR version IN (1, 2)) AND created < 30 days ago",
            b"metrics.`accuracy (valid)` BETWEEN 0 AND 1e999 OR tags.`a b` IS NULL",
        ),
        tuple(b"AND OR NOT IN LIKE ILIKE BETWEEN IS NULL ( ) , ' \" ` . = != <= metrics. params. tags. ago days 1e999"
              b" step status = \\ \xff \xe2\x80\xae \x00".split(b" ")),
    ),
    "MLmodel files": Target(
        model_file,
        (
            b"flavors:\n  python_function: {python_version: 3.11.7}\n  sklearn: {sklearn_version: 1.9.1}\nmodel_size_bytes: 9\n",
            b"flavors: {a: {}}\nsignature:\n  inputs: '[{\"type\": \"tensor\", \"tensor-spec\": {\"dtype\": \"f\", \"shape\": [-1]}}]'\n",
            b"flavors: {a: {}}\nsignature: {params: '[{\"name\": \"p\", \"type\": \"string\", \"default\": \"x\"}]', outputs: null}\n",
        ),
        (b"null", b"[" * 70, b"&a ", b"*a", b"!!python/object:os.system", b"'", b'"', b"{", b"]", b"\n", b": ", b"signature:",
         b'"items": ', b'"properties": ', b"9" * 4300, b"\xff", b"\x00"),
    ),
    "meta.yaml of mlruns": Target(
        meta_yaml,
        (
            _META % _RUN_ID.encode(),
            b"artifact_location: file:///C:/x\nexperiment_id: '1'\nlifecycle_stage: active\nname: 'a: b'\n",
            b"tags: []\ntags:\n- key: a\n  value: b\n",
            b"a: {b: c}\nd: &x [1]\ne: *x\n",
        ),
        (b": ", b"- ", b"'", b'"', b"\n", b"null", b"~", b"&a", b"*a", b"{", b"[", b"#", b"|", b"!!python/object:os.system", b"\t", b"---\n", b"\xef\xbb\xbf"),
    ),
    "metric lines of mlruns": Target(
        metric_lines,
        (b"1000 0.5 0\n1001 0.6 1\n", b"1000 nan 2\n999 inf 1\n1000 -0.0 2", b"1 1e400 3\n\n5 0,5 1\n", b"9 .5\n10 5. 2 x\r\n", b"10 05 09223372036854775807\n1 6 1\n"),
        (b"nan", b"-inf", b"1e308", b"\n", b" ", b"\r", b"\x00", b"9223372036854775807", b"-9223372036854775808", b"\xff"),
    ),
    "a file of a run of mlruns": Target(
        mlruns_folder,
        (b"\x00" + _META % _RUN_ID.encode(), b"\x011000 0.5 0\n", b"\x020.1", b"\x03" + _RUN_ID.encode(), b"\x04# text"),
        (b"status: 9", b"start_time: 99999999999999999999", b"run_id:", b"\n", b"deleted", b"lifecycle_stage: deleted\n", b"\xff"),
    ),
    "answers of a server": Target(
        server_answers,
        tuple(bytes([place]) + json.dumps(answer).encode() for place, answer in enumerate(_TRUE.values())),
        (b"null", b"[]", b"{}", b"7", b'"x"', b"NaN", b"1e999", b'"next_page_token": "t",', b'"info":', b"\\ud800", b"true",
         b"99999999999999999999999", b'"key":', b'"is_dir": true', b'"../x"', b'"/etc"'),
    ),
    "templates": Target(
        template,
        (
            b'# ---\n# jupyter: x\n# ---\n# %% [markdown]\n# # A\n\n# %% section="title" tags=["a"]\n\n# %%\nx = 1\n',
            b'# %% [raw] a="b"\n#%% title section = {"a": 1}\n',
        ),
        (b"# %%", b"# ---\n", b"[markdown]", b'section="', b"tags=[", b"]", b"=", b"\n", b'"', b"NaN", b"\\ud800"),
    ),
    "templates that are notebooks": Target(
        notebook_template,
        (b'{"cells": [{"cell_type": "code", "source": ["a", "b"], "metadata": {"section": "title", "tags": ["x"]}}]}',),
        (b"null", b"[]", b"{}", b"7", b'"cells":', b'"tags":', b'"section": 7', b'"source": [7]', b"["),
    ),
    "manifests of snapshots": Target(
        manifest,
        (json.dumps(_MANIFEST).encode(),),
        (b"null", b"[]", b"{}", b"7", b'"parts/../../x"', b"1e999", b"NaN", b'"keys": 5', b"\\ud800", b"[" * 50),
    ),
    "manifests of bundles": Target(
        bundle_manifest,
        (_BUNDLE.to_json(),),
        (b"null", b"[]", b"{}", b"7", b'"../x"', b"1e999", b"NaN", b'"table": 5', b"\\ud800", b"[" * 50, b"true"),
    ),
    "zip files of bundles": Target(
        bundle_zip,
        (_zip("b/manifest.json", "b/x"), _zip("b/manifest.json", "b/../x"), _zip()),
        (b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06", b"PK\x06\x07", b"\xff" * 4, b"\x00" * 8, b"../", b"\x80", b"\x08"),
    ),
    "previews of artifacts": Target(
        preview,
        (
            b'\x00{"a": [1, null, {"password": "x"}], "b": "<script>"}',
            b"\x01a,b\n1,2\n3,=cmd\n",
            b"\x02a\tb\n1\t2\n",
            b"\x04a: 1\nb: [x, y]\n",
            b"\x05# T\n\n| a | b |\n|---|---|\n| 1 | <b> |\n\n```\nx\n```\n[l](javascript:x)\n",
            b"\x06<h1>x</h1><script>1</script><img src=x onerror=y>",
            b"\x08flavors:\n  python_function:\n    loader_module: x\nsignature:\n  inputs: '[{\"name\": \"a\", \"type\": \"long\"}]'\n",
            b"\x09\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00",
            b"\x0a<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>",
            b'\x0b{"data": [{"type": "scatter", "x": [1, 2], "y": [3, "a"]}, {"type": "heatmap", "z": [[1, 2], [3]]}], "layout": {"title": {"text": "t"}}}',
            b'\x0c{"$schema": "https://vega.github.io/schema/vega-lite/v5.json", "mark": "line", "data": {"values": [{"a": 1, "b": 2}]}, "encoding": {"x": {"field": "a"}, "y": {"field": "b"}}}',
            b'\x10{"columns": ["a", "b"], "data": [[1, {"type": "image"}], [null, "x"]]}',
            b"\x0dGIF89a\x01\x00\x01\x00\x80\x00\x00",
            b"\x0d\xff\xd8\xff\xe0\x00\x10JFIF\x00",
            b"\x03PAR1\x15\x04\x15\x08PAR1",
        ),
        (b"null", b"[]", b"{}", b'"', b",", b"\n", b"<script>", b"\x00", b"NaN", b"1e999", b'"type": 7', b'"data":', b'"layout": []',
         b'"encoding":', b'"mark": {}', b"|", b"```", b"&a", b"*a", b"- ", b"\\ud800", b"[" * 200),
    ),
    "names of metrics": Target(
        metric_name,
        (b"val_auc", b"train/loss_epoch.min", b"eval/Recall@10", b"f1-score (macro) 5", "准确率".encode(), b"top5_acc_2nd"),
        (b"_", b"/", b".", b"@", b"val", b"loss", b"\xc2\xb2", b"%", b" ", b"K", b"10", b"A"),
    ),
}  # fmt: skip
