"""Cards of runs: images by step, logged tables, and descriptions."""

from __future__ import annotations

import re

import pytest
from PIL import Image

from qualia_lab import load_runs
from tests.stores.empty import new_client

NOTE = """\
# Second try

- **weighted** loss, see [the ticket](javascript:alert) [it](javascript:alert(1))

<img src=x onerror=alert(1)> ![plot](https://evil.example/x.png)

| a | b |
|---|---|
| 1 | 2 |
"""


LONG = "segmentation of point clouds with normals, trained from scratch on the data of "


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A run with pictures of two keys, tables and a description, one with a long description, and one of each of two
    experiments with long names.
    """
    folder = tmp_path_factory.mktemp("described")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    client = new_client(uri)
    tags = {"mlflow.note.content": "What is tried *here*: <b>all</b>", "team": "vision"}
    experiment = client.create_experiment("noted", artifact_location=(folder / "artifacts").as_uri(), tags=tags)
    first, second = (client.create_run(experiment, run_name=f"run{number}").info.run_id for number in range(2))
    for step in (20, 119, 0):
        client.log_image(first, Image.new("RGB", (4, 4)), key="samples", step=step, synchronous=True)
    client.log_image(first, Image.new("RGB", (4, 4)), key="val/errors", synchronous=True)
    client.log_table(first, {"input": ["cat"], "shown": [Image.new("RGB", (4, 4))]}, "eval.json")
    for run_id, score in ((first, 0.25), (second, 0.75)):
        client.log_table(run_id, {"question": ["a", "b"], "score": [0.5, score]}, "answers.json")
    client.set_tag(first, "mlflow.note.content", NOTE)
    client.set_tag(second, "mlflow.note.content", "\n".join(f"line {number}" for number in range(40)))
    others = []
    for year in (2025, 2026):
        own = client.create_experiment(f"{LONG}{year}", artifact_location=(folder / "artifacts").as_uri())
        others.append(client.create_run(own, run_name=str(year)).info.run_id)
        client.log_metric(others[-1], "val_auc", 0.5)
    return uri, [first, second], others


@pytest.fixture(scope="module")
def runs(store):
    return load_runs(store[0], store[1])


def test_images_are_listed_by_step_without_thumbnails(runs):
    card = runs.show("run0")
    page, text = card._repr_html_(), repr(card)
    titles = ["samples, step 0", "samples, step 20", "samples, step 119", "val/errors, step 0"]
    places = [page.index(f">{title}<") for title in titles]
    assert places == sorted(places)
    assert "Artifacts (7, and 5 small copies of pictures)" in page
    assert "samples, step 119" in text
    assert "timestamp" not in page + text
    assert ".webp" not in page + text
    assert "<b>samples, step 119</b> <small>the last of 3</small>" in page
    assert page.count("<img") == 3
    # The listing for programs has every file.
    assert runs.artifacts.list("run0")["path"].str.endswith(".webp").sum() == 5


def test_a_logged_table_lists_its_images(runs):
    page = runs.show("run0")._repr_html_()
    assert re.search(r"<td>cat</td><td>picture table_images/eval/[0-9a-f-]+\.png</td>", page)
    assert "1 row, 2 columns" in page


def test_logged_tables_are_compared_cell_by_cell(runs):
    frame = runs.artifacts.compare("answers.json")
    assert frame.index.tolist() == ["row 2 (b), score"]
    assert frame.loc["row 2 (b), score"].tolist() == ["0.25", "0.75"]
    assert runs.artifacts.comparable() == ["answers.json"]


def test_the_description_of_a_run_is_rendered_without_active_content(runs):
    card = runs.show("run0")
    page = card._repr_html_()
    described = page[page.index("<b>Description</b>") : page.index("Details")]
    assert "<p><b>Second try</b></p>" in described
    assert "<li><b>weighted</b> loss, see the ticket (javascript:alert) [it](javascript:alert(1))</li>" in described
    assert "<td>1</td><td>2</td>" in described
    assert "&lt;img src=x" in described
    assert "<img" not in described
    assert "<a" not in described
    assert "mlflow.note.content" not in page
    assert "Description\n  # Second try" in repr(card)


def test_a_long_description_is_truncated_with_its_length_and_location(runs):
    card = runs.show("run1")
    for shown in (card._repr_html_().replace("&quot;", '"'), repr(card)):
        assert "line 14" in shown
        assert "line 15" not in shown
        assert 'showing 15 of 40 lines; all of it is in runs.tags["mlflow.note.content"]' in shown
    assert runs.tags["mlflow.note.content"].iloc[1].endswith("line 39")


def test_the_description_of_an_experiment_is_shown_by_about(runs):
    about = runs.about()
    page = about._repr_html_()
    assert "<p><b>Description of noted</b></p><p>What is tried <i>here</i>: &lt;b&gt;all&lt;/b&gt;</p><table>" in page
    assert repr(about).startswith("Description of noted\n    What is tried *here*: <b>all</b>\n")


def test_long_experiment_names_that_differ_at_the_end_are_distinguishable_in_tables(store):
    runs = load_runs(store[0], store[2])
    for column in (runs.overview()["experiment"], runs.groups()["experiment"]):
        names = column.tolist()
        assert [name[-4:] for name in names] == ["2025", "2026"]
        assert all(len(name) <= 60 for name in names)
