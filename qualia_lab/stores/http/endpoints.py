"""Endpoints that older servers do not have."""

from __future__ import annotations

from qualia_lab.stores.http.rest import RequestRejected

API2, API3 = "/api/2.0/mlflow", "/api/3.0/mlflow"
# MLflow serves some files below these paths only, for its own pages.
PAGES2, PAGES3 = "/ajax-api/2.0/mlflow", "/ajax-api/3.0/mlflow"

_ABSENT = (404, 405, 501)
_CODES = ("", "ENDPOINT_NOT_FOUND", "NOT_IMPLEMENTED", "FEATURE_DISABLED")


def is_absent(error: Exception) -> bool:
    """Whether a server said that it has no such endpoint, or that its backend store holds no such things."""
    if not isinstance(error, RequestRejected):
        return False
    return error.error_code == "FEATURE_DISABLED" or (error.status in _ABSENT and error.error_code in _CODES)
