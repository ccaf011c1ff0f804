"""Promise 3: no credential reaches disk or screen, and the kernel holds none.

Planted are those of a connection, of the environment, and of the store itself; each is looked for in every output, as
it is, percent-encoded and in base64.
"""

from __future__ import annotations

import html
import json
from pathlib import Path

import nbformat
import pyarrow.parquet as pq
import pytest

from qualia_lab import ArtifactExplorer, NotebookGenerator
from qualia_lab.notebook.kernel_environment import kernel_environment
from qualia_lab.selection import Query
from qualia_lab.stores.open import open_store
from qualia_lab.stores.snapshot.hand_over import SNAPSHOT_VARIABLE
from qualia_lab.stores.uri import split_uri
from tests.cli.command import QUALIA, run_here

from .planted_secrets import FORMS, NAMES, unguessable, write_store

PROMISE = 3
# A cell of the executed notebook that copies the temporary snapshot and prints the environment.
LOOK = f"""
import os, pathlib, shutil
shutil.copytree(os.environ["{SNAPSHOT_VARIABLE}"], "handed over")
print(dict(os.environ))
"""


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """The store, and every secret in it."""
    root = tmp_path_factory.mktemp("planted") / "mlruns"
    secrets = write_store(root)
    assert len({one.secret for one in secrets}) >= 250
    return root, secrets


def parquet_text(folder: Path) -> str:
    """Everything in the files of a snapshot, decompressed."""
    parts = [path.read_bytes().decode("utf-8", "replace") for path in folder.rglob("*") if path.is_file()]
    tables = [pq.ParquetFile(path).read().to_pylist() for path in folder.rglob("*.parquet")]
    return "\n".join(parts) + json.dumps(tables, ensure_ascii=False)


@pytest.fixture(scope="module")
def outputs(planted, tmp_path_factory):
    """{name: text} of everything that is written or shown."""
    root, _ = planted
    folder = tmp_path_factory.mktemp("out")
    generator = NotebookGenerator(root)
    selection = generator.select()
    path = generator.write(generator.plan(selection), folder / "notebook.ipynb")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(LOOK))
    nbformat.write(notebook, path)
    generator.execute(path)
    found = {"notebook": path.read_text(), "page": generator.export(path).read_text()}
    found["hand-over to the kernel"] = parquet_text(folder / "handed over")

    def run_command(name: str, *arguments: str) -> None:
        done = run_here(QUALIA, *arguments, cwd=folder)
        assert done.returncode == 0, done.stderr
        found[name] = done.stdout + done.stderr

    uri = ("--tracking-uri", str(root))
    run_command("runs", "runs", *uri, "--params", ",".join(NAMES))
    run_command("runs --json", "runs", *uri, "--json")
    run_command("runs --csv", "runs", *uri, "--csv")
    run_command("experiments --json", "experiments", *uri, "--json")
    run_command("study", "study", *uri)
    run_command("study --json", "study", *uri, "--json")
    run_command("findings --json", "findings", *uri, "--json")
    run_command("compare --json", "compare", "run 0", "run 1", *uri, "--json")
    run_command("new --dry-run", "new", *uri, "--yes", "--dry-run", "--output", str(folder / "dry.ipynb"))
    run_command("snapshot", "snapshot", str(root), str(folder / "snapshot"), "--artifacts")
    found["snapshot files"] = parquet_text(folder / "snapshot")
    explorer = ArtifactExplorer(root)
    found["explorer"] = explorer.search_runs().to_csv() + repr([explorer.read_run(run) for run in selection.run_ids])
    return found


def test_no_secret_of_the_store_is_in_any_output(planted, outputs, record_counts):
    _, secrets = planted
    leaks = [
        (one.where, name)
        for name, text in outputs.items()
        for one in secrets
        if any(spelling in text for spelling in one.spellings())
    ]
    record_counts(PROMISE, "secrets planted in a store", len(secrets), len({where for where, _ in leaks}))
    record_counts(PROMISE, "secrets of a store in outputs", len(secrets) * len(outputs), len(leaks))
    assert len(outputs) >= 14
    assert leaks == []


def test_secrets_are_shown_on_request(planted):
    root, secrets = planted
    store = open_store(root, show_secrets=True)
    run_ids = store.read_runs(Query()).column("run_id").to_pylist()
    tables = store.read(run_ids)
    text = "".join(
        json.dumps(getattr(tables, name).to_pylist(), ensure_ascii=False) for name in ("runs", "params", "tags")
    )
    text = text.replace("\\", "")
    files = "".join(path.read_text() for path in root.rglob("artifacts/*"))
    assert [one.where for one in secrets if one.secret not in text and one.secret not in files] == []


def test_output_names_what_is_masked_and_how_to_show_it(outputs):
    for name in ("notebook", "runs --json", "findings --json", "snapshot"):
        assert "param DB_PASSWORD" in outputs[name].replace("&#95;", "_"), name
    assert "--show-secrets" in outputs["notebook"]
    assert "--show-secrets" in outputs["runs --json"]


def test_artifact_texts_are_exported_without_secrets(outputs):
    page = html.unescape(outputs["page"])
    assert '"max_tokens": 5' in page
    assert '"password": "‹masked 1›"' in page


def test_text_around_a_secret_is_kept(outputs):
    rows = json.loads(outputs["runs --json"].partition("\nmasked")[0].rpartition("]")[0] + "]")
    tags = {key: value for row in rows for key, value in row["tags"].items()}
    assert tags["mlflow.source.git.repoURL"] == "https://‹masked 1›@git.example.org/team/repo.git"
    assert {row["artifact_uri"][:17] for row in rows if row["artifact_uri"].startswith("s3")} == {"s3://ada:‹masked "}
    assert "user: ada\npassword: ‹masked 1›\nmax_tokens: 512" in "\n".join(tags.values())


# Tracking URIs

CONNECTIONS = {
    **{f"userinfo {scheme}": f"{scheme}://ada:{{}}@h.example.org/x" for scheme in ("postgresql", "mysql", "http", "https")},
    "at": "postgresql://ada:p@{}@h.example.org/x",
    "slash": "postgresql://ada:p/{}@h.example.org/x",
    "user": "https://{}@h.example.org",
    **{
        f"query {name}": f"{scheme}://h.example.org/x?a=1&{name}={{}}&b=2"
        for scheme in ("https", "postgresql")
        for name in (
            *("password", "passwd", "pwd", "pass", "key", "api_key", "apikey", "api-key", "access_key", "auth", "jwt"),
            *("code", "token", "access_token", "secret", "client_secret", "sig", "signature", "X-Amz-Signature"),
            *("authorization", "sslkey", "db_pass", "x-auth"),
        )
    },
}  # fmt: skip


def test_no_secret_of_a_tracking_uri_is_shown(record_counts):
    leaks = []
    for name, form in CONNECTIONS.items():
        secret = unguessable(name)
        uri = split_uri(form.format(secret))
        assert secret in " ".join(uri.secrets)
        shown = (uri.safe, repr(uri), uri.redact(f"cannot reach {uri.full}: {' '.join(uri.secrets)}"))
        leaks += [(name, text) for text in shown if secret in text]
        assert "h.example.org" in uri.safe  # the server is still recognizable
    record_counts(PROMISE, "secrets of a connection", 3 * len(CONNECTIONS), len(leaks))
    assert leaks == []


def test_ordinary_words_in_a_uri_are_not_masked():
    for uri in ("postgresql://h/x?sslmode=require&connect_timeout=5", "mysql://h/x?charset=utf8mb4", "https://h/x?a=1"):
        assert split_uri(uri).safe == uri


# The environment

VARIABLES = (
    *NAMES, "DB_PASS", "GITHUB_PAT", "SLACK_WEBHOOK_URL", "DATABASE_URL", "MONGO_URI", "REDIS_URL", "AWS_PROFILE", "NPM_AUTH",
    "KAGGLE_KEY", "KAGGLE_USERNAME", "STRIPE", "TWILIO_SID", "SENTRY", "MY_LICENCE", "PAT", "CI_JOB_JWT", "NETRC", "VAULT_ADDR",
    "MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_TOKEN", "MLFLOW_S3_ENDPOINT_URL", "HTTP_PROXY", "https_proxy", "ALL_PROXY",
    "GOOGLE_APPLICATION_CREDENTIALS_JSON", "KUBECONFIG_DATA", "SSH_AUTH_SOCK", "GPG_KEY", "X", "SNOWFLAKE_PWD", "WANDB",
)  # fmt: skip


def test_the_kernel_gets_only_the_variables_that_it_needs(record_counts):
    planted = {name: unguessable(f"variable {name}") for name in VARIABLES}
    # Also if the name is one that the kernel needs, but the value is not.
    planted |= {
        "PYTHONPATH": FORMS["git"].format(unguessable("path")),
        "LC_ALL": FORMS["database"].format(unguessable("lc")),
    }
    passed = kernel_environment({"PATH": "/bin", "HOME": "/home/ada", "LANG": "C.UTF-8", **planted}, {})
    leaks = [name for name, value in planted.items() if value in passed.values()]
    record_counts(PROMISE, "variables of a kernel", len(planted), len(leaks))
    assert leaks == []
    assert {"PATH", "HOME", "LANG"} <= passed.keys()


def test_allowed_variables_are_passed_unless_they_look_like_secrets():
    environment = {"DATA_FOLDER": "/data", "DATA_URL": FORMS["database"].format(unguessable("data")), "OTHER": "x"}
    passed = kernel_environment(environment, {}, ["DATA_*"])
    assert passed["DATA_FOLDER"] == "/data"
    assert not {"DATA_URL", "OTHER"} & passed.keys()
