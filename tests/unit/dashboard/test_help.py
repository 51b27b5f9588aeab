"""Help for each page, and what is new in the lab."""

import pytest

from tests.unit.dashboard.scripts import run_module


def test_each_page_has_its_help_and_a_tab_has_its_own() -> None:
    pages = [
        ("/", None),
        ("/jobs", None),
        ("/jobs/0190", None),
        ("/jobs/0190", "output"),
        ("/jobs/0190", "history"),
        ("/studies/new", None),
        ("/studies/1", "report"),
        ("/class", "audit"),
        ("/no/such/page", None),
    ]
    assert run_module(
        "shell/help.ts", "return given.map(([path, tab]) => module.helpFor(path, tab ?? undefined));", pages
    ) == [
        "dashboard.html#reading-the-timeline",
        "dashboard.html#working-in-the-table-of-jobs",
        "dashboard.html#reading-charts",
        "dashboard.html#reading-output",
        "dashboard.html#reading-charts",
        "studies.html#your-own-grid",
        "studies.html#the-report",
        "teaching.html#the-audit-log",
        "dashboard.html#reading-the-timeline",
    ]


@pytest.mark.parametrize(
    ("seen", "shown"),
    [
        ("1.0.0", ["1.2.0", "1.1.0"]),
        ("1.1.0", ["1.2.0"]),
        ("1.2.0", ["1.2.0"]),
        ("0.5.0", ["1.2.0"]),
        (None, ["1.2.0"]),
    ],
)
def test_releases_since_the_one_seen_are_new(seen: str | None, shown: list[str]) -> None:
    body = "return module.since(given.releases, given.seen).map(({ version }) => version);"
    releases = [{"version": version} for version in ("1.2.0", "1.1.0", "1.0.0")]
    assert run_module("shell/changes.ts", body, {"releases": releases, "seen": seen}) == shown


def test_markdown_of_an_entry_becomes_words_and_code() -> None:
    entries = ["`a*b*c` and *x* of **y**, see [docs](a.md#b).", "2 * 3 * 4 stays", "an open ` mark", "<b>&amp;</b>"]
    words = "({ text, code }) => (code ? `<${text}>` : text)"
    body = f'return given.map((entry) => module.pieces(entry).map({words}).join("|"));'
    assert run_module("shell/changes.ts", body, entries) == [
        "<a*b*c>| and x of y, see docs.",
        "2 * 3 * 4 stays",
        "an open ` mark",
        "<b>&amp;</b>",
    ]
