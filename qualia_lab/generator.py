"""NotebookGenerator: from a tracking store to a notebook, step by step or at once."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from qualia_lab.analysis.endings import endings
from qualia_lab.choosing import choose_runs, experiments_of, query_of, view_of
from qualia_lab.closing import Closing
from qualia_lab.conditions_text import default_title, notebook_command
from qualia_lab.errors import OutputExists
from qualia_lab.escaping import for_filename
from qualia_lab.files import check_writable, write_whole
from qualia_lab.inventory import take_inventory
from qualia_lab.masking.tables import masked_keys
from qualia_lab.notebook.build import build_notebook, notebook_bytes
from qualia_lab.notebook.plan import NotebookPlan, plan_notebook
from qualia_lab.notebook.template import read_template
from qualia_lab.sections.section import RUNS_SHOWN
from qualia_lab.selection import Conditions, Selection
from qualia_lab.settings import read_settings, said_settings, settings_around
from qualia_lab.stores.open import find_tracking_uri, open_store
from qualia_lab.stores.protocol import find_experiments
from qualia_lab.stores.uri import with_credentials
from qualia_lab.study.baseline import fit_baseline
from qualia_lab.study.counts_only import describe_counts
from qualia_lab.study.describe import describe_study
from qualia_lab.study.settings import StudySettings, merge_settings
from qualia_lab.study.statuses import FAILED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import pyarrow as pa

    from qualia_lab.inventory import Inventory
    from qualia_lab.query.explanation import Explanation
    from qualia_lab.selection import View
    from qualia_lab.stores.protocol import TrackingStore
    from qualia_lab.study.study import Study
    from qualia_lab.tables import RunTables


# Of so many failed runs the files go along however far down they stand: their logs say why.
_LOGS_KEPT = 10


class NotebookGenerator(Closing):
    """Makes notebooks from the runs of one tracking store, which is only read.

    >>> generator = NotebookGenerator("sqlite:///mlflow.db")
    >>> path = generator.create(experiments=["churn"], top=12, by="val_auc", execute=True)
    """

    def __init__(self, tracking_uri: str | Path | None = None, *, store: TrackingStore | None = None) -> None:
        """tracking_uri: None looks at MLFLOW_TRACKING_URI, then for mlflow.db and mlruns in this folder."""
        if store is None:
            given = str(tracking_uri) if tracking_uri is not None else None
            store = open_store(find_tracking_uri(given)[0], rules=settings_around().masking)
        self.store = store
        self.tracking_uri = store.uri
        self._read: tuple[tuple[str, ...], RunTables] | None = None
        self._experiments: dict[View, pa.Table] = {}

    def close(self) -> None:
        """Give back the store's connections, as the end of a `with` statement does; what is asked later reconnects."""
        self.store.close()

    def create(
        self,
        *,
        output: str | Path | None = None,
        title: str | None = None,
        template: str | None = None,
        engine: str | None = None,
        execute: bool = False,
        force: bool = False,
        metric: str | None = None,
        seeds: Sequence[str] | None = None,
        factors: Sequence[str] = (),
        labels: Sequence[str] = (),
        baseline: str | Sequence[str] | Mapping[str, str] | None = None,
        pool: bool = False,
        smallest_difference: float | None = None,
        experiments: Sequence[str] = (),
        run_ids: Sequence[str] = (),
        filter: str = "",  # noqa: A002 - MLflow's word
        where: Sequence[str] = (),
        since: str | None = None,
        status: Sequence[str] = (),
        order_by: Sequence[str] = (),
        by: str | None = None,
        top: int | None = None,
        limit: int | None = None,
    ) -> Path:
        """Choose runs, plan, write and, if asked, execute; the path of the notebook.

        output, title, template, engine, force: see `plan` and `write`.
        metric, seeds, factors, labels, baseline, pool, smallest_difference: how to look at the runs, see
        `settings.said_settings`.  The others say which runs, see `select`. Raises what the steps raise.
        """
        settings = said_settings(
            metric=metric,
            seeds=seeds,
            factors=factors,
            labels=labels,
            baseline=baseline,
            pool=pool,
            smallest_difference=smallest_difference,
        )
        selection = self.select(
            experiments=experiments,
            run_ids=run_ids,
            filter=filter,
            where=where,
            since=since,
            status=status,
            order_by=order_by,
            by=by,
            top=top,
            limit=limit,
            settings=settings,
        )
        plan = self.plan(selection, settings=settings, template=template, title=title, engine=engine)
        return self.make(plan, Path(output) if output is not None else None, force=force, execute=execute)

    def select(
        self,
        *,
        experiments: Sequence[str] = (),
        run_ids: Sequence[str] = (),
        filter: str = "",  # noqa: A002 - MLflow's word
        where: Sequence[str] = (),
        since: str | None = None,
        status: Sequence[str] = (),
        order_by: Sequence[str] = (),
        by: str | None = None,
        top: int | None = None,
        limit: int | None = None,
        settings: StudySettings | None = None,
        explain: Callable[[Explanation], object] | None = None,
    ) -> Selection:
        """The runs that meet every condition, all of them unless there is a limit; only their ids are read.

        experiments: names, ids or globs such as `churn*`; none means every active one.
        run_ids: only these, without another order in this order.
        where: comparisons such as `lr=0.1` and `val_auc>0.8`, with a param, metric, tag or attribute by its name.
        since: a date, `2026-11-01`, or an age, `7d`, `12 hours ago`; runs that started then or later.
        status: any of RUNNING, SCHEDULED, FINISHED, FAILED, KILLED.
        by: the metric to rank by, the best first: `METRIC`, `METRIC:max` or `METRIC:min`.
        top, limit: the first so many in that order; of both the smaller number.
        settings: what is said of metrics, for the direction of `by`, over [tool.qualia].
        explain: called with which part of this the store answers and which part is evaluated here.

        Raises EmptyStore, UnknownExperiment, UnknownRun, NoRunMatches, FilterError, SelectionError, or a StoreError.
        """
        conditions = Conditions.of(
            experiments=experiments,
            run_ids=run_ids,
            filter=filter,
            where=where,
            since=since,
            status=status,
            order_by=order_by,
            by=by,
            top=top,
            limit=limit,
        )
        return self.choose(conditions, settings, explain=explain)

    def choose(
        self,
        conditions: Conditions,
        settings: StudySettings | None = None,
        *,
        explain: Callable[[Explanation], object] | None = None,
    ) -> Selection:
        """What `select` does, of conditions that are one value."""
        experiments = self.read_experiments(experiments_of(view_of(conditions)), counted=False)
        said = merge_settings(settings or StudySettings(), read_settings().study)
        query = query_of(self.store, conditions, said, experiments=experiments)
        if explain is not None:
            explain(self.store.explain(query))
        return choose_runs(self.store, conditions, query, experiments=experiments)

    def read(self, selection: Selection) -> RunTables:
        """The tables of the selected runs, read once however many steps ask for them."""
        if self._read is None or self._read[0] != selection.run_ids:
            self._read = (selection.run_ids, self.store.read(selection.run_ids))
        return self._read[1]

    def describe(
        self, selection: Selection, settings: StudySettings | None = None, *, inventory: Inventory | None = None
    ) -> Study:
        """What the selected runs are about.

        settings: what is said of them, over [tool.qualia] of this folder's pyproject.toml; the metric that they are
        ranked by is the primary one unless another is named.  inventory: where it was taken already.
        Raises SettingsError, UnknownKey for a metric, param or tag that is named and is in no run, and NoRunMatches for
        such a baseline.
        """
        tables = self.read(selection)
        inventory = inventory or take_inventory(tables)
        return fit_baseline(describe_study(tables, inventory, _merged(selection, settings)), tables)

    def plan(
        self,
        selection: Selection,
        *,
        settings: StudySettings | None = None,
        template: str | None = None,
        title: str | None = None,
        engine: str | None = None,
    ) -> NotebookPlan:
        """Read the runs and decide every cell of the notebook; nothing is written.

        settings: how to look at the runs, see `describe`.
        template: by default `observe`.
        engine: aggregate the runs instead (see `open_engine`), by default with the template `aggregate`; only names and
        counts are read.

        Raises TemplateError, StoreError, EngineError when the store is no snapshot, and what `describe` raises.
        """
        kind = read_template(template or ("observe" if engine is None else "aggregate"))
        if engine is None:
            inventory = take_inventory(self.read(selection))
            study = self.describe(selection, settings, inventory=inventory)
        else:
            selection = replace(selection, engine=engine)
            inventory, experiment_tags = self._count_by_engine(selection, engine)
            merged = replace(_merged(selection, settings), baseline=None)
            study = describe_counts(inventory, experiment_tags, merged)
        return plan_notebook(
            kind,
            selection,
            inventory,
            study,
            title=title or default_title(selection),
            written=datetime.now().astimezone().date().isoformat(),
            command=notebook_command(
                selection, settings or StudySettings(), template=template, title=title, engine=engine
            ),
            masked=() if engine is not None else masked_keys(self.read(selection)),
        )

    def write(self, plan: NotebookPlan, output: Path | None = None, *, force: bool = False) -> Path:
        """Write the notebook, by default to `notebooks/<experiment>_<date>.ipynb`.

        Raises OutputExists unless `force`, and OutputNotWritable.
        """
        path = output or default_output(plan.selection)
        check_output(path, force=force)
        return write_whole(path, notebook_bytes(build_notebook(plan)))

    def make(
        self,
        plan: NotebookPlan,
        output: Path | None = None,
        *,
        force: bool = False,
        execute: bool = False,
        formats: Sequence[str] = (),
        timeout: float = 600,
        on_cell: Callable[[int, int], None] | None = None,
    ) -> Path:
        """Write the notebook and, if asked, run its cells and export it beside; the path of the notebook.

        An old notebook and its exports are replaced together, when all of the new ones are there.
        output, force: see `write`.  formats: of exports, which are made of the executed notebook.
        timeout, on_cell, and what is raised: see `execute`; and OutputExists.
        """
        from qualia_lab.notebook.execute import execute_notebook

        if not (execute or formats):
            return self.write(plan, output, force=force)
        path = output or default_output(plan.selection)
        for one in (path, *(path.with_suffix(f".{fmt}") for fmt in formats)):
            check_output(one, force=force)
        data = notebook_bytes(build_notebook(plan))
        with self._hand_over(plan.selection, plan.selection.tracking_uri) as handed:
            return execute_notebook(path, data=data, formats=formats, timeout=timeout, handed=handed, on_cell=on_cell)

    def execute(
        self,
        path: Path,
        plan: NotebookPlan | None = None,
        *,
        formats: Sequence[str] = (),
        timeout: float = 600,
        on_cell: Callable[[int, int], None] | None = None,
    ) -> Path:
        """Run the cells of a notebook in a kernel that is handed its runs and needs neither store nor secret.

        Of other runs than these the kernel asks the store, as far as that needs no secret. The notebook and its exports
        are replaced together, when all of them are there.

        plan: the one it was written by; without it the runs are those that its `parameters` cell names.
        formats: of exports beside it.  timeout: seconds a cell may take.
        on_cell: called with (cells done, cells in all), in another thread.
        Raises NotebookError for a `parameters` cell that cannot be understood, ExecutionFailed after saving what ran,
        OutputNotWritable, ExportFailed.
        """
        from qualia_lab.notebook.execute import execute_notebook
        from qualia_lab.notebook.parameters import read_parameters, run_ids_of

        for one in (path, *(path.with_suffix(f".{fmt}") for fmt in formats)):
            check_writable(one)
        if plan is not None:
            selection, named = plan.selection, plan.selection.tracking_uri
        else:
            parameters = read_parameters(path)
            engine, named = parameters.get("ENGINE"), str(parameters.get("TRACKING_URI", self.tracking_uri))
            selection = Selection(
                self.tracking_uri,
                run_ids_of(path, parameters),
                engine=engine if isinstance(engine, str) else None,
            )
        with self._hand_over(selection, named) as handed:
            return execute_notebook(path, formats=formats, timeout=timeout, handed=handed, on_cell=on_cell)

    @contextlib.contextmanager
    def _hand_over(self, selection: Selection, named: str) -> Iterator[dict[str, str]]:
        """What a kernel is given of these runs: variables for it. named: the store's URI as the notebook has it."""
        from qualia_lab.stores.snapshot.hand_over import handed_over

        if selection.engine is not None or not selection.run_ids:
            yield {}  # of an engine the snapshot is there already; without runs the cells ask for what they want
            return
        tables = self.read(selection)
        failed = [run_id for one in endings(tables) if one.status in FAILED for run_id in one.run_ids]
        kept = (*selection.run_ids[:RUNS_SHOWN], *failed[:_LOGS_KEPT], *selection.run_ids[-1:])
        with handed_over(self.store, tables, named=named, artifacts_of=dict.fromkeys(kept)) as handed:
            del tables
            self._read = None  # see there: they are not kept here either
            yield handed

    def export(self, path: Path, fmt: str = "html") -> Path:
        """Turn an executed notebook into a file of another format beside it. Raises ExportFailed."""
        from qualia_lab.notebook.export import export_notebook

        return export_notebook(path, fmt, path.with_suffix(f".{fmt}"))

    def read_experiments(self, view: View = "active", *, counted: bool = True) -> pa.Table:
        """The experiments with run counts and last activity (schema.EXPERIMENT_LIST), read once.

        counted: False where neither is needed; servers are then not asked to list every run.
        """
        known = self._experiments.get(view)
        if known is None or (counted and known.column("run_count").null_count):
            known = self.store.read_experiments(view) if counted else find_experiments(self.store, view)
            self._experiments[view] = known
        return known

    def _count_by_engine(self, selection: Selection, engine: str) -> tuple[Inventory, pa.Table]:
        """Names and counts of the runs, and the tags of their experiments, without reading the runs."""
        from qualia_lab.engines.open import check_engine, open_engine

        check_engine(engine, self.tracking_uri)
        opened = open_engine(
            with_credentials(selection.tracking_uri).full,
            engine,
            experiments=selection.experiments,
            filter=selection.query.filter,
            run_ids=selection.run_ids if selection.needs_ids else None,
        )
        try:
            inventory = opened.take_inventory(selection.run_ids)
            return inventory, self.store.read(opened.run_of_each_experiment()).experiment_tags
        finally:
            opened.close()


def default_output(selection: Selection) -> Path:
    """`notebooks/churn_2026-11-23.ipynb`, from the experiment's name and today's date."""
    names = selection.experiments
    name = for_filename(names[0], "experiment") if len(names) == 1 else f"{len(names)}-experiments"
    return Path("notebooks") / f"{name}_{datetime.now().astimezone().date().isoformat()}.ipynb"


def check_output(path: Path, *, force: bool) -> None:
    """Raise OutputExists or OutputNotWritable before any work is done for a file that could not be kept."""
    check_writable(path)
    if path.exists() and not force:
        raise OutputExists(f"{path} is already there.", "Add --force to replace it, or choose another --output.")


def _merged(selection: Selection, settings: StudySettings | None) -> StudySettings:
    """What is said of the selected runs: the metric that they are ranked by leads, unless another one is named."""
    said, ranked = settings or StudySettings(), said_settings(metric=selection.conditions.by)
    said = replace(
        said,
        metric=said.metric or ranked.metric,
        better={**ranked.better, **said.better},
        chosen_by=selection.conditions.as_data(),
    )
    return merge_settings(said, read_settings().study)
