"""Who owns a question about memory that is asked over HTTP: users take turns by it."""

import httpx
from sqlalchemy import select

from models import Estimate
from tests.integration.api.seeds import Seeds


async def test_question_belongs_to_the_user_with_the_fewest_whichever_way_it_is_asked(
    anonymous: httpx.AsyncClient, seeds: Seeds
) -> None:
    ada, bob = seeds.user("ada"), seeds.user("bob")
    orders = [{"experiment": "model-memory", "spec": {"batch_size": size}} for size in (8, 16, 32)]
    for order in orders:
        await anonymous.post("/v1/estimates", json=order, headers=ada.headers)
    assert owners(seeds) == {8: ada.id, 16: ada.id, 32: ada.id}
    await anonymous.post("/v1/estimates", json=orders[1], headers=bob.headers)
    assert owners(seeds) == {8: ada.id, 16: bob.id, 32: ada.id}
    study = {"experiment": "model-memory", "grid": {"batch_size": [32, 64]}}
    for path, order in (("/v1/jobs", orders[1]), ("/v1/studies", study)):
        answer = await anonymous.post(path, json=order, headers=ada.headers)
        assert answer.status_code == 201, answer.text
    assert owners(seeds) == {8: ada.id, 16: bob.id, 32: ada.id, 64: ada.id}


def owners(seeds: Seeds) -> dict[int, object]:
    with seeds.engine.begin() as connection:
        rows = connection.execute(select(Estimate.workload["batch_size"], Estimate.owner_id))
        return {int(size): owner for size, owner in rows}
