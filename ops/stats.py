"""`make stats`: the size and the shape of the code, beside the limits that the project sets itself.

Ends with 1 where a limit is not kept. `tests/architecture/test_stats.py` holds the limits that no change may break.
"""

import ast
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import combinations
from pathlib import Path, PurePosixPath
from statistics import median, quantiles

ROOT = Path(__file__).resolve().parents[1]
NOT_THE_PRODUCT = ("tests", "benchmarks", "homework", "docs", "docs_site", "ops")
"""Folders at the top that a lab runs without."""
MAX_PRODUCT_LINES = 36_000
MAX_MODULES_IN_A_FOLDER = 15
MAX_REPEATED_LINES = 10
MAX_MEDIAN_FUNCTION_LINES = 8
MAX_P90_FUNCTION_LINES = 22
MIN_TEST_SHARE = 0.55
"""Lines of tests for each line of the product."""

Place = tuple[str, int]
"""A file and its first line of a repeated stretch, counted from 1."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure beside its limit. `examples` name what breaks the limit."""

    name: str
    value: float
    limit: str
    kept: bool
    examples: tuple[str, ...] = ()


def tracked(ending: str) -> list[PurePosixPath]:
    """The repository's files that end like this, new ones too, in order."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", f"*{ending}"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    return sorted(PurePosixPath(name) for name in names if (ROOT / name).is_file())


def is_product(path: PurePosixPath) -> bool:
    """Whether a lab needs the file to run."""
    return path.parts[0] not in NOT_THE_PRODUCT


def crowded_folders(paths: Iterable[PurePosixPath]) -> dict[str, int]:
    """The folders with more modules than `MAX_MODULES_IN_A_FOLDER`. Packages' `__init__` do not count."""
    modules = Counter(str(path.parent) for path in paths if path.name != "__init__.py")
    return {folder: count for folder, count in modules.items() if count > MAX_MODULES_IN_A_FOLDER}


def function_lines(source: str) -> Iterator[int]:
    """The length of each function, from `def` to its last line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield (node.end_lineno or node.lineno) - node.lineno + 1


def imported(source: str, module: str, known: frozenset[str]) -> set[str]:
    """Our modules that a module imports, by absolute names, when it is loaded; imports for type checking left out."""
    found: set[str] = set()
    for node in _loaded(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            found |= {name if name in known else str(node.module) for name in names}
        else:
            found |= {alias.name for alias in node.names}
    return (found & known) - {module}


def _loaded(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        elif not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)):
            yield from _loaded(node)


def circle(imports: Mapping[str, Iterable[str]]) -> list[str]:
    """One circle of imports, from a module back to itself; empty where there is none."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def repeated(sources: Mapping[str, str], above: int = MAX_REPEATED_LINES) -> list[tuple[Place, Place, int]]:
    """Pairs of places that share more than `above` lines in a row to the letter, blank lines and imports left out."""
    lines = {name: list(_telling(source)) for name, source in sources.items()}
    windows: dict[tuple[str, ...], list[tuple[str, int]]] = defaultdict(list)
    for name, kept in lines.items():
        for start in range(len(kept) - above):
            windows[tuple(text for _, text in kept[start : start + above + 1])].append((name, start))
    found: dict[tuple[str, str, int], list[int]] = defaultdict(list)
    for places in windows.values():
        for (name, start), (other, there) in combinations(places, 2):
            if name != other or abs(there - start) > above:
                found[name, other, there - start].append(start)
    return sorted(
        ((name, lines[name][first][0]), (other, lines[other][first + shift][0]), length)
        for (name, other, shift), starts in found.items()
        for first, length in _stretches(sorted(starts), above)
    )


def _telling(source: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(source.splitlines(), start=1):
        if (text := line.strip()) and not text.startswith(("import ", "from ")):
            yield number, text


def _stretches(starts: list[int], above: int) -> Iterator[tuple[int, int]]:
    first = last = starts[0]
    for start in starts[1:]:
        if start > last + 1:
            yield first, last - first + above + 1
            first = start
        last = start
    yield first, last - first + above + 1


def script_imports(source: str, path: PurePosixPath, known: frozenset[str]) -> set[str]:
    """The dashboard's files that a TypeScript file loads at once; types and lazy imports left out."""
    found = set()
    for name in re.findall(r'^(?:import|export) (?!type )[^;]*?from "(\.[^"]+)"', source, re.MULTILINE):
        parts: list[str] = list(path.parent.parts)
        for part in PurePosixPath(name).parts:
            parts = parts[:-1] if part == ".." else parts if part == "." else [*parts, part]
        base = "/".join(parts)
        found |= {file for file in (base, f"{base}.ts", f"{base}.tsx", f"{base}/index.ts") if file in known}
    return found


def measures() -> list[Measure]:
    """Every figure of the repository, beside its limit."""
    python = tracked(".py")
    sources = {str(path): (ROOT / path).read_text(encoding="utf-8") for path in python}
    product = {name: source for name, source in sources.items() if is_product(PurePosixPath(name))}
    scripts = [path for ending in (".ts", ".tsx") for path in tracked(ending) if path.parts[0] == "dashboard"]
    lines, tests = _lines(product), _lines(sources, under="tests")
    functions = sorted(length for source in product.values() for length in function_lines(source))
    modules = {_module(name): source for name, source in product.items()}
    return [
        _at_most("lines of the product's Python", lines, MAX_PRODUCT_LINES),
        _none(f"folders above {MAX_MODULES_IN_A_FOLDER} modules", _crowded([*map(PurePosixPath, product), *scripts])),
        _none("circles of imports", _circles(modules, scripts)),
        _none(f"pairs of places repeated above {MAX_REPEATED_LINES} lines", map(_pair, repeated(product))),
        _at_most("median of a function's lines", median(functions), MAX_MEDIAN_FUNCTION_LINES),
        _at_most("90th percentile of a function's lines", quantiles(functions, n=10)[-1], MAX_P90_FUNCTION_LINES),
        _at_least("lines of tests for a line of the product", round(tests / lines, 2), MIN_TEST_SHARE),
    ]


def _module(name: str) -> str:
    return name.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def _lines(sources: Mapping[str, str], under: str = "") -> int:
    return sum(len(source.splitlines()) for name, source in sources.items() if name.startswith(under))


def _crowded(paths: list[PurePosixPath]) -> Iterator[str]:
    return (f"{folder}: {count}" for folder, count in crowded_folders(paths).items())


def _circles(modules: dict[str, str], scripts: list[PurePosixPath]) -> list[str]:
    known, files = frozenset(modules), frozenset(map(str, scripts))
    python = {name: imported(source, name, known) for name, source in modules.items()}
    pages = {str(path): script_imports((ROOT / path).read_text(encoding="utf-8"), path, files) for path in scripts}
    return [" -> ".join(found) for graph in (python, pages) if (found := circle(graph))]


def _pair(pair: tuple[Place, Place, int]) -> str:
    (name, line), (other, there), length = pair
    return f"{name}:{line} and {other}:{there}, {length} lines"


def _at_most(name: str, value: float, limit: int) -> Measure:
    return Measure(name, value, f"<= {limit}", value <= limit)


def _at_least(name: str, value: float, limit: float) -> Measure:
    return Measure(name, value, f">= {limit}", value >= limit)


def _none(name: str, examples: Iterable[str]) -> Measure:
    found = tuple(examples)
    return Measure(name, len(found), "0", not found, found)


def main() -> int:
    """Print the measures; 1 where a limit is not kept."""
    found = measures()
    for one in found:
        sys.stdout.write(f"{'ok' if one.kept else 'NO':3} {one.value:>8g}  {one.limit:9}  {one.name}\n")
        sys.stdout.writelines(f"              {example}\n" for example in one.examples)
    return 0 if all(one.kept for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
