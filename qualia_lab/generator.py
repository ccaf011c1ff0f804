"""NotebookGenerator: create notebooks from a tracking store, in one call or step by step."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from qualia_lab.choosing import choose_runs, experiments_of, query_of, view_of
from qualia_lab.choosing_traces import selection_of_traces, trace_query_of
from qualia_lab.closing import Closing
from qualia_lab.conditions_text import default_title, notebook_command
from qualia_lab.describing import describe_by_engine, describe_runs, describe_traces, study_of
from qualia_lab.errors import EngineError, OutputExists, SelectionError
from qualia_lab.escaping import for_filename
from qualia_lab.files import check_writable, write_atomically
from qualia_lab.genai_tables import TraceQuery
from qualia_lab.handing_over import hand_over
from qualia_lab.read_data import ReadData
from qualia_lab.selection import Conditions, Selection
from qualia_lab.settings import open_given_store, read_settings, settings_from_arguments
from qualia_lab.stores.masked import MaskedStore, privacy_of
from qualia_lab.stores.protocol import ReadsGenAI
from qualia_lab.study.settings import StudySettings, merge_settings, settings_as_data

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pyarrow as pa

    from qualia_lab.genai_tables import TraceTables
    from qualia_lab.inventory import Inventory
    from qualia_lab.notebook.execute import Edit
    from qualia_lab.notebook.plan import NotebookPlan
    from qualia_lab.query.explanation import Explanation
    from qualia_lab.runs.traces import Traces
    from qualia_lab.selection import View
    from qualia_lab.stores.protocol import TrackingStore
    from qualia_lab.study.study import Study
    from qualia_lab.tables import RunTables


class NotebookGenerator(Closing):
    """Create notebooks from the runs of one tracking store, which is only read.

    `create` does everything in one call; `select`, `plan` and `write`, `make` or `execute` are its steps.

    Attributes:
        store: the open store.
        tracking_uri: the tracking URI of the store, without secrets.

    Example:
        >>> from qualia_lab import NotebookGenerator
        >>> with NotebookGenerator("sqlite:///mlflow.db") as generator:
        ...     path = generator.create(experiments=["churn"], by="val_auc:max", top=12, execute=True)

        Step by step:

        >>> with NotebookGenerator("sqlite:///mlflow.db") as generator:
        ...     selection = generator.select(experiments=["churn"], where=["model=mlp"])
        ...     plan = generator.plan(selection, title="MLPs")
        ...     path = generator.make(plan, force=True, execute=True, formats=["html"])
    """

    def __init__(
        self,
        tracking_uri: str | Path | None = None,
        *,
        store: TrackingStore | None = None,
        redact: bool | None = None,
        content: bool | None = None,
    ) -> None:
        """Open a store.

        Args:
            tracking_uri: the tracking URI or path of the store, as for `open_store`. None for MLFLOW_TRACKING_URI or,
                if that is not set, mlflow.db or mlruns in the current folder.
            store: an open store to use instead.
            redact: whether e-mail addresses, phone numbers and matches of the patterns in [tool.qualia.privacy] are
                replaced in everything that is read; None for what the project says.
            content: whether what people and models wrote in traces and evaluations is shown; None for what the project
                says.

        Raises:
            StoreNotFound: there is no store at this place.
            SettingsError: [tool.qualia] in pyproject.toml is invalid.
        """
        self.store = store or open_given_store(tracking_uri, redact=redact, content=content)
        self.tracking_uri = self.store.uri
        self._data = ReadData(self.store)

    def close(self) -> None:
        """Close the connections of the store, as the end of a `with` statement does; later use opens new ones."""
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
        """Select runs, then plan, write and optionally execute a notebook of them.

        Args:
            output: the path of the notebook; by default `notebooks/<experiment>_<date>.ipynb`.
            title: the title; by default the names of the experiments and the number of runs.
            template: the name or path of a template; by default `observe`, or `aggregate` with an engine.
            engine: aggregate the runs with this engine instead of reading them, see `open_engine`.
            execute: run the cells.
            force: replace an existing file.
            metric: the primary metric: `METRIC`, `METRIC:max` or `METRIC:min`.
            seeds: params that only repeat a configuration; None to infer them.
            factors: params and tags that distinguish configurations, regardless of their names and values.
            labels: params and tags that are only names.
            baseline: a run by its id or name, or its params: `{"lr": "0.1"}`, or texts such as `lr=0.1`.
            pool: whether all experiments are one task.
            smallest_difference: the smallest difference of the primary metric that matters.
            experiments: names, ids or globs such as `churn*`; empty for every active experiment.
            run_ids: only these runs; without another order, in this order.
            filter: a filter of the query language, such as `metrics.val_auc > 0.8 AND params.model = 'mlp'`.
            where: comparisons such as `lr=0.1` and `val_auc>0.8`, with a param, metric, tag or attribute by its name.
            since: a date (`2026-11-01`) or an age (`7d`, `12 hours ago`); runs that started at that time or later.
            status: one or several of RUNNING, SCHEDULED, FINISHED, FAILED and KILLED.
            order_by: sort keys such as `metrics.val_auc DESC`; by default the newest run is first.
            by: the metric to rank by, the best run first: `METRIC`, `METRIC:max` or `METRIC:min`.
            top: the maximum number of runs, in order.
            limit: the same as `top`; the smaller of the two applies.

        Returns:
            The path of the notebook.

        Raises:
            SelectionError: no runs are selected, or a condition is invalid; see `select`.
            StoreError: the store cannot be read.
            TemplateError: the template does not exist or is invalid.
            NotebookError: the notebook cannot be written or executed; see `write` and `execute`.

        Example:
            >>> path = generator.create(experiments=["churn"], by="val_auc:max", top=12, execute=True)
        """
        settings = settings_from_arguments(
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
        """Select the runs that meet all conditions. Only the list of runs is read.

        Args:
            experiments: names, ids or globs such as `churn*`; empty for every active experiment.
            run_ids: only these runs; without another order, in this order.
            filter: a filter of the query language, such as `metrics.val_auc > 0.8 AND params.model = 'mlp'`.
            where: comparisons such as `lr=0.1` and `val_auc>0.8`, with a param, metric, tag or attribute by its name.
            since: a date (`2026-11-01`) or an age (`7d`, `12 hours ago`); runs that started at that time or later.
            status: one or several of RUNNING, SCHEDULED, FINISHED, FAILED and KILLED.
            order_by: sort keys such as `metrics.val_auc DESC`; by default the newest run is first.
            by: the metric to rank by, the best run first: `METRIC`, `METRIC:max` or `METRIC:min`.
            top: the maximum number of runs, in order.
            limit: the same as `top`; the smaller of the two applies.
            settings: settings that override [tool.qualia], for the direction of `by`.
            explain: called with the query plan: which steps the store evaluates, and which steps this process.

        Returns:
            The selection, with all matching run ids unless `top` or `limit` is given.

        Raises:
            EmptyStore: the store has no runs.
            UnknownExperiment: no experiment matches a name.
            UnknownRun: the store has none of the requested run ids.
            NoRunMatches: no run matches, or none has the metric to rank by.
            FilterError: a filter, an order or a comparison is invalid.
            SelectionError: `top` is given without a metric or an order, or the name of an experiment is ambiguous.
            StoreError: the store cannot be read.

        Example:
            >>> selection = generator.select(experiments=["churn*"], where=["lr=0.1"], by="val_auc:max", top=5)
            >>> selection.run_ids
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
        """Select runs, as `select` does, with the conditions as one object.

        Args:
            conditions: the conditions.
            settings: settings that override [tool.qualia], for the direction of the metric to rank by.
            explain: called with the query plan.

        Returns:
            The selection.
        """
        experiments = self.read_experiments(experiments_of(view_of(conditions)), counted=False)
        merged = merge_settings(settings or StudySettings(), read_settings().study)
        query = query_of(self.store, conditions, merged, experiments=experiments)
        if explain is not None:
            explain(self.store.explain(query))
        return choose_runs(self.store, conditions, query, experiments=experiments)

    def choose_traces(self, conditions: Conditions, query: TraceQuery | None = None) -> Selection:
        """Select traces, for a template of traces; they are read with their assessments.

        Args:
            conditions: the conditions, with a filter and an order of the query language for traces.
            query: the query, if it is not that of the conditions.

        Returns:
            The selection, without runs.

        Raises:
            SelectionError: a condition is about runs, the filter compares with a secret, or the store holds no traces.
            UnknownExperiment: no experiment matches a name.
            NoTraceMatches: no trace matches.
            EmptyStore: the store has no traces.
            FilterError: the filter, the order or the time is invalid.
            StoreError: the store cannot be read.
        """
        query = query or trace_query_of(self.store, conditions, self.read_experiments(counted=False))
        traces = self.read_traces(query).traces
        return selection_of_traces(self.store, conditions, query, traces, self.read_experiments("all", counted=False))

    def read_traces(self, query: TraceQuery) -> TraceTables:
        """Read traces without their spans; the result is cached until others are read.

        Args:
            query: which traces.

        Raises:
            SelectionError: the store cannot hold traces.
            StoreError: the store cannot be read.
        """
        return self._data.traces(query)

    def load_traces(self, selection: Selection) -> Traces:
        """The selected traces as the cells of a notebook have them; spans are read when they are needed.

        Args:
            selection: selected traces.

        Raises:
            SelectionError: runs are selected, or the store cannot hold traces.
            StoreError: the store cannot be read.
        """
        from qualia_lab.runs.trace_source import TraceSource
        from qualia_lab.runs.traces import Traces
        from qualia_lab.stores.trace_names import read_trace_names

        store, query = self.store, selection.traces
        if query is None or not isinstance(store, ReadsGenAI):
            raise SelectionError("These are runs, not traces.", "Select traces with choose_traces.")
        rows = self.read_experiments("all", counted=False)
        names = dict(zip(*(rows.column(name).to_pylist() for name in ("experiment_id", "name")), strict=True))
        source = TraceSource(
            store,
            lambda: self.read_traces(query),
            names,
            is_complete=True,
            read_names=lambda tables: read_trace_names(self.store, tables),
        )
        return Traces(source)

    def digest_of(self, selection: Selection) -> str:
        """A digest of the data of the selected runs or traces, by which a change is recognized."""
        return self._data.digest(selection)

    def read(self, selection: Selection) -> RunTables:
        """Read the selected runs; the result is cached until another selection is read.

        Args:
            selection: the selected runs.

        Returns:
            The tables of the runs. A metric of several models or datasets in one run is several metrics.

        Raises:
            StoreError: the store cannot be read.
        """
        return self._data.runs(selection).tables

    def store_of(self, selection: Selection) -> TrackingStore:
        """The store whose metric histories have the keys that `read` returns for this selection.

        Args:
            selection: the selected runs, which are read if they were not yet.

        Raises:
            StoreError: the store cannot be read.
        """
        return self._data.runs(selection).store

    def describe(
        self, selection: Selection, settings: StudySettings | None = None, *, inventory: Inventory | None = None
    ) -> Study:
        """Analyse the roles of metrics, params and tags of the selected runs.

        Args:
            selection: the selected runs.
            settings: settings that override [tool.qualia]. Without a metric, the one the runs are ranked by is primary.
            inventory: the inventory of the runs, if it already exists.

        Returns:
            The study: objective, factors, configurations, and the runs that are left out of comparisons.

        Raises:
            SettingsError: [tool.qualia] in pyproject.toml is invalid.
            UnknownKey: the settings name a metric, param or tag that no run has.
            NoRunMatches: no run matches the baseline.
        """
        return study_of(self._data, selection, settings, inventory)

    def plan(
        self,
        selection: Selection,
        *,
        settings: StudySettings | None = None,
        template: str | None = None,
        title: str | None = None,
        engine: str | None = None,
        written: str | None = None,
    ) -> NotebookPlan:
        """Read the selected runs and plan all cells of the notebook; nothing is written.

        Args:
            selection: the selected runs.
            settings: settings that override [tool.qualia], see `describe`.
            template: the name or path of a template; by default `observe`, or `aggregate` with an engine.
            title: the title; by default the names of the experiments and the number of runs.
            engine: aggregate the runs with this engine (see `open_engine`); then only names and counts are read.
            written: the ISO date in the title; by default that of today.

        Returns:
            The plan, for `write` and `make`.

        Raises:
            TemplateError: the template does not exist or is invalid.
            StoreError: the store cannot be read.
            EngineError: the store is not a snapshot, or the engine failed.
            ExtraMissing: the package of the engine is not installed.
            SelectionError: the settings do not fit the runs, see `describe`.
        """
        from qualia_lab.notebook.plan import plan_notebook
        from qualia_lab.notebook.template import read_template

        if selection.traces is not None:
            template = template or "traces"
        kind = read_template(template or ("observe" if engine is None else "aggregate"))
        privacy = privacy_of(self.store)
        if engine is not None and isinstance(self.store, MaskedStore) and self.store.redactor is not None:
            raise EngineError(
                "An engine aggregates a snapshot as it was written, and leaves out nothing of it.",
                "Write the snapshot with --redact or --no-content, and omit both here.",
            )
        if selection.traces is not None:
            described = describe_traces(self._data, selection.traces)
        elif engine is None:
            described = describe_runs(self._data, selection, settings)
        else:
            selection = replace(selection, engine=engine)
            described = describe_by_engine(self._data, selection, engine, settings)
        date = written or datetime.now().astimezone().date().isoformat()
        given = {
            "template": template,
            "title": None if title == default_title(selection) else title,
            "settings": settings_as_data(settings or StudySettings()),
            "date": date,
        }
        return plan_notebook(
            kind,
            selection,
            described.inventory,
            described.study,
            title=title or default_title(selection),
            written=date,
            command=notebook_command(
                selection, settings or StudySettings(), template=template, title=title, engine=engine, privacy=privacy
            ),
            masked=described.masked,
            privacy=privacy,
            given={name: value for name, value in given.items() if value},
        )

    def write(self, plan: NotebookPlan, output: Path | None = None, *, force: bool = False) -> Path:
        """Write a notebook without executing it.

        Args:
            plan: the plan of the notebook.
            output: the path; by default `notebooks/<experiment>_<date>.ipynb`.
            force: replace an existing file.

        Returns:
            The path of the notebook.

        Raises:
            OutputExists: the file exists and `force` is False.
            OutputNotWritable: the file cannot be written.
        """
        from qualia_lab.notebook.build import build_notebook, notebook_bytes

        path = output or default_output(plan.selection)
        check_output(path, force=force)
        return write_atomically(path, notebook_bytes(build_notebook(plan)))

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
        """Write a notebook, and optionally execute and export it.

        An existing notebook and its exports are replaced together, after all new files are complete.

        Args:
            plan: the plan of the notebook.
            output: the path; by default `notebooks/<experiment>_<date>.ipynb`.
            force: replace existing files.
            execute: run the cells; implied by `formats`.
            formats: the formats of the exports: `html`, `pdf`, `md`, `py`.
            timeout: the maximum number of seconds for each cell.
            on_cell: called with (cells done, number of cells) from another thread.

        Returns:
            The path of the notebook.

        Raises:
            OutputExists: a file exists and `force` is False.
            OutputNotWritable: a file cannot be written.
            ExecutionFailed: a cell failed; the outputs so far are saved.
            ExportFailed: the export failed.
        """
        if not (execute or formats):
            return self.write(plan, output, force=force)
        from qualia_lab.notebook.build import build_notebook, notebook_bytes
        from qualia_lab.notebook.execute import Edit, execute_notebook
        from qualia_lab.notebook.export_paths import page_paths

        path = output or default_output(plan.selection)
        for file in (path, *page_paths(path, formats).values()):
            check_output(file, force=force)
        data = notebook_bytes(build_notebook(plan))
        with hand_over(self._data, plan.selection, plan.selection.tracking_uri) as (variables, data_digest):
            return execute_notebook(
                path,
                edit=Edit(data),
                formats=formats,
                timeout=timeout,
                snapshot_variables=variables,
                data_digest=data_digest,
                on_cell=on_cell,
            )

    def execute(
        self,
        path: Path,
        plan: NotebookPlan | None = None,
        *,
        formats: Sequence[str] = (),
        timeout: float = 600,
        on_cell: Callable[[int, int], None] | None = None,
        edit: Edit | None = None,
    ) -> Path:
        """Execute a notebook in a kernel that gets the runs as a temporary snapshot and needs no credentials.

        The kernel reads other runs than these from the store, if that needs no credentials. The notebook and its
        exports are replaced together, after all new files are complete.

        Args:
            path: the notebook.
            plan: the plan that it was written from; by default the runs are those in its `parameters` cell.
            formats: the formats of the exports: `html`, `pdf`, `md`, `py`.
            timeout: the maximum number of seconds for each cell.
            on_cell: called with (cells done, number of cells) from another thread.
            edit: what replaces the content of the file, as a refresh does; by default it is executed as it is.

        Returns:
            The path of the notebook.

        Raises:
            NotebookError: the `parameters` cell is invalid.
            ExecutionFailed: a cell failed; the outputs so far are saved.
            OutputNotWritable: a file cannot be written.
            ExportFailed: the export failed.
        """
        from qualia_lab.notebook.execute import execute_notebook
        from qualia_lab.notebook.export_paths import page_paths
        from qualia_lab.notebook.parameters import read_parameters, run_ids_of

        for file in (path, *page_paths(path, formats).values()):
            check_writable(file)
        if plan is not None:
            selection, named = plan.selection, plan.selection.tracking_uri
        else:
            parameters = read_parameters(path)
            engine, named = parameters.get("ENGINE"), str(parameters.get("TRACKING_URI", self.tracking_uri))
            traces = parameters.get("TRACES")
            selection = Selection(
                self.tracking_uri,
                run_ids_of(path, parameters),
                engine=engine if isinstance(engine, str) else None,
                traces=TraceQuery.of(traces) if isinstance(traces, dict) else None,
            )
        with hand_over(self._data, selection, named) as (variables, data_digest):
            return execute_notebook(
                path,
                edit=edit,
                formats=formats,
                timeout=timeout,
                snapshot_variables=variables,
                data_digest=data_digest,
                on_cell=on_cell,
            )

    def export(self, path: Path, fmt: str = "html", *, code: bool = True, brief: bool = False) -> Path:
        """Export an executed notebook to a file next to it.

        Args:
            path: the notebook.
            fmt: the format: `html`, `pdf`, `md` or `py`.
            code: whether the source of code cells is shown.
            brief: whether only headline, findings and one chart are shown, in Markdown.

        Returns:
            The path of the export.

        Raises:
            ExportFailed: the notebook cannot be converted.
        """
        from qualia_lab.notebook.export import export_notebook
        from qualia_lab.notebook.formats.format import Options

        return export_notebook(path, (fmt,), options=Options(code=code, brief=brief))[0]

    def read_experiments(self, view: View = "active", *, counted: bool = True) -> pa.Table:
        """Read the experiments of the store; the result is cached.

        Args:
            view: "active", "deleted" or "all" experiments.
            counted: whether run counts and latest activity are needed; without them, a server lists no runs.

        Returns:
            The experiments (schema.EXPERIMENT_LIST).
        """
        return self._data.experiments(view, counted=counted)


def default_output(selection: Selection) -> Path:
    """The default path of a notebook: `notebooks/churn_2026-11-23.ipynb`, with the experiment and the date."""
    names = selection.experiments
    name = for_filename(names[0], "experiment") if len(names) == 1 else f"{len(names)}-experiments"
    return Path("notebooks") / f"{name}_{datetime.now().astimezone().date().isoformat()}.ipynb"


def check_output(path: Path, *, force: bool) -> None:
    """Raise OutputExists or OutputNotWritable before any work is done for a file that cannot be written."""
    check_writable(path)
    if path.exists() and not force:
        raise OutputExists(f"{path} already exists.", "Add --force to replace it, or choose another --output.")
