"""Images that several runs logged: find them, and choose which are shown when there are many."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.histories import real
from qualia_lab.analysis.image_names import logged_image, numbered_image
from qualia_lab.escaping import one_line
from qualia_lab.runs.message import Message
from qualia_lab.study.known_keys import unknown_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.analysis.image_names import LoggedImage
    from qualia_lab.charts.gallery import Gallery, PictureComparison
    from qualia_lab.runs.loaded import Loaded

MOST_RUNS = 24
_STEPS = 5
_WALLS = 4

Images = dict[str, dict[str, list["LoggedImage"]]]


def gallery(loaded: Loaded, picture: str | None, limit: int) -> Gallery | Message:
    """The images of `Artifacts.images`."""
    from qualia_lab.charts.gallery import Gallery

    images = _images(loaded)
    ordered = _ordered(images)
    if picture is not None:
        if picture not in images and picture not in ordered:
            raise unknown_key(picture, [*images, *ordered], "picture")
        if picture in images:
            return Gallery([_wall(loaded, picture, images[picture], limit)])
        return Gallery([_wall(loaded, picture, ordered[picture], limit, "picture")])
    in_order = {image.path for by_run in ordered.values() for found in by_run.values() for image in found}
    images = {key: by_run for key, by_run in images.items() if key not in in_order} | ordered
    ranked = sorted(images, key=lambda key: (-len(images[key]), key))
    shared = [key for key in ranked if len(images[key]) > 1 or len(loaded) == 1]
    if not shared:
        return Message("No two runs have a picture of the same name." if images else "No run has a picture.")
    walls = [_wall(loaded, key, images[key], limit, "picture" if key in ordered else "step") for key in shared[:_WALLS]]
    if len(shared) > _WALLS:
        rest = ", ".join(shared[_WALLS:])
        last = walls[-1]
        more = f"showing {_WALLS} of {len(shared)} pictures; runs.artifacts.images(...) shows the others: {rest}"
        walls[-1] = replace(last, note=one_line("; ".join(filter(None, (last.note, more))), 400))
    return Gallery(walls)


def _images(loaded: Loaded) -> Images:
    """Key or path of each image → run → its images, sorted by step and time."""
    images_of: Images = {}
    for run_id, files in loaded.files.listed.items():
        for path in files:
            image = logged_image(path)
            if image is not None:
                images_of.setdefault(image.key, {}).setdefault(run_id, []).append(image)
    for by_run in images_of.values():
        for images in by_run.values():
            images.sort(key=lambda image: (image.step or 0, image.timestamp))
    return images_of


def _ordered(images: Images) -> Images:
    """Images whose paths differ in their last number only, of which a run has several, by pattern, run and number."""
    found: Images = {}
    for by_run in images.values():
        for run_id, logged in by_run.items():
            for image in logged:
                if (one := numbered_image(image)) is not None:
                    found.setdefault(one.key, {}).setdefault(run_id, []).append(one)
    ordered = {
        key: by_run
        for key, by_run in found.items()
        if max(map(len, by_run.values())) > 1
        and all(len({image.step for image in logged}) == len(logged) for logged in by_run.values())
    }
    for by_run in ordered.values():
        for logged in by_run.values():
            logged.sort(key=lambda image: image.step or 0)
    return ordered


def _wall(
    loaded: Loaded, key: str, by_run: Mapping[str, Sequence[LoggedImage]], limit: int, unit: str = "step"
) -> PictureComparison:
    """The pictures of a key; `unit` is what their numbers count."""
    from qualia_lab.charts.gallery import GalleryPicture, PictureComparison
    from qualia_lab.charts.previews.pictures import PICTURE_BYTES

    run_ids, order = _chosen(loaded, list(by_run), limit)
    steps = _spread(sorted({image.step for run_id in run_ids for image in by_run[run_id] if image.step is not None}))
    # If a step was logged twice, the later image is shown.
    wanted = [
        (run_id, image)
        for run_id in run_ids
        for image in {
            image.step: image for image in by_run[run_id] if image.step is None or image.step in steps
        }.values()
    ]
    read = loaded.files.starts([(run_id, image.path) for run_id, image in wanted], PICTURE_BYTES + 1)
    rows: dict[str, list[GalleryPicture]] = {run_id: [] for run_id in run_ids}
    for (run_id, image), picture in zip(wanted, read, strict=True):
        rows[run_id].append(GalleryPicture(image.step, picture))
    notes = [f"showing {len(run_ids)} of {len(by_run):,} runs, {order}"] if len(run_ids) < len(by_run) else []
    every = {image.step for images in by_run.values() for image in images if image.step is not None}
    notes += [f"showing {len(steps)} of {len(every):,} {unit}s"] if len(steps) < len(every) else []
    labelled = [(loaded.labels[run_id], shown) for run_id, shown in rows.items()]
    return PictureComparison(key, labelled, "; ".join(notes), unit)


def _chosen(loaded: Loaded, run_ids: list[str], limit: int) -> tuple[list[str], str]:
    """At most `limit` of the runs, and a description of their order; with several tasks none is called the best."""
    objective = loaded.study.objective if len(loaded.study.tasks) == 1 else None
    if len(run_ids) <= limit or objective is None or objective.greater_is_better is None:
        return run_ids[:limit], "the first ones"
    values = real(loaded.latest(objective.key, run_ids))
    signed = values if objective.greater_is_better else -values
    order = np.argsort(np.where(np.isfinite(signed), -signed, np.inf), kind="stable")
    return [run_ids[place] for place in order[:limit].tolist()], f"best {one_line(objective.key, 60)} first"


def _spread(steps: list[int]) -> list[int]:
    """At most five of the steps, evenly spaced, with the first and the last."""
    if len(steps) <= _STEPS:
        return steps
    return [steps[round(index * (len(steps) - 1) / (_STEPS - 1))] for index in range(_STEPS)]
