"""Finds secrets within a text by their form: URLs with passwords, presigned URLs, keys and tokens."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from qualia_lab.masking.keys import DEFAULT_RULES, is_never_masked, is_secret_key, is_secret_query_key

if TYPE_CHECKING:
    from qualia_lab.masking.keys import MaskRules

# The replacement for a secret; numbered where equal secrets must remain recognizable as equal.
MASK = "‹masked›"
MASK_PATTERN = re.compile(r"‹masked(?: (\d{1,9}))?›")

Mask = Callable[[str], str]

# A text that contains none of these, ignoring case, holds no secret of a known form, except for a login in a URL.
MARKERS = (
    *("pass", "pwd", "secret", "token", "key", "cred", "auth", "cookie", "dsn", "jwt", "webhook", "conn"),
    *("bearer", "pat", "sig=", "signature", "code=", "policy=", "-----begin", "akia", "asia", "dckr_", "k_live"),
    *("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "glpat", "xox", "xapp", "hf_", "sk-", "ya29", "eyj", "dapi", "npm_"),
    *("aiza", "pypi-", "sg.", "hooks.", "‹masked"),
)
# The same as a pattern. They are grouped by the first character, since Python tries one alternative after the other.
_MARKER = "|".join(
    f"{re.escape(first)}(?:{'|'.join(re.escape(marker[1:]) for marker in markers)})"
    for first, markers in groupby(sorted(MARKERS), key=itemgetter(0))
)
_FIND_MARKER = re.compile(_MARKER).search
MAY_HOLD = rf"(?i){_MARKER}|://\S*@"  # for Arrow

_KEY_BLOCK = re.compile(
    r"-----BEGIN (?P<kind>[A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?)-----(?P<secret>.*?)(?:-----END (?P=kind)-----|\Z)",
    re.DOTALL,
)
# In a value that is a single URL, the password may contain any character; within a text, quotes and brackets end it.
_ADDRESS = re.compile(r"\s*[A-Za-z][\w+.-]{0,40}://\S+\s*\Z")
_LOGIN = r"(?P<before>\b(?P<scheme>[A-Za-z][\w+.-]{{0,40}})://)(?P<login>(?:(?!://)[^\s{ends}]){{1,4000}})@"
_LOGIN_ALONE = re.compile(_LOGIN.format(ends=""))
_LOGIN_WITHIN = re.compile(_LOGIN.format(ends="\"'<>`‹›"))
_NUMBERED_HOST = re.compile(r"\[[0-9A-Fa-f:.%]+\](:\d{1,5})?([/?#]|\Z)")
_QUERY = re.compile(r"(?P<before>[?&;#](?P<name>[\w.%-]{1,60})=)(?P<secret>[^&#;\s\"'<>`‹]{1,8000})")
_FORMS = re.compile(
    r"(?<![A-Za-z0-9_])(?:"
    r"(?:AKIA|ASIA)[0-9A-Z]{16}\b"
    r"|gh[pousr]_[A-Za-z0-9]{20,255}|github_pat_\w{20,255}|glpat-[\w-]{16,255}"
    r"|xox[a-z]-[\w-]{8,255}|xapp-[\w-]{16,255}"
    r"|hf_[A-Za-z0-9]{30,255}"
    r"|sk-(?:proj|ant|svcacct|or|lf)-[\w-]{16,400}|sk-[A-Za-z0-9]{20,400}|[rs]k_live_[A-Za-z0-9]{16,255}"
    r"|AIza[\w-]{35}|ya29\.[\w-]{20,2000}"
    r"|eyJ[\w-]{8,8000}\.eyJ[\w-]{8,8000}\.[\w-]{0,8000}"
    r"|dapi[0-9a-f]{32}(?:-\d)?|npm_[A-Za-z0-9]{30,255}|pypi-[\w-]{30,2000}|dckr_pat_[\w-]{20,255}"
    r"|SG\.[\w-]{16,255}\.[\w-]{16,255}"
    r")"
)
_WEBHOOK = re.compile(
    r"(?P<before>(?:hooks\.slack\.com/(?:services|workflows)/|discord(?:app)?\.com/api/webhooks/|"
    r"\.webhook\.office\.com/webhookb2/))(?P<secret>[\w/@-]{8,500})"
)
_BEARER = re.compile(
    r"(?i)(?P<before>\b(?:bearer|authorization[\"']?\s{0,3}[:=]\s{0,3}[\"']?(?:basic|token))\s{1,3})"
    r"(?P<secret>[\w.~+/=-]{8,8000})"
)
# A line break or a tab as JSON writes it; its letter is no part of the word that follows.
_ESCAPED_BREAK = re.compile(r"(\\+[nrt])")
_WORDS = "pass|pwd|secret|token|key|cred|auth|cookie|dsn|jwt|webhook|conn|pat"
_NAMES = re.compile(f"(?i){_WORDS}")
# What every name before a value ends with. It is found in a tenth of the time, and most texts lack it.
_ASSIGNED = re.compile(rf"(?i)(?:{_WORDS})[\w.-]{{0,40}}(?:\\*[\"'])?\s{{0,5}}[:=]")
_REST_OF_NAME = r"(?P<name>[\w.-]{0,60}?(?:" + _WORDS + r")[\w.-]{0,40})"
_NAME = r"(?<![\w.-])" + _REST_OF_NAME
# `"password": "x"` in JSON, YAML and Python, also with escaped quotes.
_QUOTED = re.compile(
    r"(?i)(?P<before>" + _NAME + r"(?:\\*[\"'])?\s{0,5}(?:=>|[:=])\s{0,5}(?P<quote>\\*[\"']))"
    r"(?P<secret>(?:(?!(?P=quote))(?:\\.|[^\n\\])){1,8000})(?=(?P=quote))"
)
# A line with a name and a value, as in YAML and .env files: the value extends to the end of the line.
_LINE = re.compile(
    r"(?im)^(?P<before>[ \t]*(?:-[ \t]+|export[ \t]+)?"
    + _NAME
    + r"[ \t]{0,5}[:=][ \t]{0,5})(?P<secret>[^\s\"'{\[#][^\n\r]{0,4000})"
)
_PAIR = re.compile(
    r"(?i)(?P<before>" + _NAME + r"(?:\\*[\"'])?\s{0,5}(?:=>|[:=])\s{0,5})(?P<secret>[^\s,;&\"'{}()\[\]<>‹\\]{1,4000})"
)
_FLAG = re.compile(r"(?i)(?P<before>(?<![\w-])--" + _REST_OF_NAME + r"\s{1,3})(?P<secret>(?!-)[^\s\"',;‹]{1,4000})")
_ELEMENT = re.compile(r"(?i)(?P<before><" + _NAME + r">)(?P<secret>[^<>\n]{1,4000})(?=</)")
# Values that are never secrets: empty, a switch, another tool's mask, a reference to where the secret is looked up.
_PLACEHOLDER = re.compile(
    r"(?i)\s*(none|null|nil|nan|n/?a|true|false|yes|no|on|off|unset|empty|undefined|\*+|x{3,12}|\.{3}|"
    r"\[?<?(redacted|masked|hidden|removed)>?\]?|<[a-z_ -]{1,40}>|\$\{\w{1,60}\}|(?-i:\$[A-Z][A-Z0-9_]{1,60})|"
    r"\{\{[^{}]{1,60}\}\})?[\"'\s,;]*"
)
# Names of addresses: of these only the secret part is masked, because the host is useful.
_ADDRESS_NAME = re.compile(r"(?i)(ur[li]|dsn|webhook|conn(ection)?_?str(ing)?)s?\Z")
_CODE = re.compile(
    r"\s*(?:[A-Za-z_][\w.]*\s?[\[(]|(?:os|self|args|cfg|config|settings|opt|opts|secrets)\.|"
    r"(?:str|bytes|int|SecretStr)\s*(?:[=,)]|$)|(?:None|null|True|False|true|false)\b)"
)


def masked(text: str, rules: MaskRules = DEFAULT_RULES) -> str:
    """The text with everything that has the form of a secret replaced by `‹masked›`.

    Masked are: user and password in URLs, secret query parameters and presigned signatures, private keys, tokens of
    known services, bearer headers, and values after a secret name, as in `password=x`, `"api_key": "x"`, `--token x`.

    Args:
        text: any text.
        rules: the project's own rules on names.

    Example:
        >>> masked("postgresql://bob:hunter2@db/mlflow")
        'postgresql://bob:‹masked›@db/mlflow'
    """
    return replace_secrets(text, lambda _: MASK, rules)


def masked_value(key: str, value: str, rules: MaskRules = DEFAULT_RULES) -> str:
    """The value of a name with its secret replaced by `‹masked›`, see `mask_value`."""
    return mask_value(key, value, lambda _: MASK, rules)


def mask_value(key: str, value: str, mask: Mask, rules: MaskRules) -> str:
    """Mask the value of a name: entirely if the name is that of a secret, else where it looks like one.

    Of an address under a secret name, such as `db_url`, only the secret part is masked.

    Args:
        key: the name of a param, tag, column or the like.
        value: the value.
        mask: returns the replacement for a secret.
        rules: the project's own rules on names.
    """
    if is_never_masked(key, rules):
        return value
    by_form = replace_secrets(value, mask, rules)
    if not is_secret_key(key, rules) or is_placeholder(value):
        return by_form
    return by_form if _ADDRESS_NAME.search(key) and _is_masked_address(by_form) else mask(value)


def is_placeholder(value: str) -> bool:
    """Whether a value is never a secret, whatever its name: empty, a switch, a mask, a placeholder."""
    return _PLACEHOLDER.fullmatch(value) is not None


def mask_logins(text: str, mask: Mask) -> str:
    """The text with the password, and for HTTP also the user, in each URL replaced by the result of `mask`."""
    login = _LOGIN_ALONE if _ADDRESS.match(text) else _LOGIN_WITHIN
    return login.sub(lambda found: _without_login(found, mask), text)


def replace_secrets(text: str, mask: Mask, rules: MaskRules = DEFAULT_RULES) -> str:
    """The text with each secret of a known form replaced by the result of `mask` for it."""
    if not may_hold_secret(text):
        return text
    text = _KEY_BLOCK.sub(lambda found: _mask_group(found, mask), text)
    lines = text.splitlines(keepends=True)
    text = "".join(_in_line(line, mask, rules) if may_hold_secret(line) else line for line in lines)
    if "\\" not in text:
        return text
    parts = _ESCAPED_BREAK.split(text)
    return "".join(_in_line(part, mask, rules) if may_hold_secret(part) else part for part in parts)


def may_hold_secret(text: str) -> bool:
    """Whether a text contains something that every secret of a known form contains; if not, it holds none."""
    scheme = text.find("://")
    return (scheme >= 0 and "@" in text[scheme:]) or _FIND_MARKER(text.lower()) is not None


def _is_masked_address(text: str) -> bool:
    return (
        "://" in text
        and MASK_PATTERN.search(text) is not None
        and not any(char.isspace() for char in MASK_PATTERN.sub("", text))
    )


def _in_line(text: str, mask: Mask, rules: MaskRules) -> str:
    def mask_always(found: re.Match[str]) -> str:
        return _mask_group(found, mask)

    def mask_by_name(found: re.Match[str]) -> str:
        return _mask_group(found, mask) if is_secret_key(found["name"], rules) else found[0]

    def mask_query_parameter(found: re.Match[str]) -> str:
        return _mask_group(found, mask) if is_secret_query_key(found["name"]) else found[0]

    def mask_unless_code(found: re.Match[str]) -> str:
        return found[0] if _CODE.match(found["secret"]) else mask_by_name(found)

    if "://" in text:
        text = mask_logins(text, mask)
    if "=" in text:
        text = _QUERY.sub(mask_query_parameter, text)
    for form in (_WEBHOOK, _BEARER):
        text = form.sub(mask_always, text)
    text = _FORMS.sub(lambda found: mask(found[0]), text)
    if not _NAMES.search(text):
        return text
    if (":" in text or "=" in text) and _ASSIGNED.search(text):
        for form, replacement in ((_QUOTED, mask_by_name), (_LINE, mask_unless_code), (_PAIR, mask_unless_code)):
            text = form.sub(replacement, text)
    for form in (_FLAG, _ELEMENT):
        text = form.sub(mask_by_name, text)
    return text


def _mask_group(found: re.Match[str], mask: Mask) -> str:
    """The matched text with its group `secret` masked, unless that is a mask or a placeholder already."""
    secret = found["secret"]
    if is_placeholder(secret) or MASK_PATTERN.search(secret):
        return found[0]
    at = found.start("secret") - found.start()
    return found[0][:at] + mask(secret) + found[0][at + len(secret) :]


def _without_login(found: re.Match[str], mask: Mask) -> str:
    """`scheme://user:‹masked›@` for databases; for HTTP the user is masked too, since it may be a token."""
    login = found["login"]
    user, colon, password = login.partition(":")
    if _NUMBERED_HOST.match(login):
        return found[0]
    if "/" in user or "?" in user or "#" in user or (colon and re.match(r"\d{1,5}([/?#]|$)", password)):
        return found[0]  # this @ is in the path
    if not colon and re.search(r"[/?#]", login):
        return found[0]
    is_http = found["scheme"].lower().removeprefix("git+") in ("http", "https")
    if is_http:
        return f"{found['before']}{mask(login)}@" if not MASK_PATTERN.search(login) else found[0]
    if not password or MASK_PATTERN.fullmatch(password):
        return found[0]
    return f"{found['before']}{user}:{mask(password)}@"
