"""A slow reader costs a bounded queue; an unreadable notice costs a line in the log."""

from uuid import uuid4

from structlog.testing import capture_logs

from api.live.hub import Hub
from api.live.subscriptions import QUEUE_LIMIT, JobChanged, RecordsGrew, Resync, Topic
from gpulab.states import JobState
from models import channels


def hub() -> Hub:
    return Hub("postgresql://nowhere", None)  # type: ignore[arg-type] # no database is asked here


async def test_backlog_of_a_slow_reader_becomes_one_resync() -> None:
    made = hub()
    with made.subscribed() as subscription:
        for number in range(QUEUE_LIMIT + 1):
            made.dispatch(channels.JOBS, f"{uuid4()} {number} 1 queued")
        assert await subscription.take(0.01) == [Resync()]


async def test_storm_of_records_is_one_notice() -> None:
    made, job_id = hub(), uuid4()
    with made.subscribed(Topic(job_id=job_id)) as subscription:
        for _ in range(1000):
            made.dispatch(channels.DATA, str(job_id))
        made.dispatch(channels.DATA, str(uuid4()))
        assert await subscription.take(0.01) == [RecordsGrew(job_id)]


async def test_notice_carries_what_changed() -> None:
    made, job_id = hub(), uuid4()
    with made.subscribed(Topic(job_id=job_id)) as subscription:
        made.dispatch(channels.JOBS, f"{job_id} 17 3 running")
        assert await subscription.take(0.01) == [JobChanged(job_id, 17, 3, JobState.RUNNING)]
        assert await subscription.take(0.01) == []


async def test_unreadable_notice_is_logged_and_left() -> None:
    made = hub()
    with made.subscribed() as subscription, capture_logs() as lines:
        for payload in ("", "x y z w", f"{uuid4()} 1 1 nowhere", f"{uuid4()} 1"):
            made.dispatch(channels.JOBS, payload)
        assert await subscription.take(0.01) == []
    assert [line["event"] for line in lines] == ["notice.unreadable"] * 4
