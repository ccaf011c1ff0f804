"""Small stores for the commands."""

import subprocess
import sys

import pytest


@pytest.fixture(scope="session")
def cases(shared_data, tmp_path_factory):
    """The folder of the small stores."""
    folder = tmp_path_factory.mktemp("cases")
    subprocess.run([sys.executable, shared_data / "cases" / "make_cases.py", folder], check=True, capture_output=True)
    return folder
