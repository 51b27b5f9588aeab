"""Names that were replaced stay away: one word for one thing."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RETIRED = {
    r"MOST_[A-Z]\w*": "MAX_",
    r"LEAST_[A-Z]\w*": "MIN_",
    r"\w+_AT_ONCE": "MAX_ or BATCH_SIZE",
    r"_told": "a name of what the function gives",
    r"_?take_back": "a name of what the function does",
    r"PartsRead": "Parts",
    r"FORMER_NAMES": "nothing: no name was ever released",
    r"client\.people": "client.users",
}
"""Each pattern matches a whole word; with it, what to use now."""
EXEMPT = ("CHANGELOG.md", "docs/decisions/", "tests/architecture/test_retired_names.py")
"""Texts about earlier states, and this list."""
TEXT = {".py", ".pyi", ".ts", ".tsx", ".md", ".toml", ".yml", ".yaml", ".sh"}
SEARCHED = re.compile("|".join(rf"(?<!\w)(?:{pattern})(?!\w)" for pattern in RETIRED))


def found_in(text: str) -> list[tuple[int, str]]:
    """Line numbers and retired names."""
    return [(number, match[0]) for number, line in enumerate(text.splitlines(), 1) for match in SEARCHED.finditer(line)]


def advice(name: str) -> str:
    return next(now for pattern, now in RETIRED.items() if re.fullmatch(pattern, name))


def test_no_retired_name_comes_back() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split(
        "\n"
    )
    paths = [path for path in listed if Path(path).suffix in TEXT and not path.startswith(EXEMPT)]
    assert len(paths) > 500
    again = [
        f"{path}:{number}: {name}: use {advice(name)}"
        for path in paths
        if (ROOT / path).is_file()
        for number, name in found_in((ROOT / path).read_text(encoding="utf-8"))
    ]
    assert not again, "\n".join(again)


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("MOST_ROWS = 3", "MOST_ROWS"),
        ("from x import LEAST_BYTES as least", "LEAST_BYTES"),
        ("self._told = True", "_told"),
        ("ROWS_AT_ONCE", "ROWS_AT_ONCE"),
        ("found = session.client.people.users()", "client.people"),
    ],
)
def test_a_retired_name_is_found_with_its_line(line: str, name: str) -> None:
    assert found_in(f"first\n{line}\n") == [(2, name)]


@pytest.mark.parametrize("line", ["MOST of them", "host_told = []", "ALMOST_FULL", "not_told(part)"])
def test_words_that_only_look_alike_are_left_alone(line: str) -> None:
    assert found_in(line) == []
