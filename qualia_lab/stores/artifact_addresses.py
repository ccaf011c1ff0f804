"""Which recorded artifact addresses are opened: those where the record does not choose the server that is asked.

MLflow's client signs requests with the credentials of the environment, and the host is in some addresses what the
record says: `r2://bucket@HOST/…` sends a signed request to HOST. So an address is opened only where its form leaves the
host to the provider or to the person's own configuration, or where the person has allowed the host.
"""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

ALLOWED_HOSTS = "QUALIA_LAB_ARTIFACT_HOSTS"

_BUCKET = r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]"
_AZURE = r"\.core\.(windows\.net|chinacloudapi\.cn|usgovcloudapi\.net)"
# Of each scheme what may stand between `//` and the path: a bucket at the provider's host, or nothing, where the host
# is that of the person's configuration. What is not matched names a host of the record's choice.
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
# Those of them in which a host can stand: what the others take for a bucket is never one.
_WITH_HOSTS = ("r2", "b2", "abfss", "abfs", "wasbs", "hdfs", "viewfs")
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?\Z")
OBJECT_STORES = tuple(_FORMS)


def why_not_opened(uri: str) -> str:
    """Why an address of one of OBJECT_STORES is not opened, in a few words; "" where it may be.

    Args:
        uri: as it was recorded, with any scheme of OBJECT_STORES.
    """
    scheme, _, rest = uri.partition(":")
    scheme = scheme.lower()
    # Parsers differ in what they make of these, and so in which host they find.
    if not uri.isprintable() or any(char in uri for char in "\\?#") or ".." in rest.split("/"):
        return "the recorded address has characters or parts that no address of artifacts needs"
    if rest.startswith("//"):
        named = rest[2:].partition("/")[0]
    elif scheme in ("dbfs", "hdfs", "viewfs") and rest.startswith("/"):
        named = ""
    else:
        return "the recorded address has no form that is known"
    if re.fullmatch(_FORMS[scheme], named):
        return ""
    host = urlsplit(uri).netloc.rpartition("@")[2].lower()
    if scheme not in _WITH_HOSTS or not _HOST.match(host):
        return "the recorded address does not name a bucket"
    if {host, host.partition(":")[0]} & _allowed_hosts():
        return ""
    return (
        f"the record names the server {host[:100]}, which would be asked with your credentials; "
        f"if it is yours, set {ALLOWED_HOSTS}={host[:100]}"
    )


def _allowed_hosts() -> set[str]:
    """The hosts that the person has allowed, each with or without a port."""
    return {host.lower() for host in re.split(r"[,\s]+", os.environ.get(ALLOWED_HOSTS, "")) if host}
