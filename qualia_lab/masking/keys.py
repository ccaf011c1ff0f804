"""Decides from the name of a param, tag or query parameter whether its value is a secret."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache

# A name whose last word is one of these holds a secret.
_SECRET_WORDS = frozenset((
    "password", "passwd", "passphrase", "passcode", "pwd", "secret", "credential", "authorization", "auth", "cookie",
    "dsn", "jwt", "apikey", "apitoken", "accesskey", "accesstoken", "authtoken", "bearertoken", "clientsecret",
    "githubtoken", "oauthtoken", "privatekey", "refreshtoken", "secretaccesskey", "secretkey", "sessiontoken",
))  # fmt: skip
# Endings of compound words such as `dbpassword`.
_SECRET_ENDS = ("password", "passwd", "passphrase")
# `token`, `key` and so on are ordinary words in machine learning (`pad_token`, `primary_key`): the word before decides.
_BEFORE = {
    "token": frozenset((
        "access", "account", "admin", "anthropic", "api", "app", "auth", "aws", "azure", "bearer", "bot", "clearml",
        "client", "comet", "csrf", "dagshub", "databricks", "deploy", "device", "discord", "docker", "gcp", "git",
        "github", "gitlab", "hf", "hub", "huggingface", "hvac", "jwt", "kaggle", "login", "mlflow", "neptune", "npm",
        "oauth", "oauth2", "openai", "personal", "private", "pypi", "refresh", "registry", "replicate", "sas",
        "secret", "security", "service", "session", "slack", "telegram", "tracking", "upload", "vault", "wandb",
        "webhook", "xsrf",
    )),
    "key": frozenset((
        "access", "account", "admin", "anthropic", "api", "auth", "aws", "azure", "cohere", "comet", "decryption",
        "deploy", "encryption", "gcp", "gemini", "groq", "hmac", "license", "mistral", "openai", "pgp", "gpg",
        "private", "rsa", "secret", "sendgrid", "service", "signing", "ssh", "storage", "stripe", "subscription",
        "wandb", "webhook",
    )),
    "pass": frozenset((
        "admin", "broker", "database", "db", "email", "ftp", "imap", "jdbc", "ldap", "login", "mail", "mongo",
        "mysql", "pg", "postgres", "proxy", "rabbitmq", "redis", "root", "sftp", "smtp", "sql", "ssh", "sudo", "user",
    )),
    "pat": frozenset(("azure", "devops", "git", "github", "gitlab", "ado", "snowflake")),
    "header": frozenset(("auth", "authorization")),
    "string": frozenset(("connection",)),
    "str": frozenset(("connection", "conn")),
    "url": frozenset(("webhook", "sas")),
    "uri": frozenset(("webhook", "sas")),
}  # fmt: skip
# Words after the secret's name that describe how or where it is stored; they are ignored.
_AFTER = frozenset((
    "b64", "base", "base64", "dev", "enc", "encrypted", "hash", "hashed", "id", "json", "md5", "old", "new", "pem",
    "plain", "plaintext", "prod", "production", "sha256", "staging", "test", "text", "txt", "value",
))  # fmt: skip
_KEY_ONLY = frozenset(("id",))  # `access_key_id` is part of a pair of secrets, `client_secret_id` names one
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

# Query parameters that hold a secret for some driver, proxy, cloud or login page.
_QUERY = re.compile(
    r"(?i)(.*(password|passwd|pwd|secret|token|api[_-]?key|access[_-]?key|credential|signature|sslkey|ssl_key|passfile)"
    r".*|(.*[._-])?(auth|authorization|bearer|code|jwt|key|pass|pat|sig|policy|key-pair-id))"
)


@dataclass(frozen=True)
class MaskRules:
    """A project's own rules on names, which override the built-in ones.

    Attributes:
        also: additional names whose values are masked.
        never: names whose values are never masked, neither by name nor by form.

    Both may contain globs such as `license_*`, and ignore case.
    """

    also: tuple[str, ...] = ()
    never: tuple[str, ...] = ()


DEFAULT_RULES = MaskRules()
NO_MASKING = MaskRules(never=("*",))


@lru_cache(maxsize=20_000)
def is_secret_key(key: str, rules: MaskRules = DEFAULT_RULES) -> bool:
    """Whether the name of a param, tag or variable means that its value is a secret.

    Args:
        key: the name, such as `db_password`, `config.api_key`, `GITHUB_TOKEN` or `clientSecret`; in a path, only the
            last component counts.
        rules: the project's own rules on names.

    Example:
        >>> [is_secret_key(key) for key in ("api_key", "auth/access_token", "pad_token", "num_key_value_heads")]
        [True, True, False, False]
    """
    if is_never_masked(key, rules):
        return False
    return _matches(key, rules.also) or _has_secret_word(key)


def is_never_masked(key: str, rules: MaskRules) -> bool:
    """Whether the project's rules exempt this name from masking."""
    return _matches(key, rules.never)


def is_secret_query_key(name: str) -> bool:
    """Whether a query parameter of a URI holds a secret: `password`, `sig`, `X-Amz-Signature`, `key`, `code`."""
    return _QUERY.fullmatch(name) is not None


def _matches(key: str, globs: tuple[str, ...]) -> bool:
    return any(fnmatchcase(key.lower(), glob.lower()) for glob in globs)


def _has_secret_word(key: str) -> bool:
    last = re.split(r"[./\\: ]", key.strip())[-1]
    words = [word.lower() for word in _WORD.findall(last) if not word.isdigit()]
    if not words:
        return False
    if words in (["token"], ["webhook"], ["conn", "str"], ["connstr"]):
        return True
    while len(words) > 1 and words[-1] in _AFTER:
        if words.pop() in _KEY_ONLY and words[-1] != "key":
            return False
    word, before = words[-1], words[-2] if len(words) > 1 else ""
    singular = word.removesuffix("s")
    if word in _SECRET_WORDS or singular in _SECRET_WORDS or singular.endswith(_SECRET_ENDS):
        return True
    return before in _BEFORE.get(word, ()) or before in _BEFORE.get(singular, ())
