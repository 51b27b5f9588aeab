"""What a later attempt begins with: the checkpoint of the one before, and the metrics up to it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog
from obstore.store import ObjectStore
from sqlalchemy import Engine

from experiments.hosting.run_directory import place_checkpoint
from models.composed import run
from models.statements import series, shipping
from worker.shipping.shipper import NOTHING, LeaseGoneError

log = structlog.get_logger()


def bring_back(engine: Engine, store: ObjectStore, folder: Path, lease_token: UUID, job_id: UUID) -> None:
    """Put the newest checkpoint into `folder` and take back what was recorded after it; all of it, where there is none.

    Raises:
        LeaseGoneError: the lease was taken away; nothing was taken back.
    """
    with engine.begin() as connection:
        row = run(connection, series.checkpoint, job_id=job_id).first()
    found = None if row is None else _found(store, row.key)
    since = 0.0
    if row is not None and found is not None:
        with place_checkpoint(folder, row.step, row.name).open("wb") as file:
            for chunk in found:
                file.write(chunk)
        since = row.recorded_time
        log.info("job.resumes", step=row.step)
    with engine.begin() as connection:
        if run(connection, shipping.advance, lease_token=lease_token, before=NOTHING, after=NOTHING).first() is None:
            raise LeaseGoneError
        run(connection, series.shorten_metrics, job_id=job_id, after_time=since)
        run(connection, series.drop_empty_metrics, job_id=job_id)


def _found(store: ObjectStore, key: str) -> Iterable[Any] | None:
    try:
        return store.get(key)
    except FileNotFoundError:
        # A restored backup may lack the one file that was replaced while the backup was made.
        log.warning("checkpoint.bytes_missing", key=key)
        return None
