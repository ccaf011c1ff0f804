"""Infer the role of a param or tag from its name, with the words in factor_words.toml."""

from __future__ import annotations

import re
import tomllib
from functools import cache, lru_cache
from importlib.resources import files
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

# "seed if whole": a seed if all values are integers. "label unless shared": a label if every run has another value.
# "place", "name", "numbered": may be a label; decided by the values.
NameRole = Literal["seed", "seed if whole", "label", "label unless shared", "place", "name", "numbered", ""]

_WORD = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])")
_PART = re.compile(r"[./]")


@cache
def words() -> dict[str, dict[str, frozenset[str]]]:
    """The tables of factor_words.toml."""
    text = (files("qualia_lab.study") / "factor_words.toml").read_text(encoding="utf-8")
    tables: dict[str, dict[str, Any]] = tomllib.loads(text)
    return {name: {key: frozenset(entries) for key, entries in table.items()} for name, table in tables.items()}


@lru_cache(maxsize=4096)
def words_of(key: str) -> tuple[str, ...]:
    """The words of a name in lower case: `model.randomState` becomes model, random, state."""
    return tuple(word.lower() for word in _WORD.split(key) if word)


@lru_cache(maxsize=4096)
def role_by_name(key: str) -> NameRole:
    """The role that the name of a param or tag suggests; "" if none."""
    role = _seed_role(key)
    return role or _label_role(key)


@lru_cache(maxsize=4096)
def is_fold(key: str) -> bool:
    """Whether a seed is the number of a fold or split of the data; a bootstrap resamples within folds."""
    return not {"fold", "split"}.isdisjoint(words_of(key))


@lru_cache(maxsize=4096)
def names_continued_run(key: str) -> bool:
    """Whether a param or tag names the run that this one continues: `resume_from`, `continued_from_run`."""
    parts, known = words_of(key), words()["label"]
    if not known["resumed"].isdisjoint(parts):
        return True
    return any(
        word in known["continued"] and following in known["continued_from"] for word, following in pairwise(parts)
    )


@lru_cache(maxsize=4096)
def names_a_choice(key: str) -> bool:
    """Whether it is the name of a model, data set, method or the like, by which runs are often named."""
    return not words()["factor"]["words"].isdisjoint(words_of(key))


@lru_cache(maxsize=4096)
def names_a_problem(key: str) -> bool:
    """Whether it says what a configuration was tried on, such as a data set or a task; its levels are not rivals."""
    known = words()["problem"]
    name_words = list(words_of(key))
    while len(name_words) > 1 and name_words[-1] in known["after"]:
        name_words.pop()
    return bool(name_words) and (name_words[-1] in known["ends"] or " ".join(name_words[-2:]) in known["ends"])


@lru_cache(maxsize=4096)
def says_early_stopping(key: str) -> bool:
    """Whether a param enables early stopping: `early_stopping_rounds`, `patience`, but not that of a schedule."""
    name_words, known = set(words_of(key)), words()["early_stopping"]
    return not known["words"].isdisjoint(name_words) and known["of_others"].isdisjoint(name_words)


@lru_cache(maxsize=4096)
def made_with(key: str) -> Literal["commit", "library", "data", "place of data", ""]:
    """What a label records about how the run was made; "" if something else."""
    name_words, known = words_of(key), words()["made_with"]
    if name_words and not known["of_data"].isdisjoint(name_words[:-1]):
        if name_words[-1] in known["data"]:
            return "data"
        if name_words[-1] in known["places"] and words()["label"]["outputs"].isdisjoint(name_words):
            return "place of data"
    if _ends(name_words, known["commit"]) is not None:
        return "commit"
    return "library" if _ends(name_words, known["library"]) is not None else ""


@lru_cache(maxsize=4096)
def tag_is_label(key: str) -> bool:
    """Whether a tag records who, where, when, or a result."""
    name_words, known = words_of(key), words()["tag_label"]
    if not name_words:
        return True
    return (
        _ends(name_words, known["ends"]) is not None
        or not known["anywhere"].isdisjoint(name_words)
        or " ".join(name_words) in known["outcomes"]
        or name_words[0] in known["outcomes"]
        or name_words[-1] in known["outcomes"]
    )


def is_outcome(values: Sequence[str]) -> bool:
    """Whether all values of a tag are outcomes of a run."""
    return all(value.strip().lower() in words()["tag_label"]["outcome_values"] for value in values)


def is_sweeper_tag(key: str) -> bool:
    """Whether Hydra or Optuna writes a tag of this name."""
    return key.startswith(tuple(words()["sweeper"]["beginnings"])) or key.endswith("_distribution")


def _seed_role(key: str) -> NameRole:
    parts = words_of(key)
    local = len(words_of(_PART.split(key)[-1]))
    seed, repetition = words()["seed"], words()["repetition"]
    for phrase, known in (
        (_without(parts, seed["after"]), seed),
        (_without(parts, repetition["after"]), repetition),
    ):
        length = _ends(phrase, known["ends"])
        if length is None:
            continue
        # Words in an outer part of the path (`cv.fold`, `trainer/seed`) are not considered.
        before = phrase[:-length][-1:] if len(phrase) - length > len(parts) - local else ()
        if not before or (before[0] in known["before"] if "before" in known else before[0] not in known["never_after"]):
            return "seed"
    if _ends(parts, repetition["phrases"]) is not None:
        return "seed"
    return "seed if whole" if " ".join(parts[-local:]) in repetition["whole"] else ""


def _label_role(key: str) -> NameRole:
    if key.startswith(tuple(words()["sweeper"]["hydra"])):
        return "label"
    name_words, label = words_of(key), words()["label"]
    local = words_of(_PART.split(key)[-1])
    outer = name_words[: len(name_words) - len(local)]
    if not name_words:
        return ""
    if names_continued_run(key) or _ends(name_words, label["ends"]) is not None:
        return "label"
    if " ".join(local) in label["alone"] and label["outputs"].issuperset(outer):
        return "label"
    of_output = not label["outputs"].isdisjoint(name_words)
    if name_words[-1] in label["places"]:
        return "label" if of_output else "place"
    if _ends(name_words, words()["label_unless_shared"]["ends"]) is not None:
        return "label unless shared"
    if name_words[-1] in ("name", "id"):
        return "label" if of_output else "name"
    return "numbered" if name_words[-1] in label["numbered"] else ""


def _without(name_words: tuple[str, ...], after: Collection[str]) -> tuple[str, ...]:
    """The words without a last one that is in `after`, provided another one is left."""
    return name_words[:-1] if len(name_words) > 1 and name_words[-1] in after else name_words


def _ends(name_words: tuple[str, ...], phrases: Collection[str]) -> int | None:
    """How many of the last words are one of the phrases, written as one word or several; None if they are not."""
    for length in (3, 2, 1):
        if length <= len(name_words) and " ".join(name_words[-length:]) in phrases:
            return length
    joined = _joined(frozenset(phrases))
    return 1 if name_words and name_words[-1] in joined else None


@cache
def _joined(phrases: frozenset[str]) -> frozenset[str]:
    return frozenset(phrase.replace(" ", "") for phrase in phrases if " " in phrase)
