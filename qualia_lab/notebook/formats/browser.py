"""Print a page with an installed Chromium: headless, offline, with a temporary profile, within a time limit."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from qualia_lab.errors import ExportFailed
from qualia_lab.escaping import one_line
from qualia_lab.notebook.kernel_environment import kernel_environment

_SECONDS = 180
_NAMES = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"),
    *("msedge", "microsoft-edge", "microsoft-edge-stable"),
)
# Where they are installed without being on the path.
_PLACES = {
    "darwin": (
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
        "/Applications/Chromium.app/Contents/MacOS/Chromium",
        "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    ),
    "win32": (
        r"%ProgramFiles%\Google\Chrome\Application\chrome.exe",
        r"%ProgramFiles(x86)%\Google\Chrome\Application\chrome.exe",
        r"%LocalAppData%\Google\Chrome\Application\chrome.exe",
        r"%ProgramFiles(x86)%\Microsoft\Edge\Application\msedge.exe",
    ),
}
# No request reaches anything: no name is resolved, and what needs none meets a proxy that is not there.
_OFFLINE = (
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--proxy-server=127.0.0.1:9",
    "--proxy-bypass-list=<-loopback>",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--no-pings",
)


def find_browser() -> str | None:
    """Return the path of a Chromium, Chrome or Edge: CHROMIUM in the environment, else an installed one, else None."""
    named = os.environ.get("CHROMIUM")
    if named:
        return named if Path(named).exists() else None
    on_path = next(filter(None, map(shutil.which, _NAMES)), None)
    places = map(os.path.expandvars, _PLACES.get(sys.platform, ()))
    return on_path or next((place for place in places if Path(place).exists()), None)


def print_page(browser: str, page: str) -> bytes:
    """Return an HTML page as PDF, with an outline of its headings.

    Args:
        browser: the path of a Chromium.
        page: the HTML.

    Raises:
        ExportFailed: the browser failed, or took too long.
    """
    with tempfile.TemporaryDirectory(prefix="qualia-lab-print-", ignore_cleanup_errors=True) as folder:
        source, target = Path(folder, "page.html"), Path(folder, "page.pdf")
        source.write_text(page, encoding="utf-8", errors="replace")
        command = [
            browser,
            "--headless",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            *(["--no-sandbox"] if _is_root() else []),  # Chromium's sandbox refuses root; the page runs no other script
            f"--user-data-dir={Path(folder, 'profile')}",
            *_OFFLINE,
            "--no-pdf-header-footer",
            "--generate-pdf-document-outline",
            f"--print-to-pdf={target}",
            source.as_uri(),
        ]
        said = _run(command)
        if not target.is_file():
            raise ExportFailed(
                f"{browser} did not make the PDF: {one_line(said[-300:]) or 'it said nothing'}.",
                "Set CHROMIUM to another browser, or use --to html and print the page.",
            )
        return target.read_bytes()


def _run(command: list[str]) -> str:
    """Run a command to its end and return what it said; on a timeout or an interruption it and its children end."""
    process = subprocess.Popen(  # noqa: S603  the path of a browser, and flags
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=kernel_environment(os.environ, {}),
        start_new_session=True,
    )
    try:
        return process.communicate(timeout=_SECONDS)[1].decode("utf-8", "replace")
    except subprocess.TimeoutExpired as error:
        raise ExportFailed(
            f"{command[0]} did not make the PDF within {_SECONDS} seconds.", "Use --to html and print the page."
        ) from error
    finally:
        if process.poll() is None:
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL) if hasattr(os, "killpg") else process.kill()
            process.communicate()


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0
