"""The pictures of the catalogue: an SVG beside the code of an experiment, which can run no script."""

import httpx


async def test_experiment_has_the_picture_that_its_package_brings(client: httpx.AsyncClient) -> None:
    items = (await client.get("/v1/experiments")).json()["items"]
    known = {item["slug"]: item["has_picture"] for item in items}
    assert known["train-classifier"]
    for slug, has_picture in known.items():
        answer = await client.get(f"/v1/experiments/{slug}/picture")
        assert answer.status_code == (200 if has_picture else 404), slug
    found = await client.get("/v1/experiments/train-classifier/picture")
    assert found.headers["content-type"] == "image/svg+xml"
    assert found.text.startswith("<svg")
    assert found.headers["content-security-policy"].startswith("default-src 'none'")


async def test_unknown_experiment_and_one_without_a_picture_have_none(client: httpx.AsyncClient) -> None:
    for slug in ("unheard-of", "study-report", "x" * 300, "%00"):
        assert (await client.get(f"/v1/experiments/{slug}/picture")).status_code in {404, 422}, slug


async def test_picture_is_for_those_who_are_signed_in(anonymous: httpx.AsyncClient) -> None:
    assert (await anonymous.get("/v1/experiments/train-classifier/picture")).status_code == 401
