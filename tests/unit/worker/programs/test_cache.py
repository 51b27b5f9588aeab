import os
from pathlib import Path

import pytest
from obstore.store import LocalStore

from gpulab.program_files import ProgramLimits, canonical_tar, program
from worker.programs.cache import KEEP_SECONDS, ProgramError, Programs

FILES = [("train.py", b"print(1)\n"), ("package/__init__.py", b""), ("data/ö.txt", "ö".encode())]


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store", mkdir=True)


@pytest.fixture
def programs(tmp_path: Path, store: LocalStore) -> Programs:
    (tmp_path / "programs").mkdir()
    return Programs(tmp_path / "programs", store)


def put(store: LocalStore, archive: bytes | None = None) -> str:
    made = program(FILES, ProgramLimits())
    store.put(f"programs/{made.sha256}.tar", canonical_tar(made) if archive is None else archive)
    return made.sha256


def test_program_is_fetched_once_and_copied(programs: Programs, store: LocalStore, tmp_path: Path) -> None:
    sha256 = put(store)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        programs.copy(sha256, tmp_path / name)
        store.delete(f"programs/{sha256}.tar") if name == "one" else None
    copied = {path.relative_to(tmp_path / "two"): path for path in (tmp_path / "two").rglob("*") if path.is_file()}
    assert {str(path): file.read_bytes() for path, file in copied.items()} == dict(FILES)
    copied[Path("train.py")].write_text("changed by the run")
    assert (programs.fetch(sha256) / "train.py").read_bytes() == b"print(1)\n"


def test_program_that_is_gone_or_changed_is_refused(programs: Programs, store: LocalStore) -> None:
    with pytest.raises(ProgramError, match="does not have"):
        programs.fetch("0" * 64)
    other = canonical_tar(program([("train.py", b"import evil")], ProgramLimits()))
    with pytest.raises(ProgramError, match="is not its program"):
        programs.fetch(put(store, other))
    with pytest.raises(ProgramError, match="cannot be read"):
        programs.fetch(put(store, b"no archive" * 100))


def test_what_was_not_used_for_a_while_is_evicted(programs: Programs, store: LocalStore) -> None:
    place = programs.fetch(put(store))
    programs.evict()
    assert place.is_dir()
    old = place.stat().st_mtime - KEEP_SECONDS - 1
    os.utime(place, (old, old))
    programs.evict()
    assert not place.exists()
