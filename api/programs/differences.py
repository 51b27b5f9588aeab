"""What differs between two programs: which files, and which lines of those that are text."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from gpulab.schemas.programs import FileDifferenceRead

MAX_FILE_BYTES = 200_000
MAX_FILE_LINES = 3000
MAX_LINES = 12_000
"""Of all files whose lines are compared: the time grows with the square of a file's."""
Entry = Mapping[str, Any]


def paths(ours: Sequence[Entry], others: Sequence[Entry]) -> tuple[dict[str, Entry], dict[str, Entry], list[str]]:
    """Both manifests by path, and the paths of the files that differ."""
    first, second = ({entry["path"]: entry for entry in manifest} for manifest in (ours, others))
    differing = [
        path
        for path in sorted(first.keys() | second.keys())
        if first.get(path, {}).get("sha256") != second.get(path, {}).get("sha256")
    ]
    return first, second, differing


def differences(
    ours: Sequence[Entry], others: Sequence[Entry], our_tar: bytes, other_tar: bytes
) -> list[FileDifferenceRead]:
    """Each file that differs. Takes a while; run it in a thread."""
    first, second, differing = paths(ours, others)
    room = MAX_LINES
    found = []
    for path in differing:
        one, other = first.get(path), second.get(path)
        lines, omitted, room = _lines(path, _text(one, our_tar), _text(other, other_tar), room)
        found.append(
            FileDifferenceRead(
                path=path,
                status="added" if one is None else "removed" if other is None else "changed",
                size_bytes=one and one["size_bytes"],
                other_size_bytes=other and other["size_bytes"],
                lines=lines,
                omitted=omitted,
            )
        )
    return found


def content(entry: Entry, tar: bytes) -> bytes:
    return tar[entry["offset"] : entry["offset"] + entry["size_bytes"]]


def _text(entry: Entry | None, tar: bytes) -> str | None:
    """None for what is no text. A file that is not there has no lines."""
    if entry is None:
        return ""
    data = content(entry, tar)
    try:
        return None if b"\0" in data else data.decode()
    except UnicodeDecodeError:
        return None


def _lines(
    path: str, ours: str | None, other: str | None, room: int
) -> tuple[str | None, Literal["binary", "too_large"] | None, int]:
    if ours is None or other is None:
        return None, "binary", room
    before, after = ours.splitlines(), other.splitlines()
    count = len(before) + len(after)
    longest = max(len(before), len(after))
    if max(len(ours), len(other)) > MAX_FILE_BYTES or longest > MAX_FILE_LINES or count > room:
        return None, "too_large", room
    lines = difflib.unified_diff(before, after, path, path, lineterm="")
    return "\n".join(lines), None, room - count
