"""What becomes of a notebook's parameters: which of them the notebook does not know, or assigns again."""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

TAG = "parameters"
INJECTED_TAG = "injected-parameters"


def doubts(cells: Sequence[Mapping[str, Any]], names: Iterable[str]) -> list[str]:
    """A sentence for each parameter that probably does not do what its user expects.

    `cells` are those of a notebook in nbformat 4; they may hold anything.
    """
    codes = [(tags_of(cell), _source(cell)) for cell in cells if cell.get("cell_type") == "code"]
    codes = [(tags, source) for tags, source in codes if INJECTED_TAG not in tags]
    tagged = next((source for tags, source in codes if TAG in tags), None)
    if tagged is None:
        return list(_untagged([source for _, source in codes], names))
    known = _assigned(tagged)
    return [] if known is None else [_unknown(name, known) for name in names if name not in known]


def tags_of(cell: Mapping[str, Any]) -> list[str]:
    metadata = cell.get("metadata")
    tags = metadata.get("tags") if isinstance(metadata, Mapping) else None
    return tags if isinstance(tags, list) else []


def _unknown(name: str, known: Iterable[str]) -> str:
    return f"the cell tagged `{TAG}` does not assign {name!r}. It assigns: {', '.join(sorted(known)) or 'nothing'}"


def _untagged(codes: Sequence[str], names: Iterable[str]) -> Iterator[str]:
    assigned = [_assigned(source) or set() for source in codes]
    for name in names:
        place = next((number for number, known in enumerate(assigned, start=1) if name in known), None)
        if place is not None:
            yield f"cell {place} assigns {name!r} again, over your value. Tag the cell `{TAG}` to use your value"
        elif not any(re.search(rf"\b{re.escape(name)}\b", source) for source in codes):
            yield f"no cell of the notebook uses {name!r}"


def _assigned(source: str) -> set[str] | None:
    """Variables that the cell sets when it runs, and not those of its functions. None where it is no Python."""
    # IPython alone understands lines that begin so.
    lines = [line for line in source.splitlines() if not line.lstrip().startswith(("%", "!", "?"))]
    try:
        tree = ast.parse("\n".join(lines))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return set(_stored(tree))


def _stored(node: ast.AST) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
            yield child.id
        elif not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            yield from _stored(child)


def _source(cell: Mapping[str, Any]) -> str:
    source = cell.get("source")
    lines = source if isinstance(source, list) else [source]
    return "".join(line for line in lines if isinstance(line, str))
