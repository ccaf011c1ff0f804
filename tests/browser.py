"""A real Chromium for tests, without network."""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from .servers import missing

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def find_chromium() -> str | None:
    """The path of a Chromium: CHROMIUM in the environment, an installed one, else Playwright's; None if there is none."""
    named = os.environ.get("CHROMIUM")
    found = [named] if named else [path for path in map(shutil.which, _NAMES) if path]
    if not found:
        from playwright.sync_api import sync_playwright

        with sync_playwright() as playwright:
            found = [playwright.chromium.executable_path]
    return next((path for path in found if Path(path).exists()), None)


@dataclass
class Opened:
    """An opened page, with its requests and console messages."""

    page: object
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)  # console messages and exceptions

    @property
    def pwned(self) -> str | None:
        """The mark that a script in a hostile value would leave."""
        return self.page.evaluate("document.documentElement.getAttribute('data-pwned')")


@pytest.fixture(scope="session")
def chromium():
    """A headless Chromium for the session."""
    path = find_chromium()
    if path is None:
        missing("there is no Chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # As root, Chromium has no sandbox; the tests only open their own pages.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_offline(chromium):
    """Open a file without network: `open_offline(path, width=1280, scripts=True)` returns Opened."""
    with contextlib.ExitStack() as stack:

        def opened(path: Path, *, width: int = 1280, scripts: bool = True) -> Opened:
            context = chromium.new_context(
                viewport={"width": width, "height": 1000}, offline=True, java_script_enabled=scripts
            )
            stack.callback(context.close)
            result = Opened(context.new_page())
            result.page.on("request", lambda request: result.requests.append(request.url))
            result.page.on("console", lambda message: result.complaints.append(message.text))
            result.page.on("pageerror", lambda error: result.complaints.append(str(error)))
            result.page.goto(path.as_uri())
            return result

        yield opened
