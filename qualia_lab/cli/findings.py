"""`qualia findings`: what stands out among runs, for people, for programs, and for jobs that fail on it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from qualia_lab import console
from qualia_lab.cli import options
from qualia_lab.counts import counted
from qualia_lab.errors import ForbiddenFinding
from qualia_lab.escaping import for_terminal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qualia_lab.analysis.findings.finding import Finding, Severity
    from qualia_lab.selection import Conditions
    from qualia_lab.study.settings import StudySettings

SHOWN = 10  # default number of findings printed
_SEVERITIES = {"problem": {"problem"}, "warning": {"problem", "warning"}, "note": {"problem", "warning", "note"}}
_COLOURS: dict[Severity, console.Colour] = {"problem": "red", "warning": "yellow", "note": "grey"}


@click.command(
    "findings",
    context_settings=options.SETTINGS,
    epilog=options.examples(
        "qualia findings --experiment churn",
        "qualia findings --experiment churn --top 20 --by val_auc --seeds trial",
        "qualia findings --since '7 days ago' --json",
        "qualia findings --experiment churn --fail-on diverged --fail-on non_finite",
        "qualia findings --set spikes.deviations=20 --set plateau=off --fail-on problem",
    ),
)
@options.tracking_uri
@options.selection_options
@options.study_options
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help=f"Show N findings. Default: {SHOWN}.")
@click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="RULE.THRESHOLD=NUMBER",
    help="A threshold of a rule, or RULE=off. Repeatable. Overrides [tool.qualia.findings] in pyproject.toml.",
)
@click.option(
    "--fail-on",
    "fail_on",
    multiple=True,
    metavar="RULE",
    help="Exit with code 55 when this rule finds something; also: problem, or warning (and worse). Repeatable.",
)
@options.privacy
@options.data_format
@options.show_secrets
@options.no_cache
@options.debug
def command(
    *,
    tracking_uri: str | None,
    conditions: Conditions,
    settings: StudySettings,
    limit: int | None,
    sets: tuple[str, ...],
    fail_on: tuple[str, ...],
    data_format: str | None,
    show_secrets: bool,
    redact: bool | None,
    content: bool | None,
) -> None:
    """Show what stands out among runs: which diverged, overfit, did not finish, used other data, and more."""
    from qualia_lab.analysis.findings import rule_faults
    from qualia_lab.analysis.findings.settings import chosen_thresholds, parse_settings
    from qualia_lab.runs import Runs
    from qualia_lab.settings import read_settings

    thresholds = _merged(dict(read_settings().study.findings), parse_settings(sets))
    chosen_thresholds(thresholds)  # validate before anything is read
    check_rules(fail_on)
    generator = options.open_generator(tracking_uri, show_secrets=show_secrets, redact=redact, content=content)
    with console.waiting(f"reading {generator.tracking_uri}"):
        selection = generator.choose(conditions, settings)
        tables = generator.read(selection)
        runs = Runs(generator.store_of(selection), tables, generator.describe(selection, settings))
        findings, headline = runs.find(thresholds), runs.headline(**thresholds).headline
    for sentence in headline.sentences:
        console.sentence(sentence, is_message=data_format is not None)
    if data_format:
        _show_data(findings, data_format)
    else:
        console.show("")
        for finding in findings[: limit or SHOWN]:
            _show(finding)
        console.say(
            f"showing {min(len(findings), limit or SHOWN):,} of {counted(len(findings), 'finding')} "
            f"on {counted(tables.runs.num_rows, 'run')} in {generator.tracking_uri}"
        )
    options.print_left_out(generator.store)
    options.print_notes(selection, tables)
    for fault in rule_faults():
        console.say(for_terminal(str(fault)))
    refuse(forbidden(findings, fail_on))


def _show(finding: Finding) -> None:
    """Print a finding after the sign of its severity, and below it what to do next."""
    from qualia_lab.analysis.findings.finding import SIGNS

    console.sentence(f"{finding.rule}: {finding.sentence}", SIGNS[finding.severity], _COLOURS[finding.severity], 2)
    if finding.next:
        console.sentence(f"next: {finding.next}", indent=4)


def _show_data(findings: Sequence[Finding], data_format: str) -> None:
    """Print the findings as JSON or CSV."""
    from qualia_lab.cli.output import show_csv, show_json
    from qualia_lab.runs.findings import COLUMNS, finding_rows

    rows = finding_rows(findings)
    if data_format == "json":
        show_json(rows)
        return
    for row in rows:
        for name in ("run_ids", "trace_ids"):
            row[name] = " ".join(row[name])
        row["steps"] = " ".join(map(str, row["steps"]))
        row["keys"] = json.dumps(row["keys"])
        del row["numbers"]
    show_csv([name for name in COLUMNS if name != "numbers"], rows)


def check_rules(fail_on: Sequence[str]) -> None:
    """Raise BadParameter for a value of --fail-on that is no rule and no severity."""
    from qualia_lab.analysis.findings import all_rules

    known = [*(rule.name for rule in all_rules()), *_SEVERITIES]
    for name in fail_on:
        if name not in known:
            raise click.BadParameter(f"{name!r} is none of {', '.join(known)}.", param_hint="--fail-on")


def rules_needed(fail_on: Sequence[str]) -> tuple[str, ...] | None:
    """The rules that have to be asked for --fail-on; None for all."""
    return None if any(name in _SEVERITIES for name in fail_on) else tuple(fail_on)


def forbidden(findings: Iterable[Finding], fail_on: Sequence[str]) -> tuple[Finding, ...]:
    """The findings of these rules, or at least as severe as one of these severities."""
    return tuple(
        finding
        for finding in findings
        if any(finding.rule == name or finding.severity in _SEVERITIES.get(name, ()) for name in fail_on)
    )


def refuse(findings: Sequence[Finding]) -> None:
    """Raise ForbiddenFinding if there are findings that --fail-on forbids."""
    if findings:
        rules = ", ".join(dict.fromkeys(finding.rule for finding in findings))
        raise ForbiddenFinding(
            f"{counted(len(findings), 'finding')} that --fail-on forbids: {rules}.",
            "Look at the runs, or set the thresholds of the rules: qualia findings --set, or [tool.qualia.findings].",
        )


def _merged(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Merge thresholds rule by rule; the second ones take precedence."""
    both = dict(first)
    for rule, settings in second.items():
        before = both.get(rule)
        both[rule] = {**before, **settings} if isinstance(before, dict) and isinstance(settings, dict) else settings
    return both
