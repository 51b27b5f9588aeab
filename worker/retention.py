"""Forgets what the lab keeps no longer, a little at a time. A Celery task, rung by the scheduler."""

from uuid import UUID

import structlog
from obstore.exceptions import BaseError as StoreError
from obstore.store import ObjectStore
from sqlalchemy import Connection, Engine

from gpulab.states import Removed
from models.composed import Statement, run
from models.database import first_line
from models.settings import NodeSettings
from models.statements import gpu_minutes, retention
from models.statements.erasure import runs
from models.tables.program import store_key

JOBS_BATCH_SIZE = 200
FILES_BATCH_SIZE = 500
FOR_EVER_DAYS = 36_500.0
"""Of programs that are kept: those that nobody has sent any more still go."""
GPU_HISTORY_DAYS = 8.0
"""The screens show a week."""

log = structlog.get_logger()


class Retention:
    """One sweep deletes until nothing is left to delete. Two may run at a time."""

    def __init__(self, settings: NodeSettings, engine: Engine, store: ObjectStore) -> None:
        self._settings = settings
        self._engine = engine
        self._store = store
        self._actor = f"node:{settings.node}"

    def sweep(self, *, only_deleted: bool = False) -> dict[str, int]:
        """Carry the policy out; returns how many jobs, files or programs something was deleted of.

        `only_deleted`: only what users deleted, which may be asked for every minute.
        """
        kept = self._settings
        if only_deleted:
            return {"deleted_files": self._deleted_files(), "programs": self._programs(kept.keep_programs_days)}
        return {
            "samples": self._rows(retention.drop_samples, kept.keep_samples_days, Removed.SAMPLES),
            "logs": self._rows(retention.drop_logs, kept.keep_logs_days, Removed.OUTPUT),
            "metrics": self._rows(retention.drop_metrics, kept.keep_metrics_days, Removed.METRICS),
            "results": self._rows(retention.drop_results, kept.keep_results_days, Removed.RESULT),
            "checkpoints": self._files(
                retention.old_checkpoints, retention.forget_checkpoint, kept.keep_checkpoints_days, Removed.CHECKPOINT
            ),
            "artifacts": self._files(
                retention.old_artifacts, retention.forget_artifact, kept.keep_artifacts_days, Removed.FILES
            ),
            "deleted_files": self._deleted_files(),
            "programs": self._programs(kept.keep_programs_days),
            "gpu_minutes": self._gpu_minutes(),
        }

    def _rows(self, drop: Statement[...], days: float, what: Removed) -> int:
        every = 0
        while days:
            with self._engine.begin() as connection:
                if not run(connection, retention.alone).scalar():
                    return every
                jobs = list(run(connection, drop, days=days, jobs=JOBS_BATCH_SIZE).scalars())
                self._remember(connection, jobs, what, days)
            every += len(jobs)
            if not jobs:
                break
        return every

    def _files(self, old: Statement[...], forget: Statement[...], days: float, what: Removed) -> int:
        every = 0
        while days:
            with self._engine.begin() as connection:
                rows = run(connection, old, days=days, limit=FILES_BATCH_SIZE).all()
            if not rows:
                break
            # The bytes first: bytes that no row names would stay for ever.
            gone = [row for row in rows if self._delete(row.key)]
            with self._engine.begin() as connection:
                for row in gone:
                    run(connection, forget, job_id=row.job_id, name=row.name)
                self._remember(connection, list({row.job_id for row in gone}), what, days)
            every += len(gone)
            if not gone:
                break
        return every

    def _deleted_files(self) -> int:
        """The bytes of runs that were deleted."""
        every, after = 0, ""
        while True:
            with self._engine.begin() as connection:
                keys = list(run(connection, runs.files_to_delete, after=after, limit=FILES_BATCH_SIZE).scalars())
            gone = [key for key in keys if self._delete(key)]
            with self._engine.begin() as connection:
                for key in gone:
                    run(connection, runs.forget_file, key=key)
            every += len(gone)
            if len(keys) < FILES_BATCH_SIZE:
                return every
            after = keys[-1]

    def _programs(self, days: float) -> int:
        every = 0
        while True:
            with self._engine.begin() as connection:
                sha256 = run(connection, retention.drop_program, days=days or FOR_EVER_DAYS).scalar()
                if sha256 is None:
                    break
                if not self._delete(store_key(sha256)):
                    connection.rollback()
                    break
            every += 1
        return every

    def _gpu_minutes(self) -> int:
        with self._engine.begin() as connection:
            return run(connection, gpu_minutes.drop, days=GPU_HISTORY_DAYS).rowcount

    def _delete(self, key: str) -> bool:
        """Whether the bytes are gone; one file that stays must not keep the others."""
        try:
            self._store.delete(key)
        except FileNotFoundError:
            log.info("retention.gone_already", key=key)
        except (StoreError, OSError) as error:
            log.warning("retention.not_deleted", key=key, reason=first_line(error))
            return False
        return True

    def _remember(self, connection: Connection, jobs: list[UUID], what: Removed, days: float) -> None:
        if jobs:
            one = what in {Removed.RESULT, Removed.CHECKPOINT, Removed.OUTPUT}
            verb, them = ("was", "it") if one else ("were", "them")
            message = f"its {what} {verb} deleted: the lab keeps {them} for {days:g} days after the end"
            run(connection, retention.remember, job_ids=jobs, removed=what, actor=self._actor, message=message)
            log.info("retention.deleted", what=what.value, jobs=len(jobs))
