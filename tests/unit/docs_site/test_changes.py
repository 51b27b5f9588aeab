"""The changelog as data."""

from pathlib import Path

from docs_site.changes import releases
from gpulab.version import VERSION

CHANGELOG = """# Changelog

Words about the format.

## [1.2.0] - 2027-02-01

A sentence that is no entry.

### Added

**Machines**

- One entry
  that goes on.
- `another`

**Nothing here**

### Fixed

- A crash.

## 1.1.0

### Fixed

- Another crash.
"""


def test_each_release_has_its_sections_groups_and_entries() -> None:
    newest, before = releases(CHANGELOG)
    assert newest == {
        "version": "1.2.0",
        "date": "2027-02-01",
        "sections": [
            {"title": "Added", "groups": [{"title": "Machines", "entries": ["One entry that goes on.", "`another`"]}]},
            {"title": "Fixed", "groups": [{"title": None, "entries": ["A crash."]}]},
        ],
    }
    assert (before["version"], before["date"]) == ("1.1.0", None)


def test_a_changelog_without_a_release_has_none() -> None:
    assert releases("# Changelog\n\n### Added\n\n- x\n") == []


def test_the_changelog_of_this_version_loses_no_entry() -> None:
    text = (Path(__file__).parents[3] / "CHANGELOG.md").read_text(encoding="utf-8")
    found = releases(text)
    assert found[0]["version"] == VERSION
    entries = [
        entry for one in found for part in one["sections"] for group in part["groups"] for entry in group["entries"]
    ]
    assert len(entries) == sum(line.startswith("- ") for line in text.splitlines())
