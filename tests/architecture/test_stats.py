"""The code keeps the shape that `make stats` prints, and the measures measure what they say."""

from pathlib import PurePosixPath

import pytest

from ops import stats

LIMITS_TO_KEEP = ("folders", "circles", "repeated", "median", "90th", "tests")
"""The measures that no change may break, by the beginning or a word of their names."""


@pytest.fixture(scope="module")
def measures() -> list[stats.Measure]:
    return stats.measures()


@pytest.mark.parametrize("word", LIMITS_TO_KEEP)
def test_limit_is_kept(measures: list[stats.Measure], word: str) -> None:
    measure = next(one for one in measures if word in one.name)
    assert measure.kept, (measure.value, measure.limit, measure.examples)


def test_crowded_folder_is_named_without_counting_its_init() -> None:
    full = [PurePosixPath(f"api/full/m{number}.py") for number in range(15)]
    assert stats.crowded_folders([*full, PurePosixPath("api/full/__init__.py")]) == {}
    assert stats.crowded_folders([*full, PurePosixPath("api/full/one_more.py")]) == {"api/full": 16}


def test_function_counts_from_def_to_its_last_line() -> None:
    assert list(stats.function_lines("@cached\ndef f(\n    a,\n):\n    return a\n\n\nx = 1\n")) == [4]


def test_circle_of_imports_is_shown_whole() -> None:
    sources = {
        "a": "import b\n",
        "b": "try:\n    from c import f\nexcept ImportError:\n    f = None\n",
        "c": "import a\n",
    }
    imports = {name: stats.imported(source, name, frozenset(sources)) for name, source in sources.items()}
    found = stats.circle(imports)
    assert found[0] == found[-1]
    assert set(found) == {"a", "b", "c"}


@pytest.mark.parametrize("late", ["def f():\n    import b\n", "if TYPE_CHECKING:\n    import b\n", "import json\n"])
def test_import_that_is_not_taken_at_load_makes_no_circle(late: str) -> None:
    assert stats.imported(late, "a", frozenset({"a", "b"})) == set()


def test_script_that_imports_a_type_or_lazily_makes_no_circle() -> None:
    source = 'import { a } from "../a";\nimport type { B } from "./b";\nconst c = () => import("./c");\n'
    known = frozenset({"src/a.ts", "src/x/b.ts", "src/x/c.ts"})
    assert stats.script_imports(source, PurePosixPath("src/x/here.tsx"), known) == {"src/a.ts"}


@pytest.mark.parametrize(("shared", "found"), [(10, 0), (11, 1), (14, 1)])
def test_stretch_counts_as_repeated_above_the_limit(shared: int, found: int) -> None:
    same = "\n".join(f"    line_{number}()" for number in range(shared))
    sources = {"a.py": f"import os\n\none = 1\n{same}\n", "b.py": f"two = 2\nthree = 3\n{same}\nfour = 4\n"}
    pairs = stats.repeated(sources)
    assert len(pairs) == found
    assert pairs == ([(("a.py", 4), ("b.py", 3), shared)] if found else [])
