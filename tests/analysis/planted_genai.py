"""Stores of traces with known truth: two versions judged on the same questions, errors, spans, judges and models."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace

import numpy as np
import pyarrow as pa

from qualia_lab.analysis.findings import find_findings
from qualia_lab.analysis.findings.settings import chosen_thresholds
from qualia_lab.genai_tables import TraceTables
from tests.planted.run_rules import evidence_of
from tests.planted.store import PlantedStore, Run

from .genai_samples import START, feedback, models_of, span, spans_of, trace, traces_of

RULES = (
    *("errors_began", "slice_regression", "usage_regression", "best_never_saved", "champion_not_best"),
    *("judge_always_same", "repeated_tool_calls", "unchecked_expectations", "improved_within_noise"),
    *("span_type_dominates", "best_version"),
)
HOUR = 3_600_000


def found(traces=None, *, models=None, spans=None, runs=None, rules=RULES, **thresholds):
    """The findings of the rules about MLflow 3 on these tables, by rule."""
    store = PlantedStore({"assistant": runs or []})
    evidence = replace(
        evidence_of(store),
        traces=traces,
        models=models,
        read_spans=None if spans is None else lambda _ids: spans_of(spans).to_batches(),
    )
    chosen = {name: one for name, one in chosen_thresholds(thresholds).items() if name in rules}
    findings = [one for one in find_findings(evidence, chosen) if one.kind != "not examined"]
    return {one.rule: one for one in findings}


def evaluated(seed, *, better=0.0, worse_on=0.0, slower=1.0, rows=80):
    """Traces of two evaluations of the same questions; the second version differs as given.

    Args:
        seed: of the random numbers.
        better: what is added to the chance of a right answer, except on the topic sql.
        worse_on: what is taken from it there.
        slower: the factor of the duration and of the cost.
        rows: the number of questions.
    """
    generator = np.random.default_rng(seed)
    topics, hard = generator.choice(["sql", "pandas", "charts"], rows), generator.random(rows)
    traces, judged, tags = [], [], []
    for version, run in enumerate("ab"):
        for place in range(rows):
            change = 0.0 if not version else -worse_on if topics[place] == "sql" else better
            factor = slower**version
            traces.append(
                trace(
                    f"{run}{place}",
                    run,
                    request_preview=f"question {place}",
                    request_time=START + version * HOUR + place * 1000,
                    duration=int(1000 * factor * (1 + hard[place]) * generator.lognormal(0, 0.3)),
                    total_cost=float(0.01 * factor * (1 + hard[place]) * generator.lognormal(0, 0.2)),
                    state="ERROR" if generator.random() < 0.03 else "OK",
                )
            )
            right = bool(generator.random() < np.clip(0.3 + 0.4 * hard[place] + change, 0, 1))
            judged += [
                feedback(f"{run}{place}", "correctness", right),
                feedback(f"{run}{place}", "quality", int(np.clip(3 + 4 * change + generator.normal(), 1, 5))),
            ]
            tags.append((f"{run}{place}", "topic", str(topics[place])))
    return traces_of(traces, judged, tags)


def served(seed, *, failing_from=None, failing_model=None, chance=0.02, n=400, **columns):
    """Traces of a service with two models, which fail with a small chance, and often from a trace or with a model on."""
    generator = np.random.default_rng(seed)
    rows = []
    for place in range(n):
        model = "m2" if place % 2 and place > n / 4 else "m1"
        often = (failing_from is not None and place >= failing_from) or model == failing_model
        state = "ERROR" if generator.random() < (0.3 if often else chance) else "OK"
        duration = int(1000 * generator.lognormal(0, 0.5))
        rows.append(
            trace(
                f"t{place}",
                request_time=START + place * 60_000,
                state=state,
                model_id=model,
                duration=duration,
                **columns,
            )
        )
    return traces_of(rows)


def noise(seed):
    """Two versions that do not differ, and a service in another experiment that fails by chance."""
    sides = evaluated(seed, rows=50), served(seed + 1_000_000, n=200, experiment_id="2")
    return TraceTables(
        *(pa.concat_tables([getattr(one, field.name) for one in sides]) for field in fields(TraceTables))
    )


# What a store of a third party may contain.
HOSTILE = "</script><img src=x onerror=alert(1)>\x1b[31m\u202e"

_RISES = [0.5 + 0.4 * (1 - math.exp(-step / 10)) for step in range(60)]
LATE, STEADY = "0" * 31 + "1", "0" * 31 + "2"
OUTPUTS = [{"run_id": run, "model_id": f"{run}-{step}", "step": step} for run in (LATE, STEADY) for step in (10, 59)]


def models(values, champion="m1", key="auc"):
    logged = [{"model_id": name, "name": f"model {name}"} for name in values]
    versions = [{"name": "churn", "version": 3, "model_id": champion, "stage": "None"}]
    metrics = [(name, key, value, 7, "valid") for name, value in values.items()]
    return models_of(logged, metrics, versions=versions, aliases=[{"name": "churn", "alias": "champion", "version": 3}])


def every_rule():
    """Findings of all rules, with hostile names where a store can have them."""
    judged = [feedback(f"t{i}", HOSTILE, "yes", source_type="LLM_JUDGE", source_id=HOSTILE) for i in range(25)]
    judged += [feedback("t99", HOSTILE, "x", kind="expectation", assessment_id="e")]
    spans = [span(f"t{i}", "root", None, (0, 10**9), name=HOSTILE) for i in range(25)]
    spans += [span(f"t{i}", "llm", "root", (0, 9 * 10**8), type=HOSTILE) for i in range(25)]
    spans += [span("t1", f"s{i}", "llm", type="TOOL", inputs=json.dumps(HOSTILE), name=HOSTILE) for i in range(4)]
    noisy = next(seed for seed in range(50) if "improved_within_noise" in found(evaluated(seed)))
    return [
        *found(evaluated(noisy)).values(),
        *found(evaluated(1, better=0.5, worse_on=0.5, slower=1.6, rows=150)).values(),
        *found(served(3, failing_from=250)).values(),
        *found(served(4, failing_model="m2")).values(),
        *found(models=models({"m1": 0.8, "m2": 0.9, HOSTILE: 0.95})).values(),
        *found(traces_of([trace(f"t{i}") for i in range(25)], judged), spans=spans).values(),
        *found(runs=LATE_AND_STEADY, models=models_of(outputs=OUTPUTS)).values(),
    ]


def trained(curves):
    """Runs with a history of val_acc each: (name, values)."""
    return [
        Run(name, {"lr": 0.1 * place}, {"val_acc": list(enumerate(values))})
        for place, (name, values) in enumerate(curves)
    ]


LATE_AND_STEADY = trained(
    [("late", [*_RISES[:40], *(_RISES[39] - 0.01 * step for step in range(20))]), ("steady", _RISES)]
)
