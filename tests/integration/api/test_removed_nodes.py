"""Machines that left for good, over HTTP."""

import httpx
from sqlalchemy import insert, text

from models import Gpu
from tests.integration.api.seeds import Seeds
from tests.integration.api.test_users_cli import Terminal, terminal

__all__ = ["terminal"]


async def test_machine_that_is_down_is_removed_and_one_that_is_up_says_how(
    client: httpx.AsyncClient, seeds: Seeds
) -> None:
    seeds.node()
    up = await client.delete("/v1/nodes/node-1")
    with seeds.engine.begin() as connection:
        connection.execute(text("UPDATE nodes SET stopped_at = now()"))
    removed = await client.delete("/v1/nodes/node-1")
    again = await client.delete("/v1/nodes/node-1")

    assert (up.status_code, up.json()["type"]) == (409, "/problems/node-in-use")
    assert "stop its worker first" in up.json()["detail"]
    assert (removed.status_code, again.status_code) == (204, 404)
    assert (await client.get("/v1/nodes")).json()["items"] == []


async def test_terminal_says_how_to_go_on_without_a_gpu_and_removes_what_is_down(
    terminal: Terminal, seeds: Seeds
) -> None:
    seeds.node(gpu_reason=None)
    gone = {"healthy": False, "reason": "not found when the worker started", "latest": {}, "memory_total_bytes": None}
    with seeds.engine.begin() as connection:
        connection.execute(insert(Gpu).values(uuid="GPU-a", node="node-1", index=0, name="Tesla T4", **gone))
    said = await terminal("nodes")
    assert "not found when the worker started" in said
    assert "gpulab nodes undrain node-1" in said
    assert "GPU-a" not in await terminal("nodes", "undrain", "node-1")
    assert "GPU-a" not in await terminal("nodes")
    with seeds.engine.begin() as connection:
        connection.execute(text("UPDATE nodes SET stopped_at = now()"))
    assert "node-1 is removed" in await terminal("nodes", "remove", "node-1")
    assert "The lab has no machines" in await terminal("nodes")
