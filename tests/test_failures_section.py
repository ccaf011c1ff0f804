"""What the section of failures says of how the runs ended, in the grammar of one and of many."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from qualia_lab.sections.failures import SECTION


@pytest.mark.parametrize(
    ("statuses", "said"),
    [
        ({"FINISHED": 1}, "No run failed or was killed, and none is unfinished."),
        ({"FINISHED": 3}, "None of the 3 runs failed or was killed, and none is unfinished."),
        ({"FAILED": 1}, "1 of 1 run failed or was killed, and none is unfinished."),
        ({"FAILED": 2, "RUNNING": 2}, "2 of 4 runs failed or were killed, and 2 have no end yet."),
    ],
)
def test_how_the_runs_ended_is_said_in_the_grammar_of_their_number(statuses, said):
    inventory = SimpleNamespace(run_count=sum(statuses.values()), statuses=tuple(statuses.items()))
    heading = SECTION.cells(SimpleNamespace(inventory=inventory))[0]
    assert heading.source.splitlines()[-1] == said
