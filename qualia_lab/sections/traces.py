"""Sections on traces, in notebooks of runs that have some and in notebooks of traces alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.sections.configuration import privacy_parameters
from qualia_lab.sections.literal import assignment
from qualia_lab.sections.section import PlannedCell, Section, SectionContext, code, fixed_section, markdown

if TYPE_CHECKING:
    from qualia_lab.sections.literal import Literal

_SETUP = """\
import pandas as pd
from qualia_lab import load_traces, show_missing_as_dashes

pd.set_option("display.max_columns", 60, "display.max_rows", 60, "display.min_rows", 30, "display.precision", 4)
pd.set_option("display.max_colwidth", 120, "display.html.use_mathjax", False)
show_missing_as_dashes()  # in tables: a dash is a missing value, NaN is a logged NaN"""

_CONFIGURATION = """\
## Configuration

<details><summary>The input of the cells below: change it and run them again.</summary>

`TRACES` says which traces are read: `experiment_ids`, `run_ids`, `filter` in the query language for traces, `order_by`,
`limit`; all that are given must hold, and the latest are first.

</details>"""

_EXPLORATION = """\
| name | what it is |
|---|---|
| `traces.table("status = 'ERROR'", limit=100)` | DataFrame of the traces that match a filter |
| `traces.findings()`, `traces.show_findings(errors_began=False)` | what stands out, as data and as cards |
| `traces.show(trace_id)`, `traces.plot_waterfall(trace_id)` | one trace with its spans |
| `traces.tables` | the Arrow tables of the traces and their assessments |
| `load_traces(TRACKING_URI, {"filter": "feedback.correctness = false"})` | other traces |
| `from qualia_lab import load_runs` | `load_runs(TRACKING_URI, run_ids)` reads runs |"""


def parameters(context: SectionContext) -> dict[str, Literal]:
    """Return the values of the `parameters` cell by name."""
    traces = context.selection.traces
    return {
        "TRACKING_URI": context.selection.tracking_uri,
        "CHOSEN_BY": context.selection.conditions.as_data(),
        "TRACES": traces.as_data() if traces is not None else {},
        **privacy_parameters(context),
    }


def no_traces(context: SectionContext) -> str | None:
    """For sections on traces."""
    if context.inventory.genai.traces:
        return None
    return "there are no traces" if context.data_source == "traces" else "no run has traces"


def _configuration(context: SectionContext) -> tuple[PlannedCell, ...]:
    source = "\n".join(assignment(name, value) for name, value in parameters(context).items())
    return (markdown("traces_configuration:heading", _CONFIGURATION), code("parameters", source, "parameters"))


def _loading(context: SectionContext) -> tuple[PlannedCell, ...]:
    arguments = "".join(f", {name.lower()}={name}" for name in privacy_parameters(context))
    source = f"traces = load_traces(TRACKING_URI, TRACES{arguments})\ntraces"
    return (markdown("traces_loading:heading", "## Data loading"), code("traces_loading", source))


def _section(name: str, title: str, text: str, cells: dict[str, str], *, in_headline: tuple[str, ...] = ()) -> Section:
    """A section of both kinds of notebooks: `traces` in its cells is `runs.traces` in a notebook of runs.

    in_headline: the suffixes of cells that say what the headline of a notebook of traces says.
    """

    def planned(context: SectionContext) -> tuple[PlannedCell, ...]:
        is_alone = context.data_source == "traces"
        variable = "traces" if is_alone else "runs.traces"
        filled = {
            suffix: source.replace("{traces}", variable)
            for suffix, source in cells.items()
            if not (is_alone and suffix in in_headline)
        }
        return fixed_section(name, title, text.replace("{traces}", variable), filled).cells(context)

    return Section(name, title, planned, no_traces, "runs or traces")


SECTIONS = (
    fixed_section("traces_setup", "Setup", "", {"": _SETUP}, data_source="traces"),
    Section("traces_configuration", "Configuration", _configuration, data_source="traces"),
    Section("traces_loading", "Data loading", _loading, data_source="traces"),
    _section(
        "traces",
        "Traces",
        "How many there are, how many failed, and when.",
        {"answer": "{traces}.answer()", "": "{traces}.summary()", "chart": "{traces}.plot_over_time()"},
        in_headline=("answer", "chart"),
    ),
    _section(
        "trace_errors",
        "Errors in traces",
        "By the span in which they began and the kind of their message: numbers, ids, addresses and quoted texts in it "
        "are left out.",
        {"": "{traces}.errors()", "repeated": "{traces}.repeated_calls()"},
    ),
    _section(
        "trace_examples",
        "Telling traces",
        "Failures of each kind, the slowest, the lowest scored, and those on which judge and human disagree. "
        "`{traces}.show(TRACE_ID)` shows any of them in full.",
        {"": "{traces}.examples()", "shown": "{traces}.show_examples()"},
    ),
    _section(
        "trace_latency",
        "How long traces took",
        "The time of a type of spans is what its spans took themselves, without their children.",
        {
            "": "{traces}.plot_latency()",
            "types": "{traces}.time_by_type()",
            "waterfall": "{traces}.plot_waterfall()",
            "slowest": "{traces}.slowest()",
        },
    ),
    _section(
        "trace_models",
        "Tokens and cost by model",
        "Of the language models that spans name.",
        {"": "{traces}.by_model()"},
    ),
    fixed_section("traces_exploration", "Free exploration", _EXPLORATION, {"": ""}, data_source="traces"),
)
