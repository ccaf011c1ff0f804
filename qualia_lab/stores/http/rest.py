"""RestClient: questions to a server over HTTP that end, with an answer or with a sentence."""

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
from qualia_lab.stores.parallel import pause, within

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
# Of metrics, which are the smallest that MLflow sends, so many bytes hold half as many of either.
_MOST_OBJECTS, _MOST_VALUES = 2_000_000, 8_000_000
_CHUNK = 64 << 10
_TLS_HINT = (
    "Name the certificate authority in MLFLOW_TRACKING_SERVER_CERT_PATH; use http:// where the server has no TLS; "
    "MLFLOW_TRACKING_INSECURE_TLS=true trusts any certificate."
)
_TRY_AGAIN = (429, 502, 503, 504)


class RequestRejected(StoreError):
    """The server understood the question and will not answer it: 400, 404, 500 and their like."""

    def __init__(self, message: str, hint: str = "", *, status: int, error_code: str = "") -> None:
        super().__init__(message, hint)
        self.status = status
        self.error_code = error_code


class _NoAnswer(Exception):
    """Nothing came back, or not all of it. `final`: asking again is of no use."""

    def __init__(self, reason: str, *, final: bool = False, hint: str = "") -> None:
        super().__init__(reason)
        self.final = final
        self.hint = hint


@dataclass(frozen=True)
class _Question:
    method: str
    path: str
    parameters: Parameters
    body: Any
    limit: int


class RestClient:
    """One server, a pool of connections to it, and the patience that it is met with.

    A question is asked again when the server is busy, the connection breaks, or (once) it fails without MLflow's saying
    why, and given up after 30 seconds in all
    (or MLFLOW_HTTP_REQUEST_TIMEOUT). Only questions that change nothing may be asked. Redirects are not followed: they
    lead to login pages, and credentials would go with them.
    """

    def __init__(self, uri: TrackingUri) -> None:
        self.uri = uri
        self.access: Access = find_access(uri)
        self.seconds = _seconds()
        self._pool: urllib3.PoolManager | None = None

    def ask(self, method: str, path: str, *, parameters: Parameters = (), body: Any = None) -> dict[str, Any]:
        """The JSON object that the server answers with.

        Raises StoreUnreachable without an answer, StoreRefused when it wants other credentials, StoreUnreadable when
        the answer is not JSON, RequestRejected when it says no.
        """
        return self.ask_sized(method, path, parameters=parameters, body=body)[0]

    def ask_sized(
        self, method: str, path: str, *, parameters: Parameters = (), body: Any = None, seconds: float | None = None
    ) -> tuple[dict[str, Any], int]:
        """The JSON object that the server answers with, and the bytes it came in. Raises as `ask` does."""
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
            what = "an empty answer" if not data.strip() else "something that is no JSON object"
            raise StoreUnreadable(
                f"{self.uri.safe} gave {what} where MLflow gives JSON.",
                "Check that the address is that of an MLflow tracking server, and not of a page or a proxy before it.",
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
        """The first `limit` bytes of the answer; `whole`: more than that is an error. Raises as `ask` does."""
        question = _Question(method, path, parameters, body, limit)
        deadline = time.monotonic() + min(seconds or self.seconds, self.seconds)
        wait, hint = _FIRST_WAIT, "Check the address, and that the server runs."
        for attempt in range(1, _ATTEMPTS + 1):
            pause(0)  # where a thread ends whose answer nobody waits for any more
            try:
                status, headers, data = within(
                    max(deadline - time.monotonic(), 0.05),
                    lambda: self._answer(question, deadline),
                )
            except _NoAnswer as error:
                failure, final, rest = str(error), error.final, wait
                hint = error.hint or hint
            except TimeoutError:
                failure, final, rest = "it did not answer in time", True, wait
            else:
                # MLflow 3.17 fails so, now and then, at one of the questions that it is asked side by side.
                is_accident = status == 500 and attempt == 1 and not _mlflow_error(data)[0]
                if status not in _TRY_AGAIN and not is_accident:
                    return self._accepted(path, status, headers, data, limit if whole else None)
                asked_for = _retry_after(headers)
                failure, final = _busy(status, asked_for), False
                rest = max(asked_for, wait)
                hint = _when_to_try(asked_for) if status in (429, 503) else hint
            if final or attempt == _ATTEMPTS or time.monotonic() + rest >= deadline:
                break
            pause(rest)
            wait *= 2
        raise StoreUnreachable(
            f"The tracking server {self.uri.safe} could not be reached: {failure}.",
            hint,
        )

    def close(self) -> None:
        """Close the connections."""
        if self._pool is not None:
            self._pool.clear()

    def _answer(self, question: _Question, deadline: float) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and up to limit + 1 bytes of one answer, unpacked as they come and never all at once."""
        import urllib3
        from urllib3.exceptions import DecodeError, HTTPError, LocationValueError, NameResolutionError, SSLError

        seconds = max(deadline - time.monotonic(), 0.05)
        timeout = urllib3.Timeout(connect=min(_CONNECT_SECONDS, seconds), read=seconds)
        try:
            url, headers, data = self._request(question)
            response = self._connections().request(
                question.method,
                url,
                body=data,
                headers=headers,
                timeout=timeout,
                retries=False,
                redirect=False,
                preload_content=False,
            )
            chunks, size = [], 0
            while size <= question.limit and (chunk := response.read1(_CHUNK, decode_content=True)):
                chunks.append(chunk)
                size += len(chunk)
                if time.monotonic() > deadline:
                    raise _NoAnswer("its answer was not complete in time", final=True)
            if size > question.limit:
                response.close()
            response.release_conn()
            return response.status, response.headers, b"".join(chunks)
        except NameResolutionError:
            raise _NoAnswer("there is no server of that name") from None
        except SSLError as error:
            raise _NoAnswer(_tls_trouble(str(error)), final=True, hint=_TLS_HINT) from None
        except DecodeError:
            raise _NoAnswer("its answer is damaged", final=True) from None
        except (LocationValueError, UnicodeError):
            raise StoreNotFound(f"{self.uri.safe} is no address of a server.", "Use http://HOST:PORT.") from None
        except urllib3.exceptions.NewConnectionError:
            raise _NoAnswer("it accepts no connection") from None
        except urllib3.exceptions.ConnectTimeoutError:
            raise _NoAnswer("no connection could be made in time") from None
        except urllib3.exceptions.ReadTimeoutError:
            raise _NoAnswer("it did not answer in time", final=True) from None
        except (HTTPError, OSError):
            raise _NoAnswer("the connection broke off") from None

    def _redacted(self, text: str) -> str:
        """What the server says, without what it was sent to be let in."""
        text = self.uri.redact_answer(text)
        for value in self.access.headers.values():
            secret = value.partition(" ")[2]
            decoded = _decoded(secret) if value.startswith("Basic ") else ""
            for one in (secret, decoded, decoded.partition(":")[2]):
                text = text.replace(one, "***") if len(one) >= 4 else text
        return text

    def _request(self, question: _Question) -> tuple[str, dict[str, str], bytes | None]:
        """Address, headers and body of a request, signed by a plugin where one is named."""
        from urllib.parse import urlencode

        parameters = f"?{urlencode(question.parameters)}" if question.parameters else ""
        url = self.access.base + question.path + parameters
        headers = {"Accept-Encoding": "gzip", "User-Agent": "qualia-lab", **self.access.headers}
        data = None
        if question.body is not None:
            data = json.dumps(question.body).encode()
            headers["Content-Type"] = "application/json"
        if self.access.plugin:
            headers = self._signed(question.method, url, headers, data)
        return url, headers, data

    def _signed(self, method: str, url: str, headers: dict[str, str], data: bytes | None) -> dict[str, str]:
        """The headers as one of MLflow's authentication plugins makes them, which are written for `requests`."""
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
        """The pool, made at the first question: through the environment's proxy where that names one."""
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

    def _accepted(self, path: str, status: int, headers: Mapping[str, str], data: bytes, largest: int | None) -> bytes:
        """The body of a good answer; every other one becomes an error that quotes no more than MLflow's own message."""
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
        if largest is not None and len(data) > largest:
            raise StoreUnreadable(
                f"An answer of {server} is larger than {largest >> 20} MB.", "Ask for fewer runs, with --limit."
            )
        return data


def _decoded(basic: str) -> str:
    """`user:password` of what a Basic header holds."""
    try:
        return base64.b64decode(basic).decode()
    except ValueError:
        return ""


def _busy(status: int, seconds: float) -> str:
    """What a server that is busy answers, and how long it asks to wait."""
    words = {429: " (too many requests)", 503: " (not available)"}.get(status, "")
    return f"it answers {status}{words}" + (f" and asks to wait {seconds:,.0f} s (Retry-After)" if seconds >= 1 else "")


def _when_to_try(seconds: float) -> str:
    return f"Try again in {max(seconds, 60):,.0f} s, or ask for fewer runs." if seconds else "Try again in a minute."


def _tls_trouble(words: str) -> str:
    """What went wrong with TLS, of what OpenSSL says."""
    if "CERTIFICATE_VERIFY_FAILED" in words:
        reason = words.partition("verify failed: ")[2].partition(" (_ssl")[0] or "its issuer is not known"
        return f"its TLS certificate is not trusted ({one_line(reason, 80)})"
    if "WRONG_VERSION_NUMBER" in words or "RECORD_LAYER_FAILURE" in words or "HTTP_REQUEST" in words:
        return "it does not speak TLS at this port"
    return "no secure connection could be made (TLS)"


def _seconds() -> float:
    """How long a question may take, with all its attempts."""
    try:
        return max(float(os.environ.get("MLFLOW_HTTP_REQUEST_TIMEOUT", "")), 0.1)
    except ValueError:
        return _SECONDS


def _certificates() -> str | None:
    """The certificates of certifi, which MLflow's own client uses; without it, the system's."""
    try:
        import certifi
    except ImportError:
        return None
    return certifi.where()


def _through_proxy(base: str, options: dict[str, Any]) -> urllib3.PoolManager | None:
    """A pool through the proxy that the environment names for this address, or None."""
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
    """The seconds that a server asks to wait, in so many words or by a date (RFC 9110, 10.2.3); 0 where it does not."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        return parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, OverflowError):
        return 0.0


def _mlflow_error(data: bytes) -> tuple[str, str]:
    """Code and message of MLflow's error JSON, one short line; ("", "") of anything else."""
    try:
        answer = json.loads(data)
        return one_line(str(answer["error_code"]), 60), one_line(str(answer.get("message") or ""), 200)
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return "", ""
