"""Tracking URIs: parted at once into what may be shown and what is secret."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote

from qualia_lab.masking.keys import is_secret_query_key

# `user:password` of an address in a text.
_USERINFO = re.compile(r"(?<=://)[^/@\s]*:[^@\s]*(?=@)")
# `#/experiments/1/runs/…` and the slash before it.
_PAGE = re.compile(r"/?#(/.*)?\Z", re.DOTALL)


@dataclass(frozen=True)
class TrackingUri:
    """A tracking URI in two faces.

    safe: without passwords, tokens and, for HTTP, without any user; the only face that is shown or written.
    full: what connections are made with; never in a repr.
    """

    safe: str
    full: str = field(repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def scheme(self) -> str:
        """`postgresql` of `postgresql+psycopg://host/db`; "" of a plain path."""
        scheme, separator, _ = self.full.partition(":")
        if not separator or len(scheme) == 1 or "/" in scheme:  # one letter is a Windows drive
            return ""
        return scheme.partition("+")[0].lower()

    def redact(self, text: str) -> str:
        """The text with every secret of this URI, in any spelling of it, replaced by `***`."""
        text = text.replace(self.full, self.safe) if self.secrets else text
        spellings = {form for secret in self.secrets for form in (secret, unquote(secret), quote(secret, safe=""))}
        for spelling in sorted(spellings, key=len, reverse=True):
            # Alone, a secret of a few letters is any word; it is one where a password stands.
            alone = len(spelling) >= 4
            text = text.replace(spelling, "***") if alone else text.replace(f":{spelling}@", ":***@")
        return text

    def redact_answer(self, text: str) -> str:
        """What a server says, also without the users and passwords in other addresses that it quotes."""
        return _USERINFO.sub("***", self.redact(text))


def split_uri(uri: str) -> TrackingUri:
    """Part a tracking URI; nothing is opened. Of an address out of a browser, the page within MLflow is cut off."""
    if uri.lower().startswith(("http://", "https://")):
        uri = _PAGE.sub("", uri)
    scheme, separator, rest = uri.partition("://")
    if not separator or scheme.partition("+")[0].lower() in ("sqlite", "file", "snapshot"):
        return _without_secret_parameters(uri, uri, ())
    main, question, query = rest.partition("?")
    # A password may hold an unescaped @ or /: what ends it is the last @ there is.
    userinfo, at, host = main.rpartition("@")
    secrets: tuple[str, ...] = ()
    if at:
        user, colon, password = userinfo.partition(":")
        if scheme.lower() in ("http", "https"):
            secrets = tuple(part for part in (password, user) if part)
            main = host
        elif colon:
            secrets = (password,) if password else ()
            main = f"{user}@{host}"
    return _without_secret_parameters(f"{scheme}://{main}{question}{query}", uri, secrets)


def lasting_uri(uri: str, folder: Path | None = None) -> str:
    """The URI with a relative path made absolute, so that it means the same from every folder.

    folder: the one from which it is meant; None for that of this process.
    """
    folder = Path.cwd() if folder is None else folder.absolute()
    if uri.startswith("sqlite:///") and not uri.startswith(("sqlite:////", "sqlite:///file:")):
        return f"sqlite:///{folder / uri.removeprefix('sqlite:///')}"
    if "://" in uri or uri.startswith(("file:", "databricks", "snapshot:file:")):
        return uri
    if uri.startswith("snapshot:"):
        return f"snapshot:{folder / uri.removeprefix('snapshot:')}"
    return str(folder / uri)


def with_credentials(shown: str) -> TrackingUri:
    """A tracking URI as it was shown, with the secrets of MLFLOW_TRACKING_URI where that is the same place."""
    from_environment = split_uri(os.environ.get("MLFLOW_TRACKING_URI", ""))
    return from_environment if from_environment.safe == shown else split_uri(shown)


def _without_secret_parameters(shown: str, uri: str, secrets: tuple[str, ...]) -> TrackingUri:
    """The URI less the query parameters that name a secret."""
    main, _, query = shown.partition("?")
    kept = []
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        if not is_secret_query_key(unquote(name)):
            kept.append(part)
        elif value:
            secrets = (*secrets, value)
    return TrackingUri(safe=main + ("?" + "&".join(kept) if kept else ""), full=uri, secrets=secrets)
