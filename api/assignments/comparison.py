"""Whether a run gave the same result again: every value held against its twin. Pure."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from gpulab.schemas.assignments import DifferenceRead, VersionRead

OF_THE_MACHINE = ("_seconds", "_bytes", "_per_second", "_milliseconds", "_watts", "_joules", "_percent")
"""Endings of names that measure the machine and not the result: shown, never judged."""
MAX_DIFFERENCES = 100
MISSING = object()


def compare(pinned: Any, again: Any, tolerance: float) -> tuple[list[DifferenceRead], int]:
    """What differs by more than `tolerance` (relative, of numbers), and how many values were judged."""
    differences = []
    judged = 0
    for path, before, after in _pairs("", pinned, again):
        counts = not any(part.endswith(OF_THE_MACHINE) for part in path.split("."))
        judged += counts
        relative = _distance(before, after)
        if (relative > tolerance) if relative is not None else not _equal(before, after):
            told = None if relative is None or math.isinf(relative) else relative
            differences.append(
                DifferenceRead(path=path, pinned=_shown(before), again=_shown(after), relative=told, judged=counts)
            )
    # What counts comes first where not everything can be told.
    differences.sort(key=lambda difference: not difference.judged)
    return differences[:MAX_DIFFERENCES], judged


def differing_versions(pinned: Mapping[str, str] | None, again: Mapping[str, str] | None) -> list[VersionRead]:
    before, after = pinned or {}, again or {}
    return [
        VersionRead(name=name, pinned=before.get(name), again=after.get(name))
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]


def _pairs(path: str, before: Any, after: Any) -> Iterator[tuple[str, Any, Any]]:
    match before, after:
        case dict(), dict():
            for name in sorted({*before, *after}):
                yield from _pairs(_below(path, name), before.get(name, MISSING), after.get(name, MISSING))
        case list(), list() if len(before) == len(after):
            for index, (first, second) in enumerate(zip(before, after, strict=True)):
                yield from _pairs(_below(path, str(index)), first, second)
        case _:
            yield path or "result", before, after


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _distance(before: Any, after: Any) -> float | None:
    """Over the larger of the two; None where one is no number."""
    if not (_is_number(before) and _is_number(after)):
        return None
    if before == after:
        return 0.0
    scale = max(abs(before), abs(after))
    found = abs(before - after) / scale
    return found if math.isfinite(found) else math.inf


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _equal(before: Any, after: Any) -> bool:
    return type(before) is type(after) and bool(before == after)


def _shown(value: Any) -> Any:
    if value is MISSING:
        return None
    if isinstance(value, list | dict):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    return value[:200] if isinstance(value, str) else value
