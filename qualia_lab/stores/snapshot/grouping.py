"""Groups runs into the parts of a snapshot, such that large experiments have parts of their own and files are few."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from qualia_lab.stores.ended import ENDED
from qualia_lab.stores.snapshot.parts import merge_parts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from qualia_lab.stores.snapshot.location import SnapshotLocation
    from qualia_lab.stores.snapshot.manifest import Part

RUNS_PER_PART = 1000
# A part is some ten files, so experiments with fewer runs than this share parts; larger ones never do.
_SMALL_EXPERIMENT = 50
_RUNS_PER_SHARED_PART = 250
# This many parts more than necessary are tolerated before parts are merged.
_TOLERATED_EXTRA_PARTS = 16


def batches_for_parts(run_ids: Sequence[str], rows: Mapping[str, dict[str, Any]]) -> Iterator[list[str]]:
    """The runs in batches, one for each part.

    The runs of a batch have either all ended or all not ended; a large experiment shares its batches with no other.

    Args:
        run_ids: the runs.
        rows: the rows of schema.RUNS by run id.
    """
    groups: dict[tuple[bool, str], list[str]] = defaultdict(list)
    for run_id in run_ids:
        groups[rows[run_id]["status"] in ENDED, rows[run_id]["experiment_id"]].append(run_id)
    shared: dict[bool, list[str]] = {True: [], False: []}
    for (ended, _), group in groups.items():
        if len(group) >= _SMALL_EXPERIMENT:
            for first in range(0, len(group), RUNS_PER_PART):
                yield group[first : first + RUNS_PER_PART]
            continue
        if len(shared[ended]) + len(group) > _RUNS_PER_SHARED_PART:
            yield shared[ended]
            shared[ended] = []
        shared[ended] += group
    yield from filter(None, shared.values())


def compacted(
    location: SnapshotLocation,
    parts: Sequence[Part],
    runs_of: Mapping[str, Sequence[str]],
    rows: Mapping[str, dict[str, Any]],
    *,
    tracking_uri: str,
) -> list[Part]:
    """The parts, with the small ones merged if many updates have left too many of them. The store is not read.

    A merged part takes the position of the last part in it, so that the last part with tags of an experiment still has
    those that were read last.

    Args:
        location: the snapshot.
        parts: the parts, oldest first.
        runs_of: the run ids of each part, by its name.
        rows: the rows of schema.RUNS by run id.
        tracking_uri: the store, without secrets.
    """
    small = [part for part in parts if part.finished and part.runs < RUNS_PER_PART // 2]
    batches = list(batches_for_parts([run_id for part in small for run_id in runs_of[part.name]], rows))
    if len(small) <= 2 * len(batches) + _TOLERATED_EXTRA_PARTS:
        return list(parts)
    part_of = {run_id: index for index, part in enumerate(small) for run_id in runs_of[part.name]}
    merged: dict[str, list[Part]] = defaultdict(list)
    for run_ids in batches:
        indices = sorted({part_of[run_id] for run_id in run_ids})
        members = [small[index] for index in indices]
        is_unchanged = len(members) == 1 and members[0].runs == len(run_ids)
        merged[members[-1].name].append(
            members[0] if is_unchanged else merge_parts(location, members, run_ids, tracking_uri=tracking_uri)
        )
    names = {part.name for part in small}
    return [new for part in parts for new in (merged.get(part.name, []) if part.name in names else [part])]
