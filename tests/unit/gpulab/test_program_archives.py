"""Archives of strangers: what is wrong is named, and neither memory nor time grows with what they claim."""

import bz2
import gzip
import io
import lzma
import stat
import struct
import tarfile
import time
import tracemalloc
import zipfile
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpulab.program_archives import read_archive
from gpulab.program_files import Program, ProgramFilesError, ProgramLimits

LIMITS = ProgramLimits(max_bytes=100_000, max_files=20)
REAL = ProgramLimits()


def tar(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for member, data in members:
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def entry(name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.size, member.type, member.linkname = len(data), kind, link
    return member, data


def zipped(*files: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return buffer.getvalue()


def read(data: bytes, limits: ProgramLimits = LIMITS) -> Program:
    return read_archive(data, limits)


FILES = {"train.py": b"print(1)\n", "src/größe.py": b"x = 1\n", "data/empty": b""}


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_tar_of_any_form_and_compression_is_the_same_program(form: int, pack: Callable[[bytes], bytes]) -> None:
    folder, _ = entry("./src", kind=tarfile.DIRTYPE)
    packed = tar((folder, b""), *(entry(f"./{name}", data) for name, data in FILES.items()), form=form)
    assert dict(read(pack(packed)).contents) == FILES


def test_zip_is_the_same_program_as_the_tar() -> None:
    files = [("src/", b""), *FILES.items()]
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        assert read(zipped(*files, method=method)).sha256 == read(tar(*(entry(*file) for file in FILES.items()))).sha256


def without_utf8_flag(data: bytes) -> bytes:
    """As tools write it that say nothing of their encoding: bit 11 is cleared in both headers."""
    changed = bytearray(data)
    for magic, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = changed.find(magic)
        while at >= 0:
            changed[at + place + 1] &= ~0x08
            at = changed.find(magic, at + 4)
    return bytes(changed)


def test_name_in_utf8_is_read_so_though_the_zip_does_not_say_it() -> None:
    assert list(read(without_utf8_flag(zipped(("größe.py", b"")))).contents) == ["größe.py"]


def test_name_in_an_old_code_page_is_kept() -> None:
    name = "gr\N{LATIN SMALL LETTER O WITH DIAERESIS}sse.py"
    placeholder = "grXsse.py"
    raw = zipped((placeholder, b"1")).replace(placeholder.encode(), name.encode("cp437"))
    assert list(read(raw).contents) == [name]


@pytest.mark.parametrize(
    ("kind", "link", "words"),
    [
        (tarfile.SYMTYPE, "/etc/passwd", "link to '/etc/passwd'"),
        (tarfile.LNKTYPE, "a.py", "link to 'a.py'"),
        (tarfile.CHRTYPE, "", "device"),
        (tarfile.BLKTYPE, "", "device"),
        (tarfile.FIFOTYPE, "", "device"),
        (b"Z", "", "unknown kind"),
    ],
)
def test_tar_with_anything_but_files_is_refused_by_name(kind: bytes, link: str, words: str) -> None:
    with pytest.raises(ProgramFilesError, match=rf"'evil'.*{words}"):
        read(tar(entry("a.py", b"1"), entry("evil", kind=kind, link=link)))


def test_sparse_file_is_refused_whatever_form_it_has() -> None:
    member, _ = entry("hole.bin")
    member.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(2**50)}
    with pytest.raises(ProgramFilesError, match=r"sparse|damaged"):
        read(tar((member, b"")))
    old = bytearray(tar(entry("hole.bin", b"x" * 512), form=tarfile.GNU_FORMAT))
    old[156:157] = b"S"
    old[148:156] = b"%06o\0 " % (sum(old[:148]) + 8 * 32 + sum(old[156:512]))
    with pytest.raises(ProgramFilesError, match="sparse"):
        read(bytes(old))


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "a\\..\\x", "..", "a/.."])
def test_climbing_and_absolute_names_are_refused_in_both(name: str) -> None:
    for data in (tar(entry(name, b"1")), zipped((name, b"1")), tar(entry(name, kind=tarfile.DIRTYPE))):
        with pytest.raises(ProgramFilesError, match=r"leaves|absolute|backslash"):
            read(data)


def test_name_with_a_nul_is_refused() -> None:
    raw = zipped(("aXb.py", b"1")).replace(b"aXb.py", b"a\0b.py")
    with pytest.raises(ProgramFilesError, match=r"NUL|differ"):
        read(raw)


@pytest.mark.parametrize(("mode", "words"), [(stat.S_IFLNK, "is a link"), (stat.S_IFCHR, "is a device")])
def test_zip_with_a_link_or_device_is_refused(mode: int, words: str) -> None:
    info = zipfile.ZipInfo("evil")
    info.external_attr = (mode | 0o777) << 16
    with pytest.raises(ProgramFilesError, match=f"'evil' {words}"):
        read(zipped((info, b"/etc/passwd")))


def test_zip_that_is_encrypted_or_compressed_otherwise_is_refused() -> None:
    locked = bytearray(zipped(("a.py", b"secret")))
    for magic, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        locked[locked.find(magic) + place] |= 1
    with pytest.raises(ProgramFilesError, match=r"'a\.py' is encrypted"):
        read(bytes(locked))
    for method in (zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2):
        with pytest.raises(ProgramFilesError, match="is compressed by the method"):
            read(zipped(("a.py", b"1"), method=method))


def test_duplicates_are_refused_in_both() -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = zipped(("a.py", b"1"), ("a.py", b"2"))
    for data in (twice, tar(entry("a.py", b"1"), entry("A.py", b"2"))):
        with pytest.raises(ProgramFilesError, match="appears"):
            read(data)


def test_sizes_that_are_not_true_are_found() -> None:
    honest = zipped(("a.py", b"x" * 1000))
    for claimed in (10, 5000):
        lying = bytearray(honest)
        struct.pack_into("<L", lying, lying.find(b"PK\1\2") + 24, claimed)
        with pytest.raises(ProgramFilesError, match=r"damaged|header says"):
            read(bytes(lying))
    short = tar(entry("a.py", b"x" * 1000))[:700]
    with pytest.raises(ProgramFilesError, match=r"damaged|header says"):
        read(short)
    torn = bytearray(tar(entry("a.py", b"x" * 10), entry("b.py", b"y")))
    torn[1024:1100] = b"?" * 76
    with pytest.raises(ProgramFilesError, match="damaged after 1 entries"):
        read(bytes(torn))


def test_negative_size_is_refused() -> None:
    bad = bytearray(tar(entry("a.py", b"x" * 512)))
    bad[124:136] = b"\xff" * 11 + b"\x00"
    bad[148:156] = b"%06o\0 " % (sum(bad[:148]) + 8 * 32 + sum(bad[156:512]))
    with pytest.raises(ProgramFilesError, match=r"invalid header|damaged|neither a zip nor a tar"):
        read(bytes(bad))


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"PK\3\4", b"PK\5\6", b"\x1f\x8b", b"BZh9", b"\xfd7zXZ\0", b"\0" * 600]
)
def test_what_is_no_archive_is_said_so(data: bytes) -> None:
    with pytest.raises(ProgramFilesError, match=r"neither a zip nor a tar|damaged|no files"):
        read(data)


def bombs() -> dict[str, bytes]:
    large = tar(entry("zeros", bytes(300 * 2**20)))
    many = gzip.compress(b"".join(entry(f"{n}.py")[0].tobuf() for n in range(100_000)), 1)
    pax, _ = entry("a.py")
    pax.pax_headers = {"comment": "x" * (64 * 2**20)}
    zip_many = io.BytesIO()
    with zipfile.ZipFile(zip_many, "w") as archive:
        for n in range(60_000):
            archive.writestr(f"{n}", b"")
    return {
        "gzip": gzip.compress(large, 1),
        "xz": lzma.compress(large, preset=0),
        "bzip2": bz2.compress(large, 1),
        "zip": zipped(("zeros", bytes(300 * 2**20))),
        "many in a tar": many,
        "many in a zip": zip_many.getvalue(),
        "a header": gzip.compress(tar((pax, b"")), 1),
    }


def test_bombs_cost_little_memory_and_time() -> None:
    for name, data in bombs().items():
        tracemalloc.start()
        began = time.process_time()
        with pytest.raises(ProgramFilesError, match=r"more than|larger than"):
            read(data, REAL)
        seconds = time.process_time() - began
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 120 * 2**20, (name, peak)
        assert seconds < 10, (name, seconds)


BASES = (
    tar(*(entry(name, data) for name, data in FILES.items())),
    gzip.compress(tar(entry("a.py", b"1" * 300))),
    zipped(*FILES.items()),
)


@given(st.sampled_from(BASES), st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=8))
@settings(max_examples=300, deadline=None)
def test_any_damage_is_a_refusal_or_a_program_and_never_an_error(base: bytes, changes: list[tuple[int, int]]) -> None:
    data = bytearray(base)
    for place, value in changes:
        data[place % len(data)] = value
    try:
        found = read(bytes(data))
    except ProgramFilesError:
        return
    assert found.contents
    assert found.size_bytes <= LIMITS.max_bytes
