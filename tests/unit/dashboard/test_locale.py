"""Numbers and times in every language that a browser may report, also in ones that do not exist."""

from typing import Any

import pytest

from tests.unit.dashboard.scripts import run_module


def test_names_that_repeat_are_counted() -> None:
    body = "return [[], ['emulated T4'], ['Tesla T4', 'Tesla T4', 'NVIDIA L4']].map(module.tally);"
    assert run_module("format.ts", body) == ["", "emulated T4", "2 × Tesla T4, NVIDIA L4"]


@pytest.mark.parametrize(
    ("language", "languages", "expected"),
    [
        ("C", ["C"], "en"),
        ("C.UTF-8", [], "en"),
        ("POSIX", None, "en"),
        (None, None, "en"),
        ("", [""], "en"),
        ("en-US@posix", ["en-US@posix"], "en-US"),
        ("de_DE.UTF-8", ["de_DE.UTF-8"], "de-DE"),
        ("tr-TR", ["tr-TR"], "tr-TR"),
        ("x", ["not a tag", "fr"], "fr"),
        ("ar-EG", ["ar-EG"], "ar-EG"),
    ],
)
def test_a_language_that_does_not_exist_falls_back(language: str | None, languages: Any, expected: str) -> None:
    body = """
        return [module.LOCALE, navigator.language, (1234.5).toLocaleString(module.LOCALE).length > 0];
    """
    assert run_module("locale.ts", body, browser=(language, languages)) == [expected, expected, True]


@pytest.mark.parametrize("zone", ["Nowhere/Bogus", "", ":/etc/localtime", "UTC", "Asia/Kathmandu"])
def test_times_are_shown_in_every_time_zone(zone: str) -> None:
    body = """
        const ago = module.ago(given[0], Date.parse(given[0]) - 7e6);
        return [module.fullTime(given[0]), ago, module.integer(given[1])];
    """
    given = ["2030-01-31T12:00:00Z", 1234567]
    full, ago, number = run_module("format.ts", body, given, zone=zone, browser=("C", ["C"]))
    assert "2030" in full
    assert ago == "in 2 hours"
    assert number == "1,234,567"


def test_a_browser_without_a_time_zone_names_none() -> None:
    given = [None, "", "Etc/Unknown", "Europe/Berlin"]
    body = "return given.map((name) => module.zoneOf(name ?? undefined));"
    assert run_module("format.ts", body, given) == [None, None, None, "Europe/Berlin"]


@pytest.mark.parametrize(
    ("language", "expected"), [("de-DE", "[0,5; 1.118,25; 3]"), ("en-GB", "[0.5, 1,118.25, 3]"), ("fr", None)]
)
def test_lists_of_numbers_can_be_read_and_words_are_those_of_the_page(language: str, expected: str | None) -> None:
    body = """
        const due = module.whenDue("2030-01-02T12:00:00Z", Date.parse("2030-01-01T11:00:00Z"));
        return [module.value([0.5, 1118.25, 3]), due];
    """
    shown, due = run_module("format.ts", body, browser=(language, [language]))
    assert shown == expected or (expected is None and shown.startswith("[0,5; "))
    assert due == "Due tomorrow"
