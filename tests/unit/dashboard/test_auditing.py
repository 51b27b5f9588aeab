"""The words and the filters of the audit log."""

import re
from pathlib import Path

from tests.unit.dashboard.scripts import DASHBOARD, run_module

MODULE = "pages/class/auditing.ts"


def test_everything_that_the_lab_records_can_be_chosen() -> None:
    offered = set(re.findall(r'"(\w+\.\w+)"', (DASHBOARD / "src" / MODULE).read_text()))
    # The architecture's tests hold this section to what the lab records.
    section = Path("docs/api.md").read_text().partition("\n## The audit\n")[2].partition("\n## ")[0]
    recorded = set(re.findall(r"`([a-z_]+\.[a-z_]+)`", section))
    assert len(recorded) > 40
    assert recorded - offered == set()


def test_events_are_in_words_and_people_go_by_their_names() -> None:
    body = "return [given[0].map(module.actionWords), given[1].map(module.personOf), given[2].map(module.actorOf)];"
    given = [
        ["user.created", "job.cancel_requested", "lab_hours.changed", "session.opened", "a.thing_of_a_newer_lab"],
        ["user:Sam: the second", "operator", "anonymous"],
        ["Sam", "Operator", "anonymous"],
    ]
    assert run_module(MODULE, body, given) == [
        ["User created", "Job cancel requested", "Lab hours changed", "Signed in", "A thing of a newer lab"],
        ["Sam: the second", "Operator", "Anonymous"],
        ["user:Sam", "operator", "anonymous"],
    ]


def test_a_day_is_that_of_the_reader_and_half_typed_ones_are_none() -> None:
    body = "return given.map((day) => [module.startOfDay(day) ?? null, module.dayAfter(day) ?? null]);"
    days = run_module(MODULE, body, ["2030-12-31", "", "2030-1-1", "0002-01-01", "99999-01-01"])
    assert days[1:] == [[None, None]] * 4
    start, end = days[0]
    assert start < end
    assert re.fullmatch(r"20(30-12-3[01]|30-12-30)T\d\d:\d\d:00\.000Z", start)
