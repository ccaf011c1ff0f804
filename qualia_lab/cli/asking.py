"""Which runs `qualia new` is about, said in a line; and the questions, where no flag says it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from qualia_lab import console
from qualia_lab.cli import options

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from qualia_lab.generator import NotebookGenerator
    from qualia_lab.query.explanation import Explanation
    from qualia_lab.selection import Conditions, Selection
    from qualia_lab.study.settings import StudySettings


def choose_runs(
    generator: NotebookGenerator,
    conditions: Conditions,
    settings: StudySettings,
    explain: Callable[[Explanation], object] | None,
) -> Selection:
    """The runs of these conditions; which they are is said."""
    with console.waiting(f"reading {generator.tracking_uri}"):
        selection = generator.choose(conditions, settings, explain=explain)
    say_selection(selection)
    return selection


def say_selection(selection: Selection) -> None:
    """`12 runs of churn, best val_auc first`; then how many that were named are not among them, and why."""
    from qualia_lab.conditions_text import count_in_words, order_in_words

    count = len(selection.run_ids) - selection.missing
    order = (order_in_words(selection.conditions) or "picked one by one") if count > 1 else ""
    console.say(", ".join(filter(None, (count_in_words(selection, count), order))))
    options.say_named(selection)


@dataclass(frozen=True)
class Answers:
    """What the questions gave.  run_it: whether to execute the notebook and to make a page of it."""

    generator: NotebookGenerator
    selection: Selection
    output: Path
    title: str | None
    run_it: bool


def ask(
    tracking_uri: str | None,
    conditions: Conditions,
    settings: StudySettings,
    explain: Callable[[Explanation], object] | None,
    *,
    output: Path | None,
    title: str | None,
    runs_it: bool,
    many: int,
) -> Answers:
    """The questions that no flag has answered; an order that a flag gave stays.

    runs_it: whether flags say what becomes of the notebook.  many: more runs than these are asked about.
    Raises NothingChosen where there is nobody to ask.
    """
    from qualia_lab.errors import NothingChosen

    if not console.is_interactive():
        raise NothingChosen(
            "There is no terminal to ask on, and no flag says which runs.",
            "Pass one of --experiment, --run, --filter, --where, --since, --status, --limit, --top with --by; "
            "--yes takes all.",
        )
    from qualia_lab.chooser import questions
    from qualia_lab.conditions_text import default_title
    from qualia_lab.generator import NotebookGenerator, default_output

    said: dict[str, Any] = {"output": output, "title": title, "run_it": False}

    def which_store(number: str) -> None:
        said["generator"] = NotebookGenerator(questions.choose_tracking_uri(number))

    def which_experiments(number: str) -> None:
        said["experiments"] = questions.choose_experiments(said["generator"].store, number)

    def which_runs(number: str) -> None:
        chosen = questions.choose_which(said["generator"].store, said["experiments"], number, many=many)
        if conditions.by is not None or conditions.order_by:
            chosen = replace(chosen, by=conditions.by, order_by=conditions.order_by)
        said["selection"] = choose_runs(said["generator"], chosen, settings, explain)

    def what_name(number: str) -> None:
        path, text = default_output(said["selection"]), title or default_title(said["selection"])
        said["output"], said["title"] = questions.choose_name(path, text, number)

    def to_run(number: str) -> None:
        said["run_it"] = questions.choose_to_run(number)

    asked = [which_experiments, which_runs]
    if tracking_uri is None:
        asked.insert(0, which_store)
    else:
        said["generator"] = NotebookGenerator(tracking_uri)
    asked += [what_name] if output is None else []
    asked += [] if runs_it else [to_run]
    questions.ask_in_turn(asked)
    return Answers(**{name: said[name] for name in ("generator", "selection", "output", "title", "run_it")})
