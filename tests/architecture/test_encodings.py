"""Text files are UTF-8 in every locale: who opens one says so."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("gpulab", "server", "api", "gate", "models", "migrations", "scheduler", "worker", "experiments")
OF_A_FILE = {"read_text": 0, "write_text": 1}
"""Where the encoding may stand among the arguments."""
OPENERS = {"open": 2, "fdopen": 3}
MODES = set("rwaxbt+")


def _unnamed(tree: ast.AST) -> Iterator[int]:
    """Lines that open a text file without an encoding."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or any(word.arg == "encoding" for word in node.keywords):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if (name in OF_A_FILE and len(node.args) <= OF_A_FILE[name]) or (name in OPENERS and _opens_text(node, name)):
            yield node.lineno


def _opens_text(node: ast.Call, name: str) -> bool:
    owner = node.func.value if isinstance(node.func, ast.Attribute) else None
    if isinstance(owner, ast.Name) and (owner.id, name) != ("os", "fdopen") and owner.id[0].isupper():
        return False
    if isinstance(owner, ast.Name) and (owner.id, name) == ("os", "open"):
        return False
    given = [*node.args, *(word.value for word in node.keywords if word.arg == "mode")]
    constants = [one.value for one in given if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    modes = [text for text in constants if text and set(text) <= MODES]
    # Without a mode it is `path.open()`, or something else that is opened.
    return any("b" not in mode for mode in modes) or (owner is not None and not given and name == "open")


@pytest.mark.parametrize("package", PACKAGES)
def test_every_open_of_a_text_file_names_its_encoding(package: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sorted((ROOT / package).rglob("*.py"))
        for line in _unnamed(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert found == [], 'add encoding="utf-8": another locale reads and writes other letters'


def test_an_unnamed_encoding_is_found() -> None:
    wrong = ["p.read_text()", "p.write_text(t)", "open(p, 'w')", "p.open()", "os.fdopen(1, 'w')"]
    right = [
        "p.open('rb')",
        "p.open('w', encoding='utf-8')",
        "os.open(p, flags)",
        "Image.open(p)",
        "p.read_text('ascii')",
    ]
    assert list(_unnamed(ast.parse("\n".join(wrong + right)))) == [1, 2, 3, 4, 5]
