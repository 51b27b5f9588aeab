"""What a hidden check looks at: the files of the run that was handed in, copied beside the check's program.

The copies belong to the check's run alone. Whatever it does to them, the run that was handed in stays as it is.
"""

import json
from pathlib import Path
from shutil import rmtree
from uuid import UUID

from obstore.store import ObjectStore
from sqlalchemy import Engine, Row

from models.composed import run
from models.statements import series
from models.statements.series import handed_in
from worker.programs.cache import ProgramError

FOLDER = "submission"
OUTPUTS = "outputs"
RUN_FILE = "run.json"


def place_submission(engine: Engine, store: ObjectStore, job_id: UUID, work: Path) -> None:
    """Write `submission/run.json` and `submission/outputs/` into the folder. Raises `ProgramError` and errors of the
    database or the store.
    """
    with engine.begin() as connection:
        found = run(connection, handed_in, job_id=job_id).one_or_none()
        files = run(connection, series.artifact_keys, job_id=job_id).all()
    if found is None:
        raise ProgramError(f"there is no job {job_id} to check")
    folder = work / FOLDER
    _clear(folder)
    (folder / OUTPUTS).mkdir(parents=True)
    for file in files:
        _fetch(store, file.key, folder / OUTPUTS / file.name)
    _write(folder / RUN_FILE, _described(found))


def _clear(folder: Path) -> None:
    """A check may come with an example of its own, by which its author tried it."""
    if folder.is_dir():
        rmtree(folder)
    else:
        folder.unlink(missing_ok=True)


def _fetch(store: ObjectStore, key: str, place: Path) -> None:
    try:
        found = store.get(key)
    except FileNotFoundError:
        raise ProgramError(f"the file {place.name} of the run that was handed in is no longer stored") from None
    with place.open("wb") as file:
        for chunk in found.stream():
            file.write(bytes(chunk))
    place.chmod(0o444)


def _described(run: Row[*tuple[object, ...]]) -> bytes:
    return json.dumps(dict(run._mapping), default=str, indent=1).encode()


def _write(place: Path, data: bytes) -> None:
    place.write_bytes(data)
    place.chmod(0o444)
