"""Tracking URIs, each split into a form that may be shown and the secrets in it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote

from qualia_lab.masking.keys import is_secret_query_key
from qualia_lab.masking.text import mask_logins

# The fragment of an address copied from MLflow's UI, `#/experiments/1/runs/…`, with the slash before it.
_PAGE = re.compile(r"/?#(/.*)?\Z", re.DOTALL)


@dataclass(frozen=True)
class TrackingUri:
    """A tracking URI with and without its secrets.

    Attributes:
        safe: without passwords and tokens, and for HTTP also without the user; only this form is shown or written.
        full: the URI that connections are made with; not part of the repr.
        secrets: the secrets in `full`, as they are written there.
    """

    safe: str
    full: str = field(repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def scheme(self) -> str:
        """`postgresql` for `postgresql+psycopg://host/db`; "" for a plain path."""
        scheme, separator, _ = self.full.partition(":")
        if not separator or len(scheme) == 1 or "/" in scheme:  # one letter is a Windows drive
            return ""
        return scheme.partition("+")[0].lower()

    def redact(self, text: str) -> str:
        """The text with every secret of this URI, percent-encoded or not, replaced by `***`."""
        text = text.replace(self.full, self.safe) if self.secrets else text
        spellings = {
            spelling for secret in self.secrets for spelling in (secret, unquote(secret), quote(secret, safe=""))
        }
        for spelling in sorted(spellings, key=len, reverse=True):
            # A secret of a few letters may be an ordinary word, so it is replaced only in the place of a password.
            is_unambiguous = len(spelling) >= 4
            text = text.replace(spelling, "***") if is_unambiguous else text.replace(f":{spelling}@", ":***@")
        return text

    def redact_answer(self, text: str) -> str:
        """A server's message, also without the logins in other URLs that it quotes, see `mask_logins`."""
        return mask_logins(self.redact(text), lambda _: "***")


def split_uri(uri: str) -> TrackingUri:
    """Split a tracking URI into its safe and its full form. Opens nothing.

    An address copied from MLflow's UI in a browser is cut to the address of the server.

    Args:
        uri: the tracking URI or path.
    """
    if uri.lower().startswith(("http://", "https://")):
        uri = _PAGE.sub("", uri)
    scheme, separator, rest = uri.partition("://")
    if not separator or scheme.partition("+")[0].lower() in ("sqlite", "file", "snapshot"):
        return _without_secret_parameters(uri, uri, ())
    main, question, query = rest.partition("?")
    # A password may contain an unescaped @ or /: it ends at the last @.
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


def absolute_uri(uri: str, folder: Path | None = None) -> str:
    """The URI with a relative path made absolute.

    Args:
        uri: the tracking URI or path.
        folder: the folder that a relative path starts from; None for the working directory.
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
    """A tracking URI with its secrets restored from MLFLOW_TRACKING_URI, where both name the same store.

    Args:
        shown: the tracking URI without secrets, as it was shown or written.
    """
    from_environment = split_uri(os.environ.get("MLFLOW_TRACKING_URI", ""))
    return from_environment if from_environment.safe == shown else split_uri(shown)


def _without_secret_parameters(shown: str, uri: str, secrets: tuple[str, ...]) -> TrackingUri:
    """The tracking URI, with the query parameters that hold a secret removed from its safe form."""
    main, _, query = shown.partition("?")
    remaining = []
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        if not is_secret_query_key(unquote(name)):
            remaining.append(part)
        elif value:
            secrets = (*secrets, value)
    return TrackingUri(safe=main + ("?" + "&".join(remaining) if remaining else ""), full=uri, secrets=secrets)
