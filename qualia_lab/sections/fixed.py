"""The sections that are the same in every notebook: a heading, a text and cells; each a row here."""

from __future__ import annotations

from qualia_lab.sections.reasons import (
    no_baseline,
    no_environments,
    no_groups,
    no_metric,
    no_origins,
    no_run,
    no_second_run,
    no_steps,
    no_system_metrics,
    none_to_set_apart,
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

warnings.filterwarnings("ignore", message="IProgress not found")  # said by a progress bar that MLflow imports
pd.set_option("display.max_columns", 60, "display.max_rows", 60, "display.min_rows", 30, "display.precision", 4)
pd.set_option("display.max_colwidth", 80, "display.html.use_mathjax", False)
show_missing_as_dashes()  # in tables: a dash is what is not there, NaN is what was logged"""
        },
    ),
    fixed_section(
        "findings",
        "Findings",
        """\
What named rules found in these runs: who leads first, then what went wrong, each with what to do next and how to
recompute its numbers. `runs.show_findings(spikes={"deviations": 20}, plateau=False)` sets thresholds;
`runs.findings()` gives the same as data.""",
        {"": "runs.show_findings()"},
        no_run,
    ),
    fixed_section(
        "study",
        "What these runs are about",
        """\
Everything below is computed on this reading of the runs. Where it is wrong, change a line of the cell of parameters
(`PRIMARY_METRIC`, `GREATER_IS_BETTER`, `SEEDS`, `FACTORS`, `LABELS`, `STATUSES`, `POOL`) and run the cells again, or
look at them otherwise in one cell: `runs.with_settings(seeds=["trial"]).groups()`.""",
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
        lambda brief: no_second_run(brief) or no_metric(brief),
    ),
    fixed_section(
        "baseline",
        "Against the baseline",
        """\
Each configuration against one of them, `BASELINE`: by pairs of the same seed where both have the same, else by Welch's
test, or by ranks (Mann-Whitney) where values lie far off. `p (Holm)` is corrected for the number of comparisons.
`would show` is the smallest difference that so many runs would show in 80 % of cases; where that is more than two
standard deviations, or a side has under three runs, the verdict is "too few runs to tell".""",
        {"": "runs.compare_to_baseline()"},
        no_baseline,
    ),
    fixed_section(
        "paper_table",
        "Table for a paper",
        """\
Mean ± half of the 95 % interval, n beside it; the best mean bold, what was compared with it and not told apart
underlined. `print(table.latex)`, `table.markdown` and `table.csv` give it as text.""",
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
A line per run; past 12 runs a panel per configuration or run, with the others in grey behind. `by="relative"` is over
time, `by="epoch"` over another metric, `smooth=0.8` smooths for the eye, `columns=1` puts all runs into one panel.""",
        {
            "": """\
for metric in CURVES:
    display(runs.plot.history(metric))"""
        },
        lambda brief: no_metric(brief) or no_steps(brief),
    ),
    fixed_section(
        "bands",
        "Histories averaged",
        """\
The first metric of `CURVES`, averaged over the runs of each configuration: the line is their mean, the band their
spread, n how many runs are in it.""",
        {
            "": """\
for metric in CURVES[:1]:
    display(runs.plot.bands(metric))"""
        },
        lambda brief: no_groups(brief) or no_steps(brief),
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
Where the runs come from, as far as it differs: source, commit, user, datasets. Runs of other code or data are not
directly comparable.""",
        {"": "runs.origins.that_differ()"},
        no_origins,
    ),
    fixed_section(
        "environments",
        "Python and libraries",
        "Versions that are not the same in all runs, as MLflow logged them beside each model.",
        {"": "runs.origins.environments_that_differ()"},
        no_environments,
    ),
    fixed_section(
        "artifacts",
        "Artifacts compared",
        """\
Which artifacts are not the same in all runs that have them, what differs in JSON, YAML and tables, and the pictures
side by side.
`runs.artifacts.difference(path, run_a, run_b)` compares two texts line by line.""",
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
| `runs.with_settings(seeds=[], statuses=["FINISHED"])` | the same runs, looked at otherwise |
| `runs.study`, `runs.tables` | what these runs are about, and the tidy Arrow tables behind all of it |
| `client` | MLflow's own client |""",
        {"": ""},
    ),
    fixed_section(
        "first_bad_step",
        "First bad step",
        """\
A row per metric that became NaN or infinite, and per loss that diverged and did not come back. Of each run, what went
bad first stands on top.""",
        {"": "runs.failures.first_bad_steps()"},
        no_metric,
    ),
    fixed_section(
        "what_sets_apart",
        "What sets them apart",
        """\
Values of params, tags, code, data and day that the runs that failed (where none did: whose metrics went bad) have more
often than those that finished; of numbers also thresholds. `p` is Fisher's exact test, corrected for all conditions
that could have told something (Tarone). It says nothing about cause.""",
        {"": "runs.failures.what_sets_apart()"},
        none_to_set_apart,
    ),
    fixed_section(
        "log_tails",
        "Last log lines",
        """\
Of the runs in trouble, failed ones first: what their tags say of an error, and the end of files that are named like a
log.""",
        {"": "runs.failures.log_tails(limit=5, lines=20)"},
        no_run,
    ),
    fixed_section(
        "system_at_the_end",
        "The machine at the end",
        """\
The last value of each system metric in the failed runs (where none failed: in those whose metrics went bad), beside the
median of the finished ones.""",
        {"": "runs.failures.system_at_the_end()"},
        no_system_metrics,
    ),
    fixed_section(
        "provenance",
        "Provenance",
        "Store, choice, times, versions, code and data; `runs` counts those of which it is true.",
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
