"""Whatever a stranger sends is read in about the time that plain input of the same size takes."""

import contextlib
import time
from collections.abc import Callable

import httpx
import pytest
from fastapi import Request
from pydantic import ValidationError

from api.http import cursors, etag, strict_json
from api.http.problems import Refusal
from api.http.strict_request import LARGER_BODIES, StrictRequest
from api.results.files import asked_span
from api.roster import tables as roster_tables
from experiments.studies.plan import PlanError, expand_grid
from gpulab import names
from gpulab.schemas import JobCreate
from gpulab.schemas.users import UserCreate

SIZE = LARGER_BODIES["submit_job"]
MAX_RATIO = 12
"""Quadratic work on input of this size is hundreds of times as slow."""
PLAIN = b'{"x":[' + b",".join([b"0.12345678901,0.5"] * (SIZE // 27)) + b"]}"


def repeated(piece: bytes, before: bytes = b"", after: bytes = b"", between: bytes = b"") -> bytes:
    count = (SIZE - len(before) - len(after)) // (len(piece) + len(between))
    return before + between.join([piece] * count) + after


BODIES = {
    "keys that differ": b"{" + b",".join(b'"k%d":1' % number for number in range(20_000)) + b"}",
    "a key that comes twice, last": b"{" + b",".join(b'"k%d":1' % number for number in range(20_000)) + b',"k19999":1}',
    "one key again and again": repeated(b'"k":1', b"{", b"}", b","),
    "empty lists": repeated(b"[]", b"[", b"]", b","),
    "empty objects": repeated(b"{}", b"[", b"]", b","),
    "lists 28 deep": repeated(b"[" * 28 + b"1" + b"]" * 28, b"[", b"]", b","),
    "deep lists with a surrogate": repeated(b"[" * 28 + b"1" + b"]" * 28, b'["\\ud83d\\ude00",', b"]", b","),
    "opening brackets": b"[" * SIZE,
    "closing brackets": b"]" * SIZE,
    "objects in lists": b'[{"a":' * (SIZE // 6),
    "empty strings": repeated(b'""', b"[", b"]", b","),
    "quotes": b'"' * SIZE,
    "escaped quotes": repeated(b'\\"', b'"', b'"'),
    "escaped quotes without an end": repeated(b'\\"', b'"'),
    "backslashes": repeated(b"\\\\", b'"', b'"'),
    "escapes": repeated(b"\\u00e9", b'"', b'"'),
    "surrogates": repeated(b"\\ud83d\\ude00", b'"', b'"'),
    "digits": b"9" * SIZE,
    "long integers": repeated(b"9" * 4000, b"[", b"]", b","),
    "long fractions": repeated(b"0." + b"3" * 300, b"[", b"]", b","),
    "an exponent": b"1e" + b"9" * SIZE,
    "spaces": b" " * SIZE,
    "lines": b"\n" * SIZE + b"x",
    "text": b'"' + b"x" * SIZE + b'"',
}


def seconds(read: Callable[[], object]) -> float:
    """The best of three tries, so that others on this machine do not count."""

    def once() -> float:
        started = time.process_time()
        with contextlib.suppress(Refusal, ValidationError, PlanError):
            read()
        return time.process_time() - started

    return min(once() for _ in range(3))


@pytest.fixture(scope="module")
def plain_seconds() -> float:
    return seconds(lambda: strict_json.loads(PLAIN))


@pytest.fixture(scope="module")
def at_most(plain_seconds: float) -> float:
    return MAX_RATIO * max(plain_seconds, 0.002)


@pytest.mark.parametrize("case", BODIES)
def test_body_takes_no_longer_than_a_plain_one(case: str, at_most: float) -> None:
    body = BODIES[case]
    assert len(body) <= SIZE * 1.1
    assert seconds(lambda: strict_json.loads(body)) < at_most


def request_with(name: str, value: str) -> Request:
    scope = {"type": "http", "headers": [(name.encode(), value.encode())], "query_string": b"", "path": "/"}
    return StrictRequest(scope)


HEADER_BYTES = 60_000
HEADERS: dict[str, Callable[[], object]] = {
    "cookie of backslashes": lambda: request_with("cookie", 'a="' + "\\" * HEADER_BYTES + '"').cookies,
    "cookie of escaped quotes": lambda: request_with("cookie", 'a="' + '\\"' * (HEADER_BYTES // 2) + '"').cookies,
    "cookie of many": lambda: request_with("cookie", "a=b;" * (HEADER_BYTES // 4)).cookies,
    "cookie of nothing": lambda: request_with("cookie", ";" * HEADER_BYTES).cookies,
    "tags": lambda: etag.matches('W/"a",' * (HEADER_BYTES // 6), '"b"'),
    "tags of nothing": lambda: etag.matches("," * HEADER_BYTES, '"b"'),
    "range": lambda: asked_span("bytes=" + "1" * HEADER_BYTES + "-", None, '"t"', 10),
    "ranges": lambda: asked_span("bytes=" + "0-1," * (HEADER_BYTES // 4), None, '"t"', 10),
    "range of spaces": lambda: asked_span("bytes=" + " " * HEADER_BYTES, None, '"t"', 10),
    "cursor": lambda: cursors.decode_id("W1" * (HEADER_BYTES // 2), "jobs", {}),
    "cursor of lists": lambda: cursors.decode_id("W1tb" * (HEADER_BYTES // 4), "jobs", {}),
    "query": lambda: httpx.QueryParams("a=1&" * (HEADER_BYTES // 4)),
}


@pytest.mark.parametrize("case", HEADERS)
def test_header_takes_no_longer_than_a_plain_body(case: str, at_most: float) -> None:
    assert seconds(HEADERS[case]) < at_most


MARKS = "a" + "\u0315\u0300" * (SIZE // 4)
TEXTS: dict[str, Callable[[], object]] = {
    "roster without a line end": lambda: roster_tables.read("name,email\n" + "x" * SIZE),
    "roster of columns": lambda: roster_tables.read("name," * (SIZE // 5) + "\n"),
    "roster of semicolons": lambda: roster_tables.read("name;email\n" + ";" * SIZE),
    "roster of quotes": lambda: roster_tables.read('name,email\n"' + '""' * (SIZE // 2)),
    "roster of empty lines": lambda: roster_tables.read("name,email\n" + "\n" * SIZE),
    "roster of marks in the heading": lambda: roster_tables.read(f"name,{MARKS}\n"),
    "roster of marks in a name": lambda: roster_tables.read(f"name,email\n{MARKS},x@example.edu\n"),
    "marks on one letter": lambda: names.cleaned(MARKS),
    "name of marks": lambda: UserCreate.model_validate({"name": MARKS}),
    "address of many at signs": lambda: UserCreate.model_validate({"name": "x", "email": "@" * SIZE}),
    "address without one": lambda: UserCreate.model_validate({"name": "x", "email": "a." * (SIZE // 2)}),
    "name of spaces": lambda: UserCreate.model_validate({"name": " " * SIZE + "x" + " " * SIZE}),
    "wrong tags": lambda: JobCreate.model_validate({"experiment": "x", "tags": [1] * 20_000}),
    "a tag": lambda: JobCreate.model_validate({"experiment": "x", "tags": ["a:" * (SIZE // 2)]}),
    "values of an axis": lambda: expand_grid(
        "dropout-linear", {}, {"dropout": [n / 5000 for n in range(2000)]}, [0, 0]
    ),
}


@pytest.mark.parametrize("case", TEXTS)
def test_text_takes_no_longer_than_a_plain_body(case: str, at_most: float) -> None:
    assert seconds(TEXTS[case]) < 3 * at_most


def test_an_object_has_a_bound_of_keys() -> None:
    body = b"{" + b",".join(b'"k%d":1' % number for number in range(strict_json.MAX_KEYS + 1)) + b"}"
    with pytest.raises(Refusal, match="keys"):
        strict_json.loads(body)


def test_depth_and_values_are_counted_outside_of_strings() -> None:
    text = '[{",' * 40_000
    assert strict_json.loads(f'{{"csv":"{text.replace(chr(34), chr(92) + chr(34))}"}}'.encode()) == {"csv": text}
    for body in (b"[" * 33 + b"]" * 33, b'{"a":' * 33 + b"1" + b"}" * 33):
        with pytest.raises(Refusal, match="deeper"):
            strict_json.loads(body)
    assert strict_json.loads(b"[" * 32 + b"]" * 32)
