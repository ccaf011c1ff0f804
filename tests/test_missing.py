"""Missing values are displayed as dashes, and NaN only if a run logged it."""

from __future__ import annotations

import re

import nbformat
import numpy as np
import pandas as pd
import pytest
from mlflow.entities import Metric, Param

from qualia_lab import NotebookGenerator
from qualia_lab.runs.missing import with_dashes
from tests.stores.empty import new_client

pytestmark = pytest.mark.usefixtures("quick_kernels")


def cells_of(frame):
    return re.findall(r"<td>(.*?)</td>", with_dashes(frame)._repr_html_())


def test_missing_values_are_dashes_and_nan_stays_nan():
    numbers = pd.arrays.FloatingArray(np.array([1.5, np.nan, 0.0, 2e-9]), np.array([False, False, True, False]))
    frame = pd.DataFrame(
        {
            "number": numbers,
            "logged": [1.0, np.nan, 2.0, 3.0],
            "text": ["a", None, "<NA>", ""],
            "count": pd.array([1, None, 3, 4], dtype="Int64"),
            "when": [pd.Timestamp("2026-01-01"), pd.NaT, pd.Timestamp("2026-01-02"), pd.NaT],
        }
    )
    shown = np.array(cells_of(frame)).reshape(4, 5)
    assert shown[:, 0].tolist() == ["1.500000e+00", "NaN", "–", "2.000000e-09"]
    assert shown[:, 1].tolist() == ["1.0", "NaN", "2.0", "3.0"]
    assert shown[:, 2].tolist() == ["a", "–", "&lt;NA&gt;", ""]
    assert shown[:, 3].tolist() == ["1", "–", "3", "4"]
    assert shown[1, 4] == shown[3, 4] == "–"


@pytest.mark.parametrize("rows", [0, 1, 60, 61, 5000])
def test_tables_of_any_length_are_displayed_as_by_pandas(rows):
    frame = pd.DataFrame({"a": pd.array([None, 1.25] * rows, dtype="Float64")[:rows], "b": range(rows)})
    html = with_dashes(frame)._repr_html_()
    assert "&lt;NA&gt;" not in html
    assert html.count("<tr") == frame._repr_html_().count("<tr")
    assert len(frame.columns) == 2
    assert with_dashes(pd.DataFrame(index=[1, 2])).shape == (2, 0)
    twice = pd.DataFrame([[1, None]], columns=["a", "a"], dtype=object)
    assert cells_of(twice) == ["1", "–"]


@pytest.mark.slow
def test_notebook_tables_show_dashes_and_the_nan_of_a_diverged_run(tmp_path):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = new_client(uri)
    experiment = client.create_experiment("few", artifact_location=tmp_path.as_uri())
    for place, values in enumerate(({"val_auc": 0.5}, {"val_auc": float("nan"), "loss": 0.25}, {})):
        run = client.create_run(experiment, run_name=f"run{place}").info.run_id
        points = [Metric(key, value, 0, 0) for key, value in values.items()]
        client.log_batch(run, points, [Param("lr", str(place / 10))] if place else [])
        client.set_terminated(run)
    path = NotebookGenerator(uri).create(output=tmp_path / "few.ipynb", execute=True)
    cells = nbformat.read(path, 4).cells
    html = "".join(
        output.data.get("text/html", "") for cell in cells for output in cell.get("outputs", ()) if "data" in output
    )
    assert "&lt;NA&gt;" not in html
    assert "<td>None</td>" not in html
    [compared] = [cell for cell in cells if cell.source.startswith("runs.compare_metrics(")]
    rows = re.findall(r"<th>(run\d)</th>\s*<td>(.*?)</td>\s*<td>(.*?)</td>", compared.outputs[0].data["text/html"])
    assert {row[0]: set(row[1:]) for row in rows} == {"run0": {"0.5", "–"}, "run1": {"NaN", "0.25"}, "run2": {"–"}}
    plain = compared.outputs[0].data["text/plain"]
    assert "–" in plain
    assert "NaN" in plain
