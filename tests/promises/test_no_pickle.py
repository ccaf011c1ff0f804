"""Promise 9: no pickle and no model is loaded, whatever an artifact is called, wherever a preview looks.

Python says of itself when a class is looked up for a pickle, when code is unmarshalled, compiled or run, and when a
module is imported; and what a payload would do is looked for.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import marshal
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.cli.command import CHECKOUT, environment
from tests.stores.mlruns import write

from .small_store import run_id_of, write_small_store


class Payload:
    """An object that makes a folder when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self):
        return os.mkdir, (str(self.canary / f"{os.urandom(4).hex()}"),)


def zipped(**entries: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name.replace("__", "/"), data)
    return packed.getvalue()


def payloads(canary: Path) -> dict[str, bytes]:
    """Bytes by what they are."""
    one = Payload(canary)
    objects, zipped_objects = io.BytesIO(), io.BytesIO()
    np.save(objects, np.array([one], dtype=object), allow_pickle=True)
    np.savez(zipped_objects, a=np.array([one], dtype=object))
    source = f"import os\nos.mkdir({str(canary / 'source')!r})\n".encode()
    found = {f"pickle of protocol {protocol}": pickle.dumps(one, protocol) for protocol in range(6)}
    with contextlib.suppress(ImportError):
        import cloudpickle

        found["cloudpickle"] = cloudpickle.dumps(one)
    with contextlib.suppress(ImportError):
        import joblib

        dumped = io.BytesIO()
        joblib.dump(one, dumped)
        found["joblib"] = dumped.getvalue()
    return found | {
        "npy of objects": objects.getvalue(),
        "npz of objects": zipped_objects.getvalue(),
        "torch": zipped(archive__data__pkl=pickle.dumps(one), archive__version=b"3\n").replace(
            b"data/pkl", b"data.pkl"
        ),
        "torch of old": pickle.dumps(0x1950A86A20F9469CFC6C) + pickle.dumps(1001) + pickle.dumps(one),
        "keras": zipped(config_json=json.dumps({"class_name": "Lambda", "code": source.decode()}).encode()),
        "hdf5": b"\x89HDF\r\n\x1a\n\0\0" + pickle.dumps(one),
        "code": b"\0\0\0\0" * 4 + marshal.dumps(compile(source, "x", "exec")),
        "source": source,
        "yaml of objects": f"a: !!python/object/apply:os.mkdir [{canary / 'yaml'}]\n".encode(),
        "json of objects": json.dumps({"py/reduce": [{"py/function": "os.mkdir"}, {"py/tuple": ["x"]}]}).encode(),
        "parquet with pandas metadata": parquet_that_names_code(canary),
    }


def parquet_that_names_code(canary: Path) -> bytes:
    """An extension type whose reader is a pickle: what Arrow once loaded by itself."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kept = {
        b"ARROW:extension:name": b"arrow.py_extension_type",
        b"ARROW:extension:metadata": pickle.dumps(Payload(canary)),
    }
    table = pa.table([pa.array([1, 2])], schema=pa.schema([pa.field("a", pa.int64(), metadata=kept)]))
    written = io.BytesIO()
    pq.write_table(table, written)
    return written.getvalue()


NAMES = (
    *("model.pkl", "model.pickle", "model.joblib", "model.pt", "model.pth", "model.npy", "model.npz", "model.h5"),
    *("model.keras", "model.bin", "model.pyc", "model.ckpt", "table.csv", "table.parquet", "figure.json", "conf.yaml"),
    *("notes.md", "notes.txt", "page.html", "picture.png", "sound.wav", "film.mp4", "MLmodel", "requirements.txt"),
    *("conda.yaml", "python_env.yaml", "train.py", "__init__.py", "sitecustomize.py", "noname"),
)
# In every folder where something looks for something of its own.
FOLDERS = ("", "model", "images", "plots")

LOOK = """
import json, os, sys
from pathlib import Path

root, out, artifacts = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
from qualia_lab import ArtifactExplorer, NotebookGenerator, load_runs, open_store
from qualia_lab.errors import QualiaLabError
from qualia_lab.selection import Query
import qualia_lab.charts.previews, qualia_lab.runs.pictures, numpy, pandas, pyarrow.parquet, matplotlib.pyplot
import qualia_lab.charts.svg, yaml, sklearn, scipy.stats

fired, seen = [], []
def hook(event, arguments):
    if event == "pickle.find_class":
        fired.append((event, repr(arguments)[:200]))
    elif event == "marshal.loads":
        called_by = sys._getframe(1).f_code.co_filename
        if "importlib" not in called_by:
            fired.append((event, called_by))
    elif event in ("compile", "exec") and artifacts in repr(arguments):
        fired.append((event, repr(arguments)[:200]))
    elif event == "import" and str(arguments[1] or "").startswith(artifacts):
        fired.append((event, repr(arguments)[:200]))
    elif event == "open" and str(arguments[0]).startswith(artifacts):
        seen.append(str(arguments[0]))
sys.addaudithook(hook)

loaded = {name for name in sys.modules}
run_ids = sorted(open_store(root).read_runs(Query()).column("run_id").to_pylist())
runs = load_runs(root, run_ids)
shown = []
for run in run_ids:
    shown.append(runs.show(run)._repr_html_())
    runs.artifacts.list(run)
    ArtifactExplorer(root).list_artifacts(run)
runs.artifacts.that_differ(), runs.artifacts.comparable(), runs.artifacts.images()
paths = sorted(str(path.relative_to(artifacts)) for path in Path(artifacts).rglob("*") if path.is_file())
for path in paths:
    try:
        repr(runs.artifacts.compare(path)), repr(runs.artifacts.difference(path, run_ids[0], run_ids[1]))
    except QualiaLabError:
        pass
runs.origins.that_differ(), runs.origins.environments_that_differ(), runs.origins.provenance()
runs.failures.log_tails(run_ids[:2])
late = sorted(name for name in set(sys.modules) - loaded if name.partition(".")[0] in LOADERS)
opened = len({path for path in seen if "/artifacts/" in path})
print(json.dumps({"fired": fired, "opened": opened, "late": late, "shown": sum(map(len, shown))}))
"""
# scikit-learn brings joblib and cloudpickle, so those two are there before anything is looked at.
LOADERS = ("joblib", "cloudpickle", "dill", "torch", "h5py", "keras", "tensorflow", "onnx", "skops", "jsonpickle")


@pytest.fixture(scope="module")
def mined(tmp_path_factory):
    """A store with as many runs as payloads, and the folder for what a payload would make.

    In each folder every name stands for another payload in each run, so for each payload in one of the runs.
    """
    root, canary = tmp_path_factory.mktemp("store") / "mlruns", tmp_path_factory.mktemp("canary")
    found = list(payloads(canary).values())
    runs = len(found)
    write_small_store(root, runs)
    for number in range(1, runs + 1):
        for folder in FOLDERS:
            for place, name in enumerate(NAMES):
                path = root / "1" / run_id_of(number) / "artifacts" / folder / name
                write(path, found[(place + number) % len(found)])
    return root, canary


def test_the_payloads_do_what_they_say(tmp_path):
    """Else nothing is found where nothing is."""
    pickle.loads(pickle.dumps(Payload(tmp_path)))
    for data in payloads(tmp_path).values():
        with contextlib.suppress(Exception):
            pickle.loads(data)
    assert len(list(tmp_path.iterdir())) >= 8


@pytest.mark.slow
def test_nothing_that_looks_at_artifacts_unpickles_compiles_or_runs_one(mined, tmp_path, record_counts):
    root, canary = mined
    artifacts = root / "1"
    done = subprocess.run(
        [sys.executable, "-c", LOOK.replace("LOADERS", repr(LOADERS)), root, tmp_path, artifacts],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    ran = list(canary.iterdir())
    wrong = len(seen["fired"]) + len(seen["late"]) + len(ran)
    record_counts(promise=9, kind="payloads in artifacts that were opened", tried=seen["opened"], failed=wrong)
    assert ran == []
    assert seen["fired"] == []
    assert seen["late"] == []
    assert seen["shown"] > 10_000
    assert seen["opened"] >= len(NAMES) * 10


def test_no_source_of_the_package_names_a_loader():
    """What would load a pickle or a model, or make code of a text; IPython's and the kernel's are not ours."""
    calls = ("pickle", "marshal", "joblib", "cloudpickle", "dill", "shelve", "torch", "h5py", "keras", "onnx")
    found = []
    for path in (CHECKOUT / "qualia_lab").rglob("*.py"):
        if {"pipeline", "scripts"} & set(path.parts):  # the training of the demo writes models
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [one.name.partition(".")[0] for one in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [(node.module or "").partition(".")[0]]
            elif isinstance(node, ast.Call):
                called = node.func
                if isinstance(called, ast.Name) and called.id in ("eval", "exec", "compile"):
                    found.append((path.name, node.lineno, called.id))
                unsafe = ("read_pickle", "load_model", "unsafe_load", "full_load", "load_all")
                if isinstance(called, ast.Attribute) and called.attr in unsafe:
                    found.append((path.name, node.lineno, called.attr))
            found += [(path.name, node.lineno, name) for name in names if name in calls]
    assert found == []
