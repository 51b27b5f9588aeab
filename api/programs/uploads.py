"""A program on its way in: a form with one archive, or with files that each have a path as their name.

Nothing of it is believed. The form is bounded while it arrives, and what is in it is read in a thread, one at a time.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import BinaryIO

from fastapi import Request
from pydantic import TypeAdapter, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from api.http.problems import BodyTooLarge, InvalidProgram, InvalidRequest, MalformedBody, UnsupportedMediaType
from api.http.rendering import invalid_fields
from gpulab.program_archives import read_archive
from gpulab.program_files import Program, ProgramFilesError, ProgramLimits, program
from gpulab.schemas.programs import UploadFields

ARCHIVE = "archive"
FILES = "files"
FIELDS = ("name", "git_commit", "git_dirty")
MAX_FIELD_BYTES = 2000
PART_BYTES = 4096
"""Of a file's part in the form, besides its content; as much in a tar."""
FORM_BYTES = 65_536
_FIELDS: TypeAdapter[UploadFields] = TypeAdapter(UploadFields)


@dataclass(frozen=True, slots=True)
class Received:
    fields: UploadFields
    archive: BinaryIO | None
    files: list[tuple[str, BinaryIO]]


def max_body_bytes(limits: ProgramLimits) -> int:
    """A program as large as one may be, in an archive without compression or in parts of a form."""
    return limits.max_bytes + limits.max_files * PART_BYTES + FORM_BYTES


class _TooLongError(MultiPartException):
    """As the parser's own refusals: it closes the files that it has begun."""


@asynccontextmanager
async def received(request: Request, limits: ProgramLimits) -> AsyncIterator[Received]:
    """What the form holds, for as long as it is open.

    Raises `UnsupportedMediaType`, `BodyTooLarge`, `MalformedBody`, `InvalidRequest`.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise UnsupportedMediaType(f"the content type must be multipart/form-data, not {kind[:100] or 'absent'}")
    parser = MultiPartParser(
        request.headers,
        _bounded(request, max_body_bytes(limits)),
        max_files=limits.max_files + 1,
        max_fields=len(FIELDS) + 1,
        max_part_size=MAX_FIELD_BYTES,
    )
    try:
        form = await parser.parse()
    except _TooLongError as error:
        raise BodyTooLarge(error.message) from None
    except MultiPartException as error:
        raise MalformedBody(f"the form cannot be read: {error.message}") from None
    try:
        yield _parts(form)
    finally:
        await form.close()


def program_of(given: Received, limits: ProgramLimits) -> Program:
    """The program that was sent. Raises `InvalidProgram`. Takes a while; run it in a thread."""
    try:
        if given.archive is not None:
            return read_archive(given.archive.read(), limits)
        return program(((path, file.read()) for path, file in given.files), limits)
    except ProgramFilesError as error:
        field = ARCHIVE if given.archive is not None else FILES
        raise InvalidProgram.of(field, str(error), value=error.path) from None


async def _bounded(request: Request, limit: int) -> AsyncGenerator[bytes, None]:
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > limit:
        raise _TooLongError(f"at most {limit} bytes are accepted here, {announced[:20]} were announced")
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise _TooLongError(f"at most {limit} bytes are accepted here")
        yield chunk
    request.scope["state"]["body_bytes"] = size


def _parts(form: FormData) -> Received:
    archives: list[BinaryIO] = []
    files: list[tuple[str, BinaryIO]] = []
    fields: dict[str, str] = {}
    for name, part in form.multi_items():
        if isinstance(part, UploadFile) and name == ARCHIVE:
            archives.append(part.file)
        elif isinstance(part, UploadFile) and name == FILES:
            files.append((part.filename or "", part.file))
        elif isinstance(part, str) and name in FIELDS:
            fields[name] = part
        else:
            kind = "a file" if isinstance(part, UploadFile) else "a field"
            raise InvalidRequest.of(
                name[:100], f"{kind} with this name is not known; send files as {ARCHIVE} or {FILES}"
            )
    if bool(archives) == bool(files) or len(archives) > 1:
        raise InvalidRequest.of(ARCHIVE, f"send one {ARCHIVE}, or {FILES} with their paths as names")
    return Received(_checked(fields), archives[0] if archives else None, files)


def _checked(fields: dict[str, str]) -> UploadFields:
    try:
        return _FIELDS.validate_strings(fields)
    except ValidationError as error:
        raise InvalidRequest.of_fields(invalid_fields(error.errors(include_url=False))) from None
