"""Tables: which configuration of a task leads, and the effects of single factors with all others held constant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qualia_lab.analysis.answer import answers_of
from qualia_lab.analysis.contrasts import cells_of
from qualia_lab.analysis.effects import ALPHA, candidate_crossings, candidate_effects, clear_crossings, clear_effects
from qualia_lab.analysis.findings.naming import whole_names
from qualia_lab.analysis.over_problems import over_problems
from qualia_lab.analysis.spread_compare import seed_spread
from qualia_lab.escaping import one_line
from qualia_lab.runs.message import Message
from qualia_lab.runs.values import no_direction
from qualia_lab.study.left_out import names_of
from qualia_lab.study.one_factor import one_factor_sets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from qualia_lab.analysis.answer import Answer
    from qualia_lab.analysis.effects import Crossing, Effect
    from qualia_lab.analysis.groups import Group
    from qualia_lab.analysis.over_problems import OverProblems
    from qualia_lab.runs.loaded import Loaded
    from qualia_lab.study.study import Task


def answer_or_message(loaded: Loaded, task: Task) -> Answer | Message:
    """The answer of one task, or why there is none."""
    if task.objective is not None and task.objective.better is None:
        return no_direction(task.objective.key)
    answer = answers(loaded).get(task.experiment_id)
    return answer or Message("No configuration has a value of a metric that can be an objective.")


def answer_table(loaded: Loaded, task: Task) -> pd.DataFrame | Message:
    """A row per configuration of one task that has a value; see `Runs.answer`."""
    import pandas as pd

    answer = answer_or_message(loaded, task)
    if isinstance(answer, Message):
        return answer
    names = whole_names([group.configuration for group in answer.groups], names_of(loaded.tables))
    repeated = [one.values for one in answer.groups if len(one.scored) > 1]  # noqa: PD011  a tuple
    spread = seed_spread(repeated)
    over = over_problems(answer.groups)
    rows = [_answer_row(answer, group) for group in answer.groups]
    values = [value for group in answer.groups for value in group.values]  # noqa: PD011  a tuple
    rows[0] |= {
        "range of all": max(values) - min(values),
        "deviation of repeats": answer.spread,
        "of configurations at most": spread.most_between if spread else None,
    }
    rows[0] |= _over_row(over) if over is not None else {}
    frame = pd.DataFrame(rows, pd.Index([one_line(names[group.run_ids[0]], 120) for group in answer.groups]))
    numeric = [name for name in frame.columns if name not in ("metric", "against the best")]
    return frame.astype(dict.fromkeys(numeric, "Float64")).astype({"n": "Int64", "of": "Int64", "n needed": "Int64"})


def _answer_row(answer: Answer, group: Group) -> dict[str, Any]:
    """One row; statistics of the best configuration alone are only in its row."""
    leads = group is answer.leader
    mean, best = group.mean, answer.leader.mean
    return {
        "metric": one_line(group.metric, 60),
        "n": len(group.values),
        "mean": mean,
        "behind": abs(mean - best) if mean is not None and best is not None else None,
        "against the best": _standing(answer, group),
        "deviation": _deviation(group),
        "range": max(group.values) - min(group.values) if len(group.values) > 1 else None,
        "of": len(answer.groups) if answer.found is None else answer.found.k if leads else None,
        "corrected": answer.corrected if leads else None,
        "95 % low": answer.interval[0] if leads and answer.interval else None,
        "95 % high": answer.interval[1] if leads and answer.interval else None,
        "would show": answer.detectable_difference if leads else None,
        "smallest that matters": answer.smallest if leads else None,
        "n needed": answer.needed_repeats if leads else None,
    }


def _over_row(over: OverProblems) -> dict[str, Any]:
    """The two best means over problems on which both were tried, and on how many of these one is better."""
    means = {f"mean over problems, {place}": mean for place, (_, mean) in enumerate(over.ways[:2], 1)}
    if over.pairs is None:
        return means
    return {**means, "one better in": max(over.pairs.above, over.pairs.below), "of problems": over.pairs.n}


def _standing(answer: Answer, group: Group) -> str:
    if group is answer.leader:
        return "leads" if answer.apart else "best mean"
    if any(group is one for one in answer.apart):
        return "told apart"
    if any(group is one for one in answer.level):
        return "not told apart"
    return "ran once: too few to tell" if len(group.values) == 1 else "too few repeats to tell"


def _deviation(group: Group) -> float | None:
    """The standard deviation between the runs of the configuration."""
    from statistics import stdev

    return stdev(group.values) if len(group.values) > 1 else None


def effects_table(loaded: Loaded, task: Task) -> pd.DataFrame | Message:
    """A row per clear effect of a factor in one task, also at single levels of another factor; see `Runs.effects`."""
    import pandas as pd

    effects, crossings = _clear(loaded)
    rows = [_effect_row(effect, "") for effect in effects[task.experiment_id]]
    for crossing in crossings[task.experiment_id]:
        for level, effect in (crossing.first, crossing.second):
            rows.append(
                _effect_row(effect, f"{crossing.other}={level}" if level is not None else f"no {crossing.other}")
            )
    if not rows:
        return Message("No factor has a clear effect with all others held constant.")
    return pd.DataFrame(rows).set_index("factor").convert_dtypes()


def answers(loaded: Loaded) -> Mapping[str, Answer]:
    """The answers of all tasks: the tests are corrected over all of them."""
    smallest = loaded.study.settings.smallest_difference
    return loaded.once("answers", lambda: answers_of(_groups(loaded), smallest))


def _clear(loaded: Loaded) -> tuple[Mapping[str, Sequence[Effect]], Mapping[str, Sequence[Crossing]]]:
    """The clear effects and the crossing effects in all tasks, corrected over all of them."""

    def compute() -> tuple[Mapping[str, Sequence[Effect]], Mapping[str, Sequence[Crossing]]]:
        groups = _groups(loaded)
        cells = {
            task.experiment_id: cells_of(one_factor_sets(loaded.study, task), groups[task.experiment_id])
            for task in loaded.study.tasks
        }
        return (
            clear_effects({key: candidate_effects(of_task) for key, of_task in cells.items()}, ALPHA),
            clear_crossings({key: candidate_crossings(of_task) for key, of_task in cells.items()}, ALPHA),
        )

    return loaded.once("clear effects", compute)


def _groups(loaded: Loaded) -> Mapping[str, list[Group]]:
    """The configurations of every task with its objective's values."""
    return {task.experiment_id: loaded.groups_of(task) for task in loaded.study.tasks}


def _effect_row(effect: Effect, where: str) -> Mapping[str, Any]:
    return {
        "factor": one_line(effect.factor.factor, 60),
        "where": one_line(where, 60),
        "better": one_line(str(effect.better), 60),
        "worse": one_line(str(effect.worse), 60),
        "gain": effect.gain,
        "95 % low": effect.low,
        "95 % high": effect.high,
        "better in": effect.wins,
        "of": effect.n,
        "p": effect.p,
    }
