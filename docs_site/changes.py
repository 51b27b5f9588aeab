"""The changelog as data: the dashboard shows what is new since a user's last look."""

import re
from typing import TypedDict

RELEASE = re.compile(r"^## \[?(?P<version>\d[^\]\s]*)\]?(?: - (?P<date>\S+))?$")
SECTION = re.compile(r"^### (?P<title>.+)$")
GROUP = re.compile(r"^\*\*(?P<title>.+)\*\*$")


class Group(TypedDict):
    """Entries about one part, which may have a name."""

    title: str | None
    entries: list[str]


class Section(TypedDict):
    """`Added`, `Changed`, `Fixed` or `Security`."""

    title: str
    groups: list[Group]


class Release(TypedDict):
    version: str
    date: str | None
    sections: list[Section]


def releases(changelog: str) -> list[Release]:
    """Those of a changelog, in its order, the newest first. Entries are in Markdown, each on one line."""
    found: list[Release] = []
    for line in changelog.splitlines():
        if begins := RELEASE.match(line):
            found.append({"version": begins["version"], "date": begins["date"], "sections": []})
        elif found:
            _take(found[-1]["sections"], line)
    for release in found:
        for section in release["sections"]:
            section["groups"] = [group for group in section["groups"] if group["entries"]]
    return found


def _take(sections: list[Section], line: str) -> None:
    if section := SECTION.match(line):
        sections.append({"title": section["title"], "groups": [{"title": None, "entries": []}]})
        return
    if not sections:
        return
    groups = sections[-1]["groups"]
    entries = groups[-1]["entries"]
    if group := GROUP.match(line):
        groups.append({"title": group["title"], "entries": []})
    elif line.startswith("- "):
        entries.append(line[2:])
    elif line.startswith("  ") and entries:
        entries[-1] += " " + line.strip()
