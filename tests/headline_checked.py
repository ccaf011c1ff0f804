"""What a headline may say, recomputed from the tables and the findings it summarises."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings.finding import number
from qualia_lab.study.statuses import UNFINISHED, statuses_of

if TYPE_CHECKING:
    from qualia_lab.analysis.headline import Headline

_VERBS = {
    "diverged": r"diverged",
    "non_finite": r"ha(?:s|ve) values that are not finite",
    "never_learned": r"never learned",
    "collapse": r"collapsed",
    "seed_collapse": r"(?:is|are) far behind (?:its|their) repeats",
    "not_computed": r"may have (?:a value that was|values that were) not computed",
    "overfitting": r"overfits?",
}
_SETTING = re.compile(r"[^\s(]+=[^\s;)]+")  # `lr=0.1` in the name of a configuration
_NUMBER = re.compile(r"(?<![\w/.…-])-?\d+(?:,\d{3})*(?:\.\d+)?(?:e[+-]?\d+)?(?![\w/])")
_CLAIMS = ("leads", "better by", "is better than", "has a better")


def faults_of(headline: Headline, findings, tables, study) -> list[str]:
    """What is wrong with a headline: a claim, a number, a count or a leader that no finding supports."""
    return [
        *_wrong_claims(headline, findings),
        *_wrong_numbers(headline, findings, len(study.configurations)),
        *_wrong_counts(headline, findings, tables, study),
        *_wrong_shape(headline),
    ]


def _answers(findings):
    return [one for one in findings if one.rule in ("best_configuration", "factor_effect")]


def _wrong_claims(headline, findings):
    """Something is called better only where a finding has the difference, and only its runs are named as leading."""
    proven = any(n.what in ("difference", "gain") for one in _answers(findings) for n in one.numbers)
    said = [
        text for text in headline.lead if any(claim in text for claim in _CLAIMS) and "No configuration" not in text
    ]
    faults = [f"claims without a difference: {text}" for text in said if not proven]
    runs = {run_id for one in _answers(findings) for run_id in one.run_ids}
    return faults + [f"names {run_id}" for run_id in headline.run_ids if run_id not in runs]


def _wrong_numbers(headline, findings, configurations):
    """Every number of the sentences is one of `numbers`, and these are numbers of a finding or sizes of it."""
    values = [n.value for one in _answers(findings) for n in one.numbers]
    known = {number(value) for value in values}
    faults = [f"{n.what} {n.value} is in no finding" for n in headline.numbers if number(n.value) not in known]
    allowed = {number(n.value) for n in headline.numbers} | {"95"}  # of intervals
    for text in headline.lead:
        for value in _NUMBER.findall(_SETTING.sub("", text)):
            # Whole numbers also count configurations or contexts.
            counts = value.replace(",", "").isdigit() and int(value.replace(",", "")) <= configurations
            if value not in allowed and not counts:
                faults.append(f"{value} in: {text}")
    return faults


def _wrong_counts(headline, findings, tables, study):
    """The counts of what went wrong are those of the statuses and of the runs of each finding."""
    status = {run_id: one for run_id, one in statuses_of(tables).items() if run_id not in study.continued}
    expected = {
        "failed": sum(one == "FAILED" for one in status.values()),
        r"(?:was|were) killed": sum(one == "KILLED" for one in status.values()),
        r"ha(?:s|ve) not finished": sum(one in UNFINISHED for one in status.values()),
    }
    for rule, verb in _VERBS.items():
        expected[verb] = len({run_id for one in findings if one.rule == rule for run_id in one.run_ids})
    said = headline.trouble.partition(". ")[0]
    faults = []
    for verb, count in expected.items():
        found = re.search(rf"([\d,]+) {verb}\b", said)
        alone = len(status) == 1 and re.search(rf"\b{verb}\b", said) is not None
        stated = int(found[1].replace(",", "")) if found else int(alone)
        if stated != count:
            faults.append(f"{stated} instead of {count} {verb}: {said}")
    return faults


def _wrong_shape(headline):
    """Sentences are complete, on one line and few."""
    faults = [f"no sentence: {text!r}" for text in headline.sentences if not re.fullmatch(r"[^\n]+[.]", text)]
    if not 1 <= len(headline.sentences) <= 6:
        faults.append(f"{len(headline.sentences)} sentences")
    return faults
