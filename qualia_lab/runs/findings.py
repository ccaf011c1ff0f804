"""What stands out among the runs: findings as values and as a DataFrame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qualia_lab.analysis.findings import find_findings
from qualia_lab.analysis.findings.settings import chosen_thresholds
from qualia_lab.runs.evidence import take_evidence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from qualia_lab.analysis.findings.finding import Finding
    from qualia_lab.runs.loaded import Loaded

COLUMNS = (
    *("rule", "kind", "severity", "sentence", "next", "experiment", "run_ids", "keys", "steps", "numbers"),
    *("section", "code"),
)


def find(loaded: Loaded, thresholds: Mapping[str, Any]) -> tuple[Finding, ...]:
    """Find what stands out; `thresholds` take precedence over those of the study's settings.

    Raises:
        QualiaLabError: there is no such rule or threshold.
    """
    chosen = chosen_thresholds({**loaded.study.settings.findings, **thresholds})
    cache_key = ("findings", repr(sorted(thresholds.items())))
    return loaded.once(cache_key, lambda: _find(loaded, chosen))


def _find(loaded: Loaded, chosen: Mapping[str, Any]) -> tuple[Finding, ...]:
    evidence = take_evidence(loaded, chosen, None)
    findings = find_findings(evidence, chosen)
    loaded.answers.setdefault("diverged", evidence.diverged)  # tables then do not read the histories again
    return findings


def finding_table(findings: Sequence[Finding]) -> pd.DataFrame:
    """A row per finding; see `Runs.findings`."""
    import pandas as pd

    return pd.DataFrame(finding_rows(findings), columns=list(COLUMNS))


def finding_rows(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """A dict per finding with the keys of COLUMNS; its numbers are dicts of `what`, `run_id` and `value`."""
    return [
        {
            **{name: getattr(finding, name) for name in COLUMNS},
            "numbers": [{"what": n.what, "run_id": n.run_id, "value": n.value} for n in finding.numbers],
        }
        for finding in findings
    ]
