"""Carries a verdict out: writes it, in one short transaction, for as long as the lease is ours."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import DataError

from gpulab.states import FailureCause, JobState
from models.composed import Statement, run
from models.database import DATABASE_AWAY, first_line
from models.settings import NodeSettings
from models.statements import leases, nodes
from models.statements.memory import peaks
from worker.runs import advice
from worker.runs.verdict import Finish, Lose, Requeue, Verdict
from worker.shipping.shipper import LeaseGoneError

log = structlog.get_logger()


class Conclusion:
    """For one node. Every call raises `LeaseGoneError` where the lease is not ours any more: the verdict is void."""

    def __init__(self, settings: NodeSettings, engine: Engine) -> None:
        self._settings = settings
        self._engine = engine
        self._actor = f"node:{settings.node}"

    def note_gpu_faults(self, faults: Mapping[str, str]) -> None:
        """Broken GPUs get no job from now on: by the next heartbeat another attempt could be on one of them."""
        if not faults:
            return
        try:
            with self._engine.begin() as connection:
                for uuid, fault in faults.items():
                    run(connection, nodes.note_fault, uuid=uuid, reason=fault)
        except DATABASE_AWAY as error:
            log.warning("gpu_faults.not_written", reason=first_line(error))

    def write(self, lease_token: UUID, verdict: Verdict, *, measured: bool = True) -> None:
        """With `measured`, what a good run took on its GPU is kept beside what was predicted."""
        try:
            self._write(lease_token, verdict, measured=measured)
        except DataError as error:
            # Tried again it would be refused again.
            log.exception("verdict.refused_by_the_database")
            words = f"the database cannot store the last record of the run: {str(error.orig).partition(chr(10))[0]}"
            self._finish(lease_token, Finish(JobState.FAILED, words, FailureCause.ERROR), measured=False)

    def _write(self, lease_token: UUID, verdict: Verdict, *, measured: bool) -> None:
        match verdict:
            case Finish():
                self._finish(lease_token, verdict, measured=measured)
            case Requeue():
                self._run(leases.requeue, lease_token=lease_token, message=verdict.message, alone=verdict.alone)
            case Lose():
                most = self._settings.max_lost_attempts
                self._run(leases.lose, lease_token=lease_token, message=verdict.message, max_lost_attempts=most)

    def _finish(self, lease_token: UUID, verdict: Finish, *, measured: bool) -> None:
        failure, estimate_id = verdict.failure, None
        with self._engine.begin() as connection:
            if failure is not None:
                failure, estimate_id = advice.seek(connection, lease_token, failure)
            ended = run(
                connection,
                leases.finish,
                lease_token=lease_token,
                target=verdict.state,
                actor=self._actor,
                message=verdict.message,
                cause=verdict.cause,
                failure=failure,
                result=verdict.result,
            )
            row = ended.mappings().first()
            if row is None:
                # What was asked for the job is another's to ask again.
                raise LeaseGoneError
            if verdict.state is JobState.SUCCEEDED and measured:
                run(connection, peaks.measure, job_id=row["id"])
            if estimate_id is not None:
                advice.attach(connection, estimate_id, actor=self._actor)
        _concluded(row)

    def _run(self, statement: Statement[...], **given: Any) -> None:
        with self._engine.begin() as connection:
            row = run(connection, statement, actor=self._actor, **given).mappings().first()
        if row is None:
            raise LeaseGoneError
        _concluded(row)


def _concluded(row: Any) -> None:
    log.info("job.concluded", state=row["state"], attempt=row["attempt"])
