"""NotebookGenerator: from a tracking store to a notebook, step by step or at once."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qualia_lab.analysis.direction import direction_of
from qualia_lab.analysis.endings import FAILED, endings
from qualia_lab.analysis.repeats import count_configurations
from qualia_lab.errors import (
    EmptyStore,
    FilterError,
    NoRunMatches,
    OutputExists,
    SelectionError,
    UnknownRun,
)
from qualia_lab.escaping import for_filename, one_line
from qualia_lab.files import check_writable, write_whole
from qualia_lab.inventory import take_inventory
from qualia_lab.notebook.build import build_notebook, notebook_bytes
from qualia_lab.notebook.defaults import cut_metric, fill_selection
from qualia_lab.notebook.plan import NotebookPlan, plan_notebook
from qualia_lab.notebook.template import read_template
from qualia_lab.query.sugar import all_of, cut_where, one_field, since_filter, status_filter, where_filter
from qualia_lab.sections.section import RUNS_SHOWN
from qualia_lab.selection import Query, Selection, match_experiments
from qualia_lab.settings import read_settings
from qualia_lab.stores.keys import read_keys
from qualia_lab.stores.open import find_tracking_uri, open_store
from qualia_lab.stores.protocol import find_experiments
from qualia_lab.stores.uri import lasting_uri, with_credentials

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pyarrow as pa

    from qualia_lab.inventory import Inventory
    from qualia_lab.query.explanation import Explanation
    from qualia_lab.selection import View
    from qualia_lab.stores.protocol import TrackingStore
    from qualia_lab.tables import RunTables


# Of so many failed runs the files go along however far down they stand: their logs say why.
_LOGS_KEPT = 10


class NotebookGenerator:
    """Makes notebooks from the runs of one tracking store, which is only read.

    >>> generator = NotebookGenerator("sqlite:///mlflow.db")
    >>> path = generator.create(experiments=["churn"], top=12, by="val_auc", execute=True)
    """

    def __init__(self, tracking_uri: str | Path | None = None, *, store: TrackingStore | None = None) -> None:
        """tracking_uri: None looks at MLFLOW_TRACKING_URI, then for mlflow.db and mlruns in this folder."""
        if store is None:
            given = str(tracking_uri) if tracking_uri is not None else None
            store = open_store(find_tracking_uri(given)[0])
        self.store = store
        self.tracking_uri = store.uri
        self._read: tuple[tuple[str, ...], RunTables] | None = None
        self._experiments: dict[View, pa.Table] = {}

    def create(
        self,
        *,
        output: str | Path | None = None,
        title: str | None = None,
        template: str | None = None,
        engine: str | None = None,
        execute: bool = False,
        force: bool = False,
        **choice: Any,
    ) -> Path:
        """Choose runs, plan, write and, if asked, execute; the path of the notebook.

        choice: the arguments of `select`. Raises what the steps raise.
        """
        plan = self.plan(self.select(**choice), template=template, title=title, engine=engine)
        path = self.write(plan, Path(output) if output is not None else None, force=force)
        return self.execute(path, plan) if execute else path

    def select(
        self,
        *,
        experiments: Sequence[str] = (),
        run_ids: Sequence[str] = (),
        filter: str = "",  # noqa: A002 - MLflow's word
        order_by: Sequence[str] = (),
        limit: int | None = None,
        top: int | None = None,
        by: str | None = None,
        since: str | None = None,
        status: Sequence[str] = (),
        where: Sequence[str] = (),
        metric: str | None = None,
        seeds: Sequence[str] = (),
        baseline: str | Sequence[str] | Mapping[str, str] | None = None,
        explain: Callable[[Explanation], object] | None = None,
    ) -> Selection:
        """The runs that meet every condition, all of them unless there is a limit; only their ids are read.

        experiments: names, ids or globs such as `churn*`; none means every active one.
        top, by: the `top` best runs by a metric, `METRIC`, `METRIC:max` or `METRIC:min`.
        since: a date, `2026-11-01`, or an age, `7d`, `12 hours ago`; runs that started then or later.
        status: any of RUNNING, SCHEDULED, FINISHED, FAILED, KILLED.
        where: comparisons such as `lr=0.1` and `val_auc>0.8`, with a param, metric, tag or attribute by its name.
        metric: the primary one, with `:max` or `:min` where its name does not say it; by default that of `by`.
        seeds: the params that only repeat a configuration; by default those that look like it.
        baseline: a run of it by id or name, or its params: `{"lr": "0.1"}`, also as texts `lr=0.1`.
        explain: called with which part of this the store answers and which part is evaluated here.

        What since, status and where say becomes part of the selection's filter.
        Raises EmptyStore, UnknownExperiment, UnknownRun, NoRunMatches, FilterError, or a StoreError.
        """
        view: View = "all" if run_ids else "active"
        known = self.read_experiments(view, counted=False)
        self._check_filled(known)
        ranked, direction = _metric_and_direction(by, known_order=order_by)
        if ranked is not None:
            order_by = (f"metrics.{_quoted(ranked)} {'DESC' if direction else 'ASC'}",)
        experiment_ids = tuple(row["experiment_id"] for row in match_experiments(experiments, known))
        chosen = Query(experiment_ids=experiment_ids, run_ids=tuple(run_ids), view=view)
        sugar = [status_filter(status), since_filter(since), *self._where(where, chosen)]
        query = replace(
            chosen,
            filter=all_of(sugar, filter),
            order_by=tuple(order_by),
            limit=min((n for n in (limit, top) if n is not None), default=None),
        )
        if explain is not None:
            explain(self.store.explain(query))
        runs = self.store.read_runs(query)
        if not runs.num_rows:
            self._explain_nothing(query)
        found = runs.column("run_id").to_pylist()
        if ranked is not None:
            self._check_metric(ranked, tuple(found))
        primary, better = (ranked, direction) if metric is None else cut_metric(metric)
        if primary == ranked and better is None:
            better = direction
        if run_ids and not order_by:  # a person's own order of runs is kept
            places = {run_id: place for place, run_id in enumerate(run_ids)}
            found.sort(key=places.__getitem__)
        there = set(found)
        names = {row["experiment_id"]: row["name"] or row["experiment_id"] for row in known.to_pylist()}
        return Selection(
            tracking_uri=lasting_uri(self.tracking_uri),
            run_ids=(*found, *(run_id for run_id in run_ids if run_id not in there)),
            experiments=tuple(names[id_] for id_ in dict.fromkeys(runs.column("experiment_id").to_pylist())),
            filter=query.filter,
            order_by=query.order_by,
            limit=query.limit,
            picked=bool(run_ids),
            primary_metric=primary,
            greater_is_better=better,
            seeds=tuple(seeds) or None,
            baseline=_baseline(baseline),
        )

    def plan(
        self, selection: Selection, *, template: str | None = None, title: str | None = None, engine: str | None = None
    ) -> NotebookPlan:
        """Read the runs and decide every cell of the notebook; nothing is written.

        What the selection leaves open is filled by [tool.qualia] of this folder's pyproject.toml, by the experiments'
        tags, by names.
        template: by default `observe`.
        engine: aggregate the runs instead (see `open_engine`), by default with the template `aggregate`; only names and
        counts are read.

        Raises TemplateError, StoreError, SettingsError, NoRunMatches where a metric or a param that was asked for is in
        no run, and EngineError when the store is no snapshot.
        """
        kind = read_template(template or ("observe" if engine is None else "aggregate"))
        tables = None
        if engine is None:
            tables = self._tables(selection.run_ids)
            inventory, experiment_tags = take_inventory(tables), tables.experiment_tags
        else:
            selection = replace(selection, engine=engine)
            inventory, experiment_tags = self._count_by_engine(selection, engine)
        selection = fill_selection(selection, inventory, experiment_tags, read_settings(), tables)
        if tables is not None and selection.primary_metric is not None:
            counted = count_configurations(tables, selection.primary_metric, selection.seeds)
            inventory = replace(inventory, configurations=counted)
        return plan_notebook(
            kind,
            selection,
            inventory,
            title=title or default_title(selection),
            written=datetime.now().astimezone().date().isoformat(),
        )

    def write(self, plan: NotebookPlan, output: Path | None = None, *, force: bool = False) -> Path:
        """Write the notebook, by default to `notebooks/<experiment>_<date>.ipynb`.

        Raises OutputExists unless `force`, and OutputNotWritable.
        """
        path = output or default_output(plan.selection)
        check_output(path, force=force)
        return write_whole(path, notebook_bytes(build_notebook(plan)))

    def execute(
        self,
        path: Path,
        plan: NotebookPlan | None = None,
        *,
        timeout: float = 600,
        on_cell: Callable[[int, int], None] | None = None,
    ) -> Path:
        """Run the notebook's cells in a kernel that is handed the runs and needs neither store nor secret.

        plan: the one it was written by; without it the runs are those its `parameters` cell names.
        timeout: seconds a cell may take.  on_cell: called with (cells done, cells in all).
        Raises ExecutionFailed after saving what ran.
        """
        from qualia_lab.notebook.execute import execute_notebook
        from qualia_lab.stores.snapshot.store import write_snapshot

        if plan.selection.engine if plan is not None else _has_engine(path):
            execute_notebook(path, timeout=timeout, on_cell=on_cell)  # the snapshot is there already
            return path
        selection = plan.selection if plan is not None else Selection(self.tracking_uri, _run_ids_of(path))
        failed = [
            run_id for one in endings(self._tables(selection.run_ids)) if one.status in FAILED for run_id in one.run_ids
        ]
        with tempfile.TemporaryDirectory(prefix="qualia-") as folder:
            write_snapshot(
                Path(folder),
                self.store,
                self._tables(selection.run_ids),
                source_uri=selection.tracking_uri,
                artifacts_of=dict.fromkeys(
                    (*selection.run_ids[:RUNS_SHOWN], *failed[:_LOGS_KEPT], *selection.run_ids[-1:])
                ),
            )
            self._read = None  # the kernel reads them from there: of very many runs once is enough in memory
            execute_notebook(path, timeout=timeout, snapshot=Path(folder), on_cell=on_cell)
        return path

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

    def _where(self, texts: Sequence[str], chosen: Query) -> list[str]:
        """The filters that `--where` stands for, with keys as these runs have them."""
        asked = [cut_where(text) for text in texts]
        bare = [one.key for one in asked if one.field is None]
        keys = read_keys(self.store, chosen, bare) if bare else {}
        return [where_filter(one, one.field or one_field(one, keys)) for one in asked]

    def _tables(self, run_ids: tuple[str, ...]) -> RunTables:
        """The tables of these runs, read once however many steps ask for them."""
        if self._read is None or self._read[0] != run_ids:
            self._read = (run_ids, self.store.read(run_ids))
        return self._read[1]

    def _count_by_engine(self, selection: Selection, engine: str) -> tuple[Inventory, pa.Table]:
        """Names and counts of the runs, and the tags of their experiments, without reading the runs."""
        from qualia_lab.engines.open import check_engine, open_engine

        check_engine(engine, self.tracking_uri)
        opened = open_engine(
            with_credentials(selection.tracking_uri).full,
            engine,
            experiments=selection.experiments,
            filter=selection.filter,
            run_ids=selection.run_ids if selection.picked or selection.limit is not None else None,
        )
        try:
            inventory = opened.take_inventory(selection.run_ids)
            return inventory, self.store.read(opened.run_of_each_experiment()).experiment_tags
        finally:
            opened.close()

    def _check_metric(self, metric: str, run_ids: tuple[str, ...]) -> None:
        """Raise NoRunMatches, with what might have been meant, when no run has the metric to rank by."""
        first = run_ids[:1]  # runs without the metric stand last
        if metric in self.store.read(first).metrics.column("key").to_pylist():
            return
        keys = [count.key for count in take_inventory(self._tables(run_ids)).model_metrics]
        near = get_close_matches(metric, keys, n=3) or keys[:5]
        raise NoRunMatches(
            f"None of the {len(run_ids):,} runs has a metric {one_line(metric, 100)}.",
            f"There is {', '.join(one_line(key, 60) for key in near)}." if near else "They have no metric at all.",
        )

    def _check_filled(self, experiments: pa.Table) -> None:
        """Raise EmptyStore when there is certainly no run."""
        counts = experiments.column("run_count").to_pylist()
        if None not in counts and not any(counts):
            raise EmptyStore(
                f"There are no runs in {self.tracking_uri}.", "Log some with MLflow, or try create-demo-runs."
            )

    def _explain_nothing(self, query: Query) -> None:
        """Raise the error that says why no run was found, and how many there are."""
        if query.run_ids and not query.filter:
            names = ", ".join(one_line(run_id, 40) for run_id in query.run_ids[:3])
            raise UnknownRun(f"No run is called {names} in {self.tracking_uri}.", "List them with: qualia runs")
        known = self.read_experiments(query.view)
        self._check_filled(known)
        counts = dict(
            zip(known.column("experiment_id").to_pylist(), known.column("run_count").to_pylist(), strict=True)
        )
        in_all = sum(counts[experiment_id] for experiment_id in query.experiment_ids or counts)
        if not in_all:
            raise NoRunMatches("That experiment has no runs.", "List experiments with: qualia experiments")
        raise NoRunMatches(
            f"None of the {in_all:,} runs matches {one_line(query.filter, 200)}.",
            "Loosen the filter, or list them with: qualia runs",
        )


def default_title(selection: Selection) -> str:
    """`churn: 12 runs`, from the experiments' names."""
    names = [one_line(name, 60) for name in selection.experiments]
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    count = len(selection.run_ids)
    return f"{shown}: {count:,} {'run' if count == 1 else 'runs'}"


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


def _metric_and_direction(by: str | None, *, known_order: Sequence[str]) -> tuple[str | None, bool | None]:
    """`val_auc:max` as a metric and whether more is better; without a word for it, by the metric's name."""
    if by is None:
        return None, None
    if known_order:
        raise FilterError("An order and a metric to rank by were both given.", "Use one of order_by and by.", text=by)
    metric, direction = cut_metric(by)
    if direction is not None:
        return metric, direction
    direction = direction_of(by)
    if direction is None:
        raise FilterError(
            f"Whether more of {one_line(by, 100)} is better cannot be told from its name.",
            f"Say --by '{one_line(by, 100)}:max' or --by '{one_line(by, 100)}:min'.",
            text=by,
        )
    return by, direction


def _baseline(asked: str | Sequence[str] | Mapping[str, str] | None) -> str | Mapping[str, str] | None:
    """A run as its id or name, params as a dict; a text with `=` names a param."""
    if asked is None or isinstance(asked, Mapping):
        return asked or None
    texts = [asked] if isinstance(asked, str) else list(asked)
    if len(texts) == 1 and "=" not in texts[0]:
        return texts[0]
    for text in texts:
        if "=" not in text:
            raise SelectionError(
                f"The baseline {one_line(text, 100)} is no param=value.",
                "Name one run, or only params, each with its value.",
            )
    return {key.strip(): value.strip() for key, _, value in (text.partition("=") for text in texts)} or None


def _quoted(key: str) -> str:
    """A metric's key as the query language takes it."""
    return key if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key) else f"`{key}`"


def _has_engine(path: Path) -> bool:
    """Whether the notebook's `parameters` cell names an engine."""
    from qualia_lab.notebook.parameters import read_parameters

    return isinstance(read_parameters(path).get("ENGINE"), str)


def _run_ids_of(path: Path) -> tuple[str, ...]:
    """The run ids that the notebook's `parameters` cell assigns."""
    from qualia_lab.notebook.parameters import read_parameters

    run_ids = read_parameters(path).get("RUN_IDS", [])
    return tuple(run_id for run_id in run_ids if isinstance(run_id, str)) if isinstance(run_ids, list) else ()
