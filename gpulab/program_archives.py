"""Reading the archives in which programs come. Their senders are strangers: nothing in them is believed.

Nothing is ever unpacked to disk. What an archive may become in memory is bounded before it is decompressed, and every
entry that is no plain file or folder is refused by its name.
"""

import bz2
import gzip
import io
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable

from gpulab.program_files import Collector, Program, ProgramFilesError, ProgramLimits

TAR_OVERHEAD_BYTES = 4096
"""Of one entry at most: its header, its long name and what fills its last block."""
TAR_END_BYTES = 2**20
"""Zeros at the end of a tar, of which tools write as many as fill their block."""
XZ_MEMORY_BYTES = 2**27
MAX_PAX_HEADERS = 50
MAX_DIRECTORY_BYTES = 2**20
"""Of a zip's table of contents; it would be read whole."""
ZIP_END = b"PK\5\6"
ZIP64_LOCATOR = b"PK\6\7"
ENCRYPTED_FLAGS = 0x1 | 0x40
UTF8_FLAG = 0x800
ZIP_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
BROKEN = (
    tarfile.TarError, zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, lzma.LZMAError, struct.error,
    EOFError, OSError, ValueError, OverflowError, IndexError, KeyError, RuntimeError, NotImplementedError,
)  # fmt: skip
"""What the readers of the standard library raise for archives that are cut off or made up."""


def read_archive(data: bytes, limits: ProgramLimits) -> Program:
    """The program in a zip, or in a tar that may be compressed by gzip, bzip2 or xz. Raises `ProgramFilesError`."""
    try:
        if data.startswith((b"PK\3\4", ZIP_END)):
            return _zip(data, limits)
        return _tar(_plain(data, limits), limits)
    except ProgramFilesError:
        raise
    except BROKEN as error:
        raise ProgramFilesError(f"the archive is damaged: {str(error) or type(error).__name__}") from None


def _plain(data: bytes, limits: ProgramLimits) -> bytes:
    """The tar without its compression. Raises `ProgramFilesError` where that would be too much."""
    entries = _max_entries(limits)
    most = limits.max_bytes + entries * TAR_OVERHEAD_BYTES + TAR_END_BYTES
    decompress = next((how for magic, how in DECOMPRESSORS.items() if data.startswith(magic)), None)
    plain = data if decompress is None else decompress(data, most + 1)
    if len(plain) > most:
        raise ProgramFilesError(
            f"the archive unpacks to more than {most:,} bytes; a program has at most {limits.max_bytes:,}"
        )
    return plain


def _ungzip(data: bytes, most: int) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
        return file.read(most)


def _unbzip2(data: bytes, most: int) -> bytes:
    with bz2.BZ2File(io.BytesIO(data)) as file:
        return file.read(most)


def _unxz(data: bytes, most: int) -> bytes:
    return lzma.LZMADecompressor(memlimit=XZ_MEMORY_BYTES).decompress(data, most)


DECOMPRESSORS: dict[bytes, Callable[[bytes, int], bytes]] = {
    b"\x1f\x8b": _ungzip,
    b"BZh": _unbzip2,
    b"\xfd7zXZ\0": _unxz,
}


def _tar(plain: bytes, limits: ProgramLimits) -> Program:
    if len(plain) < tarfile.BLOCKSIZE:
        raise ProgramFilesError("this is neither a zip nor a tar archive")
    collected = Collector(limits)
    try:
        archive = tarfile.open(fileobj=io.BytesIO(plain), mode="r:")  # noqa: SIM115 - closed by the `with` below
    except tarfile.ReadError:
        raise ProgramFilesError("this is neither a zip nor a tar archive") from None
    with archive:
        entries = 0
        while (member := archive.next()) is not None:
            entries += 1
            _check_entries(entries, limits)
            _tar_member(archive, member, collected)
        # The reader takes a header that it cannot read for the end.
        if any(plain[archive.offset : archive.offset + tarfile.BLOCKSIZE]):
            raise ProgramFilesError(f"the archive is damaged after {entries} entries")
    return collected.program()


def _tar_member(archive: tarfile.TarFile, member: tarfile.TarInfo, collected: Collector) -> None:
    if kind := _tar_kind(member):
        raise _refused(member.name, f"is {kind}; a program has only files and folders")
    if member.size < 0 or len(archive.pax_headers) > MAX_PAX_HEADERS:
        raise _refused(member.name, "has an invalid header")
    if member.isdir():
        collected.check_folder(member.name)
        return
    collected.check_room(member.name, member.size)
    stream = archive.extractfile(member)
    data = b"" if stream is None else stream.read(member.size)
    if len(data) != member.size:
        raise _refused(member.name, f"has {len(data)} bytes, and its header says {member.size}")
    collected.add(member.name, data)


def _tar_kind(member: tarfile.TarInfo) -> str | None:
    if member.issym() or member.islnk():
        return f"a link to {member.linkname[:200]!r}"
    if member.issparse():
        return "a sparse file"
    if member.ischr() or member.isblk() or member.isfifo():
        return "a device"
    return None if member.isreg() or member.isdir() else "of an unknown kind"


def _zip(data: bytes, limits: ProgramLimits) -> Program:
    _check_directory(data)
    collected = Collector(limits)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        _check_entries(len(archive.infolist()), limits)
        for info in archive.infolist():
            _zip_member(archive, info, collected)
    return collected.program()


def _check_directory(data: bytes) -> None:
    """Before the zip's table of contents is read: an entry of it takes ten times its size in memory."""
    at = data.rfind(ZIP_END)
    if at < 0 or len(data) < at + 22:
        raise ProgramFilesError("the archive is damaged: it has no end")
    if data[at - 20 : at].startswith(ZIP64_LOCATOR):
        raise ProgramFilesError("the archive is a zip64, which is for larger files; write it as a plain zip")
    (size,) = struct.unpack_from("<L", data, at + 12)
    if size > MAX_DIRECTORY_BYTES:
        raise ProgramFilesError(f"the archive's table of contents has more than {MAX_DIRECTORY_BYTES:,} bytes")


def _zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, collected: Collector) -> None:
    name = _zip_name(info)
    mode = stat.S_IFMT(info.external_attr >> 16)
    if stat.S_ISLNK(mode):
        raise _refused(name, "is a link; a program has only files and folders")
    if mode not in {0, stat.S_IFREG, stat.S_IFDIR}:
        raise _refused(name, "is a device; a program has only files and folders")
    if info.flag_bits & ENCRYPTED_FLAGS:
        raise _refused(name, "is encrypted")
    if info.compress_type not in ZIP_METHODS:
        raise _refused(name, f"is compressed by the method {info.compress_type}; use deflate or none")
    if name.endswith("/"):
        collected.check_folder(name)
        return
    collected.check_room(name, info.file_size)
    with archive.open(info) as stream:
        # Read to its end, where the checksum is compared.
        data = stream.read(collected.room_bytes + 1)
    if len(data) != info.file_size:
        raise _refused(name, f"has {len(data)} bytes, and its header says {info.file_size}")
    collected.add(name, data)


def _zip_name(info: zipfile.ZipInfo) -> str:
    """As it was meant: many tools write UTF-8 without saying so. `orig_filename` still has what follows a NUL."""
    if info.flag_bits & UTF8_FLAG:
        return info.orig_filename
    try:
        return info.orig_filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.orig_filename


def _max_entries(limits: ProgramLimits) -> int:
    """Files and folders."""
    return 4 * limits.max_files


def _check_entries(entries: int, limits: ProgramLimits) -> None:
    if entries > _max_entries(limits):
        raise ProgramFilesError(
            f"the archive has more than {_max_entries(limits)} entries; a program has at most {limits.max_files} files"
        )


def _refused(name: str, problem: str) -> ProgramFilesError:
    shown = name[:200]
    return ProgramFilesError(f"{shown!r} {problem}", path=shown)
