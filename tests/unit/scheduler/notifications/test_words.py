"""What a message says, and what it must not say."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from gpulab.states import FailureCause, JobState, NotificationKind, WaitReason
from models.statements.notifications import outbox
from scheduler.notifications.words import DIGEST, MAX_LINES, WAITS, Entry, Message, composed

JOB = UUID("0197a000-0000-7000-8000-000000000001")
LAB = "https://lab.example.edu/gpulab"


def said(*entries: Entry, zone: str = "UTC", url: str | None = LAB) -> Message:
    return composed(entries, public_url=url, time_zone=zone)


def ended(name: str | None = None, *, study: UUID | None = None, failed: bool = False) -> Entry:
    return Entry(
        NotificationKind.FAILED if failed else NotificationKind.ENDED,
        job_id=uuid4(),
        name=name,
        experiment="conv-edges",
        state=JobState.FAILED if failed else JobState.SUCCEEDED,
        study_id=study,
        study="Rates" if study else None,
    )


def test_one_run_is_one_line_with_its_own_page() -> None:
    entry = Entry(NotificationKind.FAILED, JOB, "lr 0.1", "conv-edges", JobState.FAILED, FailureCause.OUT_OF_MEMORY)
    found = said(entry)
    assert found.text == "Your run lr 0.1 (conv-edges) failed: out of memory"
    assert (found.kind, found.link) == ("failed", f"{LAB}/jobs/{JOB}")


def test_a_study_of_many_runs_is_one_message_with_a_bounded_length() -> None:
    study = uuid4()
    found = said(*[ended(f"run {number}", study=study, failed=number % 100 == 7) for number in range(500)])
    assert found.subject == "500 runs of the study Rates ended, 5 of them failed"
    assert found.link == f"{LAB}/studies/{study}"
    assert len(found.lines) == MAX_LINES + 1
    assert found.lines[0] == "- Your run run 7 (conv-edges) failed"
    assert found.lines[-1] == "and 490 more"
    assert found.kind == DIGEST


def test_runs_of_several_studies_lead_to_the_list() -> None:
    found = said(ended(study=uuid4()), ended())
    assert found.subject == "2 runs ended"
    assert found.link == f"{LAB}/jobs"


@pytest.mark.parametrize(
    ("zone", "words"),
    [
        ("UTC", "Sunday 2030-03-31 22:30 UTC"),
        ("Europe/Berlin", "Monday 2030-04-01 00:30 CEST"),
        ("America/New_York", "Sunday 2030-03-31 18:30 EDT"),
    ],
)
def test_a_deadline_is_named_in_the_users_zone(zone: str, words: str) -> None:
    due = datetime(2030, 3, 31, 22, 30, tzinfo=UTC)
    found = said(Entry(NotificationKind.DEADLINE, assignment="Week 3", due_at=due), zone=zone)
    assert found.text == f"Week 3 is due {words}, and you have handed nothing in"
    assert found.link == f"{LAB}/assignments"


def test_without_a_public_address_there_is_no_link() -> None:
    assert said(ended(), url=None).link is None


def test_every_reason_that_notifies_has_its_words() -> None:
    assert set(WAITS) == set(outbox.STUCK)
    for reason in outbox.STUCK:
        found = said(Entry(NotificationKind.WAITING, JOB, None, "conv-edges", JobState.QUEUED, wait_reason=reason))
        assert found.text.startswith("Your run conv-edges cannot start: ")


def test_mixed_news_names_each_kind() -> None:
    waiting = Entry(NotificationKind.WAITING, JOB, None, "x", JobState.QUEUED, wait_reason=WaitReason.NO_GPU)
    deadline = Entry(NotificationKind.DEADLINE, assignment="A", due_at=datetime(2030, 1, 1, tzinfo=UTC))
    found = said(ended(), deadline, waiting)
    assert found.subject == "1 run ended; 1 deadline near; 1 thing waiting for you"
    assert found.lines[0].startswith("- Your run x cannot start")


def test_names_cannot_begin_a_header_or_a_line() -> None:
    found = said(ended("a\nBcc: everybody@example.org"))
    assert "\n" not in found.subject
