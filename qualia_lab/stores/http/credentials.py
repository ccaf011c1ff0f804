"""Address and credentials of a tracking server, from the same sources as MLflow's client; read for every store."""

from __future__ import annotations

import base64
import configparser
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from qualia_lab.errors import StoreNotFound, StoreRefused

if TYPE_CHECKING:
    from qualia_lab.stores.uri import TrackingUri

_HOW = "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN."


@dataclass(frozen=True)
class Access:
    """The address of a server without secrets, and the headers, TLS settings and plugin for requests to it.

    Attributes:
        base: scheme, host, port and path prefix.
        headers: the headers of every request, including credentials.
        verify: whether TLS certificates are verified.
        ca_path: a file of trusted certificate authorities.
        client_cert_path: a file with the client certificate.
        plugin: the MLflow request_auth plugin that signs each request, `aws-sigv4`, or "".
    """

    base: str
    headers: dict[str, str] = field(repr=False)
    verify: bool = True
    ca_path: str | None = None
    client_cert_path: str | None = None
    plugin: str = ""


def find_access(uri: TrackingUri) -> Access:
    """Address and credentials for the server of an `http(s)://` or `databricks` tracking URI.

    Raises StoreNotFound if the URI names no server, StoreRefused if the credentials contain invalid characters.
    """
    if uri.full.partition(":")[0] == "databricks":
        base, headers = _databricks(uri)
    else:
        scheme, _, rest = uri.full.partition("://")
        # A password may contain an unescaped @ or /: it ends at the last @.
        userinfo, _, host = rest.partition("?")[0].rpartition("@")
        base, headers = f"{scheme}://{host}".rstrip("/"), _headers(userinfo)
    if not base.partition("://")[2]:
        raise StoreNotFound(f"The tracking URI {uri.safe} names no server.", "Use http://HOST:PORT.")
    workspace = os.environ.get("MLFLOW_WORKSPACE", "").strip()
    if workspace:
        headers["X-MLFLOW-WORKSPACE"] = workspace
    if not all(value.isascii() and value.isprintable() for value in headers.values()):
        raise StoreRefused(f"The credentials for {uri.safe} contain a character that cannot be sent.", _HOW)
    return Access(
        base=base,
        headers=headers,
        verify=os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() not in ("true", "1"),
        ca_path=_first_set("MLFLOW_TRACKING_SERVER_CERT_PATH", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
        client_cert_path=_first_set("MLFLOW_TRACKING_CLIENT_CERT_PATH"),
        plugin="aws-sigv4" if _first_set("MLFLOW_TRACKING_AWS_SIGV4") else _first_set("MLFLOW_TRACKING_AUTH") or "",
    )


def _headers(userinfo: str) -> dict[str, str]:
    """The Authorization header: from the URI, else from user and password, else from the token."""
    user, _, password = userinfo.partition(":")
    if userinfo:
        return _basic(unquote(user), unquote(password))
    from_file = _credentials_file()
    user_name, user_password = (
        os.environ.get(variable) or from_file.get(variable.lower())
        for variable in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")
    )
    if user_name and user_password:
        return _basic(user_name, user_password)
    token = _first_set("MLFLOW_TRACKING_TOKEN")
    return {"Authorization": f"Bearer {token}"} if token else {}


def _basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def _credentials_file() -> dict[str, str]:
    """The section [mlflow] of ~/.mlflow/credentials; empty if there is none."""
    return _section(Path("~/.mlflow/credentials").expanduser(), "mlflow")


def _databricks(uri: TrackingUri) -> tuple[str, dict[str, str]]:
    """Host and header from the environment or ~/.databrickscfg, else from MLflow."""
    profile = uri.full.partition("://")[2].strip("/")
    host, token = os.environ.get("DATABRICKS_HOST"), os.environ.get("DATABRICKS_TOKEN")
    if profile or not (host and token):
        file = Path(os.environ.get("DATABRICKS_CONFIG_FILE", "~/.databrickscfg")).expanduser()
        section = _section(file, profile or os.environ.get("DATABRICKS_CONFIG_PROFILE", "DEFAULT"))
        host, token = section.get("host"), section.get("token")
    if not (host and token):
        host, token = _databricks_from_mlflow(uri)
    host = host if "://" in host else f"https://{host}"
    return host.rstrip("/"), {"Authorization": f"Bearer {token}"}


def _databricks_from_mlflow(uri: TrackingUri) -> tuple[str, str]:
    hint = "Set DATABRICKS_HOST and DATABRICKS_TOKEN, or write a profile with host and token into ~/.databrickscfg."
    try:
        from mlflow.utils.databricks_utils import get_databricks_host_creds

        found = get_databricks_host_creds(uri.full)
    except Exception:
        raise StoreRefused(f"No credentials were found for {uri.safe}.", hint) from None
    if not (found.host and found.token):
        raise StoreRefused(f"The credentials found for {uri.safe} hold no token.", hint)
    return found.host, found.token


def _section(file: Path, name: str) -> dict[str, str]:
    """One section of an INI file; empty if it is missing or the file cannot be read."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(file, encoding="utf-8")
        return dict(parser[name])
    except (configparser.Error, OSError, UnicodeDecodeError, KeyError):
        return {}


def _first_set(*variables: str) -> str | None:
    """The value of the first of these environment variables that is set and not false."""
    values = (os.environ.get(variable, "").strip() for variable in variables)
    return next((value for value in values if value and value.lower() not in ("false", "0")), None)
