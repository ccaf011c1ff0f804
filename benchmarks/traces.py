"""Create stores of traces for benchmarks: MLflow's own schema, filled with SQL inside the database."""

from __future__ import annotations

import random
import sqlite3
import uuid
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.stores import STARTED, make_schema

if TYPE_CHECKING:
    from pathlib import Path

_TABLES = ("trace_info", "trace_tags", "trace_request_metadata", "spans", "assessments")


@dataclass(frozen=True)
class TraceSize:
    """The size of a store of traces."""

    traces: int
    spans: int = 10  # per trace

    def __str__(self) -> str:
        return f"{self.traces:,} traces, {self.traces * self.spans:,} spans, {2 * self.traces:,} assessments"


# Numbers are in parentheses, since `||` comes before `%` in SQLite and after it in PostgreSQL.
# Each statement fills a table from `numbered` (the traces, from 0) and `numbers`. Every 20th trace failed.
_FAILED = "n.n % 20 = 7"
_STATE = f"CASE WHEN {_FAILED} THEN 'ERROR' ELSE 'OK' END"
_AT = f"({STARTED} + n.n * 1000)"
_QUESTION = "'{\"question\": \"What does chapter ' || (n.n % 977) || ' say about ' || (n.n % 31) || '?\"}'"
_ANSWER = "'{\"answer\": \"It says ' || (n.n * 7919 % 1000003) || ', as the documents tell.\"}'"
_USAGE = (
    "'{\\\"input_tokens\\\": ' || (100 + n.n % 50) || ', \\\"output_tokens\\\": ' || (10 + n.n % 9)"
    " || ', \\\"total_tokens\\\": ' || (110 + n.n % 50 + n.n % 9) || '}'"
)
_CONTENT = (
    '\'{"trace_id": "WUgN74m+iqauXeyUs2E9MA==", "span_id": "5cAuVZfadsc=", "parent_span_id": null, "name":'
    ' "step \' || k.n || \'", "events": [], "status": {"code": "STATUS_CODE_OK", "message": ""},'
    ' "attributes": {"mlflow.traceRequestId": "\\"\' || n.trace_id || \'\\"", "mlflow.spanType": "\\"TOOL\\"",'
    ' "mlflow.spanInputs": "{\\"text\\": \\"\' || {words} || \'\\"}", "mlflow.spanOutputs": "{\\"text\\": \\"\''
    f" || {{words}} || '\\\"}}\"' || CASE WHEN k.n = 9 THEN ', \"mlflow.chat.tokenUsage\": \"' || {_USAGE} || '\"'"
    " ELSE '' END || '}, \"links\": []}'"
)
_METADATA = {
    "mlflow.user": "'ada'",
    "mlflow.source.name": "'serve.py'",
    "mlflow.source.type": "'LOCAL'",
    "mlflow.trace.user": "'user ' || (n.n % 100)",
    "mlflow.modelId": "'m-' || (n.n % 3)",
    "mlflow.sourceRun": "'run ' || (n.n % 10)",
    "mlflow.trace_schema.version": "'3'",
    "mlflow.trace.infoFinalized": "'true'",
    "mlflow.traceInputs": _QUESTION,
    "mlflow.traceOutputs": _ANSWER,
    "mlflow.trace.sizeBytes": "'5120'",
    "app.version": "'1.' || (n.n % 4)",
}
_TAGS = {
    "mlflow.artifactLocation": "'/artifacts/' || n.trace_id",
    "mlflow.trace.spansLocation": "'TRACKING_STORE'",
    "slice": "'slice ' || (n.n % 5)",
}
_ASSESSMENTS = {
    "correctness": ("feedback", "CASE WHEN n.n % 3 = 0 THEN 'false' ELSE 'true' END", "LLM_JUDGE"),
    "expected_answer": ("expectation", "'\"It says ' || (n.n % 7) || '.\"'", "HUMAN"),
}
_INSERT_TRACES = (
    "INSERT INTO trace_info (request_id, experiment_id, timestamp_ms, execution_time_ms, status, request_preview,"
    " response_preview, trace_name, session_id, input_tokens, output_tokens, total_tokens, input_cost, output_cost,"
    f" total_cost) SELECT n.trace_id, n.experiment_id, {_AT}, 100 + n.n * 31 % 5000, {_STATE}, {_QUESTION}, {_ANSWER},"
    " 'answer', 'session ' || (n.n / 5), 100 + n.n % 50, 10 + n.n % 9, 110 + n.n % 50 + n.n % 9, 0.001, 0.002, 0.003"
    " FROM numbered n"
)
_INSERT_SPANS = (
    "INSERT INTO spans (trace_id, experiment_id, span_id, parent_span_id, name, type, status, start_time_unix_nano,"
    " end_time_unix_nano, content) SELECT n.trace_id, n.experiment_id, 'span' || (100000000000 + k.n),"
    " CASE WHEN k.n > 0 THEN 'span' || (100000000000 + k.n / 2) END, 'step ' || k.n,"
    " CASE WHEN k.n = 0 THEN 'AGENT' WHEN k.n = 9 THEN 'CHAT_MODEL' ELSE 'TOOL' END,"
    f" CASE WHEN k.n = 0 THEN {_STATE} ELSE 'OK' END, {_AT} * 1000000 + k.n * 1000, {_AT} * 1000000 + 90000000,"
    f" {_CONTENT.replace('{words}', '{text}')} FROM numbered n CROSS JOIN numbers k WHERE k.n < {{spans}}"
)
_FILLING = (
    _INSERT_TRACES,
    *(
        f"INSERT INTO {table} (request_id, key, value) SELECT n.trace_id, '{key}', {value} FROM numbered n"
        for table, keys in (("trace_request_metadata", _METADATA), ("trace_tags", _TAGS))
        for key, value in keys.items()
    ),
    *(
        "INSERT INTO assessments (assessment_id, trace_id, name, assessment_type, value, created_timestamp,"
        " last_updated_timestamp, source_type, source_id, rationale, valid, is_numeric_value)"
        f" SELECT 'a-{place}-' || n.n, n.trace_id, '{name}', '{kind}', {value}, {_AT} + 500, {_AT} + 500, '{source}',"
        f" 'source', 'because of ' || n.n, {{true}}, {{false}} FROM numbered n"
        for place, (name, (kind, value, source)) in enumerate(_ASSESSMENTS.items())
    ),
    _INSERT_SPANS,
)
_TEXT = "What is asked and answered here is some two hundred characters long, as questions, documents and answers are: "


def fill_traces_in_sqlite(path: Path, size: TraceSize) -> None:
    """Create a SQLite store of this size."""
    ids = make_schema(f"sqlite:///{path}", path.parent / "artifacts")
    with closing(sqlite3.connect(path)) as database:
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -1000000", "temp_store = MEMORY"):
            database.execute(f"PRAGMA {pragma}")
        # Creating an index at the end is faster than updating it for each row.
        indexes = database.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN"
            f" ({', '.join('?' * len(_TABLES))})",
            _TABLES,
        ).fetchall()
        for name, _ in indexes:
            database.execute(f"DROP INDEX {name}")
        database.execute("CREATE TEMP TABLE numbered (trace_id TEXT, experiment_id INTEGER, n INTEGER PRIMARY KEY)")
        database.execute("CREATE TEMP TABLE numbers (n INTEGER PRIMARY KEY)")
        database.executemany("INSERT INTO numbers VALUES (?)", [(n,) for n in range(size.spans)])
        database.executemany("INSERT INTO numbered VALUES (?, ?, ?)", _numbered(size, ids))
        for statement in _statements(size, true="1", false="0"):
            database.execute(statement)
        for _, sql in indexes:
            database.execute(sql)
        database.commit()
        database.execute("PRAGMA journal_mode = DELETE")


def fill_traces_in_postgresql(uri: str, size: TraceSize, artifacts: Path) -> None:
    """Create a store of this size in an empty PostgreSQL database."""
    import psycopg

    ids = make_schema(uri, artifacts)
    with psycopg.connect(uri.replace("+psycopg", "")) as database, database.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE numbered (trace_id text, experiment_id integer, n bigint)")
        cursor.execute("CREATE TEMP TABLE numbers AS SELECT n FROM generate_series(0, %s) AS n", [size.spans])
        with cursor.copy("COPY numbered FROM STDIN") as copy:
            for row in _numbered(size, ids):
                copy.write_row(row)
        for statement in _statements(size, true="true", false="false"):
            cursor.execute(statement)
        database.commit()
        database.autocommit = True
        cursor.execute("VACUUM ANALYZE")


def _statements(size: TraceSize, *, true: str, false: str) -> list[str]:
    replaced = {"{true}": true, "{false}": false, "{spans}": str(size.spans), "{text}": f"'{_TEXT}' || n.n"}
    statements = "\0".join(_FILLING)
    for name, value in replaced.items():
        statements = statements.replace(name, value)
    return statements.split("\0")


def _numbered(size: TraceSize, experiment_ids: list[int]) -> list[tuple[str, int, int]]:
    """The traces: nine of ten in the first experiment, with deterministic ids."""
    rng = random.Random(7)  # noqa: S311 - not for secrets
    return [
        (f"tr-{uuid.UUID(int=rng.getrandbits(128)).hex}", experiment_ids[n % 10 == 9], n) for n in range(size.traces)
    ]
