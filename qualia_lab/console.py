"""The only writer to stdout and stderr: what is said, what is shown, what is asked, and the exit code.

stdout is data (`show`, `table`), stderr is talk (`say`, `step`, `progress`, `ask`). A caller puts strings of a store
through `escaping.for_terminal`; here every text is cleaned once more, and rid of the secrets of the tracking URI.

Exit codes: 0 done, 2 wrong usage, 70 a bug of ours, 130 interrupted, 141 nobody reads stdout any more, 143
terminated; the others stand with their errors in `qualia_lab.errors`.
"""

from __future__ import annotations

import os
import re
import sys
import threading
import time
import traceback
import unicodedata
import warnings
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, NoReturn, TextIO

import click

from qualia_lab.console_table import Column, lay_out, wrap
from qualia_lab.errors import FilterError, NothingChosen, QualiaLabError
from qualia_lab.escaping import for_terminal, visible
from qualia_lab.interruptions import Terminated, raise_on_sigterm
from qualia_lab.stores.uri import TrackingUri, split_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from rich.progress import Progress

SECOND = 1.0  # before a person is told that something is being read, or a pipe that the command is at work
PATIENCE = 0.5  # seconds before a progress bar is worth its flicker

Colour = Literal["red", "yellow", "grey"]
_COLOURS: Mapping[Colour, str] = {"red": "1;31", "yellow": "1;33", "grey": "2"}

_SECRET_VARIABLES = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "DATABRICKS_TOKEN")

_uris: list[TrackingUri] = []
_debug = False
_waiting_for: list[str] = []  # what is waited for, the innermost last
_spoken = threading.Event()  # something was written


def run(command: Callable[[], object]) -> NoReturn:
    """Run a command line and exit; whatever it raises becomes one sentence, a hint, and an exit code."""
    raise_on_sigterm()
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character shows its code; it never ends a command.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # what a library tells its programmers is not for who runs a command
    keep_secrets_of(os.environ.get("MLFLOW_TRACKING_URI", ""), *sys.argv[1:])
    secrets = tuple(filter(None, (os.environ.get(name) for name in _SECRET_VARIABLES)))
    _uris.append(TrackingUri(safe="", full="", secrets=secrets))
    first_word = threading.Timer(SECOND, _say_first_word)
    first_word.daemon = True
    if not (sys.stderr is not None and sys.stderr.isatty()):
        first_word.start()
    code = _exit_code_of(command)
    first_word.cancel()
    sys.exit(code)


def _say_first_word() -> None:
    """What a pipe or a log is told once, when a command has not said a word for a second."""
    if not _spoken.is_set():
        say(f"{_waiting_for[-1] if _waiting_for else 'starting'} ...")


def keep_secrets_of(*uris: str) -> None:
    """From now on nothing that is said holds a secret of these tracking URIs; other words are passed over."""
    for text in uris:
        uri = split_uri(text.partition("=")[2] if text.startswith("--") else text)
        if uri.secrets:
            _uris.append(uri)


def debug() -> None:
    """From now on an error comes with its traceback."""
    global _debug  # noqa: PLW0603  one process is one command line
    _debug = True


def show(text: str) -> None:
    """Write data to stdout and end the line: as it is to a program, made visible to a person."""
    _write(sys.stdout, visible(text) if sys.stdout.isatty() else text)


def say(text: str = "") -> None:
    """Say something to the person, on stderr."""
    _write(sys.stderr, _clean(text))


def fail(error: Exception) -> int:
    """Say what went wrong and what to do next; return the exit code.

    An exception that is no QualiaLabError is a bug of ours, and said to be one.
    """
    if not isinstance(error, QualiaLabError):
        what = for_terminal(f"{type(error).__name__}: {error}")
        error = QualiaLabError(
            f"This is a bug in qualia-lab: {what}",
            "Please report it" + (", with the traceback below." if _debug else "; --debug shows where it happened."),
        )
        error.exit_code = 70
    complain(error)
    if _debug:
        # Redacted whole first: a secret may hold a line break.
        for line in _clean(traceback.format_exc()).splitlines():
            say(f"    {line}")
    return error.exit_code


def complain(error: QualiaLabError) -> None:
    """Say what is wrong and what to do, in two lines; a filter is shown with a mark under the place.

    Further lines of the message, such as the source of a cell, follow indented: none can pass for a line of ours.
    """
    first, *more = _clean(error.message).splitlines() or [""]
    _say_labelled("error:", "1;31", first)
    for line in more:
        say(f"    {line.rstrip()}")
    if isinstance(error, FilterError) and error.text:
        before, after = _in_place(error.text[: error.position]), _in_place(error.text[error.position :])
        say(f"  {before}{after}")
        say(f"  {' ' * _width(before)}^")
    if error.hint:
        _say_labelled("hint:", "1;36", error.hint)


def is_interactive() -> bool:
    """Whether a person can be asked: the questions are seen and the answers are typed."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def ask(question: str, default: str = "") -> str:
    """Ask for one line; Enter gives the default, which may be any string of a store.

    Raises NothingChosen when there are no more answers.
    """
    shown = f" [{for_terminal(default)}]" if default else ""
    _write(sys.stderr, _clean(f"{question}{shown}: "), end="")
    try:
        # Not input(): that writes its prompt to stdout, which is data.
        line = sys.stdin.readline()
    except UnicodeDecodeError:
        line = "\n"
    if not line:
        say()
        raise NothingChosen("The questions ended before they were answered.", "Answer them, or pass flags: see --help.")
    return line.strip() or default


def confirm(question: str) -> bool:
    """Ask yes or no; Enter is no."""
    while True:
        answer = ask(f"{question} [y/N]").lower()
        if answer in ("", "n", "no"):
            return False
        if answer in ("y", "yes"):
            return True
        say("Answer y or n.")


@contextmanager
def step(text: str) -> Iterator[Callable[[str], None]]:
    """`text ..... outcome` on one line: the text at once, a dot for each half second, the outcome at the end."""
    outcomes: list[str] = []
    done = threading.Event()
    _write(sys.stderr, _clean(text) + " ...", end="")

    def dots() -> None:
        while not done.wait(PATIENCE):
            _write(sys.stderr, ".", end="")

    ticking = threading.Thread(target=dots, daemon=True)
    if sys.stderr.isatty():
        ticking.start()
    try:
        yield outcomes.append
    finally:
        done.set()
        if ticking.is_alive():
            ticking.join()
        say(f" {', '.join(outcomes)}" if outcomes else "")


@contextmanager
def waiting(text: str) -> Iterator[None]:
    """A line on a terminal once something takes over a second, with the seconds as they pass; gone at the end.

    Elsewhere it is the command's first word, where that has not said one for a second.
    """
    _waiting_for.append(text)
    try:
        with _ticking(text) if sys.stderr.isatty() else nullcontext():
            yield
    finally:
        _waiting_for.remove(text)


@contextmanager
def _ticking(text: str) -> Iterator[None]:
    """The line of `waiting` on a terminal."""
    done = threading.Event()
    started = time.monotonic()
    shown = _clean(text)

    def tell() -> None:
        pause = SECOND
        while not done.wait(pause):
            _write(sys.stderr, f"\r{shown} … {time.monotonic() - started:.0f} s", end="")
            pause = PATIENCE

    telling = threading.Thread(target=tell, daemon=True)
    telling.start()
    try:
        yield
    finally:
        done.set()
        telling.join()
        if time.monotonic() - started > SECOND:
            _write(sys.stderr, "\r\x1b[K", end="")


@contextmanager
def progress(label: str, unit: str = "") -> Iterator[Callable[[int, int], None]]:
    """A bar for something that is counted; yields `advance(done, total)`.

    It appears on a terminal and only when the work takes longer than PATIENCE; else its last state is said as a line.
    """
    bar = _bar(label, unit)
    started, counted = time.monotonic(), (0, 0)
    appears = threading.Timer(PATIENCE, bar.start)
    if sys.stderr.isatty():
        appears.start()
    _waiting_for.append(label)

    def advance(done: int, total: int) -> None:
        nonlocal counted
        counted = (done, total)
        bar.update(bar.task_ids[0], completed=done, total=total)

    try:
        yield advance
    finally:
        _waiting_for.remove(label)
        appears.cancel()
        if appears.ident:
            appears.join()
        if bar.live.is_started:
            bar.stop()
        elif any(counted):
            done, total = counted
            say(f"{label}  {done}/{total} {unit}  {time.monotonic() - started:.1f} s")


def _bar(label: str, unit: str) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    bar = Progress(
        TextColumn("{task.description} ", markup=False),
        BarColumn(bar_width=24),
        TextColumn(" {task.completed}/{task.total} {task.fields[unit]} ", markup=False),
        TextColumn("{task.elapsed:.1f} s", markup=False),
        console=Console(file=sys.stderr, highlight=False),
    )
    bar.add_task(_clean(label), unit=_clean(unit), total=0)
    return bar


def table(columns: Sequence[Column], rows: Iterable[Sequence[str]], *, talk: bool = False) -> None:
    """A table for people, on stdout or as talk on stderr: fitted to a terminal, which is told what is not in it.

    rows: strings of a store may stand in them as they are.
    """
    stream = sys.stderr if talk else sys.stdout
    cells = [[_clean(for_terminal(cell)) for cell in row] for row in rows]
    titled = [replace(column, title=_clean(for_terminal(column.title))) for column in columns]
    room = _room(stream)
    titles, lines, left_out = lay_out(titled, cells, room)
    if stream.isatty() and os.environ.get("TERM") != "dumb":
        titles = [f"\x1b[1m{line}\x1b[0m" for line in titles]
    _write(stream, "\n".join([*titles, *lines]))
    if left_out:
        them = "it" if len(left_out) == 1 else "them"
        said = f"Not shown, for want of room: {', '.join(left_out)}. A wider terminal has {them}."
        say("\n".join(wrap(said, room or len(said))))


def sentence(text: str, mark: str = "", colour: Colour | None = None, indent: int = 0) -> None:
    """Show a sentence after a mark; on a terminal the mark is coloured, and lines break between words.

    Args:
        text: strings of a store may stand in it as they are.
        mark: a sign or a heading word, which the sentence follows on the same line.
        colour: of the mark, where colours are wanted.
        indent: spaces before every line but the one with a mark; before all where there is none.
    """
    space = " " * indent
    begin = f"{mark} " if mark else space
    said, room = _clean(for_terminal(text)), _room(sys.stdout)
    lines = [begin + said] if room is None else wrap(begin + said, room, space)
    if mark and colour is not None and _coloured(sys.stdout):
        lines[0] = _paint(mark, _COLOURS[colour]) + lines[0][len(mark) :]
    _write(sys.stdout, "\n".join(lines))


def can_show(text: str) -> bool:
    """Whether the person's terminal has characters for this."""
    try:
        text.encode(sys.stderr.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def _exit_code_of(command: Callable[[], object]) -> int:
    try:
        command()
        sys.stdout.flush()
    except QualiaLabError as error:
        return fail(error)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        _write(sys.stderr, error.format_message())
        return error.exit_code
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        complain(QualiaLabError(error.format_message(), f"See {context.command_path} --help." if context else ""))
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        say("\ninterrupted")
        return 130
    except Terminated:
        say("\nterminated")
        return 143
    except BrokenPipeError:
        # The reader has what it wanted (`| head`). Python would complain once more when it flushes at exit.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        return fail(error)
    return 0


def _write(stream: TextIO, text: str, end: str = "\n") -> None:
    _spoken.set()
    stream.write(text + end)
    stream.flush()


def _clean(text: str) -> str:
    """The text without secrets and without anything that steers a terminal."""
    for uri in _uris:
        text = uri.redact(text)
    return visible(text)


def _say_labelled(label: str, colour: str, sentence: str) -> None:
    shown = _paint(label, colour) if _coloured(sys.stderr) else label
    _write(sys.stderr, f"{shown} {for_terminal(_clean(sentence))}")


def _coloured(stream: TextIO) -> bool:
    """Whether it is a terminal whose user wants colours."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _paint(text: str, codes: str) -> str:
    return f"\x1b[{codes}m{text}\x1b[0m"


def _room(stream: TextIO) -> int | None:
    """How many columns of text a terminal has, or COLUMNS says that it has; None for what is no terminal."""
    if not stream.isatty():
        return None
    said = os.environ.get("COLUMNS", "")
    return int(said) if said.isdecimal() and int(said) else os.get_terminal_size(stream.fileno()).columns or 80


def _in_place(text: str) -> str:
    """The text on one line, every character still where it was."""
    return visible(re.sub(r"\s", " ", text))


def _width(text: str) -> int:
    """How many columns of a terminal the text takes."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )
