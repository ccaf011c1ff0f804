"""The sections that are the same in every notebook: a heading, a text and code cells."""

from __future__ import annotations

from qualia_lab.sections.reasons import (
    no_baseline,
    no_environments,
    no_evaluation,
    no_failures_to_compare,
    no_groups,
    no_metric,
    no_model,
    no_models,
    no_origins,
    no_run,
    no_second_evaluation,
    no_second_run,
    no_steps,
    no_system_metrics,
)
from qualia_lab.sections.section import fixed_section

SECTIONS = (
    fixed_section(
        "setup",
        "Setup",
        "",
        {
            "": """\
import warnings

import pandas as pd
from qualia_lab import load_runs, mlflow_client, show_missing_as_dashes

warnings.filterwarnings("ignore", message="IProgress not found")  # from a progress bar that MLflow imports
pd.set_option("display.max_columns", 60, "display.max_rows", 60, "display.min_rows", 30, "display.precision", 4)
pd.set_option("display.max_colwidth", 80, "display.html.use_mathjax", False)
show_missing_as_dashes()  # in tables: a dash is a missing value, NaN is a logged NaN"""
        },
    ),
    fixed_section(
        "study",
        "What these runs are about",
        """\
Everything below is computed from this interpretation of the runs. If it is wrong, change a line of the parameters cell
(`PRIMARY_METRIC`, `GREATER_IS_BETTER`, `SEEDS`, `FACTORS`, `LABELS`, `STATUSES`, `POOL`) and run the cells again, or
change it for one cell: `runs.with_settings(seeds=["trial"]).groups()`.""",
        {"": "runs.about()"},
        no_run,
    ),
    fixed_section(
        "overview",
        "Overview",
        "",
        {"": "runs.overview(metrics=METRICS, params=PARAMS)"},
    ),
    fixed_section(
        "metrics",
        "Metrics side by side",
        "The latest value of each metric.",
        {"": "runs.compare_metrics(METRICS)", "chart": "runs.plot.comparison(METRICS)"},
        lambda context: no_second_run(context) or no_metric(context),
    ),
    fixed_section(
        "baseline",
        "Against the baseline",
        """\
Each configuration against the baseline, `BASELINE`: paired by seed if both have the same seeds, else by Welch's test,
or by ranks (Mann-Whitney) if there are outliers. `p (Holm)` is corrected for the number of comparisons. `would show` is
the smallest difference that this many runs would detect in 80 % of cases; if that is more than two standard deviations,
or a side has fewer than three runs, the verdict is "too few runs to tell".""",
        {"": "runs.compare_to_baseline()"},
        no_baseline,
    ),
    fixed_section(
        "paper_table",
        "Table for a paper",
        """\
Mean ± half of the 95 % interval, and n; the best mean is bold, those not significantly different from it are
underlined. `print(table.latex)`, `table.markdown` and `table.csv` return it as text.""",
        {
            "": """\
table = runs.paper_table(METRICS)
table"""
        },
        no_groups,
    ),
    fixed_section(
        "curves",
        "Metric histories",
        """\
A line per run; with more than 12 runs, a panel per configuration or run, with the other runs in grey behind it.
`by="relative"` draws over time, `by="epoch"` over another metric, `smooth=0.8` smooths the lines, `columns=1` puts all
runs into one panel.""",
        {
            "": """\
for metric in CURVES:
    display(runs.plot.history(metric))"""
        },
        lambda context: no_metric(context) or no_steps(context),
    ),
    fixed_section(
        "bands",
        "Histories averaged",
        """\
The first metric of `CURVES`, averaged over the runs of each configuration: the line is the mean, the band the spread,
and n the number of runs.""",
        {
            "": """\
for metric in CURVES[:1]:
    display(runs.plot.bands(metric))"""
        },
        lambda context: no_groups(context) or no_steps(context),
    ),
    fixed_section(
        "evaluations",
        "Evaluated versions",
        """\
Means over the rows of each version, and differences over the rows with equal inputs.
`runs.evaluations.compare(against=RUN)` compares with another version; `GREATER_IS_BETTER = {SCORER: True}` in the
parameters cell says what is better where it is unknown.""",
        {
            "": "runs.evaluations.answer()",
            "scores": "runs.evaluations.scores()",
            "chart": "runs.evaluations.chart()",
            "compared": "runs.evaluations.compare()",
        },
        no_evaluation,
    ),
    fixed_section(
        "evaluation_rows",
        "Rows on which the versions differ",
        "The version that leads, and the next one: what got worse comes first. Other versions and scorers:\n"
        "`runs.evaluations.changed_rows(RUN, OTHER, SCORER)`.",
        {"": "runs.evaluations.changed_rows()"},
        no_second_evaluation,
    ),
    fixed_section(
        "evaluation_slices",
        "Slices of the rows",
        "The same two versions on the rows with one value of a tag.",
        {"": "runs.evaluations.slices()"},
        no_second_evaluation,
    ),
    fixed_section(
        "judges",
        "Judges against humans",
        "On the traces that both judged.",
        {"": "runs.evaluations.judges()"},
        no_evaluation,
    ),
    fixed_section(
        "evaluation_costs",
        "What each version costs",
        "Per row of the evaluation; times are those of the finished traces.",
        {"": "runs.evaluations.costs()"},
        no_evaluation,
    ),
    fixed_section(
        "models",
        "Models",
        """\
Logged models by their own metrics, whether the best point of a training was saved, and where the registry points.""",
        {
            "": "runs.models.best()",
            "saved": "runs.models.saved()",
            "registered": "runs.models.registered()",
        },
        no_models,
    ),
    fixed_section(
        "model_cards",
        "What each model is",
        """\
Flavours, signature and size are read from the file `MLmodel` of each model; no model is loaded. Each folded card has
the run, its code and data, the registered versions, the whole signature and the metrics.""",
        {"": "runs.models.table()", "cards": "runs.models.cards()"},
        no_model,
    ),
    fixed_section(
        "timeline",
        "When the runs ran",
        "From start to end, children under their parents; a run without an end is drawn to the edge.",
        {"": "runs.plot.timeline()"},
        no_second_run,
    ),
    fixed_section(
        "system",
        "System metrics",
        "",
        {"": "runs.plot.system_metrics()"},
        no_system_metrics,
    ),
    fixed_section(
        "origins",
        "Code, environment and data",
        """\
The origins of the runs where they differ: source, commit, user, datasets. Runs with different code or data are not
directly comparable.""",
        {"": "runs.origins.that_differ()"},
        no_origins,
    ),
    fixed_section(
        "environments",
        "Python and libraries",
        "Versions that are not the same in all runs, as MLflow logged them with each model.",
        {"": "runs.origins.environments_that_differ()"},
        no_environments,
    ),
    fixed_section(
        "artifacts",
        "Artifacts compared",
        """\
Artifacts that are not the same in all runs that have them, the differences in JSON, YAML and tables, and pictures side
by side. `runs.artifacts.difference(path, run_a, run_b)` compares two texts line by line.""",
        {
            "": "runs.artifacts.that_differ()",
            "compared": """\
for path in runs.artifacts.comparable():
    display(runs.artifacts.compare(path))""",
            "images": "runs.artifacts.images()",
        },
        no_second_run,
    ),
    fixed_section(
        "exploration",
        "Free exploration",
        """\
| name | what it is |
|---|---|
| `runs.params`, `runs.metrics`, `runs.tags` | DataFrames, a row per run, numbers as numbers |
| `runs.history(METRICS)` | DataFrame of every logged point: run_id, key, step, timestamp, value |
| `runs.plot.`, `runs.relations.`, `runs.failures.`, `runs.origins.` | charts and tables: press Tab |
| `runs.artifacts.list(RUN_IDS[0])` | DataFrame of a run's files with sizes |
| `runs.with_settings(seeds=[], statuses=["FINISHED"])` | the same runs with other settings |
| `runs.study`, `runs.tables` | the interpretation of the runs, and the Arrow tables that everything is computed from |
| `client` | MLflow's client |""",
        {"": ""},
    ),
    fixed_section(
        "first_bad_step",
        "First bad step",
        """\
A row per metric that became NaN or infinite, and per loss that diverged and did not recover. The first thing that went
bad in each run is on top.""",
        {"": "runs.failures.first_bad_steps()"},
        no_metric,
    ),
    fixed_section(
        "what_sets_apart",
        "What sets them apart",
        """\
Values of params, tags, code, data and day that are more frequent among failed runs (if none failed, runs whose metrics
went bad) than among finished ones, and thresholds of numeric values. `p` is that of Fisher's exact test, corrected for
all conditions that can become significant (Tarone). It does not show a cause.""",
        {"": "runs.failures.what_sets_apart()"},
        no_failures_to_compare,
    ),
    fixed_section(
        "log_tails",
        "Last log lines",
        """\
For the runs with problems, failed ones first: tags that describe an error, and the last lines of files that are named
like logs.""",
        {"": "runs.failures.log_tails(limit=5, lines=20)"},
        no_run,
    ),
    fixed_section(
        "system_at_the_end",
        "The machine at the end",
        """\
The last value of each system metric in the failed runs (if none failed, in those whose metrics went bad), next to the
median of the finished ones.""",
        {"": "runs.failures.system_at_the_end()"},
        no_system_metrics,
    ),
    fixed_section(
        "provenance",
        "Provenance",
        "Store, selection, times, versions, code and data; `runs` is the number of runs that each row applies to.",
        {"": "runs.origins.provenance(CHOSEN_BY)"},
        no_run,
    ),
    fixed_section(
        "appendix",
        "Appendix: every run",
        "",
        {"": "runs.overview(metrics=METRICS, params=PARAMS)"},
        no_run,
    ),
)
