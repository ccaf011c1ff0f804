"""Every kind of chart, with few and many runs, long and odd names: what tests of drawings look at."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pyarrow as pa

from qualia_lab.analysis.curves import align
from qualia_lab.analysis.groups import group_runs
from qualia_lab.analysis.seed_bands import seed_bands
from qualia_lab.charts.by_experiment import by_experiment
from qualia_lab.charts.chart import Chart
from qualia_lab.charts.group_means import group_means
from qualia_lab.charts.history_panels import RunGroup, history_panels
from qualia_lab.charts.marks import Axis, Band, Bars, Heat, Line, Panel, Points, Texts
from qualia_lab.charts.metric_comparison import metric_comparison
from qualia_lab.charts.metric_history import metric_history
from qualia_lab.charts.param_distribution import param_distribution
from qualia_lab.charts.seed_bands import seed_bands_chart
from qualia_lab.charts.system_metrics import system_metrics_chart

from .sample import curves, history, labels, metrics, params, run_ids, runs_with, study_of
from .test_search_charts import searched

LONG = "resnet50_imagenet_lr_0.1_momentum_0.9_wd_1e-4_augment_randaugment_{}"


def _configurations():
    """Histories and configurations: four learning rates with three seeds each, of long names."""
    rows = [
        ({"optimizer": f"adamw_with_warmup_{lr}", "seed": str(s)}, {"auc": lr / 10 + s / 99})
        for lr in range(4)
        for s in range(3)
    ]
    tables = runs_with(rows)
    r = np.random.default_rng(3)
    points = {
        run_id: (0.9 - np.exp(-np.arange(60) / (8 + n)) + r.normal(0, 0.01, 60)).tolist()
        for n, run_id in enumerate(tables.run_ids)
    }
    points["run4"] = points["run4"][:25]
    return tables, history(points)


@cache
def every_chart() -> dict[str, Chart]:
    """The charts by a short name."""
    charts: dict[str, Chart] = {}
    for count in (1, 7, 40):
        charts[f"history_{count}"] = metric_history(
            curves(count, 300), labels(count), "val_loss", greater_is_better=False
        )
        charts[f"panels_{count}"] = history_panels(
            curves(count, 90), labels(count), "val_loss", greater_is_better=False
        )
    odd = {
        "r000": "_hidden",
        "r001": "$\\frac{1}$ $x",
        "r002": "<b>bold</b>&lt;" + "x" * 300,
        "r003": "日本語の実験名前 😀",
    }
    table = history(
        {"r000": [1.0, math.nan, 3.0, 4.0, 1e300], "r001": [math.nan], "r002": [2.5], "r003": [1.0, 2.0, 1e-3]},
        "val_" + "very_long_" * 9 + "loss",
    )
    charts["history_odd"] = metric_history(table, odd, "val_" + "very_long_" * 9 + "loss", greater_is_better=True)
    charts["history_log"] = metric_history(
        history({"r000": [1e4, 10.0, 1e-3], "r001": [1e3, 1.0, 0.1]}, "loss"), labels(2), "loss"
    )
    charts["history_offset"] = metric_history(
        history({"r000": [1e9 + 0.1, 1e9 + 0.2, 1e9 + 0.15]}, "epoch_time"), labels(1), "epoch_time"
    )
    tables, table = _configurations()
    configured = study_of(tables).configurations
    long = {run_id: LONG.format(n) for n, run_id in enumerate(tables.run_ids)}
    groups = [
        RunGroup(
            ", ".join(f"{k}={v}" for k, v in one.values.items()) if hasattr(one, "values") else one.run_ids[0],
            one.run_ids,
        )
        for one in configured
    ]
    charts["panels_groups"] = history_panels(table, long, "val_loss", groups, greater_is_better=True)
    bands = seed_bands(align(table, tables.run_ids, "val_loss"), [one.run_ids for one in configured])
    charts["bands"] = seed_bands_chart(
        bands, configured, [" ".join(one.run_ids) for one in configured], greater_is_better=True
    )
    for place, scores in enumerate(
        (tables, runs_with([({"lr": str(k), "s": str(s)}, {"auc": k + s / 9}) for k in range(30) for s in range(3)]))
    ):
        names = {run_id: LONG.format(n) for n, run_id in enumerate(scores.run_ids)}
        charts[f"groups_{place}"] = group_means(
            group_runs(scores, study_of(scores), "auc"), names, "auc", greater_is_better=True
        )
    for count in (2, 60):
        values = pa.concat_tables(
            [
                metrics(
                    {run_id: 10**m * (n + 1) for n, run_id in enumerate(run_ids(count))},
                    f"validation_mean_intersection_{m}",
                )
                for m in range(4)
            ]
        )
        charts[f"comparison_{count}"] = metric_comparison(
            values,
            {one: LONG.format(one) for one in run_ids(count)},
            [f"validation_mean_intersection_{m}" for m in range(4)],
            greater_is_better={"validation_mean_intersection_0": True},
        )
    scores = metrics({run_id: n / 60 for n, run_id in enumerate(run_ids(60))})
    charts["param_groups"] = param_distribution(
        params({run_id: f"optimizer_with_name_{n % 12}" for n, run_id in enumerate(run_ids(60))}),
        scores,
        labels(60),
        "lr",
        "val_auc",
    )
    charts["param_scatter"] = param_distribution(
        params({run_id: str(10 ** (n / 20)) for n, run_id in enumerate(run_ids(60))}),
        scores,
        labels(60),
        "lr",
        "val_auc",
    )
    far = {run_id: str(1e9 + n) for n, run_id in enumerate(run_ids(60))}
    charts["param_far"] = param_distribution(params(far), scores, labels(60), "lr", "val_auc")
    for count in (10, 200):
        runs = searched(
            count, ["FINISHED", "FINISHED", "FAILED", "RUNNING", "FINISHED"] if count == 10 else ["FINISHED"]
        )
        for name, chart in (
            ("importance", runs.plot.importance()), ("pair", runs.plot.param_pair()), ("parallel", runs.plot.parallel()),
            ("pareto", runs.plot.pareto("val_auc", "latency_ms")), ("progress", runs.plot.best_so_far()), ("distribution", runs.plot.distribution(by="opt<b>")),
            ("timeline", runs.plot.timeline()),
        ):  # fmt: skip
            if isinstance(chart, Chart):
                charts[f"{name}_{count}"] = chart
    keys = [f"system/gpu_{index}_utilization_percentage" for index in range(5)]
    system = pa.concat_tables(
        [history({one: [50.0 + n, 60.0, 70 + n / 9] for n, one in enumerate(run_ids(20))}, key) for key in keys]
    )
    charts["system"] = system_metrics_chart(system, labels(20), keys)
    charts["experiments"] = by_experiment(
        [("churn with a long name of an experiment", charts["history_7"]), ("price", charts["history_log"])]
    )
    x = np.arange(4.0)
    charts["marks"] = Chart(
        "Marks that no other chart has, with a title that is long enough to need a second line on a phone and even on paper",
        (
            Panel(Axis("x", (-1, 4)), Axis("y", (-2, 6)), (Bars(x, x + 1, ("#0072B2",), vertical=True, label="up", runs=tuple(run_ids(4))), Band(x, x, x + 2, "#D55E00"), Line(x, x, "#D55E00", label="line"), Texts(x, x + 1.5, ("a", "b", "c", "d"), "#24292F"))),
            Panel(Axis("x", (0, 3)), Axis("y", (0, 2), log=False), (Heat(np.arange(4.0), np.arange(3.0), np.array([[1.0, 2.0, math.nan], [4.0, 5.0, 6.0]]), "val_auc"), Points(np.array([0.5]), np.array([0.5]), ("#24292F",)))),
        ),
        "Marks.",
        shared_y=False,
        columns=1,
        height=600,
    )  # fmt: skip
    return charts
