"""Secrets within a text, known by their form: addresses with passwords, presigned links, keys and tokens."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from qualia_lab.masking.keys import DEFAULT_RULES, is_secret_key, is_secret_query_key

if TYPE_CHECKING:
    from qualia_lab.masking.keys import MaskRules

# What stands in the place of a secret; with a number where equal ones are to stay equal.
MASK = "‹masked›"
MARK = re.compile(r"‹masked(?: (\d{1,9}))?›")

Mask = Callable[[str], str]

# A text without any of these, in small or capital letters, holds no secret of a known form.
_SIGNS = (
    *("://", "pass", "pwd", "secret", "token", "key", "cred", "auth", "cookie", "dsn", "jwt", "webhook", "conn"),
    *("bearer", "pat", "sig=", "code=", "policy=", "-----begin", "akia", "asia", "dckr_", "k_live", "aiza"),
    *("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "glpat", "xox", "xapp", "hf_", "sk-", "ya29", "eyj", "dapi", "npm_"),
    *("pypi-", "sg.", "hooks."),
)
# The same for Arrow.
MAY_HOLD = "(?i)" + "|".join(map(re.escape, _SIGNS))

_KEY_BLOCK = re.compile(
    r"-----BEGIN (?P<kind>[A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?)-----(?P<secret>.*?)(?:-----END (?P=kind)-----|\Z)",
    re.DOTALL,
)
# A whole value that is an address may hold anything in its password; within a text, quotes and brackets end it.
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
_WORDS = "pass|pwd|secret|token|key|cred|auth|cookie|dsn|jwt|webhook|conn|pat"
_NAMES = re.compile(f"(?i){_WORDS}")
_REST_OF_NAME = r"(?P<name>[\w.-]{0,60}?(?:" + _WORDS + r")[\w.-]{0,40})"
_NAME = r"(?<![\w.-])" + _REST_OF_NAME
# `"password": "x"` as JSON, YAML and Python write it, also where quotes are escaped once more.
_QUOTED = re.compile(
    r"(?i)(?P<before>" + _NAME + r"(?:\\*[\"'])?\s{0,5}(?:=>|[:=])\s{0,5}(?P<quote>\\*[\"']))"
    r"(?P<secret>(?:(?!(?P=quote))(?:\\.|[^\n\\])){1,8000})(?=(?P=quote))"
)
# A line that is a name and a value, as in YAML and .env files: the value goes on to the end of the line.
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
# What is no secret whatever its name: nothing, a switch, a mask of others, a place where the secret is looked up.
_NOTHING = re.compile(
    r"(?i)\s*(none|null|nil|nan|n/?a|true|false|yes|no|on|off|unset|empty|undefined|\*+|x{3,12}|\.{3}|"
    r"\[?<?(redacted|masked|hidden|removed)>?\]?|<[a-z_ -]{1,40}>|\$\{\w{1,60}\}|(?-i:\$[A-Z][A-Z0-9_]{1,60})|"
    r"\{\{[^{}]{1,60}\}\})?[\"'\s,;]*"
)
_CODE = re.compile(
    r"\s*(?:[A-Za-z_][\w.]*\s?[\[(]|(?:os|self|args|cfg|config|settings|opt|opts|secrets)\.|"
    r"(?:str|bytes|int|SecretStr)\s*(?:[=,)]|$)|(?:None|null|True|False|true|false)\b)"
)


def masked(text: str, rules: MaskRules = DEFAULT_RULES) -> str:
    """The text with what has the form of a secret replaced by `‹masked›`; everything else as it is.

    Userinfo of addresses, secret query parameters and presigned signatures, private keys, tokens of known services,
    bearer headers, and values that stand behind a secret name: `password=x`, `"api_key": "x"`, `--token x`.

    Example:
        >>> masked("postgresql://bob:hunter2@db/mlflow")
        'postgresql://bob:‹masked›@db/mlflow'
    """
    return replace_secrets(text, lambda _: MASK, rules)


def is_nothing(value: str) -> bool:
    """Whether a value is no secret under any name: empty, a switch, a mask, a placeholder."""
    return _NOTHING.fullmatch(value) is not None


def replace_secrets(text: str, mask: Mask, rules: MaskRules = DEFAULT_RULES) -> str:
    """The text with each secret of a known form replaced by what `mask` gives for it."""
    if not _may_hold(text):
        return text
    text = _KEY_BLOCK.sub(lambda found: _put(found, mask), text)
    lines = text.splitlines(keepends=True)
    return "".join(_in_line(line, mask, rules) if _may_hold(line) else line for line in lines)


def _may_hold(text: str) -> bool:
    small = text.lower()
    return any(sign in small for sign in _SIGNS)


def _in_line(text: str, mask: Mask, rules: MaskRules) -> str:
    def anything(found: re.Match[str]) -> str:
        return _put(found, mask)

    def named(found: re.Match[str]) -> str:
        return _put(found, mask) if is_secret_key(found["name"], rules) else found[0]

    def queried(found: re.Match[str]) -> str:
        return _put(found, mask) if is_secret_query_key(found["name"]) else found[0]

    def written(found: re.Match[str]) -> str:
        return found[0] if _CODE.match(found["secret"]) else named(found)

    if "://" in text:
        login = _LOGIN_ALONE if _ADDRESS.match(text) else _LOGIN_WITHIN
        text = login.sub(lambda found: _without_login(found, mask), text)
    if "=" in text:
        text = _QUERY.sub(queried, text)
    for form in (_WEBHOOK, _BEARER):
        text = form.sub(anything, text)
    text = _FORMS.sub(lambda found: mask(found[0]), text)
    if not _NAMES.search(text):
        return text
    for form, put in ((_QUOTED, named), (_LINE, written), (_PAIR, written), (_FLAG, named), (_ELEMENT, named)):
        text = form.sub(put, text)
    return text


def _put(found: re.Match[str], mask: Mask) -> str:
    """The match with its group `secret` masked; what is masked already, or is nothing, stays."""
    secret = found["secret"]
    if is_nothing(secret) or MARK.search(secret):
        return found[0]
    at = found.start("secret") - found.start()
    return found[0][:at] + mask(secret) + found[0][at + len(secret) :]


def _without_login(found: re.Match[str], mask: Mask) -> str:
    """`scheme://user:‹masked›@` of a database; over HTTP all of it, since a token may stand as the user."""
    login = found["login"]
    user, colon, password = login.partition(":")
    if _NUMBERED_HOST.match(login):
        return found[0]
    if "/" in user or "?" in user or "#" in user or (colon and re.match(r"\d{1,5}([/?#]|$)", password)):
        return found[0]  # that @ is further on, in the path
    if not colon and re.search(r"[/?#]", login):
        return found[0]
    over_http = found["scheme"].lower().removeprefix("git+") in ("http", "https")
    if over_http:
        return f"{found['before']}{mask(login)}@" if not MARK.search(login) else found[0]
    if not password or MARK.fullmatch(password):
        return found[0]
    return f"{found['before']}{user}:{mask(password)}@"
