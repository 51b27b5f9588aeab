"""The text of a banner: links to http and https alone, and a dismissal that holds until the banner changes."""

from tests.unit.dashboard.scripts import run_module

PIECES = "return given.map((text) => module.linked(text).map(({ text, href }) => [text, href]));"


def test_only_http_addresses_become_links() -> None:
    given = {
        "See https://example.edu/a?b=1#c.": [
            ["See ", None],
            ["https://example.edu/a?b=1#c", "https://example.edu/a?b=1#c"],
            [".", None],
        ],
        "(http://example.edu/x), then": [
            ["(", None],
            ["http://example.edu/x", "http://example.edu/x"],
            ["), then", None],
        ],
        "javascript:alert(1) data:text/html,x ftp://example.edu": [
            ["javascript:alert(1) data:text/html,x ftp://example.edu", None]
        ],
        '<a href="https://evil.example">x</a>': [
            ['<a href="', None],
            ["https://evil.example", "https://evil.example"],
            ['">x</a>', None],
        ],
        "https://": [["https://", None]],
        "no link": [["no link", None]],
        "": [],
    }
    assert run_module("shell/banner-text.ts", PIECES, list(given)) == list(given.values())


def test_a_banner_is_shown_until_it_ends_or_is_dismissed() -> None:
    banners = [
        {"id": "new", "ends_at": "2030-01-02T00:00:00Z"},
        {"id": "seen", "ends_at": "2030-01-02T00:00:00Z"},
        {"id": "over", "ends_at": "2030-01-01T00:00:00Z"},
        {"id": "drain", "ends_at": None},
    ]
    body = "return module.stillShown(given, ['seen'], Date.parse('2030-01-01T12:00:00Z')).map(({ id }) => id);"
    assert run_module("shell/banner-text.ts", body, banners) == ["new", "drain"]


def test_what_a_browser_kept_may_be_broken() -> None:
    body = "return given.map((kept) => module.remembered(kept));"
    given = [None, "", "{", '"x"', '{"a": 1}', '["a", 1, null, "b"]']
    assert run_module("shell/banner-text.ts", body, given) == [[], [], [], [], [], ["a", "b"]]
