"""Thinning a series for an image without losing what the eye looks for: its ends and its extremes."""

import math
from collections.abc import Sequence


def kept_indexes(values: Sequence[float | None], max_points: int) -> list[int]:
    """Which points to keep, in order, at most `max_points` (at least 2).

    The first, the last, and the smallest and the largest of each of equally many points between them. A value that is
    missing or not finite counts as larger than any other: where a curve breaks is what a reader must see.
    """
    count = len(values)
    if count <= max_points:
        return list(range(count))
    if max_points < 4:
        return [0, count - 1]
    keys = [value if value is not None and math.isfinite(value) else math.inf for value in values]
    buckets = (max_points - 2) // 2
    inner = count - 2
    kept = {0, count - 1}
    for bucket in range(buckets):
        start = 1 + bucket * inner // buckets
        window = keys[start : 1 + (bucket + 1) * inner // buckets]
        if window:
            kept.add(start + window.index(min(window)))
            kept.add(start + window.index(max(window)))
    return sorted(kept)
