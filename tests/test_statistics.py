"""Statistics of configurations, as used in a notebook, on a store written by MLflow."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from mlflow.entities import Metric, Param

from qualia_lab import NotebookGenerator, load_runs
from qualia_lab.errors import QualiaLabError, UnknownKey, UnknownRun
from tests.stores.empty import new_client


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two configurations with four seeds each, by a param `n`; one run failed before its first value."""
    folder = tmp_path_factory.mktemp("statistics")
    client = new_client(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.create_experiment("seeds", artifact_location=folder.as_uri())
    for n in (1, 2):
        for seed in range(4):
            run = client.create_run(experiment, run_name=f"n{n} seed{seed}", start_time=1000 * n + seed)
            failed = (n, seed) == (2, 3)
            points = [] if failed else [Metric("val_auc", n + seed / 10 - step / 7, step, step) for step in (0, 1, 2)]
            client.log_batch(run.info.run_id, points, [Param("n", str(n)), Param("net.seed", str(seed))])
            client.set_terminated(run.info.run_id, "FAILED" if failed else "FINISHED")
    selection = NotebookGenerator(f"sqlite:///{folder / 'mlflow.db'}").select()
    return load_runs(selection.tracking_uri, selection.run_ids)


def test_groups_count_failed_runs_and_average_the_others(runs):
    frame = runs.groups().set_index("n (param)")
    assert frame[["runs", "n"]].to_numpy().tolist() == [[4, 3], [4, 4]]
    latest = runs.metrics["val_auc"]
    for n in ("1", "2"):
        of_it = latest[latest.index.str.startswith(f"n{n}")].dropna()
        assert frame.loc[n, "mean val_auc"] == pytest.approx(of_it.mean())
        assert frame.loc[n, "median"] == pytest.approx(of_it.median())
    assert frame.loc["2", "best run"] == "n2 seed2"
    assert frame.index.tolist() == ["2", "1"]  # best first


def test_other_statistics_are_computed_from_the_history_and_named(runs):
    history = runs.history("val_auc")
    best = history.groupby("run")["value"].max()
    found = runs.scores(statistic="best")
    assert found.dropna().to_dict() == pytest.approx(best.to_dict())
    assert math.isnan(found["n2 seed3"])
    frame = runs.groups(statistic="at:1")
    assert "mean val_auc at step 1" in frame.columns
    assert frame["highest"].max() == history[history["step"] == 1]["value"].max()


def test_the_baseline_has_a_row_and_is_given_by_run_or_params(runs):
    frame = runs.compare_to_baseline()
    assert frame.iloc[0]["verdict"] == "baseline"
    assert frame.index.tolist() == ["n=1", "n=2"]
    assert frame.iloc[1][["n", "verdict"]].tolist() == [3, "better"]
    assert frame.iloc[1]["test"] == "Welch's t (all pairs differ by the same amount)"
    for baseline in ("n2 seed3", {"n": "2"}):  # also by the failed run
        assert runs.compare_to_baseline(baseline=baseline)["verdict"].to_dict() == {"n=2": "baseline", "n=1": "worse"}
    with pytest.raises(QualiaLabError, match="No configuration has n=3"):
        runs.compare_to_baseline(baseline={"n": "3"})
    with pytest.raises(UnknownRun):
        runs.compare_to_baseline(baseline="nobody")


def test_without_seeds_every_run_is_a_configuration(runs):
    alone = runs.with_settings(seeds=[])
    assert len(alone.groups()) == 8
    assert set(alone.compare_to_baseline()["verdict"]) == {"baseline", "too few runs to tell"}
    assert len(runs.groups()) == 2  # the loaded runs are unchanged


def test_a_paper_table_has_the_means_of_the_groups(runs):
    found = runs.paper_table("val_auc")
    frame = runs.groups()
    for mean in frame["mean val_auc"]:
        assert f"{mean:.2f}" in found.markdown
        assert f"{mean:.2f}" in found.latex
    read = pd.read_csv(pd.io.common.StringIO(found.csv))
    assert read["val_auc mean"].tolist() == pytest.approx(frame["mean val_auc"].tolist())
    assert read["val_auc n"].tolist() == [3, 4]


def test_an_unknown_metric_is_an_error_with_a_suggestion(runs):
    for method in (
        *(runs.groups, runs.compare_to_baseline, runs.paper_table, runs.scores, runs.history, runs.history_summary),
        *(runs.plot.groups, runs.plot.history, runs.plot.bands, runs.plot.comparison, runs.plot.best_so_far),
        *(runs.plot.importance, runs.plot.param_pair, runs.plot.parallel, runs.plot.pareto, runs.plot.distribution),
        *(runs.relations.importance, runs.relations.correlations, runs.relations.pareto, runs.relations.best_so_far),
    ):
        with pytest.raises(UnknownKey, match=r"There is no metric val_auk\. Did you mean val_auc\?"):
            method("val_auk")
    for ask in (
        lambda: runs.metrics["val_auk"],
        lambda: runs.metrics[["val_auc", "val_auk"]],
        lambda: runs.compare_metrics(["val_auk"]),
        lambda: runs.overview(metrics=["val_auk"]),
        lambda: runs.relations.trade_offs(["val_auc", "val_auk"]),
        lambda: runs.candidates(["val_auk"]),
        lambda: runs.plot.param("n", "val_auk"),
        lambda: runs.with_settings(primary_metric="val_auk"),
    ):
        with pytest.raises(KeyError, match="Did you mean val_auc"):
            ask()


def test_an_unknown_param_or_tag_is_an_error_with_a_suggestion(runs):
    for ask in (
        lambda: runs.params["net.sead"],
        lambda: runs.plot.param("net.sead"),
        lambda: runs.plot.distribution(by="net.sead"),
        lambda: runs.plot.parallel(params=["n", "net.sead"]),
        lambda: runs.overview(params=["net.sead"]),
        lambda: runs.with_settings(seeds=["net.sead"]),
    ):
        with pytest.raises(KeyError, match=r"net\.sead.*Did you mean net\.seed"):
            ask()
    with pytest.raises(KeyError, match=r"There is no tag mlflow\.runNam"):
        runs.tags["mlflow.runNam"]
    with pytest.raises(KeyError, match="There is no experiment sead"):
        runs.plot.groups(experiment="sead")
