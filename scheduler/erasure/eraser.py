"""Anonymises and deletes users whom an admin marked: their runs end first, then batch follows batch.

Every batch is one transaction, and all of it can be done again: a scheduler that dies in the middle leaves the user
marked, and the next one goes on. The user cannot sign in from the mark on.
"""

from threading import Event
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from gpulab.states import Erasure
from models.composed import Statement, run
from models.database import DATABASE_AWAY, first_line
from models.outage import Outage
from models.statements import transitions
from models.statements.erasure import runs, users
from scheduler.erasure.pseudonym import Pseudonym

PAUSE_SECONDS = 2.0
REST_SECONDS = 0.05
"""Between two batches, in which the database serves others."""
ROWS_BATCH_SIZE = 500
ACTOR = "scheduler"
PERSONAL = frozenset({"email", "name", "team", "section", "openid_subject"})
"""What events on a user say of them."""

log = structlog.get_logger()


class Eraser:
    """Runs until `stop` is set."""

    def __init__(self, engine: Engine, stop: Event, *, runs_batch_size: int = runs.RUNS_BATCH_SIZE) -> None:
        self._engine = engine
        self._stop = stop
        self._runs_batch_size = runs_batch_size
        self._outage = Outage("erasure.database_away")

    def run(self) -> None:
        while not self._stop.is_set():
            try:
                self.look()
                self._outage.over()
            except DATABASE_AWAY as error:
                self._outage.goes_on(error)
            self._stop.wait(PAUSE_SECONDS)

    def look(self) -> None:
        """Go on with every user who is marked."""
        with self._engine.begin() as connection:
            marked = run(connection, users.marked).all()
        for user in marked:
            try:
                self._erase(user)
            except IntegrityError as error:
                # Something new names the user, such as a request that was under way. The next look finds it.
                log.warning("erasure.goes_on_later", user_id=str(user.id), reason=first_line(error))

    def _erase(self, user: Any) -> None:
        self._do(users.drop_access, user_id=user.id)
        everything = user.erasure == Erasure.DELETE
        if self._runs_are_live(user.id, everything=everything):
            return
        if not self._delete_runs(user.id, only_reports=not everything):
            return
        pseudonym = Pseudonym(user.id, user.name, user.email)
        self._rename(pseudonym)
        if not self._stop.is_set() and self._end(user, pseudonym):
            log.info("erasure.done", user_id=str(user.id), erasure=user.erasure)

    def _end(self, user: Any, pseudonym: Pseudonym) -> bool:
        """The last step. False: an admin ordered something else meanwhile, which the next look carries out."""
        everything = user.erasure == Erasure.DELETE
        with self._engine.begin() as connection:
            if run(connection, users.still_marked, user_id=user.id, erasure=user.erasure).first() is None:
                return False
            run(connection, users.leave_courses, user_id=user.id)
            if everything:
                run(connection, users.drop_own, user_id=user.id)
            if everything and not run(connection, users.is_needed, user_id=user.id).scalar():
                run(connection, users.delete_user, user_id=user.id)
            else:
                run(connection, users.anonymise, user_id=user.id, pseudonym=pseudonym.text)
        return True

    def _runs_are_live(self, user_id: UUID, *, everything: bool) -> bool:
        """Ask those that have not ended to do so."""
        with self._engine.begin() as connection:
            live = list(run(connection, users.unfinished, user_id=user_id, everything=everything).scalars())
            if live:
                run(connection, transitions.cancel_all, job_ids=live, actor=ACTOR)
            left = run(connection, users.unfinished, user_id=user_id, everything=everything).first()
        return left is not None

    def _delete_runs(self, user_id: UUID, *, only_reports: bool) -> bool:
        """All of them, or reports of studies, which have the owner's name in them. Whether all went."""
        while not self._stop.is_set():
            with self._engine.begin() as connection:
                gone = run(
                    connection,
                    runs.delete_of_user,
                    user_id=user_id,
                    limit=self._runs_batch_size,
                    only_reports=only_reports,
                ).all()
            if not gone:
                return True
            self._stop.wait(REST_SECONDS)
        return False

    def _rename(self, pseudonym: Pseudonym) -> None:
        for column in users.TEXTS:
            self._rewrite(column, pseudonym)
        user_id, before, after = pseudonym.user_id, f"user:{pseudonym.name}", f"user:{pseudonym.text}"
        self._do(users.untag, user_id=user_id, tag=pseudonym.name, pseudonym=pseudonym.text)
        self._do(users.rename_in_own_history, user_id=user_id, before=before, after=after)
        with self._engine.begin() as connection:
            if not run(connection, users.has_namesake, user_id=user_id, name=pseudonym.name).scalar():
                run(connection, users.rename_in_history, before=before, after=after)
        self._rewrite_audit(pseudonym, after)

    def _rewrite(self, column: Any, pseudonym: Pseudonym) -> None:
        after: Any = None
        while not self._stop.is_set():
            with self._engine.begin() as connection:
                found = run(
                    connection,
                    users.mentions,
                    column=column,
                    user_id=pseudonym.user_id,
                    own=pseudonym.own,
                    everywhere=pseudonym.everywhere,
                    after=after,
                    limit=ROWS_BATCH_SIZE,
                ).all()
                for row in found:
                    text = pseudonym.in_text(row.text, pseudonym.own)
                    run(connection, users.rewrite, column=column, row_id=row.id, text=text)
            if len(found) < ROWS_BATCH_SIZE:
                return
            after = found[-1].id
            self._stop.wait(REST_SECONDS)

    def _rewrite_audit(self, pseudonym: Pseudonym, actor: str) -> None:
        after = 0
        while not self._stop.is_set():
            with self._engine.begin() as connection:
                run(connection, users.open_audit)
                found = run(
                    connection,
                    users.audit_about,
                    user_id=pseudonym.user_id,
                    everywhere=pseudonym.everywhere,
                    after=after,
                    limit=ROWS_BATCH_SIZE,
                ).all()
                for event in found:
                    run(connection, users.rewrite_audit, event_id=event.id, values=_event(event, pseudonym, actor))
            if len(found) < ROWS_BATCH_SIZE:
                return
            after = found[-1].id
            self._stop.wait(REST_SECONDS)

    def _do(self, change: Statement[...], **values: Any) -> None:
        with self._engine.begin() as connection:
            run(connection, change, **values)


def _event(event: Any, pseudonym: Pseudonym, actor: str) -> dict[str, Any]:
    """What the audit keeps: the id and the pseudonym, neither a name nor where they were."""
    theirs = event.actor_id == pseudonym.user_id
    own = theirs or event.target == f"user:{pseudonym.user_id}"
    words = pseudonym.own if own else pseudonym.everywhere
    details = pseudonym.in_json(event.details, words)
    if event.target == f"user:{pseudonym.user_id}":
        # Former ones too, which nothing else knows any more.
        details = {name: value for name, value in details.items() if name not in PERSONAL}
    return {"details": details, **({"actor": actor, "address": None} if theirs else {})}
