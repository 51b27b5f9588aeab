"""Long answers go compressed to those who can unpack them, under the tag of the plain ones."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI, Request, Response

from api.http import etag

LONG = b'{"items":[' + b",".join(b'{"state":"queued","number":%d}' % number for number in range(200)) + b"]}"
SHORT = b'{"items":[]}'
PLAIN = {"Accept-Encoding": "identity"}


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()

    @app.get("/{size}")
    def read(request: Request, size: str) -> Response:
        body = LONG if size == "long" else SHORT
        return etag.answer(request, body, etag.of_body(body))

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://lab") as made:
        yield made


async def test_long_answer_is_packed_for_who_can_unpack_it(client: httpx.AsyncClient) -> None:
    packed, plain = await client.get("/long"), await client.get("/long", headers=PLAIN)
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(LONG) / 5
    assert packed.content == plain.content == LONG
    assert "content-encoding" not in plain.headers
    assert int(plain.headers["content-length"]) == len(LONG)


async def test_caches_are_told_that_it_depends_on_what_the_reader_can_unpack(client: httpx.AsyncClient) -> None:
    for headers in ({}, PLAIN):
        answer = await client.get("/long", headers=headers)
        assert answer.headers["vary"] == f"{etag.VARY}, Accept-Encoding"


async def test_short_answer_goes_as_it_is(client: httpx.AsyncClient) -> None:
    answer = await client.get("/short")
    assert "content-encoding" not in answer.headers
    assert answer.content == SHORT


async def test_one_weak_tag_stands_for_both_and_is_answered_with_304(client: httpx.AsyncClient) -> None:
    packed, plain = await client.get("/long"), await client.get("/long", headers=PLAIN)
    tag = packed.headers["etag"]
    assert tag.startswith('W/"')
    assert plain.headers["etag"] == tag
    for headers in ({}, PLAIN):
        again = await client.get("/long", headers={**headers, "If-None-Match": tag})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)


@pytest.mark.parametrize(
    ("accepted", "is_packed"),
    [
        ("gzip", True),
        ("gzip;q=0.5", True),
        ("br, gzip ; q=1.0", True),
        ("gzip;q=0", False),
        ("identity, gzip; q=0.000", False),
        ("x-gzip", False),
        ("*;q=0", False),
        ("", False),
    ],
)
async def test_reader_who_refuses_an_encoding_does_not_get_it(
    client: httpx.AsyncClient, accepted: str, is_packed: bool
) -> None:
    answer = await client.get("/long", headers={"Accept-Encoding": accepted})
    assert ("content-encoding" in answer.headers) is is_packed
    assert answer.headers["vary"] == f"{etag.VARY}, Accept-Encoding"
    assert answer.content == LONG
