"""What was wrong on pictures of pages (docs/looks.md): names of configurations, ticks, legends, charts of one value."""

from __future__ import annotations

import re

import pandas as pd
from hypothesis import assume, given
from hypothesis import strategies as st

from qualia_lab.analysis.findings.naming import narrow_names
from qualia_lab.charts.colours import GRID, INK, QUIET, REST
from qualia_lab.charts.ticks import round_ticks
from qualia_lab.runs.message import Message
from tests.charts.every_chart import every_chart
from tests.charts.test_evidence import runs_of
from tests.planted.store import PlantedStore, Run

SHAPES = [
    ("mlp", 0.003, 3, 256, 0.3),
    ("mlp", 0.003, 5, 256, 0.3),
    ("mlp", 0.01, 3, 512, 0.3),
    ("gbm", 0.1, 6, 256, 0.1),
]


def sweep(shapes=SHAPES, seeds=3, **more):
    names = ("model", "learning_rate", "depth", "batch_size", "dropout")
    return runs_of(
        PlantedStore({
            "sweep": [
                Run(f"r{place}-{seed}", {**dict(zip(names, shape, strict=False)), "seed": seed, **more},
                    {"val_auc": [(step, 0.8 + place / 100 + seed / 1000 + step / 1e4) for step in range(5)],
                     "val_acc": 0.7 + seed / 1000})
                for place, shape in enumerate(shapes) for seed in range(seeds)
            ]
        })
    )  # fmt: skip


@given(st.floats(-1e6, 1e6, allow_nan=False), st.floats(1e-6, 1e6), st.integers(2, 9))
def test_an_axis_has_two_ticks_or_more(low, span, most):
    high = low + span
    assume(high > low and span >= 1e-9 * max(abs(low), abs(high)))
    ticks = [position for position, _ in round_ticks((low, high), most)]
    assert len(ticks) >= 2
    assert all(low - span * 1e-9 <= tick <= high + span * 1e-9 for tick in ticks)
    assert len(ticks) <= most + 2


def test_names_that_do_not_fit_are_values_and_the_note_says_of_what():
    configurations = sweep().study.configurations
    wide, no_words = narrow_names(configurations, 200)
    assert no_words == ""
    assert all("=" in name for name in wide.values())
    narrow, words = narrow_names(configurations, 20)
    keys = re.fullmatch(r"Names are values of (.*)\.", words)[1].split(", ")
    assert len(set(narrow.values())) == len(configurations)
    for configuration in configurations:
        params = dict(configuration.params)
        assert narrow[configuration.run_ids[0]].split(", ") == [params[key] for key in keys]


def test_names_that_would_be_mostly_dashes_keep_their_factors():
    runs = [Run(f"r{place}", {f"option_{place}": place}, {"val_auc": 0.8 + place / 100}) for place in range(6)]
    study = runs_of(PlantedStore({"e": runs})).study
    names, words = narrow_names(study.configurations, 11)
    assert words == ""
    assert all("=" in name or "…" in name for name in names.values()), names
    assert len(set(names.values())) == 6


def models_of_several_libraries(names):
    """Runs of which each kind of model has params of its own."""
    runs = [
        Run(name, {f"{kind}_{option}": place for option in range(4)}, {"val_auc": 0.8 + place / 100})
        for place, (kind, name) in enumerate(zip("aabcd", names, strict=True))
    ]
    return runs_of(PlantedStore({"e": runs}))


def test_models_with_few_params_in_common_are_called_as_their_runs():
    names = ["Random Forest", "Extra Trees", "Gradient Boosting", "Ridge", "Naive Bayes"]
    runs = models_of_several_libraries(names)
    own = dict(zip(runs.study.task_of, ["Random Forest", "Random Forest", *names[2:]], strict=True))
    named, words = narrow_names(runs.study.configurations, 30, own)
    assert words == ""
    assert list(named.values()) == ["Random Forest (a_0=0)", "Random Forest (a_0=1)", *names[2:]]
    narrow, words = narrow_names(runs.study.configurations, 15, own)
    assert list(narrow.values())[:2] == ["Random For… (0)", "Random For… (1)"]
    assert words == "In brackets: values of a_0."
    for chart in (runs.plot.groups(), runs.plot.answer(), runs.plot.bands("val_auc")):
        texts = " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", chart.svg()))
        assert all(name in texts for name in names), (chart.title, texts)


def test_names_that_mlflow_chose_are_not_those_of_configurations():
    names = ["bold-shrike-1", "calm-owl-22", "big-cat-333", "mad-dog-4", "red-ant-55"]
    runs = models_of_several_libraries(names)
    named, _ = narrow_names(runs.study.configurations, 30, dict(zip(runs.study.task_of, names, strict=True)))
    assert not set(named.values()) & set(names)
    assert all("=" in name for name in named.values()), named


def test_charts_of_configurations_never_show_pieces_of_names():
    runs = sweep()
    for chart in (runs.plot.history("val_auc"), runs.plot.groups(), runs.plot.answer(), runs.plot.bands("val_auc")):
        texts = re.findall(r"<text[^>]*>([^<]*)</text>", chart.svg())
        assert [text for text in texts if "…" in text] == []


def test_relations_of_too_few_configurations_are_a_sentence():
    runs = sweep()
    for result in (runs.relations.trade_offs(["val_auc", "val_acc"]), runs.relations.correlations()):
        assert isinstance(result, Message)
        assert "4 configurations with a value, and this table takes at least 10" in repr(result)
        assert result._repr_html_() == f"<p>{result!r}</p>"


def test_the_best_of_two_metrics_are_configurations():
    shapes = [("mlp", 0.001 * (place + 1), place, 256, 0.3) for place in range(12)]
    table = sweep(shapes).relations.trade_offs(["val_auc", "val_acc"])
    assert table["best"].str.contains("=").all()
    assert not table["best"].str.match(r"r\d").any()


def test_a_param_with_one_value_is_a_sentence_and_tied_params_are_named():
    runs = sweep(epochs=30)
    assert "epochs is 30 in every run" in repr(runs.plot.param("epochs"))
    shapes = [(model, lr, 3, 256, 0.3) for model, lr in (("mlp", 0.1), ("gbm", 0.2), ("svm", 0.3))]
    chart = sweep(shapes).plot.param("learning_rate")
    other = sweep(shapes).plot.param("model")
    assert "Changes only together with" in chart.note + other.note


def test_legend_entries_of_several_colours_have_the_colour_of_none():
    svg = sweep().plot.groups().svg()
    swatches = {
        text: colour
        for colour, text in re.findall(
            r'<g class="entry"[^>]*><(?:line|circle)[^>]*(?:stroke|fill)="(#\w+)"[^>]*/><text[^>]*>([^<]*)', svg
        )
    }
    assert {"mean", "95 % interval"} <= swatches.keys()
    assert swatches["mean"] == swatches["95 % interval"]
    assert swatches["mean"] == QUIET
    traces = sweep().plot.groups().plotly()["data"]
    entries = {trace["name"]: trace for trace in traces if trace["showlegend"]}
    grey = sweep().plot.groups().plotly()["layout"]["font"]["color"]
    assert entries["mean"]["marker"]["color"] == entries["95 % interval"]["line"]["color"] == grey
    for name in ("mean", "95 % interval"):  # clicking the entry hides the marks
        entry = entries[name]
        assert sum(one.get("legendgroup") == entry["legendgroup"] for one in traces) > 1
        assert [one for one in traces if one["name"] == name and one["showlegend"]] == [entry]


def test_a_duration_that_is_not_known_is_missing_and_not_a_nan():
    runs = [Run("a", {"lr": 1}, {"acc": 0.5}), Run("b", {"lr": 2}, {"acc": 0.6}, status="RUNNING")]
    table = runs_of(PlantedStore({"e": runs})).failures.endings()
    assert table.loc["running", "median (s)"] is pd.NA
    assert table.loc["finished", "median (s)"] == 600


def _contrast(one, other):
    def luminance(colour):
        parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_figures_of_plotly_are_readable_in_light_and_dark_themes():
    found = {"font": set(), "line": set(), "marker": set(), "textfont": set()}

    def collect(part):
        for name, value in part.items() if isinstance(part, dict) else enumerate(part):
            if name in found and isinstance(value, dict) and "color" in value:
                colours = value["color"]
                found[name] |= {colours} if isinstance(colours, str) else set(colours)
            if isinstance(value, dict | list):
                collect(value)

    for name, chart in every_chart().items():
        figure = chart.plotly()
        assert {figure["layout"][paper] for paper in ("paper_bgcolor", "plot_bgcolor")} == {"rgba(0,0,0,0)"}
        if not any(trace["type"] == "heatmap" for trace in figure["data"]):  # whose cells have colours of their own
            collect(figure)
        assert not {INK, GRID, REST} & {colour for all_ in found.values() for colour in all_}, name
    assert {len(colours) > 0 for colours in found.values()} == {True}
    for paper in ("#FFFFFF", "#111111"):  # the second is that of JupyterLab's dark theme
        assert min(_contrast(colour, paper) for colour in found["font"]) > 4.2
        marks = [colour for name in ("line", "marker") for colour in found[name] if colour.startswith("#")]
        assert min(_contrast(colour, paper) for colour in marks) > 2.2
