"""`qualia changes`: what changed between two notebooks or two snapshots."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from qualia_lab import console
from qualia_lab.cli import options
from qualia_lab.counts import and_more, counted
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.analysis.changes import Changes, FindingResult

_NAMED = 8  # runs that a line names
_SHOWN = 12  # findings that are printed


@click.command(
    "changes",
    context_settings=options.SETTINGS,
    epilog=options.examples(
        "qualia changes notebooks/monday.ipynb notebooks/friday.ipynb",
        "qualia changes snapshots/monday snapshots/friday --json",
    ),
)
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option("--json", "is_json", is_flag=True, help="Print what changed as JSON, for programs.")
@options.debug
def command(old: Path, new: Path, is_json: bool) -> None:
    """Say what changed from OLD to NEW: runs that came and went, who leads, findings that are new, gone or changed.

    Each is an executed notebook, or the folder of a snapshot.
    """
    from qualia_lab.analysis.changes import compare_results
    from qualia_lab.refresh.said import said_by

    with console.waiting(f"comparing {old.name} and {new.name}"):
        changes = compare_results(said_by(old), said_by(new))
    if is_json:
        console.show(json.dumps(changes_as_data(changes), allow_nan=False, indent=1))
    elif changes.is_empty:
        console.show("Nothing changed that both of them say.")
    else:
        say_changes(changes, to_stdout=True)


def say_changes(changes: Changes, *, dry_run: bool = False, to_stdout: bool = False) -> None:
    """Print what changed as sentences.

    Args:
        changes: what changed.
        dry_run: whether the cells did not run, so that only runs were compared.
        to_stdout: whether the sentences are the output of the command, and not messages.
    """
    for sentence in _run_lines(changes):
        console.sentence(sentence, is_message=not to_stdout)
    if dry_run:
        console.say("Findings and the headline are compared when the cells have run.")
        return
    for line in (*_lead_lines(changes), *_finding_lines(changes)):
        first, *others = line
        console.sentence(first, is_message=not to_stdout)
        for other in others:
            console.sentence(other, indent=4, is_message=not to_stdout)


def changes_as_data(changes: Changes) -> dict[str, Any]:
    """Return what changed as a JSON-compatible dict."""
    lead = changes.lead
    return {
        "since": changes.since,
        "runs": {
            "new": dict(changes.came),
            "gone": dict(changes.went),
            "status": {run: {"before": then, "now": now} for run, (_, then, now) in changes.statuses.items()},
            "new_values": dict(changes.values),
        },
        "headline": None if lead is None else {"before": list(lead[0]), "now": list(lead[1])},
        "findings": None
        if not changes.findings_known
        else {
            "new": [asdict(one) for one in changes.new],
            "gone": [asdict(one) for one in changes.gone],
            "changed": [{"before": asdict(then), "now": asdict(now)} for then, now in changes.changed],
            "same": changes.same,
        },
    }


def _run_lines(changes: Changes) -> list[str]:
    lines = [
        f"{counted(len(runs), 'run')} {words}: {_names(list(runs.values()))}"
        for runs, words in ((changes.came, "new"), (changes.went, "no longer selected"))
        if runs
    ]
    lines += [f"{one_line(label, 60)} was {then} and is {now}" for label, then, now in changes.statuses.values()][
        :_SHOWN
    ]
    if changes.values:
        lines.append(f"{counted(len(changes.values), 'run')} with new values: {_names(list(changes.values.values()))}")
    return lines


def _names(labels: Sequence[str]) -> str:
    return and_more([one_line(label, 60) for label in labels], _NAMED)


def _lead_lines(changes: Changes) -> list[tuple[str, ...]]:
    if changes.lead is None:
        return [("Who leads was not compared: one of the two has no headline.",)]
    then, now = (" ".join(sentences) for sentences in changes.lead)
    return [(f"headline as before: {now}",)] if then == now else [(f"headline now: {now}", f"then: {then}")]


def _finding_lines(changes: Changes) -> list[tuple[str, ...]]:
    """Return the lines of each finding that changed, and one for those that did not."""
    if not changes.findings_known:
        return [("Findings were not compared: one of the two has none.",)]
    lines: list[tuple[str, ...]] = [(f"new finding: {_sentence(one)}",) for one in changes.new]
    lines += [(f"finding that is gone: {_sentence(one)}",) for one in changes.gone]
    lines += [
        (f"finding that changed: {_sentence(now)}", f"before: {_sentence(then)}") for then, now in changes.changed
    ]
    if len(lines) > _SHOWN:
        lines = [*lines[:_SHOWN], (f"and {len(lines) - _SHOWN:,} more findings that changed; --json has all",)]
    return [*lines, (f"{counted(changes.same, 'finding')} as before",)]


def _sentence(finding: FindingResult) -> str:
    return f"{finding.experiment}: {finding.sentence}" if finding.experiment else finding.sentence
