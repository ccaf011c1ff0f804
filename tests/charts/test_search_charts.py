"""Charts of params against metrics and of the course of a search, for any number of runs, in each output format."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest

from qualia_lab import schema
from qualia_lab.charts.chart import Chart
from qualia_lab.charts.colours import PALETTE, QUIET
from qualia_lab.charts.marks import Points
from qualia_lab.charts.param_spread import param_spread
from qualia_lab.charts.ticks import across_ticks
from qualia_lab.runs import Runs
from qualia_lab.runs.message import Message
from qualia_lab.tables import run_tables, table_of

from .sample import WithoutHistories, run_ids, runs_with
from .test_charts import bundle

STATUSES = ("FINISHED", "FAILED", "RUNNING", "KILLED", None)


def searched(count, statuses=STATUSES):
    """A search of `count` runs: lr matters, one run in nine has no finite metric, names are hostile."""
    r = np.random.default_rng(1)
    params, metrics, runs = [], [], []
    for n, run_id in enumerate(run_ids(count)):
        row = {
            "lr": f"{10 ** r.uniform(-5, -1):.3g}",
            "opt<b>": ("adam", "sgd")[n % 2],
            "depth": str(n % 9),
            "seed": str(n),
        }
        if n % 2:
            row["$momentum"] = str(r.choice([0.5, 0.9]))
        params += [{"run_id": run_id, "key": key, "value": value} for key, value in row.items()]
        auc = 0.9 - 0.05 * (math.log10(float(row["lr"])) + 3) ** 2 + r.normal(0, 0.01)
        values = {"val_auc": math.nan if n % 9 == 8 else auc, "latency_ms": 50 * auc + n % 7, "foo": r.random()}
        metrics += [{"run_id": run_id, "key": key, "value": float(value)} for key, value in values.items()]
        end_time = None if n % 5 == 2 else 1000 * (n + 3)
        runs.append(
            {
                "run_id": run_id,
                "run_name": f"<i>$run_{n}",
                "status": statuses[n % len(statuses)],
                "start_time": 1000 * n,
                "end_time": end_time,
            }
        )
    tables = run_tables(
        runs=table_of(schema.RUNS, runs),
        params=table_of(schema.PARAMS, params),
        metrics=table_of(schema.METRICS, metrics),
    )
    return Runs(WithoutHistories(), tables)


def drawn(runs):
    return {
        "importance": runs.plot.importance(),
        "pair": runs.plot.param_pair(),
        "parallel": runs.plot.parallel(),
        "pareto": runs.plot.pareto(),
        "progress": runs.plot.best_so_far(),
        "distribution": runs.plot.distribution(),
        "by": runs.plot.distribution(by="opt<b>"),
        "timeline": runs.plot.timeline(),
    }


@pytest.mark.parametrize("count", [1, 12, 200])
def test_every_search_chart_is_drawn_or_gives_the_reason(count):
    for name, chart in drawn(searched(count)).items():
        if isinstance(chart, Chart):
            _, _, sentence = bundle(chart)
        else:
            assert isinstance(chart, Message)
            assert count == 1 or (count == 12 and name in ("importance", "pair")), name
            sentence = repr(chart)
        assert "run" in sentence or "n = " in sentence, name
        assert "nan" not in sentence.lower().split(), name


def test_few_configurations_give_only_rank_correlations_and_the_reason():
    chart = searched(12, ["FINISHED"]).plot.importance()
    assert [panel.x.label for panel in chart.panels] == ["rank correlation"]
    assert "Too few configurations to tell: 11 in n = 11 runs" in chart.note
    frame = searched(12, ["FINISHED"]).relations.importance()
    assert frame["forest"].isna().all()
    assert frame.loc["lr", "note"].startswith("too few configurations to tell")


def test_the_importance_table_and_bars_show_the_same_numbers():
    runs = searched(60, ["FINISHED"])
    frame = runs.relations.importance()
    assert frame.index[0] == "lr"
    assert frame.attrs["refusal"] == ""
    assert frame.attrs["n"] == frame.loc["lr", "n"] == 54
    (bars, *_) = runs.plot.importance().panels[0].marks
    assert bars.ends.tolist() == frame["forest"].dropna().tolist()
    assert bars.colours[0] != bars.colours[-1]  # grey: no more than chance


def test_no_value_of_a_metric_without_a_direction_is_called_best():
    runs = searched(30)
    assert "is not known" in repr(runs.plot.best_so_far("foo"))
    assert "is not known" in repr(runs.plot.pareto("val_auc", "foo"))
    assert "best" not in repr(runs.plot.parallel("foo")).lower()
    assert runs.relations.pareto(["val_auc", "latency_ms", "foo"]).attrs["left out"] == ["foo"]


def test_the_pareto_chart_has_the_runs_of_the_table_and_names_the_leading_ones():
    runs = searched(40, ["FINISHED"])
    frame = runs.relations.pareto(["val_auc", "latency_ms"])
    marks = [mark for mark in runs.plot.pareto("val_auc", "latency_ms").panels[0].marks if isinstance(mark, Points)]
    on_front = [mark for mark in marks if not mark.label.endswith(" dominated") or "not" in mark.label]
    assert set(frame.index) == {text.rpartition(": ")[0] for mark in on_front for text in mark.texts}
    named = [mark.label for mark in on_front if "dominated" not in mark.label]
    assert 0 < len(named) <= 7
    assert set(named) <= set(frame.index)
    assert frame["val_auc"].is_monotonic_decreasing
    assert runs.relations.pareto("val_auc").index.tolist() == frame.index.tolist()
    assert runs.relations.trade_offs(["val_auc", "latency_ms", "foo"])["n"].tolist() == [36]


def test_the_pareto_step_line_passes_only_through_points_that_a_run_reaches_or_beats():
    for better in ((True, False), (True, True), (False, False), (False, True)):
        from qualia_lab.charts.pareto import pareto_front

        r = np.random.default_rng(5)
        values = {key: {f"r{n:03}": float(r.random()) for n in range(40)} for key in ("a", "b")}
        chart = pareto_front(values, {f"r{n:03}": f"r{n:03}" for n in range(40)}, dict(zip("ab", better, strict=True)))
        (line,) = [mark for mark in chart.panels[0].marks if hasattr(mark, "dash")]
        for x, y in zip(line.x, line.y, strict=True):
            assert any(
                (values["a"][run] >= x if better[0] else values["a"][run] <= x)
                and (values["b"][run] >= y if better[1] else values["b"][run] <= y)
                for run in values["a"]
            )


def test_a_timeline_packs_200_runs_into_lanes_and_gives_40_runs_a_row_each():
    few, many = searched(40).plot.timeline(), searched(200).plot.timeline()
    assert len(few.panels[0].y.ticks) == 40
    assert many.panels[0].y.label == "runs at the same time"
    assert many.height < 800
    assert "40 runs without an end: drawn to the edge." in many.note


def test_parallel_axes_of_many_runs_highlight_the_ten_best_and_the_ten_worst():
    labels = [
        mark.label for mark in searched(200, ["FINISHED"]).plot.parallel().panels[0].marks if getattr(mark, "label", "")
    ]
    assert list(dict.fromkeys(labels)) == ["158 between", "10 worst", "10 best"]


def test_search_charts_of_very_many_runs_draw_an_even_sample_and_all_improvements():
    runs = searched(5000, ["FINISHED"])
    charts = {
        "best so far": runs.plot.best_so_far(),
        "distribution": runs.plot.distribution(),
        "pareto": runs.plot.pareto("val_auc", "latency_ms"),
    }
    for name, chart in charts.items():
        _, _, sentence = bundle(chart)
        assert "Drawn: " in sentence, name
        assert sum(len(mark.x) for panel in chart.panels for mark in panel.marks) < 10_000, name
    found = runs.relations.best_so_far()
    *_, line, points = charts["best so far"].panels[0].marks
    better = found[found["improved"]]
    assert set(better["val_auc"]) <= set(points.y)
    assert set(better["place"]) <= set(line.x)
    best_at = dict(zip(found["place"], found["best so far"], strict=True))
    reached = dict(zip(line.x, line.y, strict=True))  # the upper end of each step
    assert all(best_at[place] == best for place, best in reached.items())


def test_a_leading_configuration_has_its_colour_in_every_chart():
    rows = [
        ({"lr": str(k), "seed": str(seed)}, {"val_auc": (7 * k % 9) / 10 + seed / 99})
        for k in range(9)
        for seed in (0, 1)
    ]
    runs = Runs(WithoutHistories(), runs_with(rows))
    (*_, means) = runs.plot.groups().panels[0].marks
    assert means.colours == (*PALETTE, QUIET, QUIET)  # best first
    of_run = {
        run_id: colour for entry, colour in zip(means.runs, means.colours, strict=True) for run_id in entry.split(" ")
    }
    (dots,) = [mark for mark in runs.plot.comparison("val_auc").panels[0].marks if isinstance(mark, Points)]
    assert dict(zip(dots.runs, dots.colours, strict=True)) == of_run


def test_a_chart_in_which_nothing_is_drawn_is_a_message():
    runs = Runs(WithoutHistories(), runs_with([({"lr": "1"}, {"val_auc": 0.5}), ({"lr": "2"}, {"val_auc": 0.6})]))
    assert isinstance(runs.plot.history("val_auc"), Message)
    assert "no run recorded it" in repr(runs.plot.history("val_auc"))


def test_the_names_of_ranges_are_whole():
    """A piece of a number, as in `0.00…0005`, says nothing."""
    row = {"runs": 5, "n": 5, "lowest": 0.1, "q1": 0.2, "median": 0.3, "q3": 0.4, "highest": 0.5}
    edges = [(place / 10_000, (place + 4) / 10_000) for place in range(1, 41, 4)]
    ranges = pa.Table.from_pylist([{"first_param": low, "last_param": high, **row} for low, high in edges])
    values = pa.Table.from_pylist([{"value": "0.0001", **row}])
    (panel,) = param_spread(values, ranges, "lr", "val_auc", more=True).panels
    shown = [" ".join(tick.lines) for tick in across_ticks(panel.x, 850)]
    assert shown == [f"{low:.4g} … {high:.4g} (n=5)" for low, high in edges]
