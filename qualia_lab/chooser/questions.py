"""The questions, in turn: which store, which experiments, which runs, what name, and whether to run it.

What is wrong is said and asked again; `back` asks the question before, `?` says what can be answered.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qualia_lab import console
from qualia_lab.chooser.choice import narrow, parse_choice
from qualia_lab.chooser.listing import ExperimentListing, RunListing
from qualia_lab.counts import counted
from qualia_lab.errors import EmptyStore, OutputNotWritable, QualiaLabError, StoreError
from qualia_lab.escaping import for_terminal
from qualia_lab.selection import Conditions, Query
from qualia_lab.stores.open import find_tracking_uri, open_store
from qualia_lab.stores.protocol import find_experiments
from qualia_lab.stores.uri import split_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qualia_lab.chooser.listing import Listing
    from qualia_lab.stores.protocol import TrackingStore

SHOWN = 30  # rows of a list at a time: a terminal's height

Help = tuple[tuple[str, str], ...]  # what can be answered, and what that does

_ALWAYS: Help = (
    ("Enter", "what stands in brackets"),
    ("back", "the question before"),
    ("Ctrl-C", "ends the questions; nothing is written"),
)
_STORE: Help = (
    ("sqlite:///mlflow.db", "a SQLite file; its path alone will do"),
    ("mlruns", "the path of a folder of files"),
    ("http://localhost:5000", "an MLflow server; also postgresql://…, mysql://…, snapshot:PATH"),
)
_LIST: Help = (
    ("1,3-5", "these of the list"),
    ("all", "all of the list, also what was not shown yet"),
    ("text", "only what has this text; / alone is the whole list again, and /7 looks for the text 7"),
    ("more", f"the next {SHOWN} of the list"),
)
_SORT: Help = (("sort", "the best by the main metric first; once more, newest first"),)


class GoBack(Exception):
    """The answer was `back`."""


def ask_in_turn(questions: Sequence[Callable[[str], None]]) -> None:
    """Ask each of the questions, which is told its number, `2/5`; `back` asks the one before it again."""
    place = 0
    while place < len(questions):
        try:
            questions[place](f"{place + 1}/{len(questions)}")
        except GoBack:
            if place == 0:
                console.say("This is the first question.")
            place = max(0, place - 1)
        else:
            place += 1
        if place < len(questions):
            console.say()


def choose_tracking_uri(number: str) -> str:
    """Ask which store; the answer is one that can be read and holds an experiment."""
    console.say(f"{number}  Which tracking store?")
    try:
        found, why = find_tracking_uri()
    except StoreError:
        found, why = "", ""
    shown = split_uri(found).safe
    question = (
        f"     tracking URI or path, {why}" if found else "     tracking URI or path, for example sqlite:///mlflow.db"
    )
    while True:
        answer = _answer_to(question, shown, _STORE)
        # The default is shown without its secrets and used with them.
        uri = found if answer == shown else answer
        console.redact_secrets_of(uri)
        if not uri:
            console.say("There is nothing here to take by itself: type where the runs are.")
            continue
        try:
            store = open_store(uri)
            with console.waiting(f"reading {store.uri}"):
                _must_hold_experiments(store)
        except QualiaLabError as error:
            console.print_error(error)
        else:
            return uri


def choose_experiments(store: TrackingStore, number: str) -> tuple[ExperimentListing, tuple[int, ...]]:
    """Ask which experiments: those of the store, and the positions of the chosen ones, of which one has a run."""
    with console.waiting(f"reading {store.uri}"):
        experiments = ExperimentListing(store.read_experiments())
    console.say(f"{number}  Which experiments?")
    while True:
        chosen = choose_from(experiments, default="1")
        ids = tuple(experiments.ids[position] for position in chosen)
        if store.read_runs(Query(experiment_ids=ids, limit=1)).num_rows:
            return experiments, chosen
        names = ", ".join(experiments.names[position] for position in chosen)
        console.say(f"No run is in {for_terminal(names)}: choose another.")


def choose_which(
    store: TrackingStore, of: tuple[ExperimentListing, tuple[int, ...]], number: str, *, many: int
) -> Conditions:
    """Ask which runs; where all are wanted, none of them is named.

    of: what `choose_experiments` gave.  many: so many runs are taken without another question.
    """
    experiments, chosen = of
    names = {experiments.ids[position]: experiments.names[position] for position in chosen}
    with console.waiting(f"reading {store.uri}"):
        table = store.read_runs(Query(experiment_ids=tuple(names)))
    runs = RunListing(store, table, names)
    console.say(f"{number}  Which runs? {counted(len(runs.ids), 'run')}, newest first")
    wanted = choose_from(runs, default="all")
    while len(wanted) > many and not _is_yes(f"     {counted(len(wanted), 'run')}, go on?", default=False):
        wanted = choose_from(runs, default="all")
    if len(wanted) == len(runs.ids):
        return Conditions(experiments=tuple(experiments.words[position] for position in chosen), by=runs.by)
    return Conditions(run_ids=tuple(runs.ids[position] for position in wanted))


def choose_name(output: Path, title: str, number: str) -> tuple[Path, str]:
    """Ask for the notebook's file and title; a file that cannot be one is asked for again."""
    console.say(f"{number}  What name?")
    while True:
        answer = Path(_answer_to("     file", str(output), (("notebooks/mine", "a path; .ipynb is added"),)))
        try:
            path = notebook_path(answer.expanduser())
        except OutputNotWritable as error:
            console.print_error(error)
        else:
            return path, _answer_to("     title", title, (("My own title", "any text"),))


def choose_to_run(number: str) -> bool:
    """Ask whether to run the notebook and to make a page of it; Enter is yes."""
    return _is_yes(f"{number}  Run it now and make a page?", default=True)


def notebook_path(path: Path) -> Path:
    """The path with `.ipynb` at its end. Raises OutputNotWritable for a folder, or for another kind of file."""
    if path.is_dir():
        raise OutputNotWritable(f"{path} is a folder.", f"Name a file in it, for example {path / 'runs.ipynb'}.")
    if path.suffix not in ("", ".ipynb"):
        raise OutputNotWritable(f"{path} does not end in .ipynb.", "Name a notebook; --to html makes the other file.")
    return path.with_suffix(".ipynb")


def choose_from(listing: Listing, default: str) -> tuple[int, ...]:
    """Show a list page by page and ask until the answer chooses items of it; text narrows it, `sort` sorts it."""
    matching: Sequence[int] = listing.order
    shown = _show_page(listing, matching, 0)
    while True:
        answer = _answer_to(
            "     1,3-5, all, text to narrow, or ? for help", default, _LIST + (_SORT if listing.can_sort else ())
        )
        try:
            if answer.lower() == "more":
                shown = _show_page(listing, matching, shown)
                continue
            if answer.lower() == "sort" and listing.can_sort:
                kept = set(matching)
                console.say(f"     {for_terminal(listing.sort())}")
                matching = [position for position in listing.order if position in kept]
                shown = _show_page(listing, matching, 0)
                continue
            choice = parse_choice(answer, len(matching), shown)
        except QualiaLabError as error:
            console.print_error(error)
            continue
        if not isinstance(choice, str):
            return tuple(matching[index] for index in choice)
        found = set(narrow(choice, listing.texts))
        if found:
            matching = [position for position in listing.order if position in found]
            shown = _show_page(listing, matching, 0)
        else:
            console.say(f"Nothing in the list has {for_terminal(choice)}.")


def _show_page(listing: Listing, matching: Sequence[int], begin: int) -> int:
    """Show the next page of a list; how many of its items were shown by then."""
    shown = min(begin + SHOWN, len(matching))
    if begin == shown:
        console.say("     That was the whole list.")
        return shown
    listing.show(matching[begin:shown], begin + 1)
    if shown < len(matching):
        console.say(f"     showing {begin + 1} to {shown} of {len(matching):,}; type more for the next, text to narrow")
    return shown


def _answer_to(question: str, default: str, can: Help) -> str:
    """Ask for one line; `?` says what can be answered. Raises GoBack for `back`."""
    while True:
        answer = console.ask(question, default=default)
        if answer == "?":
            lines = (*can, *_ALWAYS)
            width = max(len(word) for word, _ in lines)
            for word, what in lines:
                console.say(f"       {word:{width}}  {what}")
        elif answer.lower() == "back":
            raise GoBack
        else:
            return answer


def _is_yes(question: str, *, default: bool) -> bool:
    """Ask yes or no. Raises GoBack for `back`."""
    shown = "Y/n" if default else "y/N"
    while True:
        answer = _answer_to(question, shown, (("y", "yes"), ("n", "no"))).lower()
        if answer in ("y", "yes", "n", "no", shown.lower()):
            return default if answer == shown.lower() else answer.startswith("y")
        console.say("Answer y or n.")


def _must_hold_experiments(store: TrackingStore) -> None:
    with store:
        if not find_experiments(store).num_rows:
            raise EmptyStore(f"{store.uri} holds no experiment.", "Point at the store that your training logs to.")
