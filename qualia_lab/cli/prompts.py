"""Select the runs for `qualia new`: by flags, or by questions on a terminal if no flag selects any."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from qualia_lab import console
from qualia_lab.cli import notes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from qualia_lab.generator import NotebookGenerator
    from qualia_lab.query.explanation import Explanation
    from qualia_lab.selection import Conditions, Selection
    from qualia_lab.study.settings import StudySettings


def check_engine(engine: str | None, tracking_uri: str = "snapshot:") -> None:
    """Raise an error if an engine is named that cannot aggregate this store, see `engines.open.check_engine`."""
    if engine is not None:
        from qualia_lab.engines import open as engines

        engines.check_engine(engine, tracking_uri)


def choose_runs(
    generator: NotebookGenerator,
    conditions: Conditions,
    settings: StudySettings,
    explain: Callable[[Explanation], object] | None,
) -> Selection:
    """Select the runs that meet the conditions, and print which they are."""
    with console.waiting(f"reading {generator.tracking_uri}"):
        selection = generator.choose(conditions, settings, explain=explain)
    print_selection(selection)
    return selection


def choose_traces(generator: NotebookGenerator, conditions: Conditions) -> Selection:
    """Select the traces that meet the conditions, and print which they are."""
    from qualia_lab.conditions_text import choice_in_words
    from qualia_lab.genai_tables import TraceQuery

    with console.waiting(f"reading {generator.tracking_uri}"):
        selection = generator.choose_traces(conditions)
        count = generator.read_traces(selection.traces or TraceQuery()).traces.num_rows
    console.say(choice_in_words(selection, count))
    return selection


def check_traces_alone(settings: StudySettings, *, engine: str | None, explain: bool) -> None:
    """Raise an error for flags that a template of traces has no use for."""
    from qualia_lab.counts import and_more
    from qualia_lab.errors import SelectionError
    from qualia_lab.study.settings import settings_as_data

    given = [f"--{name.replace('_', '-')}" for name in settings_as_data(settings)]
    given += [flag for flag, is_given in (("--engine", engine is not None), ("--explain", explain)) if is_given]
    if given:
        verb = "is" if len(given) == 1 else "are"
        raise SelectionError(
            f"{and_more(given, len(given))} {verb} about runs, and this is about traces.",
            "Leave out what is about runs.",
        )


def print_selection(selection: Selection) -> None:
    """Print `12 runs of churn, best val_auc first`, then how many runs named by id are excluded, and why."""
    from qualia_lab.conditions_text import count_in_words, order_in_words

    count = len(selection.run_ids) - selection.missing
    order = (order_in_words(selection.conditions) or "picked one by one") if count > 1 else ""
    console.say(", ".join(filter(None, (count_in_words(selection, count), order))))
    notes.print_excluded(selection)


@dataclass(frozen=True)
class Answers:
    """The answers to the questions; `execute`: whether to run the notebook and export it as HTML."""

    generator: NotebookGenerator
    selection: Selection
    output: Path
    title: str | None
    execute: bool


def ask(
    tracking_uri: str | None,
    conditions: Conditions,
    settings: StudySettings,
    explain: Callable[[Explanation], object] | None,
    *,
    engine: str | None,
    output: Path | None,
    title: str | None,
    is_output_given: bool,
    confirm_above: int,
    redact: bool | None = None,
    content: bool | None = None,
) -> Answers:
    """Ask the questions that no flag has answered; an order given by a flag is kept.

    Args:
        tracking_uri: the store; None to ask for it.
        conditions: the conditions given by flags.
        settings: the settings of the study.
        explain: called with the explanation of the query, if any.
        engine: the engine that has to aggregate the store, if any.
        output: the notebook's path; None to ask for it.
        title: the notebook's title; None for the default.
        is_output_given: whether flags say what to do with the notebook, so that this is not asked.
        confirm_above: ask for confirmation if more runs than this are chosen.
        redact: as for `NotebookGenerator`.
        content: as for `NotebookGenerator`.

    Raises:
        NothingChosen: there is no terminal.
        EngineError: the engine cannot aggregate the store.
    """
    from qualia_lab.errors import NothingChosen

    if not console.is_interactive():
        raise NothingChosen(
            "There is no terminal to ask on, and no flag selects runs.",
            "Pass one of --experiment, --run, --filter, --where, --since, --status, --limit, --top with --by; "
            "--yes selects all.",
        )
    from qualia_lab.chooser import questions
    from qualia_lab.conditions_text import default_title
    from qualia_lab.generator import NotebookGenerator, default_output

    answers: dict[str, Any] = {"output": output, "title": title, "execute": False}

    def open_store(uri: str) -> None:
        answers["generator"] = NotebookGenerator(uri, redact=redact, content=content)
        check_engine(engine, answers["generator"].tracking_uri)

    def ask_store(number: str) -> None:
        open_store(questions.choose_tracking_uri(number))

    def ask_experiments(number: str) -> None:
        answers["experiments"] = questions.choose_experiments(answers["generator"].store, number)

    def ask_runs(number: str) -> None:
        chosen = questions.choose_run_conditions(
            answers["generator"].store, answers["experiments"], number, limit=confirm_above
        )
        if conditions.by is not None or conditions.order_by:
            chosen = replace(chosen, by=conditions.by, order_by=conditions.order_by)
        answers["selection"] = choose_runs(answers["generator"], chosen, settings, explain)

    def ask_name(number: str) -> None:
        path, text = default_output(answers["selection"]), title or default_title(answers["selection"])
        answers["output"], answers["title"] = questions.choose_name(path, text, number)

    def ask_to_execute(number: str) -> None:
        answers["execute"] = questions.choose_to_execute(number)

    questions_to_ask = [ask_experiments, ask_runs]
    if tracking_uri is None:
        questions_to_ask.insert(0, ask_store)
    else:
        open_store(tracking_uri)
    questions_to_ask += [ask_name] if output is None else []
    questions_to_ask += [] if is_output_given else [ask_to_execute]
    questions.ask_in_turn(questions_to_ask)
    return Answers(**{name: answers[name] for name in ("generator", "selection", "output", "title", "execute")})
