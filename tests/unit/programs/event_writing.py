"""Event files by a second implementation: bit-wise CRC, protobuf by hand."""

import struct

CASTAGNOLI = 0x1EDC6F41


def crc32c(data: bytes) -> int:
    """As in RFC 3720, bit by bit, with the polynomial the right way round."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= int(f"{byte:08b}"[::-1], 2) << 24
        for _ in range(8):
            crc = (crc << 1 ^ (CASTAGNOLI if crc & 0x80000000 else 0)) & 0xFFFFFFFF
    return int(f"{crc ^ 0xFFFFFFFF:032b}"[::-1], 2)


def masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15) + (crc << 17) + 0xA282EAD8) % 2**32)


def framed(record: bytes, length: int | None = None) -> bytes:
    head = struct.pack("<Q", len(record) if length is None else length)
    return head + masked(head) + record + masked(record)


def varint(value: int) -> bytes:
    value %= 2**64
    parts = []
    while value >= 0x80:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def message(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def event(step: int, *values: bytes, time: float = 0.0) -> bytes:
    summary = b"".join(message(1, value) for value in values)
    return b"\x09" + struct.pack("<d", time) + b"\x10" + varint(step) + message(5, summary)


def scalar(tag: str, value: float) -> bytes:
    return message(1, tag.encode()) + b"\x15" + struct.pack("<f", value)


def image(tag: str, data: bytes) -> bytes:
    return message(1, tag.encode()) + message(4, b"\x08\x02\x10\x02\x18\x03" + message(4, data))
