"""RestClient: HTTP requests to a server, with retries and a deadline."""

from __future__ import annotations

import base64
import json
import os
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from qualia_lab.errors import (
    ExtraMissing,
    StoreError,
    StoreNotFound,
    StoreRefused,
    StoreUnreachable,
    StoreUnreadable,
)
from qualia_lab.escaping import one_line
from qualia_lab.stores.http.credentials import Access, find_access
from qualia_lab.stores.parallel import pause, with_timeout

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import urllib3

    from qualia_lab.stores.uri import TrackingUri

    Parameters = Sequence[tuple[str, str]]

_CONNECT_SECONDS = 5.0
_SECONDS = 30.0
_ATTEMPTS = 5
_FIRST_WAIT = 0.25
_LARGEST_ANSWER = 64 << 20
# Twice as many as an answer of that size holds of metrics, the smallest objects that MLflow sends.
_MOST_OBJECTS, _MOST_VALUES = 2_000_000, 8_000_000
_CHUNK = 64 << 10
_TLS_HINT = (
    "Name the certificate authority in MLFLOW_TRACKING_SERVER_CERT_PATH; use http:// where the server has no TLS; "
    "MLFLOW_TRACKING_INSECURE_TLS=true trusts any certificate."
)
_RETRIED_STATUSES = (429, 502, 503, 504)


class RequestRejected(StoreError):
    """The server answered with an error status such as 400, 404 or 500."""

    def __init__(self, message: str, hint: str = "", *, status: int, error_code: str = "") -> None:
        super().__init__(message, hint)
        self.status = status
        self.error_code = error_code


class _RequestFailed(Exception):
    """There was no complete response. `final`: retrying would not help."""

    def __init__(self, reason: str, *, final: bool = False, hint: str = "") -> None:
        super().__init__(reason)
        self.final = final
        self.hint = hint


@dataclass(frozen=True)
class _Request:
    method: str
    path: str
    parameters: Parameters
    body: Any
    limit: int


class RestClient:
    """A pool of connections to one server, with retries.

    A request is retried with back-off when the server is busy, when the connection breaks, or (once) after a status 500
    without an error of MLflow's. It is given up after 30 seconds in total, or MLFLOW_HTTP_REQUEST_TIMEOUT. Only
    requests that change nothing may be sent. Redirects are not followed: they lead to login pages, which would receive
    the credentials.
    """

    def __init__(self, uri: TrackingUri) -> None:
        self.uri = uri
        self.access: Access = find_access(uri)
        self.seconds = _seconds()
        self._pool: urllib3.PoolManager | None = None

    def request_json(self, method: str, path: str, *, parameters: Parameters = (), body: Any = None) -> dict[str, Any]:
        """The JSON object that the server responds with.

        Args:
            method: GET or POST.
            path: the path below the base address.
            parameters: the query parameters.
            body: sent as JSON; None for no body.

        Raises:
            StoreUnreachable: no response.
            StoreRefused: the credentials are missing or refused.
            StoreUnreadable: the response is not a JSON object, or is too large.
            RequestRejected: an error status.
        """
        return self.request_json_with_size(method, path, parameters=parameters, body=body)[0]

    def request_json_with_size(
        self, method: str, path: str, *, parameters: Parameters = (), body: Any = None, seconds: float | None = None
    ) -> tuple[dict[str, Any], int]:
        """The JSON object that the server responds with, and its size in bytes. Raises as `request_json` does."""
        limit = _LARGEST_ANSWER
        data = self.fetch(method, path, parameters=parameters, body=body, limit=limit, whole=True, seconds=seconds)
        if data.count(b"{") + data.count(b"[") > _MOST_OBJECTS or data.count(b",") > _MOST_VALUES:
            raise StoreUnreadable(
                f"An answer of {self.uri.safe} holds millions of empty values, and would take gigabytes of memory.",
                "Look at the server's log.",
            )
        try:
            answer = json.loads(data)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            what = "an empty answer" if not data.strip() else "something that is not a JSON object"
            raise StoreUnreadable(
                f"{self.uri.safe} gave {what} where MLflow gives JSON.",
                "Check that this is the address of an MLflow tracking server, not of a page or a proxy in front of it.",
            )
        return answer, len(data)

    def fetch(
        self,
        method: str,
        path: str,
        *,
        parameters: Parameters = (),
        body: Any = None,
        limit: int,
        whole: bool = False,
        seconds: float | None = None,
    ) -> bytes:
        """The first `limit` bytes of a response; with `whole`, more is an error. Raises as `request_json` does."""
        request = _Request(method, path, parameters, body, limit)
        deadline = time.monotonic() + min(seconds or self.seconds, self.seconds)
        backoff, hint = _FIRST_WAIT, "Check the address, and that the server runs."
        for attempt in range(1, _ATTEMPTS + 1):
            pause(0)  # ends this thread if its result is no longer needed
            try:
                status, headers, data = with_timeout(
                    max(deadline - time.monotonic(), 0.05),
                    lambda: self._send(request, deadline),
                )
            except _RequestFailed as error:
                failure, final, wait = str(error), error.final, backoff
                hint = error.hint or hint
            except TimeoutError:
                failure, final, wait = "it did not answer in time", True, backoff
            else:
                # MLflow 3.17 occasionally fails like this on one of several concurrent requests.
                is_spurious = status == 500 and attempt == 1 and not _mlflow_error(data)[0]
                if status not in _RETRIED_STATUSES and not is_spurious:
                    return self._accepted(path, status, headers, data, limit if whole else None)
                retry_after = _retry_after(headers)
                failure, final = _busy(status, retry_after), False
                wait = max(retry_after, backoff)
                hint = _when_to_try(retry_after) if status in (429, 503) else hint
            if final or attempt == _ATTEMPTS or time.monotonic() + wait >= deadline:
                break
            pause(wait)
            backoff *= 2
        raise StoreUnreachable(
            f"The tracking server {self.uri.safe} could not be reached: {failure}.",
            hint,
        )

    def close(self) -> None:
        """Close the connections."""
        if self._pool is not None:
            self._pool.clear()

    def _send(self, request: _Request, deadline: float) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and up to limit + 1 bytes of one response, decompressed in chunks as they arrive."""
        import urllib3
        from urllib3.exceptions import DecodeError, HTTPError, LocationValueError, NameResolutionError, SSLError

        seconds = max(deadline - time.monotonic(), 0.05)
        timeout = urllib3.Timeout(connect=min(_CONNECT_SECONDS, seconds), read=seconds)
        try:
            url, headers, data = self._prepared(request)
            response = self._connections().request(
                request.method,
                url,
                body=data,
                headers=headers,
                timeout=timeout,
                retries=False,
                redirect=False,
                preload_content=False,
            )
            chunks, size = [], 0
            while size <= request.limit and (chunk := response.read1(_CHUNK, decode_content=True)):
                chunks.append(chunk)
                size += len(chunk)
                if time.monotonic() > deadline:
                    raise _RequestFailed("its answer was not complete in time", final=True)
            if size > request.limit:
                response.close()
            response.release_conn()
            return response.status, response.headers, b"".join(chunks)
        except NameResolutionError:
            raise _RequestFailed("there is no server of that name") from None
        except SSLError as error:
            raise _RequestFailed(_tls_trouble(str(error)), final=True, hint=_TLS_HINT) from None
        except DecodeError:
            raise _RequestFailed("its answer is damaged", final=True) from None
        except (LocationValueError, UnicodeError):
            raise StoreNotFound(f"{self.uri.safe} is not the address of a server.", "Use http://HOST:PORT.") from None
        except urllib3.exceptions.NewConnectionError:
            raise _RequestFailed("it accepts no connection") from None
        except urllib3.exceptions.ConnectTimeoutError:
            raise _RequestFailed("no connection could be made in time") from None
        except urllib3.exceptions.ReadTimeoutError:
            raise _RequestFailed("it did not answer in time", final=True) from None
        except (HTTPError, OSError):
            raise _RequestFailed("the connection broke off") from None

    def _redacted(self, text: str) -> str:
        """A message of the server, without the credentials that were sent to it."""
        text = self.uri.redact_answer(text)
        for value in self.access.headers.values():
            secret = value.partition(" ")[2]
            decoded = _decoded(secret) if value.startswith("Basic ") else ""
            for credential in (secret, decoded, decoded.partition(":")[2]):
                text = text.replace(credential, "***") if len(credential) >= 4 else text
        return text

    def _prepared(self, request: _Request) -> tuple[str, dict[str, str], bytes | None]:
        """URL, headers and body of a request, signed by the plugin if there is one."""
        from urllib.parse import urlencode

        parameters = f"?{urlencode(request.parameters)}" if request.parameters else ""
        url = self.access.base + request.path + parameters
        headers = {"Accept-Encoding": "gzip", "User-Agent": "qualia-lab", **self.access.headers}
        data = None
        if request.body is not None:
            data = json.dumps(request.body).encode()
            headers["Content-Type"] = "application/json"
        if self.access.plugin:
            headers = self._signed(request.method, url, headers, data)
        return url, headers, data

    def _signed(self, method: str, url: str, headers: dict[str, str], data: bytes | None) -> dict[str, str]:
        """The headers signed by an authentication plugin of MLflow's, which expects a request of `requests`."""
        import requests

        if self.access.plugin == "aws-sigv4":
            try:
                from requests_auth_aws_sigv4 import AWSSigV4  # type: ignore[import-not-found]
            except ImportError:
                raise ExtraMissing(
                    "MLFLOW_TRACKING_AWS_SIGV4 is set, and the package that signs requests for AWS is not installed.",
                    "Install it: pip install 'qualia-lab[aws]'",
                ) from None
            auth = AWSSigV4("execute-api")
        else:
            from mlflow.tracking.request_auth.registry import fetch_auth

            auth = fetch_auth(self.access.plugin)
        signed = requests.Request(method, url, headers=headers, data=data, auth=auth).prepare().headers
        return {name: value if isinstance(value, str) else value.decode("latin-1") for name, value in signed.items()}

    def _connections(self) -> urllib3.PoolManager:
        """The connection pool, created by the first request; it uses the environment's proxy if there is one."""
        if self._pool is None:
            import urllib3

            options: dict[str, Any] = {"maxsize": 8, "cert_file": self.access.client_cert_path}
            if self.access.base.startswith("https:"):
                for path in (self.access.ca_path, self.access.client_cert_path):
                    if path and not Path(path).exists():
                        raise StoreNotFound(
                            f"There is no certificate {one_line(path, 200)}.",
                            "Check MLFLOW_TRACKING_SERVER_CERT_PATH and MLFLOW_TRACKING_CLIENT_CERT_PATH.",
                        )
                options |= {"cert_reqs": "CERT_REQUIRED", "ca_certs": self.access.ca_path or _certificates()}
                if not self.access.verify:
                    urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
                    options |= {"cert_reqs": "CERT_NONE", "ca_certs": None}
            self._pool = _through_proxy(self.access.base, options) or urllib3.PoolManager(**options)
        return self._pool

    def _accepted(self, path: str, status: int, headers: Mapping[str, str], data: bytes, max_size: int | None) -> bytes:
        """The body of a response with status 200. Other statuses raise an error that quotes only MLflow's message."""
        server = self.uri.safe
        if status in (401, 403, 407):
            raise StoreRefused(
                f"{server} refused these credentials ({status})." if self.access.headers or self.access.plugin
                else f"{server} wants credentials ({status}).",
                "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN.",
            )  # fmt: skip
        if 300 <= status < 400:
            target = urlsplit(headers.get("Location", ""))
            host = one_line(target.hostname or "another page", 80)
            raise StoreUnreadable(
                f"{server} sends us to {host} instead of answering.",
                "Use the address where it answers itself; a login page needs a token in MLFLOW_TRACKING_TOKEN.",
            )
        if status != 200:
            code, message = map(self._redacted, _mlflow_error(data))
            raise RequestRejected(
                f"{server} answers {status} to {path}" + (f": {message}" if message else "."),
                "" if code else "Check that this is the address of an MLflow tracking server.",
                status=status,
                error_code=code,
            )
        if max_size is not None and len(data) > max_size:
            raise StoreUnreadable(
                f"An answer of {server} is larger than {max_size >> 20} MB.", "Ask for fewer runs, with --limit."
            )
        return data


def _decoded(basic: str) -> str:
    """`user:password` from the value of a Basic Authorization header; "" if it cannot be decoded."""
    try:
        return base64.b64decode(basic).decode()
    except ValueError:
        return ""


def _busy(status: int, seconds: float) -> str:
    """The reason of a failure for the status of a busy server and the wait that it asks for."""
    words = {429: " (too many requests)", 503: " (not available)"}.get(status, "")
    return f"it answers {status}{words}" + (f" and asks to wait {seconds:,.0f} s (Retry-After)" if seconds >= 1 else "")


def _when_to_try(seconds: float) -> str:
    return f"Try again in {max(seconds, 60):,.0f} s, or ask for fewer runs." if seconds else "Try again in a minute."


def _tls_trouble(words: str) -> str:
    """The reason of a TLS failure, from OpenSSL's message."""
    if "CERTIFICATE_VERIFY_FAILED" in words:
        reason = words.partition("verify failed: ")[2].partition(" (_ssl")[0] or "its issuer is not known"
        return f"its TLS certificate is not trusted ({one_line(reason, 80)})"
    if "WRONG_VERSION_NUMBER" in words or "RECORD_LAYER_FAILURE" in words or "HTTP_REQUEST" in words:
        return "it does not speak TLS at this port"
    return "no secure connection could be made (TLS)"


def _seconds() -> float:
    """The total time for one request with all its retries, in seconds."""
    try:
        return max(float(os.environ.get("MLFLOW_HTTP_REQUEST_TIMEOUT", "")), 0.1)
    except ValueError:
        return _SECONDS


def _certificates() -> str | None:
    """The path of certifi's certificates, which MLflow's client uses; None for those of the system."""
    try:
        import certifi
    except ImportError:
        return None
    return certifi.where()


def _through_proxy(base: str, options: dict[str, Any]) -> urllib3.PoolManager | None:
    """A pool that uses the environment's proxy for this address; None if there is none."""
    from urllib.request import getproxies, proxy_bypass

    target = urlsplit(base)
    proxies = getproxies()
    address = proxies.get(target.scheme) or proxies.get("all")
    if not address or proxy_bypass(target.netloc):
        return None
    import urllib3

    scheme, _, rest = address.rpartition("://")
    userinfo, _, host = rest.rpartition("@")
    headers = urllib3.make_headers(proxy_basic_auth=userinfo) if userinfo else None
    return urllib3.ProxyManager(f"{scheme or 'http'}://{host}", proxy_headers=headers, **options)


def _retry_after(headers: Mapping[str, str]) -> float:
    """The wait in seconds that a Retry-After header asks for, as a number or a date (RFC 9110, 10.2.3); else 0."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        return parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, OverflowError):
        return 0.0


def _mlflow_error(data: bytes) -> tuple[str, str]:
    """Error code and message of MLflow's error JSON, each one short line; ("", "") for anything else."""
    try:
        answer = json.loads(data)
        return one_line(str(answer["error_code"]), 60), one_line(str(answer.get("message") or ""), 200)
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return "", ""
