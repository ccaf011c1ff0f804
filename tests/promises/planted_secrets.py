"""Writes a store full of secrets, recognizable by name or by form, in params, tags, URIs and files."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tests.stores.mlruns import write, write_experiment, write_run

# Names of params and tags whose values are always secrets.
NAMES = (
    "password", "db_password", "DB_PASSWORD", "user.password", "auth/password", "passwd", "PGPASSWORD", "pwd",
    "passphrase", "db_pass", "SMTP_PASS", "secret", "client_secret", "clientSecret", "aws_secret_access_key",
    "aws_access_key_id", "secret_key", "SECRET_KEY", "api_key", "apiKey", "APIKEY", "OPENAI_API_KEY", "api-key",
    "openai_key", "wandb_api_key", "x-api-key", "auth_token", "access_token", "accessToken", "refresh_token",
    "bearer_token", "session_token", "aws_session_token", "github_token", "GITHUB_PAT", "gitlab_token", "hf_token",
    "HUGGING_FACE_HUB_TOKEN", "slack_token", "bot_token", "token", "model.token", "private_key", "ssh_private_key",
    "signing_key", "encryption_key", "account_key", "azure_storage_key", "credentials", "aws_credentials",
    "authorization", "auth", "cookie", "session_cookie", "jwt", "connection_string", "SENTRY_DSN", "SLACK_WEBHOOK_URL",
    "webhook_url", "sas_url", "password_prod", "api_key_2", "password_hash", "api_keys", "secret_key_base",
)  # fmt: skip

# Texts that contain a secret `{}` in a known form. The first ones are complete URLs.
FORMS = {
    "git": "https://ada:{}@git.example.org/team/repo.git",
    "git token": "https://{}@git.example.org/team/repo.git#subdirectory=x",
    "git+": "git+https://oauth2:{}@git.example.org/team/repo.git",
    "database": "postgresql://ada:{}@db.example.org:5432/mlflow",
    "database with driver": "mysql+pymysql://root:{}@db.example.org/x?ssl=1",
    "slash in password": "postgresql://ada:p/{}@db.example.org/mlflow",
    "at in password": "postgresql://ada:p@{}@db.example.org/mlflow",
    "redis": "redis://:{}@cache.example.org:6379/0",
    "amqp": "amqp://guest:{}@queue.example.org//",
    "mongo": "mongodb+srv://ada:{}@cluster.example.org/?retryWrites=true",
    "ftp": "ftp://ada:{}@files.example.org/data.csv",
    "s3 presigned": "https://b.s3.amazonaws.com/k?X-Amz-Date=20260101&X-Amz-Signature={}",
    "s3 token": "https://b.s3.amazonaws.com/k?X-Amz-Security-Token={}&X-Amz-Expires=3600",
    "gcs presigned": "https://storage.googleapis.com/b/k?X-Goog-Date=1&X-Goog-Signature={}",
    "azure sas": "https://acc.blob.core.windows.net/c/b?sv=2020&sig={}&se=2026",
    "query pass": "https://h.example.org/x?user=ada&pass={}",
    "query key": "https://h.example.org/x?key={}&n=1",
    "query auth": "https://h.example.org/x?auth={}",
    "query jwt": "https://h.example.org/x?jwt={}",
    "query code": "https://h.example.org/cb?code={}&state=1",
    "query token": "https://h.example.org/x?access_token={}",
    "fragment token": "https://h.example.org/x#access_token={}&type=bearer",
    "slack webhook": "https://hooks.slack.com/services/T000/B000/{}",
    "discord webhook": "https://discord.com/api/webhooks/123/{}",
    "in a sentence": "read from postgresql://ada:{}@db.example.org/x and went on",
    "two": "http://h:80/a then http://ada:{}@h.example.org/b",
    "json": '{{"user": "ada", "password": "{}", "n": 3}}',
    "json in json": '{{"source": "{{\\"api_key\\": \\"{}\\"}}"}}',
    "python": "{{'db_password': '{}', 'lr': 0.1}}",
    "dsn": "host=db.example.org user=ada password={} dbname=x",
    "odbc": "Server=tcp:db.example.org;Uid=ada;Pwd={};Encrypt=yes",
    "azure string": "DefaultEndpointsProtocol=https;AccountName=acc;AccountKey={};EndpointSuffix=core.windows.net",
    "flag": "train.py --lr 0.1 --api-key {} --epochs 3",
    "flag =": "train.py --token={} --epochs 3",
    "environment": "export AWS_SECRET_ACCESS_KEY={}",
    "header": "Authorization: Bearer {}",
    "basic": "curl -H 'Authorization: Basic {}' https://h.example.org",
    "yaml": "user: ada\npassword: {}\nmax_tokens: 512\n",
    "xml": "<conf><password>{}</password></conf>",
    "pem": "-----BEGIN RSA PRIVATE KEY-----\nMIIE{}\nq\n-----END RSA PRIVATE KEY-----",
    "openssh": "-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----",
}
# Secrets that are recognized by their prefix.
TOKENS = {
    "aws": ("AKIA", 16, str.upper), "aws temporary": ("ASIA", 16, str.upper), "github": ("ghp_", 36, str),
    "github app": ("ghs_", 36, str), "github fine": ("github_pat_", 60, str), "gitlab": ("glpat-", 20, str),
    "slack": ("xoxb-", 40, str), "slack user": ("xoxp-", 40, str), "hugging face": ("hf_", 34, str),
    "openai": ("sk-", 48, str), "openai project": ("sk-proj-", 60, str), "anthropic": ("sk-ant-", 60, str),
    "stripe": ("sk_live_", 24, str), "google": ("AIza", 35, str), "databricks": ("dapi", 32, str),
    "npm": ("npm_", 36, str), "pypi": ("pypi-", 60, str),
}  # fmt: skip


@dataclass(frozen=True)
class Planted:
    """One secret: where it is, and the text that contains it."""

    where: str
    secret: str
    text: str

    def spellings(self) -> set[str]:
        """The secret in all encodings in which it could leak."""
        return {self.secret, quote(self.secret, safe=""), base64.b64encode(self.secret.encode()).decode()}


def unguessable(of: str, length: int = 24) -> str:
    """A string of letters and digits that occurs nowhere else."""
    return "Q" + hashlib.sha512(of.encode()).hexdigest()[: length - 1]


def _token(name: str, where: str) -> str:
    begins, length, spelled = TOKENS[name]
    return begins + spelled(unguessable(f"{where} {name}", length) if name != "databricks" else
                            hashlib.md5(where.encode(), usedforsecurity=False).hexdigest())  # fmt: skip


def _of_forms(where: str) -> list[Planted]:
    found = []
    for name, form in FORMS.items():
        secret = unguessable(f"{where} {name}")
        found.append(Planted(f"{where}: {name}", secret, form.format(secret)))
    jwt = f"eyJhbGciOiJIUzI1NiJ9.eyJ{unguessable(where + ' jwt')}.{unguessable(where + ' signature')}"
    found.append(Planted(f"{where}: jwt", jwt, f"sent {jwt}"))
    return found + [
        Planted(f"{where}: {name}", _token(name, where), f"used {_token(name, where)} here") for name in TOKENS
    ]


def write_store(root: Path, runs: int = 8) -> list[Planted]:
    """Write an mlruns folder with a secret in every place; return the secrets."""
    planted: list[Planted] = []
    run_ids = [hashlib.md5(f"run {place}".encode(), usedforsecurity=False).hexdigest() for place in range(runs)]
    experiment = write_experiment(root, name="planted")
    folders = [experiment / run_id for run_id in run_ids]

    def put(folder: Path, kind: str, key: str, one: Planted) -> None:
        write(folder / kind / key, one.text)
        planted.append(one)

    for place, run_id in enumerate(run_ids):
        address = Planted("artifact_uri", unguessable(f"uri {run_id}"), "")
        # The run's own artifact folder exists, so its text files are shown.
        shown = str(folders[1] / "artifacts")
        if place != 1:
            planted.append(address)
        write_run(
            experiment,
            run_id,
            params={"lr": str(10.0**-place)},
            metrics={"val_auc": [(1000 + step, 0.5 + 0.01 * step * place, step) for step in range(5)]},
            run_name=f"run {place}",
            start_time=1000 + place,
            end_time=2000 + place,
            artifact_uri=shown if place == 1 else f"s3://ada:{address.secret}@bucket/{run_id}/artifacts",
        )
    for place, name in enumerate(NAMES):
        for kind in ("params", "tags"):
            secret = unguessable(f"{kind} {name}")
            put(folders[place % runs], kind, name, Planted(f"{kind} {name}", secret, secret))
    for kind in ("params", "tags"):
        for place, one in enumerate(_of_forms(kind)):
            put(folders[place % runs], kind, f"note_{place}", one)
    for key in ("mlflow.source.git.repoURL", "mlflow.source.name", "mlflow.note.content"):
        put(folders[0], "tags", key, Planted(key, unguessable(key), FORMS["git"].format(unguessable(key))))
    files = folders[1] / "artifacts"
    in_texts = _of_forms("artifact")
    for place, name in enumerate(("train.log", "conf.yaml", "notes.md", "a.txt")):
        write(files / name, "".join(one.text + "\n" for one in in_texts[place::4]))
    planted += in_texts
    for name, secret in (("config.json", "json file"), ("table.csv", "csv file"), ("page.html", "html file")):
        one = Planted(name, unguessable(secret), "")
        address = FORMS["database"].format(one.secret)
        texts = {
            "config.json": json.dumps({"database": {"password": one.secret, "max_tokens": 5}}),
            "table.csv": f"a,b\n1,{address}\n",
            "page.html": f"<p>{address}</p>",
        }
        write(files / name, texts[name])
        planted.append(one)
    return planted
