"""What each module holds at the peak as a short list: small modules are put together."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from experiments.memory.attribution.owners import MODEL, OUTSIDE
from experiments.memory.step import Category
from gpulab.schemas.memory import ModuleMemory

MAX_MODULES = 60
Held = Mapping[tuple[str, Category], int]
"""Bytes by the name that requests carry, and by cause."""


def rows_of(held: Held, kinds: Mapping[str, str], max_modules: int = MAX_MODULES) -> list[ModuleMemory]:
    """At most `max_modules` modules, those that hold most with all that is in them. The others are counted where the
    nearest module above them is."""
    kept = _kept(held, max_modules)
    own: defaultdict[str, Counter[Category]] = defaultdict(Counter)
    rest: defaultdict[str, Counter[Category]] = defaultdict(Counter)
    hidden: defaultdict[str, set[str]] = defaultdict(set)
    for (name, cause), size_bytes in held.items():
        if name in kept:
            own[name][cause] += size_bytes
        else:
            above = next(each for each in _upwards(name) if each in kept)
            rest[above][cause] += size_bytes
            hidden[above].add(name)
    rows = [_row(path, kind, own[MODEL + path]) for path, kind in kinds.items() if MODEL + path in own]
    rows += [_row(path, None, rest[MODEL + path], len(hidden[MODEL + path])) for path in kinds if MODEL + path in rest]
    return rows + ([_row(None, None, own[OUTSIDE])] if OUTSIDE in own else [])


def _kept(held: Held, max_modules: int) -> set[str]:
    """A module comes before those in it, also where it holds nothing else."""
    own: Counter[str] = Counter()
    for (name, _), size_bytes in held.items():
        own[name] += size_bytes
    totals: Counter[str] = Counter()
    for name, size_bytes in own.items():
        for above in _upwards(name):
            totals[above] += size_bytes
    outside = totals.pop(OUTSIDE, None)
    largest = sorted(totals, key=lambda name: (-totals[name], name != MODEL, name.count("."), name))[:max_modules]
    return {*largest, *(() if outside is None else (OUTSIDE,))}


def _upwards(name: str) -> Iterator[str]:
    """The name, and those of the modules around it, up to the model."""
    while name not in {MODEL, OUTSIDE}:
        yield name
        name = name.rpartition(".")[0] or MODEL
    yield name


def _row(path: str | None, kind: str | None, held: Counter[Category], folded: int = 0) -> ModuleMemory:
    sizes = {f"{cause}_bytes": size for cause, size in held.items() if size}
    return ModuleMemory(path=path, kind=kind, folded=folded, held_bytes=sizes)
