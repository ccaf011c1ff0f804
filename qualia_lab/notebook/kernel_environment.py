"""The environment variables that a kernel gets: an allow-list, so that no credential is among them."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from qualia_lab.masking.text import masked
from qualia_lab.stores.uri import split_uri

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# What a kernel needs to start, to find packages, fonts and folders, and to compute as the command does. A list of names
# that sound like secrets is never complete: DB_PASS, GITHUB_PAT and SLACK_WEBHOOK_URL were in none.
# fmt: off
_ALLOWED = (
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "COLUMNS", "LINES", "NO_COLOR", "LANG", "LANGUAGE", "LC_*",
    "TZ", "DISPLAY",
    "TMPDIR", "TEMP", "TMP", "XDG_*_HOME", "XDG_*_DIR", "XDG_*_DIRS",
    "PYTHON*", "VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV", "CONDA_EXE", "MAMBA_ROOT_PREFIX", "PYENV_ROOT",
    "COVERAGE_*",
    "JUPYTER_PATH", "JUPYTER_*_DIR", "IPYTHONDIR", "IPYKERNEL_*", "MPLBACKEND", "MPLCONFIGDIR",
    "LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_*", "LIBRARY_PATH", "MALLOC_*", "MIMALLOC_*", "ARROW_*",
    "OMP_*", "MKL_*", "OPENBLAS_*", "NUMEXPR_*", "VECLIB_*", "BLIS_*", "CUDA_VISIBLE_DEVICES", "SOURCE_DATE_EPOCH",
    "JAVA_HOME", "SPARK_HOME", "SPARK_CONF_DIR", "SPARK_LOCAL_*", "HADOOP_HOME", "HADOOP_CONF_DIR", "PYSPARK_*",
    "SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "APPDATA", "LOCALAPPDATA", "PROGRAMDATA",
    "PROGRAMFILES*",
    "USERPROFILE", "HOMEDRIVE", "HOMEPATH", "NUMBER_OF_PROCESSORS", "PROCESSOR_*", "OS",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "QUALIA_LAB_CACHE",
)
# fmt: on

# What is freed is given back to the machine at once (Arrow's allocator; glibc's, of what is large) where a person has
# not set it otherwise: of 100,000 runs the kernel's peak is a tenth lower, for some seconds of a minute.
_GIVES_BACK = {
    "MIMALLOC_PURGE_DELAY": "0",
    "MALLOC_MMAP_THRESHOLD_": str(6 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(64 << 20),
}
_SET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}


def kernel_environment(
    environment: Mapping[str, str], handed: Mapping[str, str], also: Sequence[str] = ()
) -> dict[str, str]:
    """The environment for a kernel: names that it needs or a project allows, and MLflow's telemetry off.

    Args:
        environment: that of the command.
        handed: the variables of `handed_over`, which are added.
        also: names and globs that `kernel_environment` of [tool.qualia] allows. A value that has the form of a secret
            is never passed on.

    Returns:
        {name: value}.
    """
    allowed = [glob.upper() for glob in (*_ALLOWED, *also)]
    kept = {
        name: value
        for name, value in environment.items()
        if any(fnmatchcase(name.upper(), glob) for glob in allowed)
        and not split_uri(value).secrets
        and masked(value) == value
    }
    return _GIVES_BACK | kept | _SET | dict(handed)
