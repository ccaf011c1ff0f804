"""`qualia findings`: what stands out among runs, for people, for programs, and for jobs that fail on it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from qualia_lab import console
from qualia_lab.cli import notes, options
from qualia_lab.counts import counted
from qualia_lab.errors import ForbiddenFinding
from qualia_lab.escaping import for_terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from qualia_lab.analysis.findings.finding import Finding, Severity
    from qualia_lab.analysis.headline import Headline
    from qualia_lab.generator import NotebookGenerator
    from qualia_lab.runs import Runs
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
        "qualia findings --traces --experiment support --since 7d --fail-on errors_began",
    ),
)
@options.tracking_uri
@options.selection_options
@options.study_options
@click.option(
    "--traces",
    "of_traces",
    is_flag=True,
    help="What stands out among traces, with runs or without: --filter and --order-by are those of `qualia traces`. "
    "Done by itself where there are traces and no runs.",
)
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
    of_traces: bool,
    limit: int | None,
    sets: tuple[str, ...],
    fail_on: tuple[str, ...],
    data_format: str | None,
    show_secrets: bool,
    redact: bool | None,
    content: bool | None,
) -> None:
    """Show what stands out among runs: which diverged, overfit, did not finish, used other data, and more.

    Among traces: errors that began at a time or with a version, versions that are slower or cost more, repeated calls
    of tools, judges that always say the same, and more.
    """
    from qualia_lab.analysis.findings import rule_faults
    from qualia_lab.analysis.findings.settings import chosen_thresholds, parse_settings
    from qualia_lab.cli.prompts import check_traces_alone
    from qualia_lab.settings import read_settings

    thresholds = _merged(dict(read_settings().study.findings), parse_settings(sets))
    chosen_thresholds(thresholds)  # validate before anything is read
    check_rules(fail_on)
    if of_traces:
        check_traces_alone(settings, engine=None, explain=False)
    generator = options.open_generator(tracking_uri, show_secrets=show_secrets, redact=redact, content=content)
    with console.waiting(f"reading {generator.tracking_uri}"):
        examined = _examine(generator, conditions, settings, thresholds, of_traces=of_traces)
    findings = examined.findings
    for sentence in examined.headline.sentences:
        console.sentence(sentence, is_message=data_format is not None)
    if data_format:
        _show_data(findings, data_format)
    else:
        console.show("")
        for finding in findings[: limit or SHOWN]:
            _show(finding)
        console.say(
            f"showing {min(len(findings), limit or SHOWN):,} of {counted(len(findings), 'finding')} "
            f"on {examined.of} in {generator.tracking_uri}"
        )
    notes.print_left_out(generator.store)
    examined.print_notes()
    for fault in rule_faults():
        console.say(for_terminal(str(fault)))
    refuse(forbidden(findings, fail_on))


@dataclass(frozen=True)
class _Examined:
    """What stands out; `of`: among how many runs or traces; `print_notes` prints what could not be read."""

    findings: tuple[Finding, ...]
    headline: Headline
    of: str
    print_notes: Callable[[], None]


def _examine(
    generator: NotebookGenerator,
    conditions: Conditions,
    settings: StudySettings,
    thresholds: dict[str, Any],
    *,
    of_traces: bool,
) -> _Examined:
    """Examine runs, or traces: where there are no runs, traces that the same conditions select."""
    from qualia_lab.errors import EmptyStore, NoRunMatches, QualiaLabError
    from qualia_lab.selection import Conditions
    from qualia_lab.study.settings import StudySettings

    if of_traces:
        return _examine_traces(generator, conditions, thresholds)
    try:
        return _examine_runs(generator, conditions, settings, thresholds)
    except (EmptyStore, NoRunMatches) as error:
        is_without_runs = isinstance(error, EmptyStore) or conditions.since is None
        only = Conditions(experiments=conditions.experiments, since=conditions.since)
        if not is_without_runs or conditions != only or settings != StudySettings():
            raise
        try:
            return _examine_traces(generator, conditions, thresholds)
        except QualiaLabError:
            raise error from None


def _examine_runs(
    generator: NotebookGenerator, conditions: Conditions, settings: StudySettings, thresholds: dict[str, Any]
) -> _Examined:
    from qualia_lab.runs import Runs

    selection = generator.choose(conditions, settings)
    tables = generator.read(selection)
    # The study leaves out what a rule reports: not without the rule.
    study = generator.describe(selection, replace(settings, findings=thresholds))
    runs = Runs(generator.store_of(selection), tables, study)
    findings, headline = runs.find(thresholds), runs.headline(**thresholds).headline
    of = counted(tables.runs.num_rows, "run")

    def print_notes() -> None:
        notes.print_notes(selection, tables)
        _print_other_traces(generator, conditions, runs)

    return _Examined(findings, headline, of, print_notes)


def _print_other_traces(generator: NotebookGenerator, conditions: Conditions, runs: Runs) -> None:
    """Say how many traces were not examined, because they belong to none of the runs; a server does not count them."""
    from qualia_lab.stores.protocol import ReadsGenAI

    store = generator.store
    if not isinstance(store, ReadsGenAI) or generator.tracking_uri.startswith("http"):
        return
    of_runs = runs.tables.experiments.column("experiment_id").to_pylist() if conditions.experiments else []
    others = sum(store.count_traces(of_runs).values()) - len(runs.traces)
    if others > 0:
        belong = "belongs" if others == 1 else "belong"
        console.say(f"{counted(others, 'trace')} {belong} to none of these runs: qualia findings --traces")


def _examine_traces(generator: NotebookGenerator, conditions: Conditions, thresholds: dict[str, Any]) -> _Examined:
    traces = generator.load_traces(generator.choose_traces(conditions))
    headline = traces.headline(**thresholds).headline
    of = counted(len(traces), "trace")
    return _Examined(traces.find(thresholds), headline, of, lambda: notes.print_problems(traces.tables.problems))


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
