"""The environment variables of a kernel: an allow-list, so that no credentials are passed on."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from qualia_lab.masking.text import masked
from qualia_lab.stores.uri import split_uri

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# What a kernel needs to start, to find packages, fonts and folders, and to compute as the command does. A deny-list of
# secret names is never complete: DB_PASS, GITHUB_PAT and SLACK_WEBHOOK_URL were in none.
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

# Return memory to the operating system as soon as it is freed (Arrow's allocator, and glibc's for large blocks), unless
# the user has set these variables. With 100,000 runs, this lowers the peak of the kernel by a tenth, and takes some
# seconds of a minute.
_ALLOCATOR_SETTINGS = {
    "MIMALLOC_PURGE_DELAY": "0",
    "MALLOC_MMAP_THRESHOLD_": str(6 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(64 << 20),
}
_ALWAYS_SET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}


def kernel_environment(
    environment: Mapping[str, str], snapshot_variables: Mapping[str, str], additional: Sequence[str] = ()
) -> dict[str, str]:
    """Return the environment of a kernel: allowed variables, with the telemetry of MLflow switched off.

    Args:
        environment: the environment of the command.
        snapshot_variables: the variables of `hand_over_runs`, which are added.
        additional: names and globs that `kernel_environment` of [tool.qualia] allows. Values that look like secrets are
            never passed on.

    Returns:
        {name: value}.
    """
    allowed = [glob.upper() for glob in (*_ALLOWED, *additional)]
    passed_on = {
        name: value
        for name, value in environment.items()
        if any(fnmatchcase(name.upper(), glob) for glob in allowed)
        and not split_uri(value).secrets
        and masked(value) == value
    }
    return _ALLOCATOR_SETTINGS | passed_on | _ALWAYS_SET | dict(snapshot_variables)
