"""Pages and Markdown of evaluations and traces in which every text is hostile: nothing is executed or requested."""

from __future__ import annotations

import re
import shutil

import pytest

from qualia_lab import NotebookGenerator
from qualia_lab.notebook.export import export_notebook
from qualia_lab.selection import Conditions

from .hostile_genai import make_hostile
from .notebook.test_formats import assert_is_still
from .promises.test_hostile_values import values  # noqa: F401 - a fixture
from .test_notebooks import executed

pytestmark = pytest.mark.usefixtures("quick_kernels")

TEMPLATES = ("evaluate", "traces")


@pytest.fixture(scope="module")
def hostile_notebooks(genai_demo, values, made_once):  # noqa: F811
    """A folder with an executed notebook of each template, its page and its Markdown."""

    def fill(folder):
        store = shutil.copy(genai_demo, folder / "mlflow.db")
        make_hostile(folder / "mlflow.db", list(values.values()))
        with NotebookGenerator(f"sqlite:///{store}") as generator:
            for template in TEMPLATES:
                traces = template == "traces"
                selection = generator.choose_traces(Conditions.of()) if traces else generator.select()
                plan = generator.plan(selection, template=template)
                path = folder / f"{template}.ipynb"
                generator.make(plan, path, formats=["html"])
                export_notebook(path, ["md"])

    return made_once("hostile-genai", fill)


@pytest.mark.browser
@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_nothing_in_a_page_of_hostile_traces_is_executed(hostile_notebooks, open_offline, template, width, scheme):
    executed(hostile_notebooks / f"{template}.ipynb")
    page = hostile_notebooks / f"{template}.html"
    opened = open_offline(page, width=width)
    opened.page.emulate_media(color_scheme=scheme)
    opened.page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    opened.page.wait_for_timeout(500)
    assert opened.pwned is None
    assert opened.page.url == page.as_uri()
    assert opened.requests == [page.as_uri()]
    assert opened.complaints == []
    assert opened.page.locator("h1").count() == 1
    assert len(re.findall(r"<script|onerror=|javascript:", opened.page.locator("main").inner_text())) > 3, "as text"
    assert opened.page.locator("iframe, object, form, main a[href]:not([href^='#'])").count() == 0
    assert opened.page.locator("script:not([type='application/json'])").count() == 1  # the page's own
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("template", TEMPLATES)
def test_markdown_of_hostile_traces_is_still(hostile_notebooks, template):
    assert_is_still((hostile_notebooks / f"{template}.md").read_text(encoding="utf-8"), f"{template}_files/")
