"""The variance of a result in parts: what each field of a grid explains by itself, what combinations, what seeds.

Analysis of variance of the combinations' means, which weigh the same (Yates, 1934), so that a failed run takes weight
from no combination. The share of a part is omega squared (Hays, Statistics, 1963):
(SS - degrees of freedom x MS of the seeds) / (total SS + MS of the seeds). In contrast to SS / total SS it is near 0
for a field that does nothing. Intervals are a delete-one jackknife over the seeds (Efron and Tibshirani, An
Introduction to the Bootstrap, 1993, chapter 11), with Student's t; for the mean of a complete grid that is the usual
interval.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, harmonic_mean

from experiments.studies.intervals import SHOWN, t_quantile
from gpulab.schemas import FieldShareRead, ImportanceRead

MIN_SEEDS = 3
"""For the interval of a share: without one of them, two are left to tell seeds from combinations."""
MAX_GROUPS = 20
"""Of the jackknife: more seeds are left out in this many groups."""
SAME = 1e-28
"""A variance this small beside the square of the mean is rounding."""

Combination = tuple[int, ...]


@dataclass(frozen=True)
class Grid:
    """A result by combination and seed."""

    levels: Sequence[int]
    """How many values each field has."""
    found: Mapping[Combination, Mapping[int, float]]
    """Every planned combination, as the place of each field's value, with the numbers that are known by seed."""

    @cached_property
    def seeds(self) -> list[int]:
        """Those of any number."""
        return sorted({seed for by_seed in self.found.values() for seed in by_seed})

    @cached_property
    def runs(self) -> int:
        return sum(map(len, self.found.values()))

    @property
    def is_planned_whole(self) -> bool:
        return len(self.found) == math.prod(self.levels)

    def part(self, field: int, level: int) -> "Grid":
        """The combinations with this value of this field."""
        return Grid(self.levels, {at: by_seed for at, by_seed in self.found.items() if at[field] == level})

    def without(self, seeds: Collection[int]) -> "Grid":
        kept = {
            at: {seed: number for seed, number in by_seed.items() if seed not in seeds}
            for at, by_seed in self.found.items()
        }
        return Grid(self.levels, kept)

    def means(self) -> dict[Combination, float] | None:
        """Of each combination; None where one has no number."""
        if not self.found or not all(self.found.values()):
            return None
        return {at: fmean(by_seed.values()) for at, by_seed in self.found.items()}


@dataclass(frozen=True, slots=True)
class Shares:
    fields: list[float]
    combinations: float
    between_seeds: float | None


def mean(grid: Grid) -> list[float] | None:
    """The mean over all combinations, which weigh the same, as the only entry; None where one has no number."""
    means = grid.means()
    return None if means is None else [fmean(means.values())]


def margins(grid: Grid, of: Callable[[Grid], list[float] | None], min_seeds: int = 2) -> list[float] | None:
    """Half the widths of the 95 % intervals of some numbers `of` a grid; None where there are too few seeds."""
    n = min(len(grid.seeds), MAX_GROUPS)
    if len(grid.seeds) < min_seeds:
        return None
    without = [of(grid.without(set(grid.seeds[group::n]))) for group in range(n)]
    known = [values for values in without if values is not None]
    if len(known) < n:
        return None
    return [t_quantile(SHOWN, n - 1) * _jackknife_error(values) for values in zip(*known, strict=True)]


def _jackknife_error(values: Sequence[float]) -> float:
    middle, n = fmean(values), len(values)
    return math.sqrt((n - 1) / n * sum((value - middle) ** 2 for value in values))


def importance(names: Sequence[str], grid: Grid, *, failed: int = 0) -> ImportanceRead:
    """The shares of the fields `names`, or why there are none."""
    reason = _obstacle(names, grid, failed)
    found = None if reason else shares(grid)
    if found is None:
        reason = reason or "The result is the same in every run."
        return _read([], None, grid, reason=reason)
    widths = margins(grid, _field_shares, MIN_SEEDS)
    each: Sequence[float | None] = widths or [None] * len(names)
    fields = [_share(*one) for one in zip(names, found.fields, each, strict=True)]
    few = f"Not enough runs: an interval needs {MIN_SEEDS} seeds, any two of which have a result for every combination."
    return _read(fields, found, grid, no_interval=few if widths is None else None)


def shares(grid: Grid) -> Shares | None:
    """Omega squared of each field, of their combinations and of the seeds; they add up to 1.

    None where the result never differs or a combination has none. With one run a combination, what combinations and
    seeds explain cannot be told apart: then the shares are SS / total SS.
    """
    cells = grid.means()
    if cells is None:
        return None
    grand, count = fmean(cells.values()), len(cells)
    within = sum((number - cells[at]) ** 2 for at, by_seed in grid.found.items() for number in by_seed.values())
    free = grid.runs - count
    noise = within / free if free else 0.0
    n = harmonic_mean([len(by_seed) for by_seed in grid.found.values()])
    between = n * sum((cell - grand) ** 2 for cell in cells.values())
    total = between + noise * count * (n - 1)
    if max(total, within) <= SAME * grid.runs * grand**2:
        return None
    main = [n * _main_effect(cells, field, levels, grand) for field, levels in enumerate(grid.levels)]
    degrees = [levels - 1 for levels in grid.levels]

    def omega(squares: float, degrees: int) -> float:
        return (squares - degrees * noise) / (total + noise)

    return Shares(
        fields=[omega(*each) for each in zip(main, degrees, strict=True)],
        combinations=omega(between - sum(main), count - 1 - sum(degrees)),
        between_seeds=count * n * noise / (total + noise) if free else None,
    )


def _field_shares(grid: Grid) -> list[float] | None:
    found = shares(grid)
    return None if found is None else found.fields


def _main_effect(cells: Mapping[Combination, float], field: int, levels: int, grand: float) -> float:
    """The sum of squares of the field's means around the grand mean, for one run a combination."""
    sums = [0.0] * levels
    for at, cell in cells.items():
        sums[at[field]] += cell
    each = len(cells) / levels
    return each * sum((value / each - grand) ** 2 for value in sums)


def _obstacle(names: Sequence[str], grid: Grid, failed: int) -> str | None:
    if not names:
        return "No field differs between the runs."
    if not grid.is_planned_whole:
        planned, all_of_them = len(grid.found), math.prod(grid.levels)
        return f"The runs are no complete grid: {planned:,} of {all_of_them:,} combinations were planned."
    if missing := sum(not by_seed for by_seed in grid.found.values()):
        runs = f" {failed:,} run{'' if failed == 1 else 's'} failed." if failed else ""
        return f"{missing:,} of {len(grid.found):,} combinations have no result.{runs}"
    if len(names) == 1 and grid.runs == len(grid.found):
        return "Not enough runs: with one field, importance needs a second run of a combination."
    return None


def _read(
    fields: list[FieldShareRead],
    found: Shares | None,
    grid: Grid,
    *,
    reason: str | None = None,
    no_interval: str | None = None,
) -> ImportanceRead:
    return ImportanceRead(
        fields=fields,
        combinations=None if found is None else _limited(found.combinations),
        between_seeds=None if found is None or found.between_seeds is None else _limited(found.between_seeds),
        runs=grid.runs,
        seed_count=len(grid.seeds),
        reason=reason,
        no_interval=no_interval,
    )


def _share(name: str, share: float, margin: float | None) -> FieldShareRead:
    if margin is None:
        return FieldShareRead(field=name, share=_limited(share), low=None, high=None)
    low, high = (_limited(share + sign * margin) for sign in (-1, 1))
    return FieldShareRead(field=name, share=_limited(share), low=low, high=high)


def _limited(share: float) -> float:
    """Chance alone can make a share slightly negative."""
    return min(1.0, max(0.0, share))
