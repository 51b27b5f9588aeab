"""Reads TensorBoard's event files: TFRecord framing with masked CRC-32C, and the few fields of protobuf that matter.

A file is hostile input: every size is bounded before anything is read, and what cannot be read ends that file alone.
Formats: TensorFlow's `record_writer.h`, `event.proto`, `summary.proto` and `tensor.proto`.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

MAX_RECORD_BYTES = 16 * 2**20
MAX_CHECKED_BYTES = 4096
"""A number's record is far shorter. The checksum of a longer one, such as an image's, takes long to compute here."""
MAX_VALUES = 1000
"""Of one event."""
MAX_TAG_BYTES = 400
HEADER = struct.Struct("<QI")
FOOTER = struct.Struct("<I")
CASTAGNOLI = 0x82F63B78
MASK_DELTA = 0xA282EAD8
PNG = b"\x89PNG\r\n\x1a\n"
DT_FLOAT, DT_DOUBLE, DT_STRING = 1, 2, 7


class EventFileError(Exception):
    """Bytes that are no event file, or more than is read."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """A number of a tag at a step; `time` is seconds since the epoch."""

    tag: str
    step: int
    time: float
    value: float


@dataclass(frozen=True, slots=True)
class Image:
    """An image of a tag at a step, encoded as the file has it."""

    tag: str
    step: int
    time: float
    data: bytes


def read_records(data: bytes) -> tuple[list[bytes], int]:
    """The whole records at the beginning of `data`, and how many bytes they take; half a record waits for its rest.

    Raises `EventFileError` if the first record is too long or its checksum is wrong; long records are not checked.
    """
    found: list[bytes] = []
    at = 0
    try:
        while (record := _record_at(data, at)) is not None:
            found.append(record)
            at += HEADER.size + len(record) + FOOTER.size
    except EventFileError:
        if not found:
            raise
    return found, at


def _record_at(data: bytes, at: int) -> bytes | None:
    """None where a part of it is missing."""
    if len(data) - at < HEADER.size:
        return None
    length, length_crc = HEADER.unpack_from(data, at)
    if masked_crc(data[at : at + 8]) != length_crc:
        raise EventFileError("the checksum of a record's length is wrong")
    if length > MAX_RECORD_BYTES:
        raise EventFileError(f"a record has {length} bytes; the limit is {MAX_RECORD_BYTES}")
    end = at + HEADER.size + length
    if len(data) < end + FOOTER.size:
        return None
    record = data[at + HEADER.size : end]
    if length <= MAX_CHECKED_BYTES and masked_crc(record) != FOOTER.unpack_from(data, end)[0]:
        raise EventFileError("the checksum of a record is wrong")
    return record


def values_of(record: bytes) -> Iterator[Scalar | Image]:
    """The scalars and images of an event. Raises `EventFileError` for what is no event."""
    time, step, summary = 0.0, 0, b""
    for number, value in _fields(record):
        if number == 1 and isinstance(value, bytes) and len(value) == 8:
            time = struct.unpack("<d", value)[0]
        elif number == 2 and isinstance(value, int):
            step = value - 2**64 if value >= 2**63 else value
        elif number == 5 and isinstance(value, bytes):
            summary = value
    count = 0
    for number, value in _fields(summary):
        if number == 1 and isinstance(value, bytes):
            count += 1
            if count > MAX_VALUES:
                raise EventFileError(f"an event has more than {MAX_VALUES} values")
            yield from _value(value, step, time)


def _value(data: bytes, step: int, time: float) -> Iterator[Scalar | Image]:
    tag, found = "", {}
    for number, value in _fields(data):
        if number == 1 and isinstance(value, bytes):
            tag = value[:MAX_TAG_BYTES].decode("utf-8", "replace")
        elif isinstance(value, bytes):
            found[number] = value
    if not tag:
        return
    if 2 in found and len(found[2]) == 4:
        yield Scalar(tag, step, time, struct.unpack("<f", found[2])[0])
    elif 4 in found:
        yield from (Image(tag, step, time, data) for data in _strings(found[4], 4))
    elif 8 in found:
        yield from _of_tensor(found[8], tag, step, time)


def _of_tensor(data: bytes, tag: str, step: int, time: float) -> Iterator[Scalar | Image]:
    """Newer writers put numbers and images into tensors."""
    kind, content, floats, doubles = 0, b"", b"", b""
    for number, value in _fields(data):
        if number == 1 and isinstance(value, int):
            kind = value
        elif number in {4, 5, 6} and isinstance(value, bytes):
            content, floats, doubles = (value if number == wanted else old for wanted, old in
                                        ((4, content), (5, floats), (6, doubles)))  # fmt: skip
    if kind == DT_FLOAT and len(content or floats) == 4:
        yield Scalar(tag, step, time, struct.unpack("<f", content or floats)[0])
    elif kind == DT_DOUBLE and len(content or doubles) == 8:
        yield Scalar(tag, step, time, struct.unpack("<d", content or doubles)[0])
    elif kind == DT_STRING:
        # Width and height come first, as texts.
        yield from (Image(tag, step, time, text) for text in _strings(data, 8) if text.startswith(PNG))


def _strings(data: bytes, wanted: int) -> Iterator[bytes]:
    return (value for number, value in _fields(data) if number == wanted and isinstance(value, bytes))


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field: an integer for a varint, bytes for everything else."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        if kind == 2:
            size, at = _varint(data, at)
        elif kind in {1, 5}:
            size = 8 if kind == 1 else 4
        else:
            raise EventFileError(f"a field of kind {kind}")
        if size > len(data) - at:
            raise EventFileError("a field is longer than its message")
        yield key >> 3, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(10):
        if at + place >= len(data):
            break
        byte = data[at + place]
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value & (2**64 - 1), at + place + 1
    raise EventFileError("a number without an end")


def _table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (CASTAGNOLI if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


_TABLE = _table()


def masked_crc(data: bytes) -> int:
    """The CRC-32C of the data, rotated and shifted as TensorFlow stores it."""
    crc, table = 0xFFFFFFFF, _TABLE
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17 & 0xFFFFFFFF) + MASK_DELTA) & 0xFFFFFFFF
