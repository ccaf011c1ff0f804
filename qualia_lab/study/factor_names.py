"""What the name of a param or of a tag says of it; the words stand in factor_words.toml."""

from __future__ import annotations

import re
import tomllib
from functools import cache, lru_cache
from importlib.resources import files
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

# seed whole: a seed where all values are whole numbers.  label unless shared: where every run has another value.
# place, name, numbered: how labels are written too; its values have to tell.
NameSays = Literal["seed", "seed if whole", "label", "label unless shared", "place", "name", "numbered", ""]

_WORD = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])")
_PART = re.compile(r"[./]")


@cache
def words() -> dict[str, dict[str, frozenset[str]]]:
    """The tables of factor_words.toml."""
    text = (files("qualia_lab.study") / "factor_words.toml").read_text(encoding="utf-8")
    tables: dict[str, dict[str, Any]] = tomllib.loads(text)
    return {name: {key: frozenset(one) for key, one in table.items()} for name, table in tables.items()}


@lru_cache(maxsize=4096)
def words_of(key: str) -> tuple[str, ...]:
    """The words of a name in small letters: `model.randomState` is model, random, state."""
    return tuple(word.lower() for word in _WORD.split(key) if word)


@lru_cache(maxsize=4096)
def name_says(key: str) -> NameSays:
    """What the name of a param or tag says of it; "" where it says nothing."""
    said = _seed_says(key)
    return said or _label_says(key)


@lru_cache(maxsize=4096)
def is_fold(key: str) -> bool:
    """Whether a seed says which part of the data a run was held out from: what a bootstrap draws within."""
    return not {"fold", "split"}.isdisjoint(words_of(key))


@lru_cache(maxsize=4096)
def says_continued(key: str) -> bool:
    """Whether a param or tag says from which run this one goes on: `resume_from`, `continued_from_run`."""
    said, known = words_of(key), words()["label"]
    if not known["resumed"].isdisjoint(said):
        return True
    return any(one in known["continued"] and next_one in known["continued_from"] for one, next_one in pairwise(said))


@lru_cache(maxsize=4096)
def names_a_choice(key: str) -> bool:
    """Whether it is the name of a model, data set, method or the like, after which people name their runs."""
    return not words()["factor"]["words"].isdisjoint(words_of(key))


@lru_cache(maxsize=4096)
def names_a_problem(key: str) -> bool:
    """Whether it says what a configuration was tried on, such as a data set or a task: levels of it are no rivals."""
    known = words()["problem"]
    said = list(words_of(key))
    while len(said) > 1 and said[-1] in known["after"]:
        said.pop()
    return bool(said) and (said[-1] in known["ends"] or " ".join(said[-2:]) in known["ends"])


@lru_cache(maxsize=4096)
def says_early_stopping(key: str) -> bool:
    """Whether a param says that training may end early: `early_stopping_rounds`, `patience`, not that of a schedule."""
    said, known = set(words_of(key)), words()["early_stopping"]
    return not known["words"].isdisjoint(said) and known["of_others"].isdisjoint(said)


@lru_cache(maxsize=4096)
def made_with(key: str) -> Literal["commit", "library", "data", "place of data", ""]:
    """What a label says of what a run was made with; "" where it says something else."""
    said, known = words_of(key), words()["made_with"]
    if said and not known["of_data"].isdisjoint(said[:-1]):
        if said[-1] in known["data"]:
            return "data"
        if said[-1] in known["places"] and words()["label"]["outputs"].isdisjoint(said):
            return "place of data"
    if _ends(said, known["commit"]) is not None:
        return "commit"
    return "library" if _ends(said, known["library"]) is not None else ""


@lru_cache(maxsize=4096)
def tag_is_label(key: str) -> bool:
    """Whether a tag says who, where or when, or what came out."""
    said, known = words_of(key), words()["tag_label"]
    if not said:
        return True
    return (
        _ends(said, known["ends"]) is not None
        or not known["anywhere"].isdisjoint(said)
        or " ".join(said) in known["outcomes"]
        or said[0] in known["outcomes"]
        or said[-1] in known["outcomes"]
    )


def is_outcome(values: Sequence[str]) -> bool:
    """Whether a tag's values all say what became of a run."""
    return all(value.strip().lower() in words()["tag_label"]["outcome_values"] for value in values)


def of_a_sweeper(key: str) -> bool:
    """Whether a tag is one that Hydra or Optuna writes by its name."""
    return key.startswith(tuple(words()["sweeper"]["beginnings"])) or key.endswith("_distribution")


def _seed_says(key: str) -> NameSays:
    said = words_of(key)
    local = len(words_of(_PART.split(key)[-1]))
    seed, repetition = words()["seed"], words()["repetition"]
    for phrase, known in ((_without(said, seed["after"]), seed), (_without(said, repetition["after"]), repetition)):
        length = _ends(phrase, known["ends"])
        if length is None:
            continue
        # Words of an outer part (`cv.fold`, `trainer/seed`) do not stand before it.
        before = phrase[:-length][-1:] if len(phrase) - length > len(said) - local else ()
        if not before or (before[0] in known["before"] if "before" in known else before[0] not in known["never_after"]):
            return "seed"
    if _ends(said, repetition["phrases"]) is not None:
        return "seed"
    return "seed if whole" if " ".join(said[-local:]) in repetition["whole"] else ""


def _label_says(key: str) -> NameSays:
    said, label = words_of(key), words()["label"]
    local = words_of(_PART.split(key)[-1])
    outer = said[: len(said) - len(local)]
    if not said:
        return ""
    if says_continued(key) or _ends(said, label["ends"]) is not None:
        return "label"
    if " ".join(local) in label["alone"] and label["outputs"].issuperset(outer):
        return "label"
    of_output = not label["outputs"].isdisjoint(said)
    if said[-1] in label["places"]:
        return "label" if of_output else "place"
    if _ends(said, words()["label_unless_shared"]["ends"]) is not None:
        return "label unless shared"
    if said[-1] in ("name", "id"):
        return "label" if of_output else "name"
    return "numbered" if said[-1] in label["numbered"] else ""


def _without(said: tuple[str, ...], after: Collection[str]) -> tuple[str, ...]:
    """The words without one that may follow, as long as another one is left."""
    return said[:-1] if len(said) > 1 and said[-1] in after else said


def _ends(said: tuple[str, ...], phrases: Collection[str]) -> int | None:
    """How many words at the end are one of the phrases, written as one word or several; None where none is."""
    for length in (3, 2, 1):
        if length <= len(said) and " ".join(said[-length:]) in phrases:
            return length
    joined = _joined(frozenset(phrases))
    return 1 if said and said[-1] in joined else None


@cache
def _joined(phrases: frozenset[str]) -> frozenset[str]:
    return frozenset(phrase.replace(" ", "") for phrase in phrases if " " in phrase)
