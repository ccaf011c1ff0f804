"""`Runs`: the loaded runs and everything that was read about them, as the cells of a notebook use them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qualia_lab.inventory import take_inventory
from qualia_lab.notebook.page.run_data import RUNS_MIME
from qualia_lab.runs import frames
from qualia_lab.runs.answers import answer_table, effects_table
from qualia_lab.runs.artifacts import Artifacts
from qualia_lab.runs.candidates import candidate_table
from qualia_lab.runs.cards import findings_card, run_card, study_card
from qualia_lab.runs.evaluations import Evaluations
from qualia_lab.runs.failures import Failures
from qualia_lab.runs.findings import find, finding_table, headline
from qualia_lab.runs.group_tables import baseline_table, group_table, wanted_baseline
from qualia_lab.runs.history_summary import history_summary
from qualia_lab.runs.loaded import loaded_runs
from qualia_lab.runs.message import or_message
from qualia_lab.runs.models import Models
from qualia_lab.runs.namespace import properties_and_methods
from qualia_lab.runs.origins import Origins
from qualia_lab.runs.page_data import page_data
from qualia_lab.runs.paper_tables import paper_table
from qualia_lab.runs.per_task import frame_per_task
from qualia_lab.runs.plots import Plots
from qualia_lab.runs.relations import Relations
from qualia_lab.runs.sides import compare
from qualia_lab.runs.study_settings import study_settings
from qualia_lab.runs.summary import summary_html, summary_lines
from qualia_lab.runs.trace_source import source_of_runs
from qualia_lab.runs.traces import Traces
from qualia_lab.study.describe import describe_study

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd

    from qualia_lab.analysis.compare import SideComparison
    from qualia_lab.analysis.findings.finding import Finding
    from qualia_lab.charts.findings_card import FindingsCard
    from qualia_lab.charts.headline_card import HeadlineCard
    from qualia_lab.charts.paper_table import PaperTable
    from qualia_lab.charts.paper_tables import PaperTables
    from qualia_lab.charts.run_card import RunCard
    from qualia_lab.charts.study_card import StudyCard
    from qualia_lab.runs.loaded import Loaded
    from qualia_lab.runs.message import Message
    from qualia_lab.stores.protocol import TrackingStore
    from qualia_lab.study.study import Study
    from qualia_lab.tables import RunTables


_NAMESPACES = ("plot", "artifacts", "failures", "relations", "origins", "evaluations", "models", "traces")


class Runs:
    """The loaded runs, with their tables, comparisons, charts and findings.

    `study` says how the runs are interpreted (objectives, factors, seeds, which runs count); `with_settings` returns
    the same runs under another interpretation. More methods are in `runs.plot`, `runs.artifacts`, `runs.failures`,
    `runs.relations`, `runs.origins`, `runs.evaluations`, `runs.models` and `runs.traces`. Every experiment is a task of
    its own: nothing is averaged, ranked or compared across experiments, unless `pool=True` is set.

    Arguments that several methods share:

    - `metric`: the key of a metric; by default the objective of each experiment.
    - `statistic`: which value of a metric is used for a run: `last` (the latest), `best`, `min`, `max`, `first` or
      `at:STEP`.
    - `experiment`: the name or id of one experiment; by default all of them.

    A method that has nothing to show returns a `Message`, which displays as a sentence that says why.

    Example:
        >>> runs = load_runs("sqlite:///mlflow.db", run_ids, primary_metric="val_auc")
        >>> runs.groups()
        >>> runs.plot.history("val_auc")
    """

    def __init__(self, store: TrackingStore, tables: RunTables, study: Study | None = None) -> None:
        """Wrap tables that were read from a store.

        Args:
            store: the store, for what is read later: histories and artifacts.
            tables: the tables of the runs.
            study: how the runs are interpreted; None infers everything from the tables.
        """
        self._take(loaded_runs(store, tables, study or describe_study(tables, take_inventory(tables))))

    def _take(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self.plot = Plots(loaded)
        self.artifacts = Artifacts(loaded)
        self.failures = Failures(loaded)
        self.relations = Relations(loaded)
        self.origins = Origins(loaded)
        self.evaluations = Evaluations(loaded)
        self.models = Models(loaded)
        self.traces = Traces(source_of_runs(loaded))

    def __len__(self) -> int:
        return len(self._loaded)

    def __iter__(self) -> Iterator[str]:
        return iter(self.tables.run_ids)

    def __dir__(self) -> list[str]:
        return sorted([*_NAMESPACES, *properties_and_methods(Runs)])

    def __repr__(self) -> str:
        return "\n".join(summary_lines(self._loaded))

    def _repr_html_(self) -> str:
        return summary_html(self._loaded)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:  # noqa: ARG002
        """Add the runs as data to what is displayed, for the exported page; notebooks do not show it."""
        return {RUNS_MIME: page_data(self._loaded)}

    @property
    def tables(self) -> RunTables:
        """The Arrow tables from which everything here is computed."""
        return self._loaded.tables

    @property
    def study(self) -> Study:
        """The roles of metrics, params, tags and runs, and which runs may be compared."""
        return self._loaded.study

    @property
    def experiments(self) -> tuple[str, ...]:
        """The names of the experiments, each a task of its own; a single name if the experiments are pooled."""
        return tuple(task.experiment for task in self.study.tasks)

    @property
    def params(self) -> pd.DataFrame:
        """A row per run, a column per param: numbers if all values are numbers, else text as it was logged."""
        return frames.params(self._loaded)

    @property
    def metrics(self) -> pd.DataFrame:
        """A row per run, a column per metric: the latest value."""
        return frames.metrics(self._loaded)

    @property
    def tags(self) -> pd.DataFrame:
        """A row per run, a column per tag, as text."""
        return frames.tags(self._loaded)

    def known_metrics(self, keys: Sequence[str]) -> list[str]:
        """Filter metric keys, keeping those that at least one run has.

        The keys that are dropped are listed where `runs` is displayed.

        Args:
            keys: keys of metrics.

        Returns:
            The keys that exist, in the given order.
        """
        return self._loaded.known(keys, self._loaded.metric_keys, "metric")

    def known_params(self, names: Sequence[str]) -> list[str]:
        """Filter names of params and tags, keeping those that at least one run has.

        The names that are dropped are listed where `runs` is displayed.

        Args:
            names: names of params and tags.

        Returns:
            The names that exist, in the given order.
        """
        return self._loaded.known(names, self._loaded.settings, "param or tag")

    def with_settings(self, **changes: Any) -> Runs:
        """The same runs under other settings; nothing is read again.

        Args:
            **changes: arguments of `load_runs` by name, from `primary_metric` on; all other settings stay as they are.

        Returns:
            A new `Runs`; this one is not changed.

        Raises:
            UnknownKey: no run has the metric, param or tag that is named.
            TypeError: an argument that `load_runs` does not have.

        Example:
            >>> runs.with_settings(seeds=["seed"], statuses=["FINISHED"]).groups()
            >>> runs.with_settings(pool=True).answer()
        """
        settings = study_settings(changes, self.study.settings)
        other = object.__new__(Runs)
        other._take(self._loaded.with_study(describe_study(self.tables, take_inventory(self.tables), settings)))
        return other

    def about(self) -> StudyCard:
        """A card of the study: tasks and objectives, factors and seeds, and the runs left out of comparisons.

        The descriptions that people wrote for the experiments come first.

        Returns:
            A card that displays as HTML in a notebook and as text elsewhere.
        """
        return study_card(self._loaded)

    def history(self, keys: str | Sequence[str] | None = None) -> pd.DataFrame:
        """Every logged point of some metrics.

        Args:
            keys: the key of a metric, or several; None for all metrics.

        Returns:
            A row per point: `run` (label), `run_id`, `key`, `step`, `timestamp` (UTC datetime) and `value`. Points of
            the same run and key are adjacent and sorted by step.

        Raises:
            UnknownKey: no run has the metric.

        Example:
            >>> runs.history("val_auc").groupby("run")["value"].max()
        """
        self._loaded.check_metrics([keys] if isinstance(keys, str) else keys or ())
        return frames.history(self._loaded, keys)

    def overview(self, *, metrics: Sequence[str] = (), params: Sequence[str] = ()) -> pd.DataFrame:
        """A row per run: status, start, duration, counts, and the chosen metrics and params.

        Args:
            metrics: keys of metrics that become columns, with the latest value.
            params: names of params and tags that become columns.

        Returns:
            The columns `experiment` (if there are several), `status`, `start (UTC)`, `duration (s)`, `(min)` or `(h)`,
            `params` and `metrics` (how many the run logged), `parent` (the label of the parent run, if some runs have
            one), `left out` (why the run takes part in no comparison, if some runs do not), the chosen metrics and
            params, and `run_id`. The index is the run's label.

        Raises:
            UnknownKey: no run has the metric, param or tag.

        Example:
            >>> runs.overview(metrics=["val_auc"], params=["lr"])
        """
        self._loaded.check_metrics(metrics)
        self._loaded.check_params(params)
        return frames.overview(self._loaded, metrics, params)

    def params_that_differ(self) -> pd.DataFrame:
        """A row per run, a column per param that differs between runs; a missing value counts as a difference."""
        return frames.params_that_differ(self._loaded)

    def compare_metrics(self, keys: Sequence[str] | None = None) -> pd.DataFrame:
        """A row per run, a column per metric: the latest values.

        Args:
            keys: keys of metrics, in the order of the columns; None for all.

        Returns:
            Nullable floats: <NA> where the run does not have the metric, NaN where it logged NaN.

        Raises:
            UnknownKey: no run has the metric.
        """
        self._loaded.check_metrics(keys or ())
        wide = frames.wide(self._loaded, self.tables.metrics, keys, nullable=True)
        return wide[list(wide.columns if keys is None else dict.fromkeys(keys))]

    def scores(self, metric: str | None = None, *, statistic: str = "last") -> pd.Series[float]:
        """The value of one metric for each run.

        Args:
            metric: the key of a metric; None for the objective.
            statistic: which value of the metric is used: `last`, `best`, `min`, `max`, `first` or `at:STEP`.

        Returns:
            A float per run label; NaN where the run has no finite value.

        Raises:
            UnknownKey: no run has the metric.
            NothingToCompare: there is no objective and no metric was named.
        """
        return frames.scores_of(self._loaded, metric, statistic)

    def groups(self, metric: str | None = None, *, statistic: str = "last") -> pd.DataFrame | Message:
        """A row per configuration with statistics of a metric over its runs, best mean first.

        A configuration is a set of runs whose factors all have equal values; see `runs.about()`.

        Args:
            metric: the key of a metric; None for the objective of each experiment.
            statistic: which value of the metric is used: `last`, `best`, `min`, `max`, `first` or `at:STEP`.

        Returns:
            A column per factor, and:

            - `experiment` and `metric`, if the rows are of several.
            - `runs`: all runs of the configuration. `n`: the computations in the mean; copies of one computation count
              once.
            - `mean METRIC`, with `95 % low` and `95 % high`: the confidence interval of the mean, by Student's t below
              10 values and by bootstrap from 10 on; empty for a single value.
            - `median`, `IQM` (the mean of the middle half), `lowest` and `highest`.
            - `best run`, or `lowest run` and `highest run` if it is not known which direction is better.
            - `left out`: why the other runs are not in the mean. `not finished` and `stopped early`: how many of the n
              did not finish, or stopped early, if any did.

        Raises:
            UnknownKey: no run has the metric.

        Example:
            >>> runs.groups("val_auc", statistic="best")
        """
        return or_message(lambda: group_table(self._loaded, metric, statistic))

    def answer(self, *, experiment: str | None = None) -> pd.DataFrame | Message:
        """Which configuration leads by the objective, by how much, and which rivals cannot be distinguished from it.

        Args:
            experiment: the name or id of one experiment; None for all.

        Returns:
            A row per configuration, best mean first; those that ran more than once come before those that ran once. The
            index names the configuration by the factors that distinguish it. In the unit of the metric unless noted:

            - `metric`, `n` (runs) and `mean`. `behind`: the distance of the mean from the best.
            - `against the best`: `leads` or `best mean` in the first row, else `told apart`, `not told apart` or `ran
              once: too few to tell`.
            - `deviation` (standard deviation) and `range` between the runs of the configuration.

            Only in the first row:

            - `of`: the number of configurations from which the best was selected.
            - `corrected`, `95 % low`, `95 % high`: the mean without the bias of having been selected as the best, and
              its confidence interval.
            - `would show`: the smallest difference that this many runs detect with 80 % power.
            - `smallest that matters`: the smallest relevant difference; by default one standard deviation between runs.
            - `n needed`: the runs per configuration that would detect `smallest that matters`.
            - `range of all`, `deviation of repeats`, `of configurations at most`: the range of all values, the standard
              deviation between repeated runs, and an upper bound on that between configurations.

        Raises:
            UnknownKey: there is no such experiment.

        Example:
            >>> runs.answer()[["mean", "against the best"]]
        """
        return frame_per_task(self._loaded, experiment, lambda task: answer_table(self._loaded, task))

    def effects(self, *, experiment: str | None = None) -> pd.DataFrame | Message:
        """Levels of one factor that are clearly better than others while all other factors are the same.

        Args:
            experiment: the name or id of one experiment; None for all.

        Returns:
            A row per effect; the index is the factor.

            - `better` and `worse`: the two levels.
            - `where`: empty, or the level of another factor at which the effect holds while it reverses at another
              level, so that the two factors have to be chosen together.
            - `gain`: the mean difference in the unit of the objective, with `95 % low` and `95 % high`.
            - `better in`, `of`: in how many of how many settings of the other factors the level was better.
            - `p`: of the test that decides, not corrected for the number of tests.

        Raises:
            UnknownKey: there is no such experiment.
        """
        return frame_per_task(self._loaded, experiment, lambda task: effects_table(self._loaded, task))

    def compare(self, a: str, b: str, *, metric: str | None = None, claimed: str | None = None) -> SideComparison:
        """Compare two sides: is the comparison isolated, is there a difference, and what else differs.

        Args:
            a: the first side: a run's id, else a run's name, else `KEY=VALUE` of a param or tag, else a filter.
            b: the second side, in the same form.
            metric: the key of a metric; None for the objective.
            claimed: the param or tag that is believed to be the only difference.

        Returns:
            The comparison, which displays as HTML in a notebook and as text elsewhere.

        Raises:
            NoRunMatches: one of the sides has no run.
            SelectionError: one of the sides cannot be read as any of these forms.
            UnknownKey: no run has the metric.

        Example:
            >>> runs.compare("optimizer=adam", "optimizer=sgd", claimed="optimizer")
        """
        return compare(self._loaded, a, b, metric, claimed)

    def candidates(
        self, metrics: Sequence[str] = (), metric: str | None = None, *, statistic: str = "last", limit: int = 20
    ) -> pd.DataFrame | Message:
        """A row per configuration, best mean first, with the other facts that matter for choosing one.

        Args:
            metrics: keys of other metrics whose mean is shown, as `mean KEY`.
            metric: the key of the metric that ranks; None for the objective of each experiment.
            statistic: which value of the metric is used: `last`, `best`, `min`, `max`, `first` or `at:STEP`.
            limit: the most rows per experiment.

        Returns:
            The columns `n`, `runs`, `mean METRIC`, `95 % low`, `95 % high` and `left out` as in `groups`, and:

            - `candidate`: the factors that distinguish the configuration.
            - `took (s)`: the median duration of the runs that count, in seconds.
            - `with model`: how many of the runs have a logged model or an MLmodel file. `model`: its name.
            - `run_id`: the best run of the configuration; the first one if it is not known which direction is better.

            `attrs["showing"]` says how many rows of how many are shown.

        Raises:
            UnknownKey: no run has one of the metrics.
        """
        return or_message(lambda: candidate_table(self._loaded, metrics, metric, statistic, limit))

    def compare_to_baseline(
        self,
        metric: str | None = None,
        *,
        baseline: str | Mapping[str, str] | None = None,
        experiment: str | None = None,
        statistic: str = "last",
    ) -> pd.DataFrame | Message:
        """Each configuration against the baseline: a verdict, the difference, and how certain it is.

        With fewer than three runs on a side nothing is called a difference.

        Args:
            metric: the key of a metric; None for the objective of each experiment.
            baseline: the id or name of any of its runs, or params that only it has, `{"lr": "0.1"}`. None for the
                baseline that was given when the runs were loaded, else the configuration that was started first, among
                those with three runs or more if there are any.
            experiment: the name or id of one experiment; None for all.
            statistic: which value of the metric is used: `last`, `best`, `min`, `max`, `first` or `at:STEP`.

        Returns:
            A row per configuration, the baseline first; the index names only the factors that distinguish the
            configurations (`groups` shows all of them).

            - `runs`, `n`, `mean METRIC`, `left out`, `not finished` and `stopped early` as in `groups`.
            - `verdict`: in words.
            - `difference`: this configuration minus the baseline, with `95 % low` and `95 % high`.
            - `P(A>B)`: how often a run of this configuration has the higher value, ties counting half.
            - `effect`: Hedges' g; for paired runs d_z.
            - `p (Holm)`: corrected over all rows.
            - `would show`: the smallest difference that this many runs detect with 80 % power.
            - `test`: the test that was used and why; in the row of the baseline, why it is the baseline.

        Raises:
            UnknownKey: no run has the metric, or there is no such experiment.

        Example:
            >>> runs.compare_to_baseline(baseline={"optimizer": "sgd"})
        """
        return frame_per_task(
            self._loaded,
            experiment,
            lambda task: baseline_table(
                self._loaded, task, metric, statistic, wanted_baseline(self._loaded, task, baseline)
            ),
        )

    def paper_table(
        self,
        metrics: str | Sequence[str] | None = None,
        *,
        params: Sequence[str] | None = None,
        experiment: str | None = None,
        statistic: str = "last",
    ) -> PaperTable | PaperTables | Message:
        """A table of configurations and metrics for a paper: mean ± half the width of the 95 % interval, with n.

        The best mean is bold. Underlined means cannot be distinguished from it, by comparisons corrected for their
        number.

        Args:
            metrics: keys of metrics; None for the objective.
            params: params that become columns; None for the fewest that distinguish the configurations.
            experiment: the name or id of one experiment; None for all.
            statistic: which value of the metric is used: `last`, `best`, `min`, `max`, `first` or `at:STEP`.

        Returns:
            A table with the texts `.latex` (booktabs), `.markdown` and `.csv`; for several experiments, one table each.

        Raises:
            UnknownKey: no run has the metric or param, or there is no such experiment.

        Example:
            >>> print(runs.paper_table(["val_auc", "val_f1"]).latex)
        """
        return or_message(lambda: paper_table(self._loaded, metrics, params, experiment, statistic))

    def findings(self, **thresholds: Any) -> pd.DataFrame:
        """What stands out among the runs, a row per finding, the most important first.

        Args:
            **thresholds: by the name of a rule, its thresholds, `spikes={"deviations": 20}`; `plateau=False` disables a
                rule.

        Returns:
            The columns `rule`, `kind`, `severity`, `sentence`, `next` (what to do next), `experiment`, `run_ids`,
            `keys`, `steps`, `numbers` (dicts of `what`, `run_id` and `value`), `section` (the section of the notebook
            that shows the numbers) and `code` (an expression over `runs` that recomputes them).

        Raises:
            QualiaLabError: there is no such rule or threshold.

        Example:
            >>> runs.findings(plateau=False)[["rule", "sentence"]]
        """
        return finding_table(self.find(thresholds))

    def show_findings(self, *, limit: int = 8, **thresholds: Any) -> FindingsCard:
        """What stands out among the runs, as sentences, each with a small chart of its evidence if there is one.

        Args:
            limit: how many findings are shown in full, with their charts; the others are folded.
            **thresholds: as in `findings`.

        Returns:
            A card that displays as HTML in a notebook and as text elsewhere.

        Raises:
            QualiaLabError: there is no such rule or threshold.
        """
        return findings_card(self._loaded, self.find(thresholds), limit)

    def headline(self, **thresholds: Any) -> HeadlineCard:
        """The findings in a few sentences: who leads, what went wrong, and what to do next.

        Args:
            **thresholds: as in `findings`.

        Returns:
            A card that displays as HTML in a notebook and as text elsewhere; `.headline` has its parts.

        Raises:
            QualiaLabError: there is no such rule or threshold.

        Example:
            >>> print(runs.headline())
        """
        from qualia_lab.charts.headline_card import HeadlineCard

        return HeadlineCard(headline(self._loaded, thresholds))

    def find(self, thresholds: Mapping[str, Any]) -> tuple[Finding, ...]:
        """The findings as values.

        Args:
            thresholds: thresholds by the name of a rule, as in `findings`.

        Raises:
            QualiaLabError: there is no such rule or threshold.
        """
        return find(self._loaded, thresholds)

    def history_summary(self, metric: str) -> pd.DataFrame:
        """A row per run with statistics of the history of one metric: first, last, best, spikes, and their steps.

        Args:
            metric: the key of a metric.

        Returns:
            Values in the unit of the metric; the index is `run_id`.

            - `run` (label), `experiment`, `points`, `not_finite` (how many are NaN or infinite), `odd_step` (the first
              of them).
            - `first`, `first_step`, `last`, `last_step`.
            - `best`, `best_step`, `reached_step` (the first step within noise of the best value): empty if it is not
              known which direction is better.
            - `start`, `tail`: the medians of the first tenth and of the last twentieth of the points.
            - `bad_step`: the first step from which on every point is bad.
            - `noise`: the standard deviation of a point around its neighbours, by the MAD of the differences.
            - `spikes`, `spike_step`, `spike_before`, `spike_value`, `spike_size`: how many spikes, and where the
              largest is.
            - `gain_at_the_end`: how much better the last eighth of the points is than the eighth before; only for
              finished runs that take part in comparisons.

        Raises:
            UnknownKey: no run has the metric.
        """
        return history_summary(self._loaded, metric)

    def show(self, run: str | None, *, folded: bool = False) -> RunCard | Message:
        """One run in full: details, params, metrics, tags, datasets, models and artifacts.

        Args:
            run: the id or name of a run. None, or a run that is not loaded, gives a message that there is nothing to
                show.
            folded: show only status, objective and duration until the reader expands the card.

        Returns:
            A card that displays as HTML in a notebook and as text elsewhere.

        Example:
            >>> runs.show("gbm-03-seed2")
        """
        return run_card(self._loaded, run, folded=folded)
