"""Cursors, entity tags, ranges and strict JSON: pure functions at the edge."""

import json
import math
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.http import cursors, etag, strict_json
from api.http.problems import InvalidCursor, InvalidRequest, MalformedBody, RangeNotSatisfiable, Refusal, shortened
from api.results.files import Span, asked_span

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda children: (
        st.lists(children, max_size=4)
        | st.dictionaries(
            st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), children, max_size=4
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_good_json_is_read_as_it_is(value: Any) -> None:
    assert strict_json.loads(json.dumps(value).encode()) == value


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        value = strict_json.loads(body)
    except (MalformedBody, InvalidRequest):
        return
    assert json.dumps(value, allow_nan=False)
    assert "\\u0000" not in json.dumps(value)


@given(st.text(max_size=100), st.dictionaries(st.text(max_size=5), st.text(max_size=5)), st.integers(0, 2**63 - 1))
def test_cursor_leads_back_only_to_its_list_and_filters(kind: str, filters: dict[str, str], position: int) -> None:
    cursor = cursors.encode(kind, filters, position)

    assert cursors.decode_number(cursor, kind, filters) == position
    for other_kind, other_filters in [(f"{kind}x", filters), (kind, {**filters, "more": "x"})]:
        with pytest.raises(InvalidCursor):
            cursors.decode_number(cursor, other_kind, other_filters)


@pytest.mark.parametrize("name", ["\ud800", "a\udfff", "\0"])
def test_forged_name_that_the_database_cannot_read_is_refused(name: str) -> None:
    with pytest.raises(InvalidCursor):
        cursors.decode_name(cursors.encode("users", {}, name), "users", {})


@pytest.mark.parametrize("name", ["Zoë", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\U0001f600"])
def test_name_of_any_script_leads_on(name: str) -> None:
    assert cursors.decode_name(cursors.encode("users", {}, name), "users", {}) == name


@given(st.text(max_size=200))
def test_made_up_cursor_is_refused(cursor: str) -> None:
    for decode in (cursors.decode_id, cursors.decode_number):
        with pytest.raises(InvalidCursor):
            decode(cursor, "jobs", {})


@given(st.uuids(), st.integers(1, 2**62), st.uuids(), st.integers(1, 2**62))
def test_tags_are_equal_only_for_the_same_version_of_the_same_job(
    first: UUID, version: int, second: UUID, other: int
) -> None:
    same = (first, version) == (second, other)
    assert (etag.of_job(first, version) == etag.of_job(second, other)) is same


def test_if_none_match_knows_lists_weak_tags_and_the_star() -> None:
    tag = etag.of_job(uuid4(), 3)
    for header in (tag, f"W/{tag}", f'"a", {tag}', "*", f' "x" ,W/{tag} '):
        assert etag.matches(header, tag)
    for header in (None, "", '"a"', tag.strip('"'), tag[:-2] + '4"'):
        assert not etag.matches(header, tag)


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 10**6))
def test_range_lies_within_the_file(first: int, length: int, size: int) -> None:
    last = first + length
    try:
        span = asked_span(f"bytes={first}-{last}", None, '"t"', size)
    except RangeNotSatisfiable:
        assert first >= size
        return
    assert span == Span(first, min(last + 1, size))


@given(st.text(max_size=40), st.integers(0, 100))
def test_any_range_header_is_followed_or_left_alone(header: str, size: int) -> None:
    try:
        span = asked_span(header, None, '"t"', size)
    except RangeNotSatisfiable:
        return
    assert span is None or 0 <= span.start < span.end <= size


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (True, True),
        (5, 5),
        (2**70, "1.180592e+21"),
        (10**400, "a huge integer"),
        ([1] * 9, "a list of 9"),
        ({"a": 1}, "an object of 1"),
        ("x" * 300, "x" * 100 + "… (300 characters)"),
    ],
)
def test_values_come_back_short(value: object, shown: object) -> None:
    assert shortened(value) == shown


def test_numbers_that_json_has_no_word_for_come_back_as_text() -> None:
    assert shortened(math.nan) == "nan"
    assert shortened(-math.inf) == "-inf"


def test_every_refusal_has_a_slug_of_its_own() -> None:
    kinds = refusals()
    assert len({kind.slug for kind in kinds}) == len(kinds)
    assert all(400 <= kind.status < 600 for kind in kinds)


def refusals() -> list[type[Refusal]]:
    found: list[type[Refusal]] = []
    waiting = list(Refusal.__subclasses__())
    while waiting:
        kind = waiting.pop()
        found.append(kind)
        waiting += kind.__subclasses__()
    return found
