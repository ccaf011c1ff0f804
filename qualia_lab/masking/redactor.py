"""Redactor: replaces what identifies people, or all that people and models wrote, by numbered placeholders.

Equal texts get equal numbers, so that rows can still be compared and paired. The numbers count in the order of reading
and say nothing about the texts: a digest of a short question could be guessed.
"""

from __future__ import annotations

import json
import re
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from qualia_lab.counts import and_more, counted
from qualia_lab.masking.personal import replace_personal

if TYPE_CHECKING:
    from collections.abc import Callable

    from qualia_lab.masking.privacy import Privacy

# The end of a preview that MLflow cut, and that was changed: its length no longer tells.
CUT_MARK = "‹cut›"
_PREVIEW_CUT = (1_000, 10_000)  # characters (mlflow.tracing.utils.truncation)

# What stands for a secret or for something redacted; nothing within it is replaced again.
_PLACEHOLDER = re.compile(r"(‹[a-z ]{1,30}(?: \d{1,9})?›)")
_HIDDEN = re.compile(r"‹not shown (?:in a file )?(\d{1,9})›(?:‹cut›)?")
_KINDS = {"email": "e-mail address", "phone": "phone number", "redacted": "match of a pattern"}
_PLURALS = {"email": "e-mail addresses", "phone": "phone numbers", "redacted": "matches of patterns"}
# A category (`yes`, `partially_correct`, `v1.2`) or an id (`tr-0123…`, a run id, a UUID): nothing that anybody wrote.
_PLAIN = re.compile(r"[^\W\d_][\w.-]{0,23}|(?:[a-z]{1,3}-)?[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|")
_ERROR_NAME = re.compile(r"[A-Za-z_][\w.]{0,80}(?:Error|Exception)(?=\W|\Z)")
# An escape of JSON, which is no part of the word that follows.
_ESCAPE = re.compile(r"(\\(?:u[0-9a-fA-F]{4}|.))", re.DOTALL)


class Redactor:
    """Replaces texts as the settings say, with consistent numbers, and counts what it replaced."""

    def __init__(self, privacy: Privacy) -> None:
        self.privacy = privacy
        self._patterns = [re.compile(text) for text in privacy.patterns]
        self._numbers: dict[str, dict[bytes, int]] = {}
        self._highest: dict[str, int] = {}
        self._without_content: dict[str, set[str]] = {}

    def text(self, text: str) -> str:
        """A text with e-mail addresses, phone numbers and matches of the patterns replaced."""
        return self._redacted(text, self._numbered)

    def json(self, text: str) -> str:
        """The same for a text that may be JSON, which stays JSON; its numbers stay as they are."""
        try:
            value = json.loads(text)
            shown = _in_strings(
                value, lambda inner: self.json(inner) if inner.startswith(("{", "[")) else self.text(inner)
            )
            return text if shown == value else _as_json(shown)
        except (ValueError, RecursionError):
            # The beginning of JSON text, perhaps, in which escapes stand before words.
            return "".join(part if part.startswith("\\") else self.text(part) for part in _ESCAPE.split(text))

    def preview(self, text: str) -> str:
        """The same for a preview; one that MLflow cut and that was changed ends with a mark."""
        shown = self.json(text)
        return shown if shown == text or not is_cut(text) else shown.removesuffix(CUT_MARK) + CUT_MARK

    def unnumbered(self, text: str) -> str:
        """The same for a file, whose numbers could not be those of the tables: `‹email›`."""
        return self._redacted(text, lambda kind, _: f"‹{kind}›")

    def hidden(self, text: str, where: str = "") -> str:
        """`‹not shown 3›` for a text or the same JSON with other white space; empty texts stay.

        Args:
            text: what somebody wrote.
            where: "in a file " for what is numbered apart from the tables.
        """
        value = _parsed(text)
        if value in (None, "", {}, []) or _HIDDEN.fullmatch(text):
            return text
        same = json.dumps(" ".join(value.split()) if value is text else value, sort_keys=True, ensure_ascii=False)
        shown = f"‹not shown {where}{self._number(f'not shown {where}', same)}›"
        return shown + CUT_MARK if is_cut(text) else shown

    def hidden_json(self, text: str) -> str:
        """The same as JSON: a text in quotes."""
        value = _parsed(text)
        if isinstance(value, str) and _HIDDEN.fullmatch(value):
            return text
        shown = self.hidden(text)
        return text if shown == text else _as_json(shown)

    def plain(self, text: str, where: str = "") -> str:
        """A text without words: a number, a category of one word, an id or JSON of those stays, others are hidden."""
        return text if _is_plain(_parsed(text)) else self.hidden(text, where)

    def plain_json(self, text: str) -> str:
        """The same for text that may be JSON, which stays JSON: each of its values stays or is hidden."""
        value = _parsed(text)
        if isinstance(value, dict | list):
            shown = _in_strings(value, self.plain)
            return text if shown == value else _as_json(shown)
        if value is text:
            return self.plain(text)
        return text if _is_plain(value) else self.hidden_json(text)

    def numbers(self, text: str) -> str:
        """JSON with all of its texts hidden, also those of one word; names, numbers, true and false stay."""
        value = _parsed(text)
        if not isinstance(value, dict | list):
            return self.hidden_json(text) if isinstance(value, str) else text
        shown = _in_strings(value, self.hidden, self.plain)
        return text if shown == value else _as_json(shown)

    def error(self, text: str) -> str:
        """The message of an error without its words: the name of the exception stays."""
        name = _ERROR_NAME.match(text)
        rest = text[name.end() :].lstrip(": ") if name else text
        return f"{name[0]}: {self.hidden(rest)}" if name and rest else text if name else self.hidden(text)

    def reserve(self, text: str) -> None:
        """Give no other text the number of a placeholder that a store holds, such as a snapshot without content."""
        if mark := _HIDDEN.fullmatch(text.strip('"')):
            self._highest["not shown "] = max(self._highest.get("not shown ", 0), int(mark[1]))

    def count_without_content(self, what: str, ids: list[str]) -> None:
        """Count what is read without its content.

        Args:
            what: the word for one of them, such as `trace`.
            ids: their ids; what is read again counts once.
        """
        self._without_content.setdefault(what, set()).update(ids)

    def left_out(self) -> tuple[str, ...]:
        """Sentences on what was replaced in all that was read; () if nothing was."""
        said = []
        kinds = [
            counted(len(numbers), _KINDS[kind], _PLURALS[kind])
            for kind in _KINDS
            if (numbers := self._numbers.get(kind))
        ]
        if self.privacy.redact and self.privacy.content and not kinds:
            said.append("nothing to redact was found in what was read")
        if kinds:
            said.append(f"redacted in what was read: {and_more(kinds, len(kinds))}; equal numbers stand for equal ones")
        without = [counted(len(ids), what) for what, ids in self._without_content.items() if ids]
        if without:
            said.append(
                f"what people and models wrote is not shown, in what was read: {and_more(without, len(without))}"
            )
        return tuple(said)

    def _redacted(self, text: str, replace: Callable[[str, str], str]) -> str:
        for pattern in self._patterns:
            parts = _PLACEHOLDER.split(text)
            parts[::2] = [
                pattern.sub(lambda found: found[0] and replace("redacted", found[0]), part) for part in parts[::2]
            ]
            text = "".join(parts)
        return replace_personal(text, replace)

    def _numbered(self, kind: str, found: str) -> str:
        return f"‹{kind} {self._number(kind, found)}›"

    def _number(self, kind: str, text: str) -> int:
        numbers = self._numbers.setdefault(kind, {})
        key = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if key not in numbers:
            numbers[key] = self._highest[kind] = self._highest.get(kind, 0) + 1
        return numbers[key]


def is_cut(preview: str) -> bool:
    """Whether MLflow cut this preview, so that two with the same text need not be of the same request."""
    return preview.endswith(CUT_MARK) or (len(preview) in _PREVIEW_CUT and preview.endswith("..."))


def _parsed(text: str) -> Any:
    """The value of JSON text; the same object for another text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_plain(key) and _is_plain(inner) for key, inner in value.items())
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return not isinstance(value, str) or _PLAIN.fullmatch(value) is not None


def _in_strings(value: Any, change: Callable[[str], str], change_name: Callable[[str], str] | None = None) -> Any:
    """A value of JSON with each of its texts changed; names like texts, unless there is a function for them."""
    if isinstance(value, dict):
        named = change_name or change
        return {named(name): _in_strings(inner, change, change_name) for name, inner in value.items()}
    if isinstance(value, list):
        return [_in_strings(inner, change, change_name) for inner in value]
    return change(value) if isinstance(value, str) else value


def _as_json(value: Any) -> str:
    # Half a surrogate pair stays an escape, because no column can hold it.
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()
