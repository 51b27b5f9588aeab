"""The lease statements against a real database: who may write, who has lost."""

from collections.abc import Callable
from threading import Barrier, Thread
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from gpulab.states import FailureCause, JobState
from models import Job, JobEvent, Lease
from models.database import DatabaseAwayError, sync_engine
from models.statements import leases, nodes, shipping, transitions
from tests.lab import wait_until

Execute = Callable[..., list[Any]]
MakeLease = Callable[..., tuple[UUID, UUID]]


def state_of(execute: Execute, job_id: UUID) -> str:
    state: str = execute(select(Job.state).where(Job.id == job_id))[0]["state"]
    return state


def events_of(execute: Execute, job_id: UUID) -> list[str]:
    rows = execute(select(JobEvent.type).where(JobEvent.job_id == job_id).order_by(JobEvent.id))
    return [row["type"] for row in rows]


def lose(lease_token: UUID, most: int = 3) -> Any:
    return leases.lose(lease_token, max_lost_attempts=most, actor="scheduler", message="gone")


def lose_abandoned() -> Any:
    return leases.lose_abandoned(max_lost_attempts=3, actor="scheduler", message="gone")


def test_whole_life_leaves_one_event_a_change(execute: Execute, make_lease: MakeLease) -> None:
    job, token = make_lease()
    execute(leases.finish(token, JobState.SUCCEEDED, actor="node:n1", result={"answer": 42}))
    row = execute(select(Job.state, Job.result, Job.finished_at).where(Job.id == job))[0]
    assert (row["state"], row["result"]) == ("succeeded", {"answer": 42})
    assert row["finished_at"] is not None
    assert events_of(execute, job) == ["job.submitted", "job.leased", "job.started", "job.succeeded"]


def test_second_grant_finds_the_job_gone(execute: Execute, make_lease: MakeLease, node: str) -> None:
    job, _ = make_lease(claimed=False)
    assert execute(leases.grant(job, node=node, gpu_uuids=[], reserved_bytes=None, lease_seconds=9)) == []


def test_two_workers_race_for_one_lease_and_one_wins(engine: Engine, make_lease: MakeLease) -> None:
    job, token = make_lease(claimed=False)
    barrier, wins = Barrier(8), []

    def race() -> None:
        barrier.wait()
        with engine.begin() as connection:
            wins.append(
                connection.execute(leases.claim(job, token, actor="node:n1", lease_seconds=60)).first() is not None
            )

    threads = [Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(wins) == [False] * 7 + [True]


def test_stale_token_can_write_nothing(execute: Execute, make_lease: MakeLease) -> None:
    job, stale = make_lease()
    execute(lose(stale))
    _, fresh = make_lease(job_id=job)
    assert execute(leases.finish(stale, JobState.SUCCEEDED, actor="node:n1", result={})) == []
    assert execute(shipping.advance(stale, before=(0, 0, 0), after=(9, 9, 9))) == []
    assert [row["token"] for row in execute(leases.renew([stale, fresh], lease_seconds=9))] == [fresh]
    assert state_of(execute, job) == "running"


def test_database_refuses_a_second_live_lease(execute: Execute, make_lease: MakeLease) -> None:
    job, _ = make_lease()
    second = insert(Lease).values(job_id=job, attempt=7, node="n1", gpu_uuids=[], expires_at=func.now())
    with pytest.raises(IntegrityError, match="uq_leases_live_job_id"):
        execute(second)


def test_expired_lease_goes_back_to_the_queue(execute: Execute, make_lease: MakeLease) -> None:
    job, _ = make_lease(lease_seconds=-1)
    assert [(row["id"], row["from_node"]) for row in execute(lose_abandoned())] == [(job, "n1")]
    assert state_of(execute, job) == "queued"
    assert execute(lose_abandoned()) == []


def test_worker_frozen_in_a_transaction_holds_up_no_rescue(
    engine: Engine, execute: Execute, make_lease: MakeLease
) -> None:
    job, token = make_lease(lease_seconds=-1)
    frozen = sync_engine(engine.url.render_as_string(hide_password=False), silent_seconds=0.2)
    with frozen.connect() as connection:
        connection.execute(select(Lease.token).where(Lease.token == token).with_for_update())
        assert execute(lose_abandoned()) == [], "it does not wait for the writer"
        found = wait_until(lambda: execute(lose_abandoned()), what="the silent transaction ends")
        assert [row["id"] for row in found] == [job]
        with pytest.raises(DatabaseAwayError):
            connection.execute(select(1))
    with frozen.connect() as connection:
        assert connection.execute(select(1)).scalar() == 1
    frozen.dispose()


def test_live_lease_is_not_rescued(execute: Execute, make_lease: MakeLease) -> None:
    job, _ = make_lease()
    assert execute(lose_abandoned()) == []
    assert state_of(execute, job) == "running"


def test_job_lost_too_often_fails_as_lost(execute: Execute, make_lease: MakeLease) -> None:
    job, token = make_lease()
    for _ in range(2):
        execute(lose(token))
        _, token = make_lease(job_id=job)
    execute(lose(token))
    row = execute(select(Job.state, Job.cause, Job.message).where(Job.id == job))[0]
    assert (row["state"], row["cause"]) == ("failed", "lost")
    assert "lost 3 times" in row["message"]


def test_lost_job_that_was_asked_to_end_is_cancelled(execute: Execute, make_lease: MakeLease) -> None:
    job, token = make_lease()
    execute(transitions.cancel(job, actor="user:someone"))
    assert state_of(execute, job) == "running"
    execute(lose(token))
    assert state_of(execute, job) == "cancelled"


def test_leaving_worker_gives_back_without_counting(execute: Execute, make_lease: MakeLease) -> None:
    job, token = make_lease()
    execute(leases.requeue(token, actor="node:n1", message="leaving"))
    row = execute(select(Job.state, Job.lost_attempts).where(Job.id == job))[0]
    assert (row["state"], row["lost_attempts"]) == ("queued", 0)


def test_lease_that_nobody_took_up_is_given_to_the_next_and_counts_as_no_loss(
    execute: Execute, make_lease: MakeLease
) -> None:
    job, _ = make_lease(claimed=False, lease_seconds=-1)
    for _ in range(4):
        assert execute(lose_abandoned()) == []
        assert [row["id"] for row in execute(leases.requeue_untaken(actor="scheduler", rung_seconds=60))] == [job]
        row = execute(select(Job.state, Job.lost_attempts, Job.node).where(Job.id == job))[0]
        assert tuple(row.values()) == ("queued", 0, None)
        make_lease(job_id=job, claimed=False, lease_seconds=-1)


def test_lease_of_a_node_that_stopped_is_taken_back_at_once_unless_it_is_claimed(
    execute: Execute, make_lease: MakeLease, node: str
) -> None:
    waiting, token = make_lease(claimed=False)
    make_lease()
    assert execute(leases.requeue_untaken(actor="scheduler", rung_seconds=60)) == []
    execute(nodes.leave(node))
    assert [row["id"] for row in execute(leases.requeue_untaken(actor="scheduler", rung_seconds=60))] == [waiting]
    assert execute(leases.claim(waiting, token, actor="node:n1", lease_seconds=9)) == []


def test_lease_taken_back_ends_a_job_that_was_asked_to_end(execute: Execute, make_lease: MakeLease) -> None:
    job, _ = make_lease(claimed=False, lease_seconds=-1)
    execute(update(Job).where(Job.id == job).values(cancel_requested_at=func.now()))
    execute(leases.requeue_untaken(actor="scheduler", rung_seconds=60))
    assert state_of(execute, job) == "cancelled"


@pytest.mark.parametrize("claimed", [False, True])
def test_cancel_ends_what_no_process_has_taken_up(execute: Execute, make_lease: MakeLease, claimed: bool) -> None:
    job, token = make_lease(claimed=claimed)
    execute(transitions.cancel(job, actor="user:someone"))
    assert state_of(execute, job) == ("running" if claimed else "cancelled")
    assert bool(execute(leases.claim(job, token, actor="node:n1", lease_seconds=9))) is False


def test_cancel_of_a_queued_job_is_final(execute: Execute, make_job: Callable[..., UUID], node: str) -> None:
    job = make_job()
    assert execute(transitions.cancel(job, actor="user:someone"))[0]["state"] == "cancelled"
    assert execute(transitions.cancel(job, actor="user:someone")) == []
    assert execute(leases.grant(job, node=node, gpu_uuids=[], reserved_bytes=None, lease_seconds=9)) == []


def test_claim_tells_of_a_cancellation_that_came_between(execute: Execute, make_lease: MakeLease) -> None:
    job, token = make_lease(claimed=False)
    execute(update(Job).where(Job.id == job).values(cancel_requested_at=func.now()))
    row = execute(leases.claim(job, token, actor="node:n1", lease_seconds=9))[0]
    assert row["cancel_requested_at"] is not None


def test_offsets_move_once(execute: Execute, make_lease: MakeLease) -> None:
    _, token = make_lease()
    assert execute(shipping.advance(token, before=(0, 0, 0), after=(10, 0, 5)))
    assert execute(shipping.advance(token, before=(0, 0, 0), after=(10, 0, 5))) == []
    assert tuple(execute(shipping.offsets(token))[0].values()) == (10, 0, 5)


def test_unclaimed_lease_is_rung_again_and_a_claimed_one_is_not(execute: Execute, make_lease: MakeLease) -> None:
    waiting, _ = make_lease(claimed=False)
    make_lease()
    assert [row["job_id"] for row in execute(leases.silent(-1))] == [waiting]


def test_failed_job_needs_a_cause(execute: Execute, make_lease: MakeLease) -> None:
    _, token = make_lease()
    with pytest.raises(IntegrityError, match="cause_iff_failed"):
        execute(leases.finish(token, JobState.FAILED, actor="node:n1"))
    execute(leases.finish(token, JobState.FAILED, actor="node:n1", cause=FailureCause.ERROR, message="boom"))


def test_idempotency_key_is_used_once_an_owner(execute: Execute, make_job: Callable[..., UUID]) -> None:
    make_job(idempotency_key="k", request_digest=b"1")
    with pytest.raises(IndexError):
        make_job(idempotency_key="k", request_digest=b"1")
    assert execute(select(func.count()).select_from(Job))[0]["count"] == 1


def test_wrong_token_claims_nothing(execute: Execute, make_lease: MakeLease) -> None:
    job, _ = make_lease(claimed=False)
    assert execute(leases.claim(job, uuid4(), actor="node:n1", lease_seconds=9)) == []
    assert execute(select(Lease.claimed_at).where(Lease.job_id == job))[0]["claimed_at"] is None


def test_packed_job_is_given_back_to_run_alone_and_only_once(execute: Execute, make_job: Any, node: str) -> None:
    job = make_job(gpus=1, gpu_memory_bytes=1000)

    def attempt(reserved_bytes: int | None) -> UUID:
        granted = leases.grant(job, node=node, gpu_uuids=["GPU-1"], reserved_bytes=reserved_bytes, lease_seconds=60)
        token: UUID = execute(granted)[0]["token"]
        assert execute(leases.claim(job, token, actor="node:n1", lease_seconds=60))
        return token

    alone = {"actor": "node:n1", "message": "full", "alone": True}
    assert execute(leases.requeue(attempt(1000), **alone))[0]["state"] == "queued"
    row = execute(select(Job.exclusive, Job.gpu_uuids, Job.lost_attempts, Job.cause).where(Job.id == job))[0]
    assert (row["exclusive"], row["gpu_uuids"], row["lost_attempts"], row["cause"]) == (True, [], 0, None)
    assert execute(leases.requeue(attempt(None), **alone)) == []


def test_failure_keeps_what_is_known_of_it(execute: Execute, make_lease: MakeLease) -> None:
    job, token = make_lease()
    known = {"phase": "backward"}
    failed = leases.finish(
        token, JobState.FAILED, actor="node:n1", cause=FailureCause.OUT_OF_MEMORY, message="full", failure=known
    )
    execute(failed)
    assert execute(select(Job.failure).where(Job.id == job))[0]["failure"] == known
