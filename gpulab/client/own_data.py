"""What is a user's own: deleting runs, and all of it as one file."""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from gpulab.client.local_files import naming
from gpulab.client.transport.answers import accepted
from gpulab.client.transport.http import Disconnected, Http, path_of
from gpulab.errors import LabUnreachable
from gpulab.schemas import JobsDeleted
from gpulab.schemas.jobs import MAX_DELETED_RUNS

MAX_SILENT_SECONDS = 120.0
"""The lab may be busy with the export of another user."""


def delete_runs(http: Http, job_ids: Sequence[UUID | str]) -> JobsDeleted:
    """Delete runs, part by part. A run that is gone is not deleted again, so a part may be sent twice."""
    deleted, kept = [], []
    for start in range(0, len(job_ids), MAX_DELETED_RUNS):
        part = [str(one) for one in job_ids[start : start + MAX_DELETED_RUNS]]
        done = http.change(JobsDeleted, "POST", path_of("jobs", "delete"), {"job_ids": part})
        deleted += done.deleted
        kept += done.kept
    return JobsDeleted(deleted=deleted, kept=kept)


def export(http: Http, user_id: UUID | str, to: Path, on_progress: Callable[[int], object] | None = None) -> Path:
    """Write all that a user has into the zip `to`. The file appears once it is whole. Raises LabUnreachable."""
    # Two exports to one file at once must not write into each other.
    part = to.with_name(f".{to.name}.{os.getpid()}.part")
    to.parent.mkdir(parents=True, exist_ok=True)
    try:
        with (
            naming(to),
            part.open("wb") as file,
            http.stream(
                path_of("users", user_id, "export"),
                {"Accept": "*/*", "Accept-Encoding": "identity"},
                MAX_SILENT_SECONDS,
            ) as response,
        ):
            accepted(response, http.lab)
            for chunk in response.iter_bytes():
                file.write(chunk)
                if on_progress is not None:
                    on_progress(file.tell())
        return part.replace(to)
    except Disconnected as gone:
        raise LabUnreachable(f"the export stopped: {gone}") from gone
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
