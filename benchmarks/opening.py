"""Measure how long a page takes to open in headless Chromium, and to answer a choice of a run: one JSON per turn."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.browser import find_chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_CHOICES = 5
# The rows of runs are chosen one after the other; style and layout are done when a size is known.
_CHOOSE = """(count) => {
  const rows = [...document.querySelectorAll("tbody tr[data-runs]")];
  const times = [];
  for (let choice = 0; choice < count; choice++) {
    const start = performance.now();
    rows[Math.floor((choice * rows.length) / count)].click();
    document.querySelector(".panel path").getBoundingClientRect();
    times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[Math.floor(count / 2)] / 1000;
}"""


def main(path: str, turns: str) -> None:
    """Open the page several times, each in a new context of one browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        for _ in range(int(turns)):
            print(json.dumps(_open(browser, Path(path).resolve().as_uri())), flush=True)
        browser.close()


def _open(browser: Browser, uri: str) -> dict[str, dict[str, float]]:
    """Wall-clock and CPU seconds of the page's process, until its first curve is laid out; and of a choice."""
    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 1000})
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Performance.enable")
    used, started = _process_time(session), time.perf_counter()
    page.goto(uri)
    page.locator("#curves figure.chart path.line").first.scroll_into_view_if_needed()
    opened = {"wall": time.perf_counter() - started, "cpu": _process_time(session) - used}
    used = _process_time(session)
    wall = page.evaluate(_CHOOSE, _CHOICES)
    chosen = {"wall": wall, "cpu": (_process_time(session) - used) / _CHOICES}
    context.close()
    return {"open": opened, "choose": chosen}


def _process_time(session: Any) -> float:
    metrics = session.send("Performance.getMetrics")["metrics"]
    return next(float(one["value"]) for one in metrics if one["name"] == "ProcessTime")


if __name__ == "__main__":
    main(*sys.argv[1:])
