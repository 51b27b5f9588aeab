"""The page of figures is what the newest results say, and a verdict is what its number says."""

import json
from typing import Any

import pytest

from benchmarks import render
from benchmarks.figures import Better, Figure, bootstrap_interval, median_figure
from benchmarks.load import parse, request


def figure(value: float, *, better: Better = "lower", bar: float | None = 10, aim: float | None = 5) -> Figure:
    return median_figure("name", "what", "ms", better, [value], bar=bar, aim=aim)


def test_page_shows_the_newest_results() -> None:
    page = render.PAGE.read_text()
    assert render.rendered(page, render.newest()) == page


def test_committed_results_name_no_machine_path_and_keep_their_verdicts() -> None:
    for path in render.RESULTS.glob("20*.json"):
        text = path.read_text()
        assert "/work" not in text
        assert "/home" not in text
        for benchmark in json.loads(text)["benchmarks"]:
            for kept in benchmark["figures"]:
                fields: dict[str, Any] = {name: value for name, value in kept.items() if name != "verdict"}
                assert Figure(**fields).verdict == kept["verdict"]


@pytest.mark.parametrize(
    ("measured", "verdict"),
    [
        (figure(4), "aim met"),
        (figure(10), "bar met"),
        (figure(11), "short of the bar"),
        (figure(4, better="higher"), "short of the bar"),
        (figure(20, better="higher", bar=None), "aim met"),
        (figure(6, bar=None), "short of the aim"),
        (figure(6, bar=None, aim=None), "for comparison"),
    ],
)
def test_verdict_follows_the_limits(measured: Figure, verdict: str) -> None:
    assert measured.verdict == verdict


def test_spread_is_the_extremes_of_few_and_the_quartiles_of_many() -> None:
    few = median_figure("", "", "", "lower", [1, 2, 9])
    many = median_figure("", "", "", "lower", list(range(1, 10)))
    assert (few.value, few.low, few.high, few.spread) == (2, 1, 9, "min-max")
    assert (many.value, many.low, many.high, many.spread) == (5, 3, 7, "IQR")


def test_interval_holds_the_median_and_narrows_with_more_values() -> None:
    low, high = bootstrap_interval([float(n) for n in range(20)])
    assert low < 9.5 < high
    narrow_low, narrow_high = bootstrap_interval([float(n % 20) for n in range(2000)])
    assert narrow_high - narrow_low < high - low


def test_request_bytes_are_one_http_message() -> None:
    sent = request("POST", "/x", token="t", body=b"{}", headers={"If-None-Match": '"a"'})
    assert sent.startswith(b"POST /x HTTP/1.1\r\n")
    assert b"\r\nContent-Length: 2\r\n" in sent
    assert b'\r\nIf-None-Match: "a"' in sent
    assert sent.endswith(b"\r\n\r\n{}")


def test_answer_is_taken_apart() -> None:
    answer = parse(b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n')
    assert (answer.status, answer.headers["etag"], answer.body) == (304, '"a"', b"")
