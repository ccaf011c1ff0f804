"""Pictures of several runs: which there are, and which are shown when there are many."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from qualia_lab.analysis.image_names import logged_image
from qualia_lab.escaping import one_line
from qualia_lab.runs.artifact_files import ArtifactFiles
from qualia_lab.runs.loaded import Said

if TYPE_CHECKING:
    from qualia_lab.analysis.image_names import LoggedImage
    from qualia_lab.charts.gallery import Gallery, Wall

_RUNS = 24
_STEPS = 5
_WALLS = 4


class Galleries(ArtifactFiles):
    """The runs' pictures side by side."""

    def show_images(self, picture: str | None = None, *, limit: int = _RUNS) -> Gallery | Said:
        """The same picture of the runs side by side; one logged step by step, over its steps.

        picture: the path of an artifact, or the key of MLflow's `log_image`; by default up to four of those that most
        runs have.  limit: of more runs the best of the primary metric are shown, or the first ones without it.
        """
        from qualia_lab.charts.gallery import Gallery

        found = self._images()
        if picture is not None:
            if picture not in found:
                return Said(f"No run has a picture {one_line(picture, 100)}.")
            return Gallery([self._wall(picture, found[picture], limit)])
        ranked = sorted(found, key=lambda key: (-len(found[key]), key))
        several = [key for key in ranked if len(found[key]) > 1 or len(self) == 1]
        if not several:
            return Said("No two runs have a picture of the same name." if found else "No run has a picture.")
        walls = [self._wall(key, found[key], limit) for key in several[:_WALLS]]
        if len(several) > _WALLS:
            rest = ", ".join(several[_WALLS:])
            last = walls[-1]
            more = f"showing {_WALLS} of {len(several)} pictures; show_images(...) shows the others: {rest}"
            walls[-1] = type(last)(last.title, last.runs, one_line("; ".join(filter(None, (last.note, more))), 400))
        return Gallery(walls)

    def _images(self) -> dict[str, dict[str, list[LoggedImage]]]:
        """Key or path of each picture → run → what it has of it, by step and then by time."""
        found: dict[str, dict[str, list[LoggedImage]]] = {}
        for run_id, files in self._files.items():
            for path in files:
                image = logged_image(path)
                if image is not None:
                    found.setdefault(image.key, {}).setdefault(run_id, []).append(image)
        for by_run in found.values():
            for images in by_run.values():
                images.sort(key=lambda image: (image.step or 0, image.timestamp))
        return found

    def _wall(self, key: str, by_run: dict[str, list[LoggedImage]], limit: int) -> Wall:
        from qualia_lab.charts.gallery import Shown, Wall
        from qualia_lab.charts.previews.pictures import PICTURE_BYTES

        run_ids, order = self._chosen(list(by_run), limit)
        steps = _spread(
            sorted({image.step for run_id in run_ids for image in by_run[run_id] if image.step is not None})
        )
        # Of a step that was logged twice, the later one.
        wanted = [
            (run_id, image)
            for run_id in run_ids
            for image in {
                image.step: image for image in by_run[run_id] if image.step is None or image.step in steps
            }.values()
        ]
        read = self._starts([(run_id, image.path) for run_id, image in wanted], PICTURE_BYTES + 1)
        rows: dict[str, list[Shown]] = {run_id: [] for run_id in run_ids}
        for (run_id, image), picture in zip(wanted, read, strict=True):
            rows[run_id].append(Shown(image.step, picture))
        notes = [f"showing {len(run_ids)} of {len(by_run):,} runs, {order}"] if len(run_ids) < len(by_run) else []
        every = {image.step for images in by_run.values() for image in images if image.step is not None}
        notes += [f"showing {len(steps)} of {len(every):,} steps"] if len(steps) < len(every) else []
        return Wall(key, [(self._labels[run_id], shown) for run_id, shown in rows.items()], "; ".join(notes))

    def _chosen(self, run_ids: list[str], limit: int) -> tuple[list[str], str]:
        """So many of the runs, and in which order they are."""
        metric, better = self.primary_metric, self.greater_is_better
        if len(run_ids) <= limit or metric is None or better is None:
            return run_ids[:limit], "the first ones"
        columns = (self.tables.metrics.column(name).to_pylist() for name in ("run_id", "key", "value"))
        values = {run_id: value for run_id, key, value in zip(*columns, strict=True) if key == metric}
        worst = -math.inf if better else math.inf
        # MLflow's databases hold infinity as the largest number.
        known = {run_id: value for run_id in run_ids if abs(value := values.get(run_id, math.nan)) < 1e308}
        ranked = sorted(run_ids, key=lambda run_id: known.get(run_id, worst), reverse=better)
        return ranked[:limit], f"best {metric} first"


def _spread(steps: list[int]) -> list[int]:
    """At most five of the steps, the first and the last among them."""
    if len(steps) <= _STEPS:
        return steps
    return [steps[round(index * (len(steps) - 1) / (_STEPS - 1))] for index in range(_STEPS)]
