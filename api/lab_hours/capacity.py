"""Whether the lab has the GPUs that lab hours ask for, beside other lab hours. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from models.tables.lab_hours import Occurrence, occurrences


class TooMany(NamedTuple):
    """What is in the way at one moment. No `others`: the lab has not as many GPUs at all."""

    moment: datetime
    wanted: int
    free: int
    others: Sequence[Any]


class _Taken(NamedTuple):
    row: Any
    occurrence: Occurrence


def too_many(new: Any, others: Iterable[Any], gpus: Mapping[str, int], now: datetime) -> TooMany | None:
    """The first moment at which `new` asks for more GPUs than the lab has beside `others`.

    All are rows of lab hours; `gpus` is the number of GPUs by node. One that names no node may get any GPU.
    """
    coming = list(occurrences(new, now))
    if not coming:
        return None
    last = max(one.end for one in coming)
    taken = [_Taken(row, one) for row in others for one in occurrences(row, coming[0].start) if one.start < last]
    for own in coming:
        beside = [each for each in taken if each.occurrence.start < own.end and each.occurrence.end > own.start]
        moments = {own.start, *(each.occurrence.start for each in beside if each.occurrence.start > own.start)}
        for moment in sorted(moments):
            there = [each.row for each in beside if each.occurrence.start <= moment < each.occurrence.end]
            found = _at(moment, new, there, gpus)
            if found is not None:
                return found
    return None


def _at(moment: datetime, new: Any, there: Sequence[Any], gpus: Mapping[str, int]) -> TooMany | None:
    wanted = _count(new, gpus)
    taken = Counter[str | None]()
    for row in there:
        taken[row.node] += _count(row, gpus)
    free = sum(gpus.values()) - sum(taken.values())
    if new.node is not None:
        free = min(free, gpus.get(new.node, 0) - taken[new.node])
    return None if wanted <= free else TooMany(moment, wanted, max(free, 0), there)


def _count(row: Any, gpus: Mapping[str, int]) -> int:
    return gpus.get(row.node, 0) if row.gpus is None else int(row.gpus)
