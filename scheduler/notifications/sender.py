"""Delivers notifications: claims channels on which something waits, and sends all that waits there in one message.

Every scheduler sends, the leader and those on standby: a claim is one guarded UPDATE. A message is delivered at least
once; who gets one twice knows it by its key.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from threading import Event
from typing import Any

import structlog
from sqlalchemy import Engine

from gpulab.states import Channel, FailureCause, JobState, NotificationKind, WaitReason
from models.composed import run
from models.database import DATABASE_AWAY
from models.outage import Outage
from models.settings import SchedulerSettings
from models.statements.notifications import delivery, outbox
from scheduler.notifications import mail, webhook
from scheduler.notifications.errors import DeliveryError
from scheduler.notifications.words import Entry, composed

PAUSE_SECONDS = 2.0
REMIND_EVERY_SECONDS = 60.0
SENDERS = 4
"""Messages that are on their way at once."""
CLAIM_SECONDS = 300.0
"""Longer than any delivery takes; after a crash the message is sent again then."""
MAX_ENTRIES = 1000
"""In one message; the others come in the next one."""
FIRST_PAUSE_SECONDS = 30.0
"""After a failure; doubled after each further one, up to the longest."""
LONGEST_PAUSE_SECONDS = 3600.0
MAX_ATTEMPTS = 12
MAX_AGE_SECONDS = 24 * 3600.0
"""What could not be delivered by then is given up."""

log = structlog.get_logger()


class Sender:
    def __init__(self, settings: SchedulerSettings, engine: Engine, stop: Event) -> None:
        self._settings = settings
        self._engine = engine
        self._stop = stop
        self._outage = Outage("notifications.database_away")
        self._remind_at = 0.0
        self._channels = [Channel.WEBHOOK.value, *([Channel.MAIL.value] if settings.mail_host else [])]

    def run(self) -> None:
        """Until `stop` is set."""
        with ThreadPoolExecutor(SENDERS, "notifications") as pool:
            while not self._stop.is_set():
                try:
                    self._look(pool)
                    self._outage.over()
                except DATABASE_AWAY as error:
                    self._outage.goes_on(error)
                self._stop.wait(PAUSE_SECONDS)

    def _look(self, pool: ThreadPoolExecutor) -> None:
        if time.monotonic() >= self._remind_at:
            self._remind_at = time.monotonic() + REMIND_EVERY_SECONDS
            self.remind()
        while not self._stop.is_set() and (claimed := self.claim()):
            list(pool.map(self.deliver, claimed))

    def remind(self) -> None:
        """Of deadlines that are near; and forget what is old."""
        with self._engine.begin() as connection:
            run(connection, outbox.remind)
            run(connection, delivery.trim, max_age_seconds=MAX_AGE_SECONDS)

    def claim(self) -> Sequence[Any]:
        with self._engine.begin() as connection:
            return run(
                connection,
                delivery.claim,
                channels=self._channels,
                limit=SENDERS,
                claim_seconds=CLAIM_SECONDS,
                gather_seconds=self._settings.notification_gather_seconds,
            ).all()

    def deliver(self, channel: Any) -> None:
        """Send what waits on a channel that was claimed, and write down how it went."""
        whose = {"user_id": channel.user_id, "channel": channel.channel}
        with self._engine.begin() as connection:
            rows = run(connection, delivery.unsent, **whose, limit=MAX_ENTRIES).all()
        if not rows:
            return
        ids = [row.id for row in rows]
        try:
            self._send(channel, rows)
        except DeliveryError as error:
            log.warning("notification.failed", channel=channel.channel, reason=error.reason)
            self._failed(channel, ids, str(error))
        except Exception as error:  # one message that cannot be written must not keep the others
            log.exception("notification.broken", channel=channel.channel, reason=type(error).__name__)
            self._failed(channel, ids, "the lab could not write the message")
        else:
            rest_seconds = self._settings.notification_rest_seconds
            with self._engine.begin() as connection:
                run(connection, delivery.sent, **whose, ids=ids, rest_seconds=rest_seconds)

    def _send(self, channel: Any, rows: Sequence[Any]) -> None:
        zone = channel.time_zone or self._settings.time_zone
        message = composed([_entry(row) for row in rows], public_url=self._settings.public_url, time_zone=zone)
        key = sha256(",".join(str(row.id) for row in rows).encode()).hexdigest()[:32]
        if channel.channel == Channel.WEBHOOK.value:
            allowed = self._settings.webhook_private_networks
            webhook.post(channel.webhook_url, message, key=key, private_networks=allowed)
        elif channel.email is None:
            raise DeliveryError("you have no email address in the lab", reason="a user has no email address")
        else:
            mail.send(self._settings, channel.email, message, key=key)

    def _failed(self, channel: Any, ids: list[int], error: str) -> None:
        with self._engine.begin() as connection:
            given_up = run(
                connection,
                delivery.failed,
                user_id=channel.user_id,
                channel=channel.channel,
                ids=ids,
                error=error,
                pause_seconds=min(FIRST_PAUSE_SECONDS * 2.0**channel.failures, LONGEST_PAUSE_SECONDS),
                max_attempts=MAX_ATTEMPTS,
                max_age_seconds=MAX_AGE_SECONDS,
            ).scalar_one()
        if given_up:
            log.error("notification.given_up", channel=channel.channel, reason=f"{given_up} of one user")


def _entry(row: Any) -> Entry:
    return Entry(
        kind=NotificationKind(row.kind),
        state=row.state and JobState(row.state),
        cause=row.cause and FailureCause(row.cause),
        wait_reason=row.wait_reason and WaitReason(row.wait_reason),
        **{name: getattr(row, name) for name in ("job_id", "name", "experiment", "study_id", "study")},
        **{name: getattr(row, name) for name in ("assignment", "due_at", "node")},
    )
