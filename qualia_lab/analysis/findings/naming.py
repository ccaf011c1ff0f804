"""Names of configurations in sentences: at most four distinguishing factors, always distinct."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings.finding import MOST_NAMED, number
from qualia_lab.analysis.groups import distinguishing_params, short_labels
from qualia_lab.escaping import DASH, one_line
from qualia_lab.inventory import is_number
from qualia_lab.names import distinct_names

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from qualia_lab.analysis.groups import Group
    from qualia_lab.study import Configuration, Study

_LONGEST = 160  # maximum characters of a list of three or more names
_WIDEST = 40  # characters of a value
_BRIEF = 60  # characters of a brief name
_SEARCHED = 8  # configurations from which on values that are all different are those of a search
_LEAST_OF_NAME = 8  # characters of a run name before values in brackets
_LONG_NUMBER = 7  # characters up to which a number is not rounded
_CHOSEN_BY_MLFLOW = re.compile(r"[a-z]+-[a-z]+-\d{1,3}")  # `bold-shrike-123`


def configuration_names(
    study: Study, groups: Iterable[Group], run_names: Mapping[str, str] | None = None, *, without: Collection[str] = ()
) -> dict[str, str]:
    """Name configurations of one task by the factors that distinguish them, such as `lr=0.1, depth=3`.

    Factors that vary within the task are named, then those that always change with one of them. If there are more than
    four, those that distinguish the given configurations come first, and `…` stands for the rest, followed by the
    common name of its runs. Values that are cut and numbers that are rounded stay distinct. A configuration without
    varying factors is called `all runs`.

    Args:
        study: The study of the runs.
        groups: The configurations.
        run_names: The name of each run, by its id.
        without: Factors that are not named.

    Returns:
        The name of each configuration, by the id of its first run.
    """
    configurations = list({group.run_ids[0]: group.configuration for group in groups}.values())
    factors = list(
        dict.fromkeys(key for configuration in configurations for key, _ in configuration.params if key not in without)
    )
    tied = [configuration.name for configuration in study.factors if configuration.tied_to in factors]
    values = [{**dict(configuration.settings), **dict(configuration.params)} for configuration in configurations]
    keys = list(_factors_to_name(configurations, values, factors))
    free = max(0, MOST_NAMED - len(keys))
    keys += tied[:free]
    shown: list[list[str]] = [[] for _ in configurations]
    for key, name in zip(keys, distinct_names(keys, width=_WIDEST), strict=True):
        short = short_values(value for configuration in values if (value := configuration.get(key)) is not None)
        for words, configuration in zip(shown, values, strict=True):
            value = configuration.get(key)
            words.append(f"no {name}" if value is None else f"{name}={short[value]}")
    names = [", ".join(words) or "all runs" for words in shown]
    if len(factors) + len(tied) > len(keys):
        brief = [", ".join(_own_settings(keys, factors, configuration)) for configuration in values]
        names = brief if all(brief) and len(set(brief)) == len(brief) else names
        runs = [_common_run_name(configuration, run_names or {}) for configuration in configurations]
        if len(set(runs)) == len(runs) and _tell_more(runs, keys, values):
            names = [f"{run} ({', '.join(name.split(', ')[:2])}, …)" for run, name in zip(runs, names, strict=True)]
        else:
            names = [f"{name}, …{f' ({run})' if run else ''}" for run, name in zip(runs, names, strict=True)]
    return {configuration.run_ids[0]: name for configuration, name in zip(configurations, names, strict=True)}


def _tell_more(runs: Sequence[str], keys: Collection[str], values: Sequence[Mapping[str, str | None]]) -> bool:
    """Whether run names tell more than factors: few configurations have the same, as models of several libraries.

    That is so if they have none in common, or if most have no value of a factor that would be named. Names that MLflow
    chose for want of another tell nothing.

    Args:
        runs: The common run name of each configuration, "" if it has none.
        keys: The factors that would be named.
        values: The factors of each configuration.
    """
    if not all(runs) or all(map(_CHOSEN_BY_MLFLOW.fullmatch, runs)):
        return False
    own = [_factors_set(of) for of in values]
    return not set(keys).intersection(*own) or 2 * sum(len(of.intersection(keys)) for of in own) < len(own) * len(keys)


def _own_settings(keys: Sequence[str], factors: Sequence[str], values: Mapping[str, str | None]) -> list[str]:
    """`lr=0.1`: the given factors that a configuration has or, if it has none of them, the first of its others."""
    own = [key for key in keys if values.get(key) is not None]
    own = own or [key for key in factors if values.get(key) is not None][:MOST_NAMED]
    names = distinct_names(own, width=_WIDEST)
    return [
        f"{name}={short_values([values[key] or ''])[values[key] or '']}" for key, name in zip(own, names, strict=True)
    ]


def _factors_set(values: Mapping[str, str | None]) -> set[str]:
    """The factors that a configuration has."""
    return {key for key, value in values.items() if value is not None}


def _common_run_name(configuration: Configuration, run_names: Mapping[str, str]) -> str:
    """The common name of all runs of a configuration; "" if they have several."""
    names = {run_names.get(run_id, "") for run_id in configuration.run_ids}
    return one_line(names.pop(), _WIDEST) if len(names) == 1 else ""


def brief_names(
    configurations: Sequence[Configuration], run_names: Mapping[str, str] | None = None, *, fewest: bool = False
) -> dict[str, str]:
    """Name all configurations of one task by few factors that distinguish them, with rounded values.

    In a random search each numeric factor distinguishes all configurations; one of them alone would look like the one
    that decides, so all are named if there is room.

    Configurations that have few of these factors in common are called by their run names; where several have the same
    one, the factors that distinguish these are in brackets.

    Args:
        configurations: The configurations.
        run_names: The name of each run, by its id.
        fewest: Whether to name no factor that is not needed.

    Returns:
        The name of each configuration, by the id of its first run; no two are equal.
    """
    runs = _telling_run_names(configurations, run_names or {})
    shown = [] if fewest or runs else _by_equal_factors(configurations)
    if not shown:
        shown = _by_runs(configurations, runs)[0] if runs else _by_factors(configurations)
    cut = distinct_names(shown, [configuration.run_ids[0] for configuration in configurations], width=_BRIEF)
    return {configuration.run_ids[0]: name for configuration, name in zip(configurations, cut, strict=True)}


def _telling_run_names(configurations: Sequence[Configuration], run_names: Mapping[str, str]) -> list[str]:
    """The common run name of each configuration if these tell more than factors, else none."""
    runs = [_common_run_name(configuration, run_names) for configuration in configurations]
    keys = distinguishing_params(configurations)
    return runs if _tell_more(runs, keys, [dict(configuration.params) for configuration in configurations]) else []


def _by_factors(configurations: Sequence[Configuration]) -> list[str]:
    """`lr=0.1, depth=3`, the factors that distinguish configurations; one that has none of them has one of its own."""
    keys, names, rows = _short_settings(configurations)
    settings = [_factors_set(dict(configuration.params)) for configuration in configurations]
    having = Counter(key for own in settings for key in own)
    shown = []
    for row, own, configuration in zip(rows, settings, configurations, strict=True):
        words = [f"{name}={value}" for name, value in zip(names, row, strict=True) if value is not None]
        if keys and not words:
            words = _own_settings(sorted(key for key in own if having[key] == 1)[:1], [], dict(configuration.params))
        shown.append(", ".join(words) or (f"no {', '.join(names)}" if keys else "all runs"))
    return shown


def _by_equal_factors(configurations: Sequence[Configuration]) -> list[str]:
    """Names that have all factors that alone distinguish the configurations; [] if these are not several, or too long.

    A factor of words that `distinguishing_params` puts first stays first.
    """
    columns: dict[str, list[str]] = {}
    for configuration in configurations:
        for key, value in configuration.params:
            if value is not None:
                columns.setdefault(key, []).append(value)
    equal = [key for key, values in columns.items() if len(set(values)) == len(configurations)]
    if len(configurations) < _SEARCHED or len(equal) < 2:
        return []
    keys = distinguishing_params(configurations)
    keys += [key for key in equal if key not in keys]
    if len(keys) > MOST_NAMED or any(len(columns[key]) < len(configurations) for key in keys):
        return []
    words = []
    for key, name in zip(keys, distinct_names(keys, width=_WIDEST), strict=True):
        short = short_values(columns[key])
        words.append([f"{name}={short[value]}" for value in columns[key]])
    shown = [", ".join(row) for row in zip(*words, strict=True)]
    return shown if max(map(len, shown)) <= _BRIEF else []


def _by_runs(
    configurations: Sequence[Configuration], runs: Sequence[str], width: int | None = None
) -> tuple[list[str], list[str]]:
    """`Random Forest (n_jobs=-1)`: run names, and where several have the same what distinguishes these.

    With a width, names that do not fit are the beginning of the run name and the values, `Random F… (-1)`, of the
    factors that are returned beside the names.
    """
    unnamed: list[str] = []
    named = dict(zip((configuration.run_ids[0] for configuration in configurations), runs, strict=True))
    for run, count in Counter(runs).items():
        if count == 1:
            continue
        same = [one for one, name in zip(configurations, runs, strict=True) if name == run]
        _, keys, rows = _short_settings(same)
        for configuration, factors, row in zip(same, _by_factors(same), rows, strict=True):
            name = f"{run} ({factors})"
            if width is not None and len(name) > width:
                values = f" ({', '.join(DASH if value is None else value for value in row)})"
                name = one_line(run, max(_LEAST_OF_NAME, width - len(values))) + values
                unnamed += keys
            named[configuration.run_ids[0]] = name
    return list(named.values()), list(dict.fromkeys(unnamed))


def whole_names(configurations: Sequence[Configuration], run_names: Mapping[str, str]) -> dict[str, str]:
    """Name all configurations of one task for a table: by run names where these tell more, else by whole values.

    Args:
        configurations: The configurations.
        run_names: The name of each run, by its id.

    Returns:
        The name of each configuration, by the id of its first run; no two are equal.
    """
    runs = _telling_run_names(configurations, run_names)
    return short_labels(configurations) if not runs else brief_names(configurations, run_names)


def narrow_names(
    configurations: Sequence[Configuration], width: int, run_names: Mapping[str, str] | None = None
) -> tuple[dict[str, str], str]:
    """Name all configurations of one task in a narrow place: by values alone if names with their factors do not fit.

    Args:
        configurations: The configurations.
        width: The characters that there are for a name.
        run_names: The name of each run, by its id.

    Returns:
        The name of each configuration, by the id of its first run, no two equal; and a sentence that says which factors
        the values are of, "" if the names say it.
    """
    named = brief_names(configurations, run_names, fewest=True)
    if all(len(name) <= width for name in named.values()):
        return named, ""
    _, keys, rows = _short_settings(configurations)
    runs = _telling_run_names(configurations, run_names or {})
    if runs or 2 * sum(value is None for row in rows for value in row) > len(rows) * len(keys):  # mostly dashes
        whole, unnamed = _by_runs(configurations, runs, width) if runs else (list(named.values()), [])
        about = f"In brackets: values of {', '.join(unnamed)}." if unnamed else ""
        return dict(zip(named, distinct_names(whole, list(named), width=width), strict=True)), about
    # A value that is not there keeps its place, except at the end.
    shown = [", ".join(DASH if value is None else value for value in row).rstrip(f" ,{DASH}") or DASH for row in rows]
    cut = distinct_names(shown, list(named), width=width)
    return dict(zip(named, cut, strict=True)), f"Names are values of {', '.join(keys)}."


def _short_settings(
    configurations: Sequence[Configuration],
) -> tuple[Sequence[str], list[str], list[list[str | None]]]:
    """The factors that distinguish configurations, their short names, and each configuration's short values of them."""
    keys = distinguishing_params(configurations)
    values = [dict(configuration.params) for configuration in configurations]
    short = {key: short_values(value for of in values if (value := of.get(key)) is not None) for key in keys}
    rows = [[None if (value := of.get(key)) is None else short[key][value] for key in keys] for of in values]
    return keys, distinct_names(keys, width=_WIDEST), rows


def short_values(values: Iterable[str]) -> dict[str, str]:
    """Shorten values for a sentence: long numbers are rounded and long texts cut, and different values stay different.

    Args:
        values: The values as text.

    Returns:
        The short form of each value.
    """
    texts = list(dict.fromkeys(values))
    rounded = [
        number(float(text)) if len(text) > _LONG_NUMBER and is_number(text) and abs(float(text)) < 1e300 else text
        for text in texts
    ]
    if len(set(rounded)) < len(texts):
        rounded = texts
    return dict(zip(texts, distinct_names(rounded, width=_WIDEST), strict=True))


def _factors_to_name(
    configurations: Sequence[Configuration], values: Sequence[Mapping[str, str | None]], factors: list[str]
) -> list[str]:
    """The factors used in names, in the order of the study."""
    if len(factors) <= MOST_NAMED:
        return factors
    telling = distinguishing_params(configurations)
    differing = [key for key in factors if len({one.get(key) for one in values}) > 1]
    wanted = list(dict.fromkeys([*telling, *differing, *factors]))[: max(MOST_NAMED, len(telling))]
    return [key for key in factors if key in wanted]


def listed_whole(groups: Sequence[Group], names: Mapping[str, str]) -> str:
    """The full names of configurations as one text; with many, the first ones and the number of the others."""
    shown = [names[group.run_ids[0]] for group in groups[:MOST_NAMED]]
    while len(shown) > 2 and sum(map(len, shown)) > _LONGEST:
        shown.pop()
    apart = "; " if any(", " in name for name in shown) else ", "
    if len(groups) > len(shown):
        return f"{apart.join(shown)} and {len(groups) - len(shown):,} more"
    return " and ".join(filter(None, (apart.join(shown[:-1]), shown[-1])))
