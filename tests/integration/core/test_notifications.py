"""Notifications, from the change that they are about to their delivery."""

from collections.abc import Callable
from threading import Event
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, func, insert, select, text, update
from sqlalchemy.exc import ProgrammingError

from api.notifications import statements as chosen
from api.users import statements as users
from experiments.internal.gpu_constants.spec import SLUG as CONSTANTS
from experiments.internal.memory_estimate.spec import SLUG as ESTIMATE
from experiments.internal.program_check.spec import SLUG as CHECK
from experiments.internal.program_memory.spec import SLUG as PROGRAM_MEMORY
from experiments.studies.report_job import SLUG as REPORT
from gate.postgres import ROLE, grant
from gpulab.states import Channel, FailureCause, JobState, NodeFault, NotificationKind, WaitReason
from models import Assignment, Extension, Notification, NotificationChannel, Submission, User
from models.settings import SchedulerSettings
from models.statements import job_events, leases, node_health, queue
from models.statements.notifications import outbox
from scheduler.notifications import sender, webhook
from scheduler.notifications.errors import DeliveryError
from scheduler.notifications.sender import Sender
from scheduler.notifications.words import Message
from tests.fakes.mail_server import mail_server

Execute = Callable[..., list[Any]]
URL = "https://hooks.example.org/T0/secret"
EVERY = [kind.value for kind in NotificationKind if kind is not NotificationKind.TEST]


@pytest.fixture
def posted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Message, str]]:
    """Messages that webhooks took, each with its key."""
    taken: list[tuple[Message, str]] = []

    def post(url: str, message: Message, *, key: str, private_networks: bool) -> None:
        assert url == URL
        taken.append((message, key))

    monkeypatch.setattr(webhook, "post", post)
    return taken


@pytest.fixture
def turn_on(execute: Execute, owner: UUID) -> Callable[..., None]:
    def turn(*kinds: str, user: UUID = owner, channel: Channel = Channel.WEBHOOK) -> None:
        url = URL if channel is Channel.WEBHOOK else None
        execute(chosen.set_up(user, channel.value, list(kinds or EVERY), url))

    return turn


@pytest.fixture
def make_sender(engine: Engine, database_url: str) -> Callable[..., Sender]:
    def make(**settings: Any) -> Sender:
        given: dict[str, Any] = {"notification_gather_seconds": 0.0, "public_url": "https://lab", **settings}
        made = SchedulerSettings(database_url=database_url, redis_url="redis://", artifacts_url="file:///x", **given)
        return Sender(made, engine, Event())

    return make


def send_all(one: Sender) -> None:
    for channel in one.claim():
        one.deliver(channel)


def end(execute: Execute, make_lease: Any, state: JobState = JobState.SUCCEEDED, **more: Any) -> UUID:
    job, token = make_lease(**more)
    cause = FailureCause.ERROR if state is JobState.FAILED else None
    assert execute(leases.finish(token, state, actor="node:n1", cause=cause, message="secret output", result={}))
    found: UUID = job
    return found


def written(execute: Execute) -> list[str]:
    return [row["kind"] for row in execute(select(Notification.kind).order_by(Notification.id))]


def test_nothing_is_written_for_who_turned_nothing_on(execute: Execute, make_lease: Any) -> None:
    end(execute, make_lease)
    assert written(execute) == []


def test_each_end_is_written_once_and_only_for_its_owner(
    execute: Execute, make_lease: Any, make_job: Any, turn_on: Any
) -> None:
    turn_on()
    other = execute(users.ensure_user("other", "student"))[0]["id"]
    end(execute, make_lease)
    end(execute, make_lease, JobState.FAILED)
    end(execute, make_lease, job_id=make_job(owner_id=other))
    assert written(execute) == ["ended", "failed"]


def test_only_what_was_chosen_is_written(execute: Execute, make_lease: Any, turn_on: Any) -> None:
    turn_on("failed")
    end(execute, make_lease)
    end(execute, make_lease, JobState.FAILED)
    assert written(execute) == ["failed"]


def test_a_change_that_is_rolled_back_notifies_nobody(
    engine: Engine, execute: Execute, make_lease: Any, turn_on: Any
) -> None:
    turn_on()
    _, token = make_lease()
    with engine.connect() as connection:
        connection.execute(leases.finish(token, JobState.SUCCEEDED, actor="node:n1"))
        connection.rollback()
    assert written(execute) == []


def test_every_way_to_fail_is_heard_of(execute: Execute, make_lease: Any, make_job: Any, turn_on: Any) -> None:
    turn_on()
    execute(queue.refuse(make_job(), "no GPU is large enough"))
    _, token = make_lease()
    execute(leases.lose(token, max_lost_attempts=1, actor="scheduler", message="gone"))
    assert written(execute) == ["failed", "failed"]


def test_a_lost_attempt_that_waits_again_is_no_end(execute: Execute, make_lease: Any, turn_on: Any) -> None:
    turn_on()
    _, token = make_lease()
    execute(leases.lose(token, max_lost_attempts=3, actor="scheduler", message="gone"))
    assert written(execute) == []


@pytest.mark.parametrize("slug", [REPORT, CHECK, ESTIMATE, PROGRAM_MEMORY, CONSTANTS])
def test_what_the_lab_itself_runs_notifies_nobody(
    execute: Execute, make_lease: Any, make_job: Any, turn_on: Any, slug: str
) -> None:
    turn_on()
    end(execute, make_lease, job_id=make_job(experiment=slug))
    assert slug in outbox.UNHEARD_OF
    assert written(execute) == []


def test_what_waits_for_the_user_is_written_once(
    execute: Execute, make_lease: Any, make_job: Any, turn_on: Any
) -> None:
    turn_on("waiting")
    _, token = make_lease()
    execute(job_events.warn(token, event=outbox.IDLE, actor="node:n1", message="unused"))
    job = make_job()
    for reason in (WaitReason.NO_FREE_GPU, WaitReason.CANNOT_FIT, WaitReason.NO_FREE_GPU, WaitReason.CANNOT_FIT):
        execute(queue.explain([(job, reason, "words")]))
    assert written(execute) == ["waiting", "waiting"]


@pytest.mark.parametrize(("until", "count"), [(None, 1), (func.now(), 0)])
def test_admins_hear_of_a_node_that_waits_for_them(
    execute: Execute, node: str, turn_on: Any, until: Any, count: int
) -> None:
    admin = execute(users.ensure_user("boss", "admin"))[0]["id"]
    turn_on("waiting", user=admin)
    turn_on("waiting")
    execute(node_health.set_aside(node, NodeFault.GPU_LOST, "it fell off", until=until))
    assert written(execute) == ["waiting"] * count


def test_a_study_of_many_runs_is_one_message(
    execute: Execute, make_lease: Any, turn_on: Any, make_sender: Any, posted: list[Any]
) -> None:
    turn_on()
    for number in range(25):
        end(execute, make_lease, JobState.FAILED if number == 3 else JobState.SUCCEEDED)
    one = make_sender()
    send_all(one)
    end(execute, make_lease)
    send_all(one)  # the channel rests
    [(message, _)] = posted
    assert message.subject == "25 runs ended, 1 of them failed"
    execute(update(NotificationChannel).values(next_at=func.now()))
    send_all(one)
    assert [said.kind for said, _ in posted] == ["digest", "ended"]


def test_a_message_holds_nothing_of_the_runs_output(
    execute: Execute, make_lease: Any, turn_on: Any, make_sender: Any, posted: list[Any]
) -> None:
    turn_on()
    end(execute, make_lease, JobState.FAILED)
    send_all(make_sender())
    assert "secret" not in webhook.body_of(posted[0][0]).decode()


def test_a_repeated_run_of_another_user_keeps_its_name_to_itself(
    execute: Execute, make_lease: Any, make_job: Any, turn_on: Any, make_sender: Any, posted: list[Any]
) -> None:
    other = execute(users.ensure_user("other", "student"))[0]["id"]
    turn_on()
    first = make_job(owner_id=other, name="Ada's run")
    end(execute, make_lease, job_id=make_job(name="Ada's run", retry_of=first))
    send_all(make_sender())
    assert posted[0][0].text == "Your run probe succeeded"


def test_the_first_notification_waits_for_others(
    execute: Execute, make_lease: Any, turn_on: Any, make_sender: Any
) -> None:
    turn_on()
    end(execute, make_lease)
    assert make_sender(notification_gather_seconds=60).claim() == []
    assert len(make_sender().claim()) == 1


def test_two_senders_share_no_channel(execute: Execute, make_lease: Any, turn_on: Any, make_sender: Any) -> None:
    turn_on()
    end(execute, make_lease)
    first, second = make_sender(), make_sender()
    assert len(first.claim()) == 1
    assert second.claim() == []


def test_a_sender_that_dies_after_sending_sends_again_with_the_same_key(
    execute: Execute,
    make_lease: Any,
    turn_on: Any,
    make_sender: Any,
    posted: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turn_on()
    end(execute, make_lease)
    monkeypatch.setattr(sender.delivery, "sent", None)
    dying = make_sender()
    with pytest.raises(AttributeError):
        send_all(dying)
    monkeypatch.undo()
    taken = list(posted)
    monkeypatch.setattr(webhook, "post", lambda _url, message, *, key, **_: taken.append((message, key)))
    successor = make_sender()
    assert successor.claim() == []  # as long as the claim holds
    execute(update(NotificationChannel).values(next_at=func.now()))
    send_all(successor)
    send_all(successor)
    assert len(taken) == 2
    assert taken[0] == taken[1]
    assert execute(select(Notification.sent_at))[0]["sent_at"] is not None


def test_failures_pause_longer_and_longer_and_are_given_up(
    execute: Execute, make_lease: Any, turn_on: Any, make_sender: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise DeliveryError("hooks.example.org answered with status 500")

    monkeypatch.setattr(webhook, "post", refuse)
    monkeypatch.setattr(sender, "MAX_ATTEMPTS", 3)
    turn_on()
    end(execute, make_lease)
    one = make_sender()
    pauses = []
    for _ in range(3):
        send_all(one)
        left = func.extract("epoch", NotificationChannel.next_at - func.now()).label("left")
        row = execute(select(NotificationChannel.last_error, NotificationChannel.given_up, left))[0]
        pauses.append(round(row["left"], -1))
        assert row["last_error"] == "hooks.example.org answered with status 500"
        execute(update(NotificationChannel).values(next_at=func.now()))
    assert pauses == [30, 60, 120]
    assert row["given_up"] == 1
    assert written(execute) == []
    monkeypatch.setattr(webhook, "post", lambda *_, **__: None)
    end(execute, make_lease)
    send_all(one)
    assert execute(select(NotificationChannel.last_error, NotificationChannel.failures))[0]["last_error"] is None


def test_what_is_too_old_is_given_up_at_once(
    execute: Execute, make_lease: Any, turn_on: Any, make_sender: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise DeliveryError("away")

    monkeypatch.setattr(webhook, "post", refuse)
    turn_on()
    end(execute, make_lease)
    execute(text("UPDATE notifications SET at = now() - interval '25 hours'"))
    send_all(make_sender())
    assert written(execute) == []


def test_turning_a_channel_off_drops_what_waits(execute: Execute, make_lease: Any, turn_on: Any, owner: UUID) -> None:
    turn_on()
    end(execute, make_lease)
    execute(chosen.turn_off(owner, "webhook"))
    assert written(execute) == []


def test_mail_goes_to_the_address_in_the_roster(
    execute: Execute, make_lease: Any, turn_on: Any, make_sender: Any, owner: UUID
) -> None:
    turn_on(channel=Channel.MAIL)
    execute(update(User).where(User.id == owner).values(email="some@example.edu"))
    job = end(execute, make_lease)
    with mail_server() as server:
        mail = {"mail_host": "127.0.0.1", "mail_port": server.port, "mail_security": "none"}
        send_all(make_sender(mail_sender="lab@example.edu", **mail))
    [(recipient, message)] = server.taken
    assert recipient == "some@example.edu"
    assert f"https://lab/jobs/{job}" in message.get_content()


def test_nothing_goes_out_without_a_mail_server_or_to_a_disabled_user(
    execute: Execute, make_lease: Any, turn_on: Any, make_sender: Any
) -> None:
    turn_on(channel=Channel.MAIL)
    end(execute, make_lease)
    assert make_sender().claim() == []
    turn_on()
    end(execute, make_lease)
    execute(update(User).values(disabled_at=func.now()))
    assert make_sender().claim() == []


@pytest.fixture
def due_in(execute: Execute) -> Callable[[str], UUID]:
    """An assignment with its deadline that far from now."""

    def make(span: str) -> UUID:
        values = {"name": f"in {span}", "templates": [], "questions": [], "experiments": ["probe"], "tolerance": 0.1}
        deadline = func.now() + text(f"interval '{span}'")
        found: UUID = execute(insert(Assignment).values(**values, deadline=deadline).returning(Assignment.id))[0]["id"]
        return found

    return make


def test_who_handed_nothing_in_is_reminded_once_a_deadline(
    execute: Execute, turn_on: Any, due_in: Callable[[str], UUID], make_sender: Any, posted: list[Any]
) -> None:
    turn_on()
    for span in ("23 hours", "25 hours", "-1 hour"):
        due_in(span)
    one = make_sender()
    one.remind()
    one.remind()
    send_all(one)
    one.remind()
    assert written(execute) == ["deadline"]
    assert posted[0][0].text.startswith("in 23 hours is due ")


def test_an_extension_moves_the_reminder(
    execute: Execute, turn_on: Any, due_in: Callable[[str], UUID], owner: UUID
) -> None:
    turn_on()
    near, far = due_in("2 hours"), due_in("-3 days")
    later = {"user_id": owner, "assignment_id": near, "deadline": func.now() + text("interval '3 days'")}
    execute(insert(Extension).values(**later))
    execute(
        insert(Extension).values(**later | {"assignment_id": far, "deadline": func.now() + text("interval '1 hour'")})
    )
    execute(outbox.remind())
    assert [row["assignment_id"] for row in execute(select(Notification.assignment_id))] == [far]


def test_who_handed_in_or_teaches_is_not_reminded(
    execute: Execute, turn_on: Any, due_in: Callable[[str], UUID], owner: UUID, make_job: Any
) -> None:
    assignment = due_in("2 hours")
    turn_on()
    teacher = execute(users.ensure_user("teacher", "instructor"))[0]["id"]
    turn_on(user=teacher)
    execute(insert(Submission).values(assignment_id=assignment, user_id=owner, job_id=make_job()))
    execute(outbox.remind())
    assert written(execute) == []


def test_a_machine_that_joined_writes_notifications_and_reads_no_address(
    engine: Engine, execute: Execute, make_lease: Any, turn_on: Any
) -> None:
    turn_on()
    _, token = make_lease()
    with engine.begin() as connection:
        grant(connection)
    with engine.begin() as connection:
        connection.execute(text(f"SET LOCAL ROLE {ROLE}"))
        connection.execute(leases.finish(token, JobState.SUCCEEDED, actor="node:n1")).one()
    assert written(execute) == ["ended"]
    for table in ("notification_channels", "notifications", "banners"):
        with engine.connect() as connection:
            connection.execute(text(f"SET LOCAL ROLE {ROLE}"))
            with pytest.raises(ProgrammingError, match="permission denied"):
                connection.execute(text(f"SELECT * FROM {table}"))  # noqa: S608 - names of ours
