"""Notebooks of traces: what is in them, how they are made, refreshed and shown, and what is refused."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from xml.etree import ElementTree as ET

import pandas as pd
import pytest
from bs4 import BeautifulSoup

from qualia_lab import NotebookGenerator
from qualia_lab.analysis.spans_read import MOST_WHOLE
from qualia_lab.analysis.trace_events import TraceEvent
from qualia_lab.charts.chart import Chart
from qualia_lab.errors import EmptyStore, NotebookError, NoTraceMatches, SelectionError, TemplateError
from qualia_lab.escaping import one_line, visible
from qualia_lab.notebook.headline import read_headline
from qualia_lab.notebook.page.outputs import rendered_html
from qualia_lab.notebook.read import read_notebook
from qualia_lab.notebook.results import read_results
from qualia_lab.refresh.refreshing import refresh_notebook
from qualia_lab.refresh.watching import Watching, watch_notebook
from qualia_lab.selection import Conditions

from .cli.command import QUALIA, run_here
from .held_traces import shown_of, traces_with
from .notebook.cells import run_cells
from .notebook.test_plan import sections_of
from .promises.test_hostile_values import values  # noqa: F401 - a fixture
from .test_notebooks import executed

pytestmark = pytest.mark.usefixtures("quick_kernels")

SECTIONS = ["traces", "trace_errors", "trace_examples", "trace_latency", "trace_models"]
ANSWER = ["headline", "findings"]


@pytest.fixture(scope="module")
def uri(genai_demo):
    return f"sqlite:///{genai_demo}"


@pytest.fixture
def generator(uri):
    with NotebookGenerator(uri) as opened:
        yield opened


def test_the_cells_show_the_traces_that_match(generator, uri):
    selection = generator.choose_traces(Conditions.of(experiments=["docs-*"], filter="status = 'ERROR'", limit=20))
    plan = generator.plan(selection)
    setup = ["traces_setup", "traces_configuration", "parameters", "traces_loading"]
    assert sections_of(plan) == ["title", *setup, *ANSWER, *SECTIONS, "traces_exploration", "not_shown"]
    names: dict = {}
    outputs = run_cells(plan, names=names)
    assert names["TRACKING_URI"] == selection.tracking_uri
    assert names["TRACES"] == {"experiment_ids": ["1"], "filter": "status = 'ERROR'", "limit": 20}
    assert len(names["traces"]) == 20
    assert "20 of 20 traces failed (100 %)." in outputs["headline"]
    assert "among 20 traces" in outputs["findings"]
    assert all(outputs[key] for key in outputs if key.startswith("trace_"))
    assert "20 traces of docs-assistant, where status" in plan.cells[0].source
    assert "--template traces" in plan.cells[0].source
    assert "at most 20 were read" in plan.cells[-1].source


def test_notebooks_of_runs_have_the_traces_of_their_runs(generator, demo_store):
    plan = generator.plan(generator.select(experiments=["docs-assistant"]))
    sources = {cell.key: cell.source for cell in plan.cells}
    assert set(SECTIONS) <= set(sections_of(plan))
    assert sources["traces"] == "runs.traces.summary()"
    with NotebookGenerator(f"sqlite:///{demo_store}") as without:
        plan = without.plan(without.select(experiments=["churn"]))
        assert not set(SECTIONS) & set(sections_of(plan))
        assert "Errors in traces: no run has traces." in plan.cells[-1].source


def test_conditions_on_runs_and_secrets_are_refused(generator, demo_store):
    for conditions in (
        Conditions.of(by="auc"),
        Conditions.of(where=["lr=1"]),
        Conditions.of(status=["FAILED"]),
        Conditions.of(view="deleted"),
        Conditions.of(filter="tags.x = 'password=hunter2hunter2'"),
    ):
        with pytest.raises(SelectionError):
            generator.choose_traces(conditions)
    with pytest.raises(NoTraceMatches, match="None of the 480 traces matches"):
        generator.choose_traces(Conditions.of(filter="name = 'no such name'"))
    with NotebookGenerator(f"sqlite:///{demo_store}") as without, pytest.raises(EmptyStore, match="no traces"):
        without.choose_traces(Conditions())
    with pytest.raises(TemplateError, match="needs runs, but the template is about traces"):
        generator.plan(generator.choose_traces(Conditions()), template="observe")
    with pytest.raises(TemplateError, match="needs traces alone"):
        generator.plan(generator.select(experiments=["docs-assistant"]), template="traces")


def test_the_command_says_what_is_wrong_and_what_to_do(uri, tmp_path):
    shown = run_here(QUALIA, "new", "--tracking-uri", uri, "--template", "traces", "--dry-run", cwd=tmp_path)
    assert shown.returncode == 0
    assert "480 traces of docs-assistant, latest first" in shown.stderr
    assert "trace_errors" in shown.stdout
    for flags in (["--by", "auc", "--top", "3"], ["--metric", "auc"], ["--status", "FAILED"]):
        refused = run_here(QUALIA, "new", "--tracking-uri", uri, "--template", "traces", *flags, cwd=tmp_path)
        assert refused.returncode == 10
        assert re.search(r"error: --\w+.* about traces\.\nhint: ", refused.stderr), refused.stderr


def _without_runs(genai_demo, folder):
    store = shutil.copy(genai_demo, folder / "mlflow.db")
    with sqlite3.connect(store) as database:
        for table in ("metrics", "latest_metrics", "params", "tags", "inputs", "runs"):
            database.execute(f"DELETE FROM {table}")
    return store


def test_the_findings_of_a_store_with_traces_alone(genai_demo, uri, tmp_path):
    alone = f"sqlite:///{_without_runs(genai_demo, tmp_path)}"
    shown = run_here(QUALIA, "findings", "--tracking-uri", alone, "--experiment", "docs-assistant", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith(
        "28 of 480 traces failed (5.8 %).\nThe most frequent error began in search_documents"
    )
    assert "showing 8 of 8 findings on 480 traces" in shown.stderr
    # Names of runs and models are those of the store.
    asked = run_here(QUALIA, "findings", "--traces", "--tracking-uri", uri, "--json", cwd=tmp_path)
    rows = json.loads(asked.stdout)
    assert "large-prompt2 has the best mean correctness" in rows[0]["sentence"]
    assert {row["code"] for row in rows} == {""}
    assert len({row["rule"] for row in rows if row["trace_ids"]}) >= 3
    failing = run_here(
        *(QUALIA, "findings", "--traces", "--tracking-uri", uri, "--filter", "status = 'ERROR'", "--limit", 3),
        cwd=tmp_path,
    )
    assert "28 of 28 traces failed (100 %)." in failing.stdout
    forbidden = run_here(QUALIA, "findings", "--tracking-uri", alone, "--fail-on", "usage_regression", cwd=tmp_path)
    assert forbidden.returncode == 55
    of_runs = run_here(QUALIA, "findings", "--tracking-uri", uri, cwd=tmp_path)
    assert "120 traces belong to none of these runs: qualia findings --traces" in of_runs.stderr
    refused = run_here(QUALIA, "findings", "--traces", "--metric", "auc", "--tracking-uri", uri, cwd=tmp_path)
    assert refused.returncode == 10
    assert "--metric is about runs, and this is about traces." in refused.stderr
    # A condition on runs is one: the traces are not taken instead.
    none = run_here(QUALIA, "findings", "--tracking-uri", alone, "--where", "lr=1", cwd=tmp_path)
    assert none.returncode == 11
    assert "There are no runs" in none.stderr


@pytest.mark.slow
def test_a_notebook_of_a_store_with_traces_alone_is_made_refreshed_watched_and_bundled(genai_demo, tmp_path):
    store = _without_runs(genai_demo, tmp_path)
    path = tmp_path / "traces.ipynb"
    with NotebookGenerator(f"sqlite:///{store}") as generator:
        plan = generator.plan(generator.choose_traces(Conditions.of(experiments=["docs-assistant"])))
        generator.make(plan, path, formats=["html"])
        said = [one_line(one.sentence, 700) for one in generator.load_traces(plan.selection).find({})]
    texts = _outputs(path)
    # The kernel has the spans of some traces only, and finds the same.
    assert [one.sentence for one in read_results(read_notebook(path), ()).findings] == said
    assert f"Inputs and outputs of spans are read of {MOST_WHOLE} traces" in texts["traces_loading"]
    assert "28 of 480 traces failed (5.8 %)." in texts["headline"]
    assert read_headline(path)[0] == "28 of 480 traces failed (5.8 %)."
    assert "KeyError: &#x27;prices_usd&#x27;" in texts["trace_examples:shown"]
    page = BeautifulSoup(path.with_suffix(".html").read_text(), "html.parser")
    assert [one["id"] for one in page.select("main > section")][:4] == ["title", *ANSWER, "traces"]
    assert len(page.select("section#headline figure")) == 1
    assert len(page.select("section#findings .finding")) == len(said)
    assert "TRACES = " in page.select("#how-this-was-made")[0].text
    assert len(page.select("section#trace_latency figure")) == 2

    assert not refresh_notebook(path).is_changed
    _check_watch(path, store)
    assert "479 of 479 traces failed (100 %)." in _outputs(path)["headline"]
    [changed] = [
        cell.source for cell in executed(path).cells if cell.cell_type == "markdown" and "What changed" in cell.source
    ]
    assert "**Headline now**: 479 of 479 traces failed" in changed
    assert "before: 28 of 480 traces failed" in changed
    _check_bundle(path, tmp_path)


def _check_watch(path, store):
    """A watch tells what happened to traces, refreshes the notebook, and ends on a finding."""
    with pytest.raises(NotebookError, match="--until finished waits for runs"):
        watch_notebook(path, Watching(until_finished=True), lambda _: None)
    told = []

    def tell(event):
        told.append(event)
        if event.kind == "traces":  # after the first look
            with sqlite3.connect(store) as database:
                database.execute("UPDATE trace_info SET status = 'ERROR'")
                database.execute("UPDATE assessments SET assessment_id = 'new' WHERE rowid = 1")
                database.execute("DELETE FROM trace_info WHERE rowid = 2")

    watching = Watching(every=1, rules=("judge_always_same",), forbidden=lambda found: tuple(found) if told else ())
    found = watch_notebook(path, watching, tell)
    assert [one.rule for one in found] == ["judge_always_same"]
    assert "refreshed traces.ipynb" in [event.sentence for event in told]
    assert [event.sentence for event in told if isinstance(event, TraceEvent)][:3] == [
        "480 traces, 28 of them failed.",
        "1 trace with new feedback or expectations.",
        "1 trace is no longer among these.",
    ]


def _check_bundle(path, folder):
    """A bundle holds the traces with all of their spans; running it on its data gives the same outputs."""
    bundled = run_here(QUALIA, "bundle", str(path), cwd=folder)
    assert bundled.returncode == 0, bundled.stderr
    assert re.search(r"479 traces, 1,4\d\d spans: \d\.\d MB", bundled.stderr)
    assert "Other outputs than" not in bundled.stderr
    verified = run_here(QUALIA, "verify", path.with_suffix(".zip"), cwd=folder)
    assert verified.returncode == 0, verified.stdout
    assert "gives the same outputs" in verified.stdout


def _outputs(path):
    found = {}
    for cell in executed(path).cells:
        if cell.cell_type == "code" and cell.outputs:
            data = cell.outputs[0].get("data", {})
            found[cell.metadata["qualia_lab"]["key"]] = data.get("text/html") or data.get("text/plain", "")
    return found


# What strings of a store may become


ELEMENTS = {
    "br",
    "code",
    "details",
    "summary",
    "b",
    "p",
    "small",
    "div",
    "table",
    "caption",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
}
SVG_ELEMENTS = {"svg", "g", "rect", "path", "line", "circle", "text", "title", "desc", "clipPath", "polyline", "tspan"}


def _without_links_to_sections(soup) -> None:
    """Findings link to the section that shows more."""
    for link in soup.select('a[href="#trace_errors"], a[href="#trace_latency"]'):
        link.unwrap()


def _is_still_html(value) -> bool:
    if isinstance(value, Chart):
        return True
    from qualia_lab.runs.frame_html import frame_html

    soup = BeautifulSoup(
        value._repr_html_() if not isinstance(value, pd.DataFrame) else frame_html(value), "html.parser"
    )
    _without_links_to_sections(soup)
    attributes = {name for one in soup.find_all(True) for name in one.attrs}
    return {one.name for one in soup.find_all(True)} <= ELEMENTS and attributes <= {"style", "open", "title", "class"}


def _is_still_page(value) -> bool:
    if isinstance(value, pd.DataFrame):
        return True
    soup = BeautifulSoup(rendered_html(value._repr_html_(), iter(range(9))), "html.parser")
    _without_links_to_sections(soup)
    attributes = {name for one in soup.find_all(True) for name in one.attrs}
    actors = {"script", "iframe", "a", "img", "object", "form", "input", "link", "style"}
    found = {one.name for one in soup.find_all(True)} & actors
    return not found and not any(name.startswith("on") or name in ("href", "src") for name in attributes)


def _is_still_svg(value) -> bool:
    if not isinstance(value, Chart):
        return True
    elements = list(ET.fromstring(value.svg()).iter())
    attributes = {name for one in elements for name in one.attrib}
    json.dumps(value.plotly(), allow_nan=False)
    no_tags = "<" not in re.sub(r"</?(b|br|i|sub|sup|span)\b[^>]*>", "", str(value.plotly()["layout"].get("title", "")))
    names = {one.tag.rpartition("}")[2] for one in elements}
    return names <= SVG_ELEMENTS and not any("href" in name or name[:2] == "on" for name in attributes) and no_tags


def _is_plain(value) -> bool:
    text = repr(value) if not isinstance(value, pd.DataFrame) else "\n".join(map(str, value.to_numpy().ravel()))
    return visible(text) == text and "\x1b" not in text


@pytest.fixture(scope="module")
def shown_with(values):  # noqa: F811
    """What is shown of traces with each value of the corpus wherever somebody can write one."""
    return {(name, what): value for name, text in values.items() for what, value in _shown(text).items()}


def _shown(text):
    return shown_of(traces_with(text[:3000]))


@pytest.mark.parametrize("is_still", [_is_still_html, _is_still_page, _is_still_svg, _is_plain])
def test_what_people_and_models_wrote_stays_text(is_still, shown_with):
    assert [place for place, value in shown_with.items() if not is_still(value)] == []
