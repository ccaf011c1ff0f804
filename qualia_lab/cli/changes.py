"""`qualia changes`: what changed between two notebooks or two snapshots."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from qualia_lab import console
from qualia_lab.cli import options
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from qualia_lab.analysis.changes import Changes

_WIDTH = 300  # characters of a sentence; --json has all of it


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
    """Say what changed from OLD to NEW: new and gone runs, who leads, findings that are new, gone or changed.

    Each is an executed notebook, or the folder of a snapshot.
    """
    from qualia_lab.analysis.changes import compare_results
    from qualia_lab.refresh.results import results_in

    with console.waiting(f"comparing {old.name} and {new.name}"):
        changes = compare_results(results_in(old), results_in(new))
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
    from qualia_lab.analysis.changes_sentences import count_findings, describe_findings, describe_lead, describe_runs

    lines = describe_runs(changes)
    if not dry_run:
        lines += [describe_lead(changes), count_findings(changes), *describe_findings(changes)]
    for line in lines:
        console.sentence(f"{line.label}: {one_line(line.text, _WIDTH)}", is_message=not to_stdout)
        if line.before:
            console.sentence(f"before: {one_line(line.before, _WIDTH)}", indent=4, is_message=not to_stdout)
    if dry_run:
        console.say("Findings and the headline are compared when the cells have run.")


def changes_as_data(changes: Changes) -> dict[str, Any]:
    """Return what changed as a JSON-compatible dict."""
    lead = changes.lead
    return {
        "since": changes.since,
        "runs": {
            "new": dict(changes.new_runs),
            "gone": dict(changes.gone_runs),
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
