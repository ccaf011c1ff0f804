"""Configurations and their statistics: averages over seeds, and each against a baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.analysis.baseline import choose_baseline, compare_to_baseline
from qualia_lab.analysis.groups import group_runs, short_labels
from qualia_lab.analysis.scores import needs_history, said, scores
from qualia_lab.errors import QualiaLabError
from qualia_lab.runs.loaded import LoadedRuns
from qualia_lab.study.statuses import counts_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    import pyarrow as pa

    from qualia_lab.analysis.baseline import Difference
    from qualia_lab.analysis.groups import Group
    from qualia_lab.charts.chart import Chart
    from qualia_lab.charts.paper_table import PaperTable

_NUMBERS = ("difference", "95 % low", "95 % high", "P(A>B)", "effect", "p (Holm)", "would show")


class Statistics(LoadedRuns):
    """Most methods take `seeds`, `statuses` and `statistic`: what repeats a configuration, and what counts in a mean.

    seeds: keys of params; None takes seed, random_state, fold and the like, also as `model.seed`.
    statuses: whose runs count, such as `["FINISHED", "RUNNING"]`; None takes FINISHED, or all where no run finished.
    statistic: `last` (the latest value), `best`, `min`, `max`, `first` or `at:STEP`.
    """

    def scores(self, metric: str | None = None, *, statistic: str = "last") -> pd.Series[float]:
        """The value of a metric per run, by default of the primary one; NaN where a run has no finite one."""
        import pandas as pd

        metric = metric or self._primary()
        found = scores(self.tables, metric, statistic, self._points(metric, statistic), self._better(metric))
        index = pd.Index([self._labels[run_id] for run_id in self.tables.run_ids])
        by_run = dict.fromkeys(self.tables.run_ids, float("nan")) | dict(found.values)
        return pd.Series(list(by_run.values()), index, name=metric, dtype="float64")

    def groups(
        self,
        metric: str | None = None,
        *,
        seeds: Sequence[str] | None = None,
        statuses: Sequence[str] | None = None,
        statistic: str = "last",
    ) -> pd.DataFrame:
        """Configurations, runs alike but for their seed, and a metric over them, best mean first.

        `runs` counts all runs of a configuration, `n` those in the mean: runs of `statuses` with a finite value. `left
        out` says why the others are not. Where runs count that did not finish, `not finished` says how many of n they
        are. IQM is the mean of the middle half.
        The 95 % interval is of the mean: Student's t under 10 values, a bootstrap beyond; one value has none.
        """
        import pandas as pd

        metric = metric or self._primary()
        mean = mean_of(metric, statistic)
        groups = self._groups(metric, seeds, statistic, statuses)
        rows = [
            _row(
                group,
                {
                    "runs": len(group.run_ids),
                    "n": len(group.values),
                    mean: group.mean,
                    "95 % low": group.interval.low if group.interval else None,
                    "95 % high": group.interval.high if group.interval else None,
                    "median": group.median,
                    "IQM": group.interquartile_mean,
                    "lowest": min(group.values, default=None),
                    "highest": max(group.values, default=None),
                    **self._named_runs(group),
                    **why_n(group, groups),
                },
            )
            for group in groups
        ]
        frame = pd.DataFrame(rows).convert_dtypes()
        better = self._better(metric)
        return frame.sort_values(mean, ascending=better is False, na_position="last", ignore_index=True)

    def plot_groups(
        self,
        metric: str | None = None,
        *,
        seeds: Sequence[str] | None = None,
        statuses: Sequence[str] | None = None,
        statistic: str = "last",
    ) -> Chart:
        """The configurations of `groups` as a chart: every run a point, the mean and its 95 % interval; 30 at most."""
        from qualia_lab.charts.group_means import group_means

        metric = metric or self._primary()
        groups = self._groups(metric, seeds, statistic, statuses)
        better = self._better(metric)
        return group_means(groups, self._labels, metric, statistic=statistic, greater_is_better=better)

    def compare_to_baseline(
        self,
        metric: str | None = None,
        *,
        baseline: str | Mapping[str, str] | None = None,
        seeds: Sequence[str] | None = None,
        statuses: Sequence[str] | None = None,
        statistic: str = "last",
    ) -> pd.DataFrame:
        """Each configuration against the baseline, which is the first row: a verdict, how far apart, and how sure.

        A row is named by the params that tell the configurations apart; `groups` has all of them.

        baseline: the id or name of any of its runs, or params that it alone has, `{"lr": "0.1"}`. By default the
        configuration that was started first, of those with three runs or more where there are any.

        `difference` is this configuration minus the baseline, with its 95 % interval; `P(A>B)` how often a run of it
        has the higher value, ties half; `effect` Hedges' g, of pairs d_z; `p (Holm)` is corrected over all rows;
        `would show` is the smallest difference that so many runs show in 80 % of cases. Under three runs on a side
        nothing is called a difference. In the row of the baseline, `test` says why it is that one.
        """
        import pandas as pd

        metric = metric or self._primary()
        groups = self._groups(metric, seeds, statistic, statuses)
        table = compare_to_baseline(groups, *choose_baseline(groups, self._started(), self._baseline(baseline)))
        labels = short_labels([group.configuration for group in groups])
        mean = mean_of(metric, statistic)
        first = {**_n_and_mean(table.baseline, mean), "verdict": "baseline"}
        ordered = _best_first(table.differences)
        rows = [
            {**first, **dict.fromkeys(_NUMBERS), **why_n(table.baseline, groups), "test": table.chosen},
            *(_difference_row(one, mean, groups) for one in ordered),
        ]
        told = [labels[group.run_ids[0]] for group in (table.baseline, *(one.group for one in ordered))]
        return pd.DataFrame(rows, pd.Index(told)).convert_dtypes()

    def paper_table(
        self,
        metrics: str | Sequence[str] | None = None,
        *,
        params: Sequence[str] | None = None,
        seeds: Sequence[str] | None = None,
        statuses: Sequence[str] | None = None,
        statistic: str = "last",
    ) -> PaperTable:
        """Configurations and metrics as a table for a paper: mean ± half of the 95 % interval, with n.

        metrics: by default the primary one.  params: those that are columns, by default as few as tell the
        configurations apart. The best mean is bold; underlined is what a comparison with it, corrected for their
        number, cannot tell from it. `.latex` (booktabs), `.markdown` and `.csv` are texts.
        """
        from qualia_lab.analysis.paper_table import paper_numbers
        from qualia_lab.charts.paper_table import PaperTable

        keys = [metrics] if isinstance(metrics, str) else list(metrics or [self._primary()])
        columns = {key: self._groups(key, seeds, statistic, statuses) for key in keys}
        return PaperTable(paper_numbers(columns, statistic=statistic, params=params))

    def _groups(
        self, metric: str, seeds: Sequence[str] | None, statistic: str, statuses: Sequence[str] | None
    ) -> list[Group]:
        if not len(self):
            raise QualiaLabError("No run was read, so there is nothing to compare.", "Choose runs that are there.")
        return group_runs(
            self.tables,
            metric,
            seeds,
            statistic=statistic,
            history=self._points(metric, statistic),
            greater_is_better=self._better(metric),
            statuses=statuses,
        )

    def _points(self, metric: str, statistic: str) -> pa.Table | None:
        """The history of a metric, read only when the statistic needs it."""
        return self._history(metric) if needs_history(statistic) else None

    def _primary(self) -> str:
        if self.primary_metric is None:
            raise QualiaLabError("None of these runs has a metric.", "Name one that was logged.")
        return self.primary_metric

    def _baseline(self, baseline: str | Mapping[str, str] | None) -> str | Mapping[str, str] | None:
        """The baseline with a run's name as its id."""
        return self._run_id(baseline) if isinstance(baseline, str) else baseline

    def _started(self) -> dict[str, int | None]:
        return dict(zip(self.tables.run_ids, self.tables.runs.column("start_time").to_pylist(), strict=True))

    def _named_runs(self, group: Group) -> dict[str, str | None]:
        """The best run, or where no direction is known the lowest and the highest."""
        runs = (
            {"lowest run": group.lowest_run, "highest run": group.highest_run}
            if group.greater_is_better is None
            else {"best run": group.best_run}
        )
        return {name: None if run_id is None else self._labels[run_id] for name, run_id in runs.items()}


def mean_of(metric: str, statistic: str) -> str:
    """The name of the column of means; the last value is what every table here means without a word."""
    return f"mean {metric}" if statistic == "last" else f"mean {said(statistic, metric)}"


def _n_and_mean(group: Group, mean: str) -> dict[str, object]:
    return {"runs": len(group.run_ids), "n": len(group.values), mean: group.mean}


def why_n(group: Group, groups: Sequence[Group]) -> dict[str, str]:
    """What explains n: which runs are not in it; where any of the table did not finish, how many of these are."""
    columns = {"left out": counts_text(group.left_out)}
    return columns | ({"not finished": counts_text(group.unfinished)} if any(one.unfinished for one in groups) else {})


def _row(group: Group, columns: dict[str, object]) -> dict[str, object]:
    """These columns behind one per param that sets configurations apart; a param of the same name says that it is one.

    Where no param sets them apart, a word stands for the only one.
    """
    params = {key if key not in columns else f"{key} (param)": value or "" for key, value in group.params}
    return {**(params or {"": "all runs"}), **columns}


def _difference_row(one: Difference, mean: str, groups: Sequence[Group]) -> dict[str, object]:
    found = one.comparison
    numbers = (
        *(found.difference, found.low, found.high, found.superiority),
        *(found.effect, one.corrected_p, found.smallest),
    )
    return {
        **_n_and_mean(one.group, mean),
        "verdict": one.verdict,
        **dict(zip(_NUMBERS, numbers, strict=True)),
        **why_n(one.group, groups),
        "test": f"{found.test or 'none'} ({found.why})",
    }


def _best_first(differences: Sequence[Difference]) -> list[Difference]:
    """By the mean, best first; highest first where no direction is known, and those without a value last."""
    return sorted(
        differences,
        key=lambda one: (
            one.group.mean is None,
            (one.group.mean or 0.0) * (1 if one.group.greater_is_better is False else -1),
        ),
    )
