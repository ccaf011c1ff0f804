"""A notebook of many long histories stays small, and its page opens in seconds."""

from __future__ import annotations

import json
import time

import pytest

from benchmarks.stores import Size, fill_sqlite
from qualia_lab import NotebookGenerator
from tests.stores.empty import copy_empty_store

pytestmark = pytest.mark.usefixtures("quick_kernels")


@pytest.mark.slow
@pytest.mark.browser
def test_a_hundred_runs_of_a_thousand_steps_and_ten_metrics_stay_under_ten_megabytes(tmp_path, open_offline):
    copy_empty_store(tmp_path / "mlflow.db")
    fill_sqlite(tmp_path / "mlflow.db", Size(runs=100, params=5, metrics=10, steps=1000))
    generator = NotebookGenerator(f"sqlite:///{tmp_path / 'mlflow.db'}")
    path = generator.create(output=tmp_path / "notebook.ipynb", execute=True)
    source = json.loads(path.read_text())
    (drawing,) = [cell for cell in source["cells"] if "runs.plot.history(metric" in "".join(cell["source"])]
    assert len(drawing["outputs"]) == 6
    page = generator.export(path)
    sizes = path.stat().st_size, page.stat().st_size
    print(f"notebook {sizes[0] / 1e6:.1f} MB, page {sizes[1] / 1e6:.1f} MB")
    assert max(sizes) < 10_000_000
    started = time.monotonic()
    opened = open_offline(page)
    chart = opened.page.locator("#curves figure.chart path.line").first
    chart.scroll_into_view_if_needed()
    seconds = time.monotonic() - started
    print(f"open and drawn after {seconds:.1f} s")
    assert seconds < 20  # a few seconds on an idle machine
    assert opened.complaints == []
