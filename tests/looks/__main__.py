"""`python -m tests.looks`: pictures of the pages of the templates, at several numbers of runs, widths and colours.

Stores and pages that are in the folder already are used again, unless --again; pictures are always new:

    python -m tests.looks --out looks --templates observe debug --counts 12 --widths 1280 390
    python -m tests.looks --out looks --store ../shared/data/stores/omegaml/mlflow.sqlite --name omegaml
"""

from __future__ import annotations

import argparse
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from qualia_lab.notebook.template import template_names
from tests.browser import find_chromium
from tests.cli.command import QUALIA
from tests.looks.pictures import picture_page, picture_pdf
from tests.looks.stores import demo_store, genai_store

if TYPE_CHECKING:
    from collections.abc import Iterator

TEMPLATES = tuple(template_names())
# Their pages are of the store of `create-demo-runs --genai`, whatever the number of runs: demo runs have no traces.
GENAI = ("evaluate", "traces")
COUNTS = (1, 2, 12, 120, 1000)
WIDTHS = (390, 1280, 2560)
SCHEMES = ("light", "dark")


def main() -> None:
    """Parse, make the pages, take the pictures."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.looks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("looks"), help="the folder of stores, pages and pictures")
    parser.add_argument("--templates", nargs="+", choices=TEMPLATES, default=TEMPLATES)
    parser.add_argument("--counts", nargs="+", type=int, default=COUNTS, help="numbers of demo runs")
    parser.add_argument("--widths", nargs="+", type=int, default=WIDTHS, help="pixels")
    parser.add_argument("--schemes", nargs="+", choices=SCHEMES, default=SCHEMES)
    parser.add_argument("--store", help="a store instead of demo runs: a path or a tracking URI")
    parser.add_argument("--name", default="store", help="what the files of --store are named")
    parser.add_argument("--no-pdf", action="store_true", help="no PDF, which takes as long as the pictures")
    parser.add_argument("--again", action="store_true", help="make pages again that are in the folder already")
    asked = parser.parse_args()
    out = asked.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    pages = [
        page
        for name, uri, template in _wanted(asked, out / "stores")
        if (page := _make_page(uri, out, f"{name}-{template}", template, pdf=not asked.no_pdf, again=asked.again))
    ]
    _picture(pages, out / "pictures", asked.widths, asked.schemes)


def _wanted(asked: argparse.Namespace, stores: Path) -> Iterator[tuple[str, str, str]]:
    """The name of a store, its URI, and a template, for each page."""
    if asked.store:
        yield from ((asked.name, asked.store, template) for template in asked.templates)
        return
    of_runs = [template for template in asked.templates if template not in GENAI]
    for count in asked.counts if of_runs else ():
        uri = demo_store(stores, count)
        yield from ((f"{count}-runs", uri, template) for template in of_runs)
    for template in asked.templates:
        if template in GENAI:
            yield "genai", genai_store(stores), template


def _make_page(uri: str, out: Path, name: str, template: str, *, pdf: bool, again: bool) -> Path | None:
    """The exported page of the runs, or None if the command refused; its output is shown."""
    path = out / "pages" / f"{name}.html"
    if path.exists() and (path.with_suffix(".pdf").exists() or not pdf) and not again:
        return path
    engine = []
    if template == "aggregate":
        snapshot = f"{out}/snapshots/{name}"
        _run("snapshot", uri, snapshot, "--force")
        uri, engine = f"snapshot:{snapshot}", ["--engine", "duckdb"]
    formats = "html,pdf" if pdf else "html"
    since = time.monotonic()
    made = ("--template", template, "--output", path.with_suffix(".ipynb"), "--to", formats, "--force", "--yes")
    _run("new", "--tracking-uri", uri, *engine, *made)
    if not path.exists():
        return None
    sizes = ", ".join(
        f"{one.suffix} {one.stat().st_size / 1e6:.2f} MB" for one in sorted(path.parent.glob(f"{name}.*"))
    )
    print(f"{name}: {time.monotonic() - since:.0f} s, {sizes}", flush=True)
    return path


def _run(*arguments: object) -> None:
    subprocess.run([*QUALIA, *map(str, arguments)], check=False)


def _picture(pages: list[Path], folder: Path, widths: list[int], schemes: list[str]) -> None:
    """Pictures of all pages with one browser."""
    from playwright.sync_api import sync_playwright

    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        for page in pages:
            for width in widths:
                for scheme in schemes:
                    picture_page(browser, page, folder, width=width, scheme=scheme)
            pdf = page.with_suffix(".pdf")
            if pdf.exists():
                picture_pdf(pdf, folder)
        browser.close()


if __name__ == "__main__":
    main()
