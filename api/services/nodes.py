"""The machines and what is taken of them."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from api.auth import Principal
from api.context import Lab
from api.problems import NodeNotFound, shortened
from gpulab.schemas import GpuPage, GpuRead, NodePage, NodeRead
from models.statements import leases, nodes


async def gpu_page(lab: Lab) -> GpuPage:
    return GpuPage(items=_gpus(await lab.database.rows(nodes.gpus), await lab.database.rows(leases.live)))


async def node_page(lab: Lab) -> NodePage:
    rows = await lab.database.rows(nodes.overview(lab.settings.lease_seconds))
    live = await lab.database.rows(leases.live)
    on_node: defaultdict[str, list[GpuRead]] = defaultdict(list)
    for gpu in _gpus(await lab.database.rows(nodes.gpus), live):
        on_node[gpu.node].append(gpu)
    used = Counter(lease.node for lease in live if not lease.gpu_uuids)
    return NodePage(items=[_node(row._asdict(), used[row.name], on_node[row.name]) for row in rows])


async def node(lab: Lab, name: str) -> NodeRead:
    """Raises `NodeNotFound`."""
    for found in (await node_page(lab)).items:
        if found.name == name:
            return found
    raise NodeNotFound(f"no node is called {shortened(name)!r}; see /v1/nodes")


async def drain(lab: Lab, principal: Principal, name: str, *, draining: bool, reason: str | None) -> NodeRead:
    """Start or end a drain; the same order twice changes nothing. Raises `NodeNotFound`."""
    await node(lab, name)
    words = (reason or f"drained by {principal.name}") if draining else None
    await lab.database.execute(nodes.drain(name, draining=draining, reason=words))
    return await node(lab, name)


def _gpus(rows: Any, live: Any) -> list[GpuRead]:
    reserved: Counter[str] = Counter()
    whole = {uuid for lease in live if lease.reserved_bytes is None for uuid in lease.gpu_uuids}
    for lease in live:
        reserved.update(dict.fromkeys(lease.gpu_uuids, lease.reserved_bytes or 0))
    return [_gpu(row._asdict(), reserved, whole) for row in rows]


def _gpu(row: Mapping[str, Any], reserved: Mapping[str, int], whole: set[str]) -> GpuRead:
    total = row["memory_total_bytes"]
    names = ("uuid", "node", "index", "name", "memory_total_bytes", "latest", "healthy", "reason")
    taken = total if row["uuid"] in whole and total is not None else reserved[row["uuid"]]
    return GpuRead(**{name: row[name] for name in names}, memory_reserved_bytes=taken)


def _node(row: Mapping[str, Any], slots_used: int, gpus: list[GpuRead]) -> NodeRead:
    names = ("name", "reason", "slots", "datasets", "versions", "gpu_reason", "heartbeat_at")
    state = "down" if row["down"] else "draining" if row["draining"] else "up"
    return NodeRead(**{name: row[name] for name in names}, state=state, slots_used=slots_used, gpus=gpus)
