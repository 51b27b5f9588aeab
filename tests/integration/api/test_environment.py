"""The packages that programs find, as the nodes report them."""

import httpx

from gpulab.schemas import EnvironmentPage
from tests.integration.api.seeds import Seeds


async def test_environments_of_nodes_that_run_programs_are_listed_once(client: httpx.AsyncClient, seeds: Seeds) -> None:
    same = {"python": "3.11.7", "packages": {"torch": "2.14.1", "NumPy": "2.4.6"}}
    for name in ("node-1", "node-2"):
        seeds.node(name, environment=same, refused_experiments={})
    seeds.node("node-3", environment=same | {"python": "3.12.1"}, refused_experiments={})
    seeds.node("node-4", environment=same, refused_experiments={"script": "no sandbox"})
    found = EnvironmentPage.model_validate_json((await client.get("/v1/environment")).content)
    assert [(each.python, each.nodes) for each in found.items] == [
        ("3.11.7", ["node-1", "node-2"]),
        ("3.12.1", ["node-3"]),
    ]
    assert [package.name for package in found.items[0].packages] == ["NumPy", "torch"]
