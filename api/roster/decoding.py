"""The text of a roster's file: UTF-8, UTF-16, or the Windows-1252 of older spreadsheets. Never a guess in silence."""

import base64
import codecs
import re
from dataclasses import dataclass

from api.http.problems import InvalidRequest

WAY_OUT = "save it as “CSV UTF-8” and try again"
WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""First bytes of .xlsx and .ods, and of .xls."""
NOT_WINDOWS_1252 = re.compile(r"[^\x00-\x7f]{3}|[^\x00-\x7f\w\xa0‘’´–]")
"""No Western name has three such letters in a row, nor signs within: another code page was written there."""
BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")
CELL_ENDS = re.compile(r"[,;\t\r\n\"]")
MAX_SAMPLE_LENGTH = 40


@dataclass(frozen=True, slots=True)
class Decoded:
    text: str
    notice: str | None = None
    """How it was read, where it was not UTF-8."""


def of_order(csv: str | None, file: str | None) -> Decoded:
    """The table of a request, as text or as a file's bytes in Base64. Raises `InvalidRequest`."""
    if csv is not None:
        return Decoded(csv)
    try:
        data = base64.b64decode(file or "", validate=True)
    except ValueError:
        raise InvalidRequest.of("file", "is not Base64", value=file) from None
    return decode(data)


def decode(data: bytes) -> Decoded:
    """Raises `InvalidRequest` with a way out where the text cannot be known."""
    if data.startswith(WORKBOOKS):
        raise _refused(f"this is a workbook, not a table; {WAY_OUT}")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _utf_16(data)
    if b"\0" in data:
        raise _refused(f"the file has bytes that are not text; {WAY_OUT}")
    try:
        return Decoded(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return _windows_1252(data, error)


def _utf_16(data: bytes) -> Decoded:
    try:
        text = data.decode("utf-16")
    except UnicodeDecodeError as error:
        raise _refused(f"the file begins as UTF-16 does and breaks off at byte {error.start}; {WAY_OUT}") from None
    if "\0" in text:
        raise _refused(f"the file is in UTF-32; {WAY_OUT}")
    return Decoded(text, "The file was read as UTF-16.")


def _windows_1252(data: bytes, error: UnicodeDecodeError) -> Decoded:
    line = data.count(b"\n", 0, error.start) + 1
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        text = ""
    if not text or NOT_WINDOWS_1252.search(text):
        message = f"line {line} is neither UTF-8, UTF-16 nor Windows-1252 (byte {error.start}); {WAY_OUT}"
        raise _refused(message)
    question = f"Is “{_sample(text)}” right? If not, {WAY_OUT}."
    return Decoded(text, f"The file is not UTF-8; it was read as Windows-1252. {question}")


def _sample(text: str) -> str:
    """The first cell with a letter beyond ASCII."""
    found = BEYOND_ASCII.search(text)
    place = found.start() if found else 0
    before = CELL_ENDS.split(text[max(place - MAX_SAMPLE_LENGTH, 0) : place])[-1]
    after = CELL_ENDS.split(text[place : place + MAX_SAMPLE_LENGTH])[0]
    return (before + after).strip()


def _refused(message: str) -> InvalidRequest:
    return InvalidRequest.of("file", message)
