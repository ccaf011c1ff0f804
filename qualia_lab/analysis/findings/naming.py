"""What configurations are called in sentences: by the factors that set them apart, at most four, never two alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.analysis.findings.finding import NAMED, number
from qualia_lab.analysis.groups import telling_params
from qualia_lab.escaping import one_line
from qualia_lab.inventory import is_number
from qualia_lab.names import distinct_names

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from qualia_lab.analysis.groups import Group
    from qualia_lab.study import Configuration, Study

_LONGEST = 160  # characters of three names or more
_WIDEST = 40  # characters of a value
_LONG_NUMBER = 7  # characters of a number that is written as it is


def configuration_names(
    study: Study, groups: Iterable[Group], run_names: Mapping[str, str] | None = None, *, without: Collection[str] = ()
) -> dict[str, str]:
    """`lr=0.1, depth=3`, by the id of the first run of each of some configurations of one task.

    All factors that set the configurations of the task apart, then those that always change with one of them. Past four
    those come first that tell these ones apart, and `…` stands for the rest; then the name that its runs share stands
    beside it. Values that are cut, and numbers that are rounded, stay distinct. The only one is called `all runs`.

    Args:
        study: of the runs.
        groups: the configurations.
        run_names: what runs are called.
        without: factors that are not named.
    """
    configurations = list({group.run_ids[0]: group.configuration for group in groups}.values())
    factors = list(dict.fromkeys(key for one in configurations for key, _ in one.params if key not in without))
    tied = [one.name for one in study.factors if one.tied_to in factors]
    values = [{**dict(one.settings), **dict(one.params)} for one in configurations]
    keys = list(_chosen(configurations, values, factors))
    room = max(0, NAMED - len(keys))
    keys += tied[:room]
    shown: list[list[str]] = [[] for _ in configurations]
    for key, name in zip(keys, distinct_names(keys, width=_WIDEST), strict=True):
        short = short_values(value for one in values if (value := one.get(key)) is not None)
        for words, one in zip(shown, values, strict=True):
            value = one.get(key)
            words.append(f"no {name}" if value is None else f"{name}={short[value]}")
    names = [", ".join(words) or "all runs" for words in shown]
    if len(factors) + len(tied) > len(keys):
        brief = [", ".join(_present(keys, factors, one)) for one in values]
        names = brief if all(brief) and len(set(brief)) == len(brief) else names
        runs = [_run(one, run_names or {}) for one in configurations]
        if all(runs) and len(set(runs)) == len(runs) and not set(keys).intersection(*map(_there, values)):
            # They have no factor in common, as models of several libraries: their runs' names say more.
            names = [f"{run} ({', '.join(name.split(', ')[:2])}, …)" for run, name in zip(runs, names, strict=True)]
        else:
            names = [f"{name}, …{f' ({run})' if run else ''}" for run, name in zip(runs, names, strict=True)]
    return {one.run_ids[0]: name for one, name in zip(configurations, names, strict=True)}


def _present(keys: Sequence[str], factors: Sequence[str], values: Mapping[str, str | None]) -> list[str]:
    """`lr=0.1`: those of the keys that a configuration has; where it has none, the first of its other factors."""
    own = [key for key in keys if values.get(key) is not None]
    own = own or [key for key in factors if values.get(key) is not None][:NAMED]
    names = distinct_names(own, width=_WIDEST)
    return [
        f"{name}={short_values([values[key] or ''])[values[key] or '']}" for key, name in zip(own, names, strict=True)
    ]


def _there(values: Mapping[str, str | None]) -> set[str]:
    """The factors that a configuration has."""
    return {key for key, value in values.items() if value is not None}


def _run(configuration: Configuration, run_names: Mapping[str, str]) -> str:
    """The name that all its runs have; "" where they have several."""
    names = {run_names.get(run_id, "") for run_id in configuration.run_ids}
    return one_line(names.pop(), _WIDEST) if len(names) == 1 else ""


def short_values(values: Iterable[str]) -> dict[str, str]:
    """Each value as it stands in a sentence: long numbers rounded, long texts cut; different ones stay different."""
    texts = list(dict.fromkeys(values))
    rounded = [
        number(float(text)) if len(text) > _LONG_NUMBER and is_number(text) and abs(float(text)) < 1e300 else text
        for text in texts
    ]
    if len(set(rounded)) < len(texts):
        rounded = texts
    return dict(zip(texts, distinct_names(rounded, width=_WIDEST), strict=True))


def _chosen(
    configurations: Sequence[Configuration], values: Sequence[Mapping[str, str | None]], factors: list[str]
) -> list[str]:
    """The factors that names are made of, in the order of the study."""
    if len(factors) <= NAMED:
        return factors
    telling = telling_params(configurations)
    differing = [key for key in factors if len({one.get(key) for one in values}) > 1]
    wanted = list(dict.fromkeys([*telling, *differing, *factors]))[: max(NAMED, len(telling))]
    return [key for key in factors if key in wanted]


def listed_whole(groups: Sequence[Group], names: Mapping[str, str]) -> str:
    """The names of configurations, whole, with `and` between the last two; of many the first, and how many more."""
    shown = [names[group.run_ids[0]] for group in groups[:NAMED]]
    while len(shown) > 2 and sum(map(len, shown)) > _LONGEST:
        shown.pop()
    apart = "; " if any(", " in name for name in shown) else ", "
    if len(groups) > len(shown):
        return f"{apart.join(shown)} and {len(groups) - len(shown):,} more"
    return " and ".join(filter(None, (apart.join(shown[:-1]), shown[-1])))
