"""What stands out among the runs: as data, and as a person reads it."""

from __future__ import annotations

import math
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qualia_lab.analysis.findings import find_findings
from qualia_lab.analysis.findings.evidence import Evidence, model_keys
from qualia_lab.analysis.findings.failed_apart import values_of_failed
from qualia_lab.analysis.findings.pairs import curves_of, parted_candidates
from qualia_lab.analysis.findings.series import SeriesFacts, summarise
from qualia_lab.analysis.findings.settings import chosen_thresholds
from qualia_lab.runs.relations import Relations

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from qualia_lab.analysis.findings.finding import Finding
    from qualia_lab.charts.findings_card import FindingsCard

_MS_PER_S = 1000


class Findings(Relations):
    """Histories are read once for all rules, batch by batch; the few runs in which curves part are read again."""

    def findings(
        self, *, seeds: Sequence[str] | None = None, statuses: Sequence[str] | None = None, **thresholds: Any
    ) -> pd.DataFrame:
        """What stands out, a row per finding, the most important first: rule, severity, sentence and its evidence.

        seeds: the params that only repeat a configuration, by default seed, random_state, fold and the like.
        statuses: whose runs count in means; by default FINISHED, or all where no run finished.
        thresholds: by a rule's name what it takes, `spikes={"deviations": 20}`; `plateau=False` leaves a rule out.
        `code` is an expression over `runs` that recomputes the sentence's numbers, `section` the one that shows them.
        """
        import pandas as pd

        columns = ["rule", "severity", "sentence", "run_ids", "keys", "steps", "numbers", "section", "code"]
        rows = [
            {
                **{name: getattr(finding, name) for name in columns},
                "numbers": [{"what": n.what, "run_id": n.run_id, "value": n.value} for n in finding.numbers],
            }
            for finding in self.find(thresholds, seeds, statuses)
        ]
        return pd.DataFrame(rows, columns=columns)

    def show_findings(
        self,
        *,
        limit: int = 8,
        seeds: Sequence[str] | None = None,
        statuses: Sequence[str] | None = None,
        **thresholds: Any,
    ) -> FindingsCard:
        """What stands out, as sentences: the first `limit` in full, the rest folded; thresholds as in `findings`."""
        from qualia_lab.charts.findings_card import FindingsCard
        from qualia_lab.sections import SECTIONS

        titles = {name: section.title for name, section in SECTIONS.items()}
        return FindingsCard(self.find(thresholds, seeds, statuses), titles, len(self), limit)

    def history_summary(self, metric: str) -> pd.DataFrame:
        """A row per run that has the metric: how many points of which kind, first, last, best, spikes, and their steps.

        `best` is empty where the metric has no known direction. `bad_step` is the first step from which on every point
        is not finite, or above ten times the larger of the first and the lowest value; `noise` is the standard
        deviation of a point around its neighbours, by the MAD of the differences; `neumann` is von Neumann's ratio,
        about 2 in noise and near 0 in a smooth curve; `early_best` is the best value of the first half of the points.
        """
        import pandas as pd

        evidence = self._evidence({}, (metric,))
        known = evidence.greater_is_better.get(metric) is not None
        rows = [
            {
                "run": self._labels[one.run_id],
                "run_id": one.run_id,
                "points": one.points,
                "not_finite": one.nan + one.infinite,
                "odd_step": one.odd_step if one.nan + one.infinite else None,
                "first": one.first,
                "last": one.last,
                "last_step": one.last_step if math.isfinite(one.last) else None,
                "best": one.best if known else None,
                "best_step": one.best_step if known and math.isfinite(one.best) else None,
                "early_best": one.early_best if known else None,
                "bad_step": one.bad_step if one.bad_points else None,
                "noise": one.noise,
                "neumann": one.neumann,
                "spikes": one.spikes,
                "spike_step": one.spike_step if one.spikes else None,
                "spike_before": one.spike_before if one.spikes else None,
                "spike_value": one.spike_value if one.spikes else None,
                "spike_size": one.spike_size if one.spikes else None,
            }
            for one in evidence.histories(metric)
        ]
        if not rows:
            return pd.DataFrame()
        return pd.DataFrame(rows).convert_dtypes().set_index("run_id")

    def failures_by_value(self) -> pd.DataFrame:
        """A row per param value that two failed runs have: how often it failed and finished with it, and how surely.

        p: Fisher's exact test, one-sided; corrected: for as many values as could have been significant (Tarone 1990).
        """
        import pandas as pd

        rows = [
            {
                "param": row.param,
                "value": row.value,
                "failed with it": row.failed_with,
                "failed": row.failed_with + row.failed_without,
                "finished with it": row.finished_with,
                "finished": row.finished_with + row.finished_without,
                "p": row.p,
                "corrected p": row.corrected,
            }
            for row in values_of_failed(self._evidence({}, ()))
        ]
        columns = ["param", "value", "failed with it", "failed", "finished with it", "finished", "p", "corrected p"]
        return pd.DataFrame(rows, columns=columns).set_index("param")

    def find(
        self,
        thresholds: Mapping[str, Any],
        seeds: Sequence[str] | None = None,
        statuses: Sequence[str] | None = None,
    ) -> tuple[Finding, ...]:
        """The findings as values. Raises QualiaLabError for a rule or threshold that is not there."""
        chosen = chosen_thresholds(thresholds)
        return find_findings(self._evidence(chosen, None, seeds, statuses), chosen)

    def _evidence(
        self,
        chosen: Mapping[str, Any],
        keys: tuple[str, ...] | None,
        seeds: Sequence[str] | None = None,
        statuses: Sequence[str] | None = None,
    ) -> Evidence:
        """What rules look at; keys: the metrics whose histories are read, None for all of the model."""
        known = model_keys(self.tables)
        directions = {key: self._better(key) for key in known}
        settings: dict[str, float] = {}
        for rule, name in (("diverged", "growth"), ("spikes", "deviations"), ("plateau", "part")):
            if rule in chosen:
                settings[name] = getattr(chosen[rule], name)
        wanted = list(known if keys is None else (key for key in keys if key in known))
        batches = self._store.read_metric_history(self.tables.run_ids, wanted) if wanted else iter(())
        # Of a metric that is not known to be better either way, rules look at values that are not finite alone.
        only_odd = [key for key in known if directions[key] is None] if keys is None else []
        series: SeriesFacts = summarise(batches, self.tables.run_ids, known, directions, only_odd=only_odd, **settings)
        evidence = Evidence(
            self.tables,
            self._labels,
            self.primary_metric,
            directions,
            series,
            int(time.time() * _MS_PER_S),
            seeds=None if seeds is None else tuple(seeds),
            statuses=None if statuses is None else tuple(statuses),
            importances=lambda: self._importances(
                None, seeds, "last", statuses
            ),  # kept for the section that shows them
        )
        if "overfitting" not in chosen:
            return evidence
        margin = chosen["overfitting"].margin
        candidates = parted_candidates(evidence, margin=margin)
        if not candidates:
            return evidence
        run_ids = list(dict.fromkeys(run_id for run_id, *_ in candidates))
        pair_keys = sorted({key for _, *both in candidates for key in both})
        curves = curves_of(self._store.read_metric_history(run_ids, pair_keys), candidates)
        everything = parted_candidates(evidence, margin=margin, most_points=sys.maxsize)
        return replace(evidence, curves=curves, all_curves=len(candidates) == len(everything))
