"""A real Chromium for tests, with the network off."""

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
    """The path of a Chromium: CHROMIUM in the environment, the machine's, else Playwright's own; None without one."""
    named = os.environ.get("CHROMIUM")
    found = [named] if named else [path for path in map(shutil.which, _NAMES) if path]
    if not found:
        from playwright.sync_api import sync_playwright

        with sync_playwright() as playwright:
            found = [playwright.chromium.executable_path]
    return next((path for path in found if Path(path).exists()), None)


@dataclass
class Opened:
    """A page that was opened, and what it did."""

    page: object
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)  # of the console, and exceptions

    @property
    def pwned(self) -> str | None:
        """What a hostile value's script leaves behind."""
        return self.page.evaluate("document.documentElement.getAttribute('data-pwned')")


@pytest.fixture(scope="session")
def chromium():
    """A headless Chromium for the session."""
    path = find_chromium()
    if path is None:
        missing("there is no Chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # As root Chromium has no sandbox; the pages of these tests are our own.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_offline(chromium):
    """Opens a file without a network: `open_offline(path, width=1280, scripts=True)` gives Opened."""
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
