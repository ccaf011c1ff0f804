"""The four questions: which store, which experiments, which runs, what name. What is wrong is said and asked again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qualia_lab import console
from qualia_lab.chooser.choice import narrow, parse_choice
from qualia_lab.chooser.listing import ExperimentListing, RunListing
from qualia_lab.counts import counted
from qualia_lab.errors import EmptyStore, OutputNotWritable, QualiaLabError, SelectionError, StoreError
from qualia_lab.escaping import for_terminal
from qualia_lab.selection import Conditions, Query
from qualia_lab.stores.open import find_tracking_uri, open_store
from qualia_lab.stores.protocol import find_experiments
from qualia_lab.stores.uri import split_uri

if TYPE_CHECKING:
    from qualia_lab.chooser.listing import Listing
    from qualia_lab.stores.protocol import TrackingStore

SHOWN = 30  # rows of a list at a time: a terminal's height


def choose_tracking_uri() -> str:
    """Ask which store; the answer is one that can be read and holds an experiment."""
    console.say("1/4  Which tracking store?")
    try:
        found, why = find_tracking_uri()
    except StoreError:
        found, why = "", ""
    shown = split_uri(found).safe
    question = (
        f"     tracking URI or path, {why}" if found else "     tracking URI or path, for example sqlite:///mlflow.db"
    )
    while True:
        answer = console.ask(question, default=shown)
        # The default is shown without its secrets and used with them.
        uri = found if answer == shown else answer
        console.keep_secrets_of(uri)
        if not uri:
            console.say("There is nothing here to take by itself: type where the runs are.")
            continue
        try:
            _must_hold_experiments(open_store(uri))
        except QualiaLabError as error:
            console.complain(error)
        else:
            return uri


def choose_which(store: TrackingStore) -> Conditions:
    """Ask which experiments and which of their runs: the ids of experiments where all their runs are wanted."""
    experiments = ExperimentListing(store.read_experiments())
    console.say("\n2/4  Which experiments?")
    while True:
        chosen = choose_from(experiments, default="1")
        experiment_ids = [experiments.ids[position] for position in chosen]
        names = {experiments.ids[position]: experiments.names[position] for position in chosen}
        table = store.read_runs(Query(experiment_ids=tuple(experiment_ids)))
        if table.num_rows:
            break
        console.say(f"No run is in {for_terminal(', '.join(names.values()))}: choose another.")
    runs = RunListing(store, table, names)
    console.say(f"\n3/4  Which runs? {counted(len(runs.ids), 'run')}, newest first")
    wanted = choose_from(runs, default="all")
    if len(wanted) == len(runs.ids):
        return Conditions(experiments=tuple(experiment_ids))
    return Conditions(run_ids=tuple(runs.ids[position] for position in wanted))


def choose_name(output: Path, title: str) -> tuple[Path, str]:
    """Ask for the notebook's file and title; a file that cannot be one is asked for again."""
    console.say("\n4/4  What name?")
    while True:
        answer = Path(console.ask("     file", default=str(output))).expanduser()
        try:
            path = notebook_path(answer)
        except OutputNotWritable as error:
            console.complain(error)
        else:
            return path, console.ask("     title", default=title)


def notebook_path(path: Path) -> Path:
    """The path with `.ipynb` at its end. Raises OutputNotWritable for a folder, or for another kind of file."""
    if path.is_dir():
        raise OutputNotWritable(f"{path} is a folder.", f"Name a file in it, for example {path / 'runs.ipynb'}.")
    if path.suffix not in ("", ".ipynb"):
        raise OutputNotWritable(f"{path} does not end in .ipynb.", "Name a notebook; --to html makes the other file.")
    return path.with_suffix(".ipynb")


def choose_from(listing: Listing, default: str) -> tuple[int, ...]:
    """Show a list and ask until the answer chooses items of it; text narrows the list, `/` alone shows it whole."""
    matching = tuple(range(len(listing.texts)))
    show = True
    while True:
        if show:
            listing.show(matching[:SHOWN])
            if len(matching) > SHOWN:
                console.say(f"     showing {SHOWN} of {len(matching):,}; type text to narrow")
        answer = console.ask("     1,3-5, all, or text to narrow", default=default)
        show = False
        try:
            choice = parse_choice(answer, len(matching))
        except SelectionError as error:
            console.complain(error)
            continue
        if not isinstance(choice, str):
            return tuple(matching[index] for index in choice)
        narrowed = narrow(choice, listing.texts)
        if narrowed:
            matching, show = narrowed, True
        else:
            console.say(f"Nothing in the list has {for_terminal(choice)}.")


def _must_hold_experiments(store: TrackingStore) -> None:
    with store:
        if not find_experiments(store).num_rows:
            raise EmptyStore(f"{store.uri} holds no experiment.", "Point at the store that your training logs to.")
