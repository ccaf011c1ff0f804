"""Runs: some runs and everything that was read about them, as the cells of a notebook use them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qualia_lab.errors import UnknownRun
from qualia_lab.inventory import take_inventory
from qualia_lab.runs import frames
from qualia_lab.runs.answers import answer_table, effects_table
from qualia_lab.runs.artifacts import Artifacts
from qualia_lab.runs.candidates import candidate_table
from qualia_lab.runs.environments import environments_of_some
from qualia_lab.runs.failures import Failures
from qualia_lab.runs.findings import find, finding_table
from qualia_lab.runs.group_tables import baseline_table, group_table, wanted_baseline
from qualia_lab.runs.history_summary import history_summary
from qualia_lab.runs.loaded import loaded_runs
from qualia_lab.runs.namespace import properties_and_methods
from qualia_lab.runs.origins import Origins
from qualia_lab.runs.paper_tables import paper_table
from qualia_lab.runs.per_task import frame_per_task
from qualia_lab.runs.plots import Plots
from qualia_lab.runs.relations import Relations
from qualia_lab.runs.said import Said, or_said
from qualia_lab.runs.study_settings import study_settings
from qualia_lab.runs.summary import summary_html, summary_lines
from qualia_lab.study.describe import describe_study

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd

    from qualia_lab.analysis.compare import SideComparison
    from qualia_lab.analysis.findings.finding import Finding
    from qualia_lab.charts.findings_card import FindingsCard
    from qualia_lab.charts.paper_table import PaperTable
    from qualia_lab.charts.paper_tables import PaperTables
    from qualia_lab.charts.run_card import RunCard
    from qualia_lab.charts.study_card import StudyCard
    from qualia_lab.runs.loaded import Loaded
    from qualia_lab.stores.protocol import TrackingStore
    from qualia_lab.study.study import Study
    from qualia_lab.tables import RunTables


_SIDE_READ = 3  # runs of a side whose libraries are looked up: each is several questions to a server


class Runs:
    """Some runs. `study` says how they are looked at, `with_settings` looks at them otherwise.

    More methods are in `runs.plot`, `runs.artifacts`, `runs.failures`, `runs.relations` and `runs.origins`.
    Experiments are different tasks: nothing is averaged, ranked or compared across two of them, unless `pool` says so.

    metric: in every method by default the objective, of each experiment its own.
    statistic: which value of a metric counts: `last` (the latest), `best`, `min`, `max`, `first` or `at:STEP`.
    """

    def __init__(self, store: TrackingStore, tables: RunTables, study: Study | None = None) -> None:
        """study: None describes the runs with nothing said."""
        self._take(loaded_runs(store, tables, study or describe_study(tables, take_inventory(tables))))

    def _take(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self.plot = Plots(loaded)
        self.artifacts = Artifacts(loaded)
        self.failures = Failures(loaded)
        self.relations = Relations(loaded)
        self.origins = Origins(loaded)

    def __len__(self) -> int:
        return len(self._loaded)

    def __iter__(self) -> Iterator[str]:
        return iter(self.tables.run_ids)

    def __dir__(self) -> list[str]:
        return sorted(["plot", "artifacts", "failures", "relations", "origins", *properties_and_methods(Runs)])

    def __repr__(self) -> str:
        return "\n".join(summary_lines(self._loaded))

    def _repr_html_(self) -> str:
        return summary_html(self._loaded)

    @property
    def tables(self) -> RunTables:
        """The tidy Arrow tables behind all of it."""
        return self._loaded.tables

    @property
    def study(self) -> Study:
        """What metrics, params, tags and runs are, and which runs may be compared."""
        return self._loaded.study

    @property
    def experiments(self) -> tuple[str, ...]:
        """The names of the experiments, each a task of its own; one name of experiments that are pooled."""
        return tuple(one.experiment for one in self.study.tasks)

    @property
    def params(self) -> pd.DataFrame:
        """A row per run, a column per param: numbers where every value is one, else text as it was logged."""
        return frames.params(self._loaded)

    @property
    def metrics(self) -> pd.DataFrame:
        """A row per run, a column per metric: the latest value."""
        return frames.metrics(self._loaded)

    @property
    def tags(self) -> pd.DataFrame:
        """A row per run, a column per tag."""
        return frames.tags(self._loaded)

    def known_metrics(self, keys: Sequence[str]) -> list[str]:
        """Those of these metrics that a run has; `runs` says which of the others were passed over."""
        return self._loaded.known(keys, self._loaded.metric_keys, "metric")

    def known_params(self, names: Sequence[str]) -> list[str]:
        """Those of these params and tags that a run has; `runs` says which of the others were passed over."""
        return self._loaded.known(names, self._loaded.settings, "param or tag")

    def with_settings(self, **said: Any) -> Runs:
        """The same runs looked at otherwise; nothing is read again.

        said: arguments of `load_runs` by their names, `seeds=["seed"]`, `statuses=["FINISHED"]`, `pool=True`.
        Raises UnknownKey for a metric, param or tag that no run has.
        """
        settings = study_settings(said, self.study.settings)
        other = object.__new__(Runs)
        other._take(self._loaded.with_study(describe_study(self.tables, take_inventory(self.tables), settings)))
        return other

    def about(self) -> StudyCard:
        """What these runs are about: tasks and objectives, factors, what repeats, what was left out of comparisons.

        Before these stands what people wrote about the experiments.
        """
        from qualia_lab.charts.descriptions import descriptions_by_owner
        from qualia_lab.charts.study_card import StudyCard

        tables = self._loaded.tables
        notes = descriptions_by_owner(tables.experiment_tags, "experiment_id")
        of_name = {
            row["name"]: notes[row["experiment_id"]]
            for row in tables.experiments.to_pylist()
            if row["experiment_id"] in notes
        }
        return StudyCard(self.study, self._loaded.labels, of_name)

    def history(self, keys: str | Sequence[str] | None = None) -> pd.DataFrame:
        """Every logged point of these metrics (None: of all): run, run_id, key, step, timestamp, value.

        Points of one run and key stand together, by step. Raises UnknownKey.
        """
        self._loaded.check_metrics([keys] if isinstance(keys, str) else keys or ())
        return frames.history(self._loaded, keys)

    def overview(self, *, metrics: Sequence[str] = (), params: Sequence[str] = ()) -> pd.DataFrame:
        """One row per run: status, start, duration (its name says the unit), counts, these metrics and params.

        Of children whose parent is there, `parent` names it; `left out` says why a run takes part in no comparison.
        Raises UnknownKey.
        """
        self._loaded.check_metrics(metrics)
        self._loaded.check_params(params)
        return frames.overview(self._loaded, metrics, params)

    def params_that_differ(self) -> pd.DataFrame:
        """A row per run, a column per param that is not the same in all of them; a missing one is a difference."""
        return frames.params_that_differ(self._loaded)

    def compare_metrics(self, keys: Sequence[str] | None = None) -> pd.DataFrame:
        """A row per run, a column per metric: the latest values of these metrics, by default of all.

        A run without the metric has <NA>, one that logged NaN has NaN. Raises UnknownKey.
        """
        self._loaded.check_metrics(keys or ())
        wide = frames.wide(self._loaded, self.tables.metrics, keys, apart=True)
        return wide[list(wide.columns if keys is None else dict.fromkeys(keys))]

    def scores(self, metric: str | None = None, *, statistic: str = "last") -> pd.Series[float]:
        """The value of a metric per run, by default of the objective; NaN where a run has no finite one."""
        return frames.scores_of(self._loaded, metric, statistic)

    def groups(self, metric: str | None = None, *, statistic: str = "last") -> pd.DataFrame | Said:
        """Configurations, runs alike in every factor, and a metric over them, best mean first.

        `runs` counts all runs of a configuration, `n` the computations in the mean, copies once; `left out` says why
        the others are not in it. Where runs count that did not finish, or stopped early, columns say how many of n
        they are. IQM is the mean of the middle half.
        The 95 % interval is of the mean: Student's t under 10 values, a bootstrap beyond; one value has none.
        """
        return or_said(lambda: group_table(self._loaded, metric, statistic))

    def answer(self, *, experiment: str | None = None) -> pd.DataFrame | Said:
        """Which configuration leads by the objective, by how much, and which rivals cannot be told from it.

        The best mean first; of configurations that ran more than once before those that ran once. `behind` is how far
        a mean is from the best. In the first row: `corrected` is the mean without the gain of having been selected as
        the best `of` so many, with its 95 % interval; `would show` is the difference that so many runs show in 80 % of
        cases, `n needed` the runs that would show `smallest that matters`, by default a standard deviation between
        runs.
        """
        return frame_per_task(self._loaded, experiment, lambda task: answer_table(self._loaded, task))

    def effects(self, *, experiment: str | None = None) -> pd.DataFrame | Said:
        """Levels of one factor that are clearly better than others where all other factors are the same.

        `gain` on average with its 95 % interval, `better in` so many `of` the settings of the others; `p` is of the
        test that decides, for itself alone. `where`: what is better there and worse elsewhere, so that the two factors
        are to be chosen together.
        """
        return frame_per_task(self._loaded, experiment, lambda task: effects_table(self._loaded, task))

    def compare(self, a: str, b: str, *, metric: str | None = None, claimed: str | None = None) -> SideComparison:
        """Two sides: is the comparison isolated, is there a difference, and what else differs.

        a, b: each a run's id, else a run's name, else `KEY=VALUE` of a param or tag, else a filter.
        claimed: the param or tag that is believed to be the only difference.
        Raises NoRunMatches, SelectionError, and UnknownKey for a metric that no run has.
        """
        from qualia_lab.analysis.compare import compare_sides
        from qualia_lab.analysis.sides import read_side

        loaded = self._loaded
        loaded.check_metrics([metric] if metric is not None else [])
        sides = [read_side(self.tables, self.study, text, loaded.store.read_metric_history) for text in (a, b)]
        some = [run_id for side in sides for run_id in side[:_SIDE_READ]]
        return compare_sides(
            self.tables,
            self.study,
            sides[0],
            sides[1],
            metric,
            claimed,
            labels=(a, b),
            environments=environments_of_some(loaded.store, self.tables, some),
            without=loaded.diverged,
        )

    def candidates(
        self, metrics: Sequence[str] = (), metric: str | None = None, *, statistic: str = "last", limit: int = 20
    ) -> pd.DataFrame | Said:
        """A row per configuration, best mean first, of each experiment `limit`, with what else matters for a choice.

        `n`, `runs` and `left out` as in `groups`. metrics: others, of which the mean is shown. `took (s)` is the median
        duration of the runs that count. `with model` says how many of the runs have a logged model or an MLmodel file,
        and `model` what it is called. `run_id` is the best run of the configuration, the first one where no direction
        is known. `attrs["showing"]` says how many of how many.
        """
        return or_said(lambda: candidate_table(self._loaded, metrics, metric, statistic, limit))

    def compare_to_baseline(
        self,
        metric: str | None = None,
        *,
        baseline: str | Mapping[str, str] | None = None,
        experiment: str | None = None,
        statistic: str = "last",
    ) -> pd.DataFrame | Said:
        """Each configuration against the baseline, which is the first row: a verdict, how far apart, and how sure.

        A row is named by the factors that tell the configurations apart; `groups` has all of them.

        baseline: the id or name of any of its runs, or params that it alone has, `{"lr": "0.1"}`. By default what was
        said when the runs were loaded, else the configuration that was started first, of those with three runs or more
        where there are any. `experiment`: only this one.

        `difference` is this configuration minus the baseline, with its 95 % interval; `P(A>B)` how often a run of it
        has the higher value, ties half; `effect` Hedges' g, of pairs d_z; `p (Holm)` is corrected over all rows;
        `would show` is the smallest difference that so many runs show in 80 % of cases. Under three runs on a side
        nothing is called a difference. In the row of the baseline, `test` says why it is that one.
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
    ) -> PaperTable | PaperTables | Said:
        """Configurations and metrics as a table for a paper: mean ± half of the 95 % interval, with n.

        metrics: by default the objective.  params: those that are columns, by default as few as tell the
        configurations apart. The best mean is bold; underlined is what a comparison with it, corrected for their
        number, cannot tell from it. `.latex` (booktabs), `.markdown` and `.csv` are texts; of several experiments one
        table each.
        """
        return or_said(lambda: paper_table(self._loaded, metrics, params, experiment, statistic))

    def findings(self, **thresholds: Any) -> pd.DataFrame:
        """What stands out, a row per finding, answers first: rule, kind, severity, sentence, what to do next, evidence.

        thresholds: by a rule's name what it takes, `spikes={"deviations": 20}`; `plateau=False` leaves a rule out.
        `code` is an expression over `runs` that recomputes the sentence's numbers, `section` the one that shows them.
        """
        return finding_table(self.find(thresholds))

    def show_findings(self, *, limit: int = 8, **thresholds: Any) -> FindingsCard:
        """What stands out, as sentences: the first `limit` in full, the rest folded; thresholds as in `findings`."""
        from qualia_lab.charts.findings_card import FindingsCard
        from qualia_lab.sections import SECTIONS

        titles = {name: section.title for name, section in SECTIONS.items()}
        return FindingsCard(self.find(thresholds), titles, len(self), limit)

    def find(self, thresholds: Mapping[str, Any]) -> tuple[Finding, ...]:
        """The findings as values. Raises QualiaLabError for a rule or threshold that is not there."""
        return find(self._loaded, thresholds)

    def history_summary(self, metric: str) -> pd.DataFrame:
        """A row per run that has the metric: how many points of which kind, first, last, best, spikes, and their steps.

        `best` is empty where the metric has no known direction. `bad_step` is the first step from which on every point
        is bad, `reached_step` the first within noise of the best value; `start` and `tail` are the medians of the first
        tenth and of the last twentieth of the points; `noise` is the standard deviation of a point around its
        neighbours, by the MAD of the differences. `gain_at_the_end` is by how much the last eighth of the points is
        better than the eighth before, of finished runs that count.
        """
        return history_summary(self._loaded, metric)

    def show(self, run: str | None, *, folded: bool = False) -> RunCard | Said:
        """One run in full, by its id or name: details, params, metrics, tags, datasets, models, artifacts.

        Of one that is not among these runs, or of None, it is said that there is nothing to show.

        folded: whether only its status, objective and duration are seen until somebody clicks on them.
        """
        from qualia_lab.charts.previews import read_previews
        from qualia_lab.charts.run_card import RunCard

        if run is None:
            return Said("No run was chosen.")
        try:
            run_id = self._loaded.run_id(run)
        except UnknownRun as error:
            return Said(str(error))
        place, files, notes = self._loaded.files.of_run(run_id)
        previews = tuple(read_previews(place, files))
        objective = self.study.task_of[run_id].objective
        return RunCard(
            *(self._loaded.labels[run_id], self._loaded.one(run_id), files, notes, previews),
            objective.key if objective else None,
            folded,
        )
