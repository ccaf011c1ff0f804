"""Which configuration leads, what each factor does with the rest held, and one side against another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from qualia_lab.analysis.answer import answer_of, spreads_between
from qualia_lab.analysis.compare import SideComparison, compare_sides
from qualia_lab.analysis.effects import ALPHA, clear_effects, crossings
from qualia_lab.analysis.findings.naming import configuration_names
from qualia_lab.analysis.over_problems import over_problems
from qualia_lab.analysis.ranges import edges_of
from qualia_lab.analysis.sides import read_side
from qualia_lab.escaping import for_html, one_line
from qualia_lab.runs.artifact_files import ArtifactFiles
from qualia_lab.runs.origins import environments_of
from qualia_lab.runs.said import Said
from qualia_lab.tables import rows_with

if TYPE_CHECKING:
    import pandas as pd

    from qualia_lab.analysis.answer import Answer
    from qualia_lab.analysis.effects import Effect
    from qualia_lab.runs.loaded import Loaded
    from qualia_lab.study.study import Task

_READ = 3  # runs of each side whose libraries are read: each is several questions to a server


@dataclass(frozen=True)
class ComparisonCard:
    """One side against another, as sentences.  found: all that is known of it."""

    found: SideComparison

    def __repr__(self) -> str:
        return "\n".join(one_line(one, 1000) for one in self.found.sentences)

    def _repr_html_(self) -> str:
        first, *rest = self.found.sentences
        return f"<p><b>{for_html(first)}</b></p>" + "".join(f"<p>{for_html(one)}</p>" for one in rest)


def compare(loaded: Loaded, a: str, b: str, metric: str | None, claimed: str | None) -> ComparisonCard:
    """Each side read as a run id, else a run's name, else KEY=VALUE, else a filter, and compared."""
    if metric is not None:
        loaded.check_metrics([metric])
    sides = tuple(read_side(loaded.tables, loaded.study, text, loaded.store.read_metric_history) for text in (a, b))
    return ComparisonCard(
        compare_sides(
            loaded.tables,
            loaded.study,
            *sides,
            metric,
            claimed,
            said=(a, b),
            environments=_environments(loaded, (*sides[0][:_READ], *sides[1][:_READ])),
            without=loaded.diverged,
        )
    )


def _environments(loaded: Loaded, run_ids: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """The libraries of these runs, where their files say them."""
    tables = replace(
        loaded.tables,
        runs=rows_with(loaded.tables.runs, "run_id", run_ids),
        logged_models=rows_with(loaded.tables.logged_models, "run_id", run_ids),
    )
    return environments_of(ArtifactFiles(loaded.store, tables))


def answer_table(loaded: Loaded, task: Task) -> pd.DataFrame | Said:
    """A row per configuration, the leader first, and beside it what is known of its lead."""
    import pandas as pd

    answer = answer_of(loaded.groups_of(task), loaded.study.settings.smallest_difference)
    if answer is None:
        return Said("No configuration leads: no run that counts has a metric whose direction is known.")
    names = configuration_names(loaded.study, answer.groups)
    told = {id(group): "told apart" for group in answer.apart} | {id(group): "level" for group in answer.level}
    told |= {id(group): "ran once" for group in answer.alone} | {id(answer.leader): "leads"}
    rows = [
        {
            "n": len(group.values),
            f"mean {answer.leader.metric}": group.mean,
            "verdict": told[id(group)],
            **(_of_leader(loaded, task, answer) if group is answer.leader else {}),
        }
        for group in answer.groups
    ]
    index = pd.Index([names[group.run_ids[0]] for group in answer.groups])
    return pd.DataFrame(rows, index=index).convert_dtypes()


def _of_leader(loaded: Loaded, task: Task, answer: Answer) -> dict[str, Any]:
    """The numbers that stand beside the leader only."""
    low, high = answer.interval or (None, None)
    rivals = answer.apart or answer.level or answer.alone
    repeated = [group for group in answer.groups if len(group.values) > 1]
    within, between = spreads_between(repeated) if len(repeated) > 1 else (answer.spread, None)
    over = over_problems(loaded.study, task, answer.groups)
    pairs = over.pairs if over is not None else None
    return {
        "lead": abs((answer.leader.mean or 0.0) - (rivals[0].mean or 0.0)) if rivals else None,
        "corrected": answer.corrected,
        "95 % low": low,
        "95 % high": high,
        "configurations": answer.found.k if answer.found else len(answer.groups),
        "deviation of repeats": within,
        "of configurations at most": between,
        "would show": answer.shows,
        "smallest that matters": answer.smallest,
        "needed n": answer.needed,
        **({} if over is None else {f"mean of way {place}": mean for place, (_, mean) in enumerate(over.ways[:2], 1)}),
        **({} if pairs is None else {"better in": max(pairs.above, pairs.below), "of problems": pairs.n}),
    }


def effect_table(loaded: Loaded, task: Task) -> pd.DataFrame | Said:
    """A row per two levels of a factor that are clearly apart, and two for each pair of factors that cross."""
    import pandas as pd

    groups = loaded.groups_of(task)
    found = [(one, "") for one in clear_effects(loaded.study, task, groups, ALPHA)]
    for one in crossings(loaded.study, task, groups, ALPHA):
        found += [(effect, f"{one.other}={level}") for level, effect in (one.first, one.second)]
    if not found:
        return Said("No level of a factor is clearly better than another one with all else the same.")
    return pd.DataFrame([_effect_row(effect, where) for effect, where in found]).convert_dtypes()


def _effect_row(effect: Effect, where: str) -> dict[str, Any]:
    return {
        "factor": effect.factor.factor,
        "level": effect.better,
        "better than": effect.worse,
        "where": where,
        "in": effect.wins,
        "of": effect.n,
        "by": effect.gain,
        "95 % low": effect.low,
        "95 % high": effect.high,
        "p": effect.p,
    }


def edge_table(loaded: Loaded, task: Task) -> pd.DataFrame | Said:
    """A row per numeric factor whose outermost value leads."""
    import pandas as pd

    found = edges_of(loaded.study, task, loaded.groups_of(task))
    if not found:
        return Said("No factor is best at an end of the range that was tried.")
    rows = [
        {"factor": one.name, "end": one.edge.end, "value": one.edge.level, "last step": one.edge.step, "p": one.edge.p}
        for one in found
    ]
    return pd.DataFrame(rows).convert_dtypes()
