"""The dashboard's modules: none imports itself through others, and no folder holds too many."""

import re
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "dashboard" / "src"
MODULES = [path for path in SOURCE.rglob("*.ts*") if path.name not in {"schema.d.ts", "exact-fields.ts"}]
MAX_MODULES_PER_FOLDER = 15
# A page that is loaded on demand (`import("…")`) is not part of a circle.
IMPORT = re.compile(r'^(?:import|export)\b[^;"]*?"(\.[^"]+)";$', re.MULTILINE)


def _imports(module: Path) -> set[Path]:
    names = IMPORT.findall(module.read_text(encoding="utf-8"))
    targets = (module.parent / f"{name}{suffix}" for name in names for suffix in (".ts", ".tsx"))
    return {path.resolve() for path in targets if path.exists()}


def test_no_module_imports_itself_through_others() -> None:
    graph = {module: _imports(module) for module in MODULES}
    assert sum(map(len, graph.values())) > len(MODULES), "imports are found"
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = " -> ".join(str(path.relative_to(SOURCE)) for path in error.args[1])
        raise AssertionError(f"a circle of imports: {circle}") from None


def test_no_folder_holds_too_many_modules() -> None:
    counts = Counter(str(module.parent.relative_to(SOURCE)) for module in MODULES)
    assert {folder: count for folder, count in counts.items() if count > MAX_MODULES_PER_FOLDER} == {}
