"""A program is its files: their paths, their content, and nothing of the archive they came in."""

import io
import tarfile
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpulab.program_archives import read_archive
from gpulab.program_files import (
    MAX_PARTS,
    Program,
    ProgramFilesError,
    ProgramLimits,
    canonical_tar,
    checked_path,
    program,
)

LIMITS = ProgramLimits(max_bytes=10_000, max_files=5)
PARTS = st.from_regex(r"[a-z][a-z0-9_.é-]{0,8}", fullmatch=True)
PATHS = st.lists(PARTS, min_size=1, max_size=3).map("/".join)
FILES = st.dictionaries(PATHS, st.binary(max_size=40), min_size=1, max_size=5)


def made(files: dict[str, bytes]) -> Program:
    return program(files.items(), LIMITS)


def test_id_is_the_documented_digest() -> None:
    # printf 'a.py\0001\0%s\0' "$(printf x | sha256sum | cut -d' ' -f1)" | sha256sum
    assert made({"a.py": b"x"}).sha256 == "18fa49662d6bbb9501bd617d56a78191d43b28e2613c89e7219c4574999c7279"


def test_id_depends_on_paths_and_content_and_not_on_order() -> None:
    one = made({"a.py": b"1", "b/c.py": b"2"})
    assert one.sha256 == made({"b/c.py": b"2", "./a.py": b"1"}).sha256
    others = ({"a.py": b"1", "b/d.py": b"2"}, {"a.py": b"1", "b/c.py": b"3"}, {"a.py": b"1"}, {"a.py": b"12"})
    assert len({one.sha256, *(made(other).sha256 for other in others)}) == 5


def test_a_file_cannot_pass_for_the_end_of_another() -> None:
    assert made({"a": b"", "b": b""}).sha256 != made({"a": b"b"}).sha256


def test_path_is_composed_and_without_empty_parts() -> None:
    decomposed = unicodedata.normalize("NFD", "übung/größe.py")
    assert checked_path(f".//{decomposed}") == "übung/größe.py"


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("/etc/passwd", "absolute"),
        ("C:/x.py", "absolute"),
        ("../x.py", "leaves the program"),
        ("a/../../x.py", "leaves the program"),
        ("a\\b.py", "backslash"),
        ("a\0.py", "NUL"),
        ("", "names no file"),
        (".", "names no file"),
        ("a/", "names a folder"),
        ("a\n.py", r"U\+000A"),
        ("a\u202egpj.py", "RIGHT-TO-LEFT OVERRIDE"),
        ("a\udcff.py", "not UTF-8"),
        ("x" * 256, "longer than 255 bytes"),
        ("é" * 128, "longer than 255 bytes"),
        ("/".join("ab" for _ in range(MAX_PARTS + 1)), "more than 32 parts"),
        ("a/" * 600 + "b", "longer than 1000 bytes"),
    ],
)
def test_path_that_is_refused_is_named_with_its_fault(path: str, problem: str) -> None:
    with pytest.raises(ProgramFilesError, match=problem):
        made({path: b""})


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a.py", "./a.py"),
        ("Train.py", "train.py"),
        ("straße", "STRASSE"),
        (unicodedata.normalize("NFC", "é.py"), unicodedata.normalize("NFD", "é.py")),
        ("a", "a/b.py"),
        ("a/b.py", "a"),
        ("A/b.py", "a"),
    ],
)
def test_two_paths_that_are_one_place_are_refused(first: str, second: str) -> None:
    with pytest.raises(ProgramFilesError, match=r"appears|is a file, and a folder"):
        program([(first, b"1"), (second, b"2")], LIMITS)


def test_what_is_too_much_names_the_largest_files() -> None:
    with pytest.raises(ProgramFilesError, match=r"larger than 10,000 bytes.*'big.bin' \(9,000 bytes\), 'b' \(2,000"):
        made({"a": b"1", "big.bin": bytes(9000), "b": bytes(2000)})
    with pytest.raises(ProgramFilesError, match="more than 5 files"):
        made({f"{n}.py": b"" for n in range(6)})
    with pytest.raises(ProgramFilesError, match="no files"):
        made({})
    assert made({"exact": bytes(10_000)}).size_bytes == 10_000


@given(FILES)
def test_stored_archive_holds_the_same_program(files: dict[str, bytes]) -> None:
    try:
        one = made(files)
    except ProgramFilesError:
        return
    stored = canonical_tar(one)
    again = read_archive(stored, LIMITS)
    assert (again.contents, again.sha256) == (one.contents, one.sha256)
    assert canonical_tar(again) == stored


def test_stored_archive_says_nothing_of_its_sender() -> None:
    long = "folder/" * 20 + "größe.py"
    with tarfile.open(fileobj=io.BytesIO(canonical_tar(made({long: b"x", "run.sh": b"y"})))) as archive:
        members = archive.getmembers()
    assert [member.name for member in members] == [long, "run.sh"]
    assert {(m.mode, m.mtime, m.uid, m.gid, m.uname, m.gname) for m in members} == {(0o644, 0, 0, 0, "", "")}
