"""The questions on a terminal: which store, experiments and runs, what name, and whether to execute.

After an invalid answer the question is repeated; `back` repeats the previous question, `?` lists the possible answers.
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

SHOWN = 30  # rows of a list shown at a time, to fit a terminal

Help = tuple[tuple[str, str], ...]  # possible answers, with what each does

_ALWAYS: Help = (
    ("Enter", "the default, in brackets"),
    ("back", "the previous question"),
    ("Ctrl-C", "quit; nothing is written"),
)
_STORE: Help = (
    ("sqlite:///mlflow.db", "a SQLite file; its path alone is enough"),
    ("mlruns", "the path of a folder with a file store"),
    ("http://localhost:5000", "an MLflow server; also postgresql://…, mysql://…, snapshot:PATH"),
)
_LIST: Help = (
    ("1,3-5", "these items of the list"),
    ("all", "all items of the list, including those not shown yet"),
    ("text", "show only items with this text; / alone shows the whole list again, and /7 searches for the text 7"),
    ("more", f"show the next {SHOWN} items"),
)
_SORT: Help = (("sort", "sort by the main metric, best first; again: newest first"),)


class GoBack(Exception):
    """The answer was `back`."""


def ask_in_turn(questions: Sequence[Callable[[str], None]]) -> None:
    """Ask each of the questions, passing it its number, `2/5`; `back` repeats the previous one."""
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
    """Ask for the store until the answer can be read and has an experiment."""
    console.say(f"{number}  Which tracking store?")
    try:
        default, origin = find_tracking_uri()
    except StoreError:
        default, origin = "", ""
    shown = split_uri(default).safe
    question = (
        f"     tracking URI or path, {origin}"
        if default
        else "     tracking URI or path, for example sqlite:///mlflow.db"
    )
    while True:
        answer = _answer_to(question, shown, _STORE)
        # The default is displayed without its secrets, but used with them.
        uri = default if answer == shown else answer
        console.redact_secrets_of(uri)
        if not uri:
            console.say("There is no default here: type a tracking URI or path.")
            continue
        try:
            store = open_store(uri)
            with console.waiting(f"reading {store.uri}"):
                _check_has_experiments(store)
        except QualiaLabError as error:
            console.print_error(error)
        else:
            return uri


def choose_experiments(store: TrackingStore, number: str) -> tuple[ExperimentListing, tuple[int, ...]]:
    """Ask for experiments until at least one of them has a run.

    Args:
        store: the store.
        number: the number of the question, `2/5`.

    Returns:
        The experiments of the store, and the positions of the chosen ones.
    """
    with console.waiting(f"reading {store.uri}"):
        experiments = ExperimentListing(store.read_experiments())
    console.say(f"{number}  Which experiments?")
    while True:
        chosen = choose_from(experiments, default="1")
        ids = tuple(experiments.ids[position] for position in chosen)
        if store.read_runs(Query(experiment_ids=ids, limit=1)).num_rows:
            return experiments, chosen
        names = ", ".join(experiments.names[position] for position in chosen)
        console.say(f"There is no run in {for_terminal(names)}: choose others.")


def choose_run_conditions(
    store: TrackingStore, from_experiments: tuple[ExperimentListing, tuple[int, ...]], number: str, *, limit: int
) -> Conditions:
    """Ask for the runs.

    Args:
        store: the store.
        from_experiments: the result of `choose_experiments`.
        number: the number of the question, `3/5`.
        limit: ask for confirmation if more runs than this are chosen.

    Returns:
        Conditions that name the experiments if all of their runs are chosen, else the runs.
    """
    experiments, chosen = from_experiments
    names = {experiments.ids[position]: experiments.names[position] for position in chosen}
    with console.waiting(f"reading {store.uri}"):
        table = store.read_runs(Query(experiment_ids=tuple(names)))
    words = tuple(experiments.word(position) for position in chosen)
    runs = RunListing(store, table, names, words)
    console.say(f"{number}  Which runs? {counted(len(runs.ids), 'run')}, newest first")
    positions = choose_from(runs, default="all")
    while len(positions) > limit and not _is_yes(f"     {counted(len(positions), 'run')}, go on?", default=False):
        positions = choose_from(runs, default="all")
    if len(positions) == len(runs.ids):
        return Conditions(experiments=words, by=runs.by)
    return Conditions(run_ids=tuple(runs.ids[position] for position in positions))


def choose_name(output: Path, title: str, number: str) -> tuple[Path, str]:
    """Ask for the notebook's file and title, until the file is possible."""
    console.say(f"{number}  What name?")
    while True:
        answer = Path(_answer_to("     file", str(output), (("notebooks/mine", "a path; .ipynb is added"),)))
        try:
            path = notebook_path(answer.expanduser())
        except OutputNotWritable as error:
            console.print_error(error)
        else:
            return path, _answer_to("     title", title, (("My own title", "any text"),))


def choose_to_execute(number: str) -> bool:
    """Ask whether to run the notebook and export it as HTML; the default is yes."""
    return _is_yes(f"{number}  Run it now and make a page?", default=True)


def notebook_path(path: Path) -> Path:
    """The path with the suffix `.ipynb`. Raises OutputNotWritable for a folder or another kind of file."""
    if path.is_dir():
        raise OutputNotWritable(f"{path} is a folder.", f"Name a file in it, for example {path / 'runs.ipynb'}.")
    if path.suffix not in ("", ".ipynb"):
        raise OutputNotWritable(f"{path} does not end in .ipynb.", "Name a notebook; --to html makes the other file.")
    return path.with_suffix(".ipynb")


def choose_from(listing: Listing, default: str) -> tuple[int, ...]:
    """Show a list page by page until the answer chooses items; text filters the list, and `sort` sorts it."""
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
                listed = set(matching)
                console.say(f"     {for_terminal(listing.sort())}")
                matching = [position for position in listing.order if position in listed]
                shown = _show_page(listing, matching, 0)
                continue
            choice = parse_choice(answer, len(matching), shown)
        except QualiaLabError as error:
            console.print_error(error)
            continue
        if not isinstance(choice, str):
            return tuple(matching[index] for index in choice)
        matches = set(narrow(choice, listing.texts))
        if matches:
            matching = [position for position in listing.order if position in matches]
            shown = _show_page(listing, matching, 0)
        else:
            console.say(f"Nothing in the list contains {for_terminal(choice)}.")


def _show_page(listing: Listing, matching: Sequence[int], begin: int) -> int:
    """Show the next page of a list; return how many of its items have been shown."""
    shown = min(begin + SHOWN, len(matching))
    if begin == shown:
        console.say("     That is the whole list.")
        return shown
    listing.show(matching[begin:shown], begin + 1)
    if shown < len(matching):
        console.say(f"     showing {begin + 1} to {shown} of {len(matching):,}; type more for the next, text to narrow")
    return shown


def _answer_to(question: str, default: str, answers: Help) -> str:
    """Ask for one line; `?` lists the possible answers. Raises GoBack for `back`."""
    while True:
        answer = console.ask(question, default=default)
        if answer == "?":
            lines = (*answers, *_ALWAYS)
            width = max(len(word) for word, _ in lines)
            for word, what in lines:
                console.say(f"       {word:{width}}  {what}")
        elif answer.lower() == "back":
            raise GoBack
        else:
            return answer


def _is_yes(question: str, *, default: bool) -> bool:
    """Ask a yes-or-no question. Raises GoBack for `back`."""
    shown = "Y/n" if default else "y/N"
    while True:
        answer = _answer_to(question, shown, (("y", "yes"), ("n", "no"))).lower()
        if answer in ("y", "yes", "n", "no", shown.lower()):
            return default if answer == shown.lower() else answer.startswith("y")
        console.say("Answer y or n.")


def _check_has_experiments(store: TrackingStore) -> None:
    with store:
        if not find_experiments(store).num_rows:
            raise EmptyStore(f"{store.uri} has no experiments.", "Use the store that your training logs to.")
