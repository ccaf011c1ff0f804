"""Which recorded artifact addresses are opened: only those in which the record cannot choose the server.

MLflow's client signs requests with the credentials of the environment, and some addresses name the host themselves:
`r2://bucket@HOST/…` sends a signed request to HOST. An address is therefore opened only if its form leaves the host to
the provider or to the user's own configuration, or if the user has allowed the host.
"""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

ALLOWED_HOSTS = "QUALIA_LAB_ARTIFACT_HOSTS"

_BUCKET = r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]"
_AZURE = r"\.core\.(windows\.net|chinacloudapi\.cn|usgovcloudapi\.net)"
# For each scheme, what may come between `//` and the path: a bucket at the provider's host, or nothing, where the host
# comes from the user's configuration. Anything else is a host chosen by the record.
_FORMS = {
    "s3": _BUCKET,
    "gs": _BUCKET,
    "oss": _BUCKET,
    "abfss": rf"[a-z0-9$][a-z0-9-]*@[a-z0-9]+\.dfs{_AZURE}",
    "abfs": rf"[a-z0-9$][a-z0-9-]*@[a-z0-9]+\.dfs{_AZURE}",
    "wasbs": rf"[a-z0-9$][a-z0-9-]*@[a-z0-9]+\.blob{_AZURE}",
    "r2": rf"{_BUCKET}@[a-z0-9]+(\.eu|\.fedramp)?\.r2\.cloudflarestorage\.com",
    "b2": rf"{_BUCKET}@s3\.[a-z0-9-]+\.backblazeb2\.com",
    "dbfs": "",
    "hdfs": "",
    "viewfs": "",
}
# The schemes whose addresses can contain a host; with the others, that part is always a bucket.
_WITH_HOSTS = ("r2", "b2", "abfss", "abfs", "wasbs", "hdfs", "viewfs")
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?\Z")
OBJECT_STORES = tuple(_FORMS)


def why_not_opened(uri: str) -> str:
    """The reason why an address in an object store is not opened; "" if it may be opened.

    Args:
        uri: the recorded address, with one of the schemes in OBJECT_STORES.
    """
    scheme, _, rest = uri.partition(":")
    scheme = scheme.lower()
    # URL parsers treat these characters differently, and may find different hosts.
    if not uri.isprintable() or any(char in uri for char in "\\?#") or ".." in rest.split("/"):
        return "the recorded address has characters or parts that an artifact address never needs"
    if rest.startswith("//"):
        authority = rest[2:].partition("/")[0]
    elif scheme in ("dbfs", "hdfs", "viewfs") and rest.startswith("/"):
        authority = ""
    else:
        return "the recorded address has no known form"
    if re.fullmatch(_FORMS[scheme], authority):
        return ""
    host = urlsplit(uri).netloc.rpartition("@")[2].lower()
    if scheme not in _WITH_HOSTS or not _HOST.match(host):
        return "the recorded address does not name a bucket"
    if {host, host.partition(":")[0]} & _allowed_hosts():
        return ""
    return (
        f"the record names the server {host[:100]}, which would be sent your credentials; "
        f"if it is yours, set {ALLOWED_HOSTS}={host[:100]}"
    )


def _allowed_hosts() -> set[str]:
    """The hosts that the user has allowed, each with or without a port."""
    return {host.lower() for host in re.split(r"[,\s]+", os.environ.get(ALLOWED_HOSTS, "")) if host}
