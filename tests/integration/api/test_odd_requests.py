"""Requests that are unusual but no attack: what clients, proxies and users of the world send."""

import gzip
import json

import httpx
import pytest

from gpulab.states import Role
from tests.integration.api.seeds import ORDER, Seeds, body
from tests.integration.api.test_bad_input import JSON, problem_of


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/jobs?limit=1&limit=2", "limit"),
        ("/v1/jobs?owner=ann&owner=ben", "owner"),
        ("/v1/jobs?text=&text=x", "text"),
        ("/v1/jobs?shared=true&shared=true", "shared"),
        ("/v1/users?role=student&role=admin", "role"),
        ("/v1/audit?actor=user:a&actor=user:b&limit=5", "actor"),
    ],
)
async def test_parameter_that_takes_one_value_is_not_chosen_from_two(
    client: httpx.AsyncClient, path: str, name: str
) -> None:
    problem = problem_of(await client.get(path))
    (field,) = problem.errors or []
    assert (problem.status, field.path, field.message) == (422, f"query.{name}", "is given more than once")
    assert (field.limit, field.value) == ({"max": 1}, 2)


async def test_parameter_that_takes_several_values_may_be_repeated(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/jobs?state=queued&state=running")
    assert answer.status_code == 200, answer.text


async def test_allow_names_every_method_of_the_address(client: httpx.AsyncClient) -> None:
    course = (await client.get("/v1/courses")).json()["items"][0]["id"]
    me = (await client.get("/v1/me")).json()["id"]
    answer = await client.post(f"/v1/courses/{course}/members/{me}", json={})
    assert (answer.status_code, answer.headers["allow"]) == (405, "PUT, DELETE")


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "br", "deflate"])
async def test_compressed_body_is_refused_as_such(client: httpx.AsyncClient, seeds: Seeds, encoding: str) -> None:
    packed = gzip.compress(body())
    answer = await client.post("/v1/jobs", content=packed, headers={**JSON, "Content-Encoding": encoding})
    problem = problem_of(answer)
    assert problem.type == "/problems/unsupported-media-type"
    assert f"its Content-Encoding is {encoding.lower()}" in problem.detail
    assert seeds.state_of_everything() == ((), 0, ())


async def test_body_that_says_that_it_is_not_compressed_is_read(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/jobs", content=body(), headers={**JSON, "Content-Encoding": "identity"})
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize(
    "pasted",
    ["{}\n", "\ufeff{}", "\u200b{}\u200b", "“{}”", "`{}`", "'{}' ", '\u2060 "{}"\u00a0', "<{}>", "\u200e{}"],
)
async def test_token_is_taken_as_it_was_pasted(anonymous: httpx.AsyncClient, seeds: Seeds, pasted: str) -> None:
    sam = seeds.user("sam", Role.STUDENT)
    answer = await anonymous.post("/v1/session", json={"token": pasted.format(sam.token)})
    assert (answer.status_code, answer.json().get("name")) == (200, "sam"), answer.text


@pytest.mark.parametrize("pasted", ["", " ", "\u200b", "“”", "x" * 201])
async def test_nothing_that_was_pasted_is_no_token(anonymous: httpx.AsyncClient, pasted: str) -> None:
    answer = await anonymous.post("/v1/session", json={"token": pasted})
    assert answer.status_code in (401, 422), answer.text


async def test_session_lasts_by_the_count_of_the_browser_and_not_by_its_clock(
    anonymous: httpx.AsyncClient, seeds: Seeds
) -> None:
    answer = await anonymous.post("/v1/session", json={"token": seeds.user("sam", Role.STUDENT).token})
    lines = answer.headers.get_list("set-cookie")
    ages = [int(part.partition("=")[2]) for line in lines for part in line.split("; ") if part.startswith("Max-Age")]
    assert len(lines) == len(ages) == 2
    assert min(ages) > 3600


@pytest.mark.parametrize(
    ("path", "order", "words"),
    [
        ("/v1/jobs", {**ORDER, "tags": ["été"]}, "a tag has 1 to 64 of the characters"),
        ("/v1/jobs", {**ORDER, "tags": ["two words"]}, "a tag has 1 to 64 of the characters"),
        ("/v1/users", {"name": "x", "email": "ada at uni.example"}, "is not an e-mail address"),
        ("/v1/users", {"name": "x", "email": "Ada <ada@uni.example>"}, "is not an e-mail address"),
        ("/v1/users", {"name": "x", "email": "mailto:ada@uni.example"}, "is not an e-mail address"),
    ],
)
async def test_text_of_a_wrong_form_is_refused_in_words(
    client: httpx.AsyncClient, path: str, order: dict[str, object], words: str
) -> None:
    problem = problem_of(await client.post(path, content=json.dumps(order), headers=JSON))
    (field,) = problem.errors or []
    assert field.message.startswith(words)
    assert "pattern" in (field.limit or {})


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/v1/jobs/last", "is not an id, such as "),
        ("/v1/jobs?study=1", "is not an id, such as "),
        ("/v1/jobs?shared=maybe", "must be true or false"),
        ("/v1/audit?since=2030-01-31", "needs an offset, such as "),
        ("/v1/audit?since=yesterday", "is not a time, such as "),
        ("/v1/audit?until=31.1.30T12:00", "is not a time, such as "),
    ],
)
async def test_value_of_a_wrong_kind_is_refused_in_words(client: httpx.AsyncClient, path: str, words: str) -> None:
    (field,) = problem_of(await client.get(path)).errors or []
    assert field.message.startswith(words)
    assert field.value is not None


@pytest.mark.parametrize("path", ["//v1/me", "/v1//me", "/v1/me/", "//v1///me//"])
async def test_address_with_slashes_too_many_names_the_right_one(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(httpx.URL("http://lab").copy_with(raw_path=path.encode()))
    problem = problem_of(answer)
    assert problem.status == 404
    assert problem.detail.endswith("; there is /v1/me")


@pytest.mark.parametrize("path", ["/v1/nothing/", "//nothing", "/v1/../etc//"])
async def test_address_of_nothing_names_none(client: httpx.AsyncClient, path: str) -> None:
    problem = problem_of(await client.get(httpx.URL("http://lab").copy_with(raw_path=path.encode())))
    assert "there is" not in problem.detail


async def test_page_below_two_slashes_is_sent_to_the_one_below_one(client: httpx.AsyncClient) -> None:
    for path, target in (("//jobs?text=a%20b", "/jobs?text=a%20b"), ("//evil.example/x", "/evil.example/x")):
        address = httpx.URL("http://lab").copy_with(raw_path=path.encode())
        answer = await client.get(address, headers={"Accept": "text/html"})
        assert (answer.status_code, answer.headers["location"]) == (308, target)


async def test_body_with_a_byte_order_mark_is_read(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/jobs", content=b"\xef\xbb\xbf" + body(), headers=JSON)
    assert answer.status_code == 201, answer.text
