"""Conditions combine: on every kind of store they select the same runs as a simple loop over all runs."""

from __future__ import annotations

import json
import math
import shutil
import sqlite3
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from qualia_lab import ArtifactExplorer
from qualia_lab.choosing import Conditions, choose_runs, query_of
from qualia_lab.errors import (
    EmptyStore,
    FilterError,
    NoRunMatches,
    SelectionError,
    UnknownExperiment,
    UnknownRun,
)
from qualia_lab.no_runs import describe_named_runs
from qualia_lab.selection import Query
from qualia_lab.stores.open import open_store
from qualia_lab.stores.snapshot.location import open_location
from qualia_lab.stores.snapshot.update import update_snapshot
from qualia_lab.study.settings import StudySettings
from tests import servers
from tests.conftest import running
from tests.query.odd_runs import TABLES, copy_rows, replace_ids
from tests.stores.empty import new_client

DATABASES = {"postgresql": servers.system_postgresql, "mariadb": servers.mariadb}

START = 1_760_000_000_000
HOUR = 3_600_000
UNKNOWN = ("f" * 32, "0123")
# Values of a metric: some shared by several runs, NaN, and missing ones.
AUC = [0.5, 0.9, 0.7, 0.9, math.nan, None, 0.3, 0.7, 0.1, None, 0.8, 0.2]


@dataclass(frozen=True)
class Run:
    """The facts about a run that the conditions of this test use."""

    place: int
    experiment: str
    start: int
    status: str
    auc: float | None
    loss: float
    lr: str
    model: str
    deleted: bool


RUNS = [
    Run(
        place,
        "churn" if place % 12 < 7 else "churn-old" if place % 12 < 10 else "prices",
        START + (place // 2) * HOUR,  # two start at the same time
        "FAILED" if place % 5 == 1 else "FINISHED",
        AUC[place % 12],
        place % 4 / 4,
        ("0.1", "0.01", "1e-1")[place % 3],
        ("mlp", "cnn")[place % 2],
        place % 11 == 3,
    )
    for place in range(24)
]


def write_runs(uri):
    """Write the runs with MLflow's client; their ids, in order."""
    client = new_client(uri)
    experiments = {name: client.create_experiment(name, "file:///nowhere") for name in ("churn", "churn-old", "prices")}
    run_ids = []
    for run in RUNS:
        made = client.create_run(experiments[run.experiment], run.start, run_name=f"run {run.place}").info.run_id
        if run.auc is not None:
            client.log_metric(made, "auc", run.auc, run.start)
        client.log_metric(made, "loss", run.loss, run.start)
        client.log_param(made, "lr", run.lr)
        client.log_param(made, "model", run.model)
        client.set_terminated(made, run.status, run.start + HOUR)
        if run.deleted:
            client.delete_run(made)
        run_ids.append(made)
    return run_ids, experiments


@pytest.fixture(scope="module")
def sqlite_runs(tmp_path_factory):
    """A SQLite file with the runs, their ids in order, and the ids of the experiments."""
    path = tmp_path_factory.mktemp("choosing") / "mlflow.db"
    return path, *write_runs(f"sqlite:///{path}")


def as_files(folder, run_ids, experiments):
    """The same runs in files, under the same ids."""
    uri = str(folder / "mlruns")
    theirs, of_files = write_runs(uri)
    replace_ids(
        folder / "mlruns",
        dict(zip(theirs, run_ids, strict=True)),
        {of_files[name]: experiments[name] for name in experiments},
    )
    shutil.rmtree(folder / "mlruns" / ".trash", ignore_errors=True)
    return uri


@pytest.fixture(scope="module")
def uris(sqlite_runs, tmp_path_factory):
    """Opens a store of each kind with the runs; a server is started on first use."""
    path, run_ids, experiments = sqlite_runs
    folder = tmp_path_factory.mktemp("stores")
    with ExitStack() as stack:

        @cache  # each store is made once for all tests
        def opened(kind):
            if kind == "sqlite":
                return f"sqlite:///{path}"
            if kind == "files":
                return as_files(folder, run_ids, experiments)
            if kind == "snapshot":
                source = open_store(f"sqlite:///{path}")
                listed = source.read_runs(Query(view="all"))
                update_snapshot(source, open_location(folder / "snapshot"), listed, old=None, choice={})
                source.close()
                return f"snapshot:{folder / 'snapshot'}"
            if kind == "server":
                with sqlite3.connect(path) as source, sqlite3.connect(folder / "copy.db") as copy:
                    source.backup(copy)
                server = servers.mlflow_server(f"sqlite:///{folder / 'copy.db'}", folder)
                return stack.enter_context(running(server))
            uri = stack.enter_context(running(DATABASES[kind]()))
            here, there = sa.create_engine(f"sqlite:///{path}"), sa.create_engine(uri)
            copy_rows(here, there, TABLES)
            here.dispose()
            there.dispose()
            return uri

        yield opened


# --- the oracle ---------------------------------------------------------------------------------------------------

FILTERS = {
    "": lambda run: True,
    "metrics.auc > 0.4": lambda run: run.auc is not None and run.auc > 0.4,
    "metrics.auc > 0.8 OR params.model = 'mlp'": lambda run: run.model == "mlp" or (run.auc or 0) > 0.8,
    "params.model != 'mlp'": lambda run: run.model != "mlp",
}
WHERE = {
    "lr=0.1": lambda run: float(run.lr) == 0.1,
    "model=cnn": lambda run: run.model == "cnn",
    "loss<=0.5": lambda run: run.loss <= 0.5,
    "metrics.auc>=0.7": lambda run: run.auc is not None and run.auc >= 0.7,
}
EXPERIMENTS = {
    (): lambda run: True,
    ("churn",): lambda run: run.experiment == "churn",
    ("churn*",): lambda run: run.experiment != "prices",
    ("churn-old", "prices"): lambda run: run.experiment != "churn",
}
ORDERS = {
    "metrics.loss ASC": lambda run: run.loss,
    "metrics.loss DESC": lambda run: -run.loss,
    "start_time ASC": lambda run: run.start,
}
SINCE = START + 5 * HOUR
SINCE_TEXT = datetime.fromtimestamp(SINCE / 1000, UTC).isoformat()


def ranked_by(by, run):
    """The sort key of a run by the metric: NaN after all numbers, missing values after NaN."""
    value = run.loss if by.startswith("loss") else run.auc
    if value is None:
        return (2, 0.0)
    if math.isnan(value):
        return (1, 0.0)
    return (0, value if by in ("loss", "auc:min") else -value)


def expected(conditions, run_ids):
    """The selected ids, and the numbers of excluded and of missing runs, by a loop over all runs."""
    named = conditions.run_ids
    id_of = dict(zip(RUNS, run_ids, strict=True))
    left = [run for run in RUNS if id_of[run] in named] if named else [run for run in RUNS if not run.deleted]
    for holds in (
        EXPERIMENTS[conditions.experiments],
        FILTERS[conditions.filter],
        *(WHERE[text] for text in conditions.where),
    ):
        left = [run for run in left if holds(run)]
    if conditions.status:
        left = [run for run in left if run.status in conditions.status]
    if conditions.since:
        left = [run for run in left if run.start >= SINCE]
    left.sort(key=lambda run: (-run.start, id_of[run]))
    if conditions.by:
        left.sort(key=lambda run: ranked_by(conditions.by, run))
    elif conditions.order_by:
        left.sort(key=ORDERS[conditions.order_by[0]])
    limits = [limit for limit in (conditions.top, conditions.limit) if limit is not None]
    chosen = [id_of[run] for run in left[: min(limits, default=len(left))]]
    if named and not (conditions.by or conditions.order_by):
        chosen.sort(key=named.index)
    missing = [one for one in named if one not in run_ids]
    return (*chosen, *missing), len(named) - len(chosen) - len(missing) if named else 0, len(missing)


def all_conditions(run_ids):
    """Any combination of conditions on these runs."""
    some = st.sampled_from([None, None, 1, 2, 3, 5, 8])
    return st.builds(
        lambda by, order_by, top, **rest: Conditions(
            by=by, order_by=() if by else order_by, top=top if by else None, **rest
        ),
        by=st.none() | st.sampled_from(["auc", "auc:min", "loss"]),
        order_by=st.just(()) | st.sampled_from(list(ORDERS)).map(lambda order: (order,)),
        top=some,
        limit=some,
        experiments=st.sampled_from([(), *EXPERIMENTS]),
        run_ids=st.just(()) | st.permutations([*run_ids, *UNKNOWN]).map(lambda ids: tuple(ids[:14])),
        filter=st.sampled_from(["", "", *FILTERS]),
        where=st.sampled_from([(), (), *((text,) for text in WHERE), tuple(WHERE)[:2]]),
        status=st.sampled_from([(), (), (), ("FINISHED",), ("FAILED", "KILLED")]),
        since=st.sampled_from([None, None, None, SINCE_TEXT]),
    )


@pytest.mark.parametrize(
    ("kind", "count"),
    [
        ("sqlite", 120),
        pytest.param("files", 120, marks=pytest.mark.slow),
        ("snapshot", 120),
        pytest.param("server", 60, marks=pytest.mark.slow),
        *(pytest.param(kind, 120, marks=pytest.mark.slow) for kind in DATABASES),
    ],
)
def test_all_conditions_must_hold_on_every_store(kind, count, uris, sqlite_runs):
    _, run_ids, _ = sqlite_runs
    store = open_store(uris(kind))
    met, excluded_of, missing_of = set(), 0, 0

    @settings(max_examples=count, deadline=None, derandomize=True)
    @given(all_conditions(run_ids))
    def compare(conditions):
        nonlocal excluded_of, missing_of
        ids, excluded, missing = expected(conditions, run_ids)
        query = query_of(store, conditions)
        if len(ids) == missing:
            with pytest.raises(UnknownRun if missing and not excluded else NoRunMatches):
                choose_runs(store, conditions, query)
        elif conditions.by and not conditions.by.startswith("loss") and not has_auc(ids, run_ids):
            with pytest.raises(NoRunMatches, match="has a metric auc"):
                choose_runs(store, conditions, query)
        else:
            selection = choose_runs(store, conditions, query)
            assert (selection.run_ids, selection.excluded, selection.missing) == (ids, excluded, missing)
            assert selection.conditions == conditions
            met.add(ids)
            excluded_of, missing_of = excluded_of + bool(excluded), missing_of + bool(missing)

    compare()
    store.close()
    assert len(met) > count / 5
    assert min(excluded_of, missing_of) > 3


def has_auc(ids, run_ids):
    return any(run.auc is not None for run, one in zip(RUNS, run_ids, strict=True) if one in ids)


# --- single conditions --------------------------------------------------------------------------------------------


@pytest.fixture
def store(sqlite_runs):
    opened = open_store(f"sqlite:///{sqlite_runs[0]}")
    yield opened
    opened.close()


def chosen(store, **words):
    conditions = Conditions.of(**words)
    return choose_runs(store, conditions, query_of(store, conditions))


def test_the_best_of_the_named_runs_are_chosen_and_the_others_are_excluded(store, sqlite_runs):
    _, ids, _ = sqlite_runs
    named = [ids[0], ids[1], ids[2], ids[6], ids[8]]  # auc 0.5, 0.9, 0.7, 0.3, 0.1
    selection = chosen(store, run_ids=named, by="auc", top=3)
    assert selection.run_ids == (ids[1], ids[2], ids[0])
    assert (selection.excluded, selection.missing) == (2, 0)
    assert describe_named_runs(selection) == "2 of the 5 runs named are excluded by the other conditions."


def test_an_unknown_id_is_missing_and_an_excluded_one_is_not(store, sqlite_runs):
    _, ids, _ = sqlite_runs
    selection = chosen(store, run_ids=[ids[1], "f" * 32, ids[0]], status=["FINISHED"])
    assert selection.run_ids == (ids[0], "f" * 32)
    assert describe_named_runs(selection) == (
        "1 of the 3 runs named is excluded by the other conditions, and the store does not have 1."
    )
    assert (
        describe_named_runs(chosen(store, run_ids=[ids[1], "f" * 32])) == "1 of the 2 runs named is not in the store."
    )
    assert describe_named_runs(chosen(store, run_ids=[ids[1]])) == ""
    with pytest.raises(NoRunMatches, match=r"^All 2 runs named are excluded by the other conditions\."):
        chosen(store, run_ids=[ids[0], ids[2]], status=["FAILED"])
    with pytest.raises(NoRunMatches, match=r"1 of the 2 runs named is excluded .*, and the store does not have 1"):
        chosen(store, run_ids=[ids[0], "f" * 32], status=["FAILED"])
    with pytest.raises(UnknownRun, match="No run has the id 0123 in "):
        chosen(store, run_ids=["0123"], status=["FAILED"])


def test_experiments_without_runs_are_counted_in_the_message(tmp_path):
    client = new_client(f"sqlite:///{tmp_path / 'mlflow.db'}")
    for name in ("empty", "emptier"):
        client.create_experiment(name)
    client.create_run(client.create_experiment("full"))
    with open_store(f"sqlite:///{tmp_path / 'mlflow.db'}") as store:
        with pytest.raises(NoRunMatches, match=r"^That experiment has no runs"):
            chosen(store, experiments=["empty"])
        with pytest.raises(NoRunMatches, match=r"^Those experiments have no runs"):
            chosen(store, experiments=["empt*"])


def test_a_deleted_run_is_found_by_id_unless_only_active_runs_are_requested(store, sqlite_runs):
    _, ids, _ = sqlite_runs
    deleted = ids[3]
    assert chosen(store, run_ids=[deleted]).run_ids == (deleted,)
    assert chosen(store, run_ids=[deleted, ids[0]], view="active").run_ids == (ids[0],)
    assert deleted not in chosen(store).run_ids


def test_named_runs_keep_their_order_without_duplicates(store, sqlite_runs):
    _, ids, _ = sqlite_runs
    selection = chosen(store, run_ids=[ids[4], ids[1], ids[4]])
    assert (selection.run_ids, selection.excluded) == ((ids[4], ids[1]), 0)
    assert chosen(store, run_ids=[ids[1], ids[4]], order_by=["start_time DESC"]).run_ids == (ids[4], ids[1])


def test_a_key_has_the_same_meaning_for_any_number_of_named_runs(store, sqlite_runs):
    _, ids, _ = sqlite_runs
    without_auc = ids[5]
    with pytest.raises(NoRunMatches, match="The run named is excluded"):
        chosen(store, run_ids=[without_auc], where=["auc>0"])
    assert query_of(store, Conditions(run_ids=("0123",), where=("auc>0",))).filter == "metrics.auc > 0"


def test_settings_for_a_metric_give_the_direction_of_the_ranking(store):
    def order(settings=None, by="loss"):
        return query_of(store, Conditions(by=by), settings).order_by

    assert order() == ("metrics.loss ASC",)
    assert order(by="loss:max") == ("metrics.loss DESC",)
    assert order(StudySettings(better={"loss": "higher"})) == ("metrics.loss DESC",)
    assert order(StudySettings(better={"odd one": "higher"}), "odd one") == ("metrics.`odd one` DESC",)
    with pytest.raises(FilterError, match="Whether more of zzz is better cannot be told from its name"):
        order(by="zzz")


def test_the_tags_of_an_experiment_give_the_direction_if_the_name_does_not(tmp_path):
    client = new_client(f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.create_experiment("tagged", "file:///nowhere")
    client.set_experiment_tag(experiment, "mlflow.experiment.primaryMetric.name", "zzz")
    client.set_experiment_tag(experiment, "mlflow.experiment.primaryMetric.greaterIsBetter", "False")
    ids = []
    for value in (2, 1, 3):
        ids.append(client.create_run(experiment).info.run_id)
        client.log_metric(ids[-1], "zzz", value)
    store = open_store(f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert chosen(store, experiments=["tagged"], by="zzz", top=2).run_ids == (ids[1], ids[0])
    assert chosen(store, by="zzz:max", top=1).run_ids == (ids[2],)
    store.close()


def test_conditions_round_trip_through_plain_data():
    conditions = Conditions.of(experiments=["churn*"], where=["lr=0.1"], status=["FAILED", "FAILED"], by="auc", top=3)
    data = json.loads(json.dumps(conditions.as_data()))
    assert data == {"experiments": ["churn*"], "where": ["lr=0.1"], "status": ["FAILED"], "by": "auc", "top": 3}
    assert Conditions.of(**data) == conditions
    assert conditions.restricts
    assert not Conditions(by="auc", order_by=("start_time",)).restricts


def test_a_selection_keeps_the_conditions_and_the_query(store):
    selection = chosen(store, experiments=["churn*"], where=["lr=0.1"], since="2025-01-01T00:00:00+00:00", limit=2)
    assert selection.conditions.where == ("lr=0.1",)
    assert selection.query.filter == "start_time >= '2025-01-01 00:00:00Z' AND params.lr = 0.1"
    assert selection.query.limit == 2
    assert selection.needs_ids
    assert not selection.picked
    assert set(selection.experiments) <= {"churn", "churn-old"}


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        ({"limit": 0}, SelectionError, "limit is 0"),
        ({"top": 2}, SelectionError, "without a metric to rank by"),
        ({"by": "auc", "order_by": ["start_time"]}, FilterError, "both given"),
        ({"by": "aux:max"}, NoRunMatches, "None of the 22 runs has a metric aux. There is auc"),
        ({"experiments": ["chrun"]}, UnknownExperiment, "Did you mean churn"),
        ({"filter": "metrics.auc > 5"}, NoRunMatches, "None of the 22 runs matches"),
        ({"where": ["auk>5"]}, FilterError, r"Did you mean metrics\.auc"),
        ({"status": ["DONE"]}, FilterError, "No status is called DONE"),
        ({"since": "teatime"}, FilterError, "neither a date nor an age"),
    ],
)
def test_invalid_conditions_are_refused(words, error, said, store):
    with pytest.raises(error, match=said):
        chosen(store, **words)


def test_an_empty_store_is_reported(tmp_path):
    new_client(f"sqlite:///{tmp_path / 'mlflow.db'}").search_experiments()
    store = open_store(f"sqlite:///{tmp_path / 'mlflow.db'}")
    for words in ({}, {"where": ["lr=0.1"]}, {"filter": "params.lr = 'x'"}, {"by": "auc", "top": 2}):
        with pytest.raises(EmptyStore):
            chosen(store, **words)
    store.close()


def test_the_ranking_uses_the_direction_of_the_study(tmp_path):
    client = new_client(f"sqlite:///{tmp_path / 'mlflow.db'}")
    tags = {"mlflow.experiment.primaryMetric.name": "score", "mlflow.experiment.primaryMetric.greaterIsBetter": "false"}
    tagged, swept = client.create_experiment("tagged", tags=tags), client.create_experiment("swept")
    for experiment, key, more in ((tagged, "score", {}), (swept, "value", {"direction": "MINIMIZE"})):
        for value in (1.0, 2.0):
            run = client.create_run(experiment, run_name=f"{key} {value:g}", tags=more)
            client.log_metric(run.info.run_id, key, value)
    store = open_store(f"sqlite:///{tmp_path / 'mlflow.db'}")
    for experiment, key in (("tagged", "score"), ("swept", "value")):
        conditions = Conditions(experiments=(experiment,), by=key, top=1)
        [best] = choose_runs(store, conditions, query_of(store, conditions)).run_ids
        assert store.read([best]).runs.column("run_name").to_pylist() == [f"{key} 1"]


def test_a_single_string_or_none_is_accepted_in_place_of_a_list(store, sqlite_runs):
    words = {"experiments": "churn", "order_by": "metrics.auc DESC", "where": "model=mlp", "status": "FINISHED"}
    listed = {name: [text] for name, text in words.items()}
    assert chosen(store, **words).run_ids == chosen(store, **listed).run_ids
    explorer = ArtifactExplorer(f"sqlite:///{sqlite_runs[0]}")
    assert list(explorer.search_runs("churn").run_id) == list(explorer.search_runs(["churn"]).run_id)
    by_auc = explorer.search_runs("churn", order_by="metrics.auc DESC").run_id
    assert list(by_auc) == list(explorer.search_runs(["churn"], order_by=["metrics.auc DESC"]).run_id)
    everything = explorer.search_runs(None, order_by=None, filter=None, where=None, run_ids=None, status=None)
    assert list(everything.run_id) == list(explorer.search_runs().run_id)


@pytest.mark.parametrize("kind", ["sqlite", "files", "snapshot", "server"])
def test_an_unknown_field_is_reported_with_those_that_exist(kind, uris):
    store = open_store(uris(kind))
    with pytest.raises(NoRunMatches, match="No run has the metric acu; there is auc") as error:
        chosen(store, order_by=["metrics.acu DESC"])
    assert "ordered" in str(error.value)
    with pytest.raises(NoRunMatches, match="No run has the param nosuch; there are lr, model"):
        chosen(store, order_by=["metrics.auc DESC", "params.nosuch"], filter="status = 'FAILED' OR metrics.auc IS NULL")
    with pytest.raises(NoRunMatches, match=r"None of the \d+ runs matches .*No run has the metric nosuch; there are"):
        chosen(store, filter="metrics.nosuch > 1 AND params.lr = '0.1'")
    with pytest.raises(NoRunMatches) as error:
        chosen(store, filter="metrics.auc > 5")
    assert "No run has" not in str(error.value)
    # If any run has the metric, ordering by it is valid, even for runs without it.
    assert len(chosen(store, order_by=["metrics.auc"], filter="metrics.auc IS NULL").run_ids) > 0
    store.close()


def test_the_explorer_does_not_return_the_newest_run_as_the_best(sqlite_runs):
    explorer = ArtifactExplorer(f"sqlite:///{sqlite_runs[0]}")
    with pytest.raises(NoRunMatches, match="No run has the metric nosuch"):
        explorer.search_runs(order_by=["metrics.nosuch DESC"])
    nothing = explorer.search_runs(filter="metrics.nosuch > 0")
    assert len(nothing) == 0
    assert "No run has the metric nosuch; there are auc, loss." in nothing.attrs["notes"]
