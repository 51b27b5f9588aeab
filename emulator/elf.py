"""Which names a shared library asks others for, and which it offers: the dynamic symbols of a 64-bit ELF file."""

import struct
from collections.abc import Iterator
from pathlib import Path

DYNAMIC_SYMBOLS, SYMBOL = 11, struct.Struct("<IBBHQQ")
SECTION = struct.Struct("<IIQQQQIIQQ")
UNDEFINED = 0


def undefined_names(library: Path) -> set[str]:
    return {name for name, section in _symbols(library) if section == UNDEFINED}


def defined_names(library: Path) -> set[str]:
    return {name for name, section in _symbols(library) if section != UNDEFINED}


def _symbols(library: Path) -> Iterator[tuple[str, int]]:
    with library.open("rb") as file:
        header = file.read(64)
        if header[:5] != b"\x7fELF\x02":
            raise ValueError(f"{library} is not a 64-bit ELF file")
        (place,) = struct.unpack_from("<Q", header, 40)
        size, count = struct.unpack_from("<HH", header, 58)
        file.seek(place)
        table = file.read(size * count)
        sections = [SECTION.unpack_from(table, at * size) for at in range(count)]
        for _, kind, _, _, offset, length, link, *_ in sections:
            if kind == DYNAMIC_SYMBOLS:
                file.seek(sections[link][4])
                names = file.read(sections[link][5])
                file.seek(offset)
                yield from _entries(file.read(length), names)


def _entries(symbols: bytes, names: bytes) -> Iterator[tuple[str, int]]:
    for name, _, _, section, _, _ in SYMBOL.iter_unpack(symbols):
        if name:
            yield names[name : names.index(b"\0", name)].decode(), section
