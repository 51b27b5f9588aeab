"""The house rules that a reader relies on."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAX_FILE_LINES = 400


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for line in listed.splitlines() if (path := ROOT / line).exists()]


def test_no_file_has_outgrown_its_room() -> None:
    # Alembic writes a migration, and nobody changes it afterwards.
    written = tracked("*.py", ":!migrations/versions/")
    long = {str(p.relative_to(ROOT)): n for p in written if (n := p.read_text().count("\n")) > MAX_FILE_LINES}
    assert long == {}


def test_state_is_assigned_in_one_place_only() -> None:
    assigning = re.compile(r"\.state\s*=[^=]|values\([^)]*\bstate=")
    places = {
        str(path.relative_to(ROOT))
        for path in tracked("api/*.py", "scheduler/*.py", "worker/*.py", "models/*.py")
        if assigning.search(path.read_text())
    }
    assert places <= {"api/jobs/statements.py", "models/statements/transitions.py"}


def test_sql_is_written_in_statements_alone() -> None:
    writing = re.compile(
        r"^from sqlalchemy import (?:\([^)]*|[^(\n]*)\b(?:select|insert|update|delete|text|func)\b", re.MULTILINE
    )
    places = [
        str(path.relative_to(ROOT))
        for path in tracked("api/*.py", "scheduler/*.py", "worker/*.py")
        if path.stem not in {"statements", "queue_position"} and writing.search(path.read_text())
    ]
    assert places == []


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text()
    pages = [page.name for page in folder.glob("*.md") if page.name != "README.md"]
    assert len(pages) >= 5
    assert [page for page in pages if page not in index] == []


def test_architecture_names_every_top_level_package() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py") if not path.parent.name.startswith(".")}
    assert [name for name in packages if f"`{name}/`" not in text] == []


def test_lock_file_names_no_address() -> None:
    assert not re.search(
        r"https?://|file://|--(extra-)?index-url|--find-links", (ROOT / "requirements.lock").read_text()
    )
