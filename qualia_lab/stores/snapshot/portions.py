"""Which runs make a part of a snapshot: experiments apart where they are large, and few files in all."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from qualia_lab.stores.snapshot.parts import merge_parts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from qualia_lab.stores.snapshot.manifest import Part
    from qualia_lab.stores.snapshot.place import SnapshotPlace

ENDED = ("FINISHED", "FAILED", "KILLED")
RUNS_PER_PART = 1000
# A part is some ten files: hundreds of experiments with a handful of runs each share some, and larger ones never do.
_SMALL_EXPERIMENT = 50
_RUNS_SHARED = 250
# So many more parts than needed are let be before they are joined.
_PARTS_TOO_MANY = 16


def portions(run_ids: Sequence[str], rows: Mapping[str, dict[str, Any]]) -> Iterator[list[str]]:
    """The runs in lists that make a part each: all of them ended or none, and of one experiment if it has many.

    rows: the runs as they are listed, by their ids.
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
        if len(shared[ended]) + len(group) > _RUNS_SHARED:
            yield shared[ended]
            shared[ended] = []
        shared[ended] += group
    yield from filter(None, shared.values())


def compacted(
    place: SnapshotPlace,
    parts: Sequence[Part],
    runs_of: Mapping[str, Sequence[str]],
    rows: Mapping[str, dict[str, Any]],
    *,
    tracking_uri: str,
) -> list[Part]:
    """The parts, the small ones joined when many calls have left many of them; the store is not asked.

    runs_of: the runs of each part, by its name.  A joined part stands where the last one stood that is in it, so that
    of an experiment's tags those of the last part stay the ones that were read last.
    """
    small = [part for part in parts if part.finished and part.runs < RUNS_PER_PART // 2]
    wanted = list(portions([run_id for part in small for run_id in runs_of[part.name]], rows))
    if len(small) <= 2 * len(wanted) + _PARTS_TOO_MANY:
        return list(parts)
    part_of = {run_id: index for index, part in enumerate(small) for run_id in runs_of[part.name]}
    joined: dict[str, list[Part]] = defaultdict(list)
    for run_ids in wanted:
        indices = sorted({part_of[run_id] for run_id in run_ids})
        members = [small[index] for index in indices]
        whole = len(members) == 1 and members[0].runs == len(run_ids)
        joined[members[-1].name].append(
            members[0] if whole else merge_parts(place, members, run_ids, tracking_uri=tracking_uri)
        )
    names = {part.name for part in small}
    return [one for part in parts for one in (joined.get(part.name, []) if part.name in names else [part])]
