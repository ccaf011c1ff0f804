"""`runs.evaluations`: which version is better, on which rows, by which scorer, and how far judges can be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.assessments import first_opinions
from qualia_lab.analysis.judges import judges_against_humans
from qualia_lab.analysis.leading_version import compare_with_reference, leading_version
from qualia_lab.analysis.slices import compare_slices
from qualia_lab.analysis.trace_summary import latency_of
from qualia_lab.analysis.version_comparison import changed_rows, compare_versions
from qualia_lab.charts.version_differences import Difference, version_differences
from qualia_lab.errors import NothingToCompare
from qualia_lab.escaping import one_line
from qualia_lab.runs.evaluated import evaluations_in, scorers_in, traces_of_runs
from qualia_lab.runs.evaluation_words import MAY_BE_MISSING, SHOWN, answer_of, columns_of, text_of
from qualia_lab.runs.message import Message, or_message
from qualia_lab.runs.namespace import Namespace
from qualia_lab.study.known_keys import check_key

if TYPE_CHECKING:
    import pandas as pd

    from qualia_lab.analysis.evaluations import Evaluation
    from qualia_lab.analysis.leading_version import LeadingVersion
    from qualia_lab.analysis.version_comparison import ScorerComparison, VersionComparison
    from qualia_lab.charts.chart import Chart

_MOST_ROWS = 30


class Evaluations(Namespace):
    """Evaluations of `mlflow.genai.evaluate` and `mlflow.evaluate`, compared row by row.

    Rows of two versions with the same inputs are pairs. A judgement that failed or is missing is counted, and never a
    value. Of several judges of one name on a row the mean counts; of humans only where no judge did.
    """

    name = "evaluations"

    def answer(self) -> Message:
        """Which version leads by the main scorer, from which others it can be told, and on how many rows."""
        return or_message(lambda: Message(answer_of(self._leading(), self._loaded.labels), most=1000))

    def scores(self) -> pd.DataFrame | Message:
        """A row per scorer and version, the best version first, with the rows behind each mean.

        Returns:
            The index is the run's label.

            - `scorer`: its name. `mean`: of numbers, or the share of true, yes or pass. `n`: the rows it is over.
            - `failed`: rows on which every judge failed or was undecided. `missing`: rows that were not judged.
            - `better`: higher, lower, or unknown.
        """
        import pandas as pd

        evaluations, scorers = evaluations_in(self._loaded), scorers_in(self._loaded)
        if not evaluations:
            return Message(_NONE)
        rows = []
        for scorer in scorers.values():
            of_scorer = []
            for evaluation in evaluations:
                judged = [row.judgements.get(scorer.name) for row in evaluation.rows]
                values = [number for one in judged if one and (number := one.number(scorer)) is not None]
                of_scorer.append(
                    {
                        "run": self._loaded.labels[evaluation.run_id],
                        "scorer": one_line(scorer.name, 80),
                        "mean": float(np.mean(values)) if values else None,
                        "n": len(values),
                        "failed": sum(one is not None and not one.values for one in judged),  # noqa: PD011 - not pandas
                        "missing": sum(one is None for one in judged),
                        "better": _WORDS[scorer.greater_is_better],
                    }
                )
            sign = -1 if scorer.greater_is_better is not False else 1
            rows += sorted(of_scorer, key=lambda row: (row["mean"] is None, sign * (row["mean"] or 0)))
        return pd.DataFrame(rows).set_index("run").astype({"mean": "Float64"})

    def compare(self, against: str | None = None) -> pd.DataFrame | Message:
        """Every other version against one, by every scorer, over the rows that both judged.

        Args:
            against: the id or name of the run to compare with; by default the version that leads by the main scorer.

        Returns:
            The index is the run's label.

            - `scorer`: its name. `difference`: the version minus the one it is compared with, over `pairs` rows; `95 %
              from`, `95 % to`.
            - `wins`, `losses`, `ties`: rows on which the version is better, worse, equal; higher or lower if it is
              unknown what is better.
            - `p (Holm)`: exact McNemar test of true or false, sign-flip test of numbers; corrected for all rows of the
              table, and for all pairs of versions if `against` is not given, since these rows decide who leads.
            - `verdict`: what it says of the version.

            `attrs["against"]` names the version that the others are compared with.

        Raises:
            UnknownRun: `against` is not among the evaluated runs.
        """
        return or_message(lambda: self._compared(against))

    def chart(self, against: str | None = None) -> Chart | Message:
        """The differences of `compare` as a chart, a panel per scorer.

        Args:
            against: the id or name of the run to compare with; by default the version that leads by the main scorer.

        Raises:
            UnknownRun: `against` is not among the evaluated runs.
        """
        return or_message(lambda: self._drawn(against))

    def changed_rows(
        self, second: str | None = None, first: str | None = None, scorer: str | None = None, *, limit: int = _MOST_ROWS
    ) -> pd.DataFrame | Message:
        """The rows that one version gets right and the other wrong, side by side, those that got worse first.

        Args:
            second: the id or name of a run; by default the version that leads by the main scorer.
            first: the run to compare it with; by default the runner-up.
            scorer: by which scorer; by default the main one.
            limit: the most rows.

        Returns:
            A row per pair, with the inputs, and of each version the score, the outputs and the rationale.
            `attrs["showing"]` says how many of how many.

        Raises:
            UnknownRun: a run is not among the evaluated ones.
            UnknownKey: no evaluation has the scorer.
        """
        return or_message(lambda: self._changed(second, first, scorer, limit))

    def slices(self, second: str | None = None, first: str | None = None) -> pd.DataFrame | Message:
        """The two versions on the rows with each value of a tag, of traces or dataset records.

        Args:
            second: the id or name of a run; by default the version that leads by the main scorer.
            first: the run to compare it with; by default the runner-up.

        Returns:
            The index is the tag and its value, such as `topic = prices`; columns as in `compare`. `p (Holm)` is
            corrected for all slices and scorers. Slices with fewer than six pairs, and tags with more than 20 values,
            are left out.
        """
        return or_message(lambda: self._slices(second, first))

    def judges(self) -> pd.DataFrame | Message:
        """How far judges agree with humans, for every name that both gave to the same trace.

        Returns:
            The index is the name.

            - `n`: the traces that both judged. `agreement`: the share of equal values.
            - `kappa`: Cohen's kappa, weighted for ordered numbers, with `95 % from` and `95 % to`.
            - `disagreements`: how many, and `corrected`: how many values of judges humans replaced.
            - `mean distance`: of numbers with many values, for which there is no kappa.
        """
        import pandas as pd

        found = judges_against_humans(first_opinions(traces_of_runs(self._loaded).assessments))
        if not found:
            return Message("No trace of these runs was judged both by a human and by a judge or code.")
        rows = [
            {
                "name": one_line(one.scorer.name, 80),
                "n": one.kappa.n if one.kappa else None,
                "agreement": one.kappa.agreement if one.kappa else None,
                "kappa": one.kappa.kappa if one.kappa else None,
                "95 % from": one.kappa.low if one.kappa else None,
                "95 % to": one.kappa.high if one.kappa else None,
                "mean distance": one.mean_distance,
                "disagreements": len(one.disagreements),
                "corrected": one.corrected_by_humans,
            }
            for one in found
        ]
        return pd.DataFrame(rows).set_index("name").dropna(axis="columns", how="all")

    def costs(self) -> pd.DataFrame | Message:
        """What each version costs per row: time, tokens, money, and how often it has no answer.

        Returns:
            The index is the run's label. `rows`; `failed`: traces that ended with an error; `median (s)` and `p95 (s)`:
            latency of the finished rows in seconds; `tokens`: the mean per row; `USD per 1,000`: the mean cost of 1,000
            rows. What no row recorded has no column.
        """
        import pandas as pd

        evaluations = evaluations_in(self._loaded)
        if not evaluations:
            return Message(_NONE)
        traces = traces_of_runs(self._loaded).traces
        states = dict(zip(traces.column("trace_id").to_pylist(), traces.column("state").to_pylist(), strict=True))
        rows = []
        for evaluation in evaluations:
            durations = np.array([row.duration for row in evaluation.rows if row.duration is not None], np.float64)
            latency = latency_of(durations)
            tokens, costs = (
                [value for row in evaluation.rows if (value := getattr(row, name)) is not None]
                for name in ("total_tokens", "total_cost")
            )
            rows.append(
                {
                    "run": self._loaded.labels[evaluation.run_id],
                    "rows": len(evaluation.rows),
                    "failed": sum(states.get(row.row_id) == "ERROR" for row in evaluation.rows) if states else None,
                    "median (s)": latency.p50 / 1000 if latency else None,
                    "p95 (s)": latency.p95 / 1000 if latency else None,
                    "tokens": float(np.mean(tokens)) if tokens else None,
                    "USD per 1,000": float(np.mean(costs)) * 1000 if costs else None,
                }
            )
        return pd.DataFrame(rows).set_index("run").dropna(axis="columns", how="all")

    def _leading(self) -> LeadingVersion:
        evaluations = evaluations_in(self._loaded)
        if not evaluations:
            raise NothingToCompare(_NONE)
        found = leading_version(evaluations, scorers_in(self._loaded))
        if found is None:
            raise NothingToCompare("No scorer says which of its values are better.", "Set GREATER_IS_BETTER.")
        return found

    def _evaluation(self, run: str) -> Evaluation:
        run_id = self._loaded.run_id(run)
        for one in evaluations_in(self._loaded):
            if one.run_id == run_id:
                return one
        raise NothingToCompare(f"Run {self._loaded.labels[run_id]} has no evaluation.")

    def _pair(self, second: str | None, first: str | None) -> VersionComparison:
        """Two versions compared: by default the runner-up with the leader."""
        evaluations = evaluations_in(self._loaded)
        if len(evaluations) < 2:
            raise NothingToCompare(_ONE if evaluations else _NONE)
        if second is None or first is None:
            ranked = [one.run_id for one in self._leading().ranked]
            second = second or next(run_id for run_id in ranked if run_id != (first and self._loaded.run_id(first)))
            first = first or next(run_id for run_id in ranked if run_id != self._loaded.run_id(second))
        sides = self._evaluation(first), self._evaluation(second)
        key = ("evaluations", *(one.run_id for one in sides))
        return self._loaded.once(key, lambda: compare_versions(*sides, scorers_in(self._loaded)))

    def _against(self, against: str | None) -> tuple[str, list[tuple[str, ScorerComparison]]]:
        """The run that the others are compared with, and the comparisons by run."""
        evaluations = evaluations_in(self._loaded)
        if len(evaluations) < 2:
            raise NothingToCompare(_ONE if evaluations else _NONE)
        is_leader = against is None
        reference = self._evaluation(self._leading().ranked[0].run_id if against is None else against)
        key = ("evaluations against", reference.run_id, is_leader)
        scorers = scorers_in(self._loaded)
        return reference.run_id, self._loaded.once(
            key, lambda: compare_with_reference(reference, evaluations, scorers, is_leader=is_leader)
        )

    def _compared(self, against: str | None) -> pd.DataFrame:
        import pandas as pd

        reference, compared = self._against(against)
        rows = [
            {"run": self._loaded.labels[run_id], "scorer": one_line(one.scorer.name, 80), **columns_of(one)}
            for run_id, one in compared
        ]
        frame = pd.DataFrame(rows).set_index("run").astype(dict.fromkeys(MAY_BE_MISSING, "Float64"))
        frame.attrs["against"] = self._loaded.labels[reference]
        return frame

    def _drawn(self, against: str | None) -> Chart:
        reference, compared = self._against(against)
        differences = [Difference(run_id, one) for run_id, one in compared]
        if all(one.compared.test.difference is None for one in differences):
            raise NothingToCompare("No two versions have a value by the same scorer on rows with equal inputs.")
        return version_differences(differences, self._loaded.labels, self._loaded.labels[reference])

    def _changed(self, second: str | None, first: str | None, scorer: str | None, limit: int) -> pd.DataFrame | Message:
        import pandas as pd

        if scorer is not None:
            check_key(scorer, scorers_in(self._loaded), "scorer")
        name = scorer or self._leading().scorer.name
        compared = self._pair(second, first)
        if name not in {one.scorer.name for one in compared.scorers}:
            return Message(f"Neither of the two versions was judged by {one_line(name, 80)}.")
        changed = changed_rows(compared, name)
        labels = [self._loaded.labels[run_id] for run_id in (compared.second_run, compared.first_run)]
        if not changed:
            return Message(
                f"On no row with the same inputs do {labels[0]} and {labels[1]} differ by {one_line(name, 80)}."
            )
        rows = [
            {
                "inputs": text_of(row.pair.first[0].inputs),
                **{
                    f"{label}: {what}": value
                    for label, side, score, rationale in (
                        (labels[0], row.pair.second, row.second_value, row.second_rationale),
                        (labels[1], row.pair.first, row.first_value, row.first_rationale),
                    )
                    for what, value in (
                        (name, score),
                        ("output", text_of(side[0].outputs)),
                        ("rationale", one_line(rationale, SHOWN)),
                    )
                },
            }
            for row in changed[:limit]
        ]
        frame = pd.DataFrame(rows)
        frame = frame.loc[:, [name for name in frame.columns if not (frame[name] == "").all()]]
        frame.attrs["showing"] = f"{len(rows)} of {len(changed)}"
        return frame

    def _slices(self, second: str | None, first: str | None) -> pd.DataFrame | Message:
        import pandas as pd

        compared = self._pair(second, first)
        found = compare_slices(compared)
        if not found:
            return Message("No tag of the rows divides them into slices of at least six pairs.")
        rows = [
            {
                "slice": f"{one_line(one.tag, 60)} = {one_line(one.value, 60)}",
                "scorer": one_line(one.compared.scorer.name, 80),
                **columns_of(one.compared),
            }
            for one in found[:_MOST_ROWS]
        ]
        frame = pd.DataFrame(rows).set_index("slice").astype(dict.fromkeys(MAY_BE_MISSING, "Float64"))
        frame.attrs["showing"] = f"{len(rows)} of {len(found)}"
        return frame


_WORDS = {True: "higher", False: "lower", None: "unknown"}
_NONE = "No run has an evaluation: traces with feedback, or a table that mlflow.evaluate logged."
_ONE = "Only one run has an evaluation; a comparison needs two."
