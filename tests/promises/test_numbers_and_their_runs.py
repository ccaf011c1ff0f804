"""Promise 6: every number stands under its own run, by id and never by position; what is left out is counted.

In the stores here a value tells of which run, key and step it is, so a value that stands elsewhere is known by itself.
Runs share names, some are deleted, and their order is another one in every store.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import random
import re

import numpy as np
import pytest

from qualia_lab.charts.marks import Line, Points
from qualia_lab.generator import NotebookGenerator
from qualia_lab.runs import Runs
from qualia_lab.selection import Query
from qualia_lab.stores.open import open_store
from tests.cli.command import QUALIA, run_here
from tests.stores.mlruns import write_experiment, write_run

pytestmark = pytest.mark.usefixtures("quick_kernels")

KEYS = ("val_auc", "loss", "train/f1")
STEPS = 7
NAMES = ("same name", "same name", "run", "Run", "run ", "")  # by turns; two of them are equal, others nearly


def value(number: int, key: str, step: int) -> float:
    """0.NNNNKSS: the run's number, the place of the key, and the step."""
    return (number * 1000 + KEYS.index(key) * 100 + step) / 1e7


def meaning(said: float) -> tuple[int, str, int]:
    """The inverse of `value`."""
    digits = round(float(said) * 1e7)
    return digits // 1000, KEYS[digits // 100 % 10], digits % 100


class Made:
    """A store of so many runs in an order of its own.

    numbers: {run id: its number}, of the active ones.  deleted: ids of the others.
    """

    def __init__(self, root, seed: int, count: int) -> None:
        self.uri = root
        chance = random.Random(seed)
        self.numbers: dict[str, int] = {}
        self.deleted: set[str] = set()
        experiments = [write_experiment(root, 1, "first"), write_experiment(root, 2, "second")]
        starts = chance.sample(range(1, 10 * count), count)
        for number in range(1, count + 1):
            run_id = f"{chance.getrandbits(128):032x}"
            stage = "deleted" if number % 7 == 0 else "active"
            start = 1_760_000_000_000 + starts[number - 1] * 1000
            write_run(
                experiments[number % 2],
                run_id,
                params={"lr": repr(value(number, "loss", 99)), "seed": str(number % 3)},
                metrics={
                    key: [(start + step, value(number, key, step), step) for step in range(STEPS)]
                    for key in KEYS
                    if (number + KEYS.index(key)) % 5  # some run has no such metric
                },
                run_name=NAMES[number % len(NAMES)],
                start_time=start,
                end_time=start + 500,
                lifecycle_stage=stage,
            )
            if stage == "deleted":
                self.deleted.add(run_id)
            else:
                self.numbers[run_id] = number


@pytest.fixture(scope="module", params=[1, 2, 3])
def made(request, tmp_path_factory):
    return Made(tmp_path_factory.mktemp("made") / "mlruns", request.param, 40)


@pytest.fixture(scope="module")
def runs(made):
    store = open_store(made.uri)
    run_ids = [*made.numbers]
    random.Random(9).shuffle(run_ids)
    return Runs(store, store.read(run_ids))


class Checked:
    """Counts the numbers that were looked at, and those that stand under another run."""

    def __init__(self, numbers: dict[str, int]) -> None:
        self.numbers = numbers
        self.tried = 0
        self.wrong: list[tuple] = []

    def number(self, run_id: str, key: str, said, step: int | None = STEPS - 1) -> None:
        """A value under this run and key. step: None for any."""
        if said is None or said == "" or said != said:
            if (self.numbers[run_id] + KEYS.index(key)) % 5:
                self.wrong.append((run_id, key, said, "lost"))
            return
        self.tried += 1
        found = meaning(said)
        if found[:2] != (self.numbers[run_id], key) or step not in (None, found[2]):
            self.wrong.append((run_id, key, said, found))

    def rate(self, run_id: str, said) -> None:
        """The param lr of this run."""
        self.tried += 1
        if meaning(said) != (self.numbers[run_id], "loss", 99):
            self.wrong.append((run_id, "lr", said))

    def end(self, record, kind: str, least: int = 90) -> None:
        """Record what was looked at; least: how many numbers that has to be."""
        record(promise=6, kind=kind, tried=self.tried, failed=len(self.wrong))
        assert self.wrong == []
        assert self.tried >= least


@pytest.fixture
def checked(made):
    return Checked(made.numbers)


def test_in_tables_and_histories(made, runs, checked, record_counts):
    for row in runs.tables.metrics.to_pylist():
        checked.number(row["run_id"], row["key"], row["value"])
    for row in runs.tables.params.to_pylist():
        if row["key"] == "lr":
            checked.rate(row["run_id"], row["value"])
    for batch in runs._loaded.store.read_metric_history(runs.tables.run_ids):
        for row in batch.to_pylist():
            checked.number(row["run_id"], row["key"], row["value"], row["step"])
    checked.end(record_counts, "values of tables")


def test_in_frames(made, runs, checked, record_counts):
    labels = runs._loaded.labels
    assert len(set(labels.values())) == len(labels), "runs of one name are told apart"
    of_label = {label: run_id for run_id, label in labels.items()}
    metrics = runs.metrics
    for label, row in metrics.iterrows():
        for key in KEYS:
            checked.number(of_label.get(label, label), key, row[key])
    for _, row in runs.history().iterrows():
        checked.number(row["run_id"], row["key"], row["value"], row["step"])
        assert of_label[row["run"]] == row["run_id"]
    for label, row in runs.params.iterrows():
        checked.rate(of_label.get(label, label), row["lr"])
    checked.end(record_counts, "values of frames")


@pytest.mark.parametrize("order", [(), ("--order-by", "metrics.loss DESC"), ("--by", "val_auc:min", "--top", "15")])
def test_in_json_and_csv(made, order, checked, record_counts, tmp_path):
    done = run_here(QUALIA, "runs", "--tracking-uri", made.uri, "--json", *order, cwd=tmp_path)
    rows = json.loads(done.stdout)
    assert not made.deleted & {row["run_id"] for row in rows}
    for row in rows:
        for key, said in row["metrics"].items():
            checked.number(row["run_id"], key, said)
    done = run_here(QUALIA, "runs", "--tracking-uri", made.uri, "--csv", *order, cwd=tmp_path)
    for row in csv.DictReader(io.StringIO(done.stdout)):
        for key in KEYS:
            column = next(name for name in row if name.endswith(key))
            checked.number(row["run_id"], key, row[column])
        checked.rate(row["run_id"], row["params.lr"] if "params.lr" in row else row["lr"])
    if "--top" in order:
        best = [made.numbers[row["run_id"]] for row in rows]
        assert best == sorted(best), "the first is the one of the least value"
    checked.end(record_counts, "values of --json and --csv", 70 if "--top" in order else 90)


def plotly_numbers(array):
    """Numbers as plotly.js reads them, from a list or from base64."""
    if isinstance(array, dict):
        return np.frombuffer(base64.b64decode(array["bdata"]), "<" + array["dtype"]).tolist()
    return array


def marks_of(chart):
    return [mark for panel in chart.panels for mark in panel.marks if isinstance(mark, Line | Points)]


@pytest.mark.parametrize("key", KEYS)
def test_in_the_marks_of_charts(key, runs, checked, record_counts):
    of_label = {label: run_id for run_id, label in runs._loaded.labels.items()}
    chart = runs.plot.history(key)
    seen = set()
    for mark in marks_of(chart):
        if mark.label in of_label:
            seen.add(of_label[mark.label])
            for x, y in zip(mark.x, mark.y, strict=True):
                checked.number(of_label[mark.label], key, y if not np.isnan(y) else None, int(x))
    assert len(seen) >= 10
    assert re.search(
        r"\d+ of \d+|other run", chart.note + chart.sentence + repr([mark.label for mark in marks_of(chart)])
    )
    checked.end(record_counts, "points of charts", 10 * STEPS)


def test_a_run_that_was_deleted_meanwhile_leaves_its_place_to_nobody(made, tmp_path):
    """What was selected is named by id: those behind it do not move up."""
    import shutil

    root = tmp_path / "mlruns"
    shutil.copytree(made.uri, root)
    generator = NotebookGenerator(root)
    selection = generator.select()
    gone = selection.run_ids[3]
    shutil.rmtree(next(root.glob(f"*/{gone}")))
    tables = open_store(root).read(selection.run_ids)
    assert tables.missing.column("run_id").to_pylist() == [gone]
    assert tables.run_ids == tuple(run for run in selection.run_ids if run != gone)
    runs = Runs(open_store(root), tables)
    for run_id in tables.run_ids:
        text = runs.show(run_id)._repr_html_()
        assert run_id in text
        assert gone not in text
        others = {meaning(float(found))[0] for found in re.findall(r"\b0\.00\d{5}\b", text)}
        assert others <= {made.numbers[run_id]}, "of this run alone"


@pytest.mark.slow
def test_on_the_page(tmp_path, record_counts):
    """Every line of the notebook's figures that has a run's name, and every run in the page's data, has its numbers."""
    made = Made(tmp_path / "mlruns", 4, 32)
    with NotebookGenerator(made.uri) as generator:
        path = generator.create(output=tmp_path / "n.ipynb", execute=True)
        page = generator.export(path).read_text()
        labels = Runs(generator.store, generator.store.read([*made.numbers]))._loaded.labels
    of_label = {label: run_id for run_id, label in labels.items()}
    figures = [
        output["data"]["application/vnd.plotly.v1+json"]
        for cell in json.loads(path.read_text())["cells"]
        for output in cell.get("outputs", ())
        if "application/vnd.plotly.v1+json" in output.get("data", {})
    ]
    tried, wrong = 0, []
    for figure in figures:
        for trace in figure["data"]:
            run_id = of_label.get(trace.get("name"))
            for y in plotly_numbers(trace.get("y", ())) if run_id else ():
                if isinstance(y, float) and 0 < y < 0.01:
                    tried += 1
                    if meaning(y)[0] != made.numbers[run_id]:
                        wrong.append((trace["name"], y))
    record_counts(promise=6, kind="points of figures in a notebook", tried=tried, failed=len(wrong))
    assert tried >= 250
    assert not wrong, wrong
    (data,) = re.findall(r'<script type="application/json">(.*?)</script>', page)
    said = [(run["id"], value) for run in json.loads(data)["runs"] for value in run["metrics"].values()]
    other = [(run_id, value) for run_id, value in said if meaning(value)[0] != made.numbers[run_id]]
    record_counts(promise=6, kind="metrics in the data of a page", tried=len(said), failed=len(other))
    assert len(said) >= 60
    assert not other, other
    assert re.search(r"25 of \d+|showing \d+ of \d+", page), "what is cut is counted"
    assert not any(run_id in page for run_id in made.deleted)


def test_every_cut_is_counted(made, runs, tmp_path):
    run_ids = open_store(made.uri).read_runs(Query()).column("run_id").to_pylist()
    assert set(run_ids) == set(made.numbers)
    done = run_here(QUALIA, "runs", "--tracking-uri", made.uri, "--limit", "5", cwd=tmp_path)
    assert re.search(rf"showing 5 of (more than 5|{len(run_ids)}) runs", done.stderr + done.stdout), done.stderr
