"""Which nodes can be trusted with jobs. `judge` is pure; `inspect_nodes` asks the database and writes what follows.

A node at fault is set aside: what runs on it goes on, nothing new starts. It comes back by itself when the fault was
not seen for `fault_quiet_seconds`, or not since its worker started again; one set aside `fault_limit` times within a
day waits for an admin.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection

from gpulab.states import NodeFault
from models.composed import run
from models.settings import SchedulerSettings
from models.statements import node_health

GIB = 2**30

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a node."""

    kind: NodeFault
    message: str
    until: datetime
    """When the node comes back if it is not seen again."""


def inspect_nodes(connection: Connection, settings: SchedulerSettings) -> None:
    """One look at every live node."""
    silence = settings.lease_seconds
    run(connection, node_health.mark_missing, silence_seconds=silence)
    gpus: defaultdict[str, list[Any]] = defaultdict(list)
    for gpu in run(connection, node_health.suspicious_gpus):
        gpus[gpu.node].append(gpu)
        if gpu.contested_by is not None:
            gpus[gpu.contested_by].append(gpu)
    for node in run(connection, node_health.reports, silence_seconds=silence).all():
        _apply(connection, node, judge(node, gpus[node.name], settings), settings)


def judge(node: Any, gpus: Sequence[Any], settings: SchedulerSettings) -> Fault | None:
    """The fault that keeps a node out the longest, or None.

    `node` is a row of `node_health.reports`, `gpus` those of `suspicious_gpus` that are its own or that it
    contests.
    """
    found = [fault for fault in _faults(node, gpus, settings) if fault.until > node.now or _is_refusal(fault)]
    return max(found, key=lambda fault: (_is_refusal(fault), fault.until), default=None)


def _apply(connection: Connection, node: Any, fault: Fault | None, settings: SchedulerSettings) -> None:
    if fault is None:
        if node.fault is not None and run(connection, node_health.bring_back, name=node.name).first():
            log.info("node.back", node=node.name)
    elif node.fault is None:
        held = node.set_asides + 1 >= settings.fault_limit and not _is_refusal(fault)
        until = None if held else fault.until
        seen = {"name": node.name, "fault": fault.kind, "message": fault.message}
        if run(connection, node_health.set_aside, **seen, until=until).first():
            log.warning("node.set_aside", node=node.name, fault=fault.kind, reason=fault.message, until=str(until))
    elif node.fault_until is not None and _moved(node, fault, settings):
        seen = {"name": node.name, "fault": fault.kind, "message": fault.message}
        run(connection, node_health.still_at_fault, **seen, until=fault.until)


def _moved(node: Any, fault: Fault, settings: SchedulerSettings) -> bool:
    """Whether writing it down again is worth a write."""
    later: timedelta = fault.until - node.fault_until
    return node.fault != fault.kind or later.total_seconds() > settings.fault_quiet_seconds / 10


def _is_refusal(fault: Fault) -> bool:
    return fault.kind is NodeFault.NO_TOKEN


def _faults(node: Any, gpus: Sequence[Any], settings: SchedulerSettings) -> Iterator[Fault]:
    quiet = timedelta(seconds=settings.fault_quiet_seconds)

    def fault(kind: NodeFault, message: str, seen_at: datetime) -> Iterator[Fault]:
        if node.cleared_at is None or seen_at > node.cleared_at:
            yield Fault(kind, message, seen_at + quiet)

    if settings.node_tokens_required and not node.admitted:
        yield Fault(NodeFault.NO_TOKEN, "the lab requires node tokens and it has no valid one", node.now)
    skew = node.clock_skew_seconds
    if skew is not None and abs(skew) > settings.clock_skew_limit_seconds:
        yield from fault(
            NodeFault.CLOCK_SKEW, f"its clock is off by {skew:+.0f} s; set it from a time server", node.now
        )
    window = timedelta(seconds=settings.flap_window_seconds)
    recent = [at for at in node.reconnects if at > node.now - window]
    if len(recent) >= settings.flap_limit:
        words = f"it vanished and came back {len(recent)} times within {settings.flap_window_seconds:.0f} s"
        yield from fault(NodeFault.FLAPPING, words, max(recent))
    if node.untaken_leases >= settings.untaken_limit:
        words = f"it did not take up {node.untaken_leases} jobs in a row, although its heartbeats continue"
        yield from fault(NodeFault.UNRESPONSIVE, words, node.untaken_at)
    for gpu in gpus:
        for kind, message, seen_at in _gpu_faults(node, gpu, settings):
            yield from fault(kind, message, seen_at)


def _gpu_faults(node: Any, gpu: Any, settings: SchedulerSettings) -> Iterator[tuple[NodeFault, str, datetime]]:
    if gpu.contested_at is not None and gpu.contested_at > node.now - timedelta(seconds=settings.lease_seconds):
        other = gpu.contested_by if gpu.node == node.name else gpu.node
        yield NodeFault.GPU_DUPLICATE, f"node {other} reports the same GPU {gpu.uuid}", gpu.contested_at
    if gpu.node != node.name:
        return
    if gpu.unhealthy_at is not None:
        yield NodeFault.GPU_LOST, f"GPU {gpu.index} ({gpu.uuid}) is lost: {gpu.reason}", gpu.unhealthy_at
    if gpu.xid_at is not None:
        yield NodeFault.GPU_XID, f"GPU {gpu.index} ({gpu.uuid}) reported Xid {gpu.xid}", gpu.xid_at
    before, now = gpu.known_total_bytes, gpu.memory_total_bytes
    if before is not None and now is not None and abs(now - before) > node_health.MIN_CHANGE * before:
        words = (
            f"GPU {gpu.index} ({gpu.uuid}) has {now / GIB:.1f} GiB of memory and had {before / GIB:.1f} GiB before; "
            f"`gpulab nodes undrain {node.name}` accepts that"
        )
        yield NodeFault.GPU_CHANGED, words, node.now
