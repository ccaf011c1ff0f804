"""What stands out among the runs: findings as values and as a DataFrame, and the headline that summarises them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qualia_lab.analysis.findings import find_findings
from qualia_lab.analysis.findings.settings import chosen_thresholds
from qualia_lab.analysis.headline import headline_of
from qualia_lab.collection import collection_paused
from qualia_lab.runs.answers import answers
from qualia_lab.runs.evidence import KEPT, take_evidence
from qualia_lab.study.left_out import names_of
from qualia_lab.study.statuses import statuses_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from qualia_lab.analysis.findings.finding import Finding
    from qualia_lab.analysis.headline import Headline
    from qualia_lab.runs.loaded import Loaded

COLUMNS = (
    *("rule", "kind", "severity", "sentence", "next", "experiment", "run_ids", "keys", "steps", "numbers"),
    *("section", "code", "trace_ids"),
)


def find(loaded: Loaded, thresholds: Mapping[str, Any]) -> tuple[Finding, ...]:
    """Find what stands out; `thresholds` take precedence over those of the study's settings.

    Raises:
        QualiaLabError: there is no such rule or threshold.
    """
    chosen = chosen_thresholds({**loaded.study.settings.findings, **thresholds})
    cache_key = ("findings", repr(sorted(thresholds.items())))
    return loaded.once(cache_key, lambda: _find(loaded, chosen))


@collection_paused()
def _find(loaded: Loaded, chosen: Mapping[str, Any]) -> tuple[Finding, ...]:
    evidence = take_evidence(loaded, chosen, None)
    findings = find_findings(evidence, chosen)
    loaded.answers.pop(KEPT, None)  # it is large, and what follows needs only what is cached below
    # Tables, charts and the headline then do not read the histories and compare the configurations again.
    if loaded.answers.setdefault("diverged", evidence.diverged) == evidence.diverged:
        loaded.answers.setdefault("answers", evidence.answers)
    return findings


def headline(loaded: Loaded, thresholds: Mapping[str, Any]) -> Headline:
    """The headline of these findings.

    Raises:
        QualiaLabError: there is no such rule or threshold.
    """
    findings = find(loaded, thresholds)
    names, statuses = names_of(loaded.tables), statuses_of(loaded.tables)
    return headline_of(loaded.study, findings, answers(loaded), labels=loaded.labels, run_names=names, status=statuses)


def finding_table(findings: Sequence[Finding]) -> pd.DataFrame:
    """A row per finding; see `Runs.findings`."""
    import pandas as pd

    return pd.DataFrame(finding_rows(findings), columns=list(COLUMNS))


def finding_rows(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """A dict per finding with the keys of COLUMNS; its numbers are dicts of `what`, `run_id` and `value`."""
    return [
        {
            **{name: getattr(finding, name) for name in COLUMNS},
            "numbers": [{"what": one.what, "run_id": one.run_id, "value": one.value} for one in finding.numbers],
        }
        for finding in findings
    ]
