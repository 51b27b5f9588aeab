"""The machines and what is taken of them."""

import secrets
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from api.auth.principal import Principal
from api.auth.token_secrets import TOKEN_BYTES, digest_of
from api.context import App
from api.http.problems import NodeInUse, NodeNotFound, shortened
from api.nodes.hardware import measured
from gpulab.schemas import (
    GpuPage,
    GpuRead,
    NodeEventPage,
    NodeEventRead,
    NodePage,
    NodeRead,
    NodeTokenRead,
    RevokedRead,
)
from gpulab.states import NodeState
from models.statements import leases, node_health, node_tokens, nodes

EVENTS_SHOWN = 100
NODE_TOKEN_PREFIX = "glab_node_"  # noqa: S105 - the public beginning of every token


async def gpu_page(app: App) -> GpuPage:
    return GpuPage(items=_gpus(await app.database.rows(nodes.gpus), await app.database.rows(leases.live)))


async def node_page(app: App) -> NodePage:
    rows = await app.database.rows(nodes.overview, silence_seconds=app.settings.lease_seconds)
    live = await app.database.rows(leases.live)
    on_node: defaultdict[str, list[GpuRead]] = defaultdict(list)
    for gpu in _gpus(await app.database.rows(nodes.gpus), live):
        on_node[gpu.node].append(gpu)
    used = Counter(lease.node for lease in live if not lease.gpu_uuids)
    return NodePage(items=[_node(row._asdict(), used[row.name], on_node[row.name]) for row in rows])


async def node(app: App, name: str) -> NodeRead:
    """Raises `NodeNotFound`."""
    for found in (await node_page(app)).items:
        if found.name == name:
            return found
    raise NodeNotFound(f"no node is called {shortened(name)!r}; see /v1/nodes")


async def drain(app: App, principal: Principal, name: str, reason: str | None) -> NodeRead:
    """Start a drain; the same order twice changes nothing. Raises `NodeNotFound`."""
    await node(app, name)
    words = reason or f"drained by {principal.name}"
    await app.database.row(node_health.drain, name=name, reason=words, actor=principal.actor)
    return await node(app, name)


async def undrain(app: App, principal: Principal, name: str) -> NodeRead:
    """Take the node into service as it is, also when the lab had set it aside. Raises `NodeNotFound`."""
    await node(app, name)
    await app.database.row(node_health.undrain, name=name, actor=principal.actor)
    return await node(app, name)


async def remove(app: App, principal: Principal, name: str) -> None:
    """Take a node that is down off the list. Raises `NodeNotFound`, and `NodeInUse` for one that is up."""
    found = await node(app, name)
    silence = app.settings.lease_seconds
    removed = await app.database.row(node_health.remove, name=name, silence_seconds=silence, actor=principal.actor)
    if removed is None:
        raise NodeInUse(_why_in_use(found, silence))


def _why_in_use(found: NodeRead, silence_seconds: float) -> str:
    if found.state is NodeState.DOWN:
        return f"jobs still hold {found.name}; the lab takes them back within {silence_seconds:g} s"
    return (
        f"{found.name} is up: stop its worker first. One that you cannot reach is refused with "
        f"`gpulab nodes token {found.name} --revoke` and counts as down after {silence_seconds:g} s"
    )


async def events(app: App, name: str) -> NodeEventPage:
    """Raises `NodeNotFound`."""
    await node(app, name)
    rows = await app.database.rows(node_health.events, name=name, limit=EVENTS_SHOWN)
    names = ("id", "at", "type", "actor", "message")
    return NodeEventPage(items=[NodeEventRead(**{name: getattr(row, name) for name in names}) for row in rows])


async def make_token(app: App, principal: Principal, name: str) -> NodeTokenRead:
    """A token for a node, which need not exist yet."""
    token = NODE_TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
    row = await app.database.row(node_tokens.add, node=name, digest=digest_of(token), actor=principal.actor)
    assert row is not None  # noqa: S101 - an INSERT of one row returns it
    return NodeTokenRead(node=name, token=token, created_at=row.created_at)


async def revoke_tokens(app: App, principal: Principal, name: str) -> RevokedRead:
    """Refuse every token that was made for the node."""
    rows = await app.database.rows(node_tokens.revoke, node=name, actor=principal.actor)
    return RevokedRead(node=name, revoked=len(rows))


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
    constants = measured(row["constants"])
    return GpuRead(
        **{name: row[name] for name in names},
        memory_reserved_bytes=taken,
        constants=constants and constants.model_dump(),
        constants_reason=row["constants_reason"],
    )


def _node(row: Mapping[str, Any], slots_used: int, gpus: list[GpuRead]) -> NodeRead:
    names = ("name", "slots", "datasets", "skipped_datasets", "versions", "gpu_reason", "heartbeat_at")
    more = ("refused_experiments", "fault", "fault_at", "fault_until", "clock_skew_seconds")
    reasons = [words for words in (row["reason"], row["fault_message"]) if words]
    return NodeRead(
        **{name: row[name] for name in (*names, *more)},
        state=state_of(row),
        reason="; ".join(reasons) or None,
        slots_used=slots_used,
        gpus=gpus,
    )


def state_of(row: Mapping[str, Any]) -> NodeState:
    """The first that holds, of a row of `nodes.overview`."""
    if row["down"]:
        return NodeState.DOWN
    if row["draining"]:
        return NodeState.DRAINING
    return NodeState.UP if row["fault"] is None else NodeState.SET_ASIDE
