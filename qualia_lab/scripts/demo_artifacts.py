"""The artifacts of demo runs: a log, a table, JSON, Markdown and an image; deterministic for each run."""

from __future__ import annotations

import csv
import io
import json
import math
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qualia_lab.scripts.demo_story import DemoRun

_CUSTOMERS = 40
_VALIDATION_ROWS = 1408


def run_files(run: DemoRun) -> dict[str, bytes]:
    """{path below the artifact root: content}. A run that did not finish has only its log and its config."""
    files = {"logs/train.log": _log(run), "config.json": _json(dict(run.params))}
    accuracy = run.latest.get("test_acc", math.nan)
    if run.status == "FINISHED" and math.isfinite(accuracy):
        files["predictions.csv"] = _predictions(run)
        files["model_card.md"] = _model_card(run)
        files["plots/confusion_matrix.png"] = confusion_matrix_png(*_confusion(accuracy))
    return files


def sweep_files(children: Sequence[DemoRun]) -> dict[str, bytes]:
    """The artifacts of a parent run: a table of its children, best first."""
    ranked = sorted(children, key=lambda run: run.latest["val_auc"], reverse=True)
    rows = [(run.name, run.params["lr"], run.params["seed"], run.latest["val_auc"]) for run in ranked]
    return {"ranking.csv": _csv(("run", "lr", "seed", "val_auc"), rows)}


def dataset_text(version: int) -> dict[str, str]:
    """Source, schema and profile of the customers table as JSON text, the format that MLflow stores."""
    columns = {"tenure": "long", "monthly_charges": "double", "contract": "string", "churned": "boolean"}
    rows = 7043 if version == 1 else 7391
    colspec = [{"type": kind, "name": name, "required": True} for name, kind in columns.items()]
    return {
        "source": json.dumps({"uri": f"data/customers_v{version}.csv"}),
        "schema": json.dumps({"mlflow_colspec": colspec}),
        "profile": json.dumps({"num_rows": rows, "num_elements": rows * len(columns)}),
    }


def confusion_matrix_png(stayed: tuple[int, int], churned: tuple[int, int]) -> bytes:
    """A confusion matrix as PNG; rows are the true classes, columns the predicted ones."""
    from PIL import Image, ImageDraw, ImageFont  # a dependency of matplotlib, and 100 times faster

    size, left, top = 150, 90, 50
    image = Image.new("RGB", (left + 2 * size + 20, top + 2 * size + 20), "white")
    draw = ImageDraw.Draw(image)
    font, small = ImageFont.load_default(26), ImageFont.load_default(16)
    highest = max(*stayed, *churned)
    for column, label in enumerate(("predicted stay", "predicted churn")):
        draw.text((left + column * size + size // 2, top // 2), label, fill="black", font=small, anchor="mm")
    for row, (label, counts) in enumerate((("stayed", stayed), ("churned", churned))):
        draw.text((left // 2, top + row * size + size // 2), label, fill="black", font=small, anchor="mm")
        for column, number in enumerate(counts):
            x, y = left + column * size, top + row * size
            depth = number / highest
            draw.rectangle(
                (x, y, x + size - 2, y + size - 2), fill=tuple(int(255 - depth * (255 - c)) for c in (0, 90, 160))
            )
            ink = "white" if depth > 0.5 else "black"
            draw.text((x + size // 2, y + size // 2), str(number), fill=ink, font=font, anchor="mm")
    png = io.BytesIO()
    image.save(png, "PNG")
    return png.getvalue()


def _confusion(accuracy: float) -> tuple[tuple[int, int], tuple[int, int]]:
    """The confusion matrix with this accuracy of the validation rows, a quarter of which churned."""
    wrong = round((1 - accuracy) * _VALIDATION_ROWS)
    churned = _VALIDATION_ROWS // 4
    missed = min(churned, wrong * 3 // 5)
    false_alarms = wrong - missed
    return (_VALIDATION_ROWS - churned - false_alarms, false_alarms), (missed, churned - missed)


def _log(run: DemoRun) -> bytes:
    lines = [f"run {run.name}", "params " + " ".join(f"{key}={value}" for key, value in run.params.items())]
    epochs: dict[int, dict[str, float]] = {}
    for point in run.points:
        epochs.setdefault(point.step, {})[point.key] = point.value
    for epoch, values in sorted(epochs.items()):
        if "train_loss" in values:
            shown = "  ".join(f"{key} {values[key]:.4g}" for key in ("train_loss", "val_loss", "val_auc", "val_acc"))
            lines.append(f"epoch {epoch:02d}  {shown}")
    lines.append(run.ending or ("done" if run.status == "FINISHED" else ""))
    return ("\n".join(lines).rstrip() + "\n").encode()


def _predictions(run: DemoRun) -> bytes:
    rng = random.Random(f"predictions {run.name} {run.latest['test_auc']}")  # noqa: S311 - not used for security
    rows = []
    for customer in range(_CUSTOMERS):
        churned = rng.random() < 0.25
        rows.append((f"C{1000 + customer}", int(churned), round(rng.betavariate(*((4, 2) if churned else (2, 5))), 4)))
    return _csv(("customer", "churned", "probability"), rows)


def _model_card(run: DemoRun) -> bytes:
    latest = run.latest
    return (
        f"# {run.name}\n\nPredicts which customers leave within a month.\n\n"
        "| split | AUC | accuracy |\n|---|---|---|\n"
        f"| validation | {latest['val_auc']:.3f} | {latest['val_acc']:.3f} |\n"
        f"| test | {latest['test_auc']:.3f} | {latest['test_acc']:.3f} |\n\n"
        f"Trained on `customers` version {run.data_version} with seed {run.params['seed']}.\n"
    ).encode()


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()
